"""What the engine and the runner say to each other: JSON objects, one a line.

The runner says `hello` first. Orders and asks are the methods of `Backend`, by their names. Orders are obeyed in the
order in which they come, and have no answer; what becomes of a process is `reported`. An ask is met by one `answer`
or `failed` with its id; answers come in any order.
"""

import msgspec
from msgspec import Raw, Struct

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire.codec import from_builtin, to_builtin
from parexec_tui.core.wire.requests import (
    HostShort,
    ProcessEnded,
    ProcessLost,
    ProcessStarted,
    SnapshotMade,
    StraysFound,
    WorktreeMade,
)
from parexec_tui.engine.backends.backend import (
    AnyTask,
    FreshnessWanted,
    Identity,
    Launch,
    ProgressWanted,
    Success,
    Worktree,
    WritesWanted,
)

VERSION = 1


class Message(Struct, frozen=True, tag_field="type"):
    """What all messages have in common: a `type`."""


# -- orders ----------------------------------------------------------------------------------------------------


class Start(Message, frozen=True, tag="start"):
    key: ProcessKey
    launch: Launch


class Identify(Message, frozen=True, tag="identify"):
    key: ProcessKey


class Stop(Message, frozen=True, tag="stop"):
    key: ProcessKey
    grace: float
    noting: StopReason | None = None


class Freeze(Message, frozen=True, tag="freeze"):
    key: ProcessKey


class Thaw(Message, frozen=True, tag="thaw"):
    key: ProcessKey


class Reply(Message, frozen=True, tag="reply"):
    """What a person answered to the question of a coding agent."""

    key: ProcessKey
    question: str
    answer: str


Order = Start | Identify | Stop | Freeze | Thaw | Reply


# -- asks ------------------------------------------------------------------------------------------------------


class Ask(Message, frozen=True, kw_only=True):
    id: int = 0


class Adopt(Ask, frozen=True, tag="adopt"):
    key: ProcessKey
    identity: Identity | None
    boot: str


class ProveEnd(Ask, frozen=True, tag="prove_end"):
    key: ProcessKey


class Recorded(Ask, frozen=True, tag="recorded"):
    pass


class SetAside(Ask, frozen=True, tag="set_aside"):
    keys: tuple[ProcessKey, ...]


class EndStrays(Ask, frozen=True, tag="end_strays"):
    pass


class ReadUsage(Ask, frozen=True, tag="read_usage"):
    progress: tuple[ProgressWanted, ...] | None = ()


class ReadOutput(Ask, frozen=True, tag="read_output"):
    """Its answer is in base64."""

    key: ProcessKey
    offset: int
    limit: int


class PastGap(Ask, frozen=True, tag="past_gap"):
    key: ProcessKey
    offset: int


class Written(Ask, frozen=True, tag="written"):
    root: str
    pattern: str


class Answers(Ask, frozen=True, tag="answers"):
    address: str


class ReadLogSizes(Ask, frozen=True, tag="read_log_sizes"):
    pass


class CutLog(Ask, frozen=True, tag="cut_log"):
    key: ProcessKey
    limit: int


class MissingOutputs(Ask, frozen=True, tag="missing_outputs"):
    key: ProcessKey
    root: str
    outputs: tuple[str, ...]


class FindUnclaimed(Ask, frozen=True, tag="find_unclaimed"):
    key: ProcessKey
    wanted: WritesWanted


class AreFilled(Ask, frozen=True, tag="are_filled"):
    root: str
    paths: tuple[str, ...]


class TakenPorts(Ask, frozen=True, tag="taken_ports"):
    ports: Units


class LookFresh(Ask, frozen=True, tag="look_fresh"):
    wanted: tuple[FreshnessWanted, ...]
    anew: bool


class TakeFingerprints(Ask, frozen=True, tag="take_fingerprints"):
    wanted: tuple[tuple[ProcessKey, Success], ...]


class Restore(Ask, frozen=True, tag="restore"):
    """Its answer is what went wrong, in words."""

    key: ProcessKey


class FindSnapshot(Ask, frozen=True, tag="find_snapshot"):
    """Its answer is the report of the snapshot, or nothing."""

    key: ProcessKey


class NoteLeft(Ask, frozen=True, tag="note_left"):
    key: ProcessKey


class LookChanged(Ask, frozen=True, tag="look_changed"):
    keys: tuple[ProcessKey, ...]


class DropSnapshot(Ask, frozen=True, tag="drop_snapshot"):
    key: ProcessKey


class Tend(Ask, frozen=True, tag="tend"):
    """Its answer is what is to be reported, or nothing."""

    key: ProcessKey
    task: AnyTask


class LeaveTmp(Ask, frozen=True, tag="leave_tmp"):
    key: ProcessKey
    keep: int | None


class Foresee(Ask, frozen=True, tag="foresee"):
    worktrees: dict[str, Worktree]


class FindLost(Ask, frozen=True, tag="find_lost"):
    workdir: str
    merged: dict[str, tuple[str, ...]]


class Finish(Ask, frozen=True, tag="finish"):
    """The runner leaves after its answer."""


AnyAsk = (
    Adopt
    | ProveEnd
    | Recorded
    | SetAside
    | EndStrays
    | ReadUsage
    | ReadOutput
    | PastGap
    | Written
    | Answers
    | ReadLogSizes
    | CutLog
    | MissingOutputs
    | FindUnclaimed
    | AreFilled
    | TakenPorts
    | LookFresh
    | TakeFingerprints
    | Restore
    | FindSnapshot
    | NoteLeft
    | LookChanged
    | DropSnapshot
    | Tend
    | Foresee
    | FindLost
    | LeaveTmp
    | Finish
)
ToRunner = Order | AnyAsk


# -- what the runner says --------------------------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    version: int
    boot: str
    """What tells this boot of the runner's host from every other."""


class Reported(Message, frozen=True, tag="reported"):
    report: ProcessStarted | ProcessEnded | ProcessLost | StraysFound | SnapshotMade | WorktreeMade | HostShort


class Answer(Message, frozen=True, tag="answer"):
    id: int
    result: Raw


class Failed(Message, frozen=True, tag="failed"):
    """An error of the system kept the runner from an answer."""

    id: int
    errno: int
    text: str


FromRunner = Hello | Reported | Answer | Failed


encode = msgspec.json.Encoder(enc_hook=to_builtin).encode
to_runner: msgspec.json.Decoder[ToRunner] = msgspec.json.Decoder(ToRunner, dec_hook=from_builtin)
from_runner: msgspec.json.Decoder[FromRunner] = msgspec.json.Decoder(FromRunner)
