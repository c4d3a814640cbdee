"""Which tickets are ready: they wait for nothing but a free agent or their turn. And how many are."""

from collections import Counter
from typing import Final, NamedTuple

from parexec_tui.core.plan.claims import EMPTY
from parexec_tui.core.schedule.blockers import agents_left, blockers_but_agents, session_blocker
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Flag, Status, Word
from parexec_tui.core.state.tickets import TicketState

_MAX_TICKETS: Final = 2_000
"""Tickets whose needs are met, beyond which it is not counted which of them are ready: that is done ten times a
second while much happens."""

_MAX_ASKED: Final = 100
"""Of these, those whose claims have to be compared with what is held: others are like one of them."""


def display_status(state: SessionState, ticket: TicketState) -> Word:
    """The word for a ticket's status: how it ended, or that it may, if it failed; `held` or `ready`, if it waits."""
    if ticket.is_allowed:
        return Flag.allowed
    if ticket.status is Status.failed:
        return ticket.end or ticket.status
    if ticket.status is Status.waiting:
        if is_held(state, ticket):
            return Flag.held
        if is_ready(state, ticket):
            return Flag.ready
    return ticket.shown_status


def is_ready(state: SessionState, ticket: TicketState) -> bool:
    """Whether a ticket waits for nothing but a free agent or its turn."""
    if ticket.status is not Status.waiting or ticket.missing or state.gone is not None or is_held(state, ticket):
        return False
    return next(blockers_but_agents(state, ticket), None) is None and agents_left(state, ticket)


def is_held(state: SessionState, ticket: TicketState) -> bool:
    """Whether a person keeps back a ticket that waits: the ticket, or all agent types that could run it now."""
    if ticket.status is not Status.waiting:
        return False
    return ticket.held is not None or (not ticket.missing and _are_held(state, ticket.types))


def _are_held(state: SessionState, types: tuple[str, ...]) -> bool:
    held = state.held_types
    return bool(held and types) and all(type_ in held for type_ in types)


class WaitingCounts(NamedTuple):
    """The tickets that wait, by the words that are shown for them."""

    waiting: int
    ready: int | None
    """None: there are so many that they were not told from the waiting ones."""
    held: int


def waiting_counts(state: SessionState) -> WaitingCounts:
    """How many tickets wait, are ready and are held. It is counted once between two events, at a bounded cost, but
    for one look at each ready ticket while an agent type is held."""
    return remembered(state.findings, _count_waiting, state)


def _count_waiting(state: SessionState) -> WaitingCounts:
    held = _count_held(state)
    ready = _count_ready(state)
    return WaitingCounts(state.counts[Status.waiting] - held - (ready or 0), ready, held)


def _count_held(state: SessionState) -> int:
    own = sum(ticket.status is Status.waiting and ticket.held is not None for ticket in state.held_tickets.values())
    if not state.held_types:
        return own
    by_types = Counter(ticket.types for ticket in state.ready.values() if ticket.held is None)
    return own + sum(count for types, count in by_types.items() if _are_held(state, types))


def _count_ready(state: SessionState) -> int | None:
    """How many tickets are ready and not held; None if it is too dear to tell."""
    if state.gone is not None or session_blocker(state, is_last=state.ends_with_last) is not None:
        return 0
    if len(state.ready) > _MAX_TICKETS:
        return None
    can_share = state.reservation is None and not (state.plan.settings.barrier or state.stale_needs)
    has_agents: dict[object, bool] = {}
    is_free: dict[object, bool] = {}
    """claims, or the id of a ticket: whether nothing but an agent is in the way"""
    ready = 0
    for ticket in state.ready.values():
        if ticket.held is not None or ticket.awaits_approval or not (ticket.is_asked and ticket.is_decided):
            continue
        able = ticket.types, ticket.excluded_agents, ticket.pin
        if able not in has_agents:
            has_agents[able] = not _are_held(state, ticket.types) and agents_left(state, ticket)
        if not has_agents[able]:
            continue
        claims = None if ticket.claims is EMPTY else ticket.claims
        alike = (claims, ticket.spec.uses_service, ticket.spec.finally_) if can_share else ticket.id
        if alike not in is_free:
            if len(is_free) == _MAX_ASKED:
                return None
            is_free[alike] = next(blockers_but_agents(state, ticket), None) is None
        ready += is_free[alike]
    return ready
