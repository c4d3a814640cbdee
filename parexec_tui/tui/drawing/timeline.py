"""A row of a timeline (a Gantt): what ran, what runs, what is held back, and what is predicted.

    ██✓ core████▒▒▒███   ░░░░ load ░░░░
    █▌ data     [██▶ fuzz███│░░░░░░░░░░░]

A solid bar is a fact, `░` a forecast, `▒` a time in which the processes stood still. While a person held a ticket
back, the sign of what is held fills the time. Brackets are around the selected ticket, a vertical line is now. In
ASCII these are `=`, `/`, `~` and `|`. A bar has its sign and its name upon it, or at its right if it is too short.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from parexec_tui.tui.drawing.sign import Sign
from parexec_tui.tui.drawing.time_window import Window

BarKind = Literal["attempt", "forecast", "held"]


class Bar(NamedTuple):
    """A time of one ticket; times are seconds since the epoch."""

    kind: BarKind
    ticket: str
    start: float
    end: float
    """With what is predicted of it, if it runs."""
    word: str
    """Where it stands or how it ended: the sign and the style of the bar."""
    glyph: str
    """The sign of the word."""
    label: str = ""
    """What is written upon the bar, after the sign."""
    ran_until: float = 0.0
    """Of an attempt: from here on it is a forecast."""
    frozen: Sequence[tuple[float, float]] = ()
    """When its processes stood still."""
    attempt: int = 0
    """Its number; 0: it is none."""
    agent: str | None = None
    is_problem: bool = False
    """Its sign is shown even where there is room for nothing else."""


CellKind = Literal["blank", "now", "frame", "ran", "frozen", "forecast", "held", "on", "beside"]
"""What a cell shows. `on`: a letter on a solid bar; `beside`: one beside a bar, or on a forecast."""


class TimelineCell(NamedTuple):
    """One character of a row."""

    char: str
    kind: CellKind
    ticket: str = ""
    word: str = ""
    """The word of its bar."""


_RAN: Final = Sign("█", "=", "it ran, or runs, in the colour of its status; ▌ and ▐: half a cell")
_FORECAST: Final = Sign("░", "/", "a forecast: it will probably run")
_FROZEN: Final = Sign("▒", "~", "it was frozen")
_NOW: Final = Sign("│", "|", "now")
_LONE: Final = Sign("♦", "@", "the selected ticket, where it has one cell")
MOMENT: Final = Sign("▼", "v", "the cursor in time")

SIGNS: Final = (
    _RAN, _FORECAST, _FROZEN, _NOW,
    Sign("[ ]", "[ ]", "around the selected ticket; < and >: it goes on outside"),
    _LONE, MOMENT,
)  # fmt: skip
"""For the help."""


class _Signs(NamedTuple):
    ran: str
    left_half: str
    right_half: str
    frozen: str
    forecast: str
    now: str
    earlier: str
    later: str
    lone: str
    """For a selected bar of one cell that has no room for its frame."""


_UNICODE: Final = _Signs(_RAN[0], "▌", "▐", _FROZEN[0], _FORECAST[0], _NOW[0], "<", ">", _LONE[0])
_ASCII: Final = _Signs(_RAN[1], "=", "=", _FROZEN[1], _FORECAST[1], _NOW[1], "<", ">", _LONE[1])

BLANK: Final = TimelineCell(" ", "blank")


def draw_bars(
    bars: Iterable[Bar], window: Window, now: float, *, selected: str = "", ascii_only: bool = False
) -> tuple[TimelineCell, ...]:
    """A row of exactly `window.width` cells. Where two bars share a cell, the later one has it, but no forecast takes
    a cell of what ran. Costs O(bars)."""
    drawing = _Row(window, now, _ASCII if ascii_only else _UNICODE, selected)
    if window.width:
        shown = [bar for bar in bars if bar.end >= window.start and bar.start < window.end]
        drawing.draw(sorted(shown, key=lambda bar: bar.start))
    return tuple(drawing.cells)


class _Place(NamedTuple):
    """The cells of a bar: from `start` up to but not including `stop`."""

    bar: Bar
    start: int
    stop: int


class _Row:
    def __init__(self, window: Window, now: float, signs: _Signs, selected: str) -> None:
        self.cells = [BLANK] * window.width
        self._window = window
        self._signs = signs
        self._selected = selected
        self._now = window.column(now) if window.width else None
        if self._now is not None:
            self.cells[self._now] = TimelineCell(signs.now, "now")

    def draw(self, bars: Sequence[Bar]) -> None:
        places, ran = list[_Place](), 0
        for bar in bars:
            place = self._place(bar)
            if bar.kind == "forecast":
                place = place._replace(start=max(place.start, ran))
            elif bar.kind == "attempt":
                ran = self._place(bar._replace(end=bar.ran_until)).stop
            if place.start < place.stop:
                places.append(place)
        taken = 0
        for place in places:
            self._fill(place, touches=place.start < taken or (place.start == taken > 0))
            taken = max(taken, place.stop)
        for at, place in enumerate(places):
            later = places[at + 1] if at + 1 < len(places) else None
            stop = self._window.width if later is None else later.start
            if later is not None and later.start < place.stop:
                place = place._replace(stop=max(place.start, later.start))
            if place.start == place.stop:
                continue
            is_framed = place.bar.ticket == self._selected
            self._name(place, stop - (later is not None), is_framed=is_framed)
            if is_framed:
                self._frame(place)
        self._draw_now()

    def _draw_now(self) -> None:
        """The line lies over a bar that has other cells, too, and under letters."""
        if self._now is None or self.cells[self._now].kind not in ("blank", "ran", "frozen", "forecast", "held"):
            return
        own, has_run = self.cells[self._now].ticket, self.cells[self._now].kind in ("ran", "frozen")
        around = (self._now - 1,) if has_run else (self._now - 1, self._now + 1)
        if not own or any(0 <= at < len(self.cells) and self.cells[at].ticket == own for at in around):
            self.cells[self._now] = TimelineCell(self._signs.now, "now", own)

    def _place(self, bar: Bar) -> _Place:
        start = min(self._window.halves(bar.start), 2 * self._window.width - 1)
        end = max(self._window.halves(bar.end), start + 1)
        return _Place(bar, start // 2, -(-end // 2))

    def _cell(self, char: str, kind: CellKind, bar: Bar) -> TimelineCell:
        return TimelineCell(char, kind, bar.ticket, bar.word)

    def _fill(self, place: _Place, *, touches: bool) -> None:
        """Draw the bar without its name. It begins half a cell late if it touches another one."""
        bar, signs, window = place.bar, self._signs, self._window
        if bar.kind == "attempt":
            fill = self._cell(signs.ran, "ran", bar)
        else:
            fill = self._cell(*((signs.forecast, "forecast") if bar.kind == "forecast" else (bar.glyph, "held")), bar)
        length = place.stop - place.start
        self.cells[place.start : place.stop] = [fill] * length
        if bar.kind != "attempt":
            if touches and length > 1:
                self.cells[place.start] = BLANK
            return
        start, end = window.halves(bar.start), window.halves(bar.ran_until)
        if end % 2 and end // 2 >= place.start:
            self.cells[end // 2] = self._cell(signs.left_half, "ran", bar)
        if (start % 2 and bar.start >= window.start) or touches:
            has_halves = signs.right_half != signs.ran
            late = self._cell(signs.right_half, "ran", bar) if has_halves or length == 1 else BLANK
            self.cells[place.start] = late
        for frozen_from, frozen_until in bar.frozen:
            self._part(place, frozen_from, frozen_until, self._cell(signs.frozen, "frozen", bar))
        if bar.end > bar.ran_until and -(-end // 2) < place.stop:
            first = max(-(-end // 2), place.start + (end <= start))
            self.cells[first : place.stop] = [self._cell(signs.forecast, "forecast", bar)] * (place.stop - first)

    def _part(self, place: _Place, start: float, end: float, cell: TimelineCell) -> None:
        """Draw a part of a bar in its own look, at least a cell of it."""
        if end < self._window.start or start >= self._window.end:
            return
        first = max(place.start, min(self._window.halves(start) // 2, place.stop - 1))
        stop = min(place.stop, max(first + 1, -(-self._window.halves(end) // 2)))
        self.cells[first:stop] = [cell] * (stop - first)

    def _name(self, place: _Place, stop: int, *, is_framed: bool) -> None:
        """Write sign and name on the bar; at its right up to `stop`, if it is too short; else the sign alone."""
        bar, length = place.bar, place.stop - place.start
        if bar.kind == "held":
            return
        text = f"{bar.glyph} {bar.label}" if bar.label else bar.glyph
        if bar.kind == "forecast":
            text = bar.label
        if text and length >= len(text) + 2:
            self._write(place.start + 1, text, bar)
        elif text and self._has_room(place.stop, len(text) + 2 + is_framed, stop):
            self._write(place.stop + (2 if is_framed else 1 - self._is_half(place)), text, bar)
        elif bar.kind == "attempt" and length > 2:
            self._write(place.start + 1, bar.glyph, bar)
        elif bar.is_problem:
            self.cells[place.start] = self._cell(bar.glyph, "beside", bar)

    def _is_half(self, place: _Place) -> bool:
        """Whether the last half of a cell is free."""
        return self.cells[place.stop - 1].char == self._signs.left_half != self._signs.ran

    def _has_room(self, first: int, length: int, stop: int) -> bool:
        """Whether so many cells are blank; at the end of the row one less is enough."""
        end = min(first + length, stop)
        return end >= first + length - (end == self._window.width) and all(
            cell.kind == "blank" for cell in self.cells[first:end]
        )

    def _write(self, first: int, text: str, bar: Bar) -> None:
        for at, letter in enumerate(text, first):
            kind: CellKind = "on" if self.cells[at].kind in ("ran", "frozen", "on") else "beside"
            self.cells[at] = self._cell(letter, kind, bar)

    def _frame(self, place: _Place) -> None:
        """Put the bar between brackets: outside of it where that is free, else upon its ends."""
        bar, cells, length = place.bar, self.cells, place.stop - place.start
        before, after = place.start - 1, place.stop
        if bar.start < self._window.start:
            left, opening = place.start, self._signs.earlier
        else:
            left, opening = (before if before >= 0 and cells[before].kind == "blank" else place.start), "["
        if bar.end > self._window.end:
            right, closing = place.stop - 1, self._signs.later
        else:
            has_room = after < len(cells) and cells[after].kind in ("blank", "now")
            right, closing = (after if has_room else place.stop - 1), "]"
        if left == right or (length == 1 and place.start in (left, right)):
            cells[place.start] = self._cell(self._signs.lone, "frame", bar)
            return
        cells[left] = self._cell(opening, "frame", bar)
        cells[right] = self._cell(closing, "frame", bar)


def free_rows(bars: Iterable[Bar]) -> list[list[Bar]]:
    """The bars in as few rows as they fit in, without overlaps: each in the first row that is free by then."""
    rows: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda bar: bar.start):
        room = next((row for row in rows if row[-1].end <= bar.start), None)
        if room is None:
            rows.append([bar])
        else:
            room.append(bar)
    return rows
