"""What happened: facts in the past tense. State is a fold of these, and nothing else changes it.

The format is a promise: events are kept in the registry and replayed years later. A field may be added with a
default; a field or a kind is never renamed, retyped or removed. `at` is seconds since the epoch, stamped by the
engine; `by` says who asked, and is empty where the engine acted on a rule.
"""

from enum import StrEnum
from typing import Literal

from msgspec import Struct


class Status(StrEnum):
    """Where a ticket is. *Ready* is a question (see `scheduler.blockers`) and *held* a flag; neither is a status."""

    waiting = "waiting"
    backoff = "backoff"
    running = "running"
    frozen = "frozen"
    stopping = "stopping"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"


class End(StrEnum):
    """How an attempt ended. Each stays distinct wherever it is shown."""

    succeeded = "succeeded"
    failed = "failed"
    """By its own exit status or a signal."""
    timed_out = "timed out"
    could_not_start = "could not start"
    cancelled = "cancelled"
    """By a person."""
    stopped = "stopped"
    """On purpose, with the session or to be reassigned: charges no retry."""
    lost = "lost"
    """The process vanished without an exit record."""


StopReason = Literal["timed out", "cancelled", "stopped"]


class Event(Struct, frozen=True, kw_only=True, tag_field="kind", tag=None, omit_defaults=True, gc=False):
    """What all events have in common."""

    at: float


def _tag(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


# The steps of a session, in order: parse, initialise the pool, queue by group, deploy agents, monitor,
# handle conflicts and failures, validate completion, update registry and metrics.


class SessionOpened(Event, frozen=True, tag=_tag):
    """The plan was parsed and a session opened for it."""

    session: str
    plan: str
    tickets: int
    parallel: int
    cpus: float
    memory: int
    by: str = ""


class PoolInitialised(Event, frozen=True, tag=_tag):
    """The agent types are known: name to (fewest, most)."""

    types: dict[str, tuple[int, int]]


class TicketsQueued(Event, frozen=True, tag=_tag):
    """The tickets stand in dependency groups of these sizes."""

    groups: tuple[int, ...]


class AgentsDeployed(Event, frozen=True, tag=_tag):
    """The first agents (each type's fewest) were started."""

    agents: tuple[str, ...]


class MonitoringStarted(Event, frozen=True, tag=_tag):
    """An engine of this process watches over the session; once for each engine that owned it."""

    pid: int
    boot: str
    """The boot id of the host: a pid means nothing after a reboot."""
    version: str = ""


class FailuresHandled(Event, frozen=True, tag=_tag):
    """Nothing is left to run: what it took, in numbers."""

    retried: int
    failed: int
    cancelled: int
    skipped: int
    quarantined: tuple[str, ...] = ()
    serialised: int = 0
    """Tickets that had to wait for a claim that another held."""


class CompletionValidated(Event, frozen=True, tag=_tag):
    """Every ticket is accounted for: count by status. They add up to the tickets of the plan."""

    counts: dict[str, int]


class SessionFinished(Event, frozen=True, tag=_tag):
    """The last step: the registry and its metrics are complete."""

    seconds: float
    """Wall time since the session was opened."""
    busy: float
    """Seconds that attempts ran, all added up."""


class EngineLeft(Event, frozen=True, tag=_tag):
    """The engine ended in good order with tickets left; the session can be resumed."""

    reason: str


class SessionHeld(Event, frozen=True, tag=_tag):
    """Nothing new is started until released."""

    reason: str = ""
    by: str = ""


class SessionReleased(Event, frozen=True, tag=_tag):
    by: str = ""


class SessionDraining(Event, frozen=True, tag=_tag):
    """Nothing new is started; what runs may finish, then the engine leaves."""

    reason: str = ""
    by: str = ""


class SessionStopping(Event, frozen=True, tag=_tag):
    """What runs is ended, then the engine leaves."""

    reason: str = ""
    by: str = ""
    now: bool = False
    """True: without the grace between TERM and KILL."""


class AgentStarted(Event, frozen=True, tag=_tag):
    agent: str
    type: str


class AgentHeld(Event, frozen=True, tag=_tag):
    """The agent takes no new ticket until released."""

    agent: str
    by: str = ""


class AgentReleased(Event, frozen=True, tag=_tag):
    """Held, draining or quarantined no more."""

    agent: str
    by: str = ""


class AgentDraining(Event, frozen=True, tag=_tag):
    """The agent takes no new ticket, and stops when it is idle."""

    agent: str
    by: str = ""


class AgentQuarantined(Event, frozen=True, tag=_tag):
    """Attempts died at start on this agent, one after another; it gets no more."""

    agent: str
    reason: str


class AgentStopped(Event, frozen=True, tag=_tag):
    agent: str
    reason: str = ""


class ConflictFound(Event, frozen=True, tag=_tag):
    """A ticket that could start has to wait for a claim of another; once for each ticket."""

    ticket: str
    holder: str
    reason: str


class AttemptStarted(Event, frozen=True, tag=_tag):
    """The ticket was given to the agent. Remembered before the process exists, so that it never runs twice."""

    ticket: str
    attempt: int
    agent: str


class AttemptSpawned(Event, frozen=True, tag=_tag):
    """The process exists. `pid`, `birth` and the boot id together are its identity."""

    ticket: str
    attempt: int
    pid: int
    birth: float
    """When the kernel says that it started: clock ticks since boot."""


class AttemptFrozen(Event, frozen=True, tag=_tag):
    """Its processes are stopped, its time-out clock stands; slot and claims are kept."""

    ticket: str
    attempt: int
    by: str = ""


class AttemptThawed(Event, frozen=True, tag=_tag):
    ticket: str
    attempt: int
    by: str = ""


class AttemptStopRequested(Event, frozen=True, tag=_tag):
    """The attempt is being ended: TERM, grace, KILL."""

    ticket: str
    attempt: int
    why: StopReason
    now: bool = False
    by: str = ""


class AttemptEnded(Event, frozen=True, tag=_tag):
    """The attempt is over, with everything that follows for the plan."""

    ticket: str
    attempt: int
    agent: str
    started: float
    seconds: float
    """How long it ran, without the time it was frozen."""
    end: End
    then: Status
    """succeeded, failed, cancelled; or waiting / backoff when it will run again."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    charged: bool = False
    """True: it counts against the retries of the ticket."""
    shunned: str = ""
    """The agent on which it could not start, and that will not be asked again."""
    retry_at: float | None = None
    skipped: tuple[str, ...] = ()
    """Tickets that can no longer run because of this end."""
    cpu_seconds: float = 0.0
    """User and system time of its processes; 0 where it is not known."""
    peak_memory: int = 0
    """Bytes of the largest of its processes; 0 where it is not known."""


class BackoffEnded(Event, frozen=True, tag=_tag):
    ticket: str


class TicketHeld(Event, frozen=True, tag=_tag):
    ticket: str
    by: str = ""


class TicketReleased(Event, frozen=True, tag=_tag):
    ticket: str
    by: str = ""


class TicketCancelled(Event, frozen=True, tag=_tag):
    """A ticket that was not running will not run."""

    ticket: str
    by: str = ""
    skipped: tuple[str, ...] = ()


class TicketUnrunnable(Event, frozen=True, tag=_tag):
    """No agent is left that could run it."""

    ticket: str
    reason: str
    skipped: tuple[str, ...] = ()


class TicketRetried(Event, frozen=True, tag=_tag):
    """The ticket will run again, with its retries as at first; `restored` are its dependents that may run again."""

    ticket: str
    by: str = ""
    restored: tuple[str, ...] = ()


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
    | SessionHeld
    | SessionReleased
    | SessionDraining
    | SessionStopping
    | AgentStarted
    | AgentHeld
    | AgentReleased
    | AgentDraining
    | AgentQuarantined
    | AgentStopped
    | ConflictFound
    | AttemptStarted
    | AttemptSpawned
    | AttemptFrozen
    | AttemptThawed
    | AttemptStopRequested
    | AttemptEnded
    | BackoffEnded
    | TicketHeld
    | TicketReleased
    | TicketCancelled
    | TicketUnrunnable
    | TicketRetried
)
