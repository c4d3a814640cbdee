"""prioritise: the priority class of tickets."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def prioritise(state: SessionState, asked: rq.Prioritise, now: float) -> Decision:
    if refusal := refuse_unknown(state, asked.tickets) or first_refusal(refused_priorities(state, asked)):
        return refusal
    return [
        ev.PriorityChanged(at=now, ticket=ticket.id, priority=asked.priority, by=asked.by)
        for ticket in named(state, asked.tickets)
        if ticket.spec.priority is not asked.priority
    ]


def refused_priorities(state: SessionState, asked: rq.Prioritise) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        if ticket.is_gates:
            remedy = "prioritise the tickets that they wait for"
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} stands for gates, it has no priority", remedy))
        elif ticket.status in SATISFIED:
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} {ticket.stands}"))
