"""What of the hosts of a session that goes on may be others, and how that is said."""

from collections.abc import Mapping
from typing import Final

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import ON_HOST, HostSpec
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import Refusal

_AT_ANY_TIME: Final = ("max", "labels", "lease")
"""Keys that may be others whatever runs there; by all else it is another host."""

_Changes = dict[str, HostSpec | None]


def host_cannot_become(state: SessionState, name: str, new: HostSpec | None) -> Refusal | None:
    """Why there cannot be this host from now on, in place of one or as a new one, or none any more (None); None:
    there can."""
    old = state.plan.hosts.get(name)
    if old is None:
        return None if new is not None else Refusal(f"there is no host {name}")
    is_used = any(agent.host == name for agent in state.agents.values())
    if new is None:
        if is_used:
            reason = f"host {name}: agents have run there, and it stays to the end of the session"
            return Refusal(reason, f"drain host:{name}, to start nothing there")
        if pinned := [ticket.id for ticket in state.tickets.values() if ticket.pin == f"{ON_HOST}{name}"]:
            return Refusal(
                f"host {name}: {listed(pinned, limit=5)} is reassigned to it", f"reassign {pinned[0]} first"
            )
        return None
    if is_used and (fixed := [key for key in _differing(old, new) if key not in _AT_ANY_TIME]):
        reason = f"host {name}: {listed(fixed)} cannot change, as agents have run there"
        return Refusal(reason, "give the new one a name of its own, and drain this one")
    return None


def differing_hosts(state: SessionState, plan: Plan) -> tuple[_Changes, list[str]]:
    """The hosts of a plan that are new or others and can be taken over, and a line for each that differs."""
    found, lines = _Changes(), list[str]()
    for name, new in plan.hosts.items():
        old = state.plan.hosts.get(name)
        if new == old:
            continue
        if (refusal := host_cannot_become(state, name, new)) is not None:
            lines.append(f"! {refusal}")
        else:
            found[name] = new
            lines.append(f"+ host {name}" if old is None else f"~ host {name}  {', '.join(_differing(old, new))}")
    return found, lines


def hosts_gone(state: SessionState, plan: Plan, types: Mapping[str, AgentType]) -> tuple[_Changes, list[str]]:
    """The hosts that a plan has no more and that nothing uses, and a line for each that it has no more. `types`:
    those that there would be."""
    found, lines = _Changes(), list[str]()
    for name in state.plan.hosts:
        if name in plan.hosts:
            continue
        user = next((type_ for type_, each in types.items() if name in each.on), "")
        if (refusal := host_cannot_become(state, name, None)) is not None:
            if not state.hosts[name].draining:
                lines.append(f"! {refusal}")
        elif user:
            lines.append(f"! host {name} stays: agent type {user} is to run there")
        else:
            found[name] = None
            lines.append(f"- host {name}")
    return found, lines


def _differing(old: HostSpec, new: HostSpec) -> list[str]:
    return [key for key in HostSpec.__struct_fields__ if getattr(old, key) != getattr(new, key)]
