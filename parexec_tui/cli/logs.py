"""Lines of the outputs of several tickets, for `log --all` and `log --grep`."""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from parexec_tui.cli.exits import BAD_USAGE, fail

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.state.tickets import TicketState
    from parexec_tui.outputs.log_file import LogFile
    from parexec_tui.registry.registry import Registry
    from parexec_tui.text.log_grep import LinePattern


class Wanted(NamedTuple):
    """Which lines of which tickets."""

    words: tuple[str, ...]
    """Ids, patterns and selectors; none: all tickets."""
    statuses: tuple[str, ...]
    regex: str | None
    ignore_case: bool
    attempt: int | None
    """None: the latest of each ticket."""
    by_time: bool
    """In the order in which the attempts started; False: in plan order."""
    are_named: bool
    """Whether the name of its ticket stands before each line."""


def print_lines(registry: "Registry", state: "SessionState", wanted: Wanted) -> bool:
    """Print the lines; returns whether there were any.

    Exits with BAD_USAGE if the words or the pattern mean nothing.
    """
    pattern = _pattern(wanted)
    found = False
    for ticket, attempt in _attempts(registry, state, wanted):
        before = f"{ticket.id}: " if wanted.are_named else ""
        for lines in _lines(state, ticket, attempt, pattern):
            found = True
            sys.stdout.write("".join(f"{before}{line}\n" for line in lines))
        sys.stdout.flush()
    return found


def _pattern(wanted: Wanted) -> "LinePattern | None":
    from parexec_tui.text.log_grep import line_pattern

    if wanted.regex is None:
        return None
    try:
        return line_pattern(wanted.regex, ignore_case=wanted.ignore_case)
    except re.error as error:
        fail(f"--grep: {wanted.regex!r} is not a regular expression: {error}", BAD_USAGE)


def _attempts(registry: "Registry", state: "SessionState", wanted: Wanted) -> "Sequence[tuple[TicketState, int]]":
    """The attempts that have begun, of the tickets that are meant."""
    number = wanted.attempt
    chosen = [
        (state.tickets[id_], number or state.tickets[id_].attempts)
        for id_ in _tickets(state, wanted)
        if state.tickets[id_].attempts >= (number or 1)
    ]
    if wanted.by_time:
        started = {(fact.ticket, fact.attempt): fact.started for fact in registry.attempts(state.session)}
        # An attempt that has just begun is not among the facts yet.
        chosen.sort(key=lambda each: started.get((each[0].id, each[1]), state.now))
    return chosen


def _tickets(state: "SessionState", wanted: Wanted) -> list[str]:
    from parexec_tui.core.wire.selectors import SelectorError, select

    words = (*wanted.words, *(f"status:{status}" for status in wanted.statuses))
    try:
        return select(state, words) if words else list(state.tickets)
    except SelectorError as error:
        fail(str(error), BAD_USAGE)


def _lines(
    state: "SessionState", ticket: "TicketState", attempt: int, pattern: "LinePattern | None"
) -> Iterator[list[str]]:
    from parexec_tui.text.attempt_output import attempt_output
    from parexec_tui.text.log_grep import log_lines

    log = attempt_output(state, ticket, attempt).follow()
    try:
        log.look()
        if log.reader is not None:
            yield from log_lines(log.reader, pattern)
        elif not ticket.is_live:
            click.echo(f"parexec: attempt {attempt} of {ticket.id}: {_trouble(log)}", err=True)
    finally:
        log.close()


def _trouble(log: "LogFile") -> str:
    return log.trouble.replace("there is no log yet", "there is no log")
