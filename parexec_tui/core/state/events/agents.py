"""What happened to agents, and to agent types."""

from parexec_tui.core.state.events.event import Event


class AgentStarted(Event, frozen=True, tag="agent_started"):
    agent: str
    type: str
    host: str = ""
    """Where it is for as long as it lives; empty: on this machine."""


class AgentHeld(Event, frozen=True, tag="agent_held"):
    """The agent takes no new ticket until released."""

    agent: str
    by: str = ""


class AgentReleased(Event, frozen=True, tag="agent_released"):
    """Held, draining or quarantined no more."""

    agent: str
    by: str = ""


class AgentDraining(Event, frozen=True, tag="agent_draining"):
    """The agent takes no new ticket, and stops when it is idle."""

    agent: str
    by: str = ""


class AgentQuarantined(Event, frozen=True, tag="agent_quarantined"):
    """Attempts died at start on this agent, one after another. It gets no more tickets until it is released."""

    agent: str
    reason: str


class AgentStopped(Event, frozen=True, tag="agent_stopped"):
    agent: str
    reason: str = ""


class AgentTypeHeld(Event, frozen=True, tag="agent_type_held"):
    """No ticket starts on agents of this type, and none of them is started, until released."""

    type: str
    by: str = ""
    reason: str = ""
    """Why, where a rule did it: what a person has to mend."""


class AgentTypeReleased(Event, frozen=True, tag="agent_type_released"):
    type: str
    by: str = ""


class TypeScaled(Event, frozen=True, tag="type_scaled"):
    """There may be this many agents of the type."""

    type: str
    most: int | None
    """None: as many as tickets run at once."""
    by: str = ""


class BudgetChanged(Event, frozen=True, tag="budget_changed"):
    """What coding agents may spend in the session is another amount from now on."""

    type: str
    """Of this agent type; empty: all together."""
    budget: float | None
    """US dollars; None: as much as they want."""
    by: str = ""
