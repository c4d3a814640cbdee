"""A log file as it is on disk now: read by offset, never whole, and watched as it grows, shrinks, goes and comes."""

import os
from enum import Enum, auto
from pathlib import Path

from parexec_tui.outputs.compressed import CompressedLog
from parexec_tui.outputs.gap import Gap, kept_at_most
from parexec_tui.outputs.log_lines import MAX_UNCUT, RawLine, last_start, span, split
from parexec_tui.outputs.sources import PlainLog, Source, compressed_beside

_BLOCK = 64 * 1024
"""Bytes read at once for the lines of a screen."""


class LogReader:
    """Reads lines of an open file around any offset. What one call reads is bounded by the lines it is asked for, and
    by the length of a progress bar among them. What was left out of the log is passed over: a line before the gap
    says so, and behind it another line begins.

    Offsets count bytes. Each call reads what the file has at that moment. Nothing is kept from call to call but where
    the last long bar was, so that it is not read again for each new state. If the file was cut short in between, a
    call finds less than `size` promises; that is no error.
    """

    def __init__(self, source: Source, size: int, max_uncut: int = MAX_UNCUT) -> None:
        self._source = source
        self.size = size
        self.gap: Gap | None = None
        """What was left out. Found by `measure`, and where it is met."""
        self._max_uncut = max_uncut
        self._bar = (0, 0)
        """From which part to which part of a long line nothing can be seen, because what follows rewrites it."""

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one offset to another, as far as there are any before a gap. Raises OSError."""
        end = min(end, self.size)
        if self.gap is not None and start < self.gap.end:
            end = min(end, self.gap.start)
        data = self._source.pread(end - start, start) if end > start else b""
        if b"\0" in data and self.look_for_gap():  # it was cut since we looked
            return self.read(start, end)
        return data

    def past_gap(self, offset: int) -> int:
        """The offset, or the end of the gap that it is in."""
        return self.gap.end if self.gap is not None and self.gap.start <= offset < self.gap.end else offset

    def before_gap(self, end: int) -> int:
        """The end of a range, or the start of the gap that it is in."""
        return self.gap.start if self.gap is not None and self.gap.start < end <= self.gap.end else end

    def block_from(self, start: int, length: int) -> tuple[int, int]:
        """(start, end) of whole lines from an offset on: about so many bytes, and no gap among them."""
        start = self.past_gap(start)
        end = self.gap.start if self.gap is not None and start < self.gap.start else self.size
        return start, self.start_of(start + length) if start + length < end else end

    def block_before(self, end: int, length: int) -> tuple[int, int]:
        """(start, end) of whole lines up to an offset: about so many bytes, and no gap among them."""
        end = self.before_gap(end)
        first = self._first_before(end)
        return (self.start_of(end - length) if end - length > first else first), end

    def _first_before(self, offset: int) -> int:
        """Where the lines begin among which this offset is: at the start, or behind the gap."""
        return self.gap.end if self.gap is not None and offset >= self.gap.end else 0

    def look_for_gap(self) -> bool:
        """Look where the gap is; returns whether it is elsewhere than before."""
        before, self.gap = self.gap, self._source.find_gap()
        return self.gap != before

    def shown(self, data: bytes, start: int) -> list[RawLine]:
        """The lines of bytes, without what later parts of a line rewrite. The bytes begin where a line begins, and
        end where another line begins."""
        lines = self._split(data, start)
        return [line for line in lines if not line.is_rewritten] if b"\r" in data else lines

    def start_of(self, offset: int) -> int:
        """The start of the line at this offset, or of the part of it, if that is rewritten."""
        offset = self.past_gap(offset)
        low, high = span(offset, self._max_uncut)
        first = self._first_before(offset)
        low = max(low, first)
        return last_start(self.read(low, high), low, offset, self._max_uncut, begins=low == first)

    def lines_from(self, start: int, count: int) -> list[RawLine]:
        """At most `count` lines, the first of which begins at `start`."""
        lines: list[RawLine] = []
        while len(lines) < count:
            start = self.past_gap(self._bar[1] if self._bar[0] <= start < self._bar[1] else start)
            if not (data := self.read(start, start + max(_BLOCK, 3 * self._max_uncut))):
                break
            found = self._split(data, start)
            if start + len(data) < self.size and len(found) > 1:
                found.pop()  # it may go on beyond what was read
            lines += self._visible(found) if b"\r" in data else found
            start = found[-1].end
        return lines[:count]

    def lines_before(self, end: int, count: int) -> list[RawLine]:
        """At most `count` lines before the line that begins at `end`, in their order."""
        lines: list[RawLine] = []
        step = 4096
        while len(lines) < count and end > 0:
            start, end = self.block_before(self._bar[0] if self._bar[0] < end <= self._bar[1] else end, step)
            data = self.read(start, end)
            found = self._split(data, start)
            lines[:0] = self._visible(found) if b"\r" in data else found
            end, step = start, min(2 * step, _BLOCK)
        return lines[-count:]

    def _split(self, data: bytes, start: int) -> list[RawLine]:
        end = start + len(data)
        following = self.read(end, end + 1) if data.endswith(b"\r") else b""
        return list(split(data, start, self._max_uncut, following))

    def _visible(self, parts: list[RawLine]) -> list[RawLine]:
        """The parts that are not rewritten. Remembers where the others are."""
        hidden = [part for part in parts if part.is_rewritten]
        if not hidden:
            return parts
        begin, end = hidden[0].start, hidden[-1].end
        if sum(part.end - part.start for part in hidden) == end - begin:  # one after the other
            before, after = self._bar
            self._bar = (min(before, begin), max(after, end)) if begin <= after and before <= end else (begin, end)
        return [part for part in parts if not part.is_rewritten]

    def measure(self, found: os.stat_result) -> "FileChange":
        """Take note of the size that the file has now, and of what was left out."""
        before, self.size = self.size, (size := found.st_size)
        if size < before:
            self._bar = (0, 0)
        has_moved = (self.gap is not None or kept_at_most(found) < size) and self.look_for_gap()
        if size == before and not has_moved:
            return FileChange.none
        return FileChange.grew if size >= before else FileChange.shrank

    def measure_now(self) -> "FileChange":
        """As `measure`, of what is open, whatever its name stands for by now."""
        return self.measure(self._source.stat()) if isinstance(self._source, PlainLog) else FileChange.none

    def go_on_in(self, source: Source) -> None:
        """Read the same from another source from now on."""
        self._source.close()
        self._source = source
        self.look_for_gap()

    def duplicate(self) -> "LogReader":
        """A reader of the same open file for another thread, which has to close it. Raises OSError."""
        other = LogReader(self._source.duplicate(), self.size, self._max_uncut)
        other.gap, other._bar = self.gap, self._bar
        return other

    def close(self) -> None:
        self._source.close()


class FileChange(Enum):
    """What became of a file since the last look."""

    none = auto()
    opened = auto()
    """It is there, for the first time."""
    grew = auto()
    shrank = auto()
    """It is the same file with less in it: what was read before is not there any more."""
    replaced = auto()
    """Another file has its name."""
    lost = auto()
    """It is not there, or not any more, or cannot be read: `trouble` says why, in other words than before."""


class LogFile:
    """The file that has this path now, and what happens to it.

    A file that shrank and has grown beyond its old size before the next look is taken for one that only grew.
    """

    def __init__(self, path: Path, max_uncut: int = MAX_UNCUT) -> None:
        self._path = path
        self._max_uncut = max_uncut
        self._identity: tuple[int, int] | None = None
        """Device and inode of what is open."""
        self.reader: LogReader | None = None
        """None until the file could be opened. Of one that was deleted, what it has can still be read."""
        self.trouble = ""
        """Why there is nothing to read, or nothing more; empty: all is well."""

    def look(self) -> FileChange:
        """Look at the file again: one system call when nothing happened, some more if it is compressed."""
        try:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                if (compressed := compressed_beside(self._path)) is None:
                    raise
                return self._look_at_compressed(compressed)
            if self.reader is None or (found.st_dev, found.st_ino) != self._identity:
                return self._open()
        except OSError as error:
            return self._lost(error)
        self.trouble = ""
        return self.reader.measure(found)

    def close(self) -> None:
        """Let go of the file."""
        if self.reader is not None:
            self.reader.close()
        self.reader, self._identity = None, None

    def _open(self) -> FileChange:
        source = PlainLog.open(self._path)
        return self._opened(source, source.stat())

    def _look_at_compressed(self, path: Path) -> FileChange:
        """What is compressed does not change. It has all that the plain one had, at the same offsets."""
        found = path.stat()
        if self.reader is not None and (found.st_dev, found.st_ino) == self._identity:
            return FileChange.none
        source = CompressedLog.open(path)
        if self.reader is None or source.size() != self.reader.size:
            return self._opened(source, found)
        self.reader.go_on_in(source)
        self._identity, self.trouble = (found.st_dev, found.st_ino), ""
        return FileChange.none

    def _opened(self, source: PlainLog | CompressedLog, found: os.stat_result) -> FileChange:
        change = FileChange.opened if self.reader is None else FileChange.replaced
        self.close()
        self.reader = LogReader(source, source.size(), self._max_uncut)
        self.reader.look_for_gap()
        self._identity, self.trouble = (found.st_dev, found.st_ino), ""
        return change

    def _lost(self, error: OSError) -> FileChange:
        before = self.trouble
        if not isinstance(error, FileNotFoundError):
            self.trouble = f"the log cannot be read: {error.strerror}"
        elif self.reader is None:
            self.trouble = "there is no log yet"
        else:
            self.trouble = "the log was deleted: this is what it had"
        if self.trouble != before:
            return FileChange.lost
        return FileChange.none if self.reader is None else self.reader.measure_now()
