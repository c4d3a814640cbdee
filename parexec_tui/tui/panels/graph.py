"""The dependency graph: all tickets in lanes, or those around the selected ticket."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Literal

from rich.style import Style
from textual.strip import Strip

from parexec_tui.core.schedule.roots import path_to_root
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Flag, Status, Word
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import printable, short_duration
from parexec_tui.tui.drawing.graph.canvas import CanvasCell
from parexec_tui.tui.drawing.graph.folding import Folding, Place
from parexec_tui.tui.drawing.graph.lanes import LaneCell, Lanes, critical_path, with_glyph
from parexec_tui.tui.drawing.graph.neighbourhood import Neighbourhood, neighbourhood
from parexec_tui.tui.drawing.graph.selection import Surroundings
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.theme.palette import LANES
from parexec_tui.tui.view.facts import display_status, reason_of
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

GraphMode = Literal["lanes", "neighbourhood"]

_MAX_AT_ONCE = 5_000
"""Tickets whose lanes are laid out at once, which takes a fifth of a second; more are laid out in a thread."""

_BIG = 100
"""From so many tickets on, rows stand by group where chains cannot be followed anyway."""
_MAX_LEFT_OUT = 0.2
"""The share of tickets with lanes that are not drawn from which on chains count as such."""

_LIT_SHARE = 50
"""The way to the root is found again at most this often, in multiples of the time that took: it may have 100,000
steps."""

_FOLD_EVERY = 1.0
"""Seconds between two times that finished tickets are folded: O(rows)."""

_SAID_OTHERWISE = (Status.waiting, Flag.ready, Status.succeeded)
"""Words that a row need not have: the sign says it, and what follows is why, or the title."""

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
        self._lit: list[str] = []
        """The tickets between the selected one and what it waits for in the end, needs first."""
        self._root = ""
        """The ticket at that end."""
        self._lit_of: object = None
        """The session and the ticket that the way was found for."""
        self._lit_at = 0.0
        self._marked: list[str] = []
        """The path that is heavy now."""
        self._folding = Folding(())
        self._folded_of: object = None
        """What the rows were folded for."""
        self._fold_at = 0.0
        self._unfolded: set[str] = set()
        """Tickets of folds that the person opened."""
        self._is_open = False
        """Nothing is folded."""
        self._starts: Sequence[int] = ()
        """The first row of each group, if rows stand by group."""
        self._on_path: frozenset[str] = frozenset()
        self._around: Neighbourhood | None = None
        self._came_from = ""

    # -- what is drawn ---------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self._folding) if self._lanes is not None else 0

    def subtitle(self) -> str:
        state = self.view.state
        if state is None:
            return ""
        path = f"critical path {len(self._path)}, " if self._path else ""
        if self._root:
            path = f"{self._why_not} {self._root}, "
        return f"{path}{self.mode}"

    def changed(self, change: Change) -> None:
        if not change & self.watches or self.view.state is None:
            return
        self._remake()
        self._light_path()
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
            self._lanes = _laid_out(state, max_columns)
            self._take_groups()
            self._fold(now=True)
            self._find_selected()
        elif time.monotonic() - self._path_at < _PATH_EVERY and all(id_ in state.tickets for id_ in self._path):
            return
        if self._lanes is None:
            return
        self._path, self._path_at = critical_path(state), time.monotonic()
        self._on_path = frozenset(self._path)
        self._mark()

    def _light_path(self) -> None:
        """Find the way from the selected ticket to what it waits for in the end, as far as it follows needs."""
        ticket, began = self.view.ticket, time.monotonic()
        of = self.state, self.view.selected
        if of == self._lit_of and began < self._lit_at:
            return
        path = () if ticket is None else _way_to_cause(self.state, ticket)
        self._root = path[-1] if len(path) > 1 else ""
        self._lit = list(path[:1]) if self._root else []
        for below, above in pairwise(path):
            if above not in self.state.graph.needs[below]:
                break
            self._lit.append(above)
        self._lit.reverse()
        self._mark()
        self._lit_of = of
        self._lit_at = (ended := time.monotonic()) + max(_PATH_EVERY, _LIT_SHARE * (ended - began))

    def _mark(self) -> None:
        """Draw one path heavy: the one to the root, or else the critical one."""
        path = self._lit if len(self._lit) > 1 else self._path
        if self._lanes is not None and path != self._marked and all(id_ in self._lanes for id_ in path):
            self._lanes.mark(path)
            self._marked = path

    # -- folding ---------------------------------------------------------------------------------------------

    def _fold(self, *, now: bool = False) -> None:
        """Fold what is done, at most once a second unless `now`. The row under the cursor stays where it is."""
        state, lanes = self.state, self._lanes
        if lanes is None:
            return
        ticket = self.view.ticket
        kept = ticket.id if ticket is not None and ticket.status is Status.succeeded else ""
        of = (lanes, state.counts[Status.succeeded], state.retried, kept, self._is_open, len(self._unfolded))
        rest = self._fold_at - time.monotonic()
        if of == self._folded_of:
            return
        is_same = self._folded_of is not None and of[0] == self._folded_of[0] and of[3:] == self._folded_of[3:]  # type: ignore[index]
        if rest > 0 and is_same and not now:
            self.check_again_in(rest)
            return
        self._fold_at, self._folded_of = time.monotonic() + _FOLD_EVERY, of
        done = [(t := state.tickets.get(id_)) is not None and t.status is Status.succeeded for id_ in lanes.order]
        shown = {lanes.row(id_) for id_ in (*self._unfolded, kept) if id_ in lanes}
        before, line = self._place(), self.cursor - self.top
        self._folding = Folding(done, shown=shown, is_open=self._is_open, groups=self._starts)
        if before is not None:
            index = self._folding.index(before.start)
            if before.kind == "heading" and self._folding[index].kind == "ticket":
                index -= 1
            self.top = max(0, index - line)
            self.put_cursor(index)

    def _place(self) -> Place | None:
        """What is under the cursor."""
        return self._folding[self.cursor] if self.cursor < self.count else None

    def toggle_fold(self) -> bool:
        """Show all rows, or fold again what is done. Whether it is folded now."""
        self._is_open = not (self._is_open or self._unfolded)
        self._unfolded.clear()
        self._fold(now=True)
        self._find_selected()
        self.refresh()
        return not self._is_open

    def _unfold(self, place: Place) -> None:
        assert self._lanes is not None
        self._unfolded.update(self._lanes.order[place.start : place.stop])
        self._fold(now=True)
        self.refresh()

    @property
    def has_selected(self) -> bool:
        """Whether the cursor is on the selected ticket, not on a fold or a heading."""
        if self.mode == "neighbourhood" or self._lanes is None:
            return True
        place = self._place()
        return place is not None and place.kind == "ticket" and self._lanes.order[place.start] == self.view.selected

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
        lanes = _laid_out(state, max_columns)
        self.app.call_from_thread(self._take_lanes, lanes, state.graph, max_columns)

    def _take_lanes(self, lanes: Lanes, graph: object, max_columns: int) -> None:
        if (graph, max_columns) == (self._graph, self._max_columns):
            self._lanes, self._path_at = lanes, 0.0
            self._take_groups()
            self.changed(Change.state | Change.selection)

    def _take_groups(self) -> None:
        """Find where groups begin, if rows stand by group. The new lanes have no heavy path yet."""
        assert self._lanes is not None
        groups = self.state.groups
        sizes = [len(level) for level in groups]
        self._starts = list(accumulate(sizes[:-1], initial=0)) if self._lanes.by_group and sizes else ()
        self._marked, self._folded_of = [], None

    def empty_text(self) -> str:
        return "laying out the lanes…" if self.view.state is not None else ""

    def _find_selected(self) -> None:
        if self._lanes is not None and self.view.selected in self._lanes:
            self._fold(now=True)
            self.put_cursor(self._folding.index(self._lanes.row(self.view.selected)))

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
                critical=self._lit if len(self._lit) > 1 else self._path,
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
            return self._heavy_style if cell.heavy else palette["border"]
        if cell.kind == "more":
            return palette["dim"]
        look = palette.status(display_status(self.state, self.state.tickets[cell.ticket]))
        if cell.ticket == self.view.selected:
            return look + palette["selection"] if cell.kind == "text" else palette["border-focus"]
        return look if cell.kind == "text" else palette["border"]

    @property
    def _heavy_style(self) -> Style:
        """The style of the path that is heavy: the one to the root of the selected ticket, or the critical one."""
        return self.style("warn" if len(self._lit) > 1 else "lane-critical")

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        assert self._lanes is not None
        place, ascii_only = self._folding[index], self.view.ascii_only
        if place.kind != "ticket":
            self._draw_place(line, place, width)
            return
        (row,) = self._lanes.rows(place.start, place.stop, ascii_only=ascii_only)
        ticket = self.state.tickets.get(row.id)
        if ticket is None:
            return
        word = display_status(self.state, ticket)
        look = self.view.palette.status(word)
        cells, has_glyph = with_glyph(row, self.glyph(word), ascii_only=ascii_only)
        signs = (row.node, row.node + has_glyph)  # the ticket's own sign says whether it goes on from above
        self._draw_lanes(line, cells, dict.fromkeys(signs, look))
        line.add(" " if has_glyph and len(cells) == row.node + 2 else "  ")
        self._draw_ticket(line, ticket, word, width, has_glyph=has_glyph)

    def _draw_lanes(self, line: StyledLine, cells: Sequence[LaneCell], styles: Mapping[int, Style]) -> None:
        for place, cell in enumerate(cells):
            if (style := styles.get(place)) is not None:
                line.add(cell.char, style)
            elif cell.heavy:
                line.add(cell.char, self._heavy_style)
            elif cell.colour < 0:
                line.add(cell.char, self.style("dim"))
            else:
                line.add(cell.char, self.style(f"lane-{cell.colour % LANES + 1}"))

    def _draw_place(self, line: StyledLine, place: Place, width: int) -> None:
        """Draw a fold or the heading of a group."""
        assert self._lanes is not None
        dim, ascii_only = self.style("dim"), self.view.ascii_only
        if place.kind == "fold":
            row = self._lanes.folded(place.start, place.stop, ascii_only=ascii_only)
            self._draw_lanes(line, row.cells, {row.node: self.view.palette.status(Status.succeeded)})
        else:
            self._draw_lanes(line, self._lanes.above(place.start, ascii_only=ascii_only), {})
        text, style = f"{place.stop - place.start} done", dim
        if place.group is not None and place.group < len(self.state.groups):
            total = len(self.state.groups[place.group])
            done = total - self.state.group_left[place.group]
            text, style = f"group {place.group + 1} {self._dot} {done} of {total} done", self.style("title")
        line.add(" ").column(text, max(0, width - line.width), style, gap=0)

    @property
    def _dot(self) -> str:
        return "-" if self.view.ascii_only else "·"

    def _draw_ticket(self, line: StyledLine, ticket: TicketState, word: Word, width: int, *, has_glyph: bool) -> None:
        look = self.view.palette.status(word)
        if not has_glyph:
            line.add(f"{self.glyph(word)} ", look)
        line.add(ticket.id, self._id_style(ticket.id))
        if word not in _SAID_OTHERWISE:
            line.add("  ").add(word, look)
        if ticket.is_live:
            line.add(f" {short_duration(ticket.worked(self.view.now))} on {ticket.agent}", self.style("dim"))
        if ticket.id == self._root and self.view.selected != ticket.id:
            line.add("  ").add(f"{self.view.selected} {self._why_not} it", self.style("warn"))
        left = width + 1 - line.width
        if left > 8:
            reason = reason_of(self.state, ticket, self.view.now, self.view.me)
            line.add("  ").column(reason or printable(ticket.spec.title), left - 2, self.style("dim"), gap=0)

    @property
    def _why_not(self) -> str:
        """What the selected ticket has to do with the end of the path that is lit."""
        ticket = self.view.ticket
        return "was skipped for" if ticket is not None and ticket.status is Status.skipped else "waits for"

    def _id_style(self, id_: str) -> Style:
        if id_ in self._lit or id_ == self._root:
            return self.style("warn")
        return self.style("lane-critical" if id_ in self._on_path else "text")


def _way_to_cause(state: SessionState, ticket: TicketState) -> Sequence[str]:
    """The tickets from this one to what it waits for in the end, or to what it was skipped for; both included."""
    if ticket.status is not Status.skipped:
        return path_to_root(state, ticket)
    cause, way = state.cause(ticket), [ticket.id]
    while ticket is not cause:
        ticket = state.lost_needs(ticket)[0]  # as `SessionState.cause` does
        way.append(ticket.id)
    return way


def _laid_out(state: SessionState, max_columns: int) -> Lanes:
    """The lanes by chains; of a big plan by group, if there are too many chains to follow them."""
    lanes = Lanes(state.graph, state.groups, max_columns=max_columns, colours=LANES)
    if len(lanes.order) < _BIG or lanes.left_out < _MAX_LEFT_OUT:
        return lanes
    return Lanes(state.graph, state.groups, max_columns=max_columns, colours=LANES, by_group=True)
