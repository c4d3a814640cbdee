"""Hosts come into the plan, go, or are others from now on."""

from msgspec import structs

from parexec_tui.core.plan.hosts import HostSpec, with_hosts
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError


def check_hosts(state: SessionState, event: ev.PlanAmended) -> None:
    for name, new in event.hosts.items():
        if new is None and (name not in state.hosts or any(each.host == name for each in state.agents.values())):
            raise IllegalEventError(f"{event!r}: there is no host {name}, or agents have run there")


def change_hosts(state: SessionState, changes: dict[str, HostSpec | None]) -> None:
    """Change the hosts, and what follows from them but for the agent types. One that is another is reached anew."""
    state.plan = structs.replace(state.plan, hosts=with_hosts(state.plan.hosts, changes))
    for name, new in changes.items():
        old = state.hosts.get(name)
        if new is None:
            del state.hosts[name]
        elif old is None or not old.change(new):
            host = state.hosts[name] = HostState(name, new)
            if old is not None:
                host.held, host.held_at, host.draining = old.held, old.held_at, old.draining
    state.idle_on.clear()
    for line in state.available.values() if state.hosts else ():
        for agent in line.values():
            state.idle_on.setdefault((agent.type, agent.host), {})[agent.id] = agent
    state.find_hosts()
