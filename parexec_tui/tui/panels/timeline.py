"""A Gantt chart of the session: what each agent ran, runs and will probably run, until the expected end."""

import time
from collections.abc import Iterator, Sequence

from rich.style import Style

from parexec_tui.core.plan.units import format_duration
from parexec_tui.tui.drawing.graph.lanes import critical_path
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.predict import predict
from parexec_tui.tui.drawing.timeline import (
    PREDICTED,
    AttemptSpan,
    PredictedSpan,
    TimelineRow,
    Window,
    axis,
    ticks,
    timeline,
)
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_REMAKE_EVERY = 1.0
_SHARE = 25
"""It is drawn at most this often, in multiples of the time the last drawing took: predictions cost O(plan), and a
cell is seldom less than a second."""

_NAME = 14
_ZOOMS = (1.0, 0.5, 0.2, 0.05, 0.01)
"""The shares of the session that can be shown; left and right choose one."""


class TimelinePanel(RowsPanel):
    """A row for each agent. The critical path is heavy, predictions are light, and now is a vertical line."""

    title = "Timeline"
    short_title = "Time"
    name_ = "timeline"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._rows: Sequence[TimelineRow] = ()
        self._axis = ""
        self._window: Window | None = None
        self._of: object = None
        """The session that is drawn."""
        self._remake_at = 0.0
        self._predicted: Sequence[PredictedSpan] = ()
        self._path: frozenset[str] = frozenset()
        self._zoom = 0

    @property
    def count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return "no agent has started yet"

    def subtitle(self) -> str:
        if self._window is None:
            return ""
        shown = format_duration(self._window.end - self._window.start)
        return f"{shown} shown" if not self._zoom else f"the last {shown}, → shows more"

    def changed(self, change: Change) -> None:
        if self.view.state is None or not change & self.watches:
            return
        rest = self._remake_at - time.monotonic()
        if rest <= 0 or change & Change.appearance or self.state is not self._of:
            self._remake()
        else:
            self.check_again_in(rest)
            if not change & Change.selection:
                return
        self.refresh()

    def body_resized(self, width: int, height: int) -> None:
        if self.view.state is not None:
            self._remake()
        super().body_resized(width, height)

    def move_across(self, steps: int) -> None:
        """Left zooms in on the latest part, right zooms out."""
        self._zoom = max(0, min(len(_ZOOMS) - 1, self._zoom - steps))
        self._remake()
        self.refresh()

    def open(self) -> str:
        """Select the ticket that the agent runs, or ran last."""
        row = self._rows[self.cursor] if self.count else None
        ran = [attempt.ticket for attempt in self._attempts() if row is not None and attempt.agent == row.agent]
        if ran:
            self.view.selected = ran[-1]
        return "output" if ran else ""

    # -- drawing ---------------------------------------------------------------------------------------------

    def _remake(self) -> None:
        began = time.monotonic()
        if self.state is not self._of or began >= self._remake_at:
            self._look_ahead()
            self._draw()
            self._remake_at = began + max(_REMAKE_EVERY, _SHARE * (time.monotonic() - began))
        else:
            self._draw()

    def _look_ahead(self) -> None:
        """Predict what will run, and find the critical path."""
        self._of = state = self.state
        going = state.finished_at is None and state.left is None
        self._predicted = predict(state, self.view.now) if going else ()
        self._path = frozenset(critical_path(state))

    def _draw(self) -> None:
        """Make the rows of what ran, what runs and what is predicted."""
        state, view = self.state, self.view
        cells = self.body_width - 2 - _NAME
        if cells < 1 or not state.opened_at:
            self._rows, self._window = (), None
            return
        self._window = self._shown(cells)
        first = self._window.start
        attempts = [attempt for attempt in self._attempts() if attempt.end is None or attempt.end >= first]
        agents = [agent.id for agent in state.agents.values()]
        self._rows = timeline(
            attempts, self._predicted, self._window, view.now, agents=agents, ascii_only=view.ascii_only
        )
        self._axis = axis(ticks(self._window, state.opened_at), cells)
        self.put_cursor(self.cursor)

    def _shown(self, cells: int) -> Window:
        state, now = self.state, self.view.now
        end = max([now, *(each.end for each in self._predicted)])
        start = state.opened_at
        if self._zoom:
            span = (now - start) * _ZOOMS[self._zoom]
            start, end = now - span, now + span / 4
        return Window(start, max(end, start + 1.0), cells)

    def _attempts(self) -> Iterator[AttemptSpan]:
        state, now = self.state, self.view.now
        for end in self.view.event_history.ends:
            if end.at > now:
                break
            yield AttemptSpan(end.ticket, end.agent, end.started, end.at, str(end.end))
        for ticket in state.live.values():
            attempt = ticket.live_attempt
            yield AttemptSpan(ticket.id, attempt.agent, attempt.started, None, str(ticket.shown_status))

    def draw_heading(self, line: StyledLine, width: int) -> None:
        line.column("AGENT", _NAME - 1, self.style("dim")).column(
            self._axis, width + 1 - _NAME, self.style("dim"), gap=0
        )

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:  # noqa: ARG002
        row = self._rows[index]
        line.column(row.agent or "(to start)", _NAME - 1, None if row.agent else self.style("dim"))
        text, style = "", self.base
        for cell in row.cells:
            own = self._style_of(cell.ticket, cell.status, reverse=cell.reverse)
            if own is not style and text:
                line.add(text, style)
                text = ""
            text, style = text + cell.char, own
        line.add(text, style)

    def _style_of(self, ticket: str | None, status: str, *, reverse: bool) -> Style:
        palette = self.view.palette
        if status == "now":
            return palette["alert"] if palette.is_ansi else palette["warn"]
        if not status:
            return self.base
        if status == PREDICTED:
            style = palette["lane-critical"] if ticket in self._path else palette["gauge-track"]
        else:
            style = palette["lane-critical"] if ticket in self._path else palette.status(status)
        if ticket == self.view.selected:
            style = palette["border-focus"]
        return style + _REVERSED if reverse else style


_REVERSED = Style(reverse=True)
