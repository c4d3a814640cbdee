"""help, man and completion: they explain the command line, and are made from the commands themselves."""

from collections.abc import Sequence

import click

from parexec_tui.cli import complete
from parexec_tui.cli.commands import SHORT_NAMES
from parexec_tui.cli.exits import report_errors


@click.command(name="help")
@click.argument("word", metavar="[VERB or TOPIC]", required=False, shell_complete=complete.commands_and_topics)
@click.pass_context
def help_(context: click.Context, word: str | None) -> None:
    """Explain VERB, with examples, or print the page about TOPIC; without one, list them all."""
    from parexec_tui.cli import topics

    above = context.parent
    assert above is not None
    group = above.command
    assert isinstance(group, click.Group)
    if word is None:
        click.echo(group.get_help(above))
        return
    meant = _meant(group.list_commands(above), topics.topics(), word)
    command = group.get_command(above, meant)
    if command is None:
        with report_errors():
            topics.show(meant)
        return
    settings = {**group.context_settings, **command.context_settings}
    with click.Context(command, info_name=command.name, parent=above, **settings) as own:
        click.echo(command.get_help(own))


def _meant(verbs: Sequence[str], pages: Sequence[str], word: str) -> str:
    """The verb or topic that a person means by a word: its whole name, a short form, or an unambiguous beginning."""
    if word in verbs or word in SHORT_NAMES or word in pages:
        return word
    from parexec_tui.cli.topics import begins_with, near

    found = [verb for verb in verbs if verb.startswith(word)]
    found += [topic for topic in pages if begins_with(topic, word)]
    if len(found) == 1:
        return found[0]
    if found and word:
        raise click.UsageError(f"{word!r} may be {' or '.join(found)}")
    close = near(word, verbs)
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    raise click.UsageError(f"there is no command {word!r} and no such topic{hint}: parexec help lists all")


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
    click.echo((_BASH if shell == "bash" else made.source_template) % made.source_vars())


# Bash ends a word at `:` and `=`, before completions and when it puts one in; click's own script does not know that.
_BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' rest=$COMP_LINE glued=() word current before response completion type value
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#glued[@]} -gt 0 && $rest != [[:space:]]* && $rest == "$word"* ]]; then
            glued[${#glued[@]}-1]+=$word
        else
            glued+=("$word")
        fi
        rest=${rest#*"$word"}
    done
    current=${glued[${#glued[@]}-1]}
    before=${current%%"${current##*[:=]}"}
    response=$(
        IFS=' '
        env COMP_WORDS="${glued[*]}" COMP_CWORD=$((${#glued[@]}-1)) %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


COMMANDS: tuple[click.Command, ...] = (help_, man, completion)
