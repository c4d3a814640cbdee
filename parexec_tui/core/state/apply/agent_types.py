"""Agent types come into the plan, go, or are others from now on."""

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType, with_types
from parexec_tui.core.plan.coding import account_of, is_minded
from parexec_tui.core.plan.secrets import wanted_secrets
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState, planned_budgets
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.state.worktrees import has_worktrees


def check_types(state: SessionState, event: ev.PlanAmended) -> None:
    before, after = state.plan.agents, with_types(state.plan.agents, event.agents)
    for name, new in event.agents.items():
        if new is None and (name not in before or any(agent.type == name for agent in state.agents.values())):
            raise IllegalEventError(f"{event!r}: there is no agent type {name}, or it has agents")
    if any(other not in after for each in after.values() for other in each.fallback):
        raise IllegalEventError(f"{event!r}: a fallback is no agent type")


def change_types(state: SessionState, changes: dict[str, AgentType | None]) -> None:
    """Change the types, and what follows from them but for the tickets: these are to find theirs again.

    How many there may be and what they may spend is what a person said of it last, here or in the file.
    """
    before, budgets = state.plan.agents, planned_budgets(state.plan)
    state.plan = structs.replace(state.plan, agents=with_types(before, changes))
    types = state.plan.agents
    for name, new in changes.items():
        if new is None:
            for of_types in (state.available, state.pool_size, state.agent_limits):
                del of_types[name]
            for of_held in (state.held_types, state.type_troubles):
                of_held.pop(name, None)
            continue
        if name not in before:
            state.available[name], state.pool_size[name] = {}, 0
        if name not in before or new.max != before[name].max:
            state.agent_limits[name] = new.max
    planned = planned_budgets(state.plan)
    for name in changes:
        if planned.get(name) == budgets.get(name):
            continue
        if name in planned:
            state.budgets[name] = planned[name]
        else:
            state.budgets.pop(name, None)
    state.forget_types()
    state.find_hosts()
    state.has_coding = any(map(is_minded, types.values()))
    state.has_fallbacks = any(each.fallback for each in types.values())
    state.has_worktrees = has_worktrees(types.values())
    state.has_secrets = state.has_secrets or bool(wanted_secrets(state.plan))
    accounts = {account_of(name, types) for name in types}
    for account in [account for account in state.accounts if account not in accounts]:
        del state.accounts[account]
