"""reassign, priority, scale: where and how soon tickets run."""

from msgspec import structs

from parexec_tui.core.plan.model import MOST, Ticket, blanks, eligible_types, has_capabilities
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.rules.verbs.answers import Decision, named, unknown
from parexec_tui.core.rules.verbs.holding import drain_agents
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import SATISFIED, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def reassign(state: SessionState, asked: rq.Reassign, now: float) -> Decision:
    if refusal := unknown(state, asked.tickets):
        return refusal
    events: list[ev.AnyEvent] = []
    for ticket in named(state, asked.tickets):
        if ticket.status in SATISFIED:
            return Refusal(f"{ticket.id} is {ticket.status}", f"retry {ticket.id} on {asked.agent or 'any agent'}")
        if asked.agent and (refusal := cannot_go_to(state, ticket, asked.agent)):
            return refusal
        if ticket.pin != asked.agent:
            events.append(ev.TicketPinned(at=now, ticket=ticket.id, agent=asked.agent, by=asked.by))
        if asked.agent and ticket.is_live and not _is_there(state, ticket, asked.agent):
            if ticket.status is Status.stopping:
                return Refusal(f"{ticket.id} is being stopped already", "wait for it to end")
            events.append(
                ev.AttemptStopRequested(
                    at=now, ticket=ticket.id, attempt=ticket.attempt, why="reassigned", by=asked.by
                )
            )
    return events


def _is_there(state: SessionState, ticket: TicketState, place: str) -> bool:
    assert ticket.agent is not None
    return place in (ticket.agent, state.agents[ticket.agent].type)


def cannot_go_to(state: SessionState, ticket: TicketState, place: str, spec: Ticket | None = None) -> Refusal | None:
    """Why a ticket (as it is, or as `spec`) cannot be pinned to this agent or agent type, if so.

    A pin goes before the agent type that the plan names; what the ticket requires must be met all the same.
    """
    agent = state.agents.get(place)
    type_ = agent.type if agent is not None else place
    if type_ not in state.available:
        return Refusal(
            f"there is no agent or agent type {place}",
            did_you_mean(place, [*state.available, *state.agents]) or f"there is {listed(state.available)}",
        )
    if agent is not None and agent.stopped:
        return Refusal(f"{place} has stopped", f"name its type, {type_}")
    if agent is not None and (agent.quarantined or agent.draining):
        why = f": {agent.quarantined}" if agent.quarantined else ""
        return Refusal(f"{place} is {agent.status}{why}", f"release {place}, or name its type, {type_}")
    spec = spec or ticket.spec
    return None if can_run(state, type_, spec) else _not_able(state, ticket.id, spec, type_)


def can_run(state: SessionState, type_: str, spec: Ticket) -> bool:
    """Whether agents of this type can run such a ticket, whichever type the plan names for it."""
    return bool(eligible_types({type_: state.plan.agents[type_]}, structs.replace(spec, agent=None)))


def _not_able(state: SessionState, id_: str, spec: Ticket, type_: str) -> Refusal:
    agent_type = state.plan.agents[type_]
    if not has_capabilities(agent_type, spec):
        why = f"it cannot {listed(name for name in spec.requires if name not in agent_type.can)}"
    else:
        why = f"{id_} has no {listed(blanks(agent_type, spec))}"
    able = [name for name in state.available if can_run(state, name, spec)]
    return Refusal(f"{type_} cannot run {id_}: {why}", f"{listed(able)} can" if able else "")


def prioritise(state: SessionState, asked: rq.Prioritise, now: float) -> Decision:
    if refusal := unknown(state, asked.tickets):
        return refusal
    tickets = named(state, asked.tickets)
    for ticket in tickets:
        if ticket.status in SATISFIED:
            return Refusal(f"{ticket.id} is {ticket.status}")
    return [
        ev.PriorityChanged(at=now, ticket=ticket.id, priority=asked.priority, by=asked.by)
        for ticket in tickets
        if ticket.spec.priority is not asked.priority
    ]


def scale(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    """Of a type: fewer stops agents, idle ones first. Of all tickets at once: fewer only starts nothing new."""
    if asked.type is None:
        return _scale_session(state, asked, now)
    if refusal := unknown(state, types=(asked.type,)):
        return refusal
    most = asked.most if asked.most is not None else state.plan.agents[asked.type].max
    if most is not None and asked.relative:
        most += state.max_agents(asked.type)
    if most is not None and not 1 <= most <= MOST:
        return Refusal(f"there may be 1 to {MOST:,} agents of a type, not {most}", f"drain {asked.type} to have none")
    if most == state.agent_limits[asked.type]:
        return []
    return [
        ev.TypeScaled(at=now, type=asked.type, most=most, by=asked.by),
        *drain_agents(_surplus(state, asked.type, state.parallel if most is None else most), asked.by, now),
    ]


def _surplus(state: SessionState, type_: str, most: int) -> list[AgentState]:
    """The agents that are too many: in quarantine, then idle, then busy; of equal ones the newest first."""
    staying = [
        agent for agent in state.agents.values() if agent.type == type_ and not (agent.stopped or agent.draining)
    ]
    staying.reverse()
    staying.sort(key=lambda agent: (agent.ticket is not None, not agent.quarantined))
    return staying[: max(0, len(staying) - most)]


def _scale_session(state: SessionState, asked: rq.Scale, now: float) -> Decision:
    if asked.most is None:
        return Refusal("how many tickets shall run at once is not said", "name a number")
    parallel = asked.most + (state.parallel if asked.relative else 0)
    if not 1 <= parallel <= MOST:
        return Refusal(f"1 to {MOST:,} tickets may run at once, not {parallel}", "hold, to start nothing new")
    if parallel == state.parallel:
        return []
    return [ev.ParallelChanged(at=now, parallel=parallel, by=asked.by)]
