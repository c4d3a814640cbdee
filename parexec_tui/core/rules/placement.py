"""Which agents and agent types a ticket may go to."""

from collections.abc import Mapping

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType, blanks, eligible_types, has_capabilities
from parexec_tui.core.plan.gates import described
from parexec_tui.core.plan.hosts import LOCAL, LOCAL_NAME, pinned_host, shown_host
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Refusal


def cannot_go_to(
    state: SessionState, ticket: TicketState, place: str, spec: Ticket | None = None, *, may_be_gone: bool = False
) -> Refusal | None:
    """Why a ticket (as it is, or as `spec`) cannot be pinned to this agent or agent type; None if it can.

    A pin goes before the agent type that the plan names; what the ticket requires must be met all the same.
    With `may_be_gone`, the agent may have stopped or take no more tickets: a pin then holds for its type.
    """
    if refusal := runs_on_no_agent(ticket):
        return refusal
    if (host := pinned_host(place)) is not None:
        return _cannot_go_to_host(state, ticket.id, host, spec or ticket.spec)
    agent = state.agents.get(place)
    type_ = agent.type if agent is not None else place
    if type_ not in state.available:
        return Refusal(
            f"there is no agent or agent type {place}",
            did_you_mean(place, [*state.available, *state.agents]) or f"there is {listed(state.available)}",
        )
    if agent is not None and agent.stopped and not may_be_gone:
        return Refusal(f"{place} has stopped", f"name its type, {type_}")
    if agent is not None and (agent.quarantined or agent.draining) and not may_be_gone:
        why = f": {agent.quarantined}" if agent.quarantined else ""
        return Refusal(f"{place} is {agent.status}{why}", f"release {place}, or name its type, {type_}")
    spec = spec or ticket.spec
    return None if can_run(state.plan.agents, type_, spec) else _not_able(state, ticket.id, spec, type_)


def _cannot_go_to_host(state: SessionState, id_: str, host: str, spec: Ticket) -> Refusal | None:
    if host != LOCAL and host not in state.hosts:
        there_is = listed((LOCAL_NAME, *state.hosts))
        return Refusal(f"there is no host {host}", did_you_mean(host, state.hosts) or f"there is {there_is}")
    types = state.types_of(spec)
    if any(host in state.hosts_of_types[type_] for type_ in types):
        return None
    return Refusal(f"no agent that could run {id_} may be on {shown_host(host)}", f"see `on` of {listed(types)}")


def runs_on_no_agent(ticket: TicketState) -> Refusal | None:
    """Refuse to choose an agent for gates."""
    return Refusal(f"the engine itself runs the gates of {described(ticket.id)}") if ticket.is_gates else None


def can_run(types: Mapping[str, AgentType], type_: str, spec: Ticket) -> bool:
    """Whether agents of this type can run such a ticket, whichever type the plan names for it."""
    return bool(eligible_types({type_: types[type_]}, structs.replace(spec, agent=None)))


def _not_able(state: SessionState, id_: str, spec: Ticket, type_: str) -> Refusal:
    agent_type = state.plan.agents[type_]
    if not has_capabilities(agent_type, spec):
        why = f"it cannot {listed(name for name in spec.requires if name not in agent_type.can)}"
    else:
        why = f"{id_} has no {listed(blanks(agent_type, spec))}"
    able = [name for name in state.available if can_run(state.plan.agents, name, spec)]
    return Refusal(f"{type_} cannot run {id_}: {why}", f"{listed(able)} can" if able else "")
