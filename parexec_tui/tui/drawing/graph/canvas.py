"""A canvas of character cells: texts, and lines that know what they connect."""

from collections import defaultdict
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len

from parexec_tui.tui.drawing.graph.lines import HEAVY, LIGHT, ascii_line, line

CanvasKind = Literal["blank", "edge", "border", "text", "more"]
"""What a cell is part of: an edge, the box of a ticket, its text, or a count of tickets that are not shown."""


class CanvasCell(NamedTuple):
    """One character."""

    char: str
    kind: CanvasKind
    ticket: str | None
    """The ticket whose box, text or count it is; of an edge, the need that it comes from."""
    heavy: bool
    """Whether it is part of the critical path."""


BLANK: Final = CanvasCell(" ", "blank", None, False)

_UP, _RIGHT, _DOWN, _LEFT = range(4)

_Place = tuple[int, int]
"""Column and row."""


class Canvas:
    """Texts are drawn over lines, vertical lines over horizontal ones.

    Lines belong to nets, and only lines of one net join. Where a horizontal line meets the vertical line of another
    net it is interrupted and continues behind it: it is crossed (`─│─`), or the other line turns there (`─╰─`,
    `─├─`).
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._texts: dict[_Place, CanvasCell] = {}
        self._arms: defaultdict[_Place, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._owner: dict[_Place, str] = {}
        self._upright: dict[_Place, object] = {}
        """the net whose vertical line is there"""
        self._level: defaultdict[_Place, set[tuple[object, int]]] = defaultdict(set)
        """the nets whose horizontal lines are there, with the arm"""

    def text(
        self, column: int, row: int, text: str, kind: CanvasKind, ticket: str | None, *, heavy: bool = False
    ) -> None:
        """Write a text. The cell after a wide character is empty; a character without width joins the one before
        it."""
        for char in text:
            match cell_len(char):
                case 0:
                    before = self._texts.get((column - 1, row), BLANK)
                    self._texts[column - 1, row] = before._replace(char=before.char + char)
                case wide:
                    for at in range(wide):
                        self._texts[column + at, row] = CanvasCell(char if at == 0 else "", kind, ticket, heavy)
                    column += wide

    def level(self, row: int, start: int, stop: int, net: object, owner: str, *, heavy: bool = False) -> None:
        """Draw a horizontal line through the cells from `start` up to but not including `stop`."""
        for column in range(start, stop):
            for arm in (_LEFT, _RIGHT):
                self._add((column, row), arm, net, owner, heavy=heavy)

    def turn(self, column: int, rows: tuple[int, int], net: object, owner: str, *, heavy: bool = False) -> None:
        """Draw a line that comes from the left in the first row, goes up or down, and leaves to the right in the
        last."""
        first, last = rows
        self._add((column, first), _LEFT, net, owner, heavy=heavy)
        for row in range(min(rows), max(rows) + 1):
            self._upright[column, row] = net
            if row > min(rows):
                self._add((column, row), _UP, net, owner, heavy=heavy)
            if row < max(rows):
                self._add((column, row), _DOWN, net, owner, heavy=heavy)
        self._add((column, last), _RIGHT, net, owner, heavy=heavy)

    def _add(self, at: _Place, arm: int, net: object, owner: str, *, heavy: bool) -> None:
        if arm in (_LEFT, _RIGHT):
            self._level[at].add((net, arm))
        self._arms[at][arm] = max(self._arms[at][arm], HEAVY if heavy else LIGHT)
        self._owner[at] = owner

    def cells(self, *, ascii_only: bool) -> list[list[CanvasCell]]:
        """All rows, each exactly as wide as the canvas."""
        sign = ascii_line if ascii_only else line
        rows = [[BLANK] * self.width for _ in range(self.height)]
        for at in self._arms:
            up, right, down, left = self._shown_arms(at)
            is_heavy = max(up, right, down, left) == HEAVY
            rows[at[1]][at[0]] = CanvasCell(sign(up, right, down, left), "edge", self._owner[at], is_heavy)
        for (column, row), cell in self._texts.items():
            rows[row][column] = cell
        return rows

    def _shown_arms(self, at: _Place) -> tuple[int, int, int, int]:
        up, right, down, left = self._arms[at]
        if up or down:
            right *= (self._upright[at], _RIGHT) in self._level[at]
            left *= (self._upright[at], _LEFT) in self._level[at]
        return up, right, down, left
