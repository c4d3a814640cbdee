"""The dependency graph as lanes: a row for each ticket, and at its left lines down to what needs it.

    ○        setup
    ├─○      lint         ├─○  needs the ticket that this lane comes from; others further down need it too
    ├─○─╮    unit         ○─╮  begins a lane            ○─┤  joins one: who takes it needs this ticket as well
    ├─○─┤    browser
    ●   │    build        ●    ends the lane above it: the last that needs what it carries
    ●───╯    release      ●─╯  the same, from the side

Where nothing comes from straight above, a ticket is hollow; the sign of its status may stand at its right. At a tee
lines run from left to right; one that comes in from a lane at the right has an arrow: `○◂┤`. A line that is broken
where it meets another (`─│─`) only crosses it. `↑7` counts needs, `↓3` dependents, whose lanes did not fit. Which
lanes run where is found once for each shape of a plan (`lane_layout`); a window costs O(its rows).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from parexec_tui.core.plan.drawn import drawn_dependents
from parexec_tui.core.plan.graph import Graph
from parexec_tui.gc_control import gc_paused
from parexec_tui.tui.drawing.graph.lane_layout import Lane, lay_out
from parexec_tui.tui.drawing.graph.lines import HEAVY, LIGHT, ascii_line, line
from parexec_tui.tui.drawing.graph.order import row_order
from parexec_tui.tui.drawing.sign import Sign

_APART: Final = Sign("○", "o", "a ticket; no line leads to it from straight above")
_BELOW: Final = Sign("●", "*", "a ticket that needs what is above it")
_ARROW: Final = Sign("◂", "<", "lines come to it from the right")
_FOLD: Final = Sign("▸", ">", "tickets that succeeded, folded: enter shows them")

SIGNS: Final = (
    _APART, _BELOW, _ARROW, _FOLD,
    Sign("━ ┃", "= #", "the way to what the selected ticket waits for, else the critical path"),
    Sign("↑7 ↓3", "^7 v3", "so many needs, or dependents, have no line"),
)  # fmt: skip
"""For the help."""

NO_COLOUR: Final = -1
"""The colour of a blank cell."""


class LaneCell(NamedTuple):
    """One character of a row."""

    char: str
    colour: int
    """Index of the colour of its lane, or NO_COLOUR."""
    heavy: bool
    """Whether it is part of the critical path."""


class LaneRow(NamedTuple):
    """One ticket and the lanes at its left."""

    id: str
    cells: list[LaneCell]
    """At most `Lanes.width`; no blanks at the end."""
    node: int
    """Which cell stands for the ticket. It may have the colour of a status; its sign, hollow or not, is one of the
    lines."""


class Lanes:
    """The rows of a graph. Made anew when the shape of the plan changes: tickets or needs."""

    def __init__(
        self,
        graph: Graph,
        groups: list[list[str]],
        *,
        max_columns: int = 12,
        colours: int = 6,
        by_group: bool = False,
    ) -> None:
        """Lay out a graph whose dependency levels are `groups`, in at most `max_columns` columns (two at least).

        Chains stay together; `by_group`: the tickets of a group do, and chains only within the limits of that.
        O(E log E): a third of a second for 10,000 tickets, some seconds for 100,000; so not while a person waits.
        """
        with gc_paused():
            dependents = {id_: list(drawn_dependents(graph, id_)) for id_ in graph.dependents}
            needs: dict[str, list[str]] = {id_: [] for id_ in dependents}
            for id_, own in dependents.items():
                for dependent in own:
                    needs[dependent].append(id_)
            order = row_order(dependents, needs, groups)
            if by_group:
                group_of = {id_: number for number, level in enumerate(groups) for id_ in level}
                order.sort(key=group_of.__getitem__)
            row = {id_: number for number, id_ in enumerate(order)}
            by_row = [[row[dependent] for dependent in dependents[id_]] for id_ in order]
            self.by_group = by_group
            self._layout = lay_out(by_row, order, max_columns=max(max_columns, 2), colours=colours)
        self._ends: dict[tuple[int, int], tuple[int, list[Lane], list[Lane]]] = {}
        """rows: what `_ends_of` found"""
        self._path: list[int] = []
        self._path_lanes: list[int | None] = []

    @property
    def order(self) -> Sequence[str]:
        """row: ticket; needs stand above their dependents."""
        return self._layout.order

    def __contains__(self, id_: str) -> bool:
        return id_ in self._layout.row

    def row(self, id_: str) -> int:
        """The row of a ticket. Raises KeyError if there is none."""
        return self._layout.row[id_]

    @property
    def width(self) -> int:
        """The most cells that a row can have."""
        return 2 * self._layout.max_columns - 1 + 2 * _MARK

    @property
    def left_out(self) -> float:
        """The share of tickets of which some lanes are not drawn."""
        layout = self._layout
        pairs = zip(layout.needs_left_out, layout.dependents_left_out, strict=True)
        return sum(1 for pair in pairs if any(pair)) / max(1, len(self.order))

    def mark(self, path: Sequence[str]) -> None:
        """From now on these tickets and the lanes between them are heavy: a chain, needs first. O(its length)."""
        layout = self._layout
        self._path = [layout.row[id_] for id_ in path]
        steps = pairwise(self._path)
        self._path_lanes = [next((n for n in layout.given[a] if n in layout.taken[b]), None) for a, b in steps]

    def rows(self, start: int, stop: int, *, ascii_only: bool = False) -> list[LaneRow]:
        """The rows from `start` up to `stop`, as far as there are any."""
        window = range(max(start, 0), min(stop, len(self.order)))
        return [self._row(row, ascii_only=ascii_only) for row in window]

    def _row(self, row: int, *, ascii_only: bool) -> LaneRow:
        layout = self._layout
        drawing = _RowDrawing(layout.column[row], layout.colour[row], 2 * layout.max_columns - 1)
        at = bisect_left(self._path, row)
        drawing.is_heavy = at < len(self._path) and self._path[at] == row
        above, below = self._path_lane(at - 1), self._path_lane(at - 1 + drawing.is_heavy)
        for lane in self._between(row - 1):
            drawing.vertical(lane, up=HEAVY if lane.number == above else LIGHT)
        for lane in self._between(row):
            drawing.vertical(lane, down=HEAVY if lane.number == below else LIGHT)
        taken = [layout.lanes[number] for number in layout.taken[row]]
        given = [lane for number in layout.given[row] if (lane := layout.lanes[number]).last > row]
        heavy = {above, below} if drawing.is_heavy else set()
        drawing.connect([(lane, HEAVY if lane.number in heavy else LIGHT) for lane in (*taken, *given)])
        has_arrow = any(lane.column > layout.column[row] and lane.last > row for lane in taken)
        cells = drawing.cells(ascii_only=ascii_only, has_arrow=has_arrow)
        marks = zip(_MARKS[ascii_only], (layout.needs_left_out[row], layout.dependents_left_out[row]), strict=True)
        text = "".join(f" {_count(sign, count)}" for sign, count in marks if count)
        cells += [LaneCell(char, NO_COLOUR, False) for char in text]
        return LaneRow(self.order[row], cells, 2 * layout.column[row])

    def folded(self, start: int, stop: int, *, ascii_only: bool = False) -> LaneRow:
        """The rows from `start` up to `stop` as one, connected to all lanes that lead into them or out of them."""
        layout = self._layout
        node, taken, given = self._ends_of(start, stop)
        drawing = _RowDrawing(layout.column[node], layout.colour[node], 2 * layout.max_columns - 1)
        passes = self._path_lane(bisect_left(self._path, start) - 1)
        for lane in self._between(start - 1):
            drawing.vertical(lane, up=HEAVY if lane.number == passes else LIGHT)
        for lane in self._between(stop - 1):
            drawing.vertical(lane, down=HEAVY if lane.number == passes else LIGHT)
        drawing.connect([(lane, LIGHT) for lane in (*taken, *given)])
        cells = drawing.cells(ascii_only=ascii_only, has_arrow=False)
        cells[drawing.node] = LaneCell(_FOLD[ascii_only], cells[drawing.node].colour, False)
        return LaneRow("", cells, drawing.node)

    def above(self, row: int, *, ascii_only: bool = False) -> list[LaneCell]:
        """The lanes between a row and the one before it."""
        drawing = _RowDrawing(0, NO_COLOUR, 2 * self._layout.max_columns - 1)
        passes = self._path_lane(bisect_left(self._path, row) - 1)
        for lane in self._between(row - 1):
            weight = HEAVY if lane.number == passes else LIGHT
            drawing.vertical(lane, up=weight, down=weight)
        return drawing.lines(ascii_only=ascii_only)

    def _ends_of(self, start: int, stop: int) -> tuple[int, list[Lane], list[Lane]]:
        """The leftmost of these rows, the lanes from above that they take, and those below that they begin or join.
        It is kept, since it is O(rows)."""
        if (start, stop) not in self._ends:
            layout, lanes = self._layout, self._layout.lanes
            taken = {number for row in range(start, stop) for number in layout.taken[row]}
            given = {number for row in range(start, stop) for number in layout.given[row]}
            self._ends[start, stop] = (
                min(range(start, stop), key=layout.column.__getitem__),
                [lanes[number] for number in sorted(taken) if lanes[number].start < start],
                [lanes[number] for number in sorted(given) if lanes[number].last >= stop],
            )
        return self._ends[start, stop]

    def _between(self, row: int) -> list[Lane]:
        """The lanes that run from this row to the next."""
        layout = self._layout
        if row < 0:
            return []
        numbers = layout.below[row * layout.max_columns : (row + 1) * layout.max_columns]
        return [lane for number in numbers if number >= 0 and (lane := layout.lanes[number]).last > row]

    def _path_lane(self, step: int) -> int | None:
        """The lane that the critical path takes in this step, if it is drawn."""
        return self._path_lanes[step] if 0 <= step < len(self._path_lanes) else None


_BIG: Final = 100
"""From so many tickets on, rows stand by group where chains cannot be followed anyway."""
_MAX_LEFT_OUT: Final = 0.2
"""The share of tickets with lanes that are not drawn from which on chains count as such."""


def laid_out(graph: Graph, groups: list[list[str]], *, max_columns: int, colours: int = 6) -> Lanes:
    """The lanes by chains; of a big plan by group, if there are too many chains to follow them."""
    lanes = Lanes(graph, groups, max_columns=max_columns, colours=colours)
    if len(lanes.order) < _BIG or lanes.left_out < _MAX_LEFT_OUT:
        return lanes
    return Lanes(graph, groups, max_columns=max_columns, colours=colours, by_group=True)


class _RowDrawing:
    """The lines of one row: four arms for each cell."""

    def __init__(self, column: int, colour: int, width: int) -> None:
        self.is_heavy = False
        self.node = 2 * column
        self._colours = [NO_COLOUR] * width
        self._colours[self.node] = colour
        self._arms = [[0, 0, 0, 0] for _ in range(width)]

    def vertical(self, lane: Lane, *, up: int = 0, down: int = 0) -> None:
        cell = 2 * lane.column
        arms = self._arms[cell]
        arms[_UP], arms[_DOWN] = arms[_UP] or up, arms[_DOWN] or down
        if cell != self.node:
            self._colours[cell] = lane.colour

    def connect(self, lanes: list[tuple[Lane, int]]) -> None:
        """Draw lines from the ticket to these lanes, each with its weight. Other lanes are crossed: left as they are.

        The lines to one side share their cells: those of the nearest lane have its colour, a heavy one is on top.
        """
        at = self.node
        connected = {2 * lane.column for lane, _ in lanes}
        for lane, weight in sorted(lanes, key=lambda pair: (pair[1], -abs(2 * pair[0].column - at))):
            end = 2 * lane.column
            towards, back = (_RIGHT, _LEFT) if end > at else (_LEFT, _RIGHT)
            for cell in range(min(at, end) + 1, max(at, end)):
                arms = self._arms[cell]
                if cell in connected or not (arms[_UP] or arms[_DOWN]):
                    arms[_LEFT] = arms[_RIGHT] = weight
                    if cell not in connected:
                        self._colours[cell] = lane.colour
            if end != at:
                self._arms[end][back] = weight
                self._arms[at][towards] = weight

    def lines(self, *, ascii_only: bool) -> list[LaneCell]:
        """The cells without a ticket."""
        sign = ascii_line if ascii_only else line
        chars = [sign(*arms) for arms in self._arms]
        heavy = [max(arms) == HEAVY for arms in self._arms]
        return list(map(LaneCell, "".join(chars).rstrip(), self._colours, heavy))

    def cells(self, *, ascii_only: bool, has_arrow: bool) -> list[LaneCell]:
        sign = ascii_line if ascii_only else line
        chars = [sign(*arms) for arms in self._arms]
        chars[self.node] = (_BELOW if self._arms[self.node][_UP] else _APART)[ascii_only]
        if has_arrow:
            chars[self.node + 1] = _ARROW[ascii_only]
        weights = [max(arms) == HEAVY for arms in self._arms]
        weights[self.node] = self.is_heavy
        width = len("".join(chars).rstrip())
        return list(map(LaneCell, chars[:width], self._colours, weights))


_UP, _RIGHT, _DOWN, _LEFT = range(4)
_MARKS: Final = (("↑", "↓"), ("^", "v"))
_MARK: Final = 6
"""Cells of a count, with the blank before it."""


def _count(sign: str, count: int) -> str:
    """`↑7`, `↓12k`: at most five cells, for less than ten million."""
    return f"{sign}{count}" if count < 1000 else f"{sign}{count // 1000}k"


def with_glyph(row: LaneRow, glyph: str, *, ascii_only: bool = False) -> tuple[list[LaneCell], bool]:
    """The cells of a row with the sign of a status beside the ticket, and whether it has room there.

    It has none in ASCII, where it could be taken for a part of a line, nor where an arrow is."""
    cells, at = list(row.cells), row.node + 1
    if ascii_only or (at < len(cells) and cells[at].char in _ARROW):
        return cells, False
    sign = LaneCell(glyph, NO_COLOUR, False)
    if at == len(cells) or (at + 1 < len(cells) and cells[at + 1].char in "".join(_MARKS[False])):
        cells.insert(at, sign)
    else:
        cells[at] = sign
    return cells, True
