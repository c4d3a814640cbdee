"""What a request is answered with, and the refusals that many verbs have in common."""

from collections.abc import Iterable

from parexec_tui.core.plan.reading.faults import did_you_mean
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import UNSUCCESSFUL
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal

Decision = list[ev.AnyEvent] | Refusal
"""The events that grant a request, in order (none: it is so already), or why not."""


def unknown(
    state: SessionState, tickets: Iterable[str] = (), agents: Iterable[str] = (), types: Iterable[str] = ()
) -> Refusal | None:
    """A refusal, if something that was named is not there."""
    for id_ in tickets:
        if id_ not in state.tickets:
            return Refusal(f"there is no ticket {id_}", did_you_mean(id_, state.tickets))
    for id_ in agents:
        if id_ not in state.agents or state.agents[id_].stopped:
            up = (agent.id for agent in state.agents.values() if not agent.stopped)
            return Refusal(f"there is no agent {id_}", did_you_mean(id_, up))
    for type_ in types:
        if type_ not in state.available:
            return Refusal(f"there is no agent type {type_}", did_you_mean(type_, state.available))
    return None


def unknown_in(state: SessionState, scope: rq.Scope) -> Refusal | None:
    return unknown(state, scope.tickets, scope.agents, scope.types)


def over(state: SessionState, id_: str) -> Refusal:
    """The refusal of what only makes sense for a ticket that is not over."""
    ticket = state.tickets[id_]
    remedy = f"retry {state.cause(ticket).id}" if ticket.status in UNSUCCESSFUL else ""
    return Refusal(f"{id_} is {ticket.status}", remedy)


def named(state: SessionState, ids: Iterable[str]) -> list[TicketState]:
    """The tickets that a request names, each once."""
    return [state.tickets[id_] for id_ in dict.fromkeys(ids)]
