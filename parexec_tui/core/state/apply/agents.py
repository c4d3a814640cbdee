"""What events change of agents, and of agent types."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply.order import drop_order
from parexec_tui.core.state.indexes import check_types_again, doubt_reservation, refresh_agent
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError, agent_of, check_type


def on_agent_started(state: SessionState, event: ev.AgentStarted) -> None:
    is_placed = not event.host or event.host in state.hosts
    if event.agent in state.agents or event.type not in state.available or not is_placed:
        raise IllegalEventError(f"{event!r}: it exists, or its type or host does not")
    agent = state.agents[event.agent] = AgentState(event.agent, event.type, event.at, event.host)
    state.pool_size[event.type] += 1
    refresh_agent(state, agent)


def on_agent_held(state: SessionState, event: ev.AgentHeld) -> None:
    agent = agent_of(state, event)
    agent.held, agent.held_at = event.by, event.at
    refresh_agent(state, agent)


def on_agent_released(state: SessionState, event: ev.AgentReleased) -> None:
    agent = agent_of(state, event)
    if agent.quarantined:
        agent.quarantined, agent.strikes = "", ()
    agent.held, agent.draining = None, False
    refresh_agent(state, agent)


def on_agent_draining(state: SessionState, event: ev.AgentDraining) -> None:
    agent = agent_of(state, event)
    agent.draining = True
    refresh_agent(state, agent)


def on_agent_quarantined(state: SessionState, event: ev.AgentQuarantined) -> None:
    agent = agent_of(state, event)
    agent.quarantined = event.reason
    refresh_agent(state, agent)
    check_types_again(state, agent.type)  # what was pinned to it may run on another one now


def on_agent_stopped(state: SessionState, event: ev.AgentStopped) -> None:
    agent = agent_of(state, event)
    if agent.ticket is not None:
        raise IllegalEventError(f"{event!r}: it runs {agent.ticket}")
    agent.stopped = True
    state.pool_size[agent.type] -= 1
    refresh_agent(state, agent)
    check_types_again(state, agent.type)  # there is room for another one now


def on_agent_type_held(state: SessionState, event: ev.AgentTypeHeld) -> None:
    check_type(state, event)
    state.held_types[event.type] = event.by
    if event.reason:
        state.type_troubles[event.type] = event.reason
    doubt_reservation(state)


def on_agent_type_released(state: SessionState, event: ev.AgentTypeReleased) -> None:
    check_type(state, event)
    state.held_types.pop(event.type, None)
    state.type_troubles.pop(event.type, None)
    check_types_again(state, event.type)


def on_budget_changed(state: SessionState, event: ev.BudgetChanged) -> None:
    if event.type:
        check_type(state, event)
    if event.budget is None:
        state.budgets.pop(event.type, None)
    else:
        state.budgets[event.type] = event.budget
    check_types_again(state, *state.plan.agents)


def on_type_scaled(state: SessionState, event: ev.TypeScaled) -> None:
    check_type(state, event)
    state.agent_limits[event.type] = event.most
    drop_order(state)
    check_types_again(state, event.type)
