"""hold, release, drain: what shall not start, and what may again."""

from collections.abc import Iterable

from parexec_tui.core.rules.verbs.answers import Decision, named, over, unknown_in
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import requests as rq


def hold(state: SessionState, asked: rq.Hold, now: float) -> Decision:
    if refusal := unknown_in(state, asked):
        return refusal
    if asked.is_session:
        return [] if state.held else [ev.SessionHeld(at=now, reason=asked.reason, by=asked.by)]
    for id_ in asked.tickets:
        if state.tickets[id_].status in TERMINAL:
            return over(state, id_)
    agents = (state.agents[id_] for id_ in dict.fromkeys(asked.agents))
    return [
        *_hold_tickets(state, asked, now),
        *(ev.AgentHeld(at=now, agent=agent.id, by=asked.by) for agent in agents if agent.held is None),
        *_hold_types(state, asked, now),
    ]


def _hold_tickets(state: SessionState, asked: rq.Scope, now: float) -> list[ev.AnyEvent]:
    return [
        ev.TicketHeld(at=now, ticket=ticket.id, by=asked.by)
        for ticket in named(state, asked.tickets)
        if ticket.held is None
    ]


def _hold_types(state: SessionState, asked: rq.Scope, now: float) -> list[ev.AnyEvent]:
    return [
        ev.AgentTypeHeld(at=now, type=type_, by=asked.by)
        for type_ in dict.fromkeys(asked.types)
        if type_ not in state.held_types
    ]


def release(state: SessionState, asked: rq.Release, now: float) -> Decision:
    """Of a type: its hold. Agents of it that drain go on draining, unless they are named."""
    if refusal := unknown_in(state, asked):
        return refusal
    if asked.is_session:
        released: list[ev.AnyEvent] = [ev.SessionReleased(at=now, by=asked.by)] if state.held else []
        return [*released, ev.DrainEnded(at=now, by=asked.by)] if state.draining else released
    agents = (state.agents[id_] for id_ in dict.fromkeys(asked.agents))
    return [
        *(
            ev.TicketReleased(at=now, ticket=ticket.id, by=asked.by)
            for ticket in named(state, asked.tickets)
            if ticket.held is not None
        ),
        *(
            ev.AgentReleased(at=now, agent=agent.id, by=asked.by)
            for agent in agents
            if agent.held is not None or agent.draining or agent.quarantined
        ),
        *(
            ev.AgentTypeReleased(at=now, type=type_, by=asked.by)
            for type_ in dict.fromkeys(asked.types)
            if type_ in state.held_types
        ),
    ]


def drain(state: SessionState, asked: rq.Drain, now: float) -> Decision:
    """Of an agent: it stops when it is idle. Of a type: that, for all of them, and a hold. Of a ticket: a hold."""
    if refusal := unknown_in(state, asked):
        return refusal
    if asked.is_session:
        if state.draining or state.stopping:
            return []
        return [ev.SessionDraining(at=now, by=asked.by, reason=asked.reason)]
    for id_ in asked.tickets:
        if state.tickets[id_].status in TERMINAL:
            return over(state, id_)
    agents = [state.agents[id_] for id_ in asked.agents]
    agents += [agent for agent in state.agents.values() if agent.type in asked.types and not agent.stopped]
    return [
        *_hold_tickets(state, asked, now),
        *_hold_types(state, asked, now),
        *drain_agents(agents, asked.by, now),
    ]


def drain_agents(agents: Iterable[AgentState], by: str, now: float) -> list[ev.AnyEvent]:
    events: list[ev.AnyEvent] = []
    for agent in {agent.id: agent for agent in agents}.values():
        if not agent.draining:
            events.append(ev.AgentDraining(at=now, agent=agent.id, by=by))
            if agent.ticket is None:
                events.append(ev.AgentStopped(at=now, agent=agent.id, reason="drained"))
    return events
