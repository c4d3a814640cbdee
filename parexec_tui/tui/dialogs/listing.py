"""What is in the box of a dialog: rows to choose from, and text to read. Both scroll where they do not fit."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip

from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_BORDER = 2
"""Columns of the box around it."""

_ARROWS = {"down": "j", "up": "k", "pagedown": "ctrl+d", "pageup": "ctrl+u"}
_ENDS = {"home": "g", "end": "G"}


class Listing(RowsPanel):
    """Rows without a title: the dialog's heading says what they are."""

    DEFAULT_CSS = "Listing { width: 1fr; height: auto; }"

    title = ""
    name_ = "listing"
    has_heading = False

    def __init__(self, view: ViewState, *, chrome: int) -> None:
        """`chrome`: lines of the dialog that are not rows of this; it leaves them free, whatever the terminal."""
        super().__init__(view, 0)
        self.is_current = True
        self.chrome = chrome

    def take_key(self, name: str, *, letters: bool = True) -> bool:
        """Move, if this key is for moving. Without `letters`, only by those that are not for typing a text."""
        match _ARROWS.get(name) or (_ENDS.get(name, name) if letters else ""):
            case "j":
                self.move(1)
            case "k":
                self.move(-1)
            case "ctrl+d" | "space":
                self.move_page(1)
            case "ctrl+u":
                self.move_page(-1)
            case "g":
                self.go_first()
            case "G":
                self.go_last()
            case _:
                return False
        return True

    def refresh_changed(self) -> None:
        """Draw all of it: it is small, and has no title above its rows."""
        self.refresh()

    @property
    def wanted(self) -> int:
        """Lines that it takes where there is room."""
        return self.count

    @property
    def body_height(self) -> int:
        return self.size.height

    @property
    def body_width(self) -> int:
        return self.size.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return max(1, min(self.wanted, viewport.height - self.chrome))

    def render_line(self, y: int) -> Strip:
        return self.body_line(y, self.size.width)


class Page(Listing):
    """Text, folded to the width. A line that begins with blanks goes on under its first letter."""

    DEFAULT_CSS = "Page { width: auto; }"

    name_ = "page"

    def __init__(
        self, view: ViewState, lines: Iterable[str | Text], *, chrome: int, height: int | None = None
    ) -> None:
        """`height`: so many lines, however much text there is."""
        super().__init__(view, chrome=chrome)
        self._lines = [_text(line) for line in lines]
        self._height = height
        self._folded: Sequence[Text] = ()
        self._folded_to = -1

    def show(self, lines: Iterable[str | Text]) -> None:
        """Show another text, from its beginning."""
        self._lines = [_text(line) for line in lines]
        self._folded_to, self.top = -1, 0
        self.refresh(layout=self._height is None)

    def resize_to(self, height: int) -> None:
        """Take so many lines from now on."""
        self._height = height
        self.refresh(layout=True)

    def reveal(self, line: int, height: int) -> None:
        """Scroll so that a line is visible, and some below it."""
        width = max(1, self.size.width - 2)
        at = sum(len(folded(each, width, self.app.console)) for each in self._lines[:line])
        self.top = min(at, max(self.top, at + height - self.page))
        self.scroll_into_view()
        self.refresh()

    def _fold(self, width: int) -> Sequence[Text]:
        if width != self._folded_to:
            self._folded = [part for line in self._lines for part in folded(line, width, self.app.console)]
            self._folded_to = width
        return self._folded

    @property
    def count(self) -> int:
        return len(self._fold(max(1, self.size.width - 2)))

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        widest = max((line.cell_len for line in self._lines), default=0)
        return max(1, min(widest + 2, viewport.width - _BORDER))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        wanted = self._height if self._height is not None else len(self._fold(max(1, width - 2)))
        return max(1, min(wanted, viewport.height - self.chrome))

    # Nothing is under a cursor here: to move is to scroll.

    def move(self, rows: int) -> None:
        self.top += rows
        self.scroll_into_view()
        self.refresh()

    def move_page(self, pages: int) -> None:
        self.move(pages * max(1, self.page - 1))

    def go_first(self) -> None:
        self.move(-self.count)

    def go_last(self) -> None:
        self.move(self.count)

    def scroll_into_view(self) -> None:
        self.top = max(0, min(self.top, self.count - self.page))

    def _cursor_sign(self, index: int) -> str:  # noqa: ARG002
        return " "

    def is_highlighted(self, index: int) -> bool:  # noqa: ARG002
        return False

    def empty_text(self) -> str:
        return ""

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        text = self._fold(width)[index]
        for segment in text.render(self.app.console):
            line.add(segment.text, segment.style)


def _text(line: str | Text) -> Text:
    return line if isinstance(line, Text) else Text(printable(line))


def folded(line: Text, width: int, console: Console) -> list[Text]:
    """The lines that a line becomes in so many cells."""
    indent = min(len(line.plain) - len(line.plain.lstrip(" ")), width // 2)
    found = line[indent:].wrap(console, max(1, width - indent), overflow="fold")
    return [Text(" " * indent).append_text(part) for part in found] or [Text("")]
