"""Which tickets are ready: they wait for nothing but a free agent or their turn. And how many are."""

from typing import Final, NamedTuple, cast

from parexec_tui.core.plan.claims import EMPTY
from parexec_tui.core.schedule.blockers import agents_left, blockers
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Flag, Status, Word
from parexec_tui.core.state.tickets import TicketState

_MAX_TICKETS: Final = 2_000
"""Tickets whose needs are met, beyond which it is not counted which of them are ready: that is done ten times a
second while much happens."""

_MAX_ASKED: Final = 500
"""Of these, those whose claims have to be compared with what is held: others are like one of them."""


def display_status(state: SessionState, ticket: TicketState) -> Word:
    """The word for a ticket's status: how it ended, if it failed; `held` or `ready`, if it waits and is so."""
    if ticket.status is Status.failed:
        return ticket.end or ticket.status
    if ticket.status is Status.waiting:
        if _is_held(state, ticket):
            return Flag.held
        if is_ready(state, ticket):
            return Flag.ready
    return ticket.shown_status


def is_ready(state: SessionState, ticket: TicketState) -> bool:
    """Whether a ticket waits for nothing but a free agent or its turn."""
    if ticket.status is not Status.waiting or ticket.missing or state.gone is not None:
        return False
    # The agent is always the last reason, so there is no other.
    first = next(blockers(state, ticket), None)
    return (first is None or first.kind == "agent") and agents_left(state, ticket)


def _is_held(state: SessionState, ticket: TicketState) -> bool:
    """Whether a person keeps back a ticket that waits: the ticket, or all agent types that could run it now."""
    return ticket.held is not None or (
        bool(state.held_types) and not ticket.missing and state.held_types.keys() >= set(ticket.types)
    )


class WaitingCounts(NamedTuple):
    """The tickets that wait, by the words that are shown for them."""

    waiting: int
    ready: int | None
    """None: there are so many that they were not told from the waiting ones."""
    held: int


def waiting_counts(state: SessionState) -> WaitingCounts:
    """How many tickets wait, are ready and are held. It is counted once between two events, at a bounded cost."""
    found = state.findings.get(WaitingCounts)
    if found is None:
        found = state.findings[WaitingCounts] = _count(state)
    return cast(WaitingCounts, found)


def _count(state: SessionState) -> WaitingCounts:
    total = state.counts[Status.waiting]
    held = sum(ticket.status is Status.waiting and ticket.held is not None for ticket in state.held_tickets.values())
    if len(state.ready) > _MAX_TICKETS:
        return WaitingCounts(total - held, None, held)
    can_share = state.reservation is None and not state.plan.settings.barrier
    known: dict[object, bool] = {}
    ready: int | None = 0
    asked = 0
    for ticket in state.ready.values():
        if ticket.held is not None:
            continue
        if _is_held(state, ticket):
            held += 1
            continue
        if ready is None:
            continue
        claims = None if ticket.claims is EMPTY else ticket.claims
        alike = (ticket.types, ticket.excluded_agents, ticket.pin, claims) if can_share else ticket.id
        if (found := known.get(alike)) is None:
            asked += 1
            found = known[alike] = is_ready(state, ticket)
        ready = None if asked > _MAX_ASKED else ready + found
    return WaitingCounts(total - held - (ready or 0), ready, held)
