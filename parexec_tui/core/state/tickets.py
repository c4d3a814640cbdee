"""A ticket of a session, and where it stands."""

from typing import NamedTuple

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.gates import PLAN_GATES, is_gate_ticket
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.attempts import Attempt, QuestionClock
from parexec_tui.core.state.process_key import COMMIT, MERGE
from parexec_tui.core.state.status import INFRASTRUCTURE, LIVE, PENDING, End, Flag, Status, failure_kind, predicate


class UndoPoint(NamedTuple):
    """What a ticket was before a person cancelled, waived or retried it; gone once an attempt starts."""

    status: Status
    charged: int
    charged_lost: int
    excluded_agents: tuple[str, ...]
    ended: float | None
    end: End | None
    reason: str
    because: str
    note: str
    approved: bool
    is_asked: bool
    is_decided: bool
    decided_by: str
    says_no: bool
    grown_from: Ticket | None
    undo_point: "UndoPoint | None"


class TicketState:
    """A ticket and where it stands. What belongs to one attempt only is in `attempt`."""

    __slots__ = (
        "approval_asked",
        "approved",
        "asked",
        "asking",
        "attempt",
        "attempts",
        "because",
        "charged",
        "charged_lost",
        "claims",
        "conflict_at",
        "decided_by",
        "end",
        "ended",
        "excluded_agents",
        "failed_after",
        "failed_with",
        "first_started",
        "group",
        "grown_from",
        "held",
        "held_at",
        "id",
        "is_asked",
        "is_decided",
        "is_early",
        "is_gates",
        "is_stalled",
        "is_unwanted",
        "lost",
        "missing",
        "note",
        "order",
        "pin",
        "question_clock",
        "ready_at",
        "reason",
        "remaining",
        "retry_at",
        "says_no",
        "serialised",
        "spec",
        "stalled_needs",
        "status",
        "took",
        "types",
        "undo_point",
    )  # fmt: skip

    def __init__(self, id_: str, spec: Ticket, order: int, claims: Claims, types: tuple[str, ...]) -> None:
        self.id = id_
        self.is_gates = is_gate_ticket(id_)
        """Whether it stands for the gates of a group or of the plan: no agent runs it. See `plan.group_gates`."""
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
        self.missing = len(spec.needs) + len(spec.after)
        """Needs in which what it waits for has not come; a ticket is ready at 0. One that is live may have such needs
        again, of those that only had to be over: what has started has started."""
        self.lost = 0
        """Needs whose success it waits for, and that are over without it."""
        self.stalled_needs = 0
        """Needs that are stalled."""
        self.is_stalled = False
        """Whether a freeze, a hold or an approval that it waits for keeps it, or a ticket upstream. See `stalls`."""
        self.held: str | None = None
        """Who holds it back."""
        self.held_at = 0.0
        """Since when it is held."""
        self.pin = ""
        """The agent or agent type that a person chose for it. See `blockers.pinned_agent`."""
        self.note = ""
        """What a person said when they retried it, approved of it or sent it back last."""
        self.approved = False
        """Whether a person approved of its start, if its plan wants that. It holds until the ticket is run again."""
        self.is_early = False
        """True: it runs at the end, and the others are not over, so nobody is asked yet to approve of its start."""
        self.approval_asked = False
        """Whether people were told that it waits for approval before it starts."""
        self.undo_point: UndoPoint | None = None
        self.ready_at = 0.0
        self.conflict_at: float | None = None
        """Since when it waits for a claim or a resource. None: it does not, as far as the dispatcher has looked."""
        self.attempt: Attempt | None = None
        """The attempt that lives or was the last to live; None before the first."""
        self.attempts = 0
        """The number of the newest attempt. A ticket that was dropped and added again counts on."""
        self.charged = 0
        """Attempts counted against `retries` so far."""
        self.charged_lost = 0
        """Those of them that failed because of what they ran on."""
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
        self.is_asked = not spec.has_condition
        """True: it need not be asked any more whether it is done already. See `asking`."""
        self.is_decided = not spec.when
        """True: it is known whether it is wanted, or a person wants it."""
        self.decided_by = ""
        """What that followed from: `split.count is 3`."""
        self.says_no = False
        """Whether it is skipped because its own `when` says no."""
        self.is_unwanted = False
        """Whether it is skipped for that, or because it needs such a ticket."""
        self.asking = ""
        """The step that asks whether it is done already, while it does."""
        self.question_clock: QuestionClock | None = None
        """How long it has been asked that; None while it is not."""
        self.asked = 0
        """How often that was asked."""
        self.grown_from: Ticket | None = None
        """Of gates that have run, and wait again because there are more tickets in their group: what they were."""
        self.serialised = False
        """True once it had to wait for a claim."""

    def save(self) -> None:
        """Keep what it is now, so that what a person does next can be taken back."""
        self.undo_point = UndoPoint(
            self.status, self.charged, self.charged_lost, self.excluded_agents, self.ended, self.end, self.reason,
            self.because, self.note, self.approved, self.is_asked, self.is_decided, self.decided_by, self.says_no,
            self.grown_from, self.undo_point,
        )  # fmt: skip
        self.grown_from = None

    def put_back(self) -> None:
        """Be again what was saved, except for the status: `indexes.move` changes that."""
        assert self.undo_point is not None
        (
            _, self.charged, self.charged_lost, self.excluded_agents, self.ended, self.end, self.reason,
            self.because, self.note, self.approved, self.is_asked, self.is_decided, self.decided_by, self.says_no,
            self.grown_from, self.undo_point,
        ) = self.undo_point  # fmt: skip

    @property
    def depth(self) -> tuple[int, int]:
        """Sorts tickets so that each stands after what it needs."""
        return self.group, self.is_gates + (self.id == PLAN_GATES)

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
    def is_frozen_by_pressure(self) -> bool:
        """Whether that is because the host is pressed, so that it goes on by itself."""
        return self.attempt is not None and self.attempt.freeze is not None and bool(self.attempt.freeze.pressure)

    @property
    def is_check_frozen(self) -> bool:
        """Whether its `skip_if` stands still."""
        return self.question_clock is not None and self.question_clock.freeze is not None

    @property
    def is_allowed(self) -> bool:
        """Whether it failed, and may."""
        return self.status is Status.failed and self.spec.allow_failure

    @property
    def is_undecided(self) -> bool:
        """Whether it waits, and it is not known yet whether it is wanted."""
        return not self.is_decided and self.status is Status.waiting

    @property
    def is_held_back(self) -> bool:
        """Whether it is held although its needs are met."""
        return self.held is not None and self.missing == 0 and self.status in PENDING

    @property
    def awaits_approval(self) -> bool:
        """Whether it goes on as soon as a person approves or decides on its conflict: it could start but for that, or
        its attempt is over."""
        return self.can_be_approved and not (self.is_early and self.status is Status.waiting)

    @property
    def can_be_approved(self) -> bool:
        """The same, or it runs at the end and only waits for the others: earlier versions asked already then."""
        if self.status is Status.waiting:
            is_asked = self.is_asked and self.is_decided
            return self.spec.approve == "before" and not (self.approved or self.missing) and is_asked
        return self.status is Status.approval

    @property
    def is_in_conflict(self) -> bool:
        """Whether its attempt is over, and a person has to decide on a conflict of what it did."""
        return self.status is Status.approval and self.attempt is not None and self.attempt.is_in_conflict

    @property
    def awaits_secret(self) -> bool:
        """Whether it is live, and its present step waits for a secret that the engine does not know."""
        return self.is_live and self.live_attempt.lacks != "" and self.live_attempt.step not in (COMMIT, MERGE)

    @property
    def needs_you(self) -> bool:
        """Whether its attempt is over, and its agent needs a word of a person."""
        return self.status is Status.approval and self.end is End.needs_you

    @property
    def is_asking(self) -> bool:
        """Whether its agent asks a person something while it runs, and waits."""
        return self.status is Status.running and self.live_attempt.asks_since is not None and not self.is_frozen

    @property
    def has_lost_work(self) -> bool:
        """Whether it had succeeded, and what it merged is in its target no more: a person lets it be merged again."""
        is_lost = self.status is Status.approval and self.attempt is not None and self.attempt.is_lost
        return is_lost and not self.is_in_conflict

    @property
    def should_be_stalled(self) -> bool:
        """What `is_stalled` has to be, as far as the ticket itself and the needs next to it tell."""
        if self.status in PENDING:
            return self.held is not None or self.stalled_needs > 0 or self.awaits_approval or self.is_check_frozen
        return self.is_frozen or self.status is Status.approval

    @property
    def shown_status(self) -> Status | Flag:
        """The word for where it is: `frozen` while its attempt is frozen, `conflict` if a person has to decide on it,
        `needs you` if its agent needs an answer, `not wanted` if it is skipped for that, else its status."""
        if self.is_frozen:
            return Flag.frozen
        if self.is_unwanted:
            return Flag.unwanted
        if self.needs_you or self.is_asking:
            return Flag.needs_you
        return Flag.conflict if self.is_in_conflict else self.status

    @property
    def stands(self) -> str:
        """How it stands, to be said after its id: `is waiting`, `waits for approval`, `timed out`."""
        return predicate(self.shown_status)

    @property
    def agent(self) -> str | None:
        """Who runs it, or ran it last; None as well if the engine does."""
        return (self.attempt.agent or None) if self.attempt is not None else None

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
        return failure_kind(self.id, str(self.end), self.reason, self.error_line, is_allowed=self.is_allowed)

    def budget(self, end: End) -> tuple[int, int]:
        """How many of the retries that such a failure uses up are used, and how many there are."""
        retries = self.spec.retries
        if isinstance(retries, int):
            return self.charged, retries
        if end in INFRASTRUCTURE:
            return self.charged_lost, retries.lost
        return self.charged - self.charged_lost, retries.failed

    @property
    def retries_used(self) -> str:
        """`1 of 2`: of the retries that its last failure, or the next one of its own, uses up."""
        return "{} of {}".format(*self.budget(self.end or End.failed))

    def worked(self, now: float) -> float:
        """Seconds that the live or last attempt ran, without the time it was frozen; 0 if there was none."""
        return self.attempt.worked(now) if self.attempt is not None else 0.0
