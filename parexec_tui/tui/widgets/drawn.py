"""A widget that draws lines (Textual's line API) from what the screen shows."""

from rich.style import Style
from textual.geometry import Size
from textual.widget import Widget

from parexec_tui.text.words import glyph
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import THUMB
from parexec_tui.tui.view.view_state import ViewState


class DrawnWidget(Widget):
    """Keeps no copy of what it shows: a line is made from the view when it is drawn."""

    def __init__(self, view: ViewState, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.view = view

    def size_changed(self) -> None:
        """The widget has another size. Called before it is drawn in that size, unlike `on_resize`."""

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self.size_changed()
        return changed

    def style(self, meaning: str) -> Style:
        """The style of one of the theme's meanings."""
        return self.view.palette[meaning]

    @property
    def base(self) -> Style:
        """The style under everything."""
        return self.view.base

    def glyph(self, word: str) -> str:
        """The sign of a status, as the terminal can show it."""
        return glyph(word, ascii_only=self.view.ascii_only)

    def line(self, base: Style | None = None) -> StyledLine:
        """An empty line. `base`: the style under it, instead of the theme's own."""
        return StyledLine(self.base if base is None else base, ascii_only=self.view.ascii_only)

    def scroll_bar(self, y: int, *, top: int, page: int, count: int) -> tuple[str, Style]:
        """The cell of a scroll bar beside line `y` of `page` lines, of which the first shows row `top` of `count`."""
        if count <= page:
            return " ", self.base
        size = max(1, page * page // count)
        start = (page - size) * top // max(1, count - page)
        if start <= y < start + size:
            return THUMB[self.view.ascii_only], self.style("dim")
        return " ", self.base
