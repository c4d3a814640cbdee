"""A ticket in a word and in a line: the same in every panel."""

from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.schedule.blockers import Blocker, agents_left, why
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, End, Flag, Status, Word, happened
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import printable, why_ended
from parexec_tui.text.words import short_duration as short_duration


def display_status(state: SessionState, ticket: TicketState) -> Word:
    """The word for a ticket's status: how it ended, if it failed; `held` or `ready`, if it waits and is so."""
    if ticket.status is Status.failed:
        return ticket.end or ticket.status
    if ticket.status is Status.waiting:
        if ticket.held is not None or state.held_types.keys() >= set(ticket.types):
            return Flag.held
        waits_for_room = all(blocker.leaves_ready for blocker in why(state, ticket))
        if ticket.missing == 0 and waits_for_room and agents_left(state, ticket):
            return Flag.ready
    return ticket.shown_status


def reason_of(state: SessionState, ticket: TicketState, now: float) -> str:
    """Why a ticket is not running, in a line: the first reason, and how many more there are. Empty if it runs."""
    if ticket.status in PENDING:
        found = why(state, ticket)
        if not found:
            return "starts now"
        more = f" (+{len(found) - 1})" if len(found) > 1 else ""
        text = printable(blocker_text(found[0], now)) + more
        return f"{text}; {_why_ended(ticket)}" if found[0].kind == "backoff" else text
    if ticket.status is Status.skipped:
        cause = state.cause(ticket)
        return f"{cause.id} {cause.end if cause.status is Status.failed and cause.end else happened(cause.status)}"
    if ticket.status is Status.stopping:
        return f"{ticket.live_attempt.stop_reason}: TERM, then KILL after {format_duration(ticket.spec.grace)}"
    if ticket.end is not None and ticket.end is not End.succeeded:
        return _why_ended(ticket)
    return printable(ticket.reason)


def _why_ended(ticket: TicketState) -> str:
    return printable(why_ended(ticket.reason, ticket.signal, ticket.error_line))


def idle_reason(state: SessionState, agent: AgentState, now: float) -> str:
    """Why an agent runs nothing, or for how long."""
    if agent.quarantined:
        return printable(agent.quarantined)
    if agent.held is not None:
        return f"by {printable(agent.held)}" if agent.held else ""
    idle = f"for {short_duration(max(0.0, now - agent.idle_since))}"
    return f"{idle}; its type is held" if agent.type in state.held_types else idle


def blocker_text(blocker: Blocker, now: float) -> str:
    """A blocker in words, with how long it has been there, or how long it will be."""
    if blocker.until is not None:
        return f"{blocker.text}, in {short_duration(max(0.0, blocker.until - now))}"
    if blocker.since and blocker.kind in ("claim", "resource", "session", "host"):
        return f"{blocker.text}, for {short_duration(max(0.0, now - blocker.since))}"
    return blocker.text


def short_size(size: float) -> str:
    """Bytes in at most five cells, for columns: `870B`, `512M`, `1.5G`. Units are binary, as in `ls -h`."""
    return format_size(size).replace("iB", "")


def short_count(amount: float) -> str:
    """An amount that may be a fraction, in at most four cells up to 9999: `0.25`, `12.5`, `128`."""
    return f"{amount:.2f}" if amount < 9.995 else f"{amount:.1f}" if amount < 99.95 else f"{amount:.0f}"
