"""freeze: what runs stands still."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import (
    Decision,
    Refused,
    agent_type_of,
    asked_in_scope,
    first_refusal,
    live_in_scope,
    named,
    refuse_unknown_in,
    runs_skip_if,
    services_in_scope,
)
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import FREEZABLE, FREEZABLE_SERVICE
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def freeze(state: SessionState, asked: rq.Freeze, now: float) -> Decision:
    if refusal := refuse_unknown_in(state, asked) or first_refusal(refused_freezes(state, asked)):
        return refusal
    events: list[ev.AnyEvent] = [
        ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=ticket.attempts, by=asked.by)
        for ticket in live_in_scope(state, asked)
        if ticket.status in FREEZABLE and not _stays_frozen(ticket)
    ]
    events += [
        ev.QuestionFrozen(at=now, ticket=ticket.id, by=asked.by)
        for ticket in asked_in_scope(state, asked)
        if not ticket.is_check_frozen
    ]
    events += [
        ev.ServiceFrozen(at=now, service=service.name, number=service.number, by=asked.by)
        for service in services_in_scope(state, asked)
        if service.status in FREEZABLE_SERVICE and not service.is_frozen
    ]
    if asked.is_session and state.held is None:
        events.insert(0, ev.SessionHeld(at=now, reason=ev.FREEZE_REASON, by=asked.by, freeze=True))
    return events


def _stays_frozen(ticket: TicketState) -> bool:
    """Whether it is frozen, and not only until the host is not pressed any more."""
    return ticket.is_frozen and not ticket.is_frozen_by_pressure


def refused_freezes(state: SessionState, asked: rq.Freeze) -> Iterator[Refused]:
    only = "only what runs can be frozen"
    for ticket in named(state, asked.tickets):
        if ticket.status not in FREEZABLE and not runs_skip_if(ticket):
            remedy = f"hold {ticket.id}" if ticket.status in PENDING else ""
            refusal = Refusal(f"{ticket.id} {ticket.stands}, {only}", remedy)
            yield Refused("tickets", ticket.id, refusal)
    for id_ in asked.agents:
        if state.agents[id_].ticket is None:
            yield Refused("agents", id_, Refusal(f"{id_} runs nothing, {only}", f"hold {id_}"))
    for type_ in asked.types:
        if not any(agent_type_of(state, ticket) == type_ for ticket in state.live.values()):
            refusal = Refusal(f"no agent of type {type_} runs anything, {only}", f"hold {type_}")
            yield Refused("types", type_, refusal)
    for name in asked.hosts:
        if not state.hosts[name].live:
            yield Refused("hosts", name, Refusal(f"nothing runs on {name}, {only}", f"hold host:{name}"))
    for name in asked.services:
        if (service := state.services[name]).status not in FREEZABLE_SERVICE:
            yield Refused("services", name, Refusal(f"service {name} is {service.shown_status}, {only}"))
