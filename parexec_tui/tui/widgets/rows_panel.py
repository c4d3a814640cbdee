"""A panel of rows: it draws again only those that look different."""

from textual.geometry import Region
from textual.strip import Strip

from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.panel import Panel
from parexec_tui.tui.widgets.rows import Rows

_NEVER = object()
"""The key of a line that has not been drawn yet; it equals no other key."""


class RowsPanel(Rows, Panel):
    """Rows with a heading below the title of the panel."""

    has_heading = True

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._drawn: dict[int, object] = {}
        """line: the key of what was drawn there"""

    @property
    def rows_height(self) -> int:
        return self.body_height

    def body_resized(self, width: int, height: int) -> None:  # noqa: ARG002
        self.scroll_into_view()

    def body_line(self, y: int, width: int) -> Strip:
        return self.row_line(y, width)

    # -- the mouse -----------------------------------------------------------------------------------------------

    def index_at(self, y: int) -> int | None:
        """The row on a line of the panel; the title is line 0."""
        index = y - 1 - self.has_heading + self.top
        return index if y > self.has_heading and index < self.count else None

    def clicked(self, y: int) -> None:
        if (index := self.index_at(y)) is not None:
            self.go_to(index)

    # -- drawing again -------------------------------------------------------------------------------------------

    def row_key(self, index: int) -> object:  # noqa: ARG002
        """Two rows with equal keys look the same, except for what a second changes. By default no keys are equal."""
        return object()

    def row_ticks(self, index: int) -> bool:  # noqa: ARG002
        """Whether a row may look different after a second, though nothing happened to it."""
        return True

    def changed(self, change: Change) -> None:
        if not change & self.watches:
            return
        if change & (Change.appearance | Change.samples):
            self._drawn = {}
            self.refresh()
        elif change & Change.clock:
            first = self.top - 1 - self.has_heading
            self._drawn = {y: key for y, key in self._drawn.items() if not self._ticks(y + first)}
        self.refresh_changed()

    def _ticks(self, index: int) -> bool:
        return 0 <= index < self.count and self.row_ticks(index)

    def refresh_changed(self) -> None:
        """Draw again the lines whose keys have changed since they were drawn."""
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
        bar = self.scroll_bar(index - self.top, top=self.top, page=self.page, count=self.count)[0]
        if index >= self.count:
            return bar, self.count
        return bar, self.is_under_cursor(index), self.is_current, self.row_key(index)
