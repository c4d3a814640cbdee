"""A ticket of a session, and where it stands."""

from typing import NamedTuple

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.model import Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import LIVE, End, Status


class Before(NamedTuple):
    """What a ticket was before a person cancelled, waived or retried it; gone once an attempt starts."""

    status: Status
    charged: int
    shunned: tuple[str, ...]
    ended: float | None
    end: End | None
    code: int | None
    signal: int | None
    reason: str
    because: str
    note: str
    before: "Before | None"


class TicketState:
    """A ticket and where it stands. What is true of a live attempt only is None or 0 otherwise."""

    __slots__ = (
        "agent", "attempt", "because", "before", "birth", "charged", "claims", "code", "end", "ended",
        "first_started", "frozen_at", "frozen_for", "group", "held", "id", "lost", "missing", "note", "order", "pid",
        "pin", "ready_at", "reason", "remaining", "retry_at", "serialised", "shunned", "signal", "spec", "started",
        "status", "stop_why", "types",
    )  # fmt: skip

    def __init__(self, id_: str, spec: Ticket, order: int, claims: Claims, types: tuple[str, ...]) -> None:
        self.id = id_
        self.spec = spec
        self.order = order
        """Place in the plan file."""
        self.claims = claims
        self.types = types
        """Agent types that can run it."""
        self.group = 0
        self.remaining = 0.0
        """Seconds of the longest chain of estimates that starts here."""
        self.status = Status.waiting
        self.missing = len(spec.needs)
        """Needs that have neither succeeded nor been waived; a ticket is ready at 0."""
        self.lost = 0
        """Needs that are over without success."""
        self.held: str | None = None
        """Who holds it back."""
        self.pin = ""
        """The agent or agent type that a person chose for it. See `blockers.pinned_agent`."""
        self.note = ""
        """What a person said when they retried it last."""
        self.before: Before | None = None
        self.ready_at = 0.0
        self.attempt = 0
        """Number of the current attempt, or of the last one."""
        self.charged = 0
        """Attempts counted against `retries` so far."""
        self.retry_at: float | None = None
        self.shunned: tuple[str, ...] = ()
        """Agents it could not start on."""
        self.agent: str | None = None
        """Who runs it, or ran it last."""
        self.pid: int | None = None
        self.birth: float | None = None
        self.started: float | None = None
        """When the current or last attempt started."""
        self.first_started: float | None = None
        self.frozen_at: float | None = None
        self.frozen_for = 0.0
        """Seconds that this attempt was frozen, without the present freeze."""
        self.stop_why: ev.StopReason | None = None
        self.ended: float | None = None
        self.end: End | None = None
        self.code: int | None = None
        self.signal: int | None = None
        self.reason = ""
        self.because = ""
        """For a skipped ticket, the ticket whose end was the cause. See `SessionState.cause`."""
        self.serialised = False
        """True once it had to wait for a claim."""

    def remember(self) -> None:
        """Keep what it is now, so that what a person does next can be taken back."""
        self.before = Before(
            self.status, self.charged, self.shunned, self.ended, self.end, self.code, self.signal, self.reason,
            self.because, self.note, self.before,
        )  # fmt: skip

    def recall(self) -> None:
        """Be again what was kept, but for the status: that one has followers."""
        assert self.before is not None
        (
            _, self.charged, self.shunned, self.ended, self.end, self.code, self.signal, self.reason,
            self.because, self.note, self.before,
        ) = self.before  # fmt: skip

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def worked(self, now: float) -> float:
        """Seconds that the current attempt has run, without the time it was frozen."""
        if self.started is None:
            return 0.0
        until = self.frozen_at if self.frozen_at is not None else now
        return max(0.0, until - self.started - self.frozen_for)
