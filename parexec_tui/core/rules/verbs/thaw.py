"""thaw: what is frozen goes on."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import (
    Decision,
    Refused,
    asked_in_scope,
    first_refusal,
    live_in_scope,
    named,
    refuse_unknown_in,
    services_in_scope,
)
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def thaw(state: SessionState, asked: rq.Thaw, now: float) -> Decision:
    if refusal := refuse_unknown_in(state, asked) or first_refusal(refused_thaws(state, asked)):
        return refusal
    events: list[ev.AnyEvent] = [  # services first: what goes on may want one at once
        ev.ServiceThawed(at=now, service=service.name, number=service.number, by=asked.by)
        for service in services_in_scope(state, asked)
        if service.is_frozen
    ]
    events += [
        ev.AttemptThawed(at=now, ticket=ticket.id, attempt=ticket.attempts, by=asked.by)
        for ticket in live_in_scope(state, asked)
        if ticket.is_frozen
    ]
    events += [
        ev.QuestionThawed(at=now, ticket=ticket.id, by=asked.by)
        for ticket in asked_in_scope(state, asked)
        if ticket.is_check_frozen
    ]
    if asked.is_session and state.held is not None and state.held.is_freeze:
        events.append(ev.SessionReleased(at=now, by=asked.by))
    return events


def refused_thaws(state: SessionState, asked: rq.Thaw) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        if not ticket.is_frozen and not ticket.is_check_frozen:
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} {ticket.stands}, not frozen"))
    for name in asked.services:
        if not (service := state.services[name]).is_frozen:
            yield Refused("services", name, Refusal(f"service {name} is {service.shown_status}, not frozen"))
