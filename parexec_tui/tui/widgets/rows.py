"""Rows with a cursor: as many are drawn as there is room for, and they scroll so that the cursor stays in sight."""

from abc import abstractmethod

from rich.segment import Segment
from textual.strip import Strip

from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import CURSOR
from parexec_tui.tui.widgets.drawn import DrawnWidget


class Rows(DrawnWidget):
    """Rows below an optional heading, and a scroll bar where they do not fit."""

    has_heading = False
    """The first line names the columns."""
    is_current = True
    """The keys go to it."""
    cursor = 0
    top = 0
    """The first row that is visible."""

    # -- what a subclass answers -------------------------------------------------------------------------------

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        """Write a row."""

    def draw_heading(self, line: StyledLine, width: int) -> None:
        """Name the columns."""

    def empty_text(self) -> str:
        """What is shown if there is no row."""
        return "nothing here"

    def cursor_moved(self) -> None:
        """The person has put the cursor on a row."""

    @property
    def rows_height(self) -> int:
        """Lines for the heading and the rows."""
        return self.size.height

    def refresh_changed(self) -> None:
        """Draw again what looks different: all of it, unless a subclass knows better."""
        self.refresh()

    # -- moving ------------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Rows that are visible at once."""
        return max(1, self.rows_height - self.has_heading)

    def move(self, rows: int) -> None:
        self.go_to(self.cursor + rows)

    def move_page(self, pages: int) -> None:
        self.go_to(self.cursor + pages * max(1, self.page - 1))

    def go_first(self) -> None:
        self.go_to(0)

    def go_last(self) -> None:
        self.go_to(self.count - 1)

    def go_to(self, index: int) -> None:
        """Put the cursor on a row, or on the nearest one there is, because the person asked for it."""
        self.put_cursor(index)
        if self.count:
            self.cursor_moved()
        self.refresh_changed()

    def put_cursor(self, index: int) -> None:
        """Put the cursor on a row, and scroll as little as needed."""
        self.cursor = max(0, min(index, self.count - 1))
        self.scroll_into_view()

    def scroll_into_view(self) -> None:
        page = self.page
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + page:
            self.top = self.cursor - page + 1
        self.top = max(0, min(self.top, self.count - page))

    # -- drawing -----------------------------------------------------------------------------------------------

    def is_under_cursor(self, index: int) -> bool:
        return index == self.cursor

    def is_highlighted(self, index: int) -> bool:
        return self.is_under_cursor(index) and self.is_current

    def row_line(self, y: int, width: int) -> Strip:
        """Line `y` of the heading and the rows, in exactly `width` cells."""
        if self.has_heading and y == 0:
            line = self.line().add(" ")
            self.draw_heading(line, width - 2)
            return line.strip(width)
        index = y - self.has_heading + self.top
        if index >= self.count:
            return self._line_below(y - self.has_heading, width)
        line = self.line().add(self._cursor_sign(index), self.style("title"))
        self.draw_row(line, index, width - 2)
        strip = line.fill(width - 1).strip(width - 1)
        if self.is_highlighted(index):
            # Over the styles of its pieces, not under them: a theme's selection may have a colour for text.
            strip = Strip(Segment.apply_style(strip, post_style=self.style("selection")), strip.cell_length)
        bar = self.scroll_bar(index - self.top, top=self.top, page=self.page, count=self.count)
        return self.line().add_strip(strip).add(*bar).strip(width)

    def _cursor_sign(self, index: int) -> str:
        if not self.is_under_cursor(index):
            return " "
        return CURSOR[self.view.ascii_only]

    def _line_below(self, y: int, width: int) -> Strip:
        """A line below the last row."""
        text = self.empty_text() if y == 0 and not self.count else ""
        return self.line().add(" ").column(text, width - 2, self.style("dim"), gap=0).strip(width)
