"""What of the agent types of a session that goes on may be others, and how that is said."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from parexec_tui.core.plan.agent_type import SHELL, AgentType
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_money
from parexec_tui.core.rules.wording import UNRESTRICTED
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import Refusal

_ONCE_USED: Final = ("kind", "speaks", "isolation", "base", "target", "on", "on_labels")
"""Keys that conversations and branches follow from, and where agents are: they stay when a type has had an agent."""

_WHILE_BUSY: Final = ("command", "shell", "cwd", "gates", "claims", "account")
"""Keys that say what an attempt does next, or for whom it counts: they stay while one lives."""


def differing(old: AgentType, new: AgentType) -> tuple[str, ...]:
    """The keys in which two agent types differ."""
    return tuple(key for key in AgentType.__struct_fields__ if getattr(old, key) != getattr(new, key))


def settled(old: AgentType, new: AgentType) -> AgentType:
    """An agent type of a file as a session has it: one that had no git repository when it began, or that an earlier
    version began, which noted no shell."""
    if new.kind is not None and (old.isolation, new.isolation) == (None, "worktree"):
        new = structs.replace(new, isolation=None)
    if (old.command, old.shell, new.shell) == (None, None, SHELL):
        new = structs.replace(new, shell=None)
    return new


def cannot_become(state: SessionState, name: str, new: AgentType | None) -> Refusal | None:
    """Why there cannot be this agent type from now on, in place of one or as a new one, or none any more (None);
    None: there can."""
    if name not in state.plan.agents:
        is_taken = name in state.agents
        return Refusal(f"agent type {name}: an agent has this name", "give the type another") if is_taken else None
    if new is None:
        return _cannot_go(state, name)
    keys = differing(state.plan.agents[name], new)
    if (fixed := [key for key in keys if key in _ONCE_USED]) and _has_had_agents(state, name):
        reason = f"agent type {name}: {listed(fixed)} cannot change, as it has had agents"
        return Refusal(reason, f"give the new one a name of its own: [agents.{_free_name(state, name)}]")
    if (fixed := [key for key in keys if key in _WHILE_BUSY]) and (running := _running(state, name)):
        reason = f"agent type {name}: {listed(fixed)} cannot change while it runs {listed(running, limit=5)}"
        return Refusal(reason, f"hold {name}, and reload when that is over")
    return None


def _cannot_go(state: SessionState, name: str) -> Refusal | None:
    if _has_had_agents(state, name):
        reason = f"agent type {name} has had agents, and stays to the end of the session"
        return Refusal(reason, f"hold {name}, to start nothing on it")
    if pinned := [ticket.id for ticket in state.tickets.values() if ticket.pin == name]:
        return Refusal(
            f"agent type {name}: {listed(pinned, limit=5)} is reassigned to it", f"reassign {pinned[0]} first"
        )
    return None


def _has_had_agents(state: SessionState, name: str) -> bool:
    return any(agent.type == name for agent in state.agents.values())


def _running(state: SessionState, name: str) -> list[str]:
    agents = ((ticket.id, state.agents.get(ticket.live_attempt.agent)) for ticket in state.live.values())
    return [id_ for id_, agent in agents if agent is not None and agent.type == name]


def _free_name(state: SessionState, name: str) -> str:
    number = 2
    while f"{name}{number}" in {*state.plan.agents, *state.agents}:
        number += 1
    return f"{name}{number}"


def unrestricted(state: SessionState, agents: Mapping[str, AgentType | None]) -> tuple[str, ...]:
    """Those of new or changed agent types that may do everything, and could not before."""
    return tuple(
        name
        for name, new in agents.items()
        if new is not None and may_do_all(new) and not may_do_all(state.plan.agents.get(name))
    )


def may_do_all(agent_type: AgentType | None) -> bool:
    return agent_type is not None and agent_type.kind is not None and agent_type.permissions == "all"


def words_of(old: AgentType | None, new: AgentType) -> str:
    """What is new of an agent type, key by key; what is secret or long is only named."""
    keys = differing(old, new) if old is not None else [key for key in differing(AgentType(), new) if key != "shell"]
    return ", ".join(f"{key} {_SHOWN[key](getattr(new, key))}" if key in _SHOWN else key for key in keys)


_SHOWN: Final[Mapping[str, Any]] = {
    "min": str,
    "max": lambda most: "as many as run at once" if most is None else str(most),
    "kind": str,
    "model": lambda model: model or "of the CLI",
    "permissions": lambda level: f"{level} (it {UNRESTRICTED})" if level == "all" else level,
    "account": lambda account: account or "of its kind",
    "fallback": lambda names: listed(names) or "none",
    "budget": lambda dollars: "none" if dollars is None else format_money(dollars),
}
"""{key: how its value is shown}"""
