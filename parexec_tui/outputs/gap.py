"""The gap in a log whose middle was left out because it grew beyond `max_log`: where it is, and how it is made.

The middle is a hole in the file. So all offsets stay, those of whoever appends and of whoever follows, and the disk
gets its blocks back. A line of a fixed length stands right before the hole and says how much was left out, for every
program that reads the file; by that line the gap is told from holes that others make.
"""

import errno
import os
import re
import stat
import sys
from typing import NamedTuple

from parexec_tui.core.plan.units import format_size

NOTE_LENGTH = 128
"""Bytes of the line before the gap, with the newline before it and its own."""

_HOST_LENGTH = 64
"""Bytes of the name of a host in that line, at most."""

_is_note = re.compile(
    rb"\n\[parexec\] [0-9.]+[A-Za-z]+ left out here: "
    rb"(?:no more than [0-9.]+[A-Za-z]+ is kept, see max_log|they are on the host(?: [\w.-]+)?) *\n"
).fullmatch

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of linux/falloc.h."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Gap(NamedTuple):
    """A range of offsets."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def said(left_out: int, limit: int) -> str:
    """That so many bytes were left out of a log."""
    return f"{format_size(left_out)} left out here: no more than {format_size(limit)} is kept, see max_log"


def left_on_host_text(left_out: int, host: str = "") -> str:
    """That so many bytes of a log were not copied from the host where they were written."""
    return f"{format_size(left_out)} left out here: they are on the host {host[:_HOST_LENGTH]}".rstrip()


def is_noted_on_host(note: bytes) -> bool:
    """Whether the line before a gap says that what is left out is on the host."""
    return b"they are on the host" in note


def find_gap(fd: int, size: int) -> Gap | None:
    """The gap of a log of this size; None if there is none."""
    try:
        start = os.lseek(fd, 0, os.SEEK_HOLE)
        if not NOTE_LENGTH <= start < size or not _is_note(os.pread(fd, NOTE_LENGTH, start - NOTE_LENGTH)):
            return None
        return Gap(start, min(_data_from(fd, start, size), size))
    except (OSError, AttributeError):  # a system that does not tell
        return None


def _data_from(fd: int, start: int, size: int) -> int:
    """Where the hole ends that begins there."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size  # nothing but a hole: what stands behind it is still to be copied


def kept_at_most(found: os.stat_result) -> int:
    """How many bytes a log of which this is known can have, if its gap is left out."""
    return min(found.st_size, found.st_blocks * 512)


def cut(path: str, limit: int) -> Gap | None:
    """Leave out the middle of a log that has more than `limit` bytes. Of these, an eighth stays at its start and half
    at its end. Returns the gap that there is then, or None if nothing was to be left out.

    Others may append at the same time. Raises OSError, with EOPNOTSUPP if the file system cannot do it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return _cut(fd, limit)
    finally:
        os.close(fd)


def _cut(fd: int, limit: int) -> Gap | None:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return None
    size, block = found.st_size, found.st_blksize
    before = find_gap(fd, size)
    if size - (before.length if before is not None else 0) <= limit:
        return None
    start = before.start if before is not None else -(-(limit // 8) // block) * block
    gap = Gap(start, (size - limit // 2) // block * block)
    undone = before.end if before is not None else start
    if gap.end <= undone or start < NOTE_LENGTH:
        return None
    note = _note(said(gap.length, limit))
    try:
        # Noted first: should we die in between, nothing is hidden yet, and nothing is missing without a word.
        os.pwrite(fd, note, start - NOTE_LENGTH)
        _punch(fd, undone, gap.end - undone)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _punch(fd, undone, gap.end - undone)  # some file systems write what they change to another place
        os.pwrite(fd, note, start - NOTE_LENGTH)
    return gap


def skip_to(fd: int, gap: Gap, host: str = "") -> None:
    """Let a log that is copied from a host go on at the end of a gap: what it has from the start of that on is left
    out. Raises OSError."""
    os.pwrite(fd, _note(left_on_host_text(gap.length, host)), gap.start - NOTE_LENGTH)
    os.ftruncate(fd, gap.start)
    os.ftruncate(fd, gap.end)


def leave_on_host(fd: int, gap: Gap, undone: int, host: str = "") -> None:
    """Leave out what was copied from a host, from `undone` up to the end of a gap. Raises OSError, with EOPNOTSUPP if
    the file system cannot do it."""
    os.pwrite(fd, _note(left_on_host_text(gap.length, host)), gap.start - NOTE_LENGTH)
    _punch(fd, undone, gap.end - undone)


def _note(text: str) -> bytes:
    return f"\n[parexec] {text}".ljust(NOTE_LENGTH - 1).encode() + b"\n"


def _punch(fd: int, start: int, length: int) -> None:
    """Give the blocks of a range back. Raises OSError."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if fallocate is None or sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, start, length):
        if (number := ctypes.get_errno()) != errno.EINTR:
            raise OSError(number, os.strerror(number))
