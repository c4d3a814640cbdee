"""What happened to attempts, step by step."""

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.events.event import Event
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.status import End, Status, StopReason
from parexec_tui.core.state.used import Used


class AttemptStarted(Event, frozen=True, tag="attempt_started"):
    """The ticket was given to the agent. Remembered before the process exists, so that it never runs twice."""

    ticket: str
    attempt: int
    agent: str


class AttemptSpawned(Event, frozen=True, tag="attempt_spawned"):
    """The process exists. `pid`, `birth` and the boot id together are its identity."""

    ticket: str
    attempt: int
    pid: int
    birth: float
    """When the kernel says that it started: clock ticks since boot."""
    step: str = RUN


class _Ended(Event, frozen=True, kw_only=True):
    """What is told of a step or an attempt that is over."""

    ticket: str
    attempt: int
    seconds: float
    """How long it ran, without the time it was frozen."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    cpu_seconds: float = 0.0
    """User and system time of its processes; 0 where it is not known."""
    peak_memory: int = 0
    """Bytes: the most that its processes were seen to use together, looked at every few seconds, or what the largest
    of them used, if that is more. Known only from the last start of the engine on; 0 where it is not known."""
    error_line: str = ""
    """Of a failure: the line of its output that says what went wrong, safe to print. See `text.error_line`."""
    ended: float | None = None
    """When it ended, if that was before, while no engine was there; None: at the time of the event."""
    peak_processes: int = 0
    """The most processes that were seen at once, looked at every few seconds; 0 where it is not known."""
    disk_read: int = 0
    """Bytes that its processes had storage read. What the page cache had, or a file system in memory, is none of
    them; 0 where it is not known."""
    disk_written: int = 0
    """Bytes that they had storage write, or that the kernel was to write later."""
    figures: Figures | None = None
    """What the coding agent of the ticket used, if this is its end."""
    values: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """What the command of the ticket told, if this is its end: see `plan.values`."""

    @property
    def used(self) -> Used:
        """The same in one."""
        return Used(self.cpu_seconds, self.peak_memory, self.peak_processes, self.disk_read, self.disk_written)


class StepEnded(_Ended, frozen=True, kw_only=True, tag="step_ended"):
    """A step of an attempt is over, and the attempt goes on: with the next step, or with another try of this one."""

    step: str
    """As in ProcessKey."""
    passed: bool


class StepStarted(Event, frozen=True, tag="step_started"):
    """An attempt goes on with a step that checks what its command did. Remembered before there is a process."""

    ticket: str
    attempt: int
    step: str
    title: str = ""
    """What people call it: the name of a gate, or its command."""
    number: int = 0
    """Of a gate: which one it is, counted from 1."""
    of: int = 0
    """Of a gate: how many there are."""


class CheckFailed(Event, frozen=True, tag="check_failed"):
    """Something that is looked at while an attempt runs is not as its plan wants it."""

    ticket: str
    attempt: int
    check: str
    """What people call it."""
    reason: str
    """What is wrong."""


class CheckHeld(Event, frozen=True, tag="check_held"):
    """What a check had found wrong with an attempt is right again."""

    ticket: str
    attempt: int
    check: str


class AttemptFrozen(Event, frozen=True, tag="attempt_frozen"):
    """Its processes are stopped, its timeout clock stands; slot and claims are kept."""

    ticket: str
    attempt: int
    by: str = ""
    reason: str = ""
    pressure: str = ""
    """Because the host is pressed for this: it is thawed when that is over, unless a person froze it meanwhile."""


class AttemptThawed(Event, frozen=True, tag="attempt_thawed"):
    ticket: str
    attempt: int
    by: str = ""


class AttemptStopRequested(Event, frozen=True, tag="attempt_stop_requested"):
    """The attempt is being ended: TERM, grace, KILL."""

    ticket: str
    attempt: int
    why: StopReason
    now: bool = False
    by: str = ""
    detail: str = ""
    """Why, in words, where `why` does not tell enough."""


class AttemptEnded(_Ended, frozen=True, kw_only=True, tag="attempt_ended"):
    """The attempt is over, with everything that follows for the plan."""

    agent: str
    started: float
    end: End
    then: Status
    """succeeded, failed, cancelled; approval if a person has to approve first; waiting / backoff when it will run
    again."""
    charged: bool = False
    """True: it counts against the retries of the ticket."""
    shunned: str = ""
    """The agent on which it could not start, and that will not be asked again."""
    ticket_at_fault: bool = False
    """True: it could not start because of what the ticket asks for, which says nothing against the agent."""
    host_at_fault: bool = False
    """True: it could not start because the host was short of something. Neither ticket nor agent is to blame."""
    retry_at: float | None = None
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run because of this end."""
    step: str = RUN
    """At which it ended: `outputs` or a gate where what it did was not accepted."""
    half_done: bool = False
    """True: what it did is taken back in part only. Before the ticket runs again, that has to be completed."""
    raised: float = 0.0
    """By what its claim and its limit of memory, as its plan has them, are multiplied from now on; 0: as before."""
    ended_before: bool = False
    """True: it had ended before this, and what it did was taken back since, or merged. The other fields are about
    that."""


class StraysEnded(Event, frozen=True, tag="strays_ended"):
    """Processes were ended that an attempt had left behind. They lived on when its command was over."""

    ticket: str
    attempt: int
    commands: tuple[str, ...]
    """Their command lines, of the first few."""
    count: int
    """How many there were."""
    check: str = ""
    """The check that left them behind, if it was not the ticket. Of a check it is said once in an attempt."""


class WroteUnclaimed(Event, frozen=True, tag="wrote_unclaimed"):
    """The command of an attempt wrote what its ticket does not claim, or not all could be looked at."""

    ticket: str
    attempt: int
    found: Unclaimed


class LogCut(Event, frozen=True, tag="log_cut"):
    """The output of an attempt is longer than its `max_log`. Said once, and again when twice as much is left out."""

    ticket: str
    attempt: int
    left_out: int
    """Bytes between its start and its newest end, in all; 0: it could not be cut."""
    limit: int
    """Its `max_log`, in bytes."""
    problem: str = ""
    """Why it could not be cut."""
