"""One attempt of a ticket. The last one is kept after its end, until the next one starts."""

from collections.abc import Mapping
from typing import NamedTuple

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.events import AttemptEnded, MergeSide
from parexec_tui.core.state.process_key import RUN, WITHOUT_PROCESS
from parexec_tui.core.state.status import End, StopReason
from parexec_tui.core.state.used import Used

_NO_UNITS: Mapping[str, Units] = {}


class FreezeCause(NamedTuple):
    """Why the processes of an attempt stand still."""

    by: str
    """Who froze it; empty where a rule did."""
    reason: str
    since: float
    pressure: str = ""
    """What the host was pressed for; empty: that is not why, or a person took it over."""


class QuestionClock:
    """How long a ticket has been asked whether it is done already."""

    __slots__ = ("began", "freeze", "frozen_for")

    def __init__(self, began: float) -> None:
        self.began = began
        self.freeze: FreezeCause | None = None
        """There while the command that is to answer stands still."""
        self.frozen_for = 0.0
        """Seconds that it did, without the present freeze."""

    def thaw(self, at: float) -> None:
        """Let it run again, if it stands still."""
        if self.freeze is not None:
            self.frozen_for += at - self.freeze.since
            self.freeze = None

    def worked(self, now: float) -> float:
        """Seconds until now, without the time that the command stood still."""
        until = now if self.freeze is None else self.freeze.since
        return max(0.0, until - self.began - self.frozen_for)


class Attempt:
    """One try of a ticket on an agent. A new one is made for each, and also if one that had ended is taken back: it
    has the same number. Nothing else of it changes once it has ended."""

    __slots__ = (
        "agent",
        "asked_for",
        "asks_since",
        "awaits_engine",
        "birth",
        "check_strays",
        "clock_error",
        "code",
        "command_ended",
        "end",
        "ended",
        "error_line",
        "failed_checks",
        "failed_tries",
        "freeze",
        "frozen_for",
        "gates_begun",
        "is_approved",
        "is_in_conflict",
        "is_lost",
        "is_released",
        "lacks",
        "number",
        "outcome",
        "pid",
        "reason",
        "resolution",
        "resolves",
        "rollback_cut_short",
        "rollback_problem",
        "rollbacks",
        "side",
        "signal",
        "started",
        "step",
        "step_began",
        "stop_by",
        "stop_reason",
        "stop_since",
        "together",
        "units",
        "used",
        "values",
        "without",
        "worked_before",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        agent: str,
        started: float,
        units: Mapping[str, Units] = _NO_UNITS,
        without: tuple[str, ...] = (),
    ) -> None:
        self.number = number
        """Counted from 1."""
        self.agent = agent
        """Empty: the engine runs it, as it does the gates of a group."""
        self.started = started
        self.worked_before = 0.0
        """Seconds that it had worked when it ended, if it goes on since: it is merged after its approval, or taken
        back. `started` is then when it went on."""
        self.units = units
        """{resource: the units of it that it has or had}"""
        self.without = without
        """The needs that may fail, and had ended without success when it started."""
        self.values: dict[str, str] = {}
        """What its command told: see `plan.values`."""
        self.step = RUN
        """The step that it is at, or at which it ended."""
        self.step_began = 0.0
        """What it had worked when that step began, in seconds."""
        self.command_ended: float | None = None
        """When its command was over, if it went on to another step."""
        self.failed_tries = 0
        """How often the command of the gate that it is at has failed."""
        self.failed_checks: dict[str, str] = {}
        """{check: what it found wrong, and that is so still}"""
        self.check_strays: tuple[str, ...] = ()
        """Checks of which it was said that they leave processes behind."""
        self.used = Used()
        """By the steps that are over."""
        self.pid: int | None = None
        """None until the process of its step exists."""
        self.birth: float | None = None
        """With `pid` and the boot id the identity of the process. See `AttemptSpawned`."""
        self.freeze: FreezeCause | None = None
        """There while it is frozen. It keeps its status, and goes on with that when it is thawed."""
        self.frozen_for = 0.0
        """Seconds that it was frozen, without the present freeze."""
        self.asks_since: float | None = None
        """Since when its agent waits for an answer of a person; None: it does not."""
        self.asked_for = 0.0
        """Seconds that it did before, and was not frozen."""
        self.clock_error = 0.0
        """Seconds from its start on that did not pass: the clock was set forward while no engine was there, or the
        host was suspended. Negative: more passed."""
        self.stop_reason: StopReason | None = None
        """Why it is being stopped; kept when it has ended."""
        self.stop_by = ""
        """Who asked for that; empty where a rule did."""
        self.stop_since = 0.0
        """When that was, in seconds since the epoch; 0 while it is not being stopped."""
        self.outcome: AttemptEnded | None = None
        """While it is rolled back: how it ends then. None as well if a person wants an attempt taken back that had
        ended."""
        self.rollbacks = 0
        """How often its `rollback` was started."""
        self.rollback_problem = ""
        """Why its `rollback` failed, if it did."""
        self.rollback_cut_short = False
        """Whether that was because it did not end by itself."""
        self.gates_begun: tuple[str, ...] = ()
        """The steps of gates that it has begun, if it works in a worktree: they are tried again if others merge."""
        self.resolution = ""
        """The command by which a person wants its conflict resolved."""
        self.resolves = 0
        """How often one was started."""
        self.is_in_conflict = False
        """Whether what it did conflicts with what is merged, and a person has to decide on that."""
        self.is_lost = False
        """Whether what it did was merged, and somebody moved the target back."""
        self.is_released = False
        """Whether a person let what it did be merged, or decided on its conflict: it had ended, and goes on."""
        self.awaits_engine = False
        """Whether that was while no engine was there, and none has begun it yet."""
        self.is_approved = False
        """Whether a person approved of what it did."""
        self.lacks = ""
        """What the step that it is at waits for room for, in words; empty: it does not."""
        self.side: MergeSide = ""
        """What is done about a conflict of what it did."""
        self.together: tuple[str, ...] = ()
        """As in `MergeStarted`."""
        self.ended: float | None = None
        self.end: End | None = None
        self.code: int | None = None
        self.signal: int | None = None
        self.reason = ""
        """Why it ended as it did; while it is being stopped, why that is, if there is more to say than its reason."""
        self.error_line = ""
        """As in `AttemptEnded`."""

    @property
    def told_step(self) -> str:
        """The step whose output a person wants to see: the gate that it is at, or at which it failed; else the
        command of the ticket."""
        if not self.agent:
            return self.step
        return RUN if self.step in WITHOUT_PROCESS or self.end is End.succeeded else self.step

    def begin_step(self, step: str, at: float, *, is_next_start: bool) -> None:
        """Go on to another step. `is_next_start`: it starts the command of the last one again."""
        self.failed_tries = self.failed_tries if is_next_start else 0
        self.step, self.step_began, self.lacks = step, self.worked(at), ""
        self.pid = self.birth = None

    def step_worked(self, now: float) -> float:
        """Seconds that its step has run, without the time it was frozen."""
        return self.worked(now) - self.step_began

    def thaw(self, at: float) -> None:
        """Let its clock run again, if it is frozen."""
        if self.freeze is not None:
            if self.asks_since is None:  # else its clock stands anyhow
                self.frozen_for += at - self.freeze.since
            self.freeze = None

    def note_answer(self, at: float) -> None:
        """Let its clock run again, if nothing else stops it: its agent waits for a person no more."""
        if self.asks_since is not None:
            self.asked_for += (
                at if self.freeze is None else max(self.freeze.since, self.asks_since)
            ) - self.asks_since
            self.asks_since = None

    def ended_unseen(self, ended: float, now: float) -> float:
        """When a process of it ended that is found over now, if its exit record is of that time. The clock may have
        been set since: it has run for no less than the steps before it, and no longer than until now."""
        ran = max(self.step_began, self.worked_before + ended - self.started - self.frozen_for - self.asked_for)
        return now - max(0.0, self.worked(now) - ran)

    def total_frozen(self, now: float) -> float:
        """Seconds that it was frozen, with the present freeze."""
        return self.frozen_for + (now - self.freeze.since if self.freeze is not None else 0.0)

    def worked(self, now: float) -> float:
        """Seconds from its start to `now`, or to its end if it is over, without the time it was frozen or waited for
        a person."""
        if self.ended is not None:
            now = self.ended
        until = now if self.freeze is None else self.freeze.since
        if self.asks_since is not None:
            until = min(until, self.asks_since)
        stood = self.frozen_for + self.asked_for + self.clock_error
        return self.worked_before + max(0.0, until - self.started - stood)

    def going_on(self, at: float) -> "Attempt":
        """The same attempt as it goes on after its end."""
        again = Attempt(self.number, self.agent, at, self.units, self.without)
        again.worked_before = self.worked(at)
        return again
