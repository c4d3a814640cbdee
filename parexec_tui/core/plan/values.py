"""Values: what the command of a ticket found out, for the tickets that need it.

A command writes lines to the file `$PAREXEC_VALUES`; another ticket has `{split.count}` in its `run`, `prompt`, `cwd`
or `env`, and gets the value when it starts.
"""

import re
import shlex
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from msgspec import structs

from parexec_tui.core.plan.braces import braced, fill_braces
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown

VARIABLE = "PAREXEC_VALUES"
"""The environment variable that tells a command where its values go."""

MAX_VALUES = 64 * 1024
"""Bytes that the file of an attempt may have."""

_SECRET_TOLD = b"\0secret"
"""What stands in place of values of which one had a secret in it, see `outputs.masker`."""

_REFERENCE = re.compile(r"(.+)\.([A-Za-z_][A-Za-z0-9_-]*)(!q)?").fullmatch

_is_key = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*").fullmatch

Values = dict[str, str]


class Wanted(NamedTuple):
    """A value that a text refers to."""

    ticket: str
    """As it is written: a ticket has it only if one is called so."""
    key: str


def read_values(data: bytes) -> Values:
    """The values in a file: lines `key=value`, or `key<<END`, then the lines of the value, then a line `END`.

    Of a key that is there twice, the later one counts. Blank lines are skipped. Raises ValueError, saying what is
    wrong and in which line.
    """
    if data == _SECRET_TOLD:
        raise ValueError("there is a secret in them, and values are kept: give `secrets` to the ticket that needs it")
    if len(data) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES // 1024} KiB")
    try:
        lines = iter(enumerate(data.decode().split("\n"), 1))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None
    values: Values = {}
    for number, line in lines:
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        name, block, end = line.partition("<<")
        if block and len(name) < len(key):
            key, value = name, "\n".join(_block(lines, end.strip(), number))
        elif not equals:
            raise ValueError(f"line {number}: {shown(line[:60])} is no key=value")
        if not _is_key(key := key.strip()):
            raise ValueError(f"line {number}: {shown(key[:60])} is no key: write letters, digits, `_` and `-`")
        if "\0" in value:
            raise ValueError(f"line {number}: a value has no NUL")
        values[key] = value
    return values


def _block(lines: Iterator[tuple[int, str]], end: str, number: int) -> Iterator[str]:
    if not end:
        raise ValueError(f"line {number}: after << comes the line that ends the value: key<<END")
    for _, line in lines:
        if line == end:
            return
        yield line
    raise ValueError(f"line {number}: the line {shown(end[:60])} that ends the value is missing")


def wanted_by(text: str) -> Iterator[Wanted]:
    """The values that a text may refer to."""
    return (
        Wanted(found[1], found[2]) for name, is_filled in braced(text) if is_filled and (found := _REFERENCE(name))
    )


def ticket_of(name: str) -> str:
    """The ticket whose value a name in braces is, as it is written; empty: it is no value."""
    return found[1] if (found := _REFERENCE(name)) else ""


def texts_with_values(ticket: Ticket) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of a ticket in which values are filled in, with their keys."""
    yield ("run",), ticket.run
    yield ("prompt",), ticket.prompt
    yield ("cwd",), ticket.cwd or ""
    for name, value in ticket.env.items():
        yield ("env", name), value


def refers_to_values(ticket: Ticket) -> bool:
    """Whether a value may have to be filled in."""
    return any(
        "{" in text and any(ticket_of(name) for name, _ in braced(text)) for _, text in texts_with_values(ticket)
    )


def tells_values(plan: Plan) -> bool:
    """Whether anything in a plan names values, so that its commands may tell some."""
    commands = (word for agent in plan.agents.values() for word in agent.command or ())
    return any(VARIABLE in word for word in commands) or any(map(names_values, plan.tickets.values()))


def names_values(ticket: Ticket) -> bool:
    """Whether a ticket names values: those that it tells, or those of another."""
    return VARIABLE in ticket.run or VARIABLE in ticket.prompt or bool(ticket.when) or refers_to_values(ticket)


class NoValueError(ValueError):
    """A value is not there that a ticket refers to; the text says which, and why."""


def with_values(
    ticket: Ticket, values: Mapping[str, Values], tickets: Container[str], *, strict: bool = True
) -> Ticket:
    """A ticket with the values of the tickets that it waits for filled in: `{id.key}`, or `{id.key!q}`, quoted as a
    word of a shell. What refers to no such ticket stays as it is, and `{{id.key}}` becomes `{id.key}`, of any
    of the `tickets` of the plan. Raises NoValueError if a value is not there; if not `strict`, what refers to it
    stays."""
    waits = ticket.waits

    def value(name: str) -> str:
        found = _REFERENCE(name)
        assert found is not None
        if found[1] not in waits:
            return f"{{{name}}}"
        if (text := values.get(found[1], {}).get(found[2])) is None:
            if not strict:
                return f"{{{name}}}"
            told = ", ".join(values.get(found[1], {})) or "nothing"
            raise NoValueError(f"{found[1]} has told no value {found[2]}: it told {told}")
        return shlex.quote(text) if found[3] else text

    def filled(text: str) -> str:
        return fill_braces(text, lambda name: ticket_of(name) in tickets, value)

    return structs.replace(
        ticket,
        run=filled(ticket.run),
        prompt=filled(ticket.prompt),
        cwd=None if ticket.cwd is None else filled(ticket.cwd),
        env={name: filled(text) for name, text in ticket.env.items()},
    )
