"""A ticket of a session, and where it stands."""

from typing import NamedTuple

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.model import Ticket
from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.status import LIVE, PENDING, End, Flag, Status, failure_kind


class UndoSnapshot(NamedTuple):
    """What a ticket was before a person cancelled, waived or retried it; gone once an attempt starts."""

    status: Status
    charged: int
    excluded_agents: tuple[str, ...]
    ended: float | None
    end: End | None
    reason: str
    because: str
    note: str
    snapshot: "UndoSnapshot | None"


class TicketState:
    """A ticket and where it stands. What belongs to one attempt only is in `attempt`."""

    __slots__ = (
        "attempt", "attempts", "because", "charged", "claims", "conflict_at", "end", "ended",
        "excluded_agents", "failed_after", "failed_with", "first_started", "group", "held", "held_at", "id",
        "is_stalled", "lost", "missing", "note", "order", "pin", "ready_at", "reason", "remaining", "retry_at",
        "serialised", "snapshot", "spec", "stalled_needs", "status", "took", "types",
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
        self.stalled_needs = 0
        """Needs that are stalled."""
        self.is_stalled = False
        """Whether a freeze or a hold keeps it: its own, or that of a ticket upstream. See `stalls`."""
        self.held: str | None = None
        """Who holds it back."""
        self.held_at = 0.0
        """Since when it is held."""
        self.pin = ""
        """The agent or agent type that a person chose for it. See `blockers.pinned_agent`."""
        self.note = ""
        """What a person said when they retried it last."""
        self.snapshot: UndoSnapshot | None = None
        self.ready_at = 0.0
        self.conflict_at: float | None = None
        """Since when it waits for a claim or a resource. None: it does not, as far as the dispatcher has looked."""
        self.attempt: Attempt | None = None
        """The attempt that lives or was the last to live; None before the first."""
        self.attempts = 0
        """The number of the newest attempt. A ticket that was dropped and added again counts on."""
        self.charged = 0
        """Attempts counted against `retries` so far."""
        self.retry_at: float | None = None
        self.excluded_agents: tuple[str, ...] = ()
        """Agents it could not start on."""
        self.first_started: float | None = None
        self.took: float | None = None
        """Seconds that its last attempt ran that succeeded, whatever became of the ticket since."""
        self.failed_after: float | None = None
        """The same of its last attempt that failed by itself or for its timeout."""
        self.ended: float | None = None
        """When the last attempt ended, or the ticket ended without one. Like `end` and `reason` it is kept until the
        next attempt starts."""
        self.end: End | None = None
        self.reason = ""
        self.because = ""
        """For a skipped ticket, the ticket whose end was the cause. See `SessionState.cause`."""
        self.failed_with = ""
        """What it failed with: the same for all that failed alike. Kept until it fails again. See `failure`."""
        self.serialised = False
        """True once it had to wait for a claim."""

    def save(self) -> None:
        """Keep what it is now, so that what a person does next can be taken back."""
        self.snapshot = UndoSnapshot(
            self.status, self.charged, self.excluded_agents, self.ended, self.end, self.reason, self.because,
            self.note, self.snapshot,
        )  # fmt: skip

    def restore(self) -> None:
        """Be again what was saved, except for the status: `indexes.move` changes that."""
        assert self.snapshot is not None
        (
            _, self.charged, self.excluded_agents, self.ended, self.end, self.reason, self.because,
            self.note, self.snapshot,
        ) = self.snapshot  # fmt: skip

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def live_attempt(self) -> Attempt:
        """The attempt of a ticket that is live."""
        assert self.attempt is not None
        assert self.attempt.ended is None, f"attempt {self.attempt.number} of {self.id} is over"
        return self.attempt

    @property
    def is_frozen(self) -> bool:
        """Whether its attempt lives and stands still."""
        return self.attempt is not None and self.attempt.freeze is not None

    @property
    def is_held_back(self) -> bool:
        """Whether it is held although its needs are met."""
        return self.held is not None and self.missing == 0 and self.status in PENDING

    @property
    def should_be_stalled(self) -> bool:
        """What `is_stalled` has to be, as far as the ticket itself and the needs next to it tell."""
        if self.status in PENDING:
            return self.held is not None or self.stalled_needs > 0
        return self.is_frozen

    @property
    def shown_status(self) -> Status | Flag:
        """The word for where it is: `frozen` while its attempt is frozen, else its status."""
        return Flag.frozen if self.is_frozen else self.status

    @property
    def agent(self) -> str | None:
        """Who runs it, or ran it last."""
        return self.attempt.agent if self.attempt is not None else None

    @property
    def signal(self) -> int | None:
        """The signal that ended its last attempt, if one did."""
        return self.attempt.signal if self.attempt is not None else None

    @property
    def error_line(self) -> str:
        """What its last attempt printed about its failure, if the ticket ended with that; empty if nothing did."""
        attempt = self.attempt
        return attempt.error_line if attempt is not None and attempt.ended == self.ended else ""

    @property
    def failure(self) -> str:
        """What it failed with: the same for tickets that failed alike."""
        return failure_kind(self.id, str(self.end), self.reason, self.error_line)

    def worked(self, now: float) -> float:
        """Seconds that the live or last attempt ran, without the time it was frozen; 0 if there was none."""
        return self.attempt.worked(now) if self.attempt is not None else 0.0
