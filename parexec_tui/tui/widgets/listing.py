"""Rows to choose from, for the box of a dialog."""

from textual.geometry import Size
from textual.strip import Strip

from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.moves import move_by_key
from parexec_tui.tui.widgets.rows import Rows


class Listing(Rows):
    """As high as its rows, where there is room. It has no title: the heading of the dialog says what the rows are."""

    DEFAULT_CSS = "Listing { width: 1fr; height: auto; }"

    def __init__(self, view: ViewState, *, chrome: int) -> None:
        """`chrome`: lines of the dialog that are not rows; they are left free, whatever the terminal."""
        super().__init__(view)
        self.chrome = chrome

    def size_changed(self) -> None:
        self.scroll_into_view()

    def take_key(self, name: str, *, letters: bool = True) -> bool:
        """Move, if this key is for moving. Without `letters`, only by keys that do not type a text."""
        return move_by_key(self, name, letters=letters)

    @property
    def wanted(self) -> int:
        """Lines that it takes where there is room."""
        return self.count

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return max(1, min(self.wanted, viewport.height - self.chrome - self.view.kept_lines))

    def render_line(self, y: int) -> Strip:
        return self.row_line(y, self.size.width)
