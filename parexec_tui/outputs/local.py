"""Output in a file of this machine."""

import os
from io import FileIO
from pathlib import Path

from msgspec import Struct

from parexec_tui.outputs.gap import find_gap, kept_at_most
from parexec_tui.outputs.log_file import LogFile


class LocalOutput(Struct, frozen=True):
    """See `Output`."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, offset: int, limit: int) -> bytes:
        with self._open() as file:
            data = os.pread(file.fileno(), limit, offset)
            if b"\0" in data and (gap := find_gap(file.fileno(), os.fstat(file.fileno()).st_size)) is not None:
                return data[: max(0, gap.start - offset)] if offset < gap.end else data
            return data

    def past_gap(self, offset: int) -> int:
        with self._open() as file:
            found = os.fstat(file.fileno())
            gap = find_gap(file.fileno(), found.st_size) if kept_at_most(found) < found.st_size else None
        return gap.end if gap is not None and gap.start <= offset < gap.end else offset

    def tail(self, limit: int) -> bytes:
        with self._open() as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - limit)
            data = os.pread(file.fileno(), limit, start)
            if b"\0" in data and (gap := find_gap(file.fileno(), size)) is not None:
                return data[max(0, gap.end - start) :]
            return data

    def grew(self) -> float:
        return self.path.stat().st_mtime

    def _open(self) -> FileIO:
        """The file. Whatever somebody put in its place, this does not wait: a pipe cannot be read by offset."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return FileIO(fd)
        except OSError:  # a folder
            os.close(fd)
            raise

    def follow(self) -> LogFile:
        return LogFile(self.path)
