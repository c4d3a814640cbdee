"""What happened: facts in the past tense. State is a fold of these, and nothing else changes it.

The format is a promise: events are kept in the registry and replayed years later. A field may be added with a
default; a field or a kind is never renamed, retyped or removed. Each class writes out its kind as `tag`, so a class
may be renamed. `at` is seconds since the epoch, stamped by the engine; `by` says who asked, and is empty where the
engine acted on a rule. What an event is made of (the tickets of a plan, the steps of an undo) is bound by the same
promise.
"""

from msgspec import Struct

from parexec_tui.core.plan.model import FailurePolicy, Priority, Ticket
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.status import End, Status, StopReason
from parexec_tui.core.state.undo import AnyUndoStep


class Event(Struct, frozen=True, kw_only=True, tag_field="kind", tag=None, omit_defaults=True, gc=False):
    """What all events have in common."""

    at: float


# The milestones of a session, in order: parse, initialise the pool, queue by group, deploy agents, monitor,
# handle conflicts and failures, validate completion, update registry and metrics.


class SessionOpened(Event, frozen=True, tag="session_opened"):
    """The plan was parsed and a session opened for it."""

    session: str
    plan: str
    tickets: int
    parallel: int
    cpus: float
    memory: int
    by: str = ""
    selected: str = ""
    """By what the tickets were chosen, if not all of the plan: as on the command line."""
    of: int = 0
    """Then how many tickets the plan has."""


class PoolInitialised(Event, frozen=True, tag="pool_initialised"):
    """The agent types are known: name to (fewest, most)."""

    types: dict[str, tuple[int, int]]


class TicketsQueued(Event, frozen=True, tag="tickets_queued"):
    """The tickets stand in dependency groups of these sizes."""

    groups: tuple[int, ...]


class AgentsDeployed(Event, frozen=True, tag="agents_deployed"):
    """The first agents (each type's fewest) were started."""

    agents: tuple[str, ...]


class MonitoringStarted(Event, frozen=True, tag="monitoring_started"):
    """An engine of this process watches over the session; once for each engine that owned it."""

    pid: int
    boot: str
    """The boot id of the host: a pid means nothing after a reboot."""
    version: str = ""
    uptime: float | None = None
    """Seconds that the host has run since it booted, the time it was suspended left out. So the next engine of the
    same boot knows how much time has passed, whatever became of the wall clock. None: not known."""
    pid_namespace: str = ""
    """The pid namespace of the engine: in another one its pids mean nothing. Empty: not known, or there are none."""
    died: str | None = None
    """How the engine before this one died, `by signal 9`; empty where nobody saw it. None: it did not die, there was
    none, or it was said when the session was interrupted."""
    away: float | None = None
    """Seconds from the death of that engine to this one; None: not known."""


class FailuresHandled(Event, frozen=True, tag="failures_handled"):
    """Nothing is left to run: what it took, in numbers."""

    retried: int
    failed: int
    cancelled: int
    skipped: int
    quarantined: tuple[str, ...] = ()
    serialised: int = 0
    """Tickets that had to wait for a claim that another held."""
    waived: int = 0
    allowed: int = 0
    """Failures that are allowed; `failed` are the others."""


class CompletionValidated(Event, frozen=True, tag="completion_validated"):
    """Every ticket is accounted for: count by status, failures that are allowed apart. They add up to the tickets of
    the plan."""

    counts: dict[str, int]


class SessionFinished(Event, frozen=True, tag="session_finished"):
    """The last milestone: the registry and its metrics are complete."""

    seconds: float
    """Wall time since the session was opened."""
    busy: float
    """Seconds that attempts ran, all added up."""


class EngineLeft(Event, frozen=True, tag="engine_left"):
    """The engine ended in good order with tickets left; the session can be resumed."""

    reason: str


class SessionInterrupted(Event, frozen=True, tag="session_interrupted"):
    """The engine died again and again and is not started any more. The session has none until another takes over."""

    reason: str


class Neighbour(Struct, frozen=True):
    """A living session that claims the same as this one."""

    session: str
    plan: str
    """The name of its plan."""
    conflict: str
    """What both claim, in words: `a and its T3 both write out`."""


class NeighboursSeen(Event, frozen=True, tag="neighbours_seen"):
    """These sessions live beside this one and claim the same; a person wanted it so. None: they are all over."""

    neighbours: tuple[Neighbour, ...] = ()


class HostPressed(Event, frozen=True, tag="host_pressed"):
    """The host is short of something: nothing new is started until it is relieved. Told again when there is much less
    or more of it."""

    resource: str
    """What it is short of: `disk of the workdir`, `disk of the state folder`, `open files`, `processes`, `memory`."""
    text: str
    """How much there is, and how much is wanted."""
    free: int | None = None
    """Bytes that are free, of a disk; None: not known."""


class HostRelieved(Event, frozen=True, tag="host_relieved"):
    resource: str


FREEZE_REASON = "frozen"
"""The reason of the hold that a freeze of the session brings."""


class SessionHeld(Event, frozen=True, tag="session_held"):
    """Nothing new is started until released."""

    reason: str = ""
    by: str = ""
    freeze: bool | None = None
    """Whether a freeze of the session brought it: only then a thaw of the session releases it. None: the reason
    tells, as it did before there was this field."""

    @property
    def is_freeze(self) -> bool:
        return self.reason == FREEZE_REASON if self.freeze is None else self.freeze


class SessionReleased(Event, frozen=True, tag="session_released"):
    by: str = ""


class SessionDraining(Event, frozen=True, tag="session_draining"):
    """Nothing new is started; what runs may finish, then the engine leaves."""

    reason: str = ""
    by: str = ""


class DrainEnded(Event, frozen=True, tag="drain_ended"):
    """The session drains no more: what is ready is started again."""

    by: str = ""


class SessionStopping(Event, frozen=True, tag="session_stopping"):
    """What runs is ended, then the engine leaves."""

    reason: str = ""
    by: str = ""
    now: bool = False
    """True: without the grace between TERM and KILL."""
    skips_finally: bool = False
    """True: tickets that run at the end are left to a resume as well. False: they run before the engine leaves."""


class AgentStarted(Event, frozen=True, tag="agent_started"):
    agent: str
    type: str


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


class ConflictFound(Event, frozen=True, tag="conflict_found"):
    """A ticket that could start has to wait for a claim of another; once for each time that it gets ready."""

    ticket: str
    holder: str
    reason: str


class DurationsLearned(Event, frozen=True, tag="durations_learned"):
    """Earlier sessions of the plan tell what its tickets take; the longest path is found anew from that."""

    seconds: dict[str, float]
    """Ticket, and the seconds it took."""


class ReservationMade(Event, frozen=True, tag="reservation_made"):
    """A ticket has waited long for resources or claims: from now on others of its class may not delay it.

    There is one reservation at most: this ends the one before. It ends when the ticket waits no more.
    """

    ticket: str
    start_at: float | None = None
    """When it could start; None if nothing tells."""
    ending: tuple[str, ...] = ()
    """The tickets whose ends it waits for."""


class ReservationEnded(Event, frozen=True, tag="reservation_ended"):
    """Nothing is kept free for the ticket any more, though it waits: something else keeps it now."""

    ticket: str


class CheckStarted(Event, frozen=True, tag="check_started"):
    """Before its first attempt, a ticket is asked whether it is done. Remembered before there is a process."""

    ticket: str
    step: str
    """As in ProcessKey; the attempt of that is 0."""


class CheckEnded(Event, frozen=True, tag="check_ended"):
    """The ticket is not done already, so it may start; or nobody could tell."""

    ticket: str
    reason: str = ""
    """Why nobody could tell; empty if the answer was no."""
    again: bool = False
    """It is asked once more before it may start."""
    stale: str = ""
    """Why it is not up to date; empty if that was not asked."""


class TicketSatisfied(Event, frozen=True, tag="ticket_satisfied"):
    """The ticket is done already: it has succeeded without an attempt."""

    ticket: str
    reason: str


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


class StepEnded(Event, frozen=True, tag="step_ended"):
    """A step of an attempt is over, and the attempt goes on: with the next step, or with another try of this one."""

    ticket: str
    attempt: int
    step: str
    """As in ProcessKey."""
    seconds: float
    """How long it ran, without the time it was frozen."""
    passed: bool
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    """Why it did not pass."""
    error_line: str = ""
    """As in AttemptEnded."""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    """Both as in AttemptEnded."""


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
    """Its processes are stopped, its time-out clock stands; slot and claims are kept."""

    ticket: str
    attempt: int
    by: str = ""
    reason: str = ""


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


class AttemptEnded(Event, frozen=True, tag="attempt_ended"):
    """The attempt is over, with everything that follows for the plan."""

    ticket: str
    attempt: int
    agent: str
    started: float
    seconds: float
    """How long it ran, without the time it was frozen."""
    end: End
    then: Status
    """succeeded, failed, cancelled; approval if a person has to approve first; waiting / backoff when it will run
    again."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
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
    cpu_seconds: float = 0.0
    """User and system time of its processes; 0 where it is not known."""
    peak_memory: int = 0
    """Bytes: the most that its processes were seen to use together, looked at every few seconds, or what the largest
    of them used, if that is more. Known only from the last start of the engine on; 0 where it is not known."""
    error_line: str = ""
    """Of a failure: the line of its output that says what went wrong, safe to print. See `text.error_line`."""
    step: str = RUN
    """At which it ended: `outputs` or a gate where what it did was not accepted."""


class SnapshotTaken(Event, frozen=True, tag="snapshot_taken"):
    """What the files of a ticket were before an attempt is kept, until it is dropped."""

    ticket: str
    attempt: int
    files: int
    size: int
    """Bytes of them."""


class SnapshotDropped(Event, frozen=True, tag="snapshot_dropped"):
    """What a snapshot kept cannot be restored any more: a newer attempt has another one, or it took too much room."""

    ticket: str
    attempt: int


class RollbackAsked(Event, frozen=True, tag="rollback_asked"):
    """A person wants what these tickets did taken back, one after another. Until that is done nothing is started."""

    tickets: tuple[str, ...]
    """In the order in which it happens: each before those that it needs."""
    by: str = ""
    rerun: bool = False
    """True: afterwards they run again."""


class RollbackStarted(Event, frozen=True, tag="rollback_started"):
    """What the newest attempt of a ticket did is being taken back. Remembered before there is a process."""

    ticket: str
    attempt: int
    step: str
    """The first one that does it; as in ProcessKey."""
    outcome: AttemptEnded | None = None
    """How the attempt ends when that is done; None: it has ended, and a person wants it taken back."""
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped because of it; they wait until it is done."""


class RollbackEnded(Event, frozen=True, tag="rollback_ended"):
    """What a person wanted taken back is."""

    reason: str = ""
    """Why the rest is not, if it is not."""


class StraysEnded(Event, frozen=True, tag="strays_ended"):
    """Processes were ended that an attempt had left behind. They lived on when its command was over."""

    ticket: str
    attempt: int
    commands: tuple[str, ...]
    """Their command lines, of the first few."""
    count: int
    """How many there were."""


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


class BackoffEnded(Event, frozen=True, tag="backoff_ended"):
    ticket: str


class TicketHeld(Event, frozen=True, tag="ticket_held"):
    ticket: str
    by: str = ""


class TicketReleased(Event, frozen=True, tag="ticket_released"):
    ticket: str
    by: str = ""


class TicketCancelled(Event, frozen=True, tag="ticket_cancelled"):
    """A ticket that was not running will not run."""

    ticket: str
    by: str = ""
    skipped: tuple[str, ...] = ()


class TicketUnrunnable(Event, frozen=True, tag="ticket_unrunnable"):
    """No agent is left that could run it."""

    ticket: str
    reason: str
    skipped: tuple[str, ...] = ()


class TicketRetried(Event, frozen=True, tag="ticket_retried"):
    """The ticket will run again, with its retries as at first."""

    ticket: str
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped and may run again."""
    rerun: tuple[str, ...] = ()
    """Tickets downstream that have run, and will run again as well."""
    note: str = ""
    """Why, or what to mind this time."""


class FinallyAgain(Event, frozen=True, tag="finally_again"):
    """Other tickets run again, so those that run at the end will do so once more."""

    tickets: tuple[str, ...]
    """Those that have run."""
    restored: tuple[str, ...] = ()
    """Those of them that were skipped, and may run again."""


class ApprovalAsked(Event, frozen=True, tag="approval_asked"):
    """A ticket could start but for the approval of a person; once for each time that it gets there."""

    ticket: str


class TicketApproved(Event, frozen=True, tag="ticket_approved"):
    """A person approved: a ticket that waited for that before its start may start, one whose attempt is over has
    succeeded."""

    ticket: str
    by: str = ""
    """`--yes` where the option of that name approved."""
    note: str = ""
    """What to mind; the next attempt gets it."""


class TicketRejected(Event, frozen=True, tag="ticket_rejected"):
    """A person did not approve. A ticket whose attempt is over will run again, with its retries as they were; one
    that had yet to start will not run."""

    ticket: str
    by: str = ""
    note: str = ""
    """Why; the next attempt gets it."""
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run because of this."""


class TicketWaived(Event, frozen=True, tag="ticket_waived"):
    """A person decided that the ticket will not run, and that its dependents may run without it."""

    ticket: str
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped and may run again."""


class TicketRestored(Event, frozen=True, tag="ticket_restored"):
    """A cancel, waive, retry, approval or rejection of the ticket was undone: it is what it was before."""

    ticket: str
    then: Status
    by: str = ""
    skipped: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


class TicketPinned(Event, frozen=True, tag="ticket_pinned"):
    """Only this agent, or agents of this type, may run the ticket; empty: any agent that can."""

    ticket: str
    agent: str
    by: str = ""


class PriorityChanged(Event, frozen=True, tag="priority_changed"):
    ticket: str
    priority: Priority
    by: str = ""


class PlanAmended(Event, frozen=True, tag="plan_amended"):
    """Tickets were added, changed and dropped, all at once. What is changed or dropped was not running."""

    added: dict[str, Ticket] = {}
    changed: dict[str, Ticket] = {}
    """The whole new ticket by id."""
    dropped: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run: they have a lost need now."""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped, and have no lost need any more."""
    by: str = ""


class AgentTypeHeld(Event, frozen=True, tag="agent_type_held"):
    """No ticket starts on agents of this type, and none of them is started, until released."""

    type: str
    by: str = ""


class AgentTypeReleased(Event, frozen=True, tag="agent_type_released"):
    type: str
    by: str = ""


class TypeScaled(Event, frozen=True, tag="type_scaled"):
    """There may be this many agents of the type."""

    type: str
    most: int | None
    """None: as many as tickets run at once."""
    by: str = ""


class ParallelChanged(Event, frozen=True, tag="parallel_changed"):
    """This many tickets may run at once."""

    parallel: int
    by: str = ""


class FailurePolicyChanged(Event, frozen=True, tag="failure_policy_changed"):
    """What happens from now on when a ticket has failed for good."""

    policy: FailurePolicy
    by: str = ""


class OperatorActed(Event, frozen=True, tag="operator_acted"):
    """A person asked for something and it was granted; the events that grant it follow."""

    by: str
    verb: str
    text: str
    """What was asked, in words."""
    inverse: tuple[AnyUndoStep, ...] = ()
    """What would take it back; none where nothing can."""
    why_final: str = ""
    """Why nothing can take it back, where nothing can."""
    left_out: tuple[str, ...] = ()
    """What was asked as well and refused: the reason for each ticket, agent or type. `text` does not name it."""
    undone: float | None = None
    """Of an undo: when that was done which it takes back, if it was too late for what was done after that."""


AnyEvent = (
    SessionOpened
    | PoolInitialised
    | TicketsQueued
    | AgentsDeployed
    | MonitoringStarted
    | FailuresHandled
    | CompletionValidated
    | SessionFinished
    | EngineLeft
    | SessionInterrupted
    | NeighboursSeen
    | HostPressed
    | HostRelieved
    | SessionHeld
    | SessionReleased
    | SessionDraining
    | DrainEnded
    | SessionStopping
    | AgentStarted
    | AgentHeld
    | AgentReleased
    | AgentDraining
    | AgentQuarantined
    | AgentStopped
    | ConflictFound
    | DurationsLearned
    | ReservationMade
    | ReservationEnded
    | CheckStarted
    | CheckEnded
    | TicketSatisfied
    | AttemptStarted
    | AttemptSpawned
    | StepEnded
    | StepStarted
    | CheckFailed
    | CheckHeld
    | AttemptFrozen
    | AttemptThawed
    | AttemptStopRequested
    | AttemptEnded
    | SnapshotTaken
    | SnapshotDropped
    | RollbackAsked
    | RollbackStarted
    | RollbackEnded
    | StraysEnded
    | LogCut
    | BackoffEnded
    | TicketHeld
    | TicketReleased
    | TicketCancelled
    | TicketUnrunnable
    | TicketRetried
    | FinallyAgain
    | ApprovalAsked
    | TicketApproved
    | TicketRejected
    | TicketWaived
    | TicketRestored
    | TicketPinned
    | PriorityChanged
    | PlanAmended
    | AgentTypeHeld
    | AgentTypeReleased
    | TypeScaled
    | ParallelChanged
    | FailurePolicyChanged
    | OperatorActed
)
