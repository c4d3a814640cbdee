"""Where things live: the state folder of the XDG Base Directory spec, and a folder for each session in it.

No other module knows the name of a file of a session.
"""

import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.trust import check_folder, check_inside

STATE_HOME = "XDG_STATE_HOME"
RUNTIME_DIR = "XDG_RUNTIME_DIR"

MAX_SOCKET_PATH = 100
"""Bytes of the path of a Unix socket. The kernel allows 103 on some systems, 107 on others."""

SHORT_PLACE = Path("/tmp")
"""The parent of a folder for sockets whose paths would be too long elsewhere."""


MAX_ID_IN_NAME = 100
"""Characters of a ticket's id that are written out in the names of its files. Some file systems take names of 143
characters only, and a name has a number, a step and an ending as well."""


COMPRESSED = GZIP, ZSTD = ".gz", ".zst"
"""What the names of compressed logs end with."""


def id_in_names(ticket: str) -> str:
    """How a ticket is called in the names of its files: by its id; if that is long, by its beginning and a digest.

    No id has a `~`, so the two cannot be confused. What is called so already stays as it is.
    """
    if len(ticket) <= MAX_ID_IN_NAME:
        return ticket
    from hashlib import blake2b  # loads OpenSSL, which is not needed for other ids

    return f"{ticket[: MAX_ID_IN_NAME - 21]}~{blake2b(ticket.encode(), digest_size=10).hexdigest()}"


def stem_of(key: ProcessKey) -> str:
    """What the names of all files of a process begin with, and that of its cgroup."""
    if len(key.ticket) <= MAX_ID_IN_NAME:
        return str(key)
    return str(ProcessKey(id_in_names(key.ticket), key.attempt, key.step))


def log_name(key: ProcessKey) -> str:
    """The name of the file that the output of a process goes to, without its folder: `TICKET.ATTEMPT.log`."""
    return f"{stem_of(key)}.log"


class AgentFiles(NamedTuple):
    """Paths of what passes between the engine, the minder and the agent of one attempt."""

    brief: str
    """What the minder is told."""
    facts: str
    """What it tells."""
    stream: str
    """What the agent printed."""
    errors: str
    """The same, on standard error."""
    answers: str
    """What a person answers while it runs."""


class SessionFolder(Struct, frozen=True):
    """The folder of one session, and the paths in it. Nothing here exists until it is created."""

    path: Path

    @property
    def attempts(self) -> Path:
        """The folder of what attempts write: logs and exit records."""
        return self.path / "attempts"

    def log(self, key: ProcessKey) -> Path:
        """The file that the output of a process goes to."""
        return Path(self.log_and_record(key)[0])

    def record(self, key: ProcessKey) -> Path:
        """The exit record of a process: that it began, and how it ended."""
        return Path(self.log_and_record(key)[1])

    def log_and_record(self, key: ProcessKey) -> tuple[str, str]:
        """Both as strings, for every process that is started: to make paths of them takes ten times as long."""
        folder = f"{self.path}/attempts"
        stem = stem_of(key)
        return f"{folder}/{stem}.log", f"{folder}/{stem}.exit"

    def values(self, key: ProcessKey) -> str:
        """The file that a command may write its values to."""
        return f"{self.path}/attempts/{stem_of(key)}.values"

    def tickets(self, key: ProcessKey) -> str:
        """The file that a command may write tickets to."""
        return f"{self.path}/attempts/{stem_of(key)}.tickets"

    def carried(self, key: ProcessKey) -> str:
        """What is to come back from its host of a process."""
        return f"{self.path}/attempts/{stem_of(key)}.carried"

    def of_agent(self, key: ProcessKey) -> "AgentFiles":
        """The files of an attempt whose agent is a coding CLI."""
        stem = f"{self.path}/attempts/{stem_of(key)}"
        return AgentFiles(f"{stem}.brief", f"{stem}.facts", f"{stem}.stream", f"{stem}.errors", f"{stem}.answers")

    def outputs_before(self, ticket: str, attempt: int) -> Path:
        """What the patterns of a ticket's outputs matched before an attempt began."""
        return self.attempts / f"{stem_of(ProcessKey(ticket, attempt))}.outputs"

    def begun(self, ticket: str, attempt: int) -> Path:
        """A file that was written right before the command of an attempt began: its time is that of the disk."""
        return self.attempts / f"{stem_of(ProcessKey(ticket, attempt))}.begun"

    def reads_before(self, ticket: str, attempt: int) -> Path:
        """What the patterns of what a ticket reads matched before an attempt began."""
        return self.attempts / f"{stem_of(ProcessKey(ticket, attempt))}.reads"

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots."""
        return self.path / "snapshots"

    def snapshot(self, ticket: str, attempt: int) -> Path:
        """What the files of a ticket were before an attempt; a folder."""
        return self.snapshots / stem_of(ProcessKey(ticket, attempt))

    @property
    def worktrees(self) -> Path:
        """The folder of the worktrees in which tickets work."""
        return self.path / "worktrees"

    @property
    def tmps(self) -> Path:
        """The folder of what is temporary, for attempts that have their own."""
        return self.path / "tmp"

    def tmp(self, ticket: str, attempt: int) -> Path:
        """What is temporary of an attempt; a folder."""
        return self.tmps / stem_of(ProcessKey(ticket, attempt))

    def scratch(self, ticket: str) -> Path:
        """What the attempts of a ticket share; a folder."""
        return self.path / "scratch" / id_in_names(ticket)

    def recorded(self) -> Iterator[ProcessKey]:
        """The processes that have a log or a record here; one that has both comes twice. Raises OSError.

        The keys name tickets as files do: see `id_in_names`.
        """
        with os.scandir(self.attempts) as entries:
            for entry in entries:
                plain = entry.name
                for compressed in COMPRESSED:
                    plain = plain.removesuffix(compressed)
                name, ending = os.path.splitext(plain)  # noqa: PTH122 - of a name, not of a path
                if ending in (".log", ".exit") and (key := ProcessKey.parse(name)) is not None:
                    yield key

    def set_aside(self, key: ProcessKey) -> None:
        """Rename the log and the record of a process, so that one of the same name can begin. Raises OSError."""
        log = self.log(key)
        for file in (log, *(log.with_name(f"{log.name}{ending}") for ending in COMPRESSED), self.record(key)):
            with suppress(FileNotFoundError):
                file.replace(f"{file}.unknown")

    @property
    def lock(self) -> Path:
        """The file whose flock says that an engine owns the session."""
        return self.path / "lock"

    @property
    def guardian_lock(self) -> Path:
        """The file whose flock says that a guardian would start the next engine."""
        return self.path / "guardian"

    @property
    def cgroups(self) -> Path:
        """The file that tells where the cgroups of the session are."""
        return self.path / "cgroups"

    @property
    def engine_log(self) -> Path:
        """What the engine and its guardian say."""
        return self.path / "engine.log"

    @property
    def curve(self) -> Path:
        """How busy the host was while the session ran."""
        return self.path / "host.jsonl"

    @property
    def hooks_log(self) -> Path:
        """The output of hooks."""
        return self.path / "hooks.log"

    @property
    def hooks_owed(self) -> Path:
        """The folder of what hooks have yet to be run for, because no engine was there; seldom there."""
        return self.path / "hooks-owed"

    @property
    def imported(self) -> Path:
        """The manifest of the archive that a session was imported from; only imported sessions have it."""
        return self.path / "imported"

    @property
    def tour_note(self) -> Path:
        """The step of the tour that a person is at; only the sessions of `parexec tour` have it."""
        return self.path / "tour"

    @property
    def screen_log(self) -> Path:
        """The errors of a screen that ended by a mistake in parexec."""
        return self.path / "screen.log"

    @property
    def socket(self) -> Path:
        """The engine's socket, where it can be in this folder. See `socket_files`."""
        return self.path / "engine.sock"

    @property
    def socket_note(self) -> Path:
        """The file in which the engine says where its socket is. See `note_socket`."""
        return self.path / "socket"

    def create(self) -> None:
        """Make the folders, for their owner only. Raises UntrustedError if others may write to them, OSError."""
        check_folder(self.path)
        if not self.path.is_dir():
            create_private(self.path.parent)
            spread_apart(self.path.parent)
        create_private(self.attempts)
        self.check()

    def check(self) -> None:
        """Check that all of this is ours alone. Raises UntrustedError, OSError."""
        check_folder(self.path)
        check_inside(self.attempts, self.lock, self.guardian_lock, self.engine_log, self.hooks_log, self.socket_note)


def state_home(*, create: bool = False) -> Path:
    """`$XDG_STATE_HOME/parexec`. As the spec asks, a relative value is ignored.

    With `create`, raises UntrustedError if others may write to it, OSError.
    """
    value = Path(os.environ.get(STATE_HOME, ""))
    above = value if value.is_absolute() else Path.home() / ".local" / "state"
    home = above / "parexec"
    if create:
        check_folder(home)
        create_private(home)
        check_folder(home)
    return home


def ends_with_engine(*, create: bool = False) -> Path:
    """The folder with a note for each session whose tickets end with its engine. With `create`, raises OSError."""
    folder = state_home() / "ends-with-engine"
    if create:
        create_private(folder)
    return folder


def start_lock() -> Path:
    """The file that is locked while a session is started. Its folder exists. Raises OSError."""
    return state_home(create=True) / "starting"


def housekeeping_lock() -> Path:
    """The file that is locked by the process that tidies up after sessions."""
    return state_home() / "housekeeping"


def import_lock() -> Path:
    """The file that is locked while a session is imported."""
    return state_home() / "importing"


def sizes_file() -> Path:
    """What was counted of the sizes of sessions that have ended; losing it does no harm."""
    return state_home() / "sizes.json"


def try_host() -> Path:
    """The folder of the host that `parexec hosts --try` sets up."""
    return state_home() / "try-host"


def try_host_lock() -> Path:
    """The file that is locked while that host is set up or removed."""
    return state_home() / "trying-host"


def registry_file() -> Path:
    """The SQLite file for all sessions."""
    return state_home() / "registry.db"


def session_folder(session: str, *, create: bool = False) -> SessionFolder:
    """The folder of a session, by its full id. With `create`, raises OSError."""
    folder = SessionFolder(state_home() / "sessions" / session)
    if create:
        folder.create()
    return folder


def create_private(folder: Path) -> None:
    """Create a folder, and those missing above it, for their owner only. One that exists keeps its mode."""
    if not folder.is_dir():
        create_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


_GET_FLAGS, _SET_FLAGS = (
    direction << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | number for direction, number in ((2, 1), (1, 2))
)
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h, on most processors."""

TOP_OF_TREE = 0x20000
"""FS_TOPDIR_FL: what `chattr +T` sets."""


def spread_apart(folder: Path) -> None:
    """Ask the file system to lay the folders in this one far apart, because their contents have nothing in common.

    ext4 puts a new file close to its folder, and for minutes it skips the place of each deleted file there. After
    thousands of deletions that costs half a millisecond a file, and an attempt has two files. Does nothing on a file
    system that has no such attribute.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            set_flags(fd, flags_of(fd) | TOP_OF_TREE)
        finally:
            os.close(fd)


def flags_of(fd: int) -> int:
    """The attributes of a file, as `lsattr` shows them. Raises OSError where there are none."""
    flags: int = struct.unpack("i", fcntl.ioctl(fd, _GET_FLAGS, struct.pack("i", 0)))[0]
    return flags


def set_flags(fd: int, flags: int) -> None:
    fcntl.ioctl(fd, _SET_FLAGS, struct.pack("i", flags))


# -- sockets ---------------------------------------------------------------------------------------------------


def socket_file(session: str) -> Path:
    """The path for the socket of a new engine of this session: the first of `socket_files`."""
    return next(socket_files(session))


def socket_files(session: str) -> Iterator[Path]:
    """The possible paths of a session's socket, best first. The folder of each exists, for its owner only.

    The best is in the user's runtime folder, where sockets belong and which is never on a network; then in the
    session's folder; then, if these paths are too long, in a folder of ours in /tmp. Sessions of other registries may
    have the same id, so outside the session's folder a socket has a digest in its name. Raises OSError.
    """
    from hashlib import blake2b  # loads OpenSSL: clients, which only read the note, need not wait for it

    folder = session_folder(session)
    digest = blake2b(bytes(folder.path), digest_size=6).hexdigest()
    runtime = Path(os.environ.get(RUNTIME_DIR, ""))
    if runtime.is_absolute() and is_private(runtime) and _is_trusted(runtime) and _claimed(runtime / "parexec"):
        named = runtime / "parexec" / f"{session}-{digest}.sock"
        if _fits(named):
            yield named
    if _fits(folder.socket):
        folder.create()
        yield folder.socket
    short = SHORT_PLACE / f"parexec-{os.getuid()}"
    if not _claimed(short):
        raise PermissionError(
            f"{short} belongs to somebody else or is open to others: remove it, or set {RUNTIME_DIR}"
        )
    check_folder(short)
    yield short / f"{digest}.sock"


def note_socket(session: str, socket: Path) -> None:
    """Write down where the socket of this session is. Raises OSError.

    Clients read this instead of working the path out, because cron and a login shell have different runtime folders.
    """
    note = session_folder(session).socket_note
    text = bytes(socket) + b"\n"
    with suppress(OSError):
        if note.read_bytes() == text:  # by the engine before this one: a full disk has no room for another
            return
    new = note.with_name("socket.new")
    new.write_bytes(text)
    new.replace(note)


def noted_socket(session: str) -> Path | None:
    """The path of the socket according to the session's engine; None if no engine ever noted one.

    Raises UntrustedError.
    """
    folder = session_folder(session)
    check_inside(folder.path, folder.socket_note)
    try:
        text = folder.socket_note.read_bytes()
    except OSError:
        return None
    return Path(os.fsdecode(text.rstrip(b"\n")))


def is_private(folder: Path) -> bool:
    """Whether this is a folder of ours that nobody else can look into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _claimed(folder: Path) -> bool:
    """Make the folder if it is missing. False if it is not ours alone, or cannot be made."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return is_private(folder)


def _is_trusted(folder: Path) -> bool:
    try:
        check_folder(folder)
    except OSError:
        return False
    return True


def _fits(path: Path) -> bool:
    return len(bytes(path)) <= MAX_SOCKET_PATH
