"""The plan itself changes: tickets are added, changed and dropped."""

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.model import Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.indexes import (
    allow_failure,
    check_again,
    find_types,
    lost_need,
    note_approval,
    stop_asking,
)
from parexec_tui.core.state.reservation import drop_reservation
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import mark_stalled_again
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError, following


def amend_plan(state: SessionState, event: ev.PlanAmended) -> None:
    """Add, change and drop tickets. O(plan), unless the needs and estimates stay as they are."""
    _check_amendment(state, event)
    specs = {id_: spec for id_, spec in state.plan.tickets.items() if id_ not in event.dropped}
    specs |= {**event.changed, **event.added}
    drop_reservation(state)
    shape = None if _keeps_shape(state, event) else _shape(event, specs)
    for ticket in list(state.asking.values()):
        if shape is not None or ticket.id in event.changed:
            stop_asking(state, ticket)  # it is asked again, if it still is to be
    was_ready = {ticket.id for ticket in state.tickets.values() if ticket.missing == 0}
    _replace_tickets(state, event)
    state.plan.tickets.clear()
    state.plan.tickets.update(specs)
    if shape is not None:
        state.graph = shape[0]
    _change_statuses(state, event)
    if shape is None:
        for id_ in event.changed:
            note_approval(state, state.tickets[id_])
            check_again(state, state.tickets[id_])
        return
    state.derive(*shape)
    mark_stalled_again(state)
    state.serialised = sum(ticket.serialised for ticket in state.tickets.values())
    for ticket in state.tickets.values():
        if ticket.missing == 0 and ticket.id not in was_ready:
            ticket.ready_at, ticket.conflict_at = event.at, None
    if state.unfinished:
        state.finished_at = None
    if state.dirty is not None:
        state.dirty.everything = True


def _keeps_shape(state: SessionState, event: ev.PlanAmended) -> bool:
    """Whether graph, groups and paths stay as they are."""
    return not (event.added or event.dropped) and all(
        (spec.needs, spec.after, spec.finally_, spec.estimate) == (old.needs, old.after, old.finally_, old.estimate)
        for id_, spec in event.changed.items()
        for old in (state.tickets[id_].spec,)
    )


def _replace_tickets(state: SessionState, event: ev.PlanAmended) -> None:
    for id_ in event.dropped:
        if attempts := state.tickets.pop(id_).attempts:
            state.past_attempts[id_] = attempts
        state.held_tickets.pop(id_, None)
    for id_, spec in event.added.items():
        claims = Claims.of(spec, state.plan.workdir)
        ticket = state.tickets[id_] = TicketState(id_, spec, 0, claims, state.types_of(spec))
        ticket.attempts = state.past_attempts.pop(id_, 0)
        ticket.is_asked = ticket.is_asked or ticket.attempts > 0
    for id_, spec in event.changed.items():
        ticket = state.tickets[id_]
        if spec.has_condition is not ticket.spec.has_condition:
            ticket.is_asked = ticket.attempts > 0 or not spec.has_condition
        ticket.spec, ticket.claims = spec, Claims.of(spec, state.plan.workdir)
        find_types(state, ticket)
        allow_failure(state, ticket)


def _check_amendment(state: SessionState, event: ev.PlanAmended) -> None:
    for id_ in event.added:
        if id_ in state.tickets:
            raise IllegalEventError(f"{event!r}: there is a ticket {id_} already")
    for id_ in (*event.changed, *event.dropped):
        if id_ not in state.tickets or state.tickets[id_].is_live:
            raise IllegalEventError(f"{event!r}: there is no ticket {id_}, or it runs")
    try:
        for spec in (*event.added.values(), *event.changed.values()):
            Claims.of(spec, state.plan.workdir)
    except ValueError as error:
        raise IllegalEventError(f"{event!r}: {error}") from None
    following(state, tuple(id_ for id_ in event.skipped if id_ not in event.added), *PENDING)
    following(state, event.restored, Status.skipped)


def _change_statuses(state: SessionState, event: ev.PlanAmended) -> None:
    """Set the statuses that an amendment changes. The indexes are derived after that."""
    for id_ in event.skipped:
        ticket = state.tickets[id_]
        ticket.because = lost_need(state, ticket)
        ticket.status, ticket.ended, ticket.retry_at = Status.skipped, event.at, None
    for id_ in event.restored:
        ticket = state.tickets[id_]
        ticket.status, ticket.because, ticket.ended = Status.waiting, "", None


def _shape(event: ev.PlanAmended, specs: dict[str, Ticket]) -> tuple[Graph, list[list[str]]]:
    """The graph and the groups of the plan that an event leads to. Raises if there can be no such plan."""
    if any(need not in specs for spec in specs.values() for need in spec.waits):
        raise IllegalEventError(f"{event!r}: something is needed that is not there")
    dependencies = graph.build(specs)
    try:
        return dependencies, graph.groups(dependencies)
    except graph.CycleError:
        raise IllegalEventError(f"{event!r}: there is a cycle of needs") from None
