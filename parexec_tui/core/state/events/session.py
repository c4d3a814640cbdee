"""What happened to a session as a whole, to its host and its plan, and what persons asked for.

The first ones are the milestones of a session, in order: parse, initialise the pool, queue by group, deploy agents,
monitor, handle conflicts and failures, validate completion, update registry and metrics.
"""

from msgspec import Struct, field

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.plan_settings import FailurePolicy
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.events.event import Event
from parexec_tui.core.state.undo import AnyUndoStep


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
    auto: bool = False
    """True: the engine finds out by itself how many run at once; it begins with `parallel`."""
    traceparent: str = ""
    """The span that it is a part of, as W3C's `traceparent` says it; empty: of none."""
    unrestricted: tuple[str, ...] = ()
    """The agent types of coding CLIs that may do everything (`permissions = "all"`)."""


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
    unwanted: int = 0
    """Tickets that are not wanted; `skipped` are the others."""


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
    """What it is short of: `disk of the workdir`, `disk of the state folder`, `disk of the repository`, `open
    files`, `processes`, `memory`, `room in /repository/.git/objects`."""
    text: str
    """How much there is, and how much is wanted."""
    free: int | None = None
    """Bytes that are free, of a disk; None: not known."""


class HostRelieved(Event, frozen=True, tag="host_relieved"):
    resource: str


class UnitsSetAside(Event, frozen=True, tag="units_set_aside"):
    """Of this resource these units, and no others, are given to nobody: other programs have them."""

    resource: str
    units: tuple[str, ...] = ()


class SecretsLooked(Event, frozen=True, tag="secrets_looked"):
    """The engine looked for the secrets that the plan names. What they are is in no event."""

    unknown: dict[str, str] = field(default_factory=dict)
    """{secret: why it is not known, and what to do}"""
    known: tuple[str, ...] = ()


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


class DurationsLearned(Event, frozen=True, tag="durations_learned"):
    """Earlier sessions of the plan tell what its tickets take; the longest path is found anew from that."""

    seconds: dict[str, float]
    """{ticket: the median of what it took}, also of those of which the plan has an estimate. Journals of earlier
    versions say nothing of those."""
    sigmas: dict[str, float] = field(default_factory=dict)
    """{ticket: how far its runs are apart, as `TicketHistory.sigma`}"""


class EtaTold(Event, frozen=True, tag="eta_told"):
    """What the ETA said at this moment. Kept now and then, ever more seldom, to tell afterwards how good it was."""

    p50: float
    """Seconds until the session is finished, as in `schedule.eta.Eta`."""
    p90: float


class PlanAmended(Event, frozen=True, tag="plan_amended"):
    """Tickets and agent types were added, changed and dropped, all at once. What is changed or dropped was not
    running; what runs on agents of a type that is another now goes on as it began."""

    added: dict[str, Ticket] = field(default_factory=dict)
    changed: dict[str, Ticket] = field(default_factory=dict)
    """The whole new ticket by id."""
    dropped: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run: they have a lost need now."""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped, and have no lost need any more."""
    by: str = ""
    gates: dict[str, Gates] = field(default_factory=dict)
    """{the id of the ticket that stands for them: new gates of a group or of the plan}; none: there are none now."""
    numbers: dict[str, int] = field(default_factory=dict)
    """{ticket: the number that its dependency group has in the plan file}, in a session of some tickets of it; 0: it
    follows from its needs."""
    variables: dict[str, str] | None = None
    """The variables of the plan, as they are from now on; None: as before."""
    profile: str = ""
    sets: dict[str, str] = field(default_factory=dict)
    """With `variables`, what a person said of them: see `Given`."""
    families: dict[str, Family] = field(default_factory=dict)
    """{family: its limits from now on}; one without any has none any more."""
    beside: bool = False
    """What is added stands beside the plan file: a reload leaves it."""
    agents: dict[str, AgentType | None] = field(default_factory=dict)
    """{agent type: the whole new one}; None: there is no such type any more."""
    unrestricted: tuple[str, ...] = ()
    """Those of them that may do everything from now on (`permissions = "all"`), and could not before."""
    hosts: dict[str, HostSpec | None] = field(default_factory=dict)
    """{host: the whole new one}; None: there is no such host any more."""


class ParallelChanged(Event, frozen=True, tag="parallel_changed"):
    """This many tickets may run at once."""

    parallel: int
    by: str = ""
    auto: bool = False
    """True: the engine finds it out by itself from now on."""


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
