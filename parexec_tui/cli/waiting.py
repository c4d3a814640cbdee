"""wait: until a session, or some of its tickets, are over. Scripts read the exit code."""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option, is_plain, seconds, session_option
from parexec_tui.cli.exits import (
    BAD_USAGE,
    INTERRUPTED,
    SUCCEEDED,
    TIMED_OUT,
    UNSUCCESSFUL,
    exit_code,
    fail,
    report_errors,
)

if TYPE_CHECKING:
    from parexec_tui.client.mirror import Mirror
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.state.tickets import TicketState


class _Some(NamedTuple):
    """Tickets to wait for."""

    ids: tuple[str, ...]
    are_taken_back: bool = False
    """Whether all is well if they are rolled back. Else it is if they have succeeded."""


_Tickets = _Some | None
"""What to wait for; None: the whole session."""

_MAX_LINES = 20
"""Tickets without success that are printed; of more, only the number."""

_ANSWER_WITHIN = 0.2
"""Seconds that an engine gets to say that it is there, once the time is up."""

Why = Literal["done", "over", "gone", "late"]
"""done: what was waited for is over. over: the session is, or its engine left in good order. gone: neither an engine
nor a guardian is left. late: the time is up."""


@click.command()
@click.argument("what", metavar="[SESSION | TICKET...]", nargs=-1, shell_complete=complete.sessions_and_tickets)
@session_option
@click.option("--timeout", callback=seconds, metavar="DURATION", help="Wait no longer than this, for instance 30m.")
@as_json_option
def wait(what: tuple[str, ...], session: str | None, timeout: float | None, as_json: bool) -> None:
    """Wait until SESSION (default: the newest of this directory) is over, or all of its tickets that are named.

    It prints what did not succeed. A TICKET is an id, a pattern or a selector; it means the tickets that are so at
    the start. A ticket that will be tried again is not over. If the engine dies, it waits for the next one; if none
    will come, it says so.

    \b
    Exit codes:
      0    all of it succeeded
      1    something did not, or no engine is left
      2    wrong usage, or no such session or ticket
      3    a person stopped or drained the session
      124  the time is up
      130  ctrl-c
    """
    until = None if timeout is None else time.monotonic() + timeout
    with report_errors(), _report_ctrl_c():
        mirror, tickets = _find(what, session)
        _wait(mirror, tickets, until=until, as_json=as_json)


def wait_for_tickets(session: str, tickets: Sequence[str], *, as_json: bool) -> NoReturn:
    """Wait until tickets of a session are over, and exit as `wait` does. Raises RegistryError."""
    with _report_ctrl_c():
        _wait(_read(session), _Some(tuple(tickets)), as_json=as_json)


def wait_for_rollback(session: str, tickets: Sequence[str], *, as_json: bool) -> NoReturn:
    """Wait until a person's rollback is over, and exit as `wait` does: with 0 if all is taken back. Raises
    RegistryError."""
    with _report_ctrl_c():
        _wait(_read(session), _Some(tuple(tickets), are_taken_back=True), as_json=as_json)


@contextmanager
def _report_ctrl_c() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


# -- what is waited for ----------------------------------------------------------------------------------------


def _find(what: Sequence[str], session: str | None) -> "tuple[Mirror, _Tickets]":
    """The session that is meant, read from the registry, and the tickets to wait for; None: the whole session."""
    from parexec_tui.client import sessions
    from parexec_tui.core.wire.selectors import SelectorError, is_name, select
    from parexec_tui.registry.errors import RegistryError

    mirror = _read(sessions.resolve_here(session).session)
    if not what:
        return mirror, None
    if session is None and len(what) == 1 and is_plain(what[0]) and not is_name(mirror.state, what[0]):
        try:
            with sessions.open_registry() as registry:
                return _read(registry.resolve(what[0]).session), None
        except RegistryError as error:
            fail(f"{mirror.session} has no ticket {what[0]}; {error}", BAD_USAGE)
    try:
        return mirror, _Some(tuple(select(mirror.state, what)))
    except SelectorError as error:
        fail(f"{mirror.session}: {error}", BAD_USAGE)


def _read(session: str) -> "Mirror":
    from parexec_tui.client.mirror import Mirror

    mirror = Mirror.open(session)
    for _ in mirror.news():
        pass
    return mirror


def _is_over(state: "SessionState", tickets: "_Tickets") -> bool:
    """Whether all of these tickets are over, and none of them is to be taken back. One that was dropped from the plan
    will not run any more."""
    from parexec_tui.core.state.status import TERMINAL

    if tickets is None:
        return False
    if state.rollback is not None and not set(tickets.ids).isdisjoint(state.rollback.asked.tickets):
        return False
    return all(id_ not in state.tickets or state.tickets[id_].status in TERMINAL for id_ in tickets.ids)


# -- waiting ---------------------------------------------------------------------------------------------------


def _wait(mirror: "Mirror", tickets: "_Tickets", *, until: float | None = None, as_json: bool = False) -> NoReturn:
    """Wait, say what came of it, and exit. `until`: on the monotonic clock. Raises RegistryError."""
    why = _follow(mirror, tickets, until)
    code = _code(mirror, tickets, why)
    if as_json:
        import json

        from parexec_tui.client.silence import listen

        facts = {"session": mirror.session, "why": why, "code": code, **_facts(mirror.state, tickets)}
        if why == "late":
            facts["trouble"] = str(listen(mirror.session, _ANSWER_WITHIN) or "")
        click.echo(json.dumps(facts))
    else:
        for line in _lines(mirror.state, tickets):
            click.echo(line)
    if trouble := _trouble(mirror, tickets, why):
        fail(trouble, code)
    sys.exit(code)


def _follow(mirror: "Mirror", tickets: "_Tickets", until: float | None) -> Why:
    """Follow the session until what is waited for is over, or nothing will come any more. Raises RegistryError."""
    from parexec_tui.client.following import Following

    following = Following(mirror, lambda text: click.echo(f"parexec: {text}", err=True))
    for _ in following:
        if _is_over(mirror.state, tickets):
            return "done"
        following.within = _left(until)
        if following.is_there and not mirror.outcome and following.within <= 0:
            return "late"
    return "over" if mirror.outcome else "gone"


def _left(until: float | None) -> float:
    """Seconds until the time is up."""
    return math.inf if until is None else until - time.monotonic()


# -- what came of it -------------------------------------------------------------------------------------------


def _code(mirror: "Mirror", tickets: "_Tickets", why: Why) -> int:
    if why == "late":
        return TIMED_OUT
    if why == "gone":
        return UNSUCCESSFUL
    if why == "over":
        return exit_code(mirror.state, mirror.outcome)
    return UNSUCCESSFUL if _unsuccessful(mirror.state, tickets) else SUCCEEDED


def _unsuccessful(state: "SessionState", tickets: "_Tickets") -> "list[TicketState | str]":
    """What is over and has not succeeded; the id of a ticket that is not in the plan any more."""
    from parexec_tui.core.state.status import ENDED_BADLY, TERMINAL, Status

    if tickets is None:
        return [ticket for ticket in state.tickets.values() if ticket.status in ENDED_BADLY and not ticket.is_allowed]
    good = Status.rolled_back if tickets.are_taken_back else Status.succeeded
    bad = TERMINAL - {good}
    found = (state.tickets.get(id_, id_) for id_ in tickets.ids)
    return [ticket for ticket in found if isinstance(ticket, str) or ticket.status in bad]


def _lines(state: "SessionState", tickets: "_Tickets") -> "Iterator[str]":
    from parexec_tui.text.words import glyph, is_ascii_only, printable, why_ended

    found = _unsuccessful(state, tickets)
    for ticket in found[:_MAX_LINES]:
        if isinstance(ticket, str):
            yield f"{ticket}  dropped from the plan"
            continue
        word = str(ticket.end or ticket.shown_status)
        reason = why_ended("" if ticket.reason == word else ticket.reason, ticket.signal, ticket.error_line)
        reason = reason or (f"because of {ticket.because}" if ticket.because else "")
        said = f": {printable(reason)}" if reason else ""
        yield f"{glyph(word, ascii_only=is_ascii_only(sys.stdout))} {ticket.id}  {word}{said}"
    if len(found) > _MAX_LINES:
        yield f"and {len(found) - _MAX_LINES} more, see parexec show {state.session}"


def _facts(state: "SessionState", tickets: "_Tickets") -> dict[str, Any]:
    """How what was waited for stands, for scripts."""
    meant = state.tickets if tickets is None else tickets.ids
    statuses = [str(state.tickets[id_].shown_status) if id_ in state.tickets else "dropped" for id_ in meant]
    failed = [ticket if isinstance(ticket, str) else ticket.id for ticket in _unsuccessful(state, tickets)]
    return {"counts": {status: statuses.count(status) for status in dict.fromkeys(statuses)}, "unsuccessful": failed}


def _what_stays(state: "SessionState", waiting: "Sequence[str]") -> str:
    """What tickets wait for in the end, if that stays until somebody acts; and the command that ends it."""
    from parexec_tui.client.sockets import own_signature
    from parexec_tui.core.schedule.root_counts import waiting_for
    from parexec_tui.core.schedule.roots import root_of
    from parexec_tui.text.roots import command_of, waited_for_text

    for id_ in waiting:
        root = root_of(state, state.tickets[id_])
        if root is not None and root.stays:
            command = command_of(root, state.session)
            said = waited_for_text(waiting_for(state, root), time.time(), own_signature())
            return f"; {said}{f': {command}' if command else ''}"
    return ""


def _trouble(mirror: "Mirror", tickets: "_Tickets", why: Why) -> str:
    """Why something is not over, in words; empty if everything is."""
    from parexec_tui.client.sessions import how_to_take_over
    from parexec_tui.core.plan.reading.faults import listed
    from parexec_tui.core.state.status import TERMINAL

    state = mirror.state
    meant = state.tickets if tickets is None else tickets.ids
    waiting = [id_ for id_ in meant if id_ in state.tickets and state.tickets[id_].status not in TERMINAL]
    left = f"not over: {listed(waiting, limit=5)}"
    go_on = f"parexec resume {mirror.session}"
    match why:
        case "late":
            return f"the time is up; {left}{_what_stays(state, waiting)}"
        case "gone":
            because = f" ({state.interrupted.reason})" if state.interrupted is not None else ""
            gone = f"the engine of {mirror.session} is gone{because}, and none will follow"
            return f"{gone}; {left}; {how_to_take_over(mirror.session)}"
        case "over" if mirror.outcome != "finished":
            return f"{mirror.session} has ended, {mirror.outcome}; {left}; go on: {go_on}"
        case _:
            return ""


COMMANDS: tuple[click.Command, ...] = (wait,)
