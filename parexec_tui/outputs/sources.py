"""The bytes of a log by offset, from the file itself or, once its session is over, from a compressed one beside it.

Offsets are those of the log in both. If both are there, the plain one counts: nobody had the time to remove it yet.
"""

import errno
import os
import stat
from io import FileIO
from pathlib import Path
from typing import Protocol

from parexec_tui.outputs.compressed import CompressedLog
from parexec_tui.outputs.gap import Gap, find_gap, kept_at_most
from parexec_tui.paths import COMPRESSED


class Source(Protocol):
    """An open log. Every method raises OSError."""

    def pread(self, length: int, offset: int) -> bytes:
        """At most so many bytes from an offset on. In a gap there are zeros, or nothing."""

    def size(self) -> int:
        """Where the log ends now."""

    def find_gap(self) -> Gap | None:
        """What was left out."""

    def duplicate(self) -> "Source":
        """The same for another thread, which has to close it."""

    def close(self) -> None: ...


class PlainLog:
    """See `Source`. The file may grow, shrink, or lose its name."""

    def __init__(self, fd: int) -> None:
        self._file = FileIO(fd)  # closes itself, even if the thread of a `duplicate` never begins

    @classmethod
    def open(cls, path: Path) -> "PlainLog":
        """Whatever somebody put in its place, this does not wait: a pipe cannot be read by offset. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "it is not a regular file")
        return cls(fd)

    def pread(self, length: int, offset: int) -> bytes:
        return os.pread(self._file.fileno(), length, offset)

    def stat(self) -> os.stat_result:
        """What is known of the open file, whatever its name stands for by now."""
        return os.fstat(self._file.fileno())

    def size(self) -> int:
        return self.stat().st_size

    def find_gap(self) -> Gap | None:
        found = self.stat()
        return find_gap(self._file.fileno(), found.st_size) if kept_at_most(found) < found.st_size else None

    def duplicate(self) -> "PlainLog":
        return PlainLog(os.dup(self._file.fileno()))

    def close(self) -> None:
        self._file.close()


def open_log(path: Path) -> "PlainLog | CompressedLog":
    """The log that has this path, or is compressed beside it. Raises FileNotFoundError, OSError."""
    try:
        return PlainLog.open(path)
    except FileNotFoundError:
        if (found := compressed_beside(path)) is None:
            return PlainLog.open(path)  # it may have come back
        return CompressedLog.open(found)


def compressed_beside(path: Path) -> Path | None:
    """Where the compressed form of a log is; None if there is none."""
    for ending in COMPRESSED:
        found = path.with_name(f"{path.name}{ending}")
        if found.exists():
            return found
    return None
