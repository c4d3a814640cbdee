"""The room of what was pruned is given back to the disk: by a copy without it, which takes the registry's place.

`VACUUM` would keep all others from writing for as long as it takes. The copy is made beside them, and lacks what they
write meanwhile. So it counts only if nobody did, and nobody has the registry open, as its lock tells. From then on it
is a repaired registry, and `access` says how that gets its place: whatever dies on the way, one of them is whole.
"""

import fcntl
import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from parexec_tui.registry import access
from parexec_tui.registry.database import check_owners, connect_to_read, registry_errors
from parexec_tui.registry.errors import RegistryDamaged

SHARE: Final = 0.25
"""The share of the registry that is not in use, and its bytes, from which it is worth it: less is soon used again."""
SMALLEST: Final = 8 << 20

LEFT_FREE: Final = 1 << 30
"""Bytes that stay free on the disk beside the copy: plans start nothing below that, unless they say otherwise."""

_HEAD = struct.Struct(">16xH10xI4xI")
"""Of a file of SQLite: the size of a page, how many there are, how many are not in use."""

_STEPS: Final = 10_000
"""Instructions of SQLite between two looks whether somebody writes: about a millisecond."""


def is_worth_it(file: Path) -> bool:
    """Whether much of a registry is not in use, as far as its first bytes tell: what is in its log does not count."""
    try:
        with file.open("rb") as opened:
            page, pages, unused = _HEAD.unpack(opened.read(_HEAD.size))
    except (OSError, struct.error):
        return False
    return _is_much(page if page > 1 else 65536, pages, unused)


def _is_much(page: int, pages: int, unused: int) -> bool:
    return unused * page >= SMALLEST and unused >= SHARE * pages


def compact(file: Path) -> int:
    """Returns how many bytes smaller a registry is now; 0: it is not worth it, somebody has the registry open or
    wrote to it, or there is no room for the copy. Raises RegistryError, OSError."""
    new = file.with_name(f"{file.name}.compacting")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)  # of one that was killed
    if not is_worth_it(file):
        return 0
    check_owners(file)
    lock = os.open(access.lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock(lock, fcntl.LOCK_EX, access.WAIT) or access.repaired_file(file).exists():
            return 0
        _lock(lock, fcntl.LOCK_SH)
        before = file.stat()
        if not _copied(file, new, lambda: _lock(lock, fcntl.LOCK_EX) and _is_same(file, before)):
            return 0
        new.replace(access.repaired_file(file))  # from now on it counts
        access.sync_folder(file.parent)
        access.put_in_place(file)
        access.sync_folder(file.parent)
        return before.st_size - file.stat().st_size
    finally:
        new.unlink(missing_ok=True)
        os.close(lock)


def _lock(lock: int, kind: int, wait: float = 0.0) -> bool:
    """False if another process has it for longer, or if there are no locks here, so that nobody knows."""
    give_up = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.05)
        except OSError:
            return False
        else:
            return True


def _is_same(file: Path, before: os.stat_result) -> bool:
    now = file.stat()
    return (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino)


def _copied(file: Path, new: Path, is_alone: Callable[[], bool]) -> bool:
    """Make the copy; False if it must not be used. `is_alone` is asked when it is whole, while nothing is closed yet:
    after it, nobody writes any more."""
    with registry_errors(file), closing(connect_to_read(file)) as db:
        version = _number(db, "data_version")
        pages, unused, page = (_number(db, name) for name in ("page_count", "freelist_count", "page_size"))
        if not _is_much(page, pages, unused):
            return False
        if shutil.disk_usage(file.parent).free - (pages - unused) * page < LEFT_FREE:
            return False
        log = _log(file)
        db.set_progress_handler(lambda: _log(file) != log, _STEPS)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            db.execute("VACUUM INTO ?", (str(new),))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            raise
        db.set_progress_handler(None, 0)
        _check(new)
        return is_alone() and _number(db, "data_version") == version


def _number(db: sqlite3.Connection, name: str) -> int:
    found: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return found


def _log(file: Path) -> tuple[int, int] | None:
    """By what it is seen that somebody writes."""
    try:
        found = file.with_name(f"{file.name}-wal").stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _check(new: Path) -> None:
    """Let the copy be on the disk. Raises RegistryDamaged if it is not whole."""
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise RegistryDamaged(f"registry {new}: {said}")
        db.execute("PRAGMA journal_mode = WAL")
    fd = os.open(new, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
