"""What an action is about: the tickets, the agent, agent type, service or host that is marked or selected."""

from collections.abc import Iterable
from typing import NamedTuple

from parexec_tui.core.state.session import SessionState


class Targets(NamedTuple):
    """Tickets; or in the panel of agents an agent, an agent type, a service, or a host."""

    tickets: tuple[str, ...] = ()
    agent: str = ""
    agent_type: str = ""
    service: str = ""
    host: str = ""
    """`local`: the machine of the engine."""


def in_plan_order(state: SessionState, tickets: Iterable[str]) -> tuple[str, ...]:
    """The tickets in the order of the plan, without those no longer in it. Marks are a set, and have no order."""
    return tuple(sorted((id_ for id_ in tickets if id_ in state.tickets), key=lambda id_: state.tickets[id_].order))
