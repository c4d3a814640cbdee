"""Attempts on a time axis, a row for each agent (a Gantt): what ran, what runs, and what is predicted."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from parexec_tui.core.plan.units import format_duration

PREDICTED: Final = "predicted"
"""The status of a bar that has not begun."""

_STEPS: Final = (
    1, 5, 15, 30, 60, 5 * 60, 15 * 60, 30 * 60, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400,
    30 * 86400, 90 * 86400, 365 * 86400,
)  # fmt: skip
"""Seconds between the ticks of an axis; the first whose labels have room is taken."""

_PARTIAL: Final = " ▏▎▍▌▋▊▉█"


class AttemptSpan(NamedTuple):
    """One attempt on an agent; times are seconds since the epoch."""

    ticket: str
    agent: str
    start: float
    end: float | None
    """None while it runs."""
    status: str


class PredictedSpan(NamedTuple):
    """When a ticket will run, as far as can be told."""

    ticket: str
    agent: str | None
    """None: one that is still to be started."""
    start: float
    end: float


class Window(NamedTuple):
    """The time that is shown: `width` cells from `start` to `end`, in seconds since the epoch."""

    start: float
    end: float
    width: int

    def eighths(self, at: float) -> int:
        """How many eighths of a cell a moment is from the left, at most the whole width."""
        share = (at - self.start) / (self.end - self.start)
        return min(8 * self.width, max(0, round(share * 8 * self.width)))

    def column(self, at: float) -> int | None:
        """The cell of a moment, or None if it is not shown."""
        column = int((at - self.start) / (self.end - self.start) * self.width)
        return column if 0 <= column < self.width and at >= self.start else None


class TimelineCell(NamedTuple):
    """One character of a row."""

    char: str
    ticket: str | None
    """The ticket whose bar it is part of; None: of no bar."""
    status: str
    """The status of that attempt, PREDICTED, `now` for the line, or empty."""
    reverse: bool
    """Swap the colours: the character is what the bar does *not* cover, or a letter of the name on the bar."""


class TimelineRow(NamedTuple):
    """What one agent did and will do."""

    agent: str | None
    """None: an agent that is still to be started."""
    cells: list[TimelineCell]


class Tick(NamedTuple):
    column: int
    label: str


def timeline(
    attempts: Iterable[AttemptSpan],
    predicted: Iterable[PredictedSpan],
    window: Window,
    now: float,
    *,
    agents: Sequence[str] = (),
    ascii_only: bool = False,
) -> list[TimelineRow]:
    """Rows of exactly `window.width` cells: those of `agents` in this order, then others as they come.

    An agent runs one ticket at a time; where two attempts share a cell, the later one has it. Predicted attempts on
    agents that are still to be started are put in as few rows as they fit in. Costs O(bars + rows * width).
    """
    bars: defaultdict[str | None, list[_Bar]] = defaultdict(list)
    for agent in agents:
        bars[agent] = []
    for attempt in attempts:
        end = now if attempt.end is None else attempt.end
        bars[attempt.agent].append(_Bar(attempt.ticket, attempt.start, end, attempt.status))
    for each in predicted:
        bars[each.agent].append(_Bar(each.ticket, each.start, each.end, PREDICTED))
    rows: list[tuple[str | None, list[_Bar]]] = [row for row in bars.items() if row[0] is not None]
    rows += [(None, stack) for stack in _stacks(bars.get(None, []))]
    now_column = window.column(now)
    return [TimelineRow(agent, _draw(own, window, now_column, ascii_only=ascii_only)) for agent, own in rows]


class _Bar(NamedTuple):
    ticket: str
    start: float
    end: float
    status: str


def _stacks(bars: list[_Bar]) -> list[list[_Bar]]:
    """The bars in rows without overlaps, each in the first row that is free by then."""
    stacks: list[list[_Bar]] = []
    for bar in sorted(bars, key=lambda bar: bar.start):
        room = next((stack for stack in stacks if stack[-1].end <= bar.start), None)
        if room is None:
            stacks.append([bar])
        else:
            room.append(bar)
    return stacks


def _draw(bars: list[_Bar], window: Window, now: int | None, *, ascii_only: bool) -> list[TimelineCell]:
    cells = [TimelineCell(" ", None, "", False)] * window.width
    if now is not None:
        cells[now] = TimelineCell("|" if ascii_only else "│", None, "now", False)
    for bar in sorted(bars, key=lambda bar: bar.start):
        if window.width and bar.end >= window.start and bar.start < window.end:
            drawn = _ascii_bar(bar, window) if ascii_only else _block_bar(bar, window)
            at = _span(bar, window)[0] // 8
            cells[at : at + len(drawn)] = drawn
    return cells


def _span(bar: _Bar, window: Window) -> tuple[int, int]:
    """Where a bar begins and ends, in eighths of a cell: at least two."""
    start = min(window.eighths(bar.start), 8 * window.width - 2)
    return start, max(window.eighths(bar.end), start + 2)


def _block_bar(bar: _Bar, window: Window) -> list[TimelineCell]:
    """The cells of a bar, at least one. It begins an eighth late, so that neighbours can be told apart."""
    start, end = _span(bar, window)
    first, last = start // 8, -(-end // 8)
    cells = [TimelineCell("█", bar.ticket, bar.status, False)] * (last - first)
    if end % 8:
        cells[-1] = cells[-1]._replace(char=_PARTIAL[end % 8])
    if bar.start >= window.start and (len(cells) > 1 or not end % 8):
        # There are no signs for the right part of a cell: it is the left part, reversed.
        cells[0] = TimelineCell(_PARTIAL[max(1, start % 8)], bar.ticket, bar.status, True)
    return _with_name(cells, bar)


def _ascii_bar(bar: _Bar, window: Window) -> list[TimelineCell]:
    start, end = _span(bar, window)
    count = max(1, round(end / 8) - start // 8)
    sign = "-" if bar.status == PREDICTED else "="
    cells = [TimelineCell("[", bar.ticket, bar.status, False)] + [
        TimelineCell(sign, bar.ticket, bar.status, False)
    ] * (count - 1)
    return _with_name(cells, bar) if count > 1 else cells


def _with_name(cells: list[TimelineCell], bar: _Bar) -> list[TimelineCell]:
    """The ticket's name upon its bar, where it leaves room at both ends."""
    if len(cells) >= len(bar.ticket) + 2:
        is_ascii = cells[1].char in "=-"
        name = [TimelineCell(letter, bar.ticket, bar.status, not is_ascii) for letter in bar.ticket]
        cells[1 : 1 + len(name)] = name
    return cells


_ZEROS: Final = re.compile(r"(?<=[mhd])00[smh]$|\.0+(?=s$)")


def ticks(window: Window, origin: float) -> list[Tick]:
    """Ticks at whole steps since `origin` (`0s`, `5m`, `1h30m`), with labels that end within the window and have at
    least two blanks between them."""
    if window.width <= 0 or window.end <= window.start:
        return []
    per_second = window.width / (window.end - window.start)
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
        label = _ZEROS.sub("", format_duration(number * step))
        if column is not None and column + len(label) <= window.width:
            found.append(Tick(column, label))
    return found


def axis(marks: Iterable[Tick], width: int) -> str:
    """The labels of an axis as a line of exactly `width` cells."""
    text = [" "] * width
    for mark in marks:
        text[mark.column : mark.column + len(mark.label)] = mark.label
    return "".join(text)
