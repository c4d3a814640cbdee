"""Who owns a session: the process that holds the flock of its lock file.

The existence of the file means nothing, and we never remove it. The kernel releases the flock when its owner dies,
however it dies. Where folders can be locked, the owner holds a flock of the file's folder as well: if somebody
removes the file, the lock of a new one makes no second owner.
"""

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from parexec_tui.paths import SessionFolder, session_folder
from parexec_tui.registry.errors import RegistryError, SessionOwned

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState

_KEEP_TRYING = 0.1
"""Seconds to keep trying, because a process that calls `is_owned` holds the flock for an instant."""


class SessionLock:
    """The flock of one session, from `acquire` to `release` or the end of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._folder_fd: int | None = None

    @property
    def is_held(self) -> bool:
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock and write our pid into the file. Does nothing if this object holds the lock already.

        Raises SessionOwned if another process holds it, RegistryError if the file cannot be opened. Do not call it in
        an event loop: it may take a tenth of a second.
        """
        if self._fd is not None:
            return
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._folder_fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _take(self._fd, self._folder_fd, self.path)
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise RegistryError(f"cannot lock the session: {error}") from error
            raise

    def release(self) -> None:
        for fd in (self._fd, self._folder_fd):
            if fd is not None:
                os.close(fd)
        self._fd = self._folder_fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_owned(path: Path) -> bool:
    """Whether a living process holds the flock of a session's lock file, or of its folder if the file is missing.

    Nobody holds what is unreadable.
    """
    locked = _is_locked(path)
    return bool(_is_locked(path.parent) if locked is None else locked)


def has_guardian(folder: SessionFolder) -> bool:
    """Whether a session has a guardian, which would start the next engine."""
    # The folder itself says nothing here: its flock is the engine's.
    return bool(_is_locked(folder.guardian_lock))


class GuardianWaits(NamedTuple):
    """A guardian is there, and no engine can run now."""

    pid: int
    """Of the guardian."""
    until: float
    """When it tries again, in seconds since the epoch."""
    why: str


def guardian_waits(folder: SessionFolder) -> GuardianWaits | None:
    """What the guardian of a session waits for; None if there is none, or if it does not wait."""
    if not has_guardian(folder):
        return None
    try:
        first, second, *_ = folder.guardian_lock.read_text(encoding="utf-8", errors="replace").split("\n")
        at, _, why = second.strip().partition(" ")
        return GuardianWaits(int(first), float(at), why)
    except (OSError, ValueError):  # it has nothing to say, or is of an earlier version
        return None


def _is_locked(place: Path) -> bool | None:
    """Whether a living process holds the flock of a file or folder; None if there is none."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def owner_of(path: Path) -> int | None:
    """The process that owns a session, as it wrote into the lock file; None if nobody does, or nobody knows who."""
    if not is_owned(path):
        return None
    try:
        with path.open("rb") as file:
            return _pid_inside(file.fileno())
    except OSError:
        return None


def lost_guardian(folder: SessionFolder) -> bool:
    """Whether a living engine of this session had a guardian, and has none now."""
    return is_owned(folder.lock) and folder.guardian_lock.exists() and not has_guardian(folder)


def _take(fd: int, folder: int, path: Path) -> None:
    give_up = time.monotonic() + _KEEP_TRYING
    while not (_flock(fd, fcntl.LOCK_EX) and _flock(folder, fcntl.LOCK_EX)):
        if time.monotonic() > give_up:
            raise SessionOwned(path, _pid_inside(fd))
        time.sleep(0.005)
    # Written in place, and cut afterwards: on a full disk there is no room but that of the pid before ours.
    with suppress(OSError):
        written = os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        os.ftruncate(fd, written)


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            return True  # some file systems cannot lock folders
        raise
    return True


def _pid_inside(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None


def note_engine(state: "SessionState") -> None:
    """Note in a state that was read from the registry whether an engine is there, as the locks tell."""
    folder = session_folder(state.session)
    lost = None if is_owned(folder.lock) else state.without_engine()
    if lost is not None and has_guardian(folder):
        lost = lost._replace(reason="the next engine is being started", is_silent=True)
    state.note_engine_lost(lost)
