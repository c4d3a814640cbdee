"""How the graph looks: lanes with folds and headings, or boxes around the selected ticket."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from rich.style import Style
from textual.strip import Strip

from parexec_tui.core.plan.drawn import drawn_dependents, drawn_needs
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.status import Status, Word
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.cells import width_of
from parexec_tui.text.words import printable, short_duration
from parexec_tui.tui.drawing.graph.canvas import CanvasCell
from parexec_tui.tui.drawing.graph.folding import Place
from parexec_tui.tui.drawing.graph.lanes import LaneCell, Lanes, with_glyph
from parexec_tui.tui.drawing.graph.neighbourhood import Neighbourhood, neighbourhood
from parexec_tui.tui.drawing.graph.selection import Surroundings
from parexec_tui.tui.drawing.graph.text import SAID_OTHERWISE
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.theme.palette import LANES
from parexec_tui.tui.view.facts import reason_of
from parexec_tui.tui.view.graph_folds import GraphFolds
from parexec_tui.tui.view.lit_path import LitPath
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_MAX_LOOKED_AT = 2000
"""Rows of a fold of which it is found out whether they are members of one family."""

GraphMode = Literal["lanes", "neighbourhood"]


class GraphPicture(RowsPanel):
    """Draws lanes that were laid out, folds that were made, and paths that were found."""

    has_heading = False

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.mode: GraphMode = "lanes"
        self._lanes: Lanes | None = None
        self._folds = GraphFolds()
        self._path: Sequence[str] = []
        """The critical path."""
        self._on_path: frozenset[str] = frozenset()
        self._lit = LitPath()
        self._around: Neighbourhood | None = None
        """The boxes that were drawn last; None: they are to be drawn anew."""
        self._came_from = ""
        """The ticket that was selected before."""

    @property
    def count(self) -> int:
        return len(self._folds.folding) if self._lanes is not None else 0

    def subtitle(self) -> str:
        state = self.view.state
        if state is None:
            return ""
        path = f"critical path {len(self._path)}, " if self._path else ""
        if self._lit.root:
            path = f"{self._why_not} {self._lit.root}, "
        return f"{path}{self.mode}"

    @property
    def has_selected(self) -> bool:
        """Whether the cursor is on the selected ticket, not on a fold or a heading."""
        if self.mode == "neighbourhood" or self._lanes is None:
            return True
        place = self._place()
        return place is not None and place.kind == "ticket" and self._lanes.order[place.start] == self.view.selected

    def _place(self) -> Place | None:
        """What is under the cursor."""
        return self._folds.folding[self.cursor] if self.cursor < self.count else None

    def empty_text(self) -> str:
        return "laying out the lanes…" if self.view.state is not None else ""

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
                Surroundings(partial(drawn_needs, self.state.graph), partial(drawn_dependents, self.state.graph)),
                self._label,
                short=self._short_label,
                width=width,
                height=height,
                keep=[self._came_from] if self._came_from else [],
                critical=self._lit.tickets if self._lit.is_long else self._path,
                ascii_only=self.view.ascii_only,
            )
        return self._around

    def _label(self, id_: str) -> Sequence[str]:
        ticket = self.state.tickets[id_]
        word = display_status(self.state, ticket)
        title = printable(ticket.spec.title)
        first = f"{self.glyph(word)} {id_}"
        return (first, title) if title else (first,)

    def _short_label(self, id_: str, width: int) -> str:
        sign = f"{self.glyph(display_status(self.state, self.state.tickets[id_]))} "
        return sign + self.view.short_ticket(id_, width - width_of(sign))

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
        return self.style("warn" if self._lit.is_long else "lane-critical")

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        assert self._lanes is not None
        place, ascii_only = self._folds.folding[index], self.view.ascii_only
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
        text, style = f"{place.stop - place.start}{self._family_of(place)} {Status.succeeded}", dim
        if place.group is not None and place.group < len(self.state.groups):
            total = len(self.state.groups[place.group])
            done = total - self.state.group_left[place.group]
            text, style = f"group {place.group + 1} {self._dot} {done} of {total} done", self.style("title")
        line.add(" ").column(text, max(0, width - line.width), style, gap=0)

    def _family_of(self, place: Place) -> str:
        """` of test` for a fold that is members of one family only; not looked for in a very long one."""
        assert self._lanes is not None
        ids = self._lanes.order[place.start : min(place.stop, place.start + _MAX_LOOKED_AT)]
        families = {ticket.spec.family if (ticket := self.state.tickets.get(id_)) is not None else "" for id_ in ids}
        family = families.pop() if len(families) == 1 and len(ids) == place.stop - place.start else ""
        return f" of {family}" if family else ""

    @property
    def _dot(self) -> str:
        return "-" if self.view.ascii_only else "·"

    def _draw_ticket(self, line: StyledLine, ticket: TicketState, word: Word, width: int, *, has_glyph: bool) -> None:
        look = self.view.palette.status(word)
        if not has_glyph:
            line.add(f"{self.glyph(word)} ", look)
        line.add(ticket.id, self._id_style(ticket.id))
        if word not in SAID_OTHERWISE:
            line.add("  ").add(word, look)
        if ticket.is_live:
            line.add(f" {short_duration(ticket.worked(self.view.now))} {on_agent(ticket.agent)}", self.style("dim"))
        if ticket.id == self._lit.root and self.view.selected != ticket.id:
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
        if id_ in self._lit.members:
            return self.style("warn")
        return self.style("lane-critical" if id_ in self._on_path else "text")
