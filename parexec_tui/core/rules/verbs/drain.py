"""drain: start nothing new here, let what runs finish."""

from collections.abc import Iterable

from parexec_tui.core.rules.answers import Decision, first_refusal, refuse_unknown_in, refused_if_over
from parexec_tui.core.rules.verbs.hold import hold_tickets, hold_types
from parexec_tui.core.rules.verbs.stop import thaw_rollbacks
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def drain(state: SessionState, asked: rq.Drain, now: float) -> Decision:
    """A drained agent stops when it is idle; a drained type is held, and its agents drained; a ticket is held."""
    if refusal := refuse_unknown_in(state, asked):
        return refusal
    if asked.is_session:
        if state.draining or state.stopping:
            return []
        return [
            ev.SessionDraining(at=now, by=asked.by, reason=asked.reason),
            *thaw_rollbacks(state, now, asked.by),
        ]
    if refusal := first_refusal(refused_if_over(state, asked)):
        return refusal
    agents = [state.agents[id_] for id_ in asked.agents]
    agents += [
        agent
        for agent in state.agents.values()
        if (agent.type in asked.types or (agent.host and agent.host in asked.hosts)) and not agent.stopped
    ]
    return [
        *hold_tickets(state, asked, now),
        *hold_types(state, asked, now),
        *(
            ev.HostDraining(at=now, host=name, by=asked.by)
            for name in dict.fromkeys(asked.hosts)
            if not state.hosts[name].draining
        ),
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
