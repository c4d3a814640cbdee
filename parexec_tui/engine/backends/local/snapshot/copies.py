"""Copies of files: with their holes, sharing blocks where the file system can do that, safe on the disk."""

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from parexec_tui.engine.backends.local.files import Sign
from parexec_tui.engine.backends.local.snapshot.content import Entry, SnapshotError
from parexec_tui.engine.passing import is_want

_FICLONE: Final = 0x40049409
"""FICLONE of linux/fs.h: the copy shares its blocks with the original until one of them is written."""

_PIECE: Final = 1 << 20

_ZEROS: Final = bytes(_PIECE)

_TRIES: Final = 3
"""How often a file that changes while it is copied is copied again."""

TO_READ: Final = os.O_RDONLY | os.O_CLOEXEC

TO_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


IsWanted = Callable[[], bool]
"""Whether a copy is to be finished: asked again and again while it is made, in its thread."""


def copied(entries: dict[str, Entry], files: Path, *, synced: bool, is_wanted: IsWanted) -> dict[str, Entry]:
    """The entries, with a copy of each file. Raises SnapshotError if it is not wanted any more."""
    kept: dict[str, Entry] = {}
    copies: dict[tuple[int, int], tuple[str, str]] = {}
    for path, entry in entries.items():
        if entry.kind == "file":
            if entry.file not in copies:
                name = str(len(copies))
                copies[entry.file] = name, _copy_whole(path, entry.sign, files / name, synced, is_wanted)
            copy, digest = copies[entry.file]
            kept[path] = entry._replace(copy=copy, digest=digest)
        else:
            kept[path] = entry
    return kept


def _copy_whole(path: str, sign: Sign, to: Path, synced: bool, is_wanted: IsWanted) -> str:
    """Copy a file that may be written just now; returns the hash of the copy."""
    for _ in range(_TRIES):
        with Opened(open_to_read(path)) as source, Opened(os.open(to, TO_NEW | os.O_TRUNC, 0o600)) as new:
            digest = copy(source, new, synced=synced, is_wanted=is_wanted)
            found = os.fstat(source)
        if (found.st_size, found.st_mtime_ns, found.st_ino) == (sign.size, sign.modified, sign.inode):
            return digest
        sign = Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    raise SnapshotError(f"its snapshot cannot be made: {path} is being written by somebody")


class Opened:
    """Closes a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def open_to_read(path: str) -> int:
    try:
        return os.open(path, TO_READ | os.O_NOFOLLOW)
    except OSError as error:
        if is_want(error):
            raise
        raise SnapshotError(f"its snapshot cannot be made: {path}: {error.strerror}") from error


def copy(source: int, new: int, *, synced: bool = True, is_wanted: IsWanted = lambda: True) -> str:
    """Copy a file to an empty one; returns the hash of what the new one has. Raises SnapshotError if it is not wanted
    any more."""
    if not _clone(source, new):
        copy_data(source, new, is_wanted)
    digest = _hash(new)
    if synced:
        os.fsync(new)
    return digest


def _clone(source: int, to: int) -> bool:
    """Let one file share the blocks of another, where the file system can do that."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(to, _FICLONE, source)
    except OSError:
        return False
    return True


def can_share(path: str, probe: Path) -> bool:
    """Whether a copy of a file takes no room."""
    with Opened(open_to_read(path)) as source, Opened(os.open(probe, TO_NEW, 0o600)) as new:
        is_shared = _clone(source, new)
    probe.unlink()
    return is_shared


def copy_data(source: int, to: int, is_wanted: IsWanted = lambda: True) -> None:
    """Write what a file has over another one, which has holes where the first one has them, or is dense as that."""
    at = 0
    while (at := _seek(source, at, os.SEEK_DATA)) >= 0:
        end = _seek(source, at, os.SEEK_HOLE)
        while piece := _read_at(source, at, _PIECE if end < 0 else min(_PIECE, end - at)):
            if not is_wanted():
                raise SnapshotError("its snapshot is not wanted any more")
            _write_at(to, at, piece)
            at += len(piece)
        if end < 0 or at < end:
            break
    os.ftruncate(to, os.fstat(source).st_size)


def has_holes(fd: int) -> bool:
    return 0 <= _seek(fd, 0, os.SEEK_HOLE) < os.fstat(fd).st_size


def _seek(fd: int, at: int, to: int) -> int:
    """Where the next data begin or end. Negative: there are none, or where they end is not known."""
    try:
        return os.lseek(fd, at, to)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return at if to == os.SEEK_DATA else -1  # a file system that does not tell


def _read_at(fd: int, at: int, count: int) -> bytes:
    """So many bytes; fewer at the end of a file."""
    pieces: list[bytes] = []
    while count and (piece := os.pread(fd, count, at)):
        pieces.append(piece)
        at, count = at + len(piece), count - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write_at(fd: int, at: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        written = os.pwrite(fd, left, at)
        at, left = at + written, left[written:]


def _hash(fd: int) -> str:
    """Of what a file has. A piece of zeros is told by the place of what comes after it, so holes are not read."""
    digest = blake2b(digest_size=20)
    at = told = 0
    while (found := _seek(fd, at, os.SEEK_DATA)) >= 0:
        at = found // _PIECE * _PIECE
        if not (piece := _read_at(fd, at, _PIECE)):
            break
        if piece != _ZEROS[: len(piece)]:
            if at != told:
                digest.update(b"at %d" % at)
            digest.update(piece)
            told = at + len(piece)
        at += len(piece)
        if len(piece) < _PIECE:
            break
    return digest.hexdigest()


def hash_of(path: str) -> str:
    with Opened(os.open(path, TO_READ | os.O_NOFOLLOW)) as fd:
        return _hash(fd)


def can_sync_all() -> bool:
    return sys.platform == "linux"


def sync_all(folder: Path) -> None:
    """Have all written that the file system of a folder still has to write. Raises OSError."""
    with Opened(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))


def sync_folder(folder: str | Path) -> None:
    with suppress(OSError):  # a file system without it
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
