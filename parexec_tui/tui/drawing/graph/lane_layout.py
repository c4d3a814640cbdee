"""Which lane runs in which column: one sweep over the rows of a graph, from the top.

A lane leads down from needs to dependents. It begins at a ticket. Other tickets *join* it if the same tickets below
need them. Each ticket that needs all of these *takes* the lane, and the lane ends at the last of them. So a ticket
with 5,000 dependents has one lane, and so have 5,000 tickets that one ticket needs.

When there are more lanes than columns, the lane that is needed farthest down is dropped: it ends where it was taken
last, and what it would have carried further is counted, not drawn.
"""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

_FAR: Final = 2**31 - 1
"""The next row of a column without a lane."""

_HUB: Final = 2
"""A dependent with this many needs still to come gets a lane at the side, for them to join."""

_MAX_HUBS: Final = 2
"""The most lanes at the side that one ticket may begin."""


class Lane:
    """What the rows of `pending` need, drawn from row `start` to row `last`."""

    __slots__ = ("colour", "column", "joined", "last", "number", "pending", "start")

    def __init__(self, number: int, start: int, column: int, colour: int, pending: list[int]) -> None:
        self.number = number
        self.start = start
        self.last = start
        """The last row that takes it. A lane that no row takes is not drawn at all."""
        self.column = column
        self.colour = colour
        self.joined = [start]
        """Rows that feed it, in order."""
        self.pending = pending
        """Rows that have yet to take it, the nearest last."""


class LaneLayout:
    """Columns and lanes of every row. Made by `lay_out`."""

    def __init__(self, order: Sequence[str], max_columns: int) -> None:
        self.order = order
        self.row = {id_: row for row, id_ in enumerate(order)}
        self.max_columns = max_columns
        self.lanes: list[Lane] = []
        self.column = array("h")
        """row: column of its ticket"""
        self.colour = array("h")
        """row: colour of its ticket"""
        self.below = array("i")
        """`max_columns` cells a row: the number of the lane in each column between this row and the next, or -1. A
        lane whose `last` row is this one or an earlier one is not there."""
        self.taken: list[tuple[int, ...]] = []
        """row: lanes that the ticket takes"""
        self.given: list[tuple[int, ...]] = []
        """row: lanes that the ticket begins or joins"""
        self.needs_left_out = array("i")
        """row: needs that are not drawn"""
        self.dependents_left_out = array("i", bytes(4 * len(order)))
        """row: dependents that are not drawn"""


def lay_out(dependents: list[list[int]], order: Sequence[str], *, max_columns: int, colours: int) -> LaneLayout:
    """Lay out rows, each with the rows of its dependents, in at most `max_columns` columns. O(max_columns * E).

    If lanes were dropped, it is done again without them, because they took up columns until then.
    """
    rows = _Rows(dependents)
    left_out: dict[int, set[int]] = {}
    sweep = _Sweep(rows, LaneLayout(order, max_columns), colours, left_out)
    sweep.run()
    if left_out:
        sweep = _Sweep(rows, LaneLayout(order, max_columns), colours, left_out)
        sweep.run()
    for row, dropped in left_out.items():
        sweep.layout.dependents_left_out[row] = len(dropped)
    return sweep.layout


class _Rows:
    """The graph, by row."""

    def __init__(self, dependents: list[list[int]]) -> None:
        self.dependents = dependents
        needs: list[list[int]] = [[] for _ in dependents]
        for row, own in enumerate(dependents):
            for dependent in own:
                needs[dependent].append(row)
        self.needs = [len(own) for own in needs]
        """How many there are."""
        kinds: dict[tuple[int, ...], int] = {}
        self.alike = [kinds.setdefault(tuple(own), len(kinds)) for own in needs]
        """The same number for rows that have the same needs."""


class _Sweep:
    """The lanes at one row, and what becomes of them at the next."""

    def __init__(self, rows: _Rows, layout: LaneLayout, colours: int, left_out: dict[int, set[int]]) -> None:
        self.layout = layout
        self._left_out = left_out
        """row: its dependents that are not drawn"""
        self._rows = rows
        self._colours = colours
        self._lane: list[Lane | None] = [None] * layout.max_columns
        """column: its lane"""
        self._next = [_FAR] * layout.max_columns
        """column: the next row that takes its lane"""
        self._numbers = [-1] * layout.max_columns
        """column: number of its lane"""
        self._missing = list(rows.needs)
        """row: needs that are still to come"""
        self._last_colour = -1

    def run(self) -> None:
        for row in range(len(self.layout.order)):
            self._take(row)

    def _take(self, row: int) -> None:
        """Lay out one row."""
        layout = self.layout
        ins = [self._lane[column] for column, next_ in enumerate(self._next) if next_ == row]
        lanes = [lane for lane in ins if lane is not None]
        drawn = sum(len(lane.joined) for lane in lanes)
        layout.taken.append(tuple(lane.number for lane in lanes))
        layout.needs_left_out.append(self._rows.needs[row] - drawn)
        ends = self._pass(row, lanes)
        column = self._place(row, lanes, ends)
        ended = self._lane[column]
        layout.column.append(column)
        layout.colour.append(self._new_colour() if ended is None else ended.colour)
        if ended is not None:
            self._clear(column)
        layout.given.append(self._give(row, column, lanes))
        for lane in ends:
            if lane.column != column:
                self._clear(lane.column)
        if -1 not in self._numbers:
            self._drop(self._farthest())
        layout.below.extend(self._numbers)

    def _pass(self, row: int, lanes: list[Lane]) -> list[Lane]:
        """Let this row take these lanes. Returns the lanes that end here."""
        ends = []
        for lane in lanes:
            lane.last = row
            lane.pending.pop()
            if lane.pending:
                self._next[lane.column] = lane.pending[-1]
            else:
                ends.append(lane)
        return ends

    def _place(self, row: int, lanes: list[Lane], ends: list[Lane]) -> int:
        """The column of a ticket: below a lane that ends here, right of the lanes that go on.

        Its needs then come from the left, and its dependents go out to the right. A ticket that merges lanes moves as
        far to the left as it can, so that the drawing does not drift; or to the right, if it can join lanes there.
        """
        right_of = max((lane.column for lane in lanes if lane.pending), default=-1)
        straight = [lane.column for lane in ends if lane.column > right_of]
        if straight and len(lanes) == 1 and len(lanes[0].joined) == 1:
            return straight[0]
        if straight and any(self._missing[dependent] > _HUB for dependent in self._rows.dependents[row]):
            return straight[-1]
        possible = [*(lane.column for lane in ends), *(c for c, number in enumerate(self._numbers) if number < 0)]
        return min((column for column in possible if column > right_of), default=min(possible))

    def _give(self, row: int, column: int, lanes: list[Lane]) -> tuple[int, ...]:
        """Join lanes or begin them, for all dependents of a row."""
        for dependent in self._rows.dependents[row]:
            self._missing[dependent] -= 1
        dependents = set(self._rows.dependents[row]) - self._left_out.get(row, set())
        given: list[Lane] = []
        if dependents and not any(lane.column > column for lane in lanes):
            # Lines that come in and lines that go out do not share a side: they could not be told apart.
            given += self._join(row, column, dependents)
            given += self._begin_hubs(row, column, dependents)
        if dependents:
            given.append(self._begin(row, column, self.layout.colour[row], dependents))
        return tuple(lane.number for lane in given)

    def _join(self, row: int, column: int, dependents: set[int]) -> list[Lane]:
        """Join the lanes at the right that lead to dependents only; removes these from the set."""
        joined = []
        for lane in self._lane[column + 1 :]:
            if lane is None or len(lane.pending) > len(dependents) or not dependents.issuperset(lane.pending):
                continue
            # A ticket whose last need is here comes soon: a line straight down to it is easier to follow.
            if len(lane.pending) > 1 or self._missing[lane.pending[0]]:
                lane.joined.append(row)
                joined.append(lane)
                dependents.difference_update(lane.pending)
        return joined

    def _begin_hubs(self, row: int, column: int, dependents: set[int]) -> list[Lane]:
        """Begin lanes at the side to dependents that have many other needs; removes these from the set."""
        hubs: defaultdict[int, list[int]] = defaultdict(list)
        for dependent in dependents:
            if self._missing[dependent] >= _HUB:
                hubs[self._rows.alike[dependent]].append(dependent)
        begun = []
        for group in sorted(hubs.values(), key=lambda group: -self._missing[group[0]])[:_MAX_HUBS]:
            side = next((c for c in range(column + 1, self.layout.max_columns) if self._numbers[c] < 0), None)
            if side is not None:
                dependents.difference_update(group)
                begun.append(self._begin(row, side, self._new_colour(), group))
        return begun

    def _begin(self, row: int, column: int, colour: int, dependents: set[int] | list[int]) -> Lane:
        lane = Lane(len(self.layout.lanes), row, column, colour, sorted(dependents, reverse=True))
        self.layout.lanes.append(lane)
        self._lane[column] = lane
        self._numbers[column] = lane.number
        self._next[column] = lane.pending[-1]
        return lane

    def _clear(self, column: int) -> None:
        self._lane[column] = None
        self._numbers[column] = -1
        self._next[column] = _FAR

    def _farthest(self) -> Lane:
        lane = self._lane[self._next.index(max(self._next))]
        assert lane is not None
        return lane

    def _drop(self, lane: Lane) -> None:
        """Drop a lane: it ends where it was taken last."""
        for row in lane.joined:
            self._left_out.setdefault(row, set()).update(lane.pending)
        self._clear(lane.column)

    def _new_colour(self) -> int:
        """The next colour that no lane has now; the next one, if all are in use."""
        used = {lane.colour for lane in self._lane if lane is not None}
        steps = range(1, self._colours + 1)
        step = next((step for step in steps if (self._last_colour + step) % self._colours not in used), 1)
        self._last_colour = (self._last_colour + step) % self._colours
        return self._last_colour
