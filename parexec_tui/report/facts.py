"""The facts of a session, as `parexec report --format json` prints them; all other formats are written from these.

Times are seconds since the epoch, durations seconds, sizes bytes, rates and shares from 0 to 1. null: not known.
"""

from msgspec import Struct

from parexec_tui.core.wire.figures import Spent
from parexec_tui.report.path import PathStep


class Summary(Struct, frozen=True):
    tickets: int
    counts: dict[str, int]
    """Tickets by status, those with failures that are allowed apart."""
    succeeded: int
    ended_badly: int
    """Tickets that failed and may not, were cancelled or rolled back, or are skipped, though they were wanted."""
    attempts: int
    seconds: float
    """From the opening to the last event, or until now if an engine is there."""
    ran_seconds: float
    """What all attempts ran, added up, without the time they were frozen."""
    waited_seconds: float
    """What all tickets waited that were not over, added up."""
    engines: int
    """How many engines executed it, one after another."""
    requests: int
    """What persons asked for and was granted."""


class AttemptFact(Struct, frozen=True):
    ticket: str
    attempt: int
    agent: str
    """Empty: the engine ran it, as the gates of a group."""
    started: float
    ended: float | None
    seconds: float
    """How long it ran, without the time it was frozen."""
    end: str | None
    """null: it runs."""
    code: int | None
    signal: int | None
    reason: str
    error_line: str
    cpu_seconds: float | None
    peak_memory: int | None
    peak_processes: int | None
    disk_read: int | None
    disk_written: int | None
    cost: float | None = None
    """US dollars that a coding agent spent."""
    tokens_in: int | None = None
    """Tokens that it read anew, wrote, and had from a cache."""
    tokens_out: int | None = None
    tokens_cached: int | None = None
    turns: int | None = None
    at_least: bool | None = None
    """true: it ended before it could tell all that it used; null: it is no coding agent."""
    cost_computed: bool | None = None
    """Whether its dollars follow from tokens and prices."""
    host: str = ""
    """The machine that it ran on, as the plan names it; empty: the one of the engine."""


class TicketFact(Struct, frozen=True):
    id: str
    title: str
    group: int
    """Dependency group, from 1."""
    gates_of: str
    """The group of the plan that it is in; empty: none."""
    status: str
    end: str | None
    reason: str
    error_line: str
    allowed: bool
    """It failed, and may."""
    because: str
    """Of a skipped ticket: whose end was the cause."""
    needs: tuple[str, ...]
    attempts: int
    agent: str | None
    started: float | None
    """Its first attempt."""
    ended: float | None
    seconds: float
    """What all its attempts ran."""
    expected: float | None
    """What it was expected to take: the estimate of the plan, else what it took in earlier sessions."""
    took: float | None
    """Its last attempt that succeeded."""
    waited: dict[str, float]
    """Seconds by cause."""
    family: str = ""
    """The family that it is a member of; empty: none."""
    member: dict[str, str] = {}
    """Its values in that family."""


class AgentFact(Struct, frozen=True):
    id: str
    type: str
    succeeded: int
    failed: int
    busy_seconds: float
    busy: float
    """Share of the time in which it was there, and an engine too."""
    success: float | None
    """Share of its attempts that succeeded, of those that succeeded or failed."""
    speed: float | None
    """How fast it was: 2.0 is twice as fast as the median of its type. It is as fast as the median of its successes
    took, each divided by what was expected where that is known of all. null: fewer than three of them, or no other
    of its type had so many."""
    host: str = ""
    """Where it was; empty: the machine of the engine."""


class HostFigures(Struct, frozen=True):
    """What ran on one machine, in a plan with hosts."""

    name: str
    """`local`: the machine of the engine."""
    agents: int
    succeeded: int
    """Attempts."""
    failed: int
    lost: int
    """Attempts that were given up because it was not reached, or that vanished there."""
    ran_seconds: float
    slots: int
    """How many tickets may run there at once; 0: it was never reached."""


class Lost(Struct, frozen=True):
    """What tickets waited for that were not over."""

    cause: str
    name: str
    """The claim, agent types, account, service, resource, or who holds; empty: all of the cause."""
    seconds: float
    """Of all tickets, added up."""
    tickets: int


class Rates(Struct, frozen=True):
    success: float | None
    """Tickets that succeeded, of those that are over and were not skipped or waived."""
    retry: float | None
    """Attempts that were not the first of their ticket, of all."""
    conflict: float | None
    """Tickets that had to wait for a claim, of those that ran."""
    merge_conflict: float | None
    """Tickets whose merge conflicted, of those that were to be merged from a worktree."""
    flake: float | None
    """Tickets that succeeded after a failed attempt, of those that succeeded and ran."""


class VelocityPoint(Struct, frozen=True, gc=False):
    at: float
    """The end of the time."""
    ended: int
    """Tickets that were over in it."""


class Velocity(Struct, frozen=True):
    """Tickets that were over, in equal times of a second at least."""

    every: float
    per_minute: float
    """On average."""
    most_per_minute: float
    """In the best of the times."""
    points: list[VelocityPoint]


class ParallelPoint(Struct, frozen=True, gc=False):
    at: float
    running: float
    slots: float


class Parallelism(Struct, frozen=True):
    """How many tickets ran at once while an engine was there and tickets were left."""

    reached: float
    """On average."""
    possible: float
    """As many as could on average: by the slots, and no more than were left."""
    share: float | None
    most: int
    points: list[ParallelPoint]
    """Averages of at most 240 equal times."""


class EstimateFact(Struct, frozen=True):
    ticket: str
    expected: float
    took: float


class Estimates(Struct, frozen=True):
    """What tickets took that succeeded, against what was expected."""

    known: int
    """Of how many something was expected."""
    ratio: float | None
    """The median of took by expected: 2.0 is twice as long."""
    error: float | None
    """The median of how far off they were: 0.5 is half as much too long, or as much too short."""
    worst: list[EstimateFact]
    """By the seconds that they were off, the worst ten."""


class EtaFact(Struct, frozen=True):
    """How near the ETA of a finished session came, since a person or an absent engine last changed how it went on."""

    half_error: float | None
    """How far `p50` was off about half way, as a share of what was left then."""
    error: float
    """The same on average."""
    covered: float
    """How often no more was left than `p90` said: 0.9 at best."""
    looks: int
    """How often it was asked."""


class CurvePoint(Struct, frozen=True, gc=False):
    at: float
    cpu: float
    """Share of all CPUs that was busy."""
    memory: int
    """Bytes that were not available."""
    disk_read: float
    """Bytes per second."""
    disk_write: float


class Resources(Struct, frozen=True):
    cpu_seconds: float
    """Of all attempts."""
    peak_memory: int
    """The most that an attempt used; 0: not known."""
    peak_ticket: str
    disk_read: int
    disk_written: int
    peak_cpu: float | None
    """Of the host, as what follows."""
    peak_host_memory: int | None
    memory_total: int | None
    curve: list[CurvePoint]
    """At most 240 points."""


class Change(Struct, frozen=True):
    """What a ticket took that succeeded in both sessions, in seconds."""

    ticket: str
    before: float
    after: float
    sure: float
    """How sure it is that this is more than chance, by how much its runs differ: 0.95 leaves one in twenty to it."""


class ChangedTicket(Struct, frozen=True):
    ticket: str
    keys: tuple[str, ...]
    """Of the plan file, those that differ."""


class Side(Struct, frozen=True):
    """One of two sessions that are compared."""

    session: str
    plan: str
    source: str
    started: float
    is_over: bool
    seconds: float
    """What it took."""
    ran_seconds: float
    attempts: int
    selected: str
    """As of the session."""
    tickets: int
    succeeded: int
    at_once: float
    """How many tickets ran at once, on average; `possible`: that could."""
    possible: float
    lost: dict[str, float]
    """Seconds that tickets waited, by cause."""
    path: list[str]
    """The tickets that ran on the critical path, as it really was, in order."""
    path_seconds: float
    """What of the path they ran."""
    spent: Spent | None = None
    """What coding agents used."""


class Comparison(Struct, frozen=True):
    """How a session differs from another one, mostly the one before of the same plan."""

    before: Side
    after: Side
    pace: float | None
    """The median of what tickets took, by what they took before: 2.0 is twice as long. null: none was in both."""
    pace_sure: float
    """How sure it is that this is more than chance, if tickets vary each by itself."""
    slower: list[Change]
    """Tickets that succeeded in both and took longer by more than chance, most seconds first: of all in `slower` and
    `faster`, no more than one in ten is expected to be there by chance."""
    faster: list[Change]
    newly_failed: list[str]
    """Tickets that succeeded before and failed, or were cancelled or taken back."""
    newly_skipped: list[str]
    newly_succeeded: list[str]
    """Tickets that had not succeeded before, though they were over."""
    unfinished: list[str]
    """Tickets that had succeeded before and are not over."""
    added: list[str]
    dropped: list[str]
    not_selected: list[str]
    """Tickets of the session before that this one is not about, as its tickets were selected otherwise."""
    not_selected_before: list[str]
    """The other way round."""
    renamed: dict[str, str]
    """{old id: new id} of tickets whose title and command stayed the same."""
    changed: list[ChangedTicket]


class SessionFacts(Struct, frozen=True):
    session: str
    plan: str
    source: str
    """The plan file."""
    workdir: str
    selected: str
    """By what its tickets were selected, as it stands on a command line; empty: it has all tickets of the plan."""
    of: int
    """Tickets that the plan has in all."""
    state: str
    started: float
    until: float
    """When it ended, or until when it is told."""
    is_over: bool
    summary: Summary
    rates: Rates
    velocity: Velocity
    parallelism: Parallelism
    lost: list[Lost]
    """The longest first; they add up to `waited_seconds`."""
    path: list[PathStep]
    """The critical path as it really was, from the beginning: each step begins where the one before it ends."""
    estimates: Estimates
    eta: EtaFact | None
    """null: it is not over, or was too short to be asked."""
    resources: Resources
    agents: list[AgentFact]
    tickets: list[TicketFact]
    attempts: list[AttemptFact]
    comparison: Comparison | None = None
    spent: Spent | None = None
    """What coding agents used; null: there was none."""
    hosts: list[HostFigures] = []
    """By the machines that tickets ran on; none of a plan without hosts."""


class Report(Struct, frozen=True):
    """What `parexec report --format json` prints."""

    sessions: list[SessionFacts]
