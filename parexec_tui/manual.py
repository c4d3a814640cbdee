"""What explains the command line: `help`, the man page and the completions, all made from the commands themselves."""

import re
from collections.abc import Iterator

import click

from parexec_tui import __version__, complete
from parexec_tui.commands import SHORT

Examples = tuple[tuple[str, str], ...]

EXAMPLES: dict[str, Examples] = {
    "run": (
        ("parexec run plan.toml", "execute a plan; on a terminal ctrl-c leaves it running"),
        ("parexec run plan.toml --detach --hold", "start an engine that waits for `parexec release`"),
        ("parexec run plan.toml --headless --json", "run it here, and print what happens as JSON lines"),
    ),
    "resume": (("parexec resume --retry-failed", "go on, and run once more what failed"),),
    "attach": (("parexec attach", "follow the session of this directory"),),
    "validate": (("parexec validate plan.toml", "all errors of a plan, and what is likely to go wrong"),),
    "schema": (("parexec schema > plan.schema.json", "for editors"),),
    "doctor": (("parexec doctor", "what of this machine may be in the way"),),
    "ls": (("parexec ls", "the sessions, newest first"),),
    "show": (("parexec show --json | jq '.tickets[] | select(.status == \"failed\")'", "what failed, for scripts"),),
    "log": (("parexec log T3 -f", "the output of T3 as it comes"),),
    "events": (("parexec events -f --json", "what happens, as JSON lines, until the engine leaves"),),
    "status": (
        ("parexec status", "the session of this directory on one page"),
        ("parexec status --json | jq .counts", "how many tickets are where, for scripts"),
    ),
    "why": (
        ("parexec why T3", "all that T3 waits for"),
        ("parexec why group:3", "the same for each ticket of the third group"),
    ),
    "hold": (
        ("parexec hold T3 'DOC-*'", "do not start these tickets"),
        ("parexec hold type:builder", "start nothing on agents of this type"),
        ("parexec hold -r 'the disk is full'", "start nothing at all"),
    ),
    "release": (("parexec release", "let the session go on"), ("parexec release builder-2", "use this agent again")),
    "freeze": (("parexec freeze T3", "stop the processes of T3 with SIGSTOP"),),
    "thaw": (("parexec thaw T3", "let T3 go on"),),
    "drain": (
        ("parexec drain builder-2", "let this agent finish what it runs, then stop it"),
        ("parexec drain --yes", "let what runs finish, then end the session"),
    ),
    "retry": (
        ("parexec retry status:failed", "run all that failed again, after a look at what that means"),
        ("parexec retry T3 --run 'make test' --note 'flaky'", "with another command"),
        ("parexec retry T3 --downstream --dry-run", "what would run again with all that depends on it"),
    ),
    "reassign": (
        ("parexec reassign T3 builder-2", "stop T3 on purpose, and start it on this agent"),
        ("parexec reassign T3 any", "let whoever can run it"),
    ),
    "cancel": (("parexec cancel T3 T4", "give both up; what needs them is skipped"),),
    "skip": (("parexec skip T3", "do without T3: what needs it may run"),),
    "priority": (("parexec priority 'MOD-*' high", "let these start first"),),
    "stop": (
        ("parexec stop --yes", "end what runs; `parexec resume` goes on"),
        ("parexec stop --now --yes", "with SIGKILL"),
    ),
    "scale": (
        ("parexec scale builder +2", "two more agents of this type"),
        ("parexec scale builder -1", "one fewer"),
        ("parexec scale --parallel 8", "at most eight tickets at once"),
    ),
    "edit": (
        ('parexec edit T3 timeout=30m \'needs=["T1", "T2"]\'', "change a ticket that is not running"),
        ("parexec edit T3 timeout=", "back to the default"),
    ),
    "add": (("parexec add more.toml", "add the tickets of a file"),),
    "reload": (
        ("parexec reload --dry-run", "what the edited plan file would change"),
        ("parexec reload plan.toml --yes", "apply it without asking"),
    ),
    "undo": (("parexec undo", "take back what was done last"),),
    "help": (("parexec help retry", "all about a command, with examples"),),
    "man": (("parexec man | man -l -", "read the manual"),),
    "completion": (
        ("parexec completion bash > ~/.local/share/bash-completion/completions/parexec", "for bash"),
        ("parexec completion zsh > ~/.zfunc/_parexec", "for zsh, with ~/.zfunc in fpath"),
        ("parexec completion fish > ~/.config/fish/completions/parexec.fish", "for fish"),
    ),
}


def with_examples(group: click.Group) -> None:
    """Let the help of each command end with its examples."""
    for name, command in group.commands.items():
        if examples := EXAMPLES.get(name):
            width = max(len(line) for line, _ in examples)
            lines = (f"  {line:<{width}}  # {meaning}" for line, meaning in examples)
            command.epilog = "\b\nExamples:\n" + "\n".join(lines)


# -- commands --------------------------------------------------------------------------------------------------


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


# -- the man page ----------------------------------------------------------------------------------------------


def man_page(group: click.Group, context: click.Context) -> Iterator[str]:
    """The lines of a man page, in roff."""
    yield f'.TH PAREXEC 1 "" "parexec {__version__}" "User Commands"'
    yield ".SH NAME"
    yield r"parexec \- execute a plan of dependent tickets with a pool of agents in parallel"
    yield ".SH SYNOPSIS"
    yield ".B parexec"
    yield r".I command"
    yield r"[\fIoption\fR...] [\fIargument\fR...]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help or "")
    yield ".PP"
    yield _roff(
        "A command may be shortened as long as it is unambiguous. Some have a short form: "
        + ", ".join(f"{short} for {name}" for short, name in SHORT.items() if name in group.commands)
        + "."
    )
    yield ".SH COMMANDS"
    for name in group.list_commands(context):
        command = group.commands[name]
        with click.Context(command, info_name=name, parent=context) as own:
            yield from _command(command, own)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXITS:
        yield ".TP"
        yield rf"\fB{code}\fR"
        yield _roff(meaning)
    yield ".SH ENVIRONMENT"
    for name, meaning in _ENVIRONMENT:
        yield ".TP"
        yield rf"\fB{name}\fR"
        yield _roff(meaning)
    yield ".SH FILES"
    yield ".TP"
    yield r"\fI~/.local/state/parexec/registry.db\fR"
    yield "Every session and event."
    yield ".TP"
    yield r"\fI~/.local/state/parexec/sessions/ID/\fR"
    yield "The logs of a session."


_EXITS = (
    ("0", "Done; of run, resume and attach: every ticket succeeded."),
    ("1", "Refused, or there is no engine; of run, resume and attach: some tickets did not succeed."),
    ("2", "Bad plan or usage; nothing was started or changed."),
    ("3", "Stopped or drained by a person; parexec resume goes on."),
)
_ENVIRONMENT = (
    ("XDG_STATE_HOME", "Where sessions are remembered, in a folder parexec; default: ~/.local/state."),
    ("XDG_CONFIG_HOME", "Where settings are, in parexec/settings.toml; default: ~/.config."),
    ("NO_COLOR", "Write no colours."),
)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield f'.SS "{_roff(" ".join(["parexec", context.info_name or "", "[options]", *pieces]))}"'
    yield from _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            yield ".TP"
            yield rf"\fB{_roff(record[0])}\fR"
            yield _roff(record[1])
    for line, meaning in EXAMPLES.get(context.info_name or "", ()):
        yield ".PP"
        yield _roff(f"{meaning[0].upper()}{meaning[1:]}:")
        yield ".PP"
        yield ".nf"
        yield rf"    {_roff(line)}"
        yield ".fi"


def _paragraphs(text: str) -> Iterator[str]:
    """Help as paragraphs; what follows a \\b keeps its lines."""
    import inspect

    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        yield ".PP"
        first, _, rest = paragraph.lstrip("\n").partition("\n")
        if first.strip() == "\b":
            yield ".nf"
            yield from map(_roff, rest.splitlines())
            yield ".fi"
        else:
            yield _roff(" ".join(paragraph.split()))


def _roff(text: str) -> str:
    """Text in which nothing is a command to roff."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    escaped = escaped.replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped.startswith((".", " ")) else escaped


COMMANDS: tuple[click.Command, ...] = (help_, man, completion)
