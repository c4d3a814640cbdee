"""Output in a file of this machine."""

from contextlib import closing
from pathlib import Path

from msgspec import Struct

from parexec_tui.outputs.log_file import LogFile
from parexec_tui.outputs.sources import Source, compressed_beside, open_log


class LocalOutput(Struct, frozen=True):
    """See `Output`."""

    path: Path

    @property
    def name(self) -> str:
        found = None if self.path.exists() else compressed_beside(self.path)
        return str(found or self.path)

    def read(self, offset: int, limit: int) -> bytes:
        with self._open() as source:
            data = source.pread(limit, offset)
            if b"\0" in data and (gap := source.find_gap()) is not None:
                return data[: max(0, gap.start - offset)] if offset < gap.end else data
            return data

    def past_gap(self, offset: int) -> int:
        with self._open() as source:
            gap = source.find_gap()
        return gap.end if gap is not None and gap.start <= offset < gap.end else offset

    def tail(self, limit: int) -> bytes:
        with self._open() as source:
            size = source.size()
            start = max(0, size - limit)
            if (gap := source.find_gap()) is not None and start < gap.end:
                start = gap.end
            return source.pread(size - start, start)

    def grew(self) -> float:
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return (compressed_beside(self.path) or self.path).stat().st_mtime

    def _open(self) -> "closing[Source]":
        return closing(open_log(self.path))

    def follow(self) -> LogFile:
        return LogFile(self.path)
