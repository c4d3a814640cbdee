"""Locks of git in a worktree: of a git that still works, though its engine is dead, or of one that was killed."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

LOCKED_FOR: Final = 60.0
"""Seconds that the git of an engine before this one may still take."""

_LOOK_EVERY: Final = 0.05


def free(lock: str, give_up: float) -> int | None:
    """Wait until nobody writes a lock any more, and delete it, in a worktree where no other git of ours runs.

    `give_up`: by the monotonic clock. Returns who still writes it then.
    """
    before = None
    while (now := _inode(lock)) is not None:
        pid = who_has_open(lock)
        if pid is not None and time.monotonic() > give_up:
            return pid
        if pid is None and now == before:  # a git that has closed it a moment ago puts it in place in the next
            Path(lock).unlink(missing_ok=True)
            break
        before = now if pid is None else None
        time.sleep(_LOOK_EVERY)
    return None


def _inode(file: str) -> int | None:
    try:
        return os.lstat(file).st_ino
    except OSError:
        return None


def who_has_open(file: str) -> int | None:
    """A process that has this file open."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if any(each.path == file for each in process.open_files()):
                return process.pid
    return None
