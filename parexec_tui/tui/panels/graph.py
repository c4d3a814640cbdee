"""The dependency graph: all tickets in lanes, or those around the selected ticket."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.tui.drawing.graph.folding import Place
from parexec_tui.tui.drawing.graph.lanes import Lanes, laid_out
from parexec_tui.tui.panels.graph_picture import GraphPicture
from parexec_tui.tui.theme.palette import LANES
from parexec_tui.tui.view.view_state import Change, ViewState

_MAX_AT_ONCE = 5_000
"""Tickets whose lanes are laid out at once, which takes a fifth of a second; more are laid out in a thread."""


class GraphPanel(GraphPicture):
    """The graph in two modes. In lanes, up and down move along the rows; in the neighbourhood, keys follow edges."""

    title = "Graph"
    name_ = "graph"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._graph: object = None
        """The graph that the lanes show: an amended plan has another one."""
        self._max_columns = 0
        self._marked: Sequence[str] = []
        """The path that is heavy now."""

    # -- what is drawn ---------------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        if not change & self.watches or self.view.state is None:
            return
        self._remake()
        if self._lit.find(self.view):
            self._mark()
        if self.mode == "neighbourhood" and change & ~Change.clock:
            self._around = None
        self._fold()
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
            self._lanes = laid_out(state.graph, state.groups, max_columns=max_columns, colours=LANES)
            self._take_groups()
            self._fold()
            self._find_selected()
        if self._lanes is None:
            return
        path = self.view.critical_path
        path.find(state)
        self._path, self._on_path = path.tickets, path.members
        self._mark()

    def _mark(self) -> None:
        """Draw one path heavy: the one to the root, or else the critical one."""
        path = self._lit.tickets if self._lit.is_long else self._path
        if self._lanes is not None and path != self._marked and all(id_ in self._lanes for id_ in path):
            self._lanes.mark(path)
            self._marked = path

    # -- folding ---------------------------------------------------------------------------------------------

    def _fold(self) -> None:
        """Fold what is done, once that is due. The row under the cursor stays where it is."""
        state, lanes, folds = self.state, self._lanes, self._folds
        if lanes is None:
            return
        ticket = self.view.ticket
        kept = ticket.id if ticket is not None and ticket.status is Status.succeeded else ""
        if (rest := folds.wait(state, lanes, kept)) is None:
            return
        if rest > 0:
            self.check_again_in(rest)
            return
        before, line = self._place(), self.cursor - self.top
        folds.make(state, lanes, kept)
        if before is not None:
            index = folds.folding.index(before.start)
            if before.kind == "heading" and folds.folding[index].kind == "ticket":
                index -= 1
            self.top = max(0, index - line)
            self.put_cursor(index)

    @property
    def is_open(self) -> bool:
        """Whether something that is done has been unfolded."""
        return self._folds.is_open

    def toggle_fold(self) -> bool:
        """Show all rows, or fold again what is done. Whether it is folded now."""
        is_folded = self._folds.toggle()
        self._fold()
        self._find_selected()
        self.refresh()
        return is_folded

    def _unfold(self, place: Place) -> None:
        assert self._lanes is not None
        self._folds.open(place, self._lanes)
        self._fold()
        self.refresh()

    def open(self) -> str:
        """Unfold what is folded; all about a ticket."""
        place = self._place() if self.mode == "lanes" else None
        if place is None or place.kind == "ticket":
            return "ticket"
        if place.kind == "fold":
            self._unfold(place)
        return ""

    def _lay_out_aside(self, state: SessionState, max_columns: int) -> None:
        """Lay out in a thread: so many rows take seconds."""
        lanes = laid_out(state.graph, state.groups, max_columns=max_columns, colours=LANES)
        self.app.call_from_thread(self._take_lanes, lanes, state.graph, max_columns)

    def _take_lanes(self, lanes: Lanes, graph: object, max_columns: int) -> None:
        if (graph, max_columns) == (self._graph, self._max_columns):
            self._lanes = lanes
            self._take_groups()
            self.changed(Change.state | Change.selection)

    def _take_groups(self) -> None:
        """Find where groups begin, if rows stand by group. The new lanes have no heavy path yet."""
        assert self._lanes is not None
        groups = self.state.groups
        sizes = [len(level) for level in groups]
        self._folds.begin(list(accumulate(sizes[:-1], initial=0)) if self._lanes.by_group and sizes else ())
        self._marked = []

    def _find_selected(self) -> None:
        if self._lanes is not None and self.view.selected in self._lanes:
            self._fold()
            self.put_cursor(self._folds.folding.index(self._lanes.row(self.view.selected)))

    # -- moving ----------------------------------------------------------------------------------------------

    def toggle_view(self) -> None:
        self.mode = "neighbourhood" if self.mode == "lanes" else "lanes"
        self._around = None
        self.refresh()

    def cursor_moved(self) -> None:
        assert self._lanes is not None
        place = self._place()
        if place is not None and place.kind == "ticket":
            self.view.selected = self._lanes.order[place.start]

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
        place, ticket = self._place(), self.view.ticket
        if place is not None and place.kind == "fold":
            if steps > 0:
                self._unfold(place)
            return
        if ticket is not None:
            graph = self.state.graph
            near = tuple((graph.needs if steps < 0 else graph.dependents)[ticket.id])
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
