"""A Gantt chart of the session: what ran, what runs and what will probably run, until the expected end."""

import time
from collections.abc import Sequence
from math import ceil, log2
from typing import Literal, NamedTuple

from rich.style import Style
from textual.strip import Strip

from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.graph.lanes import critical_path
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.predict import PredictedSpan, predict
from parexec_tui.tui.drawing.time_window import Window, axis, round_duration, ticks
from parexec_tui.tui.drawing.timeline import MOMENT, Bar, TimelineCell, draw_bars, free_rows
from parexec_tui.tui.view.facts import display_status
from parexec_tui.tui.view.timeline_bars import TimelineBars
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_REMAKE_EVERY = 1.0
_SHARE = 100
"""Predictions are made at most this often, in multiples of the time that took: they cost O(plan)."""

_MIN_NAME, _MAX_NAME = 12, 28
_MIN_SPAN = 4.0
"""The fewest seconds that can be shown."""

TimelineView = Literal["agents", "tickets"]


class _Row(NamedTuple):
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


class TimelinePanel(RowsPanel):
    """A row for each agent, and below them one for each ticket; or tickets alone. Now is a vertical line."""

    title = "Timeline"
    short_title = "Time"
    name_ = "timeline"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.shows: TimelineView = "agents"
        self._rows: Sequence[_Row] = ()
        self._index: dict[_Row, int] = {}
        self._longest = 0
        """Cells of the longest name of a row."""
        self._names = _MIN_NAME
        self._of: object = None
        """The session that is drawn."""
        self._made_of: object = None
        """The session, its time and its last event, of which the rows were made."""
        self._remake_at = 0.0
        self._draw_at = 0.0
        self._predicted: Sequence[PredictedSpan] = ()
        self._predicted_until = 0.0
        self._bars: TimelineBars | None = None
        self._to_start: Sequence[Sequence[Bar]] = ()
        self._path: frozenset[str] = frozenset()
        self._moment: float | None = None
        """Where the cursor is in time; None: at now, or at the last thing of its row before."""
        self._zoomed: Window | None = None
        """The part that is shown; None: the whole session."""
        self._window: Window | None = None
        self._axis = ""
        self._drawn_rows: dict[_Row, _DrawnRow] = {}
        self._known_bars: dict[_Row, list[Bar]] = {}
        """Bars of rows, until something may have changed."""
        self._selected = ""
        """The selection that the cursor was moved for."""

    @property
    def count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return "no agent has started yet"

    def subtitle(self) -> str:
        """The bar under the cursor in words, and how much time is shown."""
        if self._window is None or self._bars is None:
            return ""
        span = f"{round_duration(self._window.span)} shown"
        bar = self._bar()
        if bar is None:
            return span
        room = self.subtitle_room
        texts = self._bars.words(bar)
        told = next((text for text in texts if width_of(text) <= room), texts[-1])
        return f"{told}  {span}" if width_of(told) + 2 + len(span) <= room else told

    # -- when it is made again -----------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        if self.view.state is None or not change & self.watches:
            return
        at = time.monotonic()
        if self.state is not self._of or (at >= self._remake_at and not self._is_made()):
            self._remake()
        elif change & Change.appearance or (at >= self._draw_at and not self._is_made()):
            self._draw()
        if not self._is_made():
            self.check_again_in(self._remake_at - at)
        if self.view.selected != self._selected:
            self._find_selected()
        super().changed(change)

    def _is_made(self) -> bool:
        """Whether nothing can have changed since the rows were made: time stands still, and nothing happened."""
        stands = self.view.looks_back or not self._is_going
        return stands and self._made_of == (id(self.state), self.view.now, self.view.event_history.last)

    @property
    def _is_going(self) -> bool:
        return self.state.finished_at is None and self.state.left is None

    def row_key(self, index: int) -> object:
        return self._cells(index)

    def row_ticks(self, index: int) -> bool:  # noqa: ARG002 - its cells tell
        return False

    def _key_at(self, y: int) -> object:
        return (self._axis, self._marker()) if y == 1 else super()._key_at(y)

    def body_resized(self, width: int, height: int) -> None:
        if self.view.state is not None:
            if self._bars is None:
                self._remake()
            self._draw()
        super().body_resized(width, height)

    def _remake(self) -> None:
        """Look ahead and make the rows: O(tickets), so not often."""
        began = time.monotonic()
        state = self.state
        is_other, self._of = state is not self._of, state
        self._made_of = (id(state), self.view.now, self.view.event_history.last)
        self._predicted = predict(state, self.view.now) if self._is_going else ()
        self._predicted_until = max((each.end for each in self._predicted), default=0.0)
        self._path = frozenset(critical_path(state))
        self._make_rows()
        if is_other:
            self._zoomed, self._moment = None, None
        self._draw()
        self._remake_at = began + max(_REMAKE_EVERY, _SHARE * (time.monotonic() - began))

    def _make_rows(self) -> None:
        """The rows in their order. The row under the cursor stays on its line of the screen."""
        state, before, line = self.state, self._row(), self.cursor - self.top
        self._bars = bars = TimelineBars(self.view, self._predicted)
        self._to_start = free_rows(bars.to_start())
        rows: list[_Row] = []
        if state.opened_at:
            if self.shows == "agents":
                rows += [_Row("agent", agent) for agent in state.agents]
                rows += [_Row("to start", str(number)) for number in range(len(self._to_start))]
                rows.append(_Row("heading", ""))
            tickets = sorted(state.tickets.values(), key=lambda ticket: (bars.expected_start(ticket), ticket.order))
            rows += [_Row("ticket", ticket.id) for ticket in tickets]
        visible = self._rows[self.top : self.top + self.page]
        self._drawn_rows = {row: self._drawn_rows[row] for row in visible if row in self._drawn_rows}
        self._rows = rows
        self._index = {row: index for index, row in enumerate(rows)}
        self._longest = max((len(row.name) for row in rows), default=0)
        if before is not None and (index := self._index.get(before)) is not None:
            self.top = max(0, index - line)
            self.put_cursor(index)
        else:
            self._selected = ""

    def _draw(self) -> None:
        """Find what is shown of the time. The cells of a row are made when they are looked at."""
        self._known_bars = {}
        self._draw_at = time.monotonic() + _REMAKE_EVERY
        self._names = max(_MIN_NAME, min(self._longest + 3, _MAX_NAME, self.body_width // 5))
        cells = self.body_width - 2 - self._names
        if cells < 1 or not self.state.opened_at:
            self._window, self._axis = None, ""
            return
        start, end = self._whole()
        if self._zoomed is None:
            self._window = Window(start, end, cells)
        else:
            zoomed = self._zoomed._replace(width=cells)
            if self._moment is None:
                zoomed = zoomed.showing(self.view.now)
            self._zoomed = self._window = zoomed.within(start, end)
        self._axis = axis(ticks(self._window, self.state.opened_at), cells)
        self.put_cursor(self.cursor)

    def _whole(self) -> tuple[float, float]:
        """From the start of the session to its end, or past the last prediction, in steps: so the scale stands still
        while predictions change by a second or two."""
        start = self.state.opened_at
        span = max(self.view.now - start, self._predicted_until - start, _MIN_SPAN)
        if not self._is_going:
            return start, start + span
        step = 2.0 ** int(log2(span / 16)) if span > 16 else 1.0
        return start, start + ceil(span / step) * step

    # -- the cursor ----------------------------------------------------------------------------------------------

    def _row(self) -> _Row | None:
        return self._rows[self.cursor] if self.cursor < self.count else None

    def _bars_of(self, row: _Row) -> list[Bar]:
        """The bars of a row, in the order of time."""
        if row not in self._known_bars:
            self._known_bars[row] = self._find_bars(row)
        return self._known_bars[row]

    def _find_bars(self, row: _Row, since: float = 0.0, step: float = 0.0) -> list[Bar]:
        bars = self._bars
        assert bars is not None
        match row.kind:
            case "agent":
                return bars.of_agent(row.name, since, step)
            case "to start":
                return list(self._to_start[int(row.name)])
            case "ticket":
                return bars.of_ticket(row.name) if row.name in self.state.tickets else []
            case "heading":
                return []

    def _bar(self) -> Bar | None:
        """The bar under the cursor: the one of that moment, else the one before it, else the first.

        Without a moment, that of the selected ticket, if the row has one."""
        row = self._row()
        found = [] if row is None else self._bars_of(row)
        if self._moment is None:
            found = [bar for bar in found if bar.ticket == self.view.selected] or found
        moment = self.view.now if self._moment is None else self._moment
        begun = [bar for bar in found if bar.start <= moment]
        return begun[-1] if begun else next(iter(found), None)

    def go_to(self, index: int) -> None:
        index = max(0, min(index, self.count - 1))
        if self.count and self._rows[index].kind == "heading":
            index += 1 if index > self.cursor else -1
        super().go_to(index)

    def cursor_moved(self) -> None:
        """Select the ticket of the bar under the cursor, or of the row."""
        bar, row = self._bar(), self._row()
        if bar is not None:
            self._select(bar.ticket)
        elif row is not None and row.kind == "ticket":
            self._select(row.name)

    def _select(self, ticket: str) -> None:
        self.view.selected = self._selected = ticket

    def _find_selected(self) -> None:
        """Put the cursor on the ticket that was selected elsewhere, on the agent that ran it last."""
        self._selected = self.view.selected
        ticket = self.view.ticket
        if ticket is None:
            return
        agent = None if ticket.attempt is None else self._index.get(_Row("agent", ticket.attempt.agent))
        index = agent if agent is not None else self._index.get(_Row("ticket", ticket.id))
        if index is not None:
            self.put_cursor(index)
            self._moment = None if ticket.attempt is None or ticket.is_live else ticket.attempt.started
            self._show_moment()

    def move_across(self, steps: int) -> None:
        """To the next attempt of the row, or to the one before."""
        row, bar = self._row(), self._bar()
        if row is None or bar is None:
            return
        bars = self._bars_of(row)
        at = max(0, min(len(bars) - 1, bars.index(bar) + steps))
        self._moment = bars[at].start
        self._select(bars[at].ticket)
        self._show_moment()
        self.refresh_changed()

    def _show_moment(self) -> None:
        """Move the part that is shown so that it has the moment under the cursor."""
        if self._zoomed is not None and self._moment is not None:
            self._zoomed = self._zoomed.showing(self._moment)
            self._draw()

    def open(self) -> str:
        """To the output of the attempt, or to all about a ticket that has none."""
        bar = self._bar()
        self.cursor_moved()
        return "output" if bar is not None and bar.attempt else "ticket" if self.view.ticket is not None else ""

    # -- what keys do --------------------------------------------------------------------------------------------

    def toggle_view(self) -> TimelineView:
        """Show tickets alone, or agents and tickets."""
        self.shows = "tickets" if self.shows == "agents" else "agents"
        self._make_rows()
        self._find_selected()
        self._draw()
        self.refresh()
        return self.shows

    def zoom_in(self) -> None:
        """Show half as much time, around the cursor."""
        self._zoom(0.5)

    def zoom_out(self) -> None:
        """Show twice as much time, around the cursor."""
        self._zoom(2.0)

    def _zoom(self, factor: float) -> None:
        if self._window is None or (factor < 1 and self._window.span * factor < _MIN_SPAN):
            return
        around = self.view.now if self._moment is None else self._moment
        window = self._window.showing(around).zoomed(factor, around)
        start, end = self._whole()
        self._zoomed = None if window.span >= end - start else window
        self._draw()
        self.refresh_changed()

    def zoom_whole(self) -> None:
        """Show the whole session, and put the cursor to now."""
        self._zoomed = self._moment = None
        self._draw()
        self.refresh_changed()

    def pan(self, steps: int) -> None:
        """Move what is shown by half of it, and the cursor with it."""
        if self._window is None or self._zoomed is None:
            return
        start, end = self._whole()
        window = self._window.moved(steps * self._window.span / 2).within(start, end)
        moment = self.view.now if self._moment is None else self._moment
        if not window.start <= moment < window.end:
            self._moment = window.start + window.span / 2
        self._zoomed = window
        self._draw()
        self.cursor_moved()
        self.refresh_changed()

    # -- drawing -------------------------------------------------------------------------------------------------

    def _cells(self, index: int) -> tuple[TimelineCell, ...]:
        """The cells of a row, made again when they may look different."""
        row, window, view, bars = self._rows[index], self._window, self.view, self._bars
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
            step = window.span / (2 * window.width)
            found = self._find_bars(row, window.start, step) if row.kind == "agent" else self._bars_of(row)
            cells = draw_bars(found, window, view.now, selected=view.selected, ascii_only=view.ascii_only)
            drawn = _DrawnRow(stamp, view.selected, frozenset(cell.ticket for cell in cells) - {""}, cells)
            self._drawn_rows[row] = drawn
        return drawn.cells

    def is_highlighted(self, index: int) -> bool:  # noqa: ARG002
        """Never the whole row: colours are those of statuses. The name of the row is."""
        return False

    def _marker(self) -> int | None:
        """The column of the axis that the cursor is in."""
        bar, window = self._bar(), self._window
        if bar is None or window is None:
            return None
        inside = self._moment is not None and bar.start <= self._moment <= bar.end
        at = self._moment if inside and self._moment is not None else min(max(bar.start, window.start), bar.end)
        return window.column(at)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        name = "AGENT" if self.shows == "agents" else "TICKET"
        line.column(name, self._names - 1, self.style("dim"))
        at, text = self._marker(), self._axis[: width + 1 - self._names]
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

    def _draw_name(self, line: StyledLine, row: _Row, *, is_current: bool) -> None:
        name, style = row.name, self.base
        if row.kind == "to start":
            name, style = "(to start)", self.style("dim")
        elif row.kind == "ticket" and (ticket := self.state.tickets.get(row.name)) is not None:
            word = display_status(self.state, ticket)
            name, style = f"{self.glyph(word)} {row.name}", self.view.palette.status(word)
        line.column(name, self._names - 1, style + self.style("selection") if is_current else style)

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


_REVERSED = Style(reverse=True)
