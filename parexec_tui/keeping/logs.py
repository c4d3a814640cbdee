"""Compresses the logs of sessions that are finished.

A compressed log gets its name when it is whole, and then the plain one is removed: while both are there, the plain
one counts. So whatever dies on the way, each log can be read.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.client.sessions import is_living
from parexec_tui.outputs.compressed import best_ending, compress
from parexec_tui.paths import COMPRESSED, SessionFolder, session_folder
from parexec_tui.registry.access import sync_folder
from parexec_tui.registry.errors import SessionOwned
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry

SMALLEST: Final = 4096
"""Bytes of a log that is worth it: a smaller one takes a block of the disk in any case."""

LARGEST: Final = 4 << 30
"""Bytes of a log that is left as it is: it would take minutes."""

_BATCH: Final = 100
_BATCH_SIZE: Final = 1 << 20
"""Bytes of plain logs. Only with the removal of these a batch frees more room than it takes."""
_UNFINISHED: Final = ".new"


class _Log(NamedTuple):
    size: int
    path: Path


class _Compressed(NamedTuple):
    plain: Path
    packed: Path
    was: os.stat_result
    """The plain one when it was compressed."""


def has_logs_to_compress(session: str) -> bool:
    """Whether a log of a session is worth it. Costs a look at each until there is one."""
    return next(_logs(session_folder(session)), None) is not None


def compress_logs(registry: Registry, session: str) -> int:
    """Compress the logs of a session that is finished and that nobody runs; returns how many. Raises RegistryError,
    OSError."""
    folder = session_folder(session)
    _remove_unfinished(folder)
    count = 0
    trouble: OSError | None = None
    ending = best_ending()
    for batch in _batches(_logs(folder)):
        if is_living(session) or registry.session(session).status != "finished":
            return count
        done = []
        for path in batch:
            try:
                done.append(_compress(path, ending))
            except OSError as error:  # there is no room for this one, perhaps: there may be for others
                trouble = trouble or error
        sync_folder(folder.attempts)  # else a power cut may keep the removal, and lose the new name
        try:
            with SessionLock(folder.lock):  # for an instant: who starts an engine tries again for longer
                for each in done:
                    count += _replace(each)
        except SessionOwned:
            return count
    if trouble is not None:
        raise trouble
    return count


def _batches(logs: Iterable[_Log]) -> Iterator[Sequence[Path]]:
    """The smallest first: what these free may be what a larger one takes until it is compressed."""
    batch: list[Path] = []
    size = 0
    for log in sorted(logs):
        if batch and (len(batch) == _BATCH or size + log.size > _BATCH_SIZE):
            yield batch
            batch, size = [], 0
        batch.append(log.path)
        size += log.size
    if batch:
        yield batch


def _logs(folder: SessionFolder) -> Iterator[_Log]:
    with suppress(FileNotFoundError), os.scandir(folder.attempts) as entries:
        for entry in entries:
            if entry.name.endswith(".log") and entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                if found.st_size >= SMALLEST and found.st_size <= LARGEST and found.st_nlink == 1:
                    yield _Log(found.st_size, Path(entry.path))


def _compress(path: Path, ending: str) -> _Compressed:
    was = path.stat()
    packed = path.with_name(f"{path.name}{ending}")
    new = packed.with_name(f"{packed.name}{_UNFINISHED}")
    try:
        compress(path, new, ending)
        new.replace(packed)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return _Compressed(path, packed, was)


def _replace(done: _Compressed) -> bool:
    """Remove the plain one; the compressed one if the plain one is not what it was. False then."""
    try:
        now = done.plain.stat()
    except FileNotFoundError:
        done.packed.unlink()  # somebody removed it, or set it aside
        return False
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (done.was.st_ino, done.was.st_size, done.was.st_mtime_ns):
        done.packed.unlink()
        return False
    done.plain.unlink()
    return True


def _remove_unfinished(folder: SessionFolder) -> None:
    for ending in COMPRESSED:
        for left in folder.attempts.glob(f"*.log{ending}{_UNFINISHED}"):
            left.unlink(missing_ok=True)
        for packed in folder.attempts.glob(f"*.log{ending}"):
            if packed.with_suffix("").exists():  # it counts, and the new one would need room beside both
                packed.unlink(missing_ok=True)
