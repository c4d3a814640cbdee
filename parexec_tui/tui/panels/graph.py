"""The dependency graph: all tickets in lanes, or those around the selected ticket."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from rich.style import Style
from textual.strip import Strip

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.graph.canvas import CanvasCell
from parexec_tui.tui.drawing.graph.lanes import Lanes, critical_path
from parexec_tui.tui.drawing.graph.neighbourhood import Neighbourhood, neighbourhood
from parexec_tui.tui.drawing.graph.selection import Surroundings
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.theme.palette import LANES
from parexec_tui.tui.view.facts import display_status, reason_of, short_duration
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

GraphMode = Literal["lanes", "neighbourhood"]

_MAX_AT_ONCE = 10_000
"""Tickets whose lanes are laid out at once, which takes a fifth of a second; more are laid out in a thread."""

_PATH_EVERY = 1.0
"""Seconds for which the critical path is kept: to find it costs O(plan)."""


class GraphPanel(RowsPanel):
    """The graph in two modes. In lanes, up and down move along the rows; in the neighbourhood, keys follow edges."""

    title = "Graph"
    name_ = "graph"
    watches = Change.state | Change.selection | Change.clock | Change.appearance
    has_heading = False

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.mode: GraphMode = "lanes"
        self._lanes: Lanes | None = None
        self._graph: object = None
        """The graph that the lanes show: an amended plan has another one."""
        self._max_columns = 0
        self._path: list[str] = []
        self._path_at = 0.0
        self._on_path: frozenset[str] = frozenset()
        self._around: Neighbourhood | None = None
        self._came_from = ""

    # -- what is drawn ---------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self._lanes.order) if self._lanes is not None else 0

    def subtitle(self) -> str:
        state = self.view.state
        if state is None:
            return ""
        path = f"critical path {len(self._path)}, " if self._path else ""
        return f"{path}{self.mode}"

    def changed(self, change: Change) -> None:
        if not change & self.watches or self.view.state is None:
            return
        self._remake()
        if self.mode == "neighbourhood" and change & ~Change.clock:
            self._around = None
        if change & Change.selection:
            self._find_selected()
        self.refresh()

    def body_resized(self, width: int, height: int) -> None:
        self._around = None
        if self.view.state is not None:
            self._remake()
        super().body_resized(width, height)

    def _remake(self) -> None:
        """Lay out the lanes again if the graph is another one, and find the critical path of what is left."""
        state = self.state
        max_columns = max(2, min(12, self.body_width // 5))
        if state.graph is not self._graph or max_columns != self._max_columns:
            self._graph, self._max_columns = state.graph, max_columns
            self._lanes = None
            if len(state.tickets) > _MAX_AT_ONCE:
                self.run_worker(lambda: self._lay_out_aside(state, max_columns), thread=True, exclusive=True)
                return
            self._lanes = _laid_out(state, max_columns)
            self._find_selected()
        elif time.monotonic() - self._path_at < _PATH_EVERY and all(id_ in state.tickets for id_ in self._path):
            return
        if self._lanes is None:
            return
        self._path, self._path_at = critical_path(state), time.monotonic()
        self._on_path = frozenset(self._path)
        self._lanes.mark(self._path)

    def _lay_out_aside(self, state: SessionState, max_columns: int) -> None:
        """Lay out in a thread: so many rows take seconds."""
        lanes = _laid_out(state, max_columns)
        self.app.call_from_thread(self._take_lanes, lanes, state.graph, max_columns)

    def _take_lanes(self, lanes: Lanes, graph: object, max_columns: int) -> None:
        if (graph, max_columns) == (self._graph, self._max_columns):
            self._lanes, self._path_at = lanes, 0.0
            self.changed(Change.state | Change.selection)

    def empty_text(self) -> str:
        return "laying out the lanes…" if self.view.state is not None else ""

    def _find_selected(self) -> None:
        if self._lanes is not None and self.view.selected in self.state.tickets:
            self.put_cursor(self._lanes.row(self.view.selected))

    # -- moving ----------------------------------------------------------------------------------------------

    def toggle_view(self) -> None:
        self.mode = "neighbourhood" if self.mode == "lanes" else "lanes"
        self._around = None
        self.refresh()

    def cursor_moved(self) -> None:
        assert self._lanes is not None
        self.view.selected = self._lanes.order[self.cursor]

    def move(self, rows: int) -> None:
        if self.mode == "lanes":
            super().move(rows)
        else:
            self._step("up" if rows < 0 else "down")

    def move_across(self, steps: int) -> None:
        """Move to a need or a dependent: the nearest that is drawn; in lanes, the first that is not over."""
        if self.mode == "neighbourhood":
            self._step("left" if steps < 0 else "right")
            return
        ticket = self.view.ticket
        if ticket is not None:
            near = ticket.spec.needs if steps < 0 else tuple(self.state.graph.dependents[ticket.id])
            if near:
                self._go(next((id_ for id_ in near if self.state.tickets[id_].ended is None), near[0]))

    def _step(self, direction: Literal["left", "right", "up", "down"]) -> None:
        around = self._drawing(self.body_width, self.body_height)
        if around is not None and (there := around.move(self.view.selected, direction)) is not None:
            self._go(there)

    def _go(self, id_: str) -> None:
        self._came_from = self.view.selected
        self.view.selected = id_
        self._around = None
        self._find_selected()
        self.refresh()

    # -- drawing ---------------------------------------------------------------------------------------------

    def body_line(self, y: int, width: int) -> Strip:
        if self.mode == "lanes":
            return super().body_line(y, width)
        around = self._drawing(width, self.body_height)
        line = self.line()
        if around is None or y >= len(around.cells):
            return line.strip(width)
        for text, style in self._runs(around.cells[y]):
            line.add(text, style)
        return line.strip(width)

    def _drawing(self, width: int, height: int) -> Neighbourhood | None:
        ticket = self.view.ticket
        if ticket is None or width < 1 or height < 1:
            return None
        if self._around is None:
            self._around = neighbourhood(
                ticket.id,
                Surroundings(self.state.graph.needs.__getitem__, self.state.graph.dependents.__getitem__),
                self._label,
                width=width,
                height=height,
                keep=[self._came_from] if self._came_from else [],
                critical=self._path,
                ascii_only=self.view.ascii_only,
            )
        return self._around

    def _label(self, id_: str) -> Sequence[str]:
        ticket = self.state.tickets[id_]
        word = display_status(self.state, ticket)
        title = printable(ticket.spec.title)
        first = f"{self.glyph(word)} {id_}"
        return (first, title) if title else (first,)

    def _runs(self, cells: Iterable[CanvasCell]) -> Iterator[tuple[str, Style]]:
        """The cells of a line, grouped by style."""
        text, style = "", self.base
        for cell in cells:
            own = self._style_of(cell)
            if own is not style and text:
                yield text, style
                text = ""
            text, style = text + cell.char, own
        yield text, style

    def _style_of(self, cell: CanvasCell) -> Style:
        palette = self.view.palette
        if cell.kind == "edge" or cell.ticket is None:
            return palette["lane-critical"] if cell.heavy else palette["border"]
        if cell.kind == "more":
            return palette["dim"]
        look = palette.status(display_status(self.state, self.state.tickets[cell.ticket]))
        if cell.ticket == self.view.selected:
            return look + palette["selection"] if cell.kind == "text" else palette["border-focus"]
        return look if cell.kind == "text" else palette["border"]

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        assert self._lanes is not None
        (row,) = self._lanes.rows(index, index + 1, ascii_only=self.view.ascii_only)
        ticket = self.state.tickets.get(row.id)
        if ticket is None:
            return
        word = display_status(self.state, ticket)
        look = self.view.palette.status(word)
        for place, cell in enumerate(row.cells):
            if place == row.node:  # its sign says whether it goes on from above, so the status is its colour
                line.add(cell.char, look)
            elif cell.heavy:
                line.add(cell.char, self.style("lane-critical"))
            elif cell.colour < 0:
                line.add(cell.char, self.style("dim"))
            else:
                line.add(cell.char, self.style(f"lane-{cell.colour % LANES + 1}"))
        self._draw_ticket(line, ticket, word, width)

    def _draw_ticket(self, line: StyledLine, ticket: TicketState, word: str, width: int) -> None:
        is_critical = ticket.id in self._on_path
        line.add("  ").add(f"{ticket.id}  ", self.style("lane-critical" if is_critical else "text"))
        line.add(f"{self.glyph(word)} {word}", self.view.palette.status(word))
        if ticket.is_live:
            line.add(f" {short_duration(ticket.worked(self.view.now))} on {ticket.agent}", self.style("dim"))
        left = width + 1 - line.width
        if left > 8:
            reason = reason_of(self.state, ticket, self.view.now, self.view.me)
            line.add("  ").column(reason or printable(ticket.spec.title), left - 2, self.style("dim"), gap=0)


def _laid_out(state: SessionState, max_columns: int) -> Lanes:
    return Lanes(state.graph, state.groups, max_columns=max_columns, colours=LANES)
