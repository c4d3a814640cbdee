"""hold: do not start."""

from parexec_tui.core.rules.answers import Decision, first_refusal, named, refuse_unknown_in, refused_if_over
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def hold(state: SessionState, asked: rq.Hold, now: float) -> Decision:
    if refusal := refuse_unknown_in(state, asked):
        return refusal
    if asked.is_session:
        # A person can give the same reason as a freeze does. Their hold is still not a freeze.
        freeze = False if asked.reason == ev.FREEZE_REASON else None
        return [] if state.held else [ev.SessionHeld(at=now, reason=asked.reason, by=asked.by, freeze=freeze)]
    if refusal := first_refusal(refused_if_over(state, asked)):
        return refusal
    agents = (state.agents[id_] for id_ in dict.fromkeys(asked.agents))
    return [
        *hold_tickets(state, asked, now),
        *(ev.AgentHeld(at=now, agent=agent.id, by=asked.by) for agent in agents if agent.held is None),
        *hold_types(state, asked, now),
        *hold_hosts(state, asked, now),
    ]


def hold_hosts(state: SessionState, asked: rq.Scope, now: float) -> list[ev.AnyEvent]:
    return [
        ev.HostHeld(at=now, host=name, by=asked.by)
        for name in dict.fromkeys(asked.hosts)
        if state.hosts[name].held is None
    ]


def hold_tickets(state: SessionState, asked: rq.Scope, now: float) -> list[ev.AnyEvent]:
    return [
        ev.TicketHeld(at=now, ticket=ticket.id, by=asked.by)
        for ticket in named(state, asked.tickets)
        if ticket.held is None
    ]


def hold_types(state: SessionState, asked: rq.Scope, now: float) -> list[ev.AnyEvent]:
    return [
        ev.AgentTypeHeld(at=now, type=type_, by=asked.by)
        for type_ in dict.fromkeys(asked.types)
        if type_ not in state.held_types
    ]
