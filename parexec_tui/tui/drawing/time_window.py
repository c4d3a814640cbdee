"""Which part of a session's time is shown in how many cells, and the axis above it."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from parexec_tui.core.plan.units import format_duration

_STEPS: Final = (
    1, 5, 15, 30, 60, 5 * 60, 15 * 60, 30 * 60, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400,
    30 * 86400, 90 * 86400, 365 * 86400,
)  # fmt: skip
"""Seconds between the ticks of an axis; the first whose labels have room is taken."""


class Window(NamedTuple):
    """The time that is shown: `width` cells from `start` to `end`, in seconds since the epoch."""

    start: float
    end: float
    width: int

    @property
    def span(self) -> float:
        return self.end - self.start

    def halves(self, at: float) -> int:
        """How many halves of a cell a moment is from the left, at most the whole width."""
        share = (at - self.start) / self.span
        return min(2 * self.width, max(0, round(share * 2 * self.width)))

    def column(self, at: float) -> int | None:
        """The cell of a moment, or None if it is not shown."""
        column = int((at - self.start) / self.span * self.width)
        return column if 0 <= column < self.width and at >= self.start else None

    def zoomed(self, factor: float, around: float) -> "Window":
        """Show `factor` times as much time; this moment stays in its place."""
        start = around - (around - self.start) * factor
        return Window(start, start + self.span * factor, self.width)

    def moved(self, seconds: float) -> "Window":
        """Show what is so many seconds later."""
        return Window(self.start + seconds, self.end + seconds, self.width)

    def within(self, start: float, end: float) -> "Window":
        """The same span of time, moved so that it lies between these times; all between them, if that is less."""
        if self.span >= end - start:
            return Window(start, end, self.width)
        return self.moved(max(start - self.start, 0.0) or min(end - self.end, 0.0))

    def showing(self, at: float) -> "Window":
        """Moved so that a moment is shown, at a third or at two thirds; not moved if it is shown already."""
        if self.start <= at < self.end:
            return self
        return self.moved(at - self.start - self.span * (1 / 3 if at < self.start else 2 / 3))


class Tick(NamedTuple):
    column: int
    label: str


def ticks(window: Window, origin: float) -> list[Tick]:
    """Ticks at whole steps since `origin` (`0s`, `5m`, `1h30m`), with labels that end within the window and have at
    least two blanks between them."""
    if window.width <= 0 or window.end <= window.start:
        return []
    per_second = window.width / window.span
    for step in _STEPS:
        if step * per_second >= 3:
            found = _ticks_every(step, window, origin)
            if all(a.column + len(a.label) + 2 <= b.column for a, b in pairwise(found)):
                return found
    return []


def _ticks_every(step: int, window: Window, origin: float) -> list[Tick]:
    first = max(0, -int((origin - window.start) // step))
    found = []
    for number in range(first, first + window.width + 1):
        column = window.column(origin + number * step)
        label = round_duration(number * step)
        if column is not None and column + len(label) <= window.width:
            found.append(Tick(column, label))
    return found


_ZEROS: Final = re.compile(r"(?<=[mhd])00[smh]$|\.0+(?=s$)")


def round_duration(seconds: float) -> str:
    """A duration without a second unit where that is zero: `5m`, `1h30m`, `7s`."""
    return _ZEROS.sub("", format_duration(seconds))


def axis(marks: Iterable[Tick], width: int) -> str:
    """The labels of an axis as a line of exactly `width` cells."""
    text = [" "] * width
    for mark in marks:
        text[mark.column : mark.column + len(mark.label)] = mark.label
    return "".join(text)
