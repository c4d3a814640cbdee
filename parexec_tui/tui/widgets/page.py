"""Text to read, for the box of a dialog."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip

from parexec_tui.text.words import printable
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.drawn import DrawnWidget
from parexec_tui.tui.widgets.moves import move_by_key

_BORDER = 2
"""Columns of the box around it."""

_MARGINS = 2
"""Columns beside the text: a blank, and the scroll bar."""


class Page(DrawnWidget):
    """Text, folded to the width; it scrolls where it does not fit. A line that begins with blanks goes on below its
    first letter."""

    DEFAULT_CSS = "Page { width: auto; height: auto; }"

    top = 0
    """The first folded line that is visible."""

    def __init__(
        self, view: ViewState, lines: Iterable[str | Text], *, chrome: int, height: int | None = None
    ) -> None:
        """`chrome`: lines of the dialog that are not this text; they are left free on every terminal.

        `height`: the lines to take, however much text there is; None: as many as the text has.
        """
        super().__init__(view)
        self.chrome = chrome
        self._lines = [_text(line) for line in lines]
        self._height = height
        self._folded: Sequence[Text] = ()
        self._folded_to = -1

    def show(self, lines: Iterable[str | Text]) -> None:
        """Show another text, from its beginning."""
        self._lines = [_text(line) for line in lines]
        self._folded_to, self.top = -1, 0
        self.refresh(layout=self._height is None)

    def update(self, lines: Iterable[str | Text]) -> None:
        """Show a text that has changed; who has scrolled stays where they are."""
        top = self.top
        self.show(lines)
        self._put_top(top)

    def resize_to(self, height: int) -> None:
        """Take so many lines from now on."""
        self._height = height
        self.refresh(layout=True)

    def size_changed(self) -> None:
        self._put_top(self.top)

    def lines_at(self, width: int) -> int:
        """How many lines the text has if it is so wide."""
        return len(self._fold(width))

    # -- moving ------------------------------------------------------------------------------------------------

    def take_key(self, name: str, *, letters: bool = True) -> bool:
        """Scroll, if this key is for that. Without `letters`, only by keys that do not type a text."""
        return move_by_key(self, name, letters=letters)

    @property
    def page(self) -> int:
        """Lines that are visible at once."""
        return max(1, self.size.height)

    @property
    def count(self) -> int:
        """Lines of the folded text."""
        return len(self._fold(self.size.width))

    def move(self, rows: int) -> None:
        self._put_top(self.top + rows)
        self.refresh()

    def _put_top(self, top: int) -> None:
        self.top = max(0, min(top, self.count - self.page))

    def move_page(self, pages: int) -> None:
        self.move(pages * max(1, self.page - 1))

    def go_first(self) -> None:
        self.move(-self.count)

    def go_last(self) -> None:
        self.move(self.count)

    def reveal(self, line: int, height: int) -> None:
        """Scroll so that a line is visible, and some below it."""
        room = max(1, self.size.width - _MARGINS)
        at = sum(len(folded(each, room, self.app.console)) for each in self._lines[:line])
        self._put_top(min(at, max(self.top, at + height - self.page)))
        self.refresh()

    # -- drawing -----------------------------------------------------------------------------------------------

    def _fold(self, width: int) -> Sequence[Text]:
        """The text in lines that fit into the widget while it has this width."""
        room = max(1, width - _MARGINS)
        if room != self._folded_to:
            self._folded = [part for line in self._lines for part in folded(line, room, self.app.console)]
            self._folded_to = room
        return self._folded

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        widest = max((line.cell_len for line in self._lines), default=0)
        return max(1, min(widest + _MARGINS, viewport.width - _BORDER))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        wanted = self._height if self._height is not None else len(self._fold(width))
        return max(1, min(wanted, viewport.height - self.chrome - self.view.kept_lines))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line, index = self.line().add(" "), self.top + y
        if index >= self.count:
            return line.strip(width)
        for segment in self._fold(width)[index].render(self.app.console):
            line.add(segment.text, segment.style)
        strip = line.fill(width - 1).strip(width - 1)
        bar = self.scroll_bar(y, top=self.top, page=self.page, count=self.count)
        return self.line().add_strip(strip).add(*bar).strip(width)


def _text(line: str | Text) -> Text:
    return line if isinstance(line, Text) else Text(printable(line))


def folded(line: Text, width: int, console: Console) -> list[Text]:
    """The lines that a line becomes in so many cells."""
    indent = min(len(line.plain) - len(line.plain.lstrip(" ")), width // 2)
    found = line[indent:].wrap(console, max(1, width - indent), overflow="fold")
    return [Text(" " * indent).append_text(part) for part in found] or [Text("")]
