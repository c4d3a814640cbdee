"""A panel of text about one thing: it scrolls, and some of its lines lead to a ticket."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style

from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.view_state import Change
from parexec_tui.tui.widgets.rows_panel import RowsPanel


class PanelLine(NamedTuple):
    """One line: a name in the margin, pieces of text, and the ticket that enter leads to."""

    name: str
    pieces: Sequence[tuple[str, Style | None]]
    ticket: str = ""


class TextPanel(RowsPanel):
    """Makes its lines again when the view has changed, and draws the visible ones."""

    has_heading = False
    margin = 11

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._lines: Sequence[PanelLine] = ()
        self._of = ""

    @abstractmethod
    def make_lines(self, width: int) -> Sequence[PanelLine]:
        """All lines."""

    def changed(self, change: Change) -> None:
        if change & self.watches and self.view.state is not None:
            self.remake()
        super().changed(change)

    def body_resized(self, width: int, height: int) -> None:
        if self.view.state is not None:
            self.remake()
        super().body_resized(width, height)

    def remake(self) -> None:
        self._lines = self.make_lines(max(1, self.body_width - 2 - self.margin))
        if self.view.selected != self._of:
            self._of = self.view.selected
            self.cursor = self.top = 0
        self.put_cursor(self.cursor)

    @property
    def count(self) -> int:
        return len(self._lines)

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        name, pieces, _ = self._lines[index]
        line.column(name, self.margin - 1, self.style("dim"))
        for text, style in pieces:
            line.column(text, min(width + 1 - line.width, width_of(text)), style, gap=0)

    def open(self) -> str:
        if self.count and (ticket := self._lines[self.cursor].ticket):
            self.view.selected = ticket
            return self.name_
        return ""
