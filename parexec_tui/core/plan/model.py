"""The plan: tickets, what they need and claim, and the agents that run them.

These types are the model of the plan file, its JSON Schema, and what the engine runs. Their values were checked by
`reading.file`, which makes every `Plan`. The meaning of a field is written once, in its `Meta(description=...)`, for
readers of this file and of the schema.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.gates import Gates, Group
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.outputs import all_writes
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.resources import Units, read_units
from parexec_tui.core.plan.retries import MAX_CODE, Retries, RetryUses
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.units import Duration, Size, shown
from parexec_tui.core.plan.waits import Wait, waits_of

SHELL = ("/bin/sh", "-e", "-c")
"""What `run` is given to, as the last argument, unless a plan says otherwise: a failing line ends the command."""

SHELL_OF_OLD = ("/bin/sh", "-c")
"""What `run` was given to before a plan could name a shell."""

PLACEHOLDERS = ("run", "prompt", "ticket", "attempt", "workdir", "note")
"""Names that are filled in where they stand in braces in an agent type's command."""

ID_PATTERN = r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}"
"""Ids of tickets and names of agent types, locks and resources: they go into paths, so they are plain.

Always matched in full; `..` is refused wherever it stands.
"""

HOST_RESOURCES = ("cpu", "memory")
"""Keys of `uses` that are counted against the host when `[resources]` does not name them."""

MIN_LOG = 64 * 1024
"""The smallest `max_log` in bytes: what is kept must have room for some lines."""

MAX_COUNT = 1_000_000
"""The highest count a plan may name: of agents, tickets at once."""

MAX_AMOUNT = 2**63 - 1
"""The highest amount of a resource: what every format and sum can hold."""


class Priority(Enum):
    """The class of a ticket; a lower rank goes first."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"

    @property
    def rank(self) -> int:
        return _RANK[self.value]


_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3}

OnSilence = Literal["warn", "retry", "stop"]
OnUnclaimed = Literal["off", "warn", "enforce"]
"""When a command wrote what its ticket does not claim: it is not looked for, a person is told, the ticket fails."""

Words = Annotated[tuple[str, ...], Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
CountFromOne = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Parallel = CountFromOne | Literal["auto"]
ExitCode = Annotated[int, Meta(ge=0, le=MAX_CODE)]


class Amounts(dict[str, float]):
    """Amounts by resource name; `memory` is in bytes."""

    @classmethod
    def parse(cls, value: object) -> "Amounts":
        """Read a table of amounts. `memory` is a size, `cpu` may be a fraction, the rest are whole numbers.

        Raises ValueError naming the key that is wrong.
        """
        if not isinstance(value, dict):
            raise ValueError('expected a table of amounts, for instance { cpu = 1, memory = "512MiB" }')  # noqa: TRY004
        return cls((name, _amount(name, amount)) for name, amount in value.items())


def _amount(name: str, amount: object) -> float:
    if name == "memory":
        return Size.parse(amount)
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= MAX_AMOUNT:
        raise ValueError(f"{shown(amount)} is not an amount of {name}: write a number that is not negative")
    if name != "cpu" and amount != int(amount):
        raise ValueError(f"{amount} of {name} is not a whole number: only cpu may be a fraction")
    return amount


class Resources(dict[str, float | Units]):
    """What there is of each resource: an amount, or its units by name; `memory` is in bytes."""

    @classmethod
    def parse(cls, value: object) -> "Resources":
        """Read a table of amounts, named units and ranges. Raises ValueError naming the key that is wrong."""
        if not isinstance(value, dict):
            raise ValueError('expected a table of resources, for instance { gpu = 2, port = "8000-8099" }')  # noqa: TRY004
        return cls((name, _resource(name, each)) for name, each in value.items())

    @property
    def amounts(self) -> Amounts:
        """How much there is of each."""
        return Amounts((name, len(each) if isinstance(each, tuple) else each) for name, each in self.items())

    @property
    def units(self) -> dict[str, Units]:
        """The units of those that have any."""
        return {name: each for name, each in self.items() if isinstance(each, tuple)}


def _resource(name: str, value: object) -> float | Units:
    if isinstance(value, list | tuple) or (isinstance(value, str) and name != "memory"):
        if name in HOST_RESOURCES:
            raise ValueError(f"{name} is an amount of the host, and has no units")
        return read_units(name, value)
    return _amount(name, value)


class Ticket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One unit of work. Its id is its key in `Plan.tickets`."""

    title: Annotated[str, Meta(description="What the ticket is about, in a line.")] = ""
    run: Annotated[str, Meta(description="A shell command: what `{run}` stands for.")] = ""
    prompt: Annotated[str, Meta(description="Text for an agent that reads prose: what `{prompt}` stands for.")] = ""
    needs: Annotated[
        tuple[str, ...],
        Meta(
            description="Ids of the tickets that must succeed before this one starts; `id?`: that must be over, and "
            "may have failed."
        ),
    ] = ()
    after: Annotated[
        tuple[str, ...],
        Meta(description="Ids of the tickets that must be over before this one starts, however they ended."),
    ] = ()
    group: Annotated[str, Meta(description="The [group.NAME] that it is in, which has gates; absent: none.")] = ""
    priority: Annotated[
        Priority, Meta(description="Its class: of the tickets that are ready, the higher class starts first.")
    ] = Priority.medium
    agent: Annotated[str | None, Meta(description="The agent type that runs it; absent: any that can.")] = None
    requires: Annotated[
        tuple[str, ...], Meta(description="Capabilities that the agent type must have, all of them.")
    ] = ()
    requires_commands: Annotated[
        tuple[str, ...],
        Meta(
            description="Commands that must be there before it starts; a minimal version "
            "may stand behind one: `git >= 2.38`."
        ),
    ] = ()
    requires_files: Annotated[
        tuple[str, ...],
        Meta(description="Paths or patterns, seen from the workdir, that must be there before it starts."),
    ] = ()
    requires_env: Annotated[
        tuple[str, ...],
        Meta(description="Environment variables that must be set, and not empty before it starts."),
    ] = ()
    reads: Annotated[
        tuple[str, ...],
        Meta(description="Patterns of the files it reads; whoever writes one of them does not run with it."),
    ] = ()
    writes: Annotated[
        tuple[str, ...],
        Meta(description="Patterns of the files it writes; whoever reads or writes one does not run with it."),
    ] = ()
    outputs: Annotated[
        tuple[str, ...],
        Meta(
            description="Patterns of what it must have written, not empty, when its command is over; `path?`: may "
            "be missing. They are claimed as `writes` are."
        ),
    ] = ()
    claims: Annotated[
        OnUnclaimed | None,
        Meta(
            description="When its command wrote files that neither `writes` nor `outputs` covers: off: nobody looks; "
            "warn: you are told; enforce: it fails. Absent: as its agent type says."
        ),
    ] = None
    gates: Annotated[
        Gates,
        Meta(
            description="Commands that must succeed after its own before it counts as succeeded; those of [defaults] "
            "and of its agent type come first."
        ),
    ] = ()
    approve: Annotated[
        Literal["no", "before", "after"],
        Meta(
            description="Whether a person has to approve: before it starts, or after its command, outputs and gates, "
            "before it counts as succeeded."
        ),
    ] = "no"
    if_done: Annotated[
        tuple[str, ...],
        Meta(
            description="Paths or patterns: if all of them are there, and not empty, before its first attempt, it "
            "counts as succeeded and is not run."
        ),
    ] = ()
    skip_if: Annotated[
        str,
        Meta(
            description="A shell command that is run before its first attempt: if it succeeds, the ticket counts as "
            "succeeded and is not run."
        ),
    ] = ""
    up_to_date: Annotated[
        bool,
        Meta(
            description="True: it is not run if its command, its variables and all files that `reads`, `writes` and "
            "`outputs` cover are as after its last success, in any session of this plan file."
        ),
    ] = False
    on_fail: Annotated[
        Literal["keep", "rollback"],
        Meta(
            description="When an attempt ends without success: leave what it did, or take it back by `rollback` and "
            "`snapshot`."
        ),
    ] = "keep"
    rollback: Annotated[
        str, Meta(description="A shell command that takes back what an attempt did. It may be run more than once.")
    ] = ""
    snapshot: Annotated[
        bool,
        Meta(
            description="True: what `writes` and `outputs` cover is kept before each attempt, so that it can be "
            "restored."
        ),
    ] = False
    snapshot_limit: Annotated[
        Size | None,
        Meta(description="The most bytes that its snapshot may have, see [plan]; absent: as [plan] says."),
    ] = None
    checks: Annotated[
        tuple[RunningCheck, ...], Meta(description="What is looked at every so often while its command runs.")
    ] = ()
    locks: Annotated[tuple[str, ...], Meta(description="Names that one ticket at a time may hold.")] = ()
    uses: Annotated[
        Amounts, Meta(description="What it takes of each resource while it runs: cpu, memory, [resources].")
    ] = field(default_factory=Amounts)
    limits: Annotated[
        Limits | None,
        Meta(
            description='What its processes may use at most: { memory = "4GiB", cpu = 2, processes = 500, '
            'open_files = 4096, nice = 5, io = "idle" }; the rest is as its agent type says.'
        ),
    ] = None
    uses_service: Annotated[
        tuple[str, ...],
        Meta(description="Names of the [services] that must be ready before it starts, and that run while it does."),
    ] = ()
    estimate: Annotated[Duration | None, Meta(description="How long it takes, as far as you know.")] = None
    timeout: Annotated[
        Duration | None,
        Meta(description="How long its command, its `skip_if` and its `rollback` may take, each; absent: for ever."),
    ] = None
    silence: Annotated[
        Duration | None,
        Meta(
            description="How long its command may print nothing before `on_silence` happens; 0: for ever; absent: as "
            "its agent type says."
        ),
    ] = None
    on_silence: Annotated[
        OnSilence | None,
        Meta(
            description="When its command has printed nothing for `silence`: tell a person, stop it as a failure "
            "that its retries may take back, or stop it for good; absent: as its agent type says, else warn."
        ),
    ] = None
    expect_codes: Annotated[
        tuple[ExitCode, ...],
        Meta(min_length=1, description="Exit codes of its command that count as success, all of them."),
    ] = (0,)
    retries: Annotated[
        Retries,
        Meta(
            description="How many more attempts it has after a failed one; a table: `failed` after failures of its "
            "own, `lost` after being lost or unable to start."
        ),
    ] = 0
    retry_on: Annotated[
        tuple[str | ExitCode, ...],
        Meta(
            min_length=1,
            description="The failures that are tried again: exit codes, `signal 9`, and the words failed, timed out, "
            "out of memory, could not start, lost, outputs, claims, gate, check, service and signal; absent: all.",
        ),
    ] = ()
    retry_uses: Annotated[
        RetryUses | None,
        Meta(
            description='What it takes more of when it is tried again after it ran out of that: { memory = "x2" }; '
            "never more than there is."
        ),
    ] = None
    allow_failure: Annotated[
        bool,
        Meta(description="True: the session does not fail because this ticket failed; what needs it is skipped."),
    ] = False
    finally_: Annotated[
        bool,
        Meta(
            description="True: it runs at the end, when all other tickets are over, however they ended; also before "
            "the session drains or stops."
        ),
    ] = field(default=False, name="finally")
    retry_delay: Annotated[
        Duration,
        Meta(description="The pause before the first retry; it doubles each time, with jitter."),
    ] = Duration(10)
    freezable: Annotated[
        bool,
        Meta(description="False: it is not frozen or stopped because the host is pressed; a person may freeze it."),
    ] = True
    grace: Annotated[Duration, Meta(description="How long a ticket that is stopped has between TERM and KILL.")] = (
        Duration(10)
    )
    max_log: Annotated[
        Size | None,
        Meta(description="The most that is kept of its output, see max_log of [plan]; absent: as [plan] says."),
    ] = None
    own_tmp: Annotated[
        bool,
        Meta(
            description="True: each attempt has a TMPDIR of its own, which is removed at its end, and kept if it "
            "failed; and its attempts share PAREXEC_SCRATCH, a folder that is removed when it has succeeded."
        ),
    ] = False
    progress: Annotated[
        str,
        Meta(
            description="How its output tells how far it is: a pattern with {percent}, or {n} and {m}, and {step}; "
            "off: not at all; absent: as common tools do."
        ),
    ] = ""
    env: Annotated[dict[str, str], Meta(description="Environment variables, over those of the agent type.")] = {}
    cwd: Annotated[
        str | None, Meta(description="The folder it runs in, seen from the workdir; absent: the agent type's.")
    ] = None

    @property
    def waits(self) -> dict[str, Wait]:
        """The tickets that must have come to something before it starts, by `needs` and `after`."""
        return waits_of(self)

    @property
    def all_writes(self) -> tuple[str, ...]:
        """The patterns of all that it writes: `writes`, and its outputs."""
        return all_writes(self)

    @property
    def is_asked_by_files(self) -> bool:
        """Whether it can be up to date: it says what it reads or writes, and nothing else says when it is done."""
        return (
            self.up_to_date and bool(self.reads or self.writes or self.outputs) and not (self.if_done or self.skip_if)
        )

    @property
    def has_condition(self) -> bool:
        """Whether it may turn out before its first attempt that it is done already."""
        return bool(self.if_done or self.skip_if) or self.is_asked_by_files

    @property
    def takes_back(self) -> bool:
        """Whether an attempt without success is taken back by itself."""
        return self.on_fail == "rollback" and (self.snapshot or bool(self.rollback))


class AgentType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kind of agent: how many there may be, what they can do, and how they run a ticket."""

    min: Annotated[Count, Meta(description="Fewest agents of this type while the plan runs.")] = 0
    max: Annotated[
        CountFromOne | None,
        Meta(description="Most agents of this type at once; absent: as many as the plan runs in parallel."),
    ] = None
    can: Annotated[tuple[str, ...], Meta(description="Capabilities that a ticket may require.")] = ()
    requires_commands: Annotated[
        tuple[str, ...],
        Meta(
            description="Commands that must be there before a ticket starts on it; a minimal version "
            "may stand behind one: `git >= 2.38`."
        ),
    ] = ()
    requires_files: Annotated[
        tuple[str, ...],
        Meta(
            description="Paths or patterns, seen from the workdir, that must be there before a ticket starts on it."
        ),
    ] = ()
    requires_env: Annotated[
        tuple[str, ...],
        Meta(description="Environment variables that must be set, and not empty before a ticket starts on it."),
    ] = ()
    command: Annotated[
        Words | None,
        Meta(
            description="Program and arguments. {run}, {prompt}, {ticket}, {attempt}, {workdir} and {note} are "
            "filled in. "
            "Absent: the shell runs {run}.",
        ),
    ] = None
    shell: Annotated[
        Words | None,
        Meta(
            description="What `run` is given to: program and arguments, to which it is added. Absent: that of "
            "[plan]. It does not stand beside `command`."
        ),
    ] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables, over those of the engine.")] = {}
    cwd: Annotated[str | None, Meta(description="The folder its tickets run in, seen from the workdir.")] = None
    silence: Annotated[
        Duration | None,
        Meta(
            description="How long the command of a ticket may print nothing, if that does not say; absent: for ever."
        ),
    ] = None
    on_silence: Annotated[
        OnSilence | None, Meta(description="What happens then, unless the ticket says; absent: a person is told.")
    ] = None
    gates: Annotated[
        Gates, Meta(description="Gates of every ticket that an agent of this type runs, before the ticket's own.")
    ] = ()
    claims: Annotated[
        OnUnclaimed | None,
        Meta(
            description="When a ticket without `claims` wrote files that it does not claim: off, warn or enforce. "
            "Absent: warn with worktrees, else off."
        ),
    ] = None
    nice: Annotated[
        int, Meta(ge=-20, le=19, description="Niceness: higher leaves more CPU to others. The same as in `limits`.")
    ] = 0
    limits: Annotated[
        Limits | None,
        Meta(
            description="What the processes of an attempt may use at most: memory, cpu, processes, open_files, nice "
            "and io. Those of a ticket go first."
        ),
    ] = None
    isolation: Annotated[
        Literal["none", "worktree"],
        Meta(
            description="worktree: each of its tickets works in a git worktree of its own, and what it did is merged "
            "when its gates hold; none: in the workdir."
        ),
    ] = "none"
    base: Annotated[
        str, Meta(description="With worktrees: the commit at which the target branch begins if there is none yet.")
    ] = "HEAD"
    target: Annotated[
        str,
        Meta(
            description="With worktrees: the branch that is merged into, and is checked out nowhere; empty: "
            "parexec/SESSION/@merged."
        ),
    ] = ""
    copy: Annotated[
        tuple[str, ...],
        Meta(
            description="With worktrees: files and folders of the workdir that git ignores, of which each worktree "
            "gets a copy; `path?`: may be missing."
        ),
    ] = ()
    link: Annotated[
        tuple[str, ...],
        Meta(description="With worktrees: the same, of which each worktree gets a symbolic link to the original."),
    ] = ()
    on_conflict: Annotated[
        Literal["requeue", "hold", "priority"],
        Meta(
            description="With worktrees, when what a ticket did conflicts with what was merged meanwhile. requeue: "
            "it runs again on that; hold: a person decides; priority: the higher class wins, else it runs again."
        ),
    ] = "requeue"
    update_checkout: Annotated[
        bool,
        Meta(
            description="With worktrees, true: after each merge the branch of the workdir is fast-forwarded, if "
            "nothing there is uncommitted."
        ),
    ] = False

    @property
    def run_shell(self) -> tuple[str, ...] | None:
        """What `run` is given to; None if `command` says how a ticket is run.

        A plan that was read has `shell` in each type without a `command`. A type with neither is from a session of an
        earlier version, and keeps the shell it had.
        """
        if self.command not in (None, (*SHELL_OF_OLD, "{run}")):
            return None
        return self.shell or SHELL_OF_OLD

    @property
    def whole_command(self) -> tuple[str, ...]:
        """Program and arguments, with placeholders."""
        return self.command or (*(self.shell or SHELL_OF_OLD), "{run}")


def on_unclaimed(agent_type: AgentType, spec: Ticket) -> OnUnclaimed:
    """What is done when an attempt of a ticket on such an agent wrote what the ticket does not claim.

    Off also where nothing can be held against it: a ticket that says nothing of what it writes is left alone, unless
    that is to be enforced.
    """
    if spec.claims is None and agent_type.claims is None and agent_type.isolation == "none":
        return "off"
    rule = spec.claims or agent_type.claims or "warn"
    return rule if rule != "warn" or spec.writes or spec.outputs else "off"


def limits_of(agent_type: AgentType, spec: Ticket) -> Limits | None:
    """What an attempt of a ticket on such an agent may use at most; None: nothing is limited."""
    limits = agent_type.limits
    if agent_type.nice:
        limits = Limits(nice=agent_type.nice).over(limits)
    return limits if spec.limits is None else spec.limits.over(limits)


TICKET_KEYS = Ticket.__struct_encode_fields__
"""The keys of a ticket in a plan file."""

_FIELDS = dict(zip(TICKET_KEYS, Ticket.__struct_fields__, strict=True))


def value_of(ticket: Ticket, key: str) -> object:
    """The value that a ticket has for a key of the plan file."""
    return getattr(ticket, _FIELDS[key])


FailurePolicy = Literal["continue", "hold", "stop"]
"""When a ticket fails for good: carry on, start nothing new, or end what runs."""


class PlanSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `[plan]` table: what holds for the plan as a whole."""

    name: Annotated[str, Meta(description="What the plan is called; absent: the name of its file.")] = ""
    parallel: Annotated[
        Parallel | None,
        Meta(
            description="Most tickets at once; auto: as many as finish most work per time, which the engine finds "
            "out; absent: the number of CPUs of the host."
        ),
    ] = None
    on_failure: Annotated[
        FailurePolicy,
        Meta(description="When a ticket fails: carry on, start nothing new, or end what runs."),
    ] = "continue"
    barrier: Annotated[
        bool,
        Meta(description="True: a dependency group starts only when the one before it is accounted for."),
    ] = False
    gates: Annotated[
        Gates,
        Meta(
            description="Commands that must succeed when all tickets have, before those with `finally` start: only "
            "then the session has succeeded."
        ),
    ] = ()
    finally_timeout: Annotated[
        Duration,
        Meta(description="How long a ticket with `finally` may run that has no `timeout` of its own."),
    ] = Duration(600)
    on_engine_loss: Annotated[
        Literal["leave", "kill"],
        Meta(
            description="When the engine died and cannot be started again: what runs goes on and can be taken over "
            "later, or is ended."
        ),
    ] = "leave"
    min_free_disk: Annotated[
        Size,
        Meta(description="Nothing new is started while less is free for the workdir or the state folder; 0: never."),
    ] = Size(2**30)
    max_log: Annotated[
        Size,
        Meta(
            description="The most that is kept of the output of an attempt: of a longer one its start and its newest "
            "end; 0: all of it."
        ),
    ] = Size(2**30)
    snapshot_limit: Annotated[
        Size,
        Meta(description="A ticket whose snapshot would have more bytes does not start."),
    ] = Size(2**30)
    keep_snapshots: Annotated[
        Size,
        Meta(
            description="The most bytes that the snapshots of tickets that are over may have together; of more, the "
            "oldest are deleted."
        ),
    ] = Size(10 * 2**30)
    keep_worktrees: Annotated[
        Size,
        Meta(
            description="The most bytes that the worktrees of tickets that are over may have together; of more, the "
            "oldest are removed, and what they have is committed to their branches first."
        ),
    ] = Size(10 * 2**30)
    keep_tmp: Annotated[
        Size,
        Meta(
            description="The most bytes that the TMPDIRs of failed attempts may have together, see `own_tmp`; of "
            "more, the oldest are deleted. 0: none is kept."
        ),
    ] = Size(2**30)
    reserve_after: Annotated[
        Duration,
        Meta(
            description="When a ticket has waited this long for resources or claims, the others may not delay it any "
            "more."
        ),
    ] = Duration(60)
    reserve_after_usual: Annotated[
        float,
        Meta(
            ge=0, le=MAX_COUNT, description="The same in usual durations of a ticket; the longer of the two counts."
        ),
    ] = 2
    workdir: Annotated[str, Meta(description="The folder of the work, seen from the folder of the plan file.")] = "."
    shell: Annotated[
        Words,
        Meta(
            description="What `run` is given to: program and arguments, to which it is added. It holds for agent "
            "types that have neither `shell` nor `command`."
        ),
    ] = SHELL
    requires_commands: Annotated[
        tuple[str, ...],
        Meta(
            description="Commands that must be there before anything starts; a minimal version "
            "may stand behind one: `git >= 2.38`."
        ),
    ] = ()
    requires_files: Annotated[
        tuple[str, ...],
        Meta(description="Paths or patterns, seen from the workdir, that must be there before anything starts."),
    ] = ()
    requires_env: Annotated[
        tuple[str, ...],
        Meta(description="Environment variables that must be set, and not empty before anything starts."),
    ] = ()


class Hooks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Shell commands that are run when something happens. They get the facts as JSON on their standard input."""

    on_ticket_end: Annotated[str, Meta(description="A ticket is over, however it ended.")] = ""
    on_failure: Annotated[str, Meta(description="A ticket failed and will not be tried again.")] = ""
    on_needs_you: Annotated[
        str,
        Meta(
            description="Something waits for a person: a failed ticket, an approval, an agent in "
            "quarantine, a full disk."
        ),
    ] = ""
    on_session_end: Annotated[str, Meta(description="The session finished, or its engine left.")] = ""
    on_idle: Annotated[str, Meta(description="Nothing runs any more, though tickets are left.")] = ""


class PlanDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plan file as it is written: the tables of it, before they are checked against each other."""

    plan: PlanSettings = PlanSettings()
    defaults: Annotated[Ticket, Meta(description="Values for tickets that do not have their own.")] = Ticket()
    resources: Annotated[
        Resources,
        Meta(
            description='What there is of each resource, for `uses`: an amount, or named units (`["0", "1"]`, '
            '`"8000-8099"`), of which a ticket is told which it has.'
        ),
    ] = field(default_factory=Resources)
    agents: Annotated[
        dict[str, AgentType], Meta(description="Agent types by name; absent: one, called `agent`.")
    ] = {}
    groups: Annotated[
        dict[str, Group],
        Meta(description="Gates of dependency groups, by the number that `parexec validate` shows; the first is 1."),
    ] = {}
    group: Annotated[dict[str, Group], Meta(description="Gates of the tickets that name the group.")] = {}
    services: Annotated[
        dict[str, Service], Meta(description="What runs beside the tickets that use it, by name.")
    ] = {}
    pressure: Annotated[
        Pressure, Meta(description="When the host counts as pressed, and how far the engine goes against it.")
    ] = Pressure()
    hooks: Annotated[Hooks, Meta(description="Commands that are run when something happens.")] = Hooks()
    tickets: Annotated[dict[str, Ticket], Meta(min_length=1, description="Tickets by id.")]
    schema: Annotated[str, Meta(description="Where the JSON Schema of this file is; for editors.")] = field(
        default="", name="$schema"
    )


class Selection(Struct, frozen=True, omit_defaults=True):
    """Which tickets of a plan a session is about, in the words of a person. See `wire.selection`."""

    tickets: tuple[str, ...] = ()
    """These, and what they need; empty: all."""
    only: tuple[str, ...] = ()
    """Of them only these."""
    start: tuple[str, ...] = ()
    """Of them only these and what needs them."""
    excluded: tuple[str, ...] = ()
    """And not these."""
    of: int = 0
    """Tickets that the plan has in all, those that stand for gates too; 0 before that is known."""
    numbers: dict[str, int] = {}
    """{chosen ticket: the number of its dependency group in the whole plan}, where what was chosen gives it a lower
    one."""

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.tickets or self.only or self.start or self.excluded)

    @property
    def words(self) -> str:
        """As it stands on a command line."""
        options = (("--only", self.only), ("--from", self.start), ("--except", self.excluded))
        return " ".join((*self.tickets, *(f"{name} {word}" for name, words in options for word in words)))


class Plan(Struct, frozen=True, kw_only=True):
    """A plan that was checked: needs exist and have no cycle, demands can be met, `[defaults]` are merged in."""

    settings: PlanSettings
    tickets: dict[str, Ticket]
    agents: dict[str, AgentType]
    """Never empty: a plan that names no agent type gets one called `agent`."""
    resources: Resources = field(default_factory=Resources)
    """What there is of each resource. `cpu` and `memory` are the host's unless given here."""
    groups: dict[str, Group] = {}
    """Groups with gates: by number, those of the dependency graph, by name, those that tickets name."""
    workdir: str
    """Absolute: `settings.workdir` seen from the folder of the plan file."""
    services: dict[str, Service] = {}
    hooks: Hooks = Hooks()
    pressure: Pressure = Pressure()
    own_pressure: Pressure = Pressure()
    """The same of the settings of the person who started the session: for what the plan does not say."""
    source: str = ""
    """Where the plan came from, as a path for messages."""
    selection: Selection = Selection()
    """If that says anything: what the tickets were chosen by; the plan file has others."""
    own_parallel: Parallel | None = None
    """What the person who started the session said of it: for what the plan says."""

    @property
    def parallel(self) -> Parallel | None:
        """How many tickets run at once; None: nobody says it."""
        return self.settings.parallel if self.own_parallel is None else self.own_parallel

    @property
    def limits_of_pressure(self) -> Pressure:
        """When the host counts as pressed, by the plan, or else by the person."""
        return self.pressure.over(self.own_pressure)


class Host(Struct, frozen=True):
    """What the machine has in all; `memory` is in bytes."""

    cpus: float
    memory: int


def eligible_types(agents: Mapping[str, AgentType], ticket: Ticket) -> tuple[str, ...]:
    """The agent types that can run a ticket, in plan order.

    Such a type is the one that the ticket names in `agent` (or any, if it names none), has all that it `requires`,
    and has in its command no `{run}` or `{prompt}` that the ticket leaves blank.
    """
    return tuple(
        name
        for name, agent_type in agents.items()
        if ticket.agent in (None, name) and has_capabilities(agent_type, ticket) and not blanks(agent_type, ticket)
    )


def has_capabilities(agent_type: AgentType, ticket: Ticket) -> bool:
    return set(agent_type.can).issuperset(ticket.requires)


def blanks(agent_type: AgentType, ticket: Ticket) -> tuple[str, ...]:
    """Which of `run` and `prompt` the agent type's command asks for and the ticket does not have."""
    return tuple(
        name
        for name, text in (("run", ticket.run), ("prompt", ticket.prompt))
        if not text.strip() and any(f"{{{name}}}" in word for word in agent_type.whole_command)
    )
