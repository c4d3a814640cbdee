"""Searches a log of any size, in slices, in the text as the screen shows it rather than in its bytes.

So `error: x` is found where a program coloured only the first word, and nothing is found in the escape sequence that
sets a terminal's title. A block of bytes that cannot contain a match is skipped after one look; only lines that may
have one are decoded. A match is not found across the places where a very long line is cut, nor across control
characters that are not escape sequences.
"""

import time
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.text.search_terms import SearchTerm
from parexec_tui.tui.output.log_text import read_line

_SLICE = 256 * 1024
"""Bytes read between two chances to stop a search: some milliseconds. More than the longest line."""

MAX_COUNTED = 64 * 1024 * 1024
"""Bytes: the matches of a longer log are not counted."""

_WORK, _PAUSE = 0.01, 0.001
"""Seconds of work between two pauses, and of a pause. A thread that never rests may lose the CPU on a busy host while
it holds the interpreter, and keys would wait."""


class Match(NamedTuple):
    """Where a match was found."""

    start: int
    """The offset of the line."""
    letter: int
    """The letter of the line, as it is shown, at which the match begins."""
    wrapped: bool
    """The search passed the end of the file, and found it after it went on at the other end."""


class Search:
    """A search from a line to the end of the file, and from the other end back to that line.

    `run` is for a thread; everything else may be called from any thread.
    """

    def __init__(self, reader: LogReader, what: SearchTerm, start: int, *, backwards: bool) -> None:
        """Forwards, the line at `start` is the first one searched; backwards, the one before it."""
        self.what = what
        self._reader = reader
        self._start = start
        self._backwards = backwards
        self._stopped = False
        self._done = 0
        self._rested = time.monotonic()

    @property
    def share(self) -> float:
        """The share of the file that was searched, from 0 to 1."""
        return self._done / max(self._reader.size, 1)

    def stop(self) -> None:
        """Stop the search within one slice: its result is not wanted any more."""
        self._stopped = True

    def run(self) -> Match | None:
        """Search. Returns the first match; None if there is none, or if it was stopped. Raises OSError."""
        size, start = self._reader.size, self._start
        if self._backwards:
            return self._up(start, 0, wrapped=False) or self._up(size, start, wrapped=True)
        return self._down(start, size, wrapped=False) or self._down(0, start, wrapped=True)

    def _down(self, start: int, end: int, *, wrapped: bool) -> Match | None:
        while start < end and not self._stopped:
            start, stop = self._reader.block_from(start, _SLICE)
            if match := self._search_lines(start, min(stop, end), wrapped=wrapped):
                return match
            start = stop
        return None

    def _up(self, end: int, start: int, *, wrapped: bool) -> Match | None:
        while start < end and not self._stopped:
            begin, end = self._reader.block_before(end, _SLICE)
            if match := self._search_lines(max(begin, start), end, wrapped=wrapped):
                return match
            end = begin
        return None

    def _search_lines(self, start: int, end: int, *, wrapped: bool) -> Match | None:
        """The first match between two lines, in the order of the search."""
        self._done += end - start
        self._rest()
        data = self._reader.read(start, end)
        if not self.what.may_be_in(data):
            return None
        lines = self._reader.shown(data, start)
        for line in reversed(lines) if self._backwards else lines:
            if self.what.may_be_in(line.data) and (match := self.what.pattern.search(read_line(line.data).text)):
                return Match(line.start, match.start(), wrapped)
        return None

    def count(self) -> Sequence[int] | None:
        """The offsets of all lines with a match, in order. None: it was stopped, or there is too much to read just
        for a number. Raises OSError."""
        size = self._reader.size
        if size > MAX_COUNTED:
            return None
        found = array("q")
        start = 0
        while start < size and not self._stopped:
            start, stop = self._reader.block_from(start, _SLICE)
            data = self._reader.read(start, stop)
            self._rest()
            if self.what.may_be_in(data):
                lines = self._reader.shown(data, start)
                found.extend(line.start for line in lines if self._is_in(line.data))
            start = stop
        return None if self._stopped else found

    def _is_in(self, line: bytes) -> bool:
        return self.what.may_be_in(line) and self.what.pattern.search(read_line(line).text) is not None

    def _rest(self) -> None:
        if time.monotonic() - self._rested > _WORK:
            time.sleep(_PAUSE)
            self._rested = time.monotonic()
