"""The plan itself changes: tickets are added, changed and dropped."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.gates import PLAN_GATES, is_gate_ticket
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.group_gates import GatesOf, with_gates
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.wanted import is_asked_anew
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply.agent_types import change_types, check_types
from parexec_tui.core.state.apply.host_specs import change_hosts, check_hosts
from parexec_tui.core.state.family_limits import limit_families
from parexec_tui.core.state.grown_gates import HAVE_RUN, gates_in_the_way, status_with
from parexec_tui.core.state.indexes import (
    allow_failure,
    check_again,
    decide_again,
    find_types,
    lost_need,
    note_approval,
    note_undecided,
    stop_asking,
)
from parexec_tui.core.state.reruns import find_reruns
from parexec_tui.core.state.reservation import drop_reservation
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import mark_stalled_again
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.transitions import IllegalEventError, following


def amend_plan(state: SessionState, event: ev.PlanAmended) -> None:
    """Add, change and drop tickets and agent types. O(plan), unless types, needs and estimates stay as they are."""
    _check_amendment(state, event)
    gates = state.gates.changed(event.gates, event.numbers) if event.gates or event.numbers else state.gates
    specs = {id_: spec for id_, spec in state.plan.tickets.items() if id_ not in event.dropped}
    specs |= {**event.changed, **event.added}
    drop_reservation(state)
    state.has_secrets = state.has_secrets or any(
        spec.secrets for spec in (*event.changed.values(), *event.added.values())
    )
    if event.families:
        limit_families(state, event.families)
    if event.hosts:
        change_hosts(state, event.hosts)
    if event.agents:
        change_types(state, event.agents)
    before = len(state.tickets)
    shape = None if _keeps_shape(state, event) else _shape(state, event, specs, gates)
    for ticket in list(state.asking.values()):
        if shape is not None or ticket.id in event.changed:
            stop_asking(state, ticket)  # it is asked again, if it still is to be
    was_ready = {ticket.id for ticket in state.tickets.values() if ticket.missing == 0}
    state.amended += 1
    _replace_tickets(state, event)
    if event.agents:
        for ticket in state.tickets.values():
            if not ticket.is_gates:
                find_types(state, ticket)
    state.plan.tickets.clear()
    state.plan.tickets.update(specs)
    if event.gates:
        settings = structs.replace(state.plan.settings, gates=gates.of_plan)
        state.plan = structs.replace(state.plan, groups=dict(gates.groups), settings=settings)
    if event.numbers:
        selection = structs.replace(state.plan.selection, numbers=dict(gates.numbers))
        state.plan = structs.replace(state.plan, selection=selection)
    if event.variables is not None:
        given = structs.replace(state.plan.given, profile=event.profile, sets=event.sets)
        state.plan = structs.replace(state.plan, variables=event.variables, given=given)
    if shape is not None:
        state.graph = shape.dependencies
    _change_statuses(state, event)
    if state.not_wanted:
        state.find_unwanted()
    if shape is not None and (state.has_gates or event.gates):
        _replace_gates(state, shape.tickets, event.at)
    if of := state.plan.selection.of:
        selection = structs.replace(state.plan.selection, of=of + len(state.tickets) - before)
        state.plan = structs.replace(state.plan, selection=selection)
    for ticket in map(state.tickets.__getitem__, event.skipped):
        ticket.because = lost_need(state, ticket)
    if shape is None:
        for id_ in event.changed:
            note_undecided(state, state.tickets[id_])
            note_approval(state, state.tickets[id_])
            check_again(state, state.tickets[id_])
            state.claims_memory = state.claims_memory or "memory" in state.tickets[id_].claims.uses
        return
    state.derive(shape.dependencies, shape.groups)
    find_reruns(state)
    mark_stalled_again(state)
    state.serialised = sum(ticket.serialised for ticket in state.tickets.values())
    for ticket in state.tickets.values():
        if ticket.missing == 0 and ticket.id not in was_ready:
            ticket.ready_at, ticket.conflict_at = event.at, None
    if state.unfinished:
        state.finished_at = None
    if state.dirty is not None:
        state.dirty.everything = True
        state.dirty.undecided.extend(state.to_be_decided())


def _keeps_shape(state: SessionState, event: ev.PlanAmended) -> bool:
    """Whether graph, groups and paths stay as they are."""
    statuses_stay = not (event.skipped or event.restored)
    return (
        statuses_stay
        and not (event.added or event.dropped or event.gates or event.numbers or event.agents or event.hosts)
        and all(_shaping(spec) == _shaping(state.tickets[id_].spec) for id_, spec in event.changed.items())
    )


def _shaping(spec: Ticket) -> tuple[object, ...]:
    """What of a ticket graph, groups and paths follow from, and who uses a service."""
    return spec.needs, spec.after, spec.finally_, spec.estimate, spec.group, spec.allow_failure, spec.uses_service


def _replace_gates(state: SessionState, whole: Mapping[str, Ticket], at: float) -> None:
    """Let gates wait for the tickets that their groups have now. Those that have run wait again for new ones."""
    tickets = state.tickets
    for id_ in [id_ for id_ in tickets if is_gate_ticket(id_) and id_ not in whole]:
        if attempts := tickets.pop(id_).attempts:
            state.past_attempts[id_] = attempts
        state.held_tickets.pop(id_, None)
        state.raised.pop(id_, None)
        state.steps.pop(id_, None)
    for id_, spec in whole.items():
        if not is_gate_ticket(id_):
            continue
        if id_ not in tickets:
            tickets[id_] = state.new_ticket(id_, spec)
            tickets[id_].attempts = state.past_attempts.pop(id_, 0)
        gate = tickets[id_]
        status = status_with(gate, spec)
        if status is Status.waiting and gate.status in HAVE_RUN:
            gate.save()
            gate.grown_from = gate.spec
            state.rerunning[id_] = None
        elif status in HAVE_RUN and gate.status not in HAVE_RUN:
            gate.put_back()
        gate.spec, gate.status = spec, status
    ordered = {id_: tickets[id_] for id_ in whole}
    tickets.clear()
    tickets.update(ordered)
    gates = (ticket for ticket in tickets.values() if ticket.is_gates)
    for gate in sorted(gates, key=lambda gate: gate.id == PLAN_GATES):
        if gate.status in PENDING and (because := lost_need(state, gate)):
            gate.status, gate.because, gate.ended, gate.retry_at = Status.skipped, because, at, None
        elif gate.status is Status.skipped and not lost_need(state, gate):
            gate.status, gate.because, gate.ended = Status.waiting, "", None
            decide_again(gate)


def _replace_tickets(state: SessionState, event: ev.PlanAmended) -> None:
    state.beside.difference_update(event.dropped)
    if event.beside:
        state.beside.update(event.added)
    for id_ in event.dropped:
        state.generated.pop(id_, None)
        if attempts := state.tickets.pop(id_).attempts:
            state.past_attempts[id_] = attempts
        state.held_tickets.pop(id_, None)
        state.steps.pop(id_, None)
    for id_, spec in event.added.items():
        ticket = state.tickets[id_] = state.new_ticket(id_, spec)
        ticket.attempts = state.past_attempts.pop(id_, 0)
        ticket.is_asked = ticket.is_asked or ticket.attempts > 0
    for id_, spec in event.changed.items():
        ticket = state.tickets[id_]
        if spec.has_condition is not ticket.spec.has_condition:
            ticket.is_asked = ticket.attempts > 0 or not spec.has_condition
        if is_asked_anew(ticket.spec, spec) and not ticket.says_no:
            ticket.is_decided, ticket.decided_by = not spec.when, ""
        state.raised.pop(id_, None)
        ticket.spec, ticket.claims = spec, Claims.of(spec, state.plan)
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
            Claims.of(spec, state.plan)
    except ValueError as error:
        raise IllegalEventError(f"{event!r}: {error}") from None
    check_hosts(state, event)
    check_types(state, event)
    following(state, tuple(id_ for id_ in event.skipped if id_ not in event.added), *PENDING)
    following(state, event.restored, Status.skipped)


def _change_statuses(state: SessionState, event: ev.PlanAmended) -> None:
    """Set the statuses that an amendment changes. The indexes are derived after that."""
    for id_ in event.skipped:
        ticket = state.tickets[id_]
        ticket.status, ticket.ended, ticket.retry_at = Status.skipped, event.at, None
    for id_ in event.restored:
        ticket = state.tickets[id_]
        ticket.status, ticket.because, ticket.ended = Status.waiting, "", None
        decide_again(ticket)


class _Shape(NamedTuple):
    """What a plan looks like."""

    tickets: dict[str, Ticket]
    """With those that stand for gates."""
    dependencies: Graph
    groups: list[list[str]]


def _shape(state: SessionState, event: ev.PlanAmended, specs: dict[str, Ticket], gates: GatesOf) -> _Shape:
    """The shape of the plan that an event leads to. Raises if there can be no such plan."""
    if any(need not in specs for spec in specs.values() for need in spec.waits):
        raise IllegalEventError(f"{event!r}: something is needed that is not there")
    try:
        tickets = with_gates(specs, *gates)
        dependencies = graph.build(tickets, gates.numbers)
        groups = graph.groups(dependencies)
    except graph.CycleError:
        raise IllegalEventError(f"{event!r}: there is a cycle of needs") from None
    if running := gates_in_the_way(state, tickets):
        raise IllegalEventError(f"{event!r}: {running[0].id} is {running[0].status}")
    return _Shape(tickets, dependencies, groups)
