"""What this host is short of while processes cannot be started, and when it has enough of it again.

The engine itself lives on what is left. A limit on the number of processes of its cgroup is looked at every few
seconds, so that starts wait before the last one is taken.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path
from threading import Event, Lock, Thread

import trio
from msgspec import Struct

from parexec_tui.core.wire.requests import HostShort
from parexec_tui.engine.backends.local.worktrees.git import NoRoomError
from parexec_tui.engine.passing import is_refusal

FILES, PROCESSES, MEMORY = "open files", "processes", "memory"
ROOM = "room for logs and exit records"
"""On the file system of the state folder. It can be short of that with space free: of inodes, or of a quota."""

_OF_ERROR = {errno.EMFILE: FILES, errno.ENFILE: FILES, errno.EAGAIN: PROCESSES, errno.ENOMEM: MEMORY}
_OF_ERROR |= dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS), ROOM)

_LOOK_EVERY = 3.0
"""Seconds between two looks at the limit of the cgroup."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds before it is tried whether there is enough again. They double while no process can be started."""

_GROWS_FOR, _GROWS_BY = 0.3, 3
"""For so many seconds after a start, so many processes of it are taken not to be there yet."""

_ENOUGH_FILES, _ENOUGH_THREADS, _ENOUGH_ROOM = 16, 4, 65_536
"""How many, or how many bytes, must be had at once before the shortage counts as over: one start needs several."""


_ROOM_IN = "room in "
"""Before the folder where a repository or a worktree has none."""


def short_of(error: BaseException | None) -> str:
    """What the host was short of when a process could not be started; empty: that was not the reason."""
    if isinstance(error, NoRoomError):
        return f"{_ROOM_IN}{error.folder}"
    return _OF_ERROR.get(error.errno or 0, "") if isinstance(error, OSError) else ""


_NO_LIMIT = 1 << 30
"""Processes."""


class PidsLimit(Struct):
    """The limit that a cgroup sets on the number of processes and threads in it."""

    file: Path
    """Tells the limit."""
    max: int
    """As it was when it was last read."""
    current: FileIO
    """Tells how many there are. It stays open: it is read before each start."""

    def read_again(self) -> None:
        """Somebody may have changed the limit, or lifted it."""
        with suppress(OSError, ValueError):
            text = self.file.read_text(encoding="ascii").strip()
            self.max = _NO_LIMIT if text == "max" else int(text)

    @property
    def left(self) -> int:
        """How many more there may be; `max` if that cannot be found out."""
        try:
            return self.max - int(os.pread(self.current.fileno(), 32, 0))
        except (OSError, ValueError):
            return self.max

    @property
    def reserve(self) -> int:
        """How many starts leave for what runs already, and for the engine."""
        return min(16, max(3, self.max // 10))


def pids_limits(root: Path = Path("/")) -> list[PidsLimit]:
    """The limits that hold for this process: those of its cgroup, version 1 or 2, and of all cgroups above it."""
    found = []
    for folder in _pids_folders(root):
        with suppress(OSError, ValueError):
            most = int((folder / "pids.max").read_text(encoding="ascii"))  # ValueError: "max", no limit
            found.append(PidsLimit(folder / "pids.max", most, FileIO(folder / "pids.current")))
    return found


def _pids_folders(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers not in ("", "pids"):
                continue
            top = root / "sys/fs/cgroup" / controllers
            folder = top / name.lstrip("/")
            yield folder
            yield from (above for above in folder.parents if above.is_relative_to(top))


class ShortageWatch:
    """Tells what the host is short of, and when that is over."""

    def __init__(self, tell: Callable[[HostShort], None], limits: Sequence[PidsLimit], attempts: Path) -> None:
        """`attempts`: the folder of logs and exit records."""
        self._tell = tell
        self._limits = limits
        self._attempts = attempts
        self._short: set[str] = set()
        self._recent: deque[float] = deque()
        """When the latest processes were started."""
        self._lock = Lock()
        self._bell = trio.Event()
        self._pause = _FIRST_PAUSE
        self.has_started = True
        """A process was started since the last shortage was over."""

    def met(self, resource: str) -> None:
        """A process could not be started for the lack of this. Whoever reports that tells it himself."""
        if resource in self._short:
            return
        self._pause = _FIRST_PAUSE if self.has_started else min(2 * self._pause, _LONGEST_PAUSE)
        self.has_started = False
        self._short.add(resource)
        self._bell.set()

    def check(self) -> None:
        """Raise OSError if the cgroup has so few processes left that what is started now could hardly go on.

        Any thread may call it, before each start.
        """
        if self._limits:
            with self._lock:
                self._check(time.monotonic())

    def _check(self, now: float) -> None:
        while self._recent and self._recent[0] < now - _GROWS_FOR:
            self._recent.popleft()
        limit = self._tightest()
        if limit.left - _GROWS_BY * len(self._recent) < limit.reserve:
            raise OSError(errno.EAGAIN, _shown(limit))
        self._recent.append(now)

    async def run(self) -> None:
        """Look after shortages until cancelled. After that, the limits of cgroups are not known any more."""
        try:
            while True:
                with trio.move_on_after(_LOOK_EVERY if self._limits else float("inf")):
                    await self._bell.wait()
                if self._short:
                    await self._until_over()
                    continue
                self._read_limits()
                if self._limits and (limit := self._tightest()).left < limit.reserve:
                    self._short.add(PROCESSES)
                    self._tell(HostShort(PROCESSES, _shown(limit)))
        finally:
            for limit in self._limits:
                limit.current.close()

    async def _until_over(self) -> None:
        while self._short:
            await trio.sleep(self._pause)
            self._read_limits()
            for resource in [each for each in self._short if self._has_enough(each)]:
                self._short.discard(resource)
                self._tell(HostShort(resource, ""))
        self._bell = trio.Event()

    def _read_limits(self) -> None:
        for limit in self._limits:
            limit.read_again()

    def _tightest(self) -> PidsLimit:
        return min(self._limits, key=lambda limit: limit.left - limit.reserve)

    def _has_enough(self, resource: str) -> bool:
        if resource == FILES:
            return _files_can_be_had()
        if resource == PROCESSES:
            return all(limit.left >= 2 * limit.reserve for limit in self._limits) and _threads_can_be_had()
        if resource == ROOM:
            return has_room(self._attempts)
        if resource.startswith(_ROOM_IN):
            return has_room(Path(resource.removeprefix(_ROOM_IN)))
        return True  # of memory only a start can tell


def _shown(limit: PidsLimit) -> str:
    return f"the cgroup has {limit.max - limit.left} of the {limit.max} processes that it may have"


def _files_can_be_had() -> bool:
    with ExitStack() as opened:
        try:
            for _ in range(_ENOUGH_FILES):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return False
    return True


def has_room(folder: Path) -> bool:
    """Whether a few files can be written in a folder."""
    file = folder / ".room"
    try:
        file.write_bytes(bytes(_ENOUGH_ROOM))
    except OSError:
        return False
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)
    return True


def _threads_can_be_had() -> bool:
    """Every limit on processes counts threads as well, and a thread is quicker to try."""
    over = Event()
    try:
        for _ in range(_ENOUGH_THREADS):
            Thread(target=over.wait, name="parexec-try", daemon=True).start()
    except RuntimeError as error:
        if not is_refusal(error):
            raise
        return False
    finally:
        over.set()
    return True
