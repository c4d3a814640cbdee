"""thaw: what is frozen goes on."""

from parexec_tui.core.rules.answers import Decision, live_in_scope, named, refuse_unknown_in
from parexec_tui.core.rules.verbs.freeze import FROZEN
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def thaw(state: SessionState, asked: rq.Thaw, now: float) -> Decision:
    if refusal := refuse_unknown_in(state, asked):
        return refusal
    for ticket in named(state, asked.tickets):
        if ticket.status is not Status.frozen:
            return Refusal(f"{ticket.id} is {ticket.status}, not frozen")
    events: list[ev.AnyEvent] = [
        ev.AttemptThawed(at=now, ticket=ticket.id, attempt=ticket.attempt, by=asked.by)
        for ticket in live_in_scope(state, asked)
        if ticket.status is Status.frozen
    ]
    if asked.is_session and state.held is not None and state.held.reason == FROZEN:
        events.append(ev.SessionReleased(at=now, by=asked.by))
    return events
