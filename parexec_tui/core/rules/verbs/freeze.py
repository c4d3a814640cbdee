"""freeze: what runs stands still."""

from parexec_tui.core.rules.answers import Decision, agent_type_of, live_in_scope, named, refuse_unknown_in
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import FREEZABLE
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def freeze(state: SessionState, asked: rq.Freeze, now: float) -> Decision:
    if refusal := refuse_unknown_in(state, asked):
        return refusal
    for ticket in named(state, asked.tickets):
        if ticket.status not in FREEZABLE:
            return Refusal(f"{ticket.id} is {ticket.shown_status}, only what runs can be frozen", f"hold {ticket.id}")
    for id_ in asked.agents:
        if state.agents[id_].ticket is None:
            return Refusal(f"{id_} runs nothing, only what runs can be frozen", f"hold {id_}")
    for type_ in asked.types:
        if not any(agent_type_of(state, ticket) == type_ for ticket in state.live.values()):
            return Refusal(f"no agent of type {type_} runs anything, only what runs can be frozen", f"hold {type_}")
    events: list[ev.AnyEvent] = [
        ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=ticket.attempts, by=asked.by)
        for ticket in live_in_scope(state, asked)
        if ticket.status in FREEZABLE and not ticket.is_frozen
    ]
    if asked.is_session and state.held is None:
        events.insert(0, ev.SessionHeld(at=now, reason=ev.FREEZE_REASON, by=asked.by, freeze=True))
    return events
