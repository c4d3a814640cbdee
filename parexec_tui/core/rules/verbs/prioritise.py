"""prioritise: the priority class of tickets."""

from parexec_tui.core.rules.answers import Decision, named, refuse_unknown
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def prioritise(state: SessionState, asked: rq.Prioritise, now: float) -> Decision:
    if refusal := refuse_unknown(state, asked.tickets):
        return refusal
    tickets = named(state, asked.tickets)
    for ticket in tickets:
        if ticket.status in SATISFIED:
            return Refusal(f"{ticket.id} is {ticket.shown_status}")
    return [
        ev.PriorityChanged(at=now, ticket=ticket.id, priority=asked.priority, by=asked.by)
        for ticket in tickets
        if ticket.spec.priority is not asked.priority
    ]
