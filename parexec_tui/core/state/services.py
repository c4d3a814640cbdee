"""A service of a session, and where it stands."""

from collections.abc import Iterator

from parexec_tui.core.plan.services import Service
from parexec_tui.core.state.attempts import FreezeCause
from parexec_tui.core.state.process_key import READY, RUN, ProcessKey
from parexec_tui.core.state.status import TERMINAL, ServiceStatus, ServiceStop
from parexec_tui.core.state.tickets import TicketState

_ALIVE = (ServiceStatus.starting, ServiceStatus.ready, ServiceStatus.stopping)
_STARTABLE = (ServiceStatus.waiting, ServiceStatus.stopped)


class ServiceState:
    """A service and where it stands. Each of its starts has a number; nothing of two starts is alive at once."""

    __slots__ = (
        "birth",
        "code",
        "cpu_seconds",
        "deaths",
        "ended",
        "error_line",
        "freeze",
        "frozen_for",
        "is_stop_over",
        "left",
        "name",
        "number",
        "peak_memory",
        "pid",
        "ready_at",
        "reason",
        "retry_at",
        "signal",
        "spec",
        "started",
        "status",
        "stop_by",
        "stop_reason",
        "stop_since",
    )  # fmt: skip

    def __init__(self, name: str, spec: Service) -> None:
        self.name = name
        self.spec = spec
        self.status = ServiceStatus.waiting
        """Never `frozen`, see `shown_status`."""
        self.number = 0
        """How often it was started."""
        self.deaths = 0
        """How often it died while it was used. Counted anew when a person restarts it."""
        self.left: dict[str, TicketState] = {}
        """The tickets that use it and are not over."""
        self.started = 0.0
        """When the newest start was."""
        self.ready_at: float | None = None
        """When the newest start was ready; None: it was not, or is not yet."""
        self.pid: int | None = None
        """Of the newest start; None until its process is known."""
        self.birth: float | None = None
        """With `pid` and the boot id the identity of the process."""
        self.freeze: FreezeCause | None = None
        """There while it is frozen."""
        self.frozen_for = 0.0
        """Seconds that the newest start was frozen, without the present freeze."""
        self.stop_reason: ServiceStop | None = None
        """Why the newest start is, or was, ended on purpose."""
        self.stop_by = ""
        """Who asked for that; empty where a rule did."""
        self.stop_since = 0.0
        self.is_stop_over = False
        """Whether its own `stop` had its chance: from then on it is ended by signals."""
        self.retry_at: float | None = None
        """When it is started again."""
        self.ended: float | None = None
        """When the newest start ended. Kept, like `reason`, `code`, `signal` and `error_line`, until the next one."""
        self.reason = ""
        self.code: int | None = None
        self.signal: int | None = None
        self.error_line = ""
        self.cpu_seconds = 0.0
        """Of the newest start, once it has ended, like `peak_memory`, in bytes; 0: not known."""
        self.peak_memory = 0

    @property
    def key(self) -> ProcessKey:
        """The process of its newest start."""
        return ProcessKey.of_service(self.name, self.number)

    def step_key(self, step: str) -> ProcessKey:
        """Another process of its newest start."""
        return ProcessKey.of_service(self.name, self.number, step)

    @property
    def told_step(self) -> str:
        """The step whose output a person wants to see."""
        return READY if self.reason and self.stop_reason == "not ready" and not self.error_line else RUN

    @property
    def is_alive(self) -> bool:
        """Whether its command runs, or may run."""
        return self.status in _ALIVE

    @property
    def may_start(self) -> bool:
        """Whether it is started as soon as a ticket is about to use it."""
        return self.status in _STARTABLE

    @property
    def is_ready(self) -> bool:
        """Whether tickets that use it may start."""
        return self.status is ServiceStatus.ready and self.freeze is None

    @property
    def is_frozen(self) -> bool:
        return self.freeze is not None

    @property
    def shown_status(self) -> ServiceStatus:
        """The word for where it is."""
        return ServiceStatus.frozen if self.freeze is not None else self.status

    @property
    def since(self) -> float:
        """When it became what it is now, in seconds since the epoch; 0 before its first start."""
        if self.freeze is not None:
            return self.freeze.since
        match self.status:
            case ServiceStatus.starting:
                return self.started
            case ServiceStatus.ready:
                return self.ready_at or self.started
            case ServiceStatus.stopping:
                return self.stop_since
            case _:
                return self.ended or 0.0

    @property
    def ready(self) -> str:
        """What it has to do to be ready, as the plan has it."""
        return " ".join(self.spec.ready.split())

    @property
    def users(self) -> Iterator[TicketState]:
        """The tickets that use it now: they are live."""
        return (ticket for ticket in self.left.values() if ticket.is_live)

    def forgive(self) -> None:
        """Let it be started again, with its restarts as at first, if it had failed."""
        if self.status is ServiceStatus.failed:
            self.status, self.deaths = ServiceStatus.waiting, 0

    def correct_clock(self, error: float) -> None:
        """Let seconds not count that the wall clock counted and that did not pass."""
        if self.retry_at is not None:
            self.retry_at += error
        if self.is_alive and not self.is_frozen:
            self.frozen_for += error

    def thaw(self, at: float) -> None:
        if self.freeze is not None:
            self.frozen_for += at - self.freeze.since
            self.freeze = None

    def worked(self, now: float) -> float:
        """Seconds that its newest start has lived, or lived, without the time it was frozen; 0 before the first."""
        if not self.number:
            return 0.0
        until = self.ended if self.ended is not None else self.freeze.since if self.freeze is not None else now
        return max(0.0, until - self.started - self.frozen_for)


def count_user(services: dict[str, ServiceState], ticket: TicketState) -> None:
    """Note whether a ticket is one that uses services and is not over."""
    for name in ticket.spec.uses_service:
        if ticket.status in TERMINAL:
            services[name].left.pop(ticket.id, None)
        else:
            services[name].left[ticket.id] = ticket
