"""What folders take on a disk, and how they are removed."""

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def taken_by(folder: Path, until: float = float("inf")) -> int:
    """Bytes that a folder takes on the disk with all that is in it; a file of several links counts once.

    What cannot be looked at counts as nothing. Raises TimeoutError at `until`, a time of `time.monotonic`.
    """
    total, seen = 0, set()
    left = [os.fspath(folder)]
    while left:
        if time.monotonic() > until:
            raise TimeoutError
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        left.append(entry.path)
                    elif found.st_nlink > 1:
                        if (found.st_dev, found.st_ino) in seen:
                            continue
                        seen.add((found.st_dev, found.st_ino))
                    total += found.st_blocks * 512
        except OSError:
            continue
    return total


def sync(folder: Path) -> None:
    """Wait until a folder is on the disk with all that is in it. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _sync_file_system(fd):
            return
        for path in (folder, *folder.rglob("*")):
            each = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(each)
            finally:
                os.close(each)
    finally:
        os.close(fd)


def _sync_file_system(fd: int) -> bool:
    """Thousands of files are on the disk sooner so than one by one. False where the system cannot do it."""
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return syncfs is not None and syncfs(fd) == 0


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there; also what its owner made unwritable. Raises OSError."""

    def again(function: Callable[..., Any], path: str, error: tuple[Any, BaseException, Any]) -> None:
        if isinstance(error[1], FileNotFoundError):
            return
        if not isinstance(error[1], PermissionError):
            raise error[1]
        above = os.path.dirname(path)  # noqa: PTH120 - as rmtree has it
        for each in (above, path):
            if stat.S_ISDIR(os.lstat(each).st_mode):
                os.chmod(each, 0o700)  # noqa: PTH101 - as above
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path)

    shutil.rmtree(folder, onerror=again)
