"""Decisions, the refusals that several verbs give, and the tickets that a request names."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import SKIP_IF
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, UNSUCCESSFUL
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.selectors import why_without_tickets

Decision = list[ev.AnyEvent] | Refusal
"""The events that grant a request, in order (none: it is so already), or why not."""


class Refused(NamedTuple):
    """One of several targets of a request, and why it alone would be refused."""

    field: Literal["tickets", "agents", "types", "services", "hosts"]
    """Of the request, in which its name stands."""
    name: str
    refusal: Refusal


def first_refusal(refused: Iterator[Refused]) -> Refusal | None:
    found = next(refused, None)
    return None if found is None else found.refusal


def refused_if_over(state: SessionState, asked: rq.Scope) -> Iterator[Refused]:
    """The tickets of a scope for which it is too late: they are over."""
    for id_ in asked.tickets:
        if state.tickets[id_].status in TERMINAL:
            yield Refused("tickets", id_, refuse_terminal(state, id_))


def unknown_ticket(state: SessionState, id_: str) -> Refusal:
    """Refuse a name that no ticket has: that of a family without members is known."""
    if why := why_without_tickets(state, id_):
        return Refusal(why)
    return Refusal(f"there is no ticket {id_}", did_you_mean(id_, state.tickets))


def refuse_unknown(
    state: SessionState,
    tickets: Iterable[str] = (),
    agents: Iterable[str] = (),
    types: Iterable[str] = (),
    services: Iterable[str] = (),
    hosts: Iterable[str] = (),
) -> Refusal | None:
    """Refuse a name that no ticket, agent, agent type, service or host has."""
    for id_ in tickets:
        if id_ not in state.tickets:
            return unknown_ticket(state, id_)
    for id_ in agents:
        if id_ not in state.agents or state.agents[id_].stopped:
            up = (agent.id for agent in state.agents.values() if not agent.stopped)
            return Refusal(f"there is no agent {id_}", did_you_mean(id_, up))
    for type_ in types:
        if type_ not in state.available:
            return Refusal(f"there is no agent type {type_}", did_you_mean(type_, state.available))
    for name in services:
        if name not in state.services:
            return Refusal(f"there is no service {name}", did_you_mean(name, state.services))
    for name in hosts:
        if name not in state.hosts:
            return Refusal(f"there is no host {name}", did_you_mean(name, state.hosts))
    return None


def refuse_unknown_in(state: SessionState, scope: rq.Scope) -> Refusal | None:
    if refusal := refuse_unknown(state, scope.tickets, scope.agents, scope.types, scope.services, scope.hosts):
        return refusal
    if scope.services and not isinstance(scope, rq.Freeze | rq.Thaw):
        name = scope.services[0]
        users = state.services[name].left
        remedy = f"freeze {name}" + (f", or hold {listed(users, limit=3)}" if users else "")
        return Refusal(f"{name} is a service: it runs while tickets use it", remedy)
    return None


def refuse_terminal(state: SessionState, id_: str) -> Refusal:
    """Refuse a verb that makes sense only before a ticket is over."""
    ticket = state.tickets[id_]
    remedy = f"retry {state.cause(ticket).id}" if ticket.status in UNSUCCESSFUL else ""
    return Refusal(f"{id_} {ticket.stands}", remedy)


def named(state: SessionState, ids: Iterable[str]) -> list[TicketState]:
    """The tickets that a request names, each once."""
    return [state.tickets[id_] for id_ in dict.fromkeys(ids)]


def services_in_scope(state: SessionState, asked: rq.Scope) -> list[ServiceState]:
    """The services of a scope, each once."""
    if asked.is_session:
        return list(state.services.values())
    return [state.services[name] for name in dict.fromkeys(asked.services)]


def live_in_scope(state: SessionState, asked: rq.Scope) -> list[TicketState]:
    """The live tickets of a scope, each once."""
    if asked.is_session:
        return list(state.live.values())
    tickets = set(asked.tickets)
    return [
        ticket
        for ticket in state.live.values()
        if ticket.id in tickets
        or ticket.agent in asked.agents
        or agent_type_of(state, ticket) in asked.types
        or (asked.hosts and state.host_of(ticket) in asked.hosts)
    ]


def asked_in_scope(state: SessionState, asked: rq.Scope) -> list[TicketState]:
    """The tickets of a scope whose `skip_if` runs: no agent runs it, so the scope is the session or names them."""
    wanted = (
        state.asking.values() if asked.is_session else (state.tickets[id_] for id_ in dict.fromkeys(asked.tickets))
    )
    return [ticket for ticket in wanted if runs_skip_if(ticket)]


def runs_skip_if(ticket: TicketState) -> bool:
    return ticket.asking.startswith(SKIP_IF)


def agent_type_of(state: SessionState, ticket: TicketState) -> str:
    """The type of the agent that has a live ticket; empty if the engine runs it itself."""
    return state.agents[ticket.agent].type if ticket.agent is not None else ""
