"""A Gantt chart of the session: what ran, what runs and what will probably run, until the expected end."""

import time
from collections.abc import Sequence
from math import ceil, log2

from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.predict import PredictedSpan, predict
from parexec_tui.tui.drawing.time_window import round_duration
from parexec_tui.tui.drawing.timeline import free_rows
from parexec_tui.tui.panels.timeline_chart import MIN_NAME, TimelineChart, TimelineRow, TimelineView
from parexec_tui.tui.view.foresight import spans_of
from parexec_tui.tui.view.shown_time import MIN_SPAN, Whole
from parexec_tui.tui.view.timeline_bars import TimelineBars
from parexec_tui.tui.view.view_state import Change, ViewState

_REMAKE_EVERY = 1.0
_SHARE = 100
"""Predictions are made at most this often, in multiples of the time that took: they cost O(plan)."""

_MAX_NAME = 28


class TimelinePanel(TimelineChart):
    """A row for each agent, and below them one for each ticket; or tickets alone. Now is a vertical line."""

    title = "Timeline"
    short_title = "Time"
    name_ = "timeline"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._index: dict[TimelineRow, int] = {}
        self._ticket_rows: dict[str, TimelineRow] = {}
        """ticket: its row, which is the same whenever rows are made"""
        self._longest = 0
        """Cells of the longest name of a row."""
        self._of: object = None
        """The session that is drawn."""
        self._made_of: object = None
        """The session, its time and its last event, of which the rows were made."""
        self._remake_at = 0.0
        self._draw_at = 0.0
        self._predicted: Sequence[PredictedSpan] = ()
        self._predicted_until = 0.0
        self._selected = ""
        """The selection that the cursor was moved for."""

    def subtitle(self) -> str:
        """The bar under the cursor in words, and how much time is shown."""
        if self.shown.window is None or self._bars is None:
            return ""
        span = f"{round_duration(self.shown.window.span)} shown"
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
        is_due = self.state is not self._of or (at >= self._remake_at and not self._is_made())
        if is_due:
            self._remake()
        elif change & Change.appearance or (at >= self._draw_at and not self._is_made()):
            self._draw()
        if self.view.selected != self._selected:
            self._find_selected()
        super().changed(change)
        if is_due:
            self._wait_since(at)  # the rows of all agents look different then
        if not self._is_made():
            self.check_again_in(self._remake_at - at)

    def _is_made(self) -> bool:
        """Whether nothing can have changed since the rows were made: time stands still, and nothing happened."""
        stands = self.view.looks_back or not self._is_going
        return stands and self._made_of == (id(self.state), self.view.now, self.view.event_history.last)

    @property
    def _is_going(self) -> bool:
        return self.state.finished_at is None and self.state.gone is None

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
        self._predicted = self._predict() if self._is_going else ()
        self._predicted_until = max((each.end for each in self._predicted), default=0.0)
        self.view.critical_path.find(state)
        self._path = self.view.critical_path.members
        self._make_rows()
        if is_other:
            self.shown.show_whole()
        self._draw()
        self._wait_since(began)

    def _predict(self) -> Sequence[PredictedSpan]:
        """By the rules of a run; where that is too much, by needs, agents and slots alone."""
        state, now = self.state, self.view.now
        foreseen = self.view.foresight.look(state, now, self.view.told)
        if foreseen is None:
            return predict(state, now, self.view.told())
        return spans_of(foreseen, state, now)

    def _wait_since(self, began: float) -> None:
        """Look ahead no more for as long as is due for what took since `began`."""
        self._remake_at = began + max(_REMAKE_EVERY, _SHARE * (time.monotonic() - began))

    def _make_rows(self) -> None:
        """The rows in their order. The row under the cursor stays on its line of the screen."""
        state, before, line = self.state, self._row(), self.cursor - self.top
        self._bars = bars = TimelineBars(self.view, self._predicted)
        self._to_start = free_rows(bars.to_start())
        rows: list[TimelineRow] = []
        if state.opened_at:
            if self.shows == "agents":
                rows += [TimelineRow("agent", agent) for agent in state.agents]
                rows += [TimelineRow("to start", str(number)) for number in range(len(self._to_start))]
                rows.append(TimelineRow("heading", ""))
            known, ids = self._ticket_rows, bars.tickets_by_start()
            rows += [known.get(id_) or known.setdefault(id_, TimelineRow("ticket", id_)) for id_ in ids]
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
        self._names = max(MIN_NAME, min(self._longest + 3, _MAX_NAME, self.body_width // 5))
        cells = self.body_width - 2 - self._names
        if cells < 1 or not self.state.opened_at:
            self.shown.clear()
            return
        self.shown.lay_out(self._whole(), cells, self.view.now)
        self.put_cursor(self.cursor)

    def _whole(self) -> Whole:
        """From the start of the session to its end, or past the last prediction, in steps: so the scale stands still
        while predictions change by a second or two."""
        start = self.state.opened_at
        span = max(self.view.now - start, self._predicted_until - start, MIN_SPAN)
        if not self._is_going:
            return start, start + span
        step = 2.0 ** int(log2(span / 16)) if span > 16 else 1.0
        return start, start + ceil(span / step) * step

    # -- the cursor ----------------------------------------------------------------------------------------------

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
        agent = None if ticket.attempt is None else self._index.get(TimelineRow("agent", ticket.attempt.agent))
        index = agent if agent is not None else self._index.get(TimelineRow("ticket", ticket.id))
        if index is not None:
            self.put_cursor(index)
            self.shown.moment = None if ticket.attempt is None or ticket.is_live else ticket.attempt.started
            self._show_moment()

    def move_across(self, steps: int) -> None:
        """To the next attempt of the row, or to the one before."""
        row, bar = self._row(), self._bar()
        if row is None or bar is None:
            return
        bars = self._bars_of(row)
        at = max(0, min(len(bars) - 1, bars.index(bar) + steps))
        self.shown.moment = bars[at].start
        self._select(bars[at].ticket)
        self._show_moment()
        self.refresh_changed()

    def _show_moment(self) -> None:
        if self.shown.show_moment():
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
        if self.shown.zoom(factor, self._whole(), self.view.now):
            self._draw()
            self.refresh_changed()

    def zoom_whole(self) -> None:
        """Show the whole session, and put the cursor to now."""
        self.shown.show_whole()
        self._draw()
        self.refresh_changed()

    def pan(self, steps: int) -> None:
        """Move what is shown by half of it, and the cursor with it."""
        if self.shown.pan(steps, self._whole(), self.view.now):
            self._draw()
            self.cursor_moved()
            self.refresh_changed()
