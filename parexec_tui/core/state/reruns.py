"""What was built on a ticket that runs again: while that is not over, what has succeeded downstream of it is *stale*,
and nothing starts that needs something stale.

Nothing is kept while no ticket runs again. Then each change costs what it changes: a ticket becomes stale, or is not
any more, at most once for each ticket that runs again.
"""

from typing import NamedTuple

from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState


def note_rerun(state: SessionState, ticket: TicketState, from_: Status) -> list[TicketState]:
    """A ticket is over, or is not any more. Returns those that have yet to succeed and for which that may mean
    something: they need something stale, or nothing more."""
    changed: list[TicketState] = []
    if ticket.status not in TERMINAL:
        state.rerunning[ticket.id] = None
        _count(state, ticket, 1, changed)  # first, so that what was stale by it stays so in between
        if from_ is Status.succeeded and _is_stale(state, ticket.id):
            _spread(state, ticket, -1, changed)
        return changed
    if ticket.status is Status.succeeded and _is_stale(state, ticket.id):
        _spread(state, ticket, 1, changed)
    if ticket.id in state.rerunning:
        del state.rerunning[ticket.id]
        _count(state, ticket, -1, changed)
    return changed


def find_reruns(state: SessionState) -> None:
    """Find anew what is stale, after the plan was amended. O(plan), but nothing while no ticket runs again."""
    tickets = state.tickets
    state.rerunning = {id_: None for id_ in state.rerunning if id_ in tickets and tickets[id_].status not in TERMINAL}
    state.rerunning_needs, state.stale_needs = {}, {}
    changed: list[TicketState] = []
    for id_ in state.rerunning:
        _count(state, tickets[id_], 1, changed)


class Stale(NamedTuple):
    """Why a ticket waits for one that it does not need itself."""

    need: TicketState
    """What it needs, and is stale."""
    again: TicketState
    """The ticket that runs again, on which that was built."""


def stale_by(state: SessionState, ticket: TicketState) -> Stale | None:
    """What a ticket needs that is stale; None if it needs nothing like that."""
    if ticket.id not in state.stale_needs:
        return None
    first = at = _first_stale(state, ticket)
    while at.id not in state.rerunning_needs:
        at = _first_stale(state, at)
    return Stale(first, next(need for need in _needs(state, at) if need.id in state.rerunning))


def _first_stale(state: SessionState, ticket: TicketState) -> TicketState:
    """A need of it that is stale."""
    return next(
        need for need in _needs(state, ticket) if need.status is Status.succeeded and _is_stale(state, need.id)
    )


def _is_stale(state: SessionState, id_: str) -> bool:
    """Whether a ticket is stale if it has succeeded."""
    return id_ in state.rerunning_needs or id_ in state.stale_needs


def _count(state: SessionState, ticket: TicketState, step: int, changed: list[TicketState]) -> None:
    """One more of the needs of its dependents runs again, or (step -1) one less."""
    for dependent in _dependents(state, ticket):
        was_stale = _is_stale(state, dependent.id)
        _add(state.rerunning_needs, dependent.id, step)
        if dependent.status is Status.succeeded and _is_stale(state, dependent.id) is not was_stale:
            _spread(state, dependent, step, changed)


def _spread(state: SessionState, ticket: TicketState, step: int, changed: list[TicketState]) -> None:
    """It has become stale, or (step -1) is not any more."""
    flipped = [ticket]
    while flipped:
        for dependent in _dependents(state, flipped.pop()):
            was_stale = _is_stale(state, dependent.id)
            _add(state.stale_needs, dependent.id, step)
            if dependent.status is Status.succeeded:
                if _is_stale(state, dependent.id) is not was_stale:
                    flipped.append(dependent)
            else:
                changed.append(dependent)


def _needs(state: SessionState, ticket: TicketState) -> list[TicketState]:
    """The tickets whose success it needs."""
    waits = state.graph.needs[ticket.id].items()
    return [state.tickets[id_] for id_, wait in waits if wait is Wait.success]


def _dependents(state: SessionState, ticket: TicketState) -> list[TicketState]:
    """The tickets that need its success."""
    waits = state.graph.dependents[ticket.id].items()
    return [state.tickets[id_] for id_, wait in waits if wait is Wait.success]


def _add(counts: dict[str, int], id_: str, step: int) -> None:
    if count := counts.get(id_, 0) + step:
        counts[id_] = count
    else:
        del counts[id_]
