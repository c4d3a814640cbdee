"""A cgroup for each attempt of a session, where one may be made.

They are in a cgroup of the session, and that is in the one of the engine. It is locked (flock) while its engine
lives, so that the next engine in the same place can tell what a dead one left there, and remove it.
"""

import fcntl
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.local import cgroup
from parexec_tui.paths import stem_of

_PREFIX = "parexec-"
"""What the names of the cgroups of all sessions begin with."""

_SHARE = 0.02
"""The part of their time that attempts may spend on being moved into cgroups."""

_COST, _COST_SOON = 0.01, 0.002
"""Seconds that it takes to move a process: Linux waits until no CPU can be in the middle of a fork. If another was
moved within `_SOON` seconds, it need not wait again."""
_SOON = 0.01

_TRIES, _PAUSE = 20, 0.01
"""How often to try to lock the cgroup of a session, and the seconds between two tries."""

_AT_FIRST, _AT_MOST = 0.12, 0.5
"""Seconds that attempts may spend in advance."""


Parent = Callable[[], str | None]
"""Tells the cgroup in which those of sessions are made; None if there can be none."""


class Budget:
    """Tells which attempts may have a cgroup: all, unless they are so short that it would take too much of them."""

    def __init__(self, now: float) -> None:
        """`now`: in seconds, as of a clock that does not jump."""
        self._seconds = _AT_FIRST
        self._at = now
        self._moved_at = now - _SOON

    def spend(self, now: float) -> bool:
        """Whether an attempt that starts now may have one."""
        self._earn(now - self._at)
        self._at = now
        cost = _COST if now - self._moved_at >= _SOON else _COST_SOON
        if self._seconds < cost:
            return False
        self._seconds -= cost
        self._moved_at = now
        return True

    def lasted(self, seconds: float, had_one: bool) -> None:
        """An attempt is over. If it was long enough, it pays for another one."""
        if seconds * _SHARE >= _COST:
            self._earn(seconds)
        elif had_one:  # it was too short, and so may be those that come next
            self._seconds = max(0.0, self._seconds - _COST)

    def _earn(self, seconds: float) -> None:
        self._seconds = min(_AT_MOST, self._seconds + _SHARE * seconds)


class AttemptCgroups:
    """The cgroups of the attempts of one session, by their folders."""

    def __init__(self, session: str, note: Path, parent: Parent, now: float) -> None:
        """`session`: its name, unique on this host. `note`: the file that tells where its cgroups are."""
        self._name = f"{_PREFIX}{session}"
        self._note = note
        self._parent: Parent | None = parent
        """None once it was asked."""
        self._folder = ""
        """The cgroup of the session; empty if there can be none."""
        self._noted = self._read_note()
        self._budget = Budget(now)
        self._making = Lock()
        self._fd = -1
        """Of the cgroup of the session, locked; -1 before it is made."""
        self._old: deque[str] = deque()

    def _read_note(self) -> list[str]:
        """The cgroups of this session that engines before this one have made."""
        try:
            lines = self._note.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError):
            return []
        return [line for line in lines if Path(line).name == self._name and Path(line, cgroup.PROCS).exists()]

    def choose(self, key: ProcessKey, now: float) -> str:
        """The cgroup for what is started now, still to be made; empty if it is to have none."""
        if self._parent is not None:
            parent, self._parent = self._parent(), None
            self._folder = f"{parent}/{self._name}" if parent is not None else ""
        return f"{self._folder}/{stem_of(key)}" if self._folder and self._budget.spend(now) else ""

    def make(self, folder: str) -> bool:
        """Make a cgroup that was chosen. False if that cannot be done. Any thread may call it."""
        try:
            with self._making:
                if self._fd < 0:
                    self._open()
            os.mkdir(folder)  # noqa: PTH102 - for every attempt
        except FileExistsError:
            return True
        except OSError:
            return False
        return True

    def _open(self) -> None:
        """Make and lock the cgroup of the session, and remove what dead ones left beside it. Raises OSError."""
        if not self._folder:
            raise FileNotFoundError
        try:
            for other in cgroup.cgroups_in(os.path.dirname(self._folder)):  # noqa: PTH120
                if Path(other).name.startswith(_PREFIX):
                    _remove_if_dead(other)
            if self._folder not in self._noted:
                with self._note.open("a", encoding="utf-8") as file:
                    file.write(f"{self._folder}\n")
                self._noted.append(self._folder)
            self._fd = _make_and_lock(self._folder)
        except OSError:
            self._folder = ""  # it is not tried again
            raise

    def find(self, key: ProcessKey) -> str:
        """The cgroup that an engine before this one made for this key; empty if there is none."""
        found = (f"{folder}/{stem_of(key)}" for folder in self._noted)
        return next((folder for folder in found if Path(folder).is_dir()), "")

    def populated(self) -> dict[str, set[int]]:
        """The cgroups of all attempts that have processes, and these."""
        found = {inner: cgroup.processes_in(inner) for folder in self._noted for inner in cgroup.cgroups_in(folder)}
        return {folder: pids for folder, pids in found.items() if pids}

    def over(self, folder: str, lasted: float) -> None:
        """An attempt is over, which took so many seconds. Its cgroup, if it had one, is not used any more."""
        self._budget.lasted(lasted, bool(folder))
        if folder:
            self._old.append(folder)

    def remove_old(self) -> None:
        """Remove what is not used any more. May take a while: the kernel may be busy with moving a process."""
        while self._old:
            cgroup.remove(self._old.popleft())

    def close(self) -> None:
        """Remove them all, as far as they have no processes."""
        for folder in self._noted:
            cgroup.remove(folder)
        if not any(Path(folder).exists() for folder in self._noted):
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make_and_lock(folder: str) -> int:
    """Make a cgroup, and lock it. Returns the descriptor that keeps it so. Raises OSError."""
    for _ in range(_TRIES):
        try:
            with suppress(FileExistsError):
                Path(folder).mkdir()
            return _lock(folder)
        except (BlockingIOError, FileNotFoundError):  # another engine takes it for that of a dead one
            time.sleep(_PAUSE)
    return _lock(folder)


def _lock(folder: str) -> int:
    """Lock a cgroup, and return the descriptor that keeps it so. Raises OSError, BlockingIOError if it is locked."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino != os.stat(folder).st_ino:  # noqa: PTH116
            raise FileNotFoundError(folder)  # somebody removed it, and made it anew
    except OSError:
        os.close(fd)
        raise
    return fd


def _remove_if_dead(folder: str) -> None:
    """Remove the cgroup of a session whose engine is gone, as far as it has no processes."""
    with suppress(OSError):
        fd = _lock(folder)
        cgroup.remove(folder)
        os.close(fd)
