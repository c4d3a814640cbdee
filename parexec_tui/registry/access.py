"""Who uses a registry: a shared flock beside it for as long as it is open, an exclusive one while it is repaired.

A repair makes a new file under another name. Once it is whole, it gets the name that `repaired_file` says; from then
on it counts, and whoever opens the registry next puts it in its place, if the repair could not do that any more.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from parexec_tui.registry.errors import RegistryError

WAIT = 5.0
"""Seconds to wait for a repair, or for those who have the registry open for a moment."""


def lock_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.lock")


def repaired_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.repaired")


def share(file: Path) -> int | None:
    """A descriptor to be kept open while the registry is; None where there can be no lock file.

    Raises RegistryError while it is repaired, OSError.
    """
    fd = _open(file)
    if fd is None:
        return None
    try:
        _share(fd, file)
    except BaseException:
        os.close(fd)
        raise
    return fd


def finish_repair(file: Path) -> None:
    """Put a repaired file in its place if one is left. Raises as `share` does."""
    fd = share(file)
    if fd is not None:
        os.close(fd)


def _share(fd: int, file: Path) -> None:
    if not _flock(fd, fcntl.LOCK_SH, WAIT):
        raise RegistryError(f"registry {file}: it is being repaired by another process; try again")
    while repaired_file(file).exists():
        if not _flock(fd, fcntl.LOCK_EX, WAIT):
            raise RegistryError(f"registry {file}: it was repaired, and another process uses the old one; try again")
        if repaired_file(file).exists():
            put_in_place(file)
        _flock(fd, fcntl.LOCK_SH, WAIT)


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Nobody else has the registry open. Raises RegistryError if somebody has, OSError."""
    fd = os.open(lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _flock(fd, fcntl.LOCK_EX, WAIT):
            users = ", ".join(map(str, _users(fd)))
            who = f"process {users} has it open" if users else "another process has it open"
            raise RegistryError(f"registry {file}: {who}; end that first")
        if repaired_file(file).exists():
            put_in_place(file)
        yield
    finally:
        os.close(fd)


def put_in_place(file: Path) -> None:
    """Replace a registry by its repaired form. Any step may be the last one: the next process goes on."""
    for ending in ("-wal", "-shm"):  # a log of the old file would be taken for one of the new
        file.with_name(f"{file.name}{ending}").unlink(missing_ok=True)
    repaired_file(file).replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open(file: Path) -> int | None:
    with suppress(OSError):
        return os.open(lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # the disk is full, or read only
        return os.open(lock_file(file), os.O_RDONLY | os.O_CLOEXEC)
    return None


def _flock(fd: int, kind: int, wait: float) -> bool:
    give_up = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        except OSError:
            return True  # some file systems know no locks
        else:
            return True


def _users(fd: int) -> list[int]:
    """The processes that hold a lock of this file, as far as the system tells."""
    found = os.fstat(fd)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with suppress(OSError):
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if " -> " not in line]
        return sorted({int(line[4]) for line in lines if place in line and line[4].isdigit()} - {os.getpid()})
    return []
