"""Rows of a log as strips of the screen."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.line import fitted
from parexec_tui.tui.output.log_window import LogRow

Mark = tuple[int, int, Style]
"""A range of letters that stands out, and its style."""


def row_strip(row: LogRow, base: Style, marks: list[Mark], width: int) -> Strip:
    """A row of a log in exactly so many cells. Its own colours are over `base`, marks are over both."""
    segments = [Segment(" " * row.pad, base)] if row.pad else []
    segments += _segments(row, base, [mark for mark in marks if mark[0] < row.end and mark[1] > row.begin])
    return Strip(segments).adjust_cell_length(width, base)


def text_strip(text: str, style: Style, width: int, right: str = "", right_style: Style | None = None) -> Strip:
    """A text at the left, and another at the right where there is room, in exactly so many cells."""
    room = width - width_of(right)
    if not right or room < 2:
        return Strip([Segment(fitted(text, width, end=""), style)], width)
    return Strip([Segment(fitted(text, room, end=""), style), Segment(right, right_style or style)], width)


def _segments(row: LogRow, base: Style, marks: list[Mark]) -> Iterator[Segment]:
    starts = [start for start, _ in row.line.runs]
    edges = {row.begin, row.end, *starts, *(edge for start, end, _ in marks for edge in (start, end))}
    for begin, end in pairwise(sorted(edge for edge in edges if row.begin <= edge <= row.end)):
        style = base + row.line.runs[bisect_right(starts, begin) - 1][1]
        for start, stop, mark in marks:
            if start <= begin < stop:
                style += mark
        yield Segment(row.line.text[begin:end], style)
