"""Who owns a session: the process that holds the flock of its lock file.

The existence of the file means nothing, and it is never removed. The kernel releases the flock when its owner dies,
however it dies.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from parexec_tui.paths import SessionFolder
from parexec_tui.registry.errors import RegistryError, SessionOwned

_KEEP_TRYING = 0.1
"""Seconds to keep trying, because a process that calls `is_owned` holds the flock for an instant."""


class SessionLock:
    """The flock of one session, from `acquire` to `release` or the end of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

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
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _take(fd, self.path)
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise RegistryError(f"cannot lock the session: {error}") from error
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_owned(path: Path) -> bool:
    """Whether a living process holds the flock of this file. Nobody holds a file that is missing or unreadable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def lost_guardian(folder: SessionFolder) -> bool:
    """Whether a living engine of this session had a guardian, and has none now."""
    return is_owned(folder.lock) and folder.guardian_lock.exists() and not is_owned(folder.guardian_lock)


def _take(fd: int, path: Path) -> None:
    give_up = time.monotonic() + _KEEP_TRYING
    while not _flock(fd, fcntl.LOCK_EX):
        if time.monotonic() > give_up:
            raise SessionOwned(path, _pid_inside(fd))
        time.sleep(0.005)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_inside(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
