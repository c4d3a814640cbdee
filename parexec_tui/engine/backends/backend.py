"""The contract between the engine and the place where its processes run.

A backend starts processes, and reports what becomes of them; the rules of the core decide what that means for a
ticket. Each process has a `ProcessKey`, and every method takes the key of the process that it is about. Methods that
are not `async` return at once. What they ask for is done soon, for each key in the order of the calls. A call for a
key that is unknown or over does nothing.

Whatever becomes of the engine, its processes go on, and their ends are recorded where they run: the next engine
adopts what still runs, and can prove how the rest ended. Nothing of a process is alive once its end is reported;
`StraysFound` tells what had to be ended for that.

Every backend passes `tests/engine/backends/test_contract.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, Self

from msgspec import Struct

from parexec_tui.core.plan.identity import identities
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.requirements import Requirements
from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.unclaimed import Writer
from parexec_tui.core.state.events import MergeSide
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire.protocol import HostSample, Usage
from parexec_tui.core.wire.requests import (
    AnyReport,
    ChangedSince,
    Conflict,
    ConflictSeen,
    Foreseen,
    ProcessEnded,
    ProcessLost,
    ProcessStarted,
    Work,
    WorktreeMade,
    WorktreeSized,
    WorkTried,
)
from parexec_tui.engine.backends.telling import Telling

TRAILER = "Parexec-Ticket"
"""What says in a commit which ticket made it."""


class Worktree(Struct, frozen=True, gc=False):
    """A git worktree for a ticket, and what becomes of what is done in it."""

    workdir: str
    """Of the plan; absolute. It is in the checkout of a person."""
    path: str
    """The folder of the worktree; absolute."""
    branch: str
    """Of what is done there, without `refs/heads/`."""
    target: str
    """The branch that it is merged into, without `refs/heads/`."""
    base: str
    """Where that branch begins if there is none yet."""
    message: str
    """Of the commits that are made."""
    copy: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    """As in AgentType."""
    update_checkout: bool = False
    outputs: tuple[str, ...] = ()
    """What the ticket has to write, as in Ticket."""
    writes: tuple[str, ...] | None = None
    """Patterns of all that the ticket claims to write; None: nobody wants to know what else it wrote."""
    goes_on: bool = False
    """Whether the attempt goes on with what the one before it left there, as far as that fits to what is merged."""
    needed: dict[str, str] = {}
    """{commit: ticket}, of what was merged into the target, and what the ticket needs is in it."""


class Task(Struct, frozen=True, gc=False, tag_field="task"):
    """Something to be done with a worktree."""

    worktree: Worktree


class FindWorktree(Task, frozen=True, gc=False, tag="find"):
    """Report `WorktreeMade` if there is one; an engine before made it."""


class CommitWork(Task, frozen=True, gc=False, tag="commit"):
    """Commit what the command left, try to merge that, and report `WorkTried`."""

    side: MergeSide
    """What is done about a conflict."""
    is_gated: bool
    """Whether gates look at the result: the worktree is made what the merge would be."""
    shown: Conflict | None = None
    """The conflict that a person decided on; if there is more to decide by now, that is reported."""
    lost: Work | None = None
    """What was merged before and is to be again, though the worktree is gone."""
    since: float = 0.0
    """When an engine before this one began the step, in seconds since the epoch; 0: none did."""


class MergeWork(Task, frozen=True, gc=False, tag="merge"):
    """Let the target be what was merged, if it has not moved since, and report `WorkTried`.

    If it has, what is not gated is merged anew.
    """

    work: Work
    is_gated: bool
    side: MergeSide = ""
    shown: Conflict | None = None
    """As in CommitWork."""
    since: float = 0.0
    """As in CommitWork."""


class LookAgain(Task, frozen=True, gc=False, tag="look"):
    """Report `ConflictSeen`: what the conflict that waits for a decision is with the newest commit of the target."""

    shown: Conflict


class KeepWorktree(Task, frozen=True, gc=False, tag="keep"):
    """Report `WorktreeSized`: the attempt is over and was not merged."""

    since: float = 0.0
    """As in CommitWork."""


class DropWorktree(Task, frozen=True, gc=False, tag="drop"):
    """Remove it. What no commit has is committed first, and it stays while a process has it as its folder."""

    is_merged: bool


AnyTask = FindWorktree | CommitWork | MergeWork | LookAgain | KeepWorktree | DropWorktree


Tended = WorktreeMade | WorkTried | WorktreeSized | ConflictSeen
"""What is reported of a task."""


class Carried(Struct, frozen=True, gc=False):
    """What is brought to a host that shares no files with this machine, and back. Patterns of files, as in Ticket."""

    root: str
    """Absolute, on this machine: where patterns start. It is in a worktree if the process works in one."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    is_first: bool = True
    """Whether nothing of the attempt has run yet."""
    in_worktree: bool = False
    """Whether `root` is in a worktree of the ticket."""
    copy: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    """As in AgentType, of such a worktree."""
    is_beside: bool = False
    """Whether it runs beside another process of the attempt: then that has what it needs, and nothing is brought."""


class Launch(Struct, frozen=True, gc=False):
    """What to run."""

    shell: str
    """A command for `/bin/sh -c`; empty if `argv` is to be run."""
    argv: tuple[str, ...]
    cwd: str
    """Absolute."""
    env: dict[str, str]
    """What is added to the environment that the backend gives to every process."""
    env_files: tuple[str, ...] = ()
    """Absolute: files with variables, read right before the process is started; `env` goes before, and a later file.
    `path?` may be missing. If one cannot be read, there is no process."""
    secrets: dict[str, str] = {}
    """More variables, over those of `env`: their values are kept nowhere, and masked in its output."""
    lacks: str = ""
    """Why there can be no process, in words; empty: there can."""
    limits: Limits | None = None
    """What it may use at most, with all that it starts."""
    own_tmp: bool = False
    """Whether its attempt has folders of its own: `TMPDIR`, and `PAREXEC_SCRATCH` with the others of its ticket."""
    stops_at_failure: bool = False
    """Whether the shell has `-e`: the first line that fails ends the command."""
    outputs: tuple[str, ...] = ()
    """Patterns of what the process must write, as in Ticket; seen from `root`. What they match now is noted before
    it begins, for `check_outputs`."""
    reads: tuple[str, ...] = ()
    """Patterns of what the process reads, seen from `root`, if what they match now is to be noted before it begins,
    for `fingerprints`."""
    root: str = ""
    """Absolute: where patterns start, and paths that are required."""
    notes_begin: bool = False
    """Whether it is noted when the process began, by the clock of the disk, for `check_claims`."""
    snapshot: tuple[str, ...] = ()
    """Patterns of the files that are kept before the process begins, for `restore`; seen from `root`. If they cannot
    be kept, there is no process."""
    snapshot_limit: int = 0
    """The most bytes of them."""
    snapshot_spare: int = 0
    """Bytes that must stay free where they are kept."""
    ports: dict[str, Units] = {}
    """{resource: ports that the process is to have}. If others have one of them, there is no process, and
    `ProcessEnded.taken` says which."""
    ready: str = ""
    """Of a service, as its plan has it: if it has an address of this machine that answers already, there is no
    process."""
    log_of: ProcessKey | None = None
    """A process whose output the new one may want to read: `PAREXEC_LOG` is the path of that."""
    worktree: Worktree | None = None
    """Where the process works, if that is to be made first. `WorktreeMade` tells of it before anything else."""
    decides: Conflict | None = None
    """What the process is to decide: the worktree is made again from its commit if it is gone, and else stays."""
    in_worktree: bool = False
    """Whether it works in a worktree: variables that say where a repository is are not for it."""
    tells_values: bool = False
    """Whether the process may tell values: then it is told where, and `ProcessEnded` has them."""
    tells_tickets: bool = False
    """Whether the process may generate tickets: then it is told where."""
    telling: Telling | None = None
    """Of a coding agent: what its minder is told, but for the paths, which the backend knows."""
    lease: float | None = None
    """Seconds for which it goes on while the engine cannot reach its host; infinity: for ever; None: as long as its
    host says. Not looked at on this machine."""
    grace: float = 10.0
    """Seconds between TERM and KILL if its host ends it because that is over."""
    carried: Carried | None = None
    """What is brought to its host and back; None: the host shares files with this machine, or is this machine."""
    place: dict[str, float] | None = None
    """{resource: amount} that its host is to have free where it has several machines; None: where the attempt is."""
    requires: Requirements | None = None
    """What must be there. It is looked for right before the process is started; if it is not so, there is none, and
    `ProcessEnded` says that the ticket is at fault."""


class WritesWanted(Struct, frozen=True):
    """A command that is over, of which it is asked what it wrote that its ticket does not claim."""

    root: str
    """Absolute: where patterns start. What is beneath is looked at."""
    folders: tuple[str, ...]
    """Absolute: what else is looked at, with all beneath."""
    writes: tuple[str, ...]
    """Patterns of all that the ticket claims to write."""
    started: float
    """When the attempt was started."""
    ended: float
    """When its command was over."""
    now: float
    """All of these by the clock of the engine."""
    others: tuple[Writer, ...] = ()
    """Who else may have written there at that time."""


class FreshnessWanted(Struct, frozen=True):
    """A ticket of which it is asked whether it is up to date."""

    fingerprint: bytes | None
    """Of its last success; empty: an attempt began since; None: there was none."""
    commands: dict[str, bytes]
    """{agent type that can run it: what that would do}, see `identity_of`"""
    root: str
    """Absolute: where patterns start."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, spec: Ticket, agent_types: tuple[str, ...], fingerprint: bytes | None) -> Self:
        """What is asked about such a ticket, which agents of these types can run."""
        commands = identities(plan, spec, agent_types)
        return cls(fingerprint, commands, plan.workdir, spec.reads, spec.writes, spec.outputs)


class Freshness(Struct, frozen=True, gc=False):
    """What was found out about one."""

    stale: str = ""
    """Why it is not up to date; empty: it is."""
    renewed: bytes | None = None
    """A fingerprint that says the same, and that is found out faster by it."""


class Success(Struct, frozen=True):
    """An attempt that succeeded."""

    command: bytes
    """What it did, see `identity_of`."""
    agent_type: str
    root: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """With the outputs."""
    ended: int
    """Nanoseconds since the epoch."""
    folder: str = ""
    """Where its command ran: paths of the depfile, and in it, are seen from there."""
    depfile: str = ""
    """Empty: there is none."""


class Identity(Struct, frozen=True, gc=False):
    """A process of one boot of its host. A pid alone may come back as another process."""

    pid: int
    birth: float
    """When it was born, in a unit that only its backend knows; 0 if it was gone before that could be found out."""


class ProgressWanted(NamedTuple):
    """A process that is asked how far it is."""

    key: ProcessKey
    pattern: str
    """The `progress` of its ticket."""


class UsageReading(Struct, frozen=True):
    """What all live processes use, and what it cost to find out."""

    usages: Sequence[Usage]
    cost: float
    """CPU seconds of this machine."""


class LogSize(Struct, frozen=True, gc=False):
    """How much a process wrote."""

    key: ProcessKey
    size: int
    """Bytes in all."""
    kept: int
    """Bytes that the disk has of it at most."""
    told: int | None = None
    """Of a coding agent: bytes that its CLI printed and its minder told, which its log is a story of."""

    @property
    def written(self) -> int:
        """Bytes in all, with these."""
        return self.size + (self.told or 0)

    @property
    def on_disk(self) -> int:
        """Bytes that the disk has at most, with these."""
        return self.kept + (self.told or 0)


class LogReading(Struct, frozen=True):
    """What processes wrote, and what room there is for more."""

    logs: Sequence[LogSize]
    free: int | None
    """Bytes that are free on their disk; None: not known."""
    cost: float
    """CPU seconds of this machine."""


class OutOfReachError(OSError):
    """Something of a process lives where this backend cannot watch or end it."""


class Backend(Protocol):
    """A place where processes run."""

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        """Start a process. If it has a snapshot, `SnapshotMade` tells of it before anything else.

        A key is started at most once, however often it is asked for.

        If there can be no process, `ProcessEnded` says why in `problem`. If the key was started by an engine before
        this one and was not adopted, `ProcessLost` says so, with `began=False`: nothing was started.
        """

    def identify(self, key: ProcessKey) -> None:
        """Report `ProcessStarted` if the process lives."""

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        """End a process and all that it started, in its group or not: TERM, `grace` seconds, KILL.

        A second call with no grace sends KILL at once. `noting`: the registry cannot remember why the process is
        ended, so this reason is noted beside it, if that is possible. An engine after this one finds the reason in
        `stopped_for` of the report of its end.
        """

    def freeze(self, key: ProcessKey) -> None:
        """Stop the process and all that it started, until `thaw`. It can still be ended."""

    def thaw(self, key: ProcessKey) -> None:
        """Let a frozen process go on."""

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        """Tell a coding agent what a person answered to its question. It may be told again."""

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        """Find out whether the attempt of the key wrote what its ticket must write, and report `OutputsChecked`.

        The key is that of the step that is told about it. `root`: absolute, where patterns start. What was there
        before was noted when the command started.
        """

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        """Find out what a command wrote that its ticket does not claim, and report `ClaimsChecked`.

        The key is that of the step that is told about it; `stop` of it ends the look. It is a look at a bounded
        number of files: if there are more, the report says so.
        """

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        """Find out whether there is something that is not empty for each of these patterns; report `DoneChecked`.

        The key is that of the step that is told about it. `root`: absolute, where patterns start.
        """

    async def written(self, root: str, pattern: str) -> str:
        """What changes whenever a file that a pattern matches grows or is written anew; empty if there is no file.

        `root`: absolute, where the pattern starts. It costs a look at each file. Raises OSError.
        """

    async def answers(self, address: str) -> bool:
        """Whether something answers at an address, seen from where processes run: at once or within a few seconds.

        `address`: as `ready` of a service has it, `tcp:5432` or `http://localhost:8080/health`. Raises OSError.
        """

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        """Whether these tickets are up to date. Raises OSError.

        `anew`: files may have changed since the last call; else what was seen then may count.
        """

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        """What tickets are after these attempts, for `freshness` to compare with. Raises OSError."""

    async def taken_ports(self, ports: Units) -> Units:
        """Those of these ports that other programs have, in this order. Raises OSError."""

    # -- snapshots: what `Launch.snapshot` kept before the step `run` of an attempt ------------------------------

    def restore(self, key: ProcessKey) -> None:
        """Let the files of a ticket be what they were before the attempt of the key; report `FilesRestored`.

        The key is that of the step that is told about it. It may be asked for again, whatever became of it before:
        what is done twice is done once.
        """

    def find_snapshot(self, key: ProcessKey) -> None:
        """Report `SnapshotMade` of the attempt of the key if there is a snapshot; it was made by an engine before."""

    def note_left(self, key: ProcessKey) -> None:
        """Note what the attempt of the key left of the files that its snapshot has; it is over."""

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> ChangedSince:
        """What is not as these attempts left it, of what a restore of their snapshots overwrites. Raises OSError.

        `keys`: those that are restored together, the newest attempt first.
        """

    def drop_snapshot(self, key: ProcessKey) -> None:
        """Delete the snapshot of the attempt of the key, if there is one."""

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        """Do something with the worktree of the attempt of the key, and report what the task says.

        The key is that of the step that is told about it. It may be asked for again, whatever became of it before:
        what is done twice is done once.
        """

    # -- folders of their own: what `Launch.own_tmp` made ------------------------------------------------------

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        """The attempt of the key is over: remove its TMPDIR, or keep it while all that are kept have at most `keep`
        bytes. None: it succeeded, and what its attempts share is removed as well."""

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[Foreseen, ...]:
        """What the work in these worktrees, by ticket, will conflict in, as far as is known: a look at a bounded part
        of them. They and their indexes stay as they are. Raises OSError.
        """

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Which of these commits their branches do not have any more, that were merged into them: {branch: commits},
        in the repository of a folder. Raises OSError.
        """

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> "Adopted":
        """Take charge of a process that an engine before this one started, or tell how it ended.

        `identity`: as `ProcessStarted` told it, if it did. `boot`: where that meant something, see `boot.here`.
        Returns `ProcessStarted` if the process lives: its end will be reported. A process that never began cannot
        begin after this; that is `ProcessLost` with `began=False`. A second call returns the same.

        Raises OutOfReachError if something of it lives in another pid namespace.
        """

    async def prove_end(self, key: ProcessKey) -> "Ended":
        """How a process ended, according to its record; `ProcessLost` if there is no proof.

        It does not check whether the process lives. A process that never began cannot begin after this.
        """

    async def recorded(self) -> Collection[ProcessKey]:
        """Every key that left a record or output here. Raises OSError.

        Tickets may be named as `paths.id_in_names` names them; `set_aside` takes such keys.
        """

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        """Put away what these keys left, so that new processes can have the same keys. Raises OSError."""

    async def end_strays(self) -> int:
        """End what processes that are over have left behind; returns how many there were."""

    # -- what lives ------------------------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        """The processes that this backend is in charge of."""

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        """What each living process uses. Its end is reported with the most memory that was seen. Raises OSError.

        `progress`: of these it is also found out how far they are, from a bounded part of what they printed.
        None: of the same as the last time.
        """

    def host_samples(self) -> Mapping[str, HostSample]:
        """How busy the other machines are, by name, as each said last; and have those that are reached say it again.
        It waits for none of them."""

    # -- output ----------------------------------------------------------------------------------------------

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of what the process wrote, from a byte on; empty at the end, and in a gap that
        `max_log` left (see `past_gap`).

        The process may be over, and an engine before this one may have started it. Raises FileNotFoundError if there
        is no output, OSError.
        """

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        """The end of the gap that `max_log` left in what the process wrote, if the offset is in it; else the offset.
        Raises OSError."""

    async def log_sizes(self) -> LogReading:
        """How much each process wrote that lives, or that has ended since the last call. Raises OSError."""

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        """If there is more output than `limit` bytes, leave out its middle; offsets stay. Returns how many bytes are
        left out now, 0 if nothing is left out. Raises OSError.
        """

    # -- reports ---------------------------------------------------------------------------------------------

    def take(self) -> Sequence[AnyReport]:
        """What became of processes since the last call; never waits. The end of a key is reported once, and last.

        Only `StraysFound` may follow it: what an engine before this one left is found late.
        """

    def wake(self) -> None:
        """Let `wait` return. Other threads may call it."""

    async def wait(self) -> None:
        """Wait until there is something to take, or somebody wakes."""

    async def finish(self) -> None:
        """End what is left behind, and let go of everything. The backend is not used afterwards."""


Ended = ProcessEnded | ProcessLost
Adopted = ProcessStarted | Ended
