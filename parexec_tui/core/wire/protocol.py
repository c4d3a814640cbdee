"""What an engine and its clients say to each other: JSON lines over a Unix socket, each line one of these messages.

    client  hello →                          ← welcome  engine
                                             ← happened, happened, … (if it asked to follow)
            request →                        ← answer
            question →                       ← answer
                                             ← farewell

A client says hello first. An answer carries the `id` of the request or question. If the client follows and has
caught up, the events that a request led to come before its answer. The engine answers a message that it cannot read
with `trouble`, and closes the connection. It refuses a request or question that it can read but does not understand
(a verb of a later version). A line has at most MAX_LINE bytes, newline included.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.root import WaitedFor
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.wire.figures import Figures, Spent
from parexec_tui.core.wire.requests import AnyRequest, Foreseen

VERSION = 1
"""Rises when a message changes its meaning. It does not rise when a field is added: unknown fields are ignored."""

MAX_LINE = 64 * 1024
"""Bytes of one line from a client. What the engine sends may be longer: an event can name many tickets."""

MAX_WAITING = 256
"""Messages that one client may have sent without waiting for their answers."""

Id = Annotated[int, Meta(ge=0, le=2**53)]
"""Chosen by the client; what every JSON library can hold."""

Seq = Annotated[int, Meta(ge=0, le=2**53)]
"""The number of an event, from 1."""


About = Literal["status", "report", "why", "roots", "asks", "select", "scope", "names"]
"""What can be asked. `why`: the reasons of tickets; `roots`: what each waits for in the end, as `Roots`; `asks`: what
their agents ask, as {ticket: `Asks`}. `select`, `scope`: what words of a person mean, as `Names`; `names`: what
begins with a word."""


class Message(Struct, frozen=True, kw_only=True, tag_field="type", tag=None, omit_defaults=True):
    """What all messages have in common: a `type`."""


class Hello(Message, frozen=True, tag="hello"):
    """The first line of a client."""

    version: int
    client: str = ""
    """What it is: `cli`, `tui`. Who follows is a viewer, except `cli` and `wait`: they follow for a command."""
    by: str = ""
    """Where the person sits (tty or host); the user is known from the socket."""
    follow: Seq | None = None
    """Send every event after this number, then each as it happens; None: none at all."""
    read_only: bool = False
    samples: bool = False
    """Send `sampled` every few seconds. The engine measures only while a client wants samples."""
    viewers: bool = False
    """To who follows, send `viewers` when others come and go. Without it none is sent: clients of earlier versions do
    not know that message."""


class Request(Message, frozen=True, tag="request"):
    """What somebody asks for. With `dry_run` the answer says what would happen, and nothing happens."""

    id: Id
    request: AnyRequest
    dry_run: bool = False


class Question(Message, frozen=True, tag="question"):
    """What a client wants to know without folding events itself."""

    id: Id
    about: About
    tickets: tuple[str, ...] = ()
    """For `why`, `roots` and `asks`: which tickets; none means every one that waits."""
    words: tuple[str, ...] = ()
    """For `select`: ids, patterns and selectors of tickets. For `scope`: those, and names of agents and agent types.
    For `names`: one, the beginning."""
    me: str = ""
    """For `why`: how the requests of the reader are signed, whose own doings are told as those of `you`."""


class Welcome(Message, frozen=True, tag="welcome"):
    """The first line of an engine."""

    version: int
    session: str
    engine_pid: int
    last: int
    """The number of the newest event that is remembered."""
    read_only: bool = False


class Happened(Message, frozen=True, tag="happened"):
    """One event, in order, without a gap."""

    seq: int
    event: Raw
    """As in the registry; `codec.decode_event` reads it."""


class Answer(Message, frozen=True, tag="answer"):
    """The answer to a request or question: one of `events`, `refusal` and `facts`."""

    id: Id
    events: list[Raw] | None = None
    """What a request led to (or would lead to, in a dry run); empty if it was so already."""
    refusal: str | None = None
    remedy: str = ""
    """With a refusal: what would make it possible."""
    facts: Any = None
    """What was asked for."""
    preview: tuple[str, ...] = ()
    """With the events of a dry run: what they would mean, a line each."""
    notice: str = ""
    """With the events of a request: what stands in the way of remembering them. A stop is obeyed all the same."""


class Notice(Message, frozen=True, tag="notice"):
    """Something that a person should know and that is no event: why nothing can be remembered now. It is not kept.
    It holds until the next event, and a client that connects before that gets it as well."""

    text: str


class Viewer(Struct, frozen=True, omit_defaults=True):
    """Somebody who follows the session."""

    by: str
    """As their requests are signed: the user, and the place that the client said hello from."""
    read_only: bool = False


class Viewers(Message, frozen=True, tag="viewers"):
    """Who else follows the session now, when that has changed. Before the first one it is nobody."""

    others: tuple[Viewer, ...] = ()
    """The first to come is first; at most 20."""
    more: int = 0
    """How many there are besides."""


class DiskSample(Struct, frozen=True):
    """One file system that the session needs."""

    name: str
    """As in WHY: `disk of the workdir`, `disk of the state folder`, `disk of the repository`; `disk` if they are the
    same."""
    folder: str
    free: int
    """Bytes that this user may still write."""
    total: int
    """Bytes."""


class GpuSample(Struct, frozen=True):
    """One GPU of the host. What it does not tell is None."""

    index: int
    """As the driver counts, in the order of the PCI bus."""
    name: str
    """Of its model."""
    busy: float | None
    """Share of the last second or so in which something ran on it, 0 to 1."""
    memory_used: int | None
    """Bytes."""
    memory_total: int | None


class HostSample(Struct, frozen=True):
    """How busy the host is. Rates and shares are of the time since the sample before."""

    at: float
    """When, in seconds since the epoch."""
    cpu: float
    """Share of all CPUs that is busy, 0 to 1."""
    per_cpu: tuple[float, ...]
    """The same of each CPU."""
    load: tuple[float, float, float]
    """Load average of 1, 5 and 15 minutes."""
    memory_used: int
    """Bytes that are not available: the page cache does not count."""
    memory_total: int
    swap_used: int
    swap_total: int
    disks: tuple[DiskSample, ...]
    """A file system that does not answer is left out."""
    disk_read: float
    """Bytes per second, of all disks."""
    disk_write: float
    net_in: float
    """Bytes per second, of all network interfaces but the loopback."""
    net_out: float
    pressure: dict[str, float]
    """Share of the last 10 s in which somebody waited for `cpu`, `memory` or `io`, 0 to 1 (PSI, `some avg10`);
    empty where the kernel does not say."""
    of_cgroup: tuple[str, ...] = ()
    """Which of `cpu` and `memory` are those of the engine's cgroup, because it may use less than the host has.
    Tickets are admitted by them. `per_cpu` is always of the host."""
    gpus: tuple[GpuSample, ...] = ()
    """Those that can be measured (`parexec-tui[gpu]`)."""


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far something is, as its output said last. It is a fact, and no estimate."""

    percent: int
    """0 to 100, rounded down."""
    done: int | None = None
    """Of `total`, where the output counts: 3 of 7."""
    total: int | None = None
    step: str = ""
    """What it does, in its own words, safe to print."""

    @property
    def share(self) -> float:
        """How far, from 0 to 1, as exactly as the output tells."""
        return min(1.0, self.done / self.total) if self.done is not None and self.total else self.percent / 100


class Doing(Struct, frozen=True, omit_defaults=True):
    """What a coding agent does now, and what it used so far. What is not known is absent."""

    what: str = ""
    """In a few words: `$ npm test`, `writes src/db.py`, `thinks`, `retry 3/4: 429`, `asks: delete it?`"""
    since: float = 0.0
    """When that began, in seconds since the epoch."""
    heard: float = 0.0
    """When something was heard of it last, in seconds since the epoch."""
    denied: tuple[str, ...] = ()
    """What it was not allowed, the first few of it."""
    done: int | None = None
    """Of the things on its own list, those that it has done."""
    of: int | None = None
    cost: float | None = None
    """US dollars of this attempt."""
    inp: int | None = None
    """Tokens, as in `Figures`."""
    out: int | None = None
    cached: int | None = None
    turns: int | None = None


class RestFact(Struct, frozen=True):
    """An account of coding agents that rests: no ticket starts with it."""

    account: str
    until: float | None
    """Seconds since the epoch; None: one ticket tries it now."""
    why: str = ""
    """What its provider said."""
    is_outage: bool = False
    """Whether the provider does not answer; else it is a limit of the account."""
    is_guess: bool = False
    """Whether nobody said until when."""
    times: int = 1
    """How often in a row it was put to rest."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """What one step of a live attempt uses: all its processes, also those that left its session."""

    ticket: str
    attempt: int
    cpu: float
    """CPUs in use: 1.5 is one and a half."""
    memory: int
    """Resident bytes. What processes share is counted for each of them."""
    processes: int
    silence: float | None
    """Seconds since its log last grew; None: not known."""
    log_size: int
    """Bytes."""
    step: str = RUN
    """What is run: `run` is the command of the ticket."""
    progress: Progress | None = None
    """None: its output does not tell."""
    cpu_seconds: float = 0.0
    """At least so much CPU time did its processes use so far."""
    disk_read: int = 0
    """Bytes that they had storage read so far, as in AttemptEnded; 0 if that is not known."""
    disk_written: int = 0
    doing: Doing | None = None
    """Of a coding agent."""


class Sampled(Message, frozen=True, tag="sampled"):
    """What the host and each live attempt use now. A sample has no number and is not kept. A client that is slow to
    read gets the newest sample and misses those before. A new client gets the latest sample at once."""

    host: HostSample
    attempts: tuple[Usage, ...]
    engine_cpu: float
    """CPUs that the engine itself uses."""
    hosts: dict[str, HostSample] = {}
    """How busy the other machines of the plan were a moment ago, those that were reached; the time of each is its
    own."""


class Farewell(Message, frozen=True, tag="farewell"):
    """The engine leaves in good order; nothing follows. A connection that ends without it was lost."""

    reason: str


class Trouble(Message, frozen=True, tag="trouble"):
    """Why the engine closes this connection."""

    message: str


FromClient = Hello | Request | Question
FromEngine = Welcome | Happened | Answer | Notice | Sampled | Viewers | Farewell | Trouble


# -- facts -----------------------------------------------------------------------------------------------------


class HoldFact(Struct, frozen=True):
    """One thing that a person, or a rule of the plan, keeps from starting."""

    what: Literal["session", "type", "agent", "ticket"]
    name: str
    """Of the agent type, agent or ticket; of the session, its id."""
    by: str = ""
    """Who asked; empty: a rule."""
    reason: str = ""
    since: float | None = None
    """Seconds since the epoch; None where it was not remembered."""


class AgentFact(Struct, frozen=True):
    """One agent of the pool."""

    id: str
    status: str
    """idle, busy, frozen, held, draining, quarantined or stopped; `last busy` and so on: its engine died, and that is
    what it did then."""
    ticket: str | None = None
    """What it runs."""
    progress: Progress | None = None
    """How far that is; null: its output does not tell."""
    step: str = ""
    """The check that it is at, in words: `gate 2 of 3: lint`; empty while its command runs."""
    host: str = ""
    """The machine that it is on; empty: the one of the engine."""


class StepReport(Struct, frozen=True, omit_defaults=True):
    """A step of the newest attempt of a ticket, or a question before the first one whether it is done."""

    step: str
    """As in the names of logs: `run`, `outputs`, `gate-1`, `skip-if`, `rollback`."""
    title: str = ""
    """Of a gate: what people call it."""
    number: int = 0
    """Of a gate: which one it is, counted from 1."""
    of: int = 0
    """Of a gate: how many there are."""
    passed: bool | None = None
    """null: it is not over, or was ended before it could tell."""
    seconds: float | None = None
    """How long it ran, without the time it was frozen; null: it is not over."""
    reason: str = ""
    """Why it did not pass, or has not begun; of a question, the answer."""
    log: str | None = None
    """The name of its log, in the folder of the session; null: no process runs in it."""


class HostFact(Struct, frozen=True):
    """One other machine on which agents run."""

    name: str
    status: str
    """connecting, reachable, unreachable or unusable."""
    since: float | None = None
    """When that began, in seconds since the epoch; null: with the session. Of an unreachable one, when anything may
    have been heard there last: leases count from it."""
    problem: str = ""
    """Why it cannot be reached or used."""
    running: list[str] = []
    """The tickets that have an attempt there."""
    slots: int = 0
    """How many may; 0: not known before it was reached once."""
    cpus: float = 0.0
    memory: int = 0
    """Bytes that it has in all."""
    python: str = ""
    """The version of the Python that is used there."""
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    held: str | None = None
    """Who holds or drains it; null: nobody."""
    draining: bool = False
    leases: dict[str, float | None] = {}
    """{ticket: when it may run elsewhere}, in seconds since the epoch, while the host is unreachable; null: never,
    unless a person says so."""


class ServiceFact(Struct, frozen=True):
    """One service of the plan."""

    name: str
    status: str
    """waiting, starting, ready, frozen, stopping, backoff, failed or stopped."""
    users: list[str] = []
    """The tickets that use it now."""
    waiting: int = 0
    """Tickets that use it, are not over and do not run."""
    starts: int = 0
    """How often it was started."""
    deaths: int = 0
    """How often it died while it was used, since a person restarted it last."""
    started: float | None = None
    """Seconds since the epoch, of the newest start; null: there was none."""
    seconds: float | None = None
    """How long the newest start lived, without the time it was frozen; null while it lives, or if there was none."""
    pid: int | None = None
    """Of its shell, while it lives."""
    by: str = ""
    """Who froze it or stops it."""
    reason: str = ""
    """Why it failed, is tried again or stops."""
    error_line: str = ""
    """Of a death: the line of its output that says what went wrong."""
    retry_at: float | None = None
    """When it is started again, in backoff."""
    log: str = ""
    """Where its output is."""
    cpu_seconds: float = 0.0
    """Of the newest start, once it has ended; 0: not known."""
    peak_memory: int = 0
    """The same, in bytes."""


class Roots(Struct, frozen=True):
    """What tickets wait for in the end."""

    roots: list[WaitedFor]
    """Each once."""
    of: dict[str, int]
    """ticket: the place of its root in `roots`; one that is over is left out"""


class Asks(Struct, frozen=True):
    """What an agent asks a person, or was not allowed, as a whole."""

    what: str
    choices: tuple[str, ...]
    name: str
    """Its own among all that its ticket asks: attempt and number, `2.1`; the attempt alone if that ended for it."""


class Names(Struct, frozen=True, omit_defaults=True):
    """Some of the tickets, agents, agent types, services and hosts of a session."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class FailureFact(Struct, frozen=True):
    """A ticket that ended badly by itself; the skipped follow from it."""

    ticket: str
    end: str
    """How: failed, timed out, out of memory, could not start, cancelled, lost."""
    reason: str = ""
    error_line: str = ""
    """The line of its output that says what went wrong."""
    alike: int = 1
    """Tickets that failed with the same, but for numbers; this one included."""
    allowed: bool = False
    """Whether `allow_failure` says that the session does not fail for it."""


class NeighbourFact(Struct, frozen=True):
    """A living session that claims the same as this one."""

    session: str
    plan: str
    conflict: str
    """What both claim, in words."""


class PressureFact(Struct, frozen=True):
    """What the host is pressed for, and what was done against it."""

    resource: str
    """memory, disk, io or cpu."""
    step: str
    """The highest step that was taken and not taken back: warn, hold, fewer, freeze or requeue."""
    since: float
    """Seconds since the epoch, of the first step."""
    text: str
    """The figure and the threshold at the last step, in words."""
    done: str = ""
    """What is not as without pressure, in words."""
    parallel: int | None = None
    """How many tickets may run at once for it; null: as many as without it."""
    tickets: list[str] = []
    """Those that were frozen or stopped for it, the newest last."""


class TuningFact(Struct, frozen=True):
    """How many tickets run at once, as the engine finds best."""

    parallel: int
    cause: str
    """start, more, no gain, memory, cpu or full: see `parallel` in the documentation of the plan file."""
    text: str
    """Why, in words with the figures; empty at the start."""
    since: float | None = None
    """Seconds since the epoch; null: nothing has started yet."""


class StatusReport(Struct, frozen=True):
    """The facts of the question `status`, and what `parexec status --json` prints."""

    session: str
    plan: str
    state: str
    """running, held, frozen, draining, stopping, stopped, finished; or interrupted: its engine died; or
    restarting."""
    engine_pid: int | None
    """None: no engine."""
    started: float
    """Seconds since the epoch."""
    ended: float | None
    counts: dict[str, int]
    """Tickets by status; a status that no ticket has is left out."""
    groups: int
    group: int
    """The first group with tickets that are not over, counted from 1; the number of groups when all are."""
    eta: Eta | None
    """None until it can be known: something must run, and a ticket must have an estimate or have succeeded."""
    holds: list[HoldFact]
    agents: list[AgentFact]
    """Those that are not stopped."""
    failures: list[FailureFact]
    """The first of them, in plan order; `counts` has all."""
    trouble: str = ""
    """Why the engine can start nothing, or does not answer; empty if nothing is wrong."""
    roots: list[WaitedFor] = []
    """What the session waits for in the end, worst first: what stays until a person acts, then what moves. At most
    20; none without an engine."""
    beside: list[NeighbourFact] = []
    """The living sessions that claim the same: it was started beside them with --beside."""
    needs_you: int = 0
    """How many tickets, agents and other things need a person, as the key `b` counts them."""
    answers_wanted: int = 0
    """How many of them are tickets of coding agents that need an answer, or agent types of theirs with something to
    mend."""
    rests: list[RestFact] = []
    """The accounts of coding agents that rest."""
    ready: int | None = 0
    """How many of the `waiting` ones in `counts` are ready: they wait for a free agent or their turn alone. None: too
    many to tell."""
    decided: int = 0
    """How many of the `validating` ones in `counts` wait for the next engine: a person decided on their conflicts, or
    approved of them, while none was there."""
    held: int = 0
    """How many of the `waiting` ones a person keeps back: the ticket, or, once its needs are met, all agent types
    that could run it."""
    viewers: list[Viewer] = []
    """Who follows the session now; commands that ask and leave are not among them."""
    selected: str = ""
    """By what its tickets were chosen, if not all of the plan: as on the command line of `run`."""
    of: int = 0
    """Then how many tickets the plan has."""
    services: list[ServiceFact] = []
    no_eta: str = ""
    """Why `eta` is None, if it stays so until a person acts: `agent-1 held`."""
    steps: dict[str, tuple[StepReport, ...]] = {}
    """The steps of tickets that had more of them than their command: of those that are live, then of those whose
    steps changed last. At most 100 tickets; `parexec show --json` has all."""
    bottlenecks: list[str] = []
    """The limits that hold the session up, worst first, and what one more of each would save. At most 3, and none
    while more than 1,000 tickets are left: `parexec bottlenecks` has all."""
    unclaimed: dict[str, Unclaimed] = {}
    """What tickets wrote outside their claims, see `claims` of the plan. At most 20 tickets; `parexec claims --json`
    has all."""
    conflicts_ahead: list[Foreseen] = []
    """What tickets that work in worktrees did so far and will conflict, as far as is known. At most 20."""
    pressure: list[PressureFact] = []
    """What the host is pressed for."""
    gpus: list[GpuSample] = []
    """As they were measured last, at most some ten seconds ago."""
    usage: list[Usage] = []
    """What the live attempts use, as it was measured last: every two seconds, or less often if many run. None
    without an engine."""
    tuning: TuningFact | None = None
    """None: the plan or a person says how many tickets run at once."""
    figures: Figures | None = None
    """What it came to so far; None: the engine is of an earlier version."""
    spent: Spent | None = None
    """What its coding agents used; null: none has ended an attempt."""
    variables: dict[str, str] = {}
    """The variables of the plan, as they are for this session; long values are cut."""
    profile: str = ""
    """The profile of the plan that was chosen."""
    not_known: dict[str, str] = {}
    """{family: the ticket that will generate it}, of those whose tickets are not known yet: `eta` is without them."""
    hosts: list[HostFact] = []
    """The other machines on which agents run, in the order of the plan."""
