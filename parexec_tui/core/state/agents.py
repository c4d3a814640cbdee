"""An agent of the pool, and where it stands."""

from parexec_tui.core.state.status import AgentStatus


class AgentState:
    """One agent of the pool: a slot that runs one ticket at a time."""

    __slots__ = (
        "busy_for", "done", "draining", "failed", "held", "held_at", "host", "id", "idle_since", "is_frozen",
        "quarantined", "started", "stopped", "strikes", "ticket", "turn", "type", "without_engine",
    )  # fmt: skip

    def __init__(self, id_: str, type_: str, at: float, host: str = "") -> None:
        self.id = id_
        self.type = type_
        self.host = host
        """Where it is for as long as it lives; empty: on this machine."""
        self.started = at
        self.ticket: str | None = None
        self.is_frozen = False
        """Whether the attempt that it runs is frozen."""
        self.idle_since = at
        self.turn = 0
        """A number that rises each time any agent becomes idle: the agent with the lowest has been idle longest."""
        self.strikes: tuple[str, ...] = ()
        """Tickets that could not start here, one after another, where the agent may be at fault."""
        self.held: str | None = None
        """Who holds it."""
        self.held_at = 0.0
        self.draining = False
        self.quarantined = ""
        """Why it gets no more tickets."""
        self.stopped = False
        self.done = 0
        self.failed = 0
        self.busy_for = 0.0
        """Seconds that its attempts ran, without the one that runs now."""
        self.without_engine = 0.0
        """Seconds that it was idle while no engine ran the session."""

    @property
    def status(self) -> AgentStatus:
        if self.stopped:
            return AgentStatus.stopped
        if self.quarantined:
            return AgentStatus.quarantined
        if self.draining:
            return AgentStatus.draining
        if self.is_frozen:
            return AgentStatus.frozen
        if self.ticket is not None:
            return AgentStatus.busy
        return AgentStatus.held if self.held is not None else AgentStatus.idle

    @property
    def is_available(self) -> bool:
        return self.ticket is None and not (
            self.stopped or self.quarantined or self.draining or self.held is not None
        )
