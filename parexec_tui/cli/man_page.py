"""The man page, made from the commands, with their examples.

It is written here, not by click-man: that writes a page per command, and has no examples, exit codes or environment.
"""

import inspect
import re
from collections.abc import Iterator

import click

from parexec_tui import __version__
from parexec_tui.cli.commands import SHORT_NAMES
from parexec_tui.cli.examples import EXAMPLES
from parexec_tui.cli.topics import topics


def man_page(group: click.Group, context: click.Context) -> Iterator[str]:
    """The lines of a man page, in roff."""
    names = group.list_commands(context)
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
        + ", ".join(f"{short} for {name}" for short, name in SHORT_NAMES.items() if name in names)
        + "."
    )
    yield ".PP"
    yield _roff("parexec help TOPIC prints a page of the reference: " + ", ".join(topics()) + ".")
    yield ".SH COMMANDS"
    for name in names:
        command = group.get_command(context, name)
        assert command is not None
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
    ("4", "Of a verb: done for a part of what was named; standard error says what was left out, and why."),
    ("124", "Of wait: the time was up."),
    ("130", "Of wait: ctrl-c."),
    ("141", "The reader of the output left, as head does."),
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
    """Help as paragraphs; a paragraph that begins with \\b keeps its lines."""
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
    """The text, with everything escaped that roff would read as a command."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    escaped = escaped.replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped.startswith((".", " ")) else escaped
