"""The last line: the keys that matter here, those dim that the engine would refuse now; or what was just said, or
what the engine says of itself."""

from collections.abc import Callable

from textual.strip import Strip
from textual.widget import Widget

from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.cells import width_of
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.input.keymap import Key, Keymap, one_shown
from parexec_tui.tui.view.view_state import Change, ViewState


class Footer(Widget):
    """One line."""

    def __init__(self, view: ViewState, keymap: Keymap, is_off: Callable[[Key], bool]) -> None:
        """`is_off`: whether a key would be refused now."""
        super().__init__(id="footer")
        self.view = view
        self._keymap = keymap
        self._is_off = is_off
        self.panel = "tickets"
        self.said = ""
        self.said_style = "text"

    pace = 0.25
    """Seconds between two times that it is drawn: which keys would be refused is asked for each of them."""

    def changed(self, change: Change) -> None:
        if not self.said and change & (Change.state | Change.selection | Change.appearance):
            self.refresh()

    def say(self, text: str, style: str = "text") -> None:
        """Show a text instead of the keys, until `say("")`."""
        self.said, self.said_style = printable(" ".join(text.splitlines())), style
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        palette = self.view.palette
        line = StyledLine(self.view.base, ascii_only=self.view.ascii_only).add(" ")
        if self.said:
            return line.column(self.said, width - 2, palette[self.said_style]).strip(width)
        if self.view.warning:
            return line.column(self.view.warning, width - 2, palette["bad"]).strip(width)
        for key in self._fitting(width - 1):
            is_off = self._is_off(key)
            name = one_shown(key.keys[0], ascii_only=self.view.ascii_only)
            line.add(name, palette["key-off" if is_off else "footer-key"])
            line.add(f" {key.label}  ", palette["key-off" if is_off else "footer-text"])
        return line.strip(width)

    def _fitting(self, width: int) -> list[Key]:
        """As many keys as there is room for, the most important ones; in the order of the table."""
        chosen, used = [], 0
        for key in self._keymap.footer(self.panel):
            cells = width_of(one_shown(key.keys[0], ascii_only=self.view.ascii_only)) + len(key.label) + 3
            if used + cells <= width:
                chosen.append(key)
                used += cells
        order = {key.action: place for place, key in enumerate(self._keymap.keys)}
        return sorted(chosen, key=lambda key: order[key.action])
