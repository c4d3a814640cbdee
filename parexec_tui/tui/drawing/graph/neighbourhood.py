"""The tickets around one, as boxes and edges: two levels of needs at its left, two of dependents at its right.

                              ╭──── unit ───────╮
    fetch ────╮               ├──── browser ────┴──── release
    setup ────┼────[build]────┼──── lint
    +12 more ─╯               ╰──── docs

Tickets that do not fit are counted where they would stand. Each ticket is drawn once, even if several need it; an
edge to a ticket further on runs past the layers between. Tickets have boxes, except in a few rows or columns. Where
there is little room, a box has the id without the title, then there is one level at each side, and then fewer tickets
are shown. The cost depends on what is shown: a ticket with 10,000 dependents costs no more than one with twenty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

from parexec_tui.text.cells import cut_middle
from parexec_tui.tui.drawing.graph.canvas import Canvas, CanvasCell
from parexec_tui.tui.drawing.graph.layered import Layered, arrange, carried, carrier, fits
from parexec_tui.tui.drawing.graph.routing import Channel, route
from parexec_tui.tui.drawing.graph.selection import HiddenCount, Selection, Surroundings
from parexec_tui.tui.drawing.sign import Sign

Direction = Literal["left", "right", "up", "down"]

Label = Callable[[str], Sequence[str]]
"""The text of a ticket in one or two lines: its id, and what can be cut where there is no room. Printable."""

Short = Callable[[str, int], str]
"""The first line of that in at most so many cells, where it is longer."""

TITLED: Final = 100
"""From this width on, boxes may have titles."""

BOXED_WIDTH: Final = 40
BOXED_HEIGHT: Final = 9
"""In fewer columns or rows a ticket has no box, but its text alone."""

_BOX_SIDES: Final = 4
_LONG_ID: Final = 18
"""Two levels at each side are drawn only if ids of up to so many columns are whole."""

_MIN: Final = 8
"""Fewest columns of a layer, as far as there is room."""
_MAX: Final = 30
"""Most columns of a layer."""
_MAX_GAP: Final = 9


class Neighbourhood:
    """A drawing, and where keys lead in it. Made by `neighbourhood`."""

    def __init__(self, cells: list[list[CanvasCell]], layers: list[dict[str, int]], selection: Selection) -> None:
        self.cells = cells
        """Row by row, all equally wide."""
        self.layers = layers
        """The layers from the left: ticket and the row at which its edges meet it, from the top."""
        self._selection = selection

    @property
    def edges(self) -> dict[str, list[str]]:
        """ticket: those that need it, among what is shown"""
        return self._selection.targets

    @property
    def counts(self) -> list[HiddenCount]:
        """How many needs and dependents are not shown, and whose they are."""
        return self._selection.counts()

    def move(self, from_id: str, direction: Direction) -> str | None:
        """The ticket that a step leads to: left to a need, right to a dependent, up and down within the layer; the
        nearest one. None if none is shown there, or `from_id` is not."""
        layer = next((layer for layer in self.layers if from_id in layer), None)
        if layer is None:
            return None
        if direction in ("up", "down"):
            order = list(layer)
            at = order.index(from_id) + (1 if direction == "down" else -1)
            return order[at] if 0 <= at < len(order) else None
        links = self._selection.sources if direction == "left" else self._selection.targets
        rows = {id_: row for layer in self.layers for id_, row in layer.items()}
        return min(links[from_id], key=lambda id_: abs(rows[id_] - rows[from_id]), default=None)


def neighbourhood(
    centre: str,
    graph: Surroundings,
    label: Label,
    *,
    short: Short | None = None,
    width: int,
    height: int,
    keep: Sequence[str] = (),
    critical: Sequence[str] = (),
    ascii_only: bool = False,
) -> Neighbourhood:
    """Draw the tickets around one in so many cells.

    `short`: by default a first line loses its middle. `keep`: neighbours to show before others, such as the one that
    the person came from. `critical`: tickets of a path, needs first; its edges are heavy.
    """
    best: tuple[Selection, _Geometry] | None = None
    for style in _styles(len(label(centre)) > 1, width, height):
        selection = Selection(centre, graph, style.rows if style.grid == 1 else 1, height // style.grid, style.levels)
        selection.fill(keep)
        chosen = len(selection.side)
        while (plan := _plan(selection, label, width, style)) is None and len(selection.side) > 1 + style.is_strict:
            selection.drop_last()
        if plan is None or (style.is_strict and len(selection.side) < chosen):
            continue
        if style.is_strict and style.grid > 1 and any(count.ticket == centre for count in selection.counts()):
            continue  # without slots, more of its neighbours have room
        if best is None or (len(selection.side) > len(best[0].side) and best[1].style.rows == 1):
            best = selection, plan
        if len(selection.side) == chosen or (style.rows > 1 and len(selection.side) > 1):
            break
    if best is None:
        return _alone(selection, width, height, ascii_only=ascii_only)
    dots = ".." if ascii_only else "…"
    cut = short or (lambda node, cells: cut_middle(label(node)[0], cells, sign=dots))
    return _Drawing(*best, Canvas(width, height), critical, cut, ascii_only=ascii_only).draw(label)


def _styles(has_titles: bool, width: int, height: int) -> "Iterator[_Style]":
    """The densities to try, the best first."""
    if width >= BOXED_WIDTH and height >= BOXED_HEIGHT:
        if width >= TITLED and has_titles:
            yield _Style(4, 1, has_titles=True, is_strict=True)
            yield _Style(4, 4, has_titles=True, is_strict=True)
        yield _Style(3, 1, is_strict=True)
        yield _Style(4, 4, is_strict=True)
        yield _Style(3, 1, levels=1)
        yield _Style(4, 4, levels=1)
    yield _Style(1, 1, has_titles=True)
    yield _Style(1, 2, has_titles=True)


def _alone(selection: Selection, width: int, height: int, *, ascii_only: bool) -> Neighbourhood:
    """The centre alone, cut off where there is too little room."""
    canvas, row = Canvas(width, height), height // 2
    if height and width:
        text = _cut(f"[{selection.centre}]", width, ascii_only=ascii_only)
        canvas.text((width - len(text)) // 2, row, text, "text", selection.centre)
    return Neighbourhood(canvas.cells(ascii_only=ascii_only), [{selection.centre: row}], selection)


class _Style(NamedTuple):
    """The density of a drawing."""

    rows: int
    """Rows of a ticket: 1 for its text alone, else a box."""
    grid: int
    """1: everything is at the row that suits it best. Else everything is in slots of so many rows, and the slots of
    neighbouring layers may be a row apart, so that edges do not overlap."""
    has_titles: bool = False
    """Whether tickets have more than their ids."""
    levels: int = 2
    """Levels of needs and of dependents."""
    is_strict: bool = False
    """Only if all that are chosen have room, with whole ids."""

    def lines(self, label: Label, node: str) -> Sequence[str]:
        """What is written of a ticket."""
        return label(node) if self.has_titles else label(node)[:1]

    def min_width(self, selection: Selection, label: Label) -> int:
        """Fewest columns of a layer."""
        if self.rows == 1:
            return _MIN
        if not self.is_strict:
            return _MIN + _BOX_SIDES
        return max(min(cell_len(label(node)[0]), _LONG_ID) for node in selection.side) + _BOX_SIDES

    def port(self, slot: int, shift: int) -> int:
        """The row at which edges meet the ticket in a slot."""
        return self.grid * slot + shift + (self.grid > 1 and self.rows > 1)


class _Geometry(NamedTuple):
    """The places of everything."""

    layered: Layered
    style: _Style
    port: dict[str, int]
    """node: the row at which edges meet it"""
    channels: list[Channel]
    """After each layer but the last."""
    columns: list[tuple[int, int]]
    """Of each layer: its first column, and the one after its last."""


def _plan(selection: Selection, label: Label, width: int, style: _Style) -> _Geometry | None:
    """Find the places of everything; None if there is no room."""
    edges, heights = selection.edges(), selection.heights()
    if not fits(selection.layers(), edges, heights, selection.height):
        return None
    layered = arrange(selection.layers(), edges, heights, selection.height)
    port: dict[str, int] = {}
    channels = _channels(layered, style, port)
    if channels is None:
        return None
    counts = {count.name: count.text for count in selection.counts()}
    wanted = [_wanted(layer, counts, label, style) for layer in layered.layers]
    gaps = [max(3, 1 + 2 * channel.width) for channel in channels]
    widths = _shares(wanted, width - sum(gaps), style.min_width(selection, label))
    return None if widths is None else _Geometry(layered, style, port, channels, _columns(widths, gaps, width))


def _channels(layered: Layered, style: _Style, port: dict[str, int]) -> list[Channel] | None:
    """Route all edges, and set the rows of their ports; None if there is no way."""
    shift, found = 0, list[Channel]()
    for number, layer in enumerate(layered.layers):
        channel: Channel | None = None
        for tried in (shift, 1 - shift)[: style.grid]:
            port.update((node, style.port(layered.port(node), tried)) for node in layer)
            if not number or (channel := route(layered.layers[number - 1], layered.edges, port)) is not None:
                shift = tried
                break
        if channel is not None:
            found.append(channel)
        elif number:
            return None
    return found


def _wanted(layer: list[str], counts: Mapping[str, str], label: Label, style: _Style) -> int:
    """Columns that the texts of a layer fill, with a margin at both sides."""
    widest = 1
    for node in layer:
        if node in counts:
            widest = max(widest, len(counts[node]) + 2)
        elif carried(node) is None:
            lines = style.lines(label, node)
            text = max(map(cell_len, lines)) + _BOX_SIDES if style.rows > 1 else cell_len(" ".join(lines)) + 2
            widest = max(widest, text)
    return min(widest, _MAX)


def _shares(wanted: list[int], room: int, least: int) -> list[int] | None:
    """The columns of each layer: what it wants, or an equal share of what the others leave. None: that is less than
    `least`."""
    widest = max(wanted)
    while sum(min(each, widest) for each in wanted) > room:
        widest -= 1
        if widest < least:
            return None
    return [min(each, widest) for each in wanted]


def _columns(widths: list[int], gaps: list[int], width: int) -> list[tuple[int, int]]:
    """The places of the layers: centred, with wider gaps if there is room."""
    while gaps and sum(widths) + sum(gaps) + len(gaps) <= width and max(gaps) < _MAX_GAP:
        gaps = [gap + 1 for gap in gaps]
    at = (width - sum(widths) - sum(gaps)) // 2
    found = []
    for own, gap in zip(widths, [*gaps, 0], strict=True):
        found.append((at, at + own))
        at += own + gap
    return found


class _Drawing:
    def __init__(
        self,
        selection: Selection,
        plan: _Geometry,
        canvas: Canvas,
        critical: Sequence[str],
        short: Short,
        *,
        ascii_only: bool,
    ) -> None:
        self._plan = plan
        self._selection = selection
        self._canvas = canvas
        self._short = short
        self._ascii_only = ascii_only
        self._heavy = {*critical} & selection.side.keys()
        self._heavy_edges = self._path(critical)
        self._spans: dict[str, tuple[int, int]] = {}
        """node: the columns it covers, where edges end"""

    def _path(self, critical: Sequence[str]) -> set[tuple[str, str]]:
        """The pieces of edges that are on the critical path."""
        layer_of = {node: n for n, layer in enumerate(self._plan.layered.layers) for node in layer}
        first = min(self._selection.layers().values())
        pieces: set[tuple[str, str]] = set()
        for source, target in pairwise(critical):
            if source in self._selection.side and target in self._selection.targets.get(source, ()):
                between = range(layer_of[source] + 1, layer_of[target])
                pieces.update(pairwise([source, *(carrier(source, first + n) for n in between), target]))
        return pieces

    def draw(self, label: Label) -> Neighbourhood:
        counts = {count.name: count for count in self._selection.counts()}
        for layer, (start, stop) in zip(self._plan.layered.layers, self._plan.columns, strict=True):
            for node in layer:
                if node in counts:
                    self._count(counts[node], start, stop)
                elif (source := carried(node)) is not None:
                    self._carry(node, source, start, stop)
                elif self._plan.style.rows > 1:
                    self._box(node, self._plan.style.lines(label, node), start, stop)
                else:
                    self._plain(node, label(node), start, stop)
        for is_heavy in (False, True):
            for number, channel in enumerate(self._plan.channels):
                self._edges(number, channel, heavy=is_heavy)
        layers = [
            {node: self._port(node) for node in layer if node in self._selection.side}
            for layer in self._plan.layered.layers
        ]
        cells = self._canvas.cells(ascii_only=self._ascii_only)
        return Neighbourhood(cells, [layer for layer in layers if layer], self._selection)

    def _port(self, node: str) -> int:
        return self._plan.port[node]

    def _count(self, count: HiddenCount, start: int, stop: int) -> None:
        text = f" {count.text} "
        if len(text) > stop - start:
            text = f" {count.short_text} "
        self._canvas.text(start, self._port(count.name), text, "more", count.ticket)
        self._spans[count.name] = start, start + len(text)

    def _carry(self, node: str, source: str, start: int, stop: int) -> None:
        is_heavy = any(piece[0] == node for piece in self._heavy_edges)
        self._canvas.level(self._port(node), start, stop, node, source, heavy=is_heavy)
        self._spans[node] = start, stop

    def _plain(self, node: str, lines: Sequence[str], start: int, stop: int) -> None:
        room = stop - start - 2
        text = self._short(node, room) if cell_len(lines[0]) > room else " ".join(lines)
        text = _cut(text, room, ascii_only=self._ascii_only)
        text = f"[{text}]" if node == self._selection.centre else f" {text} "
        self._canvas.text(start, self._port(node), text, "text", node, heavy=node in self._heavy)
        self._spans[node] = start, start + cell_len(text)

    def _box(self, node: str, lines: Sequence[str], start: int, stop: int) -> None:
        signs = _BOX_SIGNS[(node == self._selection.centre) + 2 * self._ascii_only]
        port, height, width = self._port(node), self._plan.style.rows, stop - start
        top, is_heavy = self._plan.style.grid * self._plan.layered.top[node], node in self._heavy
        for row in range(height):
            left, fill, right = signs[0 if row == 0 else 2 if row == height - 1 else 1]
            if row == port - top:
                left, right = self._ports(node, left, right, signs[3])
            self._canvas.text(start, top + row, left + fill * (width - 2) + right, "border", node, heavy=is_heavy)
        for row, text in enumerate(lines[: height - 2], top + 1):
            if row == top + 1 and cell_len(text) > width - _BOX_SIDES:
                text = self._short(node, width - _BOX_SIDES)
            text = _cut(text, width - _BOX_SIDES, ascii_only=self._ascii_only)
            self._canvas.text(start + 2, row, text, "text", node, heavy=is_heavy)
        self._spans[node] = start, stop

    def _ports(self, node: str, left: str, right: str, signs: tuple[str, ...]) -> tuple[str, str]:
        """The sides of a box where edges meet it, if there are any."""
        edges = self._plan.layered.edges
        has_needs = any(node in targets for targets in edges.values())
        return signs[0] if has_needs else left, signs[2] if edges.get(node) else right

    def _edges(self, number: int, channel: Channel, *, heavy: bool) -> None:
        for net, track in zip(channel.nets, channel.tracks, strict=True):
            for source in net.sources:
                for target in net.targets:
                    if ((source, target) in self._heavy_edges) == heavy:
                        self._edge(number, source, target, track, net, heavy=heavy)

    def _edge(self, number: int, source: str, target: str, track: int | None, net: object, *, heavy: bool) -> None:
        rows = self._port(source), self._port(target)
        owner = carried(source) or source
        start, stop = self._spans[source][1], self._spans[target][0]
        if track is None:
            self._canvas.level(rows[0], start, stop, net, owner, heavy=heavy)
            return
        at = self._track_column(number, track)
        self._canvas.level(rows[0], start, at, net, owner, heavy=heavy)
        self._canvas.turn(at, rows, net, owner, heavy=heavy)
        self._canvas.level(rows[1], at + 1, stop, net, owner, heavy=heavy)

    def _track_column(self, number: int, track: int) -> int:
        """The column of a track: tracks are in the middle of their gap, in every other column."""
        start, stop = self._plan.columns[number][1], self._plan.columns[number + 1][0]
        used = 2 * self._plan.channels[number].width - 1
        return start + (stop - start - used) // 2 + 2 * track


SIGNS: Final = (
    Sign("╔═╗", "###", "around the selected ticket; what it needs is at its left, what needs it at its right"),
)
"""For the help."""

_BOX_SIGNS: Final = tuple(
    tuple(map(tuple, signs))
    for signs in (
        ("╭─╮", "│ │", "╰─╯", "┤ ├"),
        ("╔═╗", "║ ║", "╚═╝", "╢ ╟"),
        ("+-+", "| |", "+-+", "| |"),
        ("###", "# #", "###", "# #"),
    )
)
"""Of a box and of that in the centre, then in ASCII: top, sides, bottom, and the sides where edges meet them."""


def _cut(text: str, width: int, *, ascii_only: bool) -> str:
    """As much of the text as fits in so many columns."""
    if cell_len(text) <= width:
        return text
    dots = ".." if ascii_only else "…"
    return f"{set_cell_size(text, max(0, width - len(dots)))}{dots}"[: max(0, width)]
