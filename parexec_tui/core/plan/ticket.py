"""A ticket as the plan file has it."""

from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.outputs import all_writes
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.retries import MAX_CODE, Retries, RetryUses
from parexec_tui.core.plan.units import CountFromOne, Duration, Lease, Money, Size, TokenCount
from parexec_tui.core.plan.waits import Wait, waits_of


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

Await = Literal["needs", "needs?", "after"]

ExitCode = Annotated[int, Meta(ge=0, le=MAX_CODE)]


class Ticket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One unit of work. Its id is its key in `Plan.tickets`."""

    title: Annotated[str, Meta(description="What the ticket is about, in a line.")] = ""
    run: Annotated[str, Meta(description="A shell command: what `{run}` stands for.")] = ""
    prompt: Annotated[str, Meta(description="Text for an agent that reads prose: what `{prompt}` stands for.")] = ""
    prompt_file: Annotated[
        str,
        Meta(
            description="A file with that text, read when an attempt starts; its path is what `{prompt_file}` stands "
            "for. Seen from the file that names it."
        ),
    ] = ""
    conversation: Annotated[
        Literal["resume", "fresh"] | None,
        Meta(
            description="What another attempt of its coding agent does. resume: it goes on in the conversation of "
            "the one before; fresh: it begins one. Absent: resume, where `kind` says how."
        ),
    ] = None
    from_: Annotated[
        str,
        Meta(description="A ticket that it needs: its coding agent goes on in the conversation of that one."),
    ] = field(default="", name="from")
    on_denied: Annotated[
        Literal["person", "fail", "accept"] | None,
        Meta(
            description="When its coding agent was not allowed something. person: it needs you; fail: it fails; "
            "accept: its gates decide. Absent: accept if it has gates or outputs, else person."
        ),
    ] = None
    budget: Annotated[
        Money | None,
        Meta(
            description="The most dollars that coding agents may spend on it, in all its attempts; absent: as many "
            "as they want."
        ),
    ] = None
    tokens: Annotated[
        TokenCount | None,
        Meta(description="The most tokens that it may read anew and write, in all its attempts."),
    ] = None
    turns: Annotated[
        CountFromOne | None,
        Meta(description="The most turns that an attempt may take; then a person is asked whether it goes on."),
    ] = None
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
    when: Annotated[
        str,
        Meta(
            description="Whether it is wanted, by variables and by what the tickets that it waits for told: "
            "`os == 'debian' and split.count > 0`. If not, it is skipped; absent: it is."
        ),
    ] = ""
    when_values: Annotated[
        dict[str, str | int | float | bool | tuple[str | int | float | bool, ...]],
        Meta(description="What names in `when` stand for: an expanded plan has no variables."),
    ] = {}
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
    depfile: Annotated[
        str,
        Meta(
            description="A file, seen from the folder that it runs in, in which its command says what it read, as "
            "rules of make (`cc -MD -MF`): for `up_to_date`, that counts as `reads` does."
        ),
    ] = ""
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
    lease: Annotated[
        Lease | None,
        Meta(
            description="How long it goes on while its host cannot be reached, before that ends it; never: it does "
            "not; absent: as its host says."
        ),
    ] = None
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
    env_file: Annotated[
        tuple[str, ...],
        Meta(
            description="Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. "
            "Seen from the file that names them; `path?`: may be missing."
        ),
    ] = ()
    secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="Environment variables whose values are secret: see [secrets]. They are kept nowhere, and "
            "masked in what its commands print."
        ),
    ] = ()
    cwd: Annotated[
        str | None, Meta(description="The folder it runs in, seen from the workdir; absent: the agent type's.")
    ] = None
    family: Annotated[str, Meta(description="The family that it is a member of; absent: none.")] = ""
    member: Annotated[dict[str, str], Meta(description="What tells it from the others of its family, by name.")] = {}
    generates: Annotated[
        str,
        Meta(
            description="The family of the tickets that its command writes into the file $PAREXEC_TICKETS: they join "
            "the plan when it succeeds."
        ),
    ] = ""
    awaits: Annotated[
        dict[str, Await],
        Meta(
            description="The generated families that it waits for, and how it names them: in `needs`, with a `?` "
            "there, or in `after`."
        ),
    ] = {}

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


TICKET_KEYS = Ticket.__struct_encode_fields__
"""The keys of a ticket in a plan file."""

MEMBER_KEYS = ("family", "member", "generates", "awaits", "when_values")
"""Those of them that only a plan file says: a ticket cannot join another family, nor make or await one."""

EDITABLE_KEYS = tuple(key for key in TICKET_KEYS if key not in MEMBER_KEYS)
"""Those that a person may change."""

_FIELDS = dict(zip(TICKET_KEYS, Ticket.__struct_fields__, strict=True))


def value_of(ticket: Ticket, key: str) -> object:
    """The value that a ticket has for a key of the plan file."""
    return getattr(ticket, _FIELDS[key])
