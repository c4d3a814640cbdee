"""How a timeline looks: rows of bars in a window of time, their names, the axis above them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.style import Style
from textual.strip import Strip

from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.time_window import Window
from parexec_tui.tui.drawing.timeline import MOMENT, Bar, TimelineCell, draw_bars
from parexec_tui.tui.view.shown_time import ShownTime
from parexec_tui.tui.view.timeline_bars import TimelineBars
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

MIN_NAME = 12
"""The fewest cells for the name of a row."""

TimelineView = Literal["agents", "tickets"]


class TimelineRow(NamedTuple):
    """What a row is about."""

    kind: Literal["agent", "to start", "heading", "ticket"]
    name: str


class _DrawnRow(NamedTuple):
    """The cells of a row, and when they are still good."""

    stamp: object
    selected: str
    tickets: frozenset[str]
    cells: tuple[TimelineCell, ...]

    def is_good(self, stamp: object, selected: str) -> bool:
        is_other = selected != self.selected and not self.tickets.isdisjoint((selected, self.selected))
        return stamp == self.stamp and not is_other


class TimelineChart(RowsPanel):
    """Draws the rows that it has. A row is drawn again only if one of its cells may have changed."""

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.shows: TimelineView = "agents"
        self.shown = ShownTime()
        self._rows: Sequence[TimelineRow] = ()
        self._names = MIN_NAME
        """Cells for the name of a row."""
        self._bars: TimelineBars | None = None
        self._to_start: Sequence[Sequence[Bar]] = ()
        """The bars of agents that are still to be started, in rows."""
        self._path: frozenset[str] = frozenset()
        """The tickets of the critical path."""
        self._drawn_rows: dict[TimelineRow, _DrawnRow] = {}
        self._known_bars: dict[TimelineRow, list[Bar]] = {}
        """Bars of rows, until something may have changed."""

    @property
    def count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return "no agent has started yet"

    # -- the bars of a row -----------------------------------------------------------------------------------------

    def _row(self) -> TimelineRow | None:
        return self._rows[self.cursor] if self.cursor < self.count else None

    def _bars_of(self, row: TimelineRow) -> list[Bar]:
        """The bars of a row, in the order of time."""
        if row not in self._known_bars:
            self._known_bars[row] = self._find_bars(row)
        return self._known_bars[row]

    def _find_bars(self, row: TimelineRow, window: Window | None = None) -> list[Bar]:
        bars = self._bars
        assert bars is not None
        match row.kind:
            case "agent":
                return bars.of_agent(row.name, window)
            case "to start":
                return list(self._to_start[int(row.name)])
            case "ticket":
                return bars.of_ticket(row.name) if row.name in self.state.tickets else []
            case "heading":
                return []

    def _bar(self) -> Bar | None:
        """The bar under the cursor: the one of that moment, else the one before it, else the first.

        Without a moment, that of the selected ticket, if the row has one."""
        row, bars, moment = self._row(), self._bars, self.shown.at(self.view.now)
        if row is None or bars is None:
            return None
        selected = self.view.selected if self.shown.moment is None else ""
        if row.kind == "agent":  # which may have thousands
            own = bars.of_ticket_on(row.name, selected) if selected else []
            return _bar_at(own, moment) or bars.on_agent_at(row.name, moment)
        found = self._bars_of(row)
        return _bar_at([bar for bar in found if bar.ticket == selected] or found, moment)

    # -- drawing -------------------------------------------------------------------------------------------------

    def row_key(self, index: int) -> object:
        return self._cells(index)

    def row_ticks(self, index: int) -> bool:  # noqa: ARG002 - its cells tell
        return False

    def _key_at(self, y: int) -> object:
        return (self.shown.axis, self._marker()) if y == 1 else super()._key_at(y)

    def _cells(self, index: int) -> tuple[TimelineCell, ...]:
        """The cells of a row, made again when they may look different."""
        row, window, view, bars = self._rows[index], self.shown.window, self.view, self._bars
        if window is None or bars is None:
            return ()
        stamp = (
            bars.agent_stamp(row.name, window) if row.kind == "agent" else tuple(self._bars_of(row)),
            window,
            window.halves(view.now),
            view.ascii_only,
        )
        drawn = self._drawn_rows.get(row)
        if drawn is None or not drawn.is_good(stamp, view.selected):
            found = self._find_bars(row, window) if row.kind == "agent" else self._bars_of(row)
            cells = draw_bars(found, window, view.now, selected=view.selected, ascii_only=view.ascii_only)
            drawn = _DrawnRow(stamp, view.selected, frozenset(cell.ticket for cell in cells) - {""}, cells)
            self._drawn_rows[row] = drawn
        return drawn.cells

    def is_highlighted(self, index: int) -> bool:  # noqa: ARG002
        """Never the whole row: colours are those of statuses. The name of the row is."""
        return False

    def _marker(self) -> int | None:
        """The column of the axis that the cursor is in."""
        bar, window = self._bar(), self.shown.window
        if bar is None or window is None:
            return None
        moment = self.shown.moment
        at = (
            moment
            if moment is not None and bar.start <= moment <= bar.end
            else min(max(bar.start, window.start), bar.end)
        )
        return window.column(at)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        name = "AGENT" if self.shows == "agents" else "TICKET"
        line.column(name, self._names - 1, self.style("dim"))
        at, text = self._marker(), self.shown.axis[: width + 1 - self._names]
        if at is None or at >= len(text):
            line.add(text, self.style("dim"))
            return
        sign = text[at] if text[at] != " " else MOMENT[self.view.ascii_only]
        line.add(text[:at], self.style("dim")).add(sign, self.style("title")).add(text[at + 1 :], self.style("dim"))

    def body_line(self, y: int, width: int) -> Strip:
        index = y - self.has_heading + self.top
        if y and index < self.count and self._rows[index].kind == "heading":
            return self.line().add(" ").column("TICKET", width - 1, self.style("dim"), gap=0).strip(width)
        return super().body_line(y, width)

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:  # noqa: ARG002
        self._draw_name(line, self._rows[index], is_current=self.is_under_cursor(index) and self.is_current)
        text, style = "", self.base
        for cell in self._cells(index):
            own = self._style_of(cell)
            if own is not style and text:
                line.add(text, style)
                text = ""
            text, style = text + cell.char, own
        line.add(text, style)

    def _draw_name(self, line: StyledLine, row: TimelineRow, *, is_current: bool) -> None:
        cells = self._names - 1
        name, style = self.view.short_agent(row.name, cells), self.base
        if row.kind == "to start":
            name, style = "(to start)", self.style("dim")
        elif row.kind == "ticket" and (ticket := self.state.tickets.get(row.name)) is not None:
            word = display_status(self.state, ticket)
            name = f"{self.glyph(word)} {self.view.short_ticket(row.name, cells - 2)}"
            style = self.view.palette.status(word)
        line.column(name, cells, style + self.style("selection") if is_current else style)

    def _style_of(self, cell: TimelineCell) -> Style:
        palette = self.view.palette
        match cell.kind:
            case "blank":
                return self.base
            case "now":
                return palette["alert"] if palette.is_ansi else palette["warn"]
            case "frame":
                return palette["title"]
            case "frozen":
                return palette.status("frozen")
            case "held":
                return palette.status("held")
            case "forecast":
                return palette["lane-critical" if cell.ticket in self._path else "gauge-track"]
            case "beside":
                return palette.status(cell.word)
            case "ran":
                return palette.status(cell.word)
            case "on":
                return self._on(cell.word)

    def _on(self, word: str) -> Style:
        """The style of letters on a solid bar."""
        return self.view.palette.status(word) + _REVERSED


def _bar_at(bars: Sequence[Bar], moment: float) -> Bar | None:
    """The last one that has begun by this moment, else the first."""
    return next((bar for bar in reversed(bars) if bar.start <= moment), next(iter(bars), None))


_REVERSED = Style(reverse=True)
