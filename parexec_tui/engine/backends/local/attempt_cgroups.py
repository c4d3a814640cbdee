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

from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.local import cgroup
from parexec_tui.engine.backends.local.controllers import (
    FREEZER,
    Controllers,
    find_controllers,
    hand_on,
    limit,
    settings_of,
    unified_settings_of,
    wanted_by,
)
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

Folders = tuple[str, ...]
"""Of the cgroups of one attempt: that of version 2 first, if it has one."""


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


class LimitsError(OSError):
    """The limits of an attempt cannot be set."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"its limits cannot be set: {error.strerror or error}: {error.filename or ''}".rstrip(": "))


class _Home:
    """The cgroup of a session in one hierarchy: those of its attempts are in it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._fd = -1
        """Of the cgroup, locked; -1 before it is made."""

    def open(self) -> bool:
        """Make and lock it, and remove what dead ones left beside it. False if it was open. Raises OSError."""
        if self._fd >= 0:
            return False
        for other in cgroup.cgroups_in(os.path.dirname(self.folder)):  # noqa: PTH120
            if Path(other).name.startswith(_PREFIX):
                _remove_if_dead(other)
        self._fd = _make_and_lock(self.folder)
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class AttemptCgroups:
    """The cgroups of the attempts of one session, by their folders.

    An attempt has one of version 2, if there can be any. One with limits also has those of version 1 that it needs:
    for the controllers that version 2 does not have here, and to be frozen and killed where there is no version 2.
    """

    def __init__(
        self,
        session: str,
        note: Path,
        parent: Parent,
        now: float,
        controllers: Callable[[], Controllers] = find_controllers,
    ) -> None:
        """`session`: its name, unique on this host. `note`: the file that tells where its cgroups are."""
        self._name = f"{_PREFIX}{session}"
        self._note = note
        self._parent: Parent | None = parent
        """None once it was asked."""
        self._folder = ""
        """The cgroup of the session, of version 2; empty if there can be none."""
        self._find_controllers = controllers
        self._controllers: Controllers | None = None
        """None until an attempt has limits."""
        self._homes: dict[str, _Home] = {}
        """By their folders."""
        self._noted = self._read_note()
        self._budget = Budget(now)
        self._making = Lock()
        self._old: deque[str] = deque()

    def _read_note(self) -> list[str]:
        """The cgroups of this session that engines before this one have made."""
        try:
            lines = self._note.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError):
            return []
        return [line for line in lines if Path(line).name == self._name and Path(line, cgroup.PROCS).exists()]

    # -- which ones an attempt has -----------------------------------------------------------------------------

    def choose(self, key: ProcessKey, now: float) -> Folders:
        """The cgroups for what is started now without limits, still to be made; none if it is to have none."""
        self._ask_parent()
        return (f"{self._folder}/{stem_of(key)}",) if self._folder and self._budget.spend(now) else ()

    def choose_limited(self, key: ProcessKey, limits: Limits) -> Folders:
        """The cgroups that can keep what is started now to its limits, still to be made; none if none can."""
        self._ask_parent()
        found = self.controllers()
        wanted = {each: found.version(each) for each in wanted_by(limits)}
        if not any(wanted.values()):
            return ()
        homes = [self._folder] if self._folder else []
        alone = [each for each, version in wanted.items() if version == 1]
        if not self._folder and FREEZER in found.alone:
            alone.insert(0, FREEZER)
        homes += [f"{found.alone[each]}/{self._name}" for each in alone]
        return tuple(f"{home}/{stem_of(key)}" for home in dict.fromkeys(homes))

    def controllers(self) -> Controllers:
        """Those by which attempts can be limited."""
        if self._controllers is None:
            self._controllers = self._find_controllers()
        return self._controllers

    def _ask_parent(self) -> None:
        if self._parent is not None:
            parent, self._parent = self._parent(), None
            self._folder = f"{parent}/{self._name}" if parent is not None else ""

    # -- made ------------------------------------------------------------------------------------------------

    def make(self, folders: Folders) -> bool:
        """Make cgroups that were chosen. False if that cannot be done. Any thread may call it."""
        try:
            for folder in folders:
                self._make(folder)
        except OSError:
            return False
        return True

    def make_limited(self, folders: Folders, limits: Limits) -> None:
        """Make cgroups that were chosen, with these limits. Raises OSError. Any thread may call it."""
        found = self.controllers()
        for folder in folders:
            home = os.path.dirname(folder)  # noqa: PTH120
            if home == self._folder:
                here = frozenset(each for each in wanted_by(limits) if found.version(each) == 2)
                with self._making:
                    self._open(home)
                    if here:
                        hand_on(os.path.dirname(home), found.in_unified, moving=True)  # noqa: PTH120
                        hand_on(home, found.in_unified, moving=False)
                self._make(folder)
                limit(folder, unified_settings_of(limits, here))
            else:
                self._make(folder)
                for controller in (each for each, place in found.alone.items() if f"{place}/{self._name}" == home):
                    limit(folder, settings_of(limits, controller))

    def _make(self, folder: str) -> None:
        """Raises OSError."""
        with self._making:
            self._open(os.path.dirname(folder))  # noqa: PTH120
        with suppress(FileExistsError):
            os.mkdir(folder)  # noqa: PTH102 - for every attempt

    def _open(self, folder: str) -> None:
        """Make sure that there is the cgroup of the session in a hierarchy. Raises OSError."""
        home = self._homes.get(folder)
        if home is None:
            home = self._homes[folder] = _Home(folder)
        try:
            if home.open() and folder not in self._noted:
                with self._note.open("a", encoding="utf-8") as file:
                    file.write(f"{folder}\n")
                self._noted.append(folder)
        except OSError:
            if folder == self._folder:
                self._folder = ""  # it is not tried again
            raise

    # -- what there is ---------------------------------------------------------------------------------------

    def find(self, key: ProcessKey) -> Folders:
        """The cgroups that an engine before this one made for this key."""
        found = (f"{folder}/{stem_of(key)}" for folder in self._noted)
        return tuple(folder for folder in found if Path(folder).is_dir())

    def populated(self) -> dict[str, set[int]]:
        """The cgroups of all attempts that have processes, and these."""
        found = {inner: cgroup.processes_in(inner) for folder in self._noted for inner in cgroup.cgroups_in(folder)}
        return {folder: pids for folder, pids in found.items() if pids}

    # -- removed ---------------------------------------------------------------------------------------------

    def over(self, folders: Folders, lasted: float) -> None:
        """An attempt is over, which took so many seconds. Its cgroups, if it had any, are not used any more."""
        self._budget.lasted(lasted, bool(folders))
        self._old += folders

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
        for home in self._homes.values():
            home.close()


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
