"""Requests (what a person or a script asks of the engine) and reports (what a process or a timer tells it).

Both go to `decide`, which answers with events; a request may be met with a `Refusal` instead.
"""

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.plan_settings import FailurePolicy
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.state.used import Used

if TYPE_CHECKING:
    from parexec_tui.core.state.events import Neighbour


class Request(Struct, frozen=True, kw_only=True, tag_field="verb", tag=None, omit_defaults=True):
    """What somebody asks for. `by` says who; the engine fills it in from the connection."""

    by: str = ""


class Scope(Request, frozen=True):
    """What a request is about: these tickets, agents, agent types, services and hosts; none named: the session."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """Only freeze and thaw can be about them."""
    hosts: tuple[str, ...] = ()
    """Other machines of the plan. Freeze and thaw are about what runs there."""

    @property
    def is_session(self) -> bool:
        return not (self.tickets or self.agents or self.types or self.services or self.hosts)


class Hold(Scope, frozen=True, tag="hold"):
    """Do not start. A ticket that runs finishes; it is not tried again until released.

    Of a type or a host: no ticket starts on its agents, and none of them is started.
    """

    reason: str = ""
    """Why the session is held."""


class Release(Scope, frozen=True, tag="release"):
    """Undo a hold. This also ends the draining and quarantine of an agent, the draining of the session, and the rest
    of the account of a type: one ticket tries it at once."""


class Drain(Scope, frozen=True, tag="drain"):
    """Start nothing new, let running finish. A drained agent then stops; a drained session ends.

    A drained type or host is held, and its agents are drained; a drained ticket is held.
    """

    reason: str = ""


class Freeze(Scope, frozen=True, tag="freeze"):
    """Stop the processes of these tickets and services, or of what these agents or types run. Of the session: freeze
    everything that runs, and hold the session."""


class Thaw(Scope, frozen=True, tag="thaw"):
    """Let frozen tickets and services go on. Of the session: also release the hold that its freeze made."""


class Restart(Request, frozen=True, tag="restart"):
    """Stop these services and start them again, or start those again that failed; their restarts are counted anew.
    What becomes of the tickets that use one and run is what its plan says for its death."""

    services: tuple[str, ...]


class Cancel(Request, frozen=True, tag="cancel"):
    """Do not run these tickets, or end them. What needs them is skipped."""

    tickets: tuple[str, ...]
    now: bool = False
    """Send KILL at once, without the grace after TERM; also to what is being stopped already."""


class Waive(Request, frozen=True, tag="waive"):
    """Do not run these tickets; what needs them may run without them."""

    tickets: tuple[str, ...]


class Retry(Request, frozen=True, tag="retry"):
    """Run these tickets again; they are over."""

    tickets: tuple[str, ...]
    downstream: bool = False
    """Also run again what depends on them, if it has run."""
    run: str | None = None
    """Another command from now on; for one ticket only."""
    agent: str | None = None
    """The agent or agent type to run them."""
    uses: dict[str, Any] | None = None
    """Other amounts of these resources from now on, as they would stand in the plan file; null: none of it."""
    env: dict[str, str] | None = None
    """Values of these environment variables from now on, over those that the tickets have."""
    note: str = ""
    budget: str = ""
    """What coding agents may spend on each from now on, as it would stand in the plan file; empty: as before."""


class Rollback(Request, frozen=True, tag="rollback"):
    """Take back what these tickets did, which are over: by their `rollback`, and by the snapshot of their files."""

    tickets: tuple[str, ...]
    downstream: bool = False
    """Also what has run after them and needs them; that first."""
    rerun: bool = False
    """Afterwards let all of them run again."""
    force: bool = False
    """Also where others have written since what is restored."""


class Approve(Request, frozen=True, tag="approve"):
    """Let tickets go on that wait for approval: what has yet to start may start, what has run has succeeded."""

    tickets: tuple[str, ...]
    note: str = ""
    """What to mind; an attempt that starts after it gets it."""


class AnswerAgent(Request, frozen=True, tag="answer"):
    """Answer tickets whose coding agents ask something: one that waits for that goes on, one that ended for it runs
    again, in the same conversation, and no retry is charged."""

    tickets: tuple[str, ...]
    answer: str = ""
    """`yes`, `no`, `always`, or any text: of what it may choose, its agent knows the words."""
    about: str = ""
    """Words of the question that is meant: if they do not stand in what it asks now, it is refused."""
    questions: dict[str, str] = {}
    """{ticket: the name of the question that was shown, as in `Asks`}: refused if it asks another by now."""
    allow: tuple[str, ...] = ()
    """What it may do from now on, in the words of its CLI: `Bash(git push *)`."""


class Merge(Request, frozen=True, tag="merge"):
    """Decide on the conflict of tickets that wait for that, and let what they did be merged."""

    tickets: tuple[str, ...]
    side: Literal["", "ours", "theirs"] = ""
    """ours: what is merged already wins; theirs: what the ticket did."""
    run: str = ""
    """A command that resolves it, where the ticket worked: the conflict is marked there as git does."""
    onto: str = ""
    """The commit of the target with which the conflict was shown: refused if it is another conflict by now."""


class Reject(Request, frozen=True, tag="reject"):
    """Do not approve: a ticket that has run is sent back to run again, no retry is charged; one that has yet to start
    is cancelled."""

    tickets: tuple[str, ...]
    note: str = ""
    """Why; the next attempt gets it."""


class PutBack(Request, frozen=True, tag="restore"):
    """Take back that these tickets were cancelled, waived, retried, approved or sent back, or their conflicts
    decided, if nothing followed from it yet: for `undo`."""

    tickets: tuple[str, ...]
    since: Literal["cancelled", "waived", "waiting", "succeeded", "validating"]
    """The status that they got by what is taken back. They must still have it."""


class Reassign(Request, frozen=True, tag="reassign"):
    """Pin these tickets to an agent, an agent type or a host. One that runs elsewhere is stopped on purpose and moves
    there."""

    tickets: tuple[str, ...]
    agent: str
    """Also `host:NAME`. Empty: any agent that can run them may do so; no ticket is stopped."""
    now: bool = False
    """Also give up what runs on a host that is not reached, before its lease there is over: it may run twice."""


class Prioritise(Request, frozen=True, tag="prioritise"):
    """Put these tickets in another priority class."""

    tickets: tuple[str, ...]
    priority: Priority


class Scale(Request, frozen=True, tag="scale"):
    """Change how many agents of a type there may be, or how many tickets run at once on a host; with no type, how
    many tickets run at once."""

    most: int | None
    """None: what the plan says, for a type or a host."""
    type: str | None = None
    """Also `host:NAME`."""
    relative: bool = False
    """True: `most` is added to what holds now."""
    auto: bool = False
    """True: the engine finds out by itself how many tickets run at once; `most` and `type` are None."""
    budget: str = ""
    """Not that, but what coding agents may spend, all or of that type, as it would stand in the plan file; `plan`: as
    that says. `most` is None."""


class SetFailurePolicy(Request, frozen=True, tag="on_failure"):
    """Change what happens from now on when a ticket fails for good (the verb `on-failure`)."""

    policy: FailurePolicy


class Edit(Request, frozen=True, tag="edit"):
    """Change keys of a ticket that is not running, as they would stand in the plan file."""

    ticket: str
    changes: dict[str, Any]
    """None puts a key back to its default."""


class Amend(Request, frozen=True, tag="amend"):
    """Change the plan itself: tickets and agent types added, changed and dropped, checked as a plan is (the verbs add
    and reload)."""

    added: dict[str, Ticket] = {}
    changed: dict[str, Ticket] = {}
    dropped: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    """Changed tickets that are over: run them again with their changes."""
    gates: dict[str, Gates] = {}
    """New gates of groups and of the plan, by the ids of the tickets that stand for them: `@3`, `@build`, `@plan`.
    None: they have no gates any more. Those that have run with others run again."""
    numbers: dict[str, int] = {}
    """In a session of some tickets of a plan: the numbers that dependency groups of tickets have in the plan file,
    from 1; 0: it follows from what the ticket needs."""
    variables: dict[str, str] | None = None
    """The variables of the plan, as they are from now on; None: as before."""
    profile: str = ""
    sets: dict[str, str] = {}
    """With `variables`, what a person said of them: see `Given`."""
    families: dict[str, Family] = {}
    """{family: its limits from now on}; one without any has none any more."""
    beside: bool = False
    """What is added stands beside the plan file: a reload leaves it."""
    agents: dict[str, AgentType | None] = {}
    """{agent type: the whole new one}, for what starts from now on; None: there is no such type any more."""
    hosts: dict[str, HostSpec | None] = {}
    """{host: the whole new one}; None: there is no such host any more."""


class Undo(Request, frozen=True, tag="undo"):
    """Take back the last thing that a person did. Refused if it cannot be taken back; nothing older is touched,
    unless it is named and it is too late for all that was done after it."""

    at: float | None = None
    """When that was done, in seconds since the epoch: refused if the last thing was done at another time."""
    text: str = ""
    """What was done, in the words of the event: refused if the last thing was something else."""


class Stop(Request, frozen=True, tag="stop"):
    """End what runs and leave; the session can be resumed."""

    now: bool = False
    reason: str = ""
    skip_finally: bool = False
    """Leave tickets that run at the end to a resume as well. A second stop, and one with `now`, do that too."""


AnyRequest = (
    Hold
    | Release
    | Drain
    | Freeze
    | Thaw
    | Restart
    | Cancel
    | Waive
    | Retry
    | AnswerAgent
    | Approve
    | Merge
    | Reject
    | PutBack
    | Rollback
    | Reassign
    | Prioritise
    | Scale
    | SetFailurePolicy
    | Edit
    | Amend
    | Undo
    | Stop
)


class Refusal(Struct, frozen=True):
    """No, and why; `remedy` is what would make it possible."""

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason


class ChangedSince(Struct, frozen=True):
    """What is not as attempts left it, though a restore would overwrite it."""

    files: tuple[str, ...] = ()
    """From the folder on where the patterns of the plan start."""
    is_known: bool = True
    """False: it was not noted what they left."""


class _OfStep(Struct, frozen=True, gc=False, kw_only=True):
    step: str = RUN


class Report(_OfStep, frozen=True, gc=False, tag_field="report"):
    """What became of one process of a ticket."""

    ticket: str
    attempt: int

    @property
    def key(self) -> ProcessKey:
        """The name of the process."""
        return ProcessKey(self.ticket, self.attempt, self.step)


class ProcessStarted(Report, frozen=True, gc=False, tag="started"):
    pid: int
    birth: float


class Said(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the minder of a coding agent says of its end: see `agents.facts`."""

    end: str
    """See `agents.ends`."""
    why: str = ""
    until: float | None = None
    """When what stands in the way is over, in seconds since the epoch."""
    session: str = ""
    """Its conversation."""
    model: str = ""
    cost: float | None = None
    """US dollars, of this attempt; None: not known."""
    inp: int | None = None
    """Tokens that it read anew, wrote, and had from a cache; None: not known."""
    out: int | None = None
    cached: int | None = None
    turns: int | None = None
    is_least: bool = False
    """True: it ended before it could tell all that it used."""
    is_computed: bool = False
    """True: its dollars follow from tokens and prices."""


class ProcessEnded(Report, frozen=True, gc=False, tag="ended"):
    """The process is gone and its exit is proved: by the exit record, or by the signal that killed its shell."""

    code: int | None = None
    signal: int | None = None
    problem: str = ""
    """Why the command could not be started, where it could not."""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    """Bytes, as in AttemptEnded."""
    ticket_at_fault: bool = False
    """True: what the ticket asks for cannot be started anywhere, at any time."""
    log_size: int = 0
    """Bytes that it wrote, if it failed and wrote much."""
    free: int | None = None
    """Bytes that were free on the disk of its log then; None: not known."""
    stopped_for: StopReason | None = None
    """Why an engine before this one ended it, if that engine could not remember why."""
    host_short_of: str = ""
    """What the host had too little of to start the command, as in HostPressed. The command never began."""
    taken: dict[str, tuple[str, ...]] = {}
    """{resource: units that it was to have, and that other programs have}. The command never began."""
    lost: tuple[str, ...] = ()
    """As in MergesLost, if the ticket needs what was merged with them. The command never began."""
    error_line: str = ""
    """As in AttemptEnded; of one that was ended on purpose as well."""
    out_of_memory: str = ""
    """With which figures, if the kernel ended it or a part of it for want of memory: `at 64MiB of 64MiB`."""
    ended: float | None = None
    """When it ended, if no engine saw that; seconds since the epoch, as its exit record has it."""
    peak_processes: int = 0
    """As in AttemptEnded, like the next two."""
    disk_read: int = 0
    disk_written: int = 0
    values: dict[str, str] = {}
    """What the command of a ticket told: see `plan.values`."""
    bad_values: str = ""
    """What is wrong with that; then it told nothing."""
    said: Said | None = None
    """Of a coding agent: how it ended; None: nothing is known but its exit code."""

    @property
    def used(self) -> Used:
        """What it used, in one."""
        return Used(self.cpu_seconds, self.peak_memory, self.peak_processes, self.disk_read, self.disk_written)


class ProcessLost(Report, frozen=True, gc=False, tag="lost"):
    """The process is gone, and nothing tells how it ended."""

    reason: str
    began: bool = True
    """False: it is proved that the command never began, so another try is free."""
    stopped_for: StopReason | None = None
    """As in ProcessEnded."""
    error_line: str = ""
    """As in ProcessEnded."""
    host_at_fault: bool = False
    """Its host ended it, as it was cut off for longer than a lease, or was booted again: another try is free."""


class OutputsChecked(Report, frozen=True, gc=False, tag="outputs"):
    """Whether the attempt wrote what its ticket must write."""

    problems: tuple[str, ...]
    """What is wrong, in words; empty if nothing is."""


class TicketsRead(Report, frozen=True, gc=False, tag="tickets"):
    """What the command of the attempt generated."""

    tickets: dict[str, Ticket] | None = None
    """All of it, checked with the plan; None: the same as before, or nobody knows."""
    problem: str = ""
    """Why it cannot join."""
    amended: int = 0
    """How often the plan had been amended that it was checked with."""


class ClaimsChecked(Report, frozen=True, gc=False, tag="claims"):
    """What the command of the attempt wrote that its ticket does not claim."""

    found: Unclaimed


class DoneChecked(Report, frozen=True, gc=False, tag="done"):
    """Whether all the files are there by which a ticket is done already."""

    done: bool


class FreshnessChecked(Report, frozen=True, gc=False, tag="freshness"):
    """Whether the ticket is as it was after its last success."""

    stale: str = ""
    """Why it is not; empty: it is up to date."""
    values: dict[str, str] = {}
    """Then what it told when it succeeded: see `plan.values`."""
    tickets: dict[str, Ticket] | None = None
    amended: int = 0
    """And what it generated then, as in TicketsRead."""


class SnapshotMade(Report, frozen=True, gc=False, tag="snapshot"):
    """What the files of the ticket were before the attempt is kept."""

    files: int
    size: int
    """As in SnapshotTaken."""


class FilesRestored(Report, frozen=True, gc=False, tag="restored"):
    """The files of the ticket are what they were before the attempt, unless there were problems."""

    problems: tuple[str, ...] = ()
    """What is not as it was, in words."""


class Work(Struct, frozen=True, gc=False):
    """What an attempt did in its worktree, as commits."""

    base: str
    """Where it began."""
    commit: str
    """Of what it did, alone."""
    onto: str
    """The newest commit of the target that it was tried with."""
    merged: str
    """Of both; empty: the attempt changed nothing that is not there."""


class Conflict(Struct, frozen=True, gc=False):
    """What an attempt did changes the same as what was merged meanwhile."""

    base: str
    commit: str
    onto: str
    """As in Work."""
    files: tuple[str, ...]
    """The first of those in conflict, seen from the top of the repository."""
    count: int
    """Of all of them."""
    tickets: tuple[str, ...] = ()
    """What the other side is from, as far as that is known."""


class WorktreeMade(Report, frozen=True, gc=False, tag="worktree"):
    """The attempt works in a worktree."""

    path: str
    base: str
    aside: str = ""
    why_aside: str = ""
    """As in the event of that name; in a step that resolves a conflict as in ResolutionLeft."""
    left_out: str = ""
    """The commit of what the attempt before left, if this one was to go on with that, and it does not fit."""
    is_new: bool = False
    """Whether it was to go on with that, and nothing of it is there."""


class Foreseen(Struct, frozen=True, gc=False):
    """What two tickets did so far in their worktrees will conflict."""

    one: str
    other: str
    files: tuple[str, ...]
    """The first of those in conflict, seen from the top of the repository."""
    count: int
    """Of all of them."""


class ConflictsForeseen(Struct, frozen=True, gc=False, tag_field="report", tag="foreseen"):
    """All coming conflicts between these tickets, as far as is known."""

    tickets: tuple[str, ...]
    found: tuple[Foreseen, ...]


class MergesLost(Struct, frozen=True, gc=False, tag_field="report", tag="lost_merges"):
    """Somebody moved branches back: they do not have these commits any more, which were merged into them."""

    commits: tuple[str, ...]


class WorktreeSized(Report, frozen=True, gc=False, tag="worktree_size"):
    """How much the worktree of an attempt takes that was not merged."""

    size: int
    """Bytes."""
    stays: str = ""
    """As in WorktreeKept."""


class WorkTried(Report, frozen=True, gc=False, tag="work"):
    """What an attempt did in its worktree is committed, or merged; with neither, the target has moved since."""

    work: Work | None = None
    conflict: Conflict | None = None
    problem: str = ""
    """Why neither could be done, in words."""
    checkout: str | None = None
    """Of a merge: why the checkout was not updated; empty: it was; None: it was not to be."""
    holds: str = ""
    """Of a commit: as in RepositoryLeft."""
    unclaimed: Unclaimed | None = None
    """Of a commit: what is in it that the ticket does not claim, if that was looked for and there is any."""
    lacks: str = ""
    """As in RoomAwaited or, if the step has a process, in SecretAwaited: nothing is done, and it is asked for
    again soon."""


class ConflictSeen(Report, frozen=True, gc=False, tag="seen"):
    """The conflict of an attempt that waits for a decision was looked at again, as its target has moved."""

    conflict: Conflict | None = None
    """What it is now; None: nothing else than before, or nobody knows."""
    is_gone: bool = False
    """Whether there is none any more: what the attempt did can be merged."""


class CheckMade(Report, frozen=True, gc=False, tag="check"):
    """What a check of the ticket found, while its command runs."""

    number: int
    """Of the check among those of the ticket, counted from 0."""
    problem: str = ""
    """What is wrong; empty if nothing is."""


class OutputSearched(Report, frozen=True, gc=False, tag="searched"):
    """What the last look at the output found, when the command had ended."""

    found: tuple[tuple[int, str], ...] = ()
    """(check that failed, as in CheckMade; what is wrong)"""


class ServiceAnswered(Report, frozen=True, gc=False, tag="answered"):
    """What a service has to do to be ready, it did: its port answers, or it printed the text."""


class StraysFound(Report, frozen=True, gc=False, tag="strays"):
    """What the process left behind when it was over, and that was ended. May come after its end."""

    commands: tuple[str, ...]
    """Command lines, of the first few."""
    count: int


class LogTooLong(Report, frozen=True, gc=False, tag="log_too_long"):
    """What the process wrote is longer than `max_log`. May come after its end."""

    left_out: int
    """As in LogCut."""
    limit: int
    problem: str = ""


class LogFlooded(Report, frozen=True, gc=False, tag="log_flooded"):
    """What the process writes fills the disk."""

    size: int
    """Bytes that it wrote in all."""
    now: bool = False
    """True: the disk is short already, so there is no time for a grace."""


class LogSilent(Report, frozen=True, gc=False, tag="silent"):
    """The command prints nothing, or prints again."""

    seconds: float
    """For how long it has printed nothing, without the time it was frozen; 0: it prints again."""


class TimeoutElapsed(Report, frozen=True, gc=False, tag="timed_out"):
    """The attempt used up the timeout of its ticket."""


class BackoffElapsed(Struct, frozen=True, gc=False):
    ticket: str


class DiskMeasured(Struct, frozen=True, gc=False):
    """How much is free on one file system that the session needs."""

    resource: str
    """As in HostPressed."""
    folder: str
    free: int | None
    """Bytes; None: it could not be found out."""


class PortsTried(Struct, frozen=True, gc=False, tag_field="report", tag="ports"):
    """Of the ports that were set aside, those that other programs still have."""

    resource: str
    taken: tuple[str, ...]


class SecretsFound(Struct, frozen=True, gc=False, tag_field="report", tag="secrets"):
    """What was found of the secrets that the plan names: their names alone."""

    unknown: dict[str, str]
    """As in SecretsLooked."""
    known: tuple[str, ...]


class HostShort(Struct, frozen=True, gc=False, tag_field="report", tag="short"):
    """The host has too little of something to start processes, or has enough of it again."""

    resource: str
    """As in HostPressed."""
    text: str
    """How much there is; empty: it is short of it no more."""


class HostSeen(Struct, frozen=True, gc=False, tag_field="report", tag="host_seen"):
    """Another machine answers, and can be used. Told when that is new, or what it has is not as before."""

    host: str
    cpus: float
    memory: int
    """Bytes that it has in all."""
    boot: str
    """As in HostReached."""
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    python: str = ""
    """The version of the Python that is used there."""


class HostGone(Struct, frozen=True, gc=False, tag_field="report", tag="host_gone"):
    """Another machine does not answer any more."""

    host: str
    reason: str
    since: float
    """As in HostUnreachable."""


class HostBad(Struct, frozen=True, gc=False, tag_field="report", tag="host_bad"):
    """Another machine answers, and cannot be used."""

    host: str
    reason: str
    """With what mends it."""


class LeaseElapsed(Struct, frozen=True, gc=False, tag_field="report", tag="lease"):
    """The time may be over for which a ticket goes on although its host is not reached."""

    ticket: str


class NeighboursChanged(Struct, frozen=True, gc=False):
    """Which living sessions claim the same is not as before."""

    found: "tuple[Neighbour, ...]" = ()
    """Those that do now."""
    left: tuple[str, ...] = ()
    """Those that are over, or whose engines are dead, by id."""


class HistoryRead(Struct, frozen=True, gc=False):
    """What earlier sessions of the plan tell of its tickets."""

    tickets: dict[str, TicketHistory]


class OrderSearched(Struct, frozen=True):
    """An order of dispatch was found that is better than the longest path, for the tickets that are left."""

    tickets: tuple[str, ...]
    """The first one first."""
    seconds: float
    """From now until the last ticket ends in that order."""
    before: float
    """The same by the longest path."""


class EtaFound(Struct, frozen=True, gc=False):
    """What the ETA says now, for the journal. See EtaTold."""

    p50: float
    p90: float


class Activity(Struct, frozen=True, gc=False):
    """How busy the host was a moment ago, within the limits of the engine's cgroup."""

    cpu: float
    """Share of its CPUs in the last half second."""
    cpu_wait: float | None = None
    """Share of the last seconds in which somebody waited for a CPU (PSI); None: the kernel does not tell."""
    runnable: float | None = None
    """Processes per CPU that ran, or could, on average of the last seconds; None: the same."""
    memory_wait: float | None = None
    """Share of the last seconds in which somebody waited for memory (PSI); None: the same."""
    memory_low: int | None = None
    """Bytes of memory that were available at least in the last seconds; None: not known."""


class HostMeasured(Struct, frozen=True, gc=False):
    """What the host has now. It is told every second or so; what has not changed much leads to no event."""

    memory_available: int
    """Bytes, within the limits of the engine's cgroup."""
    memory_total: int
    used: dict[str, int] = {}
    """{live ticket: bytes that its processes used when they were looked at last}"""
    disk_free: int | None = None
    """Bytes that are free on the disk of the session that has least; None: not known."""
    io: float | None = None
    """Share of the last 10 seconds in which somebody waited for a disk (PSI); None: the kernel does not tell."""
    load: float | None = None
    """The load of the last minute."""
    activity: Activity | None = None
    """None: it is of no interest, or not known yet."""
    disk_used: dict[str, int] = {}
    """{live ticket: bytes that its processes read from disks and wrote to them lately}, of those that did."""


class AgentSaid(Report, frozen=True, gc=False, tag="said"):
    """What a coding agent told while it runs, of what is remembered: told once, and again if it changes."""

    conversation: str = ""
    model: str = ""
    version: str = ""
    mode: str = ""
    speaks: bool = False
    """Whether it has said or done anything: then its provider answers."""
    question: str = ""
    """The id of what it asks a person, the oldest first; empty: nothing."""
    asks: str = ""
    choices: tuple[str, ...] = ()
    number: int = 0
    """Which of its questions that is, from 1 on; 0: none, or that is not known."""
    asked: int = 0
    """How many it has asked."""
    later: tuple["Question", ...] = ()
    """What it asks beside that."""


class Question(Struct, frozen=True, gc=False):
    """What a coding agent asks a person."""

    number: int
    id: str
    what: str
    choices: tuple[str, ...] = ()


class RestElapsed(Struct, frozen=True, gc=False):
    """The time is over for which an account rests."""

    account: str


class IdleElapsed(Struct, frozen=True, gc=False):
    """The agent has been idle for so long that its type can do with one less."""

    agent: str


AnyReport = (
    ProcessStarted
    | ProcessEnded
    | AgentSaid
    | RestElapsed
    | ProcessLost
    | OutputsChecked
    | TicketsRead
    | ClaimsChecked
    | DoneChecked
    | FreshnessChecked
    | SnapshotMade
    | FilesRestored
    | WorktreeMade
    | WorkTried
    | WorktreeSized
    | ConflictSeen
    | ConflictsForeseen
    | MergesLost
    | CheckMade
    | OutputSearched
    | ServiceAnswered
    | StraysFound
    | LogTooLong
    | LogFlooded
    | LogSilent
    | TimeoutElapsed
    | BackoffElapsed
    | DiskMeasured
    | HostShort
    | PortsTried
    | SecretsFound
    | NeighboursChanged
    | HistoryRead
    | OrderSearched
    | EtaFound
    | HostMeasured
    | IdleElapsed
    | HostSeen
    | HostGone
    | HostBad
    | LeaseElapsed
)
