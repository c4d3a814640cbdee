"""The names of a session, without a replay: that would take seconds for a large one, and somebody is typing."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from parexec_tui.registry.registry import Registry


class Names(Struct, frozen=True):
    """The tickets, agent types, services and hosts of a session, and every agent that it has had."""

    tickets: list[str]
    agents: list[str]
    types: list[str]
    services: list[str]
    hosts: list[str]


class _Settings(Struct, frozen=True):
    gates: object = ()


class _Plan(Struct, frozen=True):
    tickets: dict[str, Raw] | list[Raw]
    """A list: its families are folded."""
    agents: dict[str, Raw] = {}
    groups: dict[str, Raw] = {}
    settings: _Settings = _Settings()
    services: dict[str, Raw] = {}
    hosts: dict[str, Raw] = {}


class _Event(Struct, frozen=True):
    """What `plan_amended` and `agent_started` say of names."""

    added: dict[str, Raw] = {}
    dropped: tuple[str, ...] = ()
    gates: dict[str, Raw] = {}
    agents: dict[str, Raw] = {}
    """Agent types."""
    agent: str = ""
    hosts: dict[str, Raw] = {}


def _unfolded(plan: bytes) -> Iterable[str]:
    from parexec_tui.core.wire.codec import decode_plan  # slow to import, and few plans have a large family

    return decode_plan(plan).tickets


def names(registry: Registry, session: str) -> Names:
    """The names in a session. Raises RegistryError, MsgspecError if they cannot be read."""
    stored = registry.plan(session)
    plan = msgspec.json.decode(stored, type=_Plan)
    tickets = dict.fromkeys(plan.tickets if isinstance(plan.tickets, dict) else _unfolded(stored))
    agents: dict[str, None] = {}
    types: dict[str, Raw] = dict(plan.agents)
    hosts: dict[str, Raw] = dict(plan.hosts)
    changed: dict[str, Raw] = {}
    decode = msgspec.json.Decoder(_Event).decode
    for data in registry.events_of_kinds(session, "plan_amended", "agent_started"):
        event = decode(data)
        for id_ in event.dropped:
            tickets.pop(id_, None)
        tickets |= dict.fromkeys(event.added)
        changed |= event.gates
        types |= event.agents
        hosts |= event.hosts
        if event.agent:
            agents[event.agent] = None
    if plan.groups or plan.settings.gates:
        from parexec_tui.core.plan.gates import PLAN_GATES, gates_of_group  # slow to import, and few plans have any

        tickets |= dict.fromkeys(gates_of_group(name) for name, group in plan.groups.items() if bytes(group) != b"{}")
        if plan.settings.gates:
            tickets[PLAN_GATES] = None
    for id_, gates in changed.items():
        if bytes(gates) == b"[]":
            tickets.pop(id_, None)
        else:
            tickets[id_] = None
    return Names(list(tickets), list(agents), _there(types), list(plan.services), _there(hosts))


def _there(found: dict[str, Raw]) -> list[str]:
    return [name for name, raw in found.items() if bytes(raw) != b"null"]
