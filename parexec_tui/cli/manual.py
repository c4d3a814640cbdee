"""help, man and completion: they explain the command line, and are made from the commands themselves."""

import click

from parexec_tui.cli import complete


@click.command(name="help")
@click.argument("verb", required=False, shell_complete=complete.commands)
@click.pass_context
def help_(context: click.Context, verb: str | None) -> None:
    """Explain VERB, with examples; without one, list all commands."""
    above = context.parent
    assert above is not None
    group = above.command
    assert isinstance(group, click.Group)
    if verb is None:
        click.echo(group.get_help(above))
        return
    command = group.get_command(above, verb)
    if command is None:
        raise click.UsageError(f"there is no command {verb!r}: parexec help lists all")
    settings = {**group.context_settings, **command.context_settings}
    with click.Context(command, info_name=command.name, parent=above, **settings) as own:
        click.echo(command.get_help(own))


@click.command()
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page, for `man -l -` or a folder of man pages."""
    from parexec_tui.cli.man_page import man_page

    above = context.parent
    assert above is not None
    assert isinstance(above.command, click.Group)
    click.echo("\n".join(man_page(above.command, above)))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completions for SHELL, to be put where that shell looks for them, or evaluated."""
    from click.shell_completion import get_completion_class

    above = context.parent
    assert above is not None
    kind = get_completion_class(shell)
    assert kind is not None
    # Not `source`: that one starts the shell to ask for its version, which may not be installed here.
    made = kind(above.command, {}, "parexec", "_PAREXEC_COMPLETE")
    click.echo(made.source_template % made.source_vars())


COMMANDS: tuple[click.Command, ...] = (help_, man, completion)
