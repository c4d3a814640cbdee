"""Whether the files that an engine stands on are still those that it opened.

Somebody may remove or replace the state folder, the registry or the lock under a living engine. All that it writes
then goes into files that nobody else sees, and another engine could own the session as well.
"""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from parexec_tui.paths import SessionFolder

_PAUSE = 0.01
"""Seconds. A look takes a few dozen microseconds, and a busy engine may commit a thousand times a second."""

_GONE = (errno.ENOENT, errno.ENOTDIR)


class Footing:
    """The files of a session and of the registry as they are now, to be compared with what is there later."""

    def __init__(self, folder: SessionFolder, registry: Path) -> None:
        log, index = (registry.with_name(registry.name + ending) for ending in ("-wal", "-shm"))
        places = (registry, folder.path, folder.attempts, folder.lock, log, index)
        self._look_at = 0.0
        self._known = {path: identity for path in places if (identity := _identity(path)) is not None}

    def problem_lately(self, for_certain: bool) -> str:
        """As `problem`, but looks only if it is to be `for_certain`, or if the last such look is a while ago: so the
        cost does not count."""
        now = time.monotonic()
        if now < self._look_at and not for_certain:
            return ""
        self._look_at = now + _PAUSE
        return self.problem()

    def problem(self) -> str:
        """What somebody removed or replaced since; empty if nothing. Any thread may call it."""
        return next(self._problems(), "")

    def _problems(self) -> Iterator[str]:
        for path, known in self._known.items():
            try:
                found = _identity(path)
            except OSError:
                continue  # it cannot be looked at now, which proves nothing
            if found is None:
                yield f"{path} was removed"
            elif found != known:
                yield f"{path} was replaced by another"


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is nothing. Raises OSError."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    return found.st_dev, found.st_ino


def engine_elsewhere(pid: int, session: str) -> bool:
    """Whether a process is an engine of this session that stands on files which somebody removed or moved away.

    Nothing but the lock that it holds open can tell; systems without /proc cannot say.
    """
    if pid in (0, os.getpid()):
        return False
    ending = f"/sessions/{session}/lock"
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_target(entry.path).removesuffix(" (deleted)").endswith(ending) for entry in entries)
    except OSError:
        return False


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - as the kernel says it
    except OSError:
        return ""
