"""The part of a log that is on the screen: which lines in which rows, and how it moves. Nothing is drawn here.

The position of the window is the letter at its upper left. So it does not move when the log grows, when its width
changes, or when wrapping is switched. It reads only what it shows.
"""

from bisect import bisect_right
from typing import NamedTuple

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.outputs.log_lines import RawLine
from parexec_tui.text.cells import cells, row_starts, width_of
from parexec_tui.tui.output.log_text import LogText, read_line


class LogPlace(NamedTuple):
    """A letter of a log."""

    start: int
    """The offset of the line."""
    letter: int = 0
    """Which letter of the line, as it is shown."""


class LogRow(NamedTuple):
    """One row of the screen."""

    raw: RawLine
    line: LogText
    begin: int
    end: int
    """The end of the letters of the line that are visible."""
    pad: int = 0
    """Blank cells before them: half of a wide letter."""


class LogWindow:
    """A view of `height` rows and `width` cells onto a log."""

    def __init__(self) -> None:
        self.width = self.height = 0
        self.wrap = True
        self.following = True
        """The last row is visible, and stays so as the log grows."""
        self.column = 0
        """The first visible cell of lines that are not wrapped."""
        self.rows: list[LogRow] = []
        self.top = LogPlace(0)
        self._reader: LogReader | None = None

    def show(self, reader: LogReader | None) -> None:
        """Show another file, at its end, and follow it."""
        self._reader = reader
        self.top, self.following, self.column, self.rows = LogPlace(0), True, 0, []

    def lay_out(self) -> None:
        """Read what is on the screen now. Raises OSError."""
        reader = self._reader
        if reader is None or self.height < 1 or self.width < 1:
            self.rows = []
            return
        if self.following:
            self.top = self._bottom(reader)
        self.rows = self._rows(reader)
        if len(self.rows) < self.height and self.top != (bottom := min(self.top, self._bottom(reader))):
            self.top = bottom
            self.rows = self._rows(reader)

    @property
    def end(self) -> int:
        """The offset after the last row."""
        if not self.rows:
            return 0
        last = self.rows[-1]
        share = last.end / max(len(last.line.text), 1) if self.wrap else 1
        return last.raw.start + int((last.raw.end - last.raw.start) * share)

    def scroll(self, rows: int) -> None:
        """Scroll down by so many rows, or up if negative; beyond the end it follows. Raises OSError."""
        if self._reader is None:
            return
        if rows < 0:
            self.following = False
            self.top = self._up(self._reader, self.top, -rows)
        elif rows > 0 and not self.following:
            self.top = self._down(self._reader, self.top, rows)
            self.following = self.top > self._bottom(self._reader) or self.top.start >= self._reader.size

    def go_to(self, place: LogPlace) -> None:
        """Scroll to a letter, with some rows before it unless it is visible already, and stop following. Raises
        OSError."""
        self.following = False
        if self._reader is None:
            return
        if not any(self._has(row, place) for row in self.rows):
            self.top = self._up(self._reader, place, self.height // 3)
        if not self.wrap:
            self._reveal(place)

    def _reveal(self, place: LogPlace) -> None:
        """Scroll sideways to a letter of a line that is not wrapped."""
        assert self._reader is not None
        for raw in self._reader.lines_from(place.start, 1):
            cell = width_of(read_line(raw.data).text[: place.letter])
            if not self.column <= cell < self.column + self.width:
                self.column = max(0, cell - self.width // 3)

    def _has(self, row: LogRow, place: LogPlace) -> bool:
        return row.raw.start == place.start and (not self.wrap or row.begin <= place.letter < row.end)

    def _bottom(self, reader: LogReader) -> LogPlace:
        """The place of the window when the last row of the log is its last row."""
        return self._up(reader, LogPlace(reader.size), self.height)

    def _up(self, reader: LogReader, place: LogPlace, rows: int) -> LogPlace:
        """The place so many rows above the row of a place, or the first place."""
        lines = reader.lines_from(place.start, 1) if place.letter else []
        if lines:
            starts = [start for start in self._starts(lines[0]) if start <= place.letter]
            if len(starts) > rows:
                return LogPlace(place.start, starts[-1 - rows])
            rows -= len(starts) - 1
        if rows == 0:
            return place
        for raw in reversed(reader.lines_before(place.start, rows)):
            starts = self._starts(raw)
            if len(starts) >= rows:
                return LogPlace(raw.start, starts[-rows])
            rows -= len(starts)
        return LogPlace(0)

    def _down(self, reader: LogReader, place: LogPlace, rows: int) -> LogPlace:
        """The place so many rows below the row of a place, or the end."""
        for raw in reader.lines_from(place.start, rows + 1):
            starts = self._starts(raw)
            if raw.start == place.start:
                starts = starts[_row_of(starts, place.letter) :]
            if len(starts) > rows:
                return LogPlace(raw.start, starts[rows])
            rows -= len(starts)
        return LogPlace(reader.size)

    def _starts(self, raw: RawLine) -> list[int]:
        """The letters at which the rows of a line begin."""
        return row_starts(read_line(raw.data).text, self.width) if self.wrap else [0]

    def _rows(self, reader: LogReader) -> list[LogRow]:
        rows: list[LogRow] = []
        for raw in reader.lines_from(self.top.start, self.height):
            line = read_line(raw.data)
            if not self.wrap:
                rows.append(LogRow(raw, line, *cells(line.text, self.column, self.column + self.width)))
                continue
            starts = self._starts(raw)
            first = _row_of(starts, self.top.letter) if raw.start == self.top.start else 0
            ends = [*starts[1:], len(line.text)]
            rows += [LogRow(raw, line, *both) for both in zip(starts[first:], ends[first:], strict=True)]
            if len(rows) >= self.height:
                break
        return rows[: self.height]


def _row_of(starts: list[int], index: int) -> int:
    """Which row has a letter, given the letters at which rows begin."""
    return max(bisect_right(starts, index) - 1, 0)
