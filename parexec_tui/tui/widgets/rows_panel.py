"""A panel of rows: one of them is under the cursor, and as many are drawn as there is room for."""

from abc import abstractmethod

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.panel import Panel

_NEVER = object()


class RowsPanel(Panel):
    """Rows below an optional heading, with a cursor, and a scroll bar where they do not fit."""

    has_heading = True
    """The first line below the title names the columns."""

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._drawn: dict[int, object] = {}
        """line: the key of what was drawn there"""

    cursor = 0
    top = 0
    """The first row that is visible."""

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
        """What stands there if there is no row."""
        return "nothing here"

    def cursor_moved(self) -> None:
        """The cursor is on another row, by a person's doing."""

    def row_key(self, index: int) -> object:  # noqa: ARG002
        """What a row looks like follows from this, but for what a second changes. By default it is drawn always."""
        return object()

    def changed(self, change: Change) -> None:
        """Draw again the rows that look different: for an event of the session, few do."""
        if not change & self.watches:
            return
        if change & (Change.appearance | Change.samples):
            self._drawn = {}
            self.refresh()
        elif change & Change.clock:
            first = self.top - 1 - self.has_heading
            self._drawn = {y: key for y, key in self._drawn.items() if not self._ticks(y + first)}
        self.refresh_changed()

    def row_ticks(self, index: int) -> bool:  # noqa: ARG002
        """Whether a row may look different after a second, though nothing happened to it."""
        return True

    def _ticks(self, index: int) -> bool:
        return 0 <= index < self.count and self.row_ticks(index)

    def refresh_changed(self) -> None:
        """Draw again what has another key than when it was drawn last."""
        now = {y: self._key_at(y) for y in range(self.size.height)}
        changed = [y for y, key in now.items() if self._drawn.get(y, _NEVER) != key]
        self._drawn = now
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _key_at(self, y: int) -> object:
        if y == 0:
            return self.subtitle(), self.is_current
        if y <= self.has_heading:
            return self.count > 0
        index = y - 1 - self.has_heading + self.top
        bar = self._bar(index - self.top)[0]
        if index >= self.count:
            return bar, self.count
        return bar, self.is_under_cursor(index), self.is_current, self.row_key(index)

    # -- moving ----------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Rows that are visible at once."""
        return max(1, self.body_height - self.has_heading)

    def move(self, rows: int) -> None:
        self.go_to(self.cursor + rows)

    def move_page(self, pages: int) -> None:
        self.go_to(self.cursor + pages * max(1, self.page - 1))

    def go_first(self) -> None:
        self.go_to(0)

    def go_last(self) -> None:
        self.go_to(self.count - 1)

    def go_to(self, index: int) -> None:
        """Put the cursor on a row, as near as there is one, by a person's doing."""
        self.put_cursor(index)
        if self.count:
            self.cursor_moved()
        self.refresh_changed()

    def put_cursor(self, index: int) -> None:
        """Put the cursor on a row and scroll as little as needed."""
        self.cursor = max(0, min(index, self.count - 1))
        self.scroll_into_view()

    def scroll_into_view(self) -> None:
        page = self.page
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + page:
            self.top = self.cursor - page + 1
        self.top = max(0, min(self.top, self.count - page))

    def note_size(self, width: int, height: int) -> None:  # noqa: ARG002
        self.scroll_into_view()

    def index_at(self, y: int) -> int | None:
        """The row on a line of the panel, its title being line 0."""
        index = y - 1 - self.has_heading + self.top
        return index if y > self.has_heading and index < self.count else None

    def pointed_at(self, y: int) -> None:
        if (index := self.index_at(y)) is not None:
            self.go_to(index)

    # -- drawing ---------------------------------------------------------------------------------------------

    def body_line(self, y: int, width: int) -> Strip:
        if self.has_heading and y == 0:
            line = self.line().add(" ")
            self.draw_heading(line, width - 2)
            return line.strip(width)
        index = y - self.has_heading + self.top
        if index >= self.count:
            return self._beyond(y - self.has_heading, width)
        line = self.line().add(self._cursor_sign(index), self.style("title"))
        self.draw_row(line, index, width - 2)
        strip = line.fill(width - 1).strip(width - 1)
        if self.is_highlighted(index):
            # Over the styles of its pieces, not under them: a theme's selection may have a colour for text.
            strip = Strip(Segment.apply_style(strip, post_style=self.style("selection")), strip.cell_length)
        return self.line().add_strip(strip).add(*self._bar(index - self.top)).strip(width)

    def is_under_cursor(self, index: int) -> bool:
        return index == self.cursor

    def is_highlighted(self, index: int) -> bool:
        return self.is_under_cursor(index) and self.is_current

    def _cursor_sign(self, index: int) -> str:
        if not self.is_under_cursor(index):
            return " "
        return ">" if self.view.ascii_only else "▌"

    def _beyond(self, y: int, width: int) -> Strip:
        text = self.empty_text() if y == 0 and not self.count else ""
        return self.line().add(" ").column(text, width - 2, self.style("dim"), gap=0).strip(width)

    def _bar(self, y: int) -> tuple[str, Style]:
        """The cell of the scroll bar on a visible row."""
        if self.count <= self.page:
            return " ", self.base
        size = max(1, self.page * self.page // self.count)
        start = (self.page - size) * self.top // max(1, self.count - self.page)
        if start <= y < start + size:
            return "#" if self.view.ascii_only else "┃", self.style("dim")
        return ":" if self.view.ascii_only else "│", self.style("border")
