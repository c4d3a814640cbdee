"""Which rows of the lanes are visible: what is done is folded, and groups have headings.

A fold is a run of at least `MIN_FOLD` rows whose tickets all succeeded, as long as it can be. Rows are counted from 0
as `Lanes` has them; what is visible is counted as *places*.
"""

from array import array
from bisect import bisect_right
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

MIN_FOLD: Final = 3

PlaceKind = Literal["ticket", "fold", "heading"]


class Place(NamedTuple):
    """What is at one place."""

    kind: PlaceKind
    start: int
    """Its first row; of a heading, that of the first ticket below it."""
    stop: int
    group: int | None = None
    """Of a heading, or of a fold that is a whole group: its number, from 0."""


class Folding:
    """The places, from the top."""

    def __init__(
        self,
        done: Sequence[bool],
        *,
        shown: Container[int] = (),
        is_open: bool = False,
        groups: Sequence[int] = (),
    ) -> None:
        """`done`: of each row whether it may be folded. `shown`: rows that are not. `is_open`: nothing is folded.
        `groups`: the first row of each group, if groups have headings. O(rows)."""
        self._starts = array("i")
        self._groups: dict[int, int] = {}
        """place: the group that it is the heading of"""
        self._count = len(done)
        bounds = [*groups, len(done)] if groups else [0, len(done)]
        for number, (first, last) in enumerate(pairwise(bounds)):
            if groups and first == last:
                continue
            runs = [] if is_open else self._runs(done, shown, first, last)
            if groups:
                self._groups[len(self._starts)] = number
                if runs != [(first, last)]:
                    self._starts.append(first)
            self._add(runs, first, last)

    @staticmethod
    def _runs(done: Sequence[bool], shown: Container[int], first: int, last: int) -> list[tuple[int, int]]:
        found, start = [], first
        for row in range(first, last + 1):
            if row == last or not done[row] or row in shown:
                if row - start >= MIN_FOLD:
                    found.append((start, row))
                start = row + 1
        return found

    def _add(self, runs: Sequence[tuple[int, int]], first: int, last: int) -> None:
        at = first
        for start, stop in runs:
            self._starts.extend(range(at, start))
            self._starts.append(start)
            at = stop
        self._starts.extend(range(at, last))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Place:
        start = self._starts[index]
        stop = self._starts[index + 1] if index + 1 < len(self._starts) else self._count
        group = self._groups.get(index)
        if stop - start > 1:
            return Place("fold", start, stop, group)
        return Place("heading" if group is not None and stop == start else "ticket", start, stop, group)

    def index(self, row: int) -> int:
        """The place of a row, or of the fold that it is in."""
        return bisect_right(self._starts, row) - 1
