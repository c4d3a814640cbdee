"""What happened to services."""

from parexec_tui.core.state.events.event import Event
from parexec_tui.core.state.status import ServiceStatus, ServiceStop


class ServiceStarted(Event, frozen=True, tag="service_started"):
    """A service is being started: a ticket that uses it could start but for that. Remembered before its process
    exists, so that it never runs twice."""

    service: str
    number: int
    """Which start it is, counted from 1."""


class ServiceSpawned(Event, frozen=True, tag="service_spawned"):
    """Its process exists. `pid`, `birth` and the boot id together are its identity."""

    service: str
    number: int
    pid: int
    birth: float
    """As in AttemptSpawned."""


class ServiceReady(Event, frozen=True, tag="service_ready"):
    """Tickets that use it may start."""

    service: str
    number: int
    seconds: float = 0.0
    """How long that took, without the time it was frozen."""


class ServiceFrozen(Event, frozen=True, tag="service_frozen"):
    """Its processes are stopped for now; tickets that use it do not start."""

    service: str
    number: int
    by: str = ""


class ServiceThawed(Event, frozen=True, tag="service_thawed"):
    service: str
    number: int
    by: str = ""


class ServiceStopRequested(Event, frozen=True, tag="service_stop_requested"):
    """It is being ended: by its own `stop` if it has one, else by TERM, grace, KILL."""

    service: str
    number: int
    why: ServiceStop
    by: str = ""
    detail: str = ""
    """Why, in words, where `why` does not tell enough."""
    by_signal: bool = False
    """True: its `stop` is not waited for any more."""
    now: bool = False
    """True: KILL at once."""


class ServiceEnded(Event, frozen=True, tag="service_ended"):
    """What ran of it is gone."""

    service: str
    number: int
    seconds: float
    """How long it lived, without the time it was frozen."""
    then: ServiceStatus
    """stopped; waiting if a ticket that wants it starts it again; backoff, failed."""
    died: bool = False
    """True: it was used, and nobody wanted it to end; one more restart is used up."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    error_line: str = ""
    """As in AttemptEnded."""
    retry_at: float | None = None
    """Of backoff: when it is started again."""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    """Bytes."""


class ServiceRenewed(Event, frozen=True, tag="service_renewed"):
    """It may be started again: the pause after its death is over, or a person wants it."""

    service: str
    by: str = ""
    """Who wants it; its restarts are counted anew."""
