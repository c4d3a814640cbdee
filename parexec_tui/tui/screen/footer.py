"""The last line of the screen: the keys that can do something now, and as far as there is room those that would be
refused, dim; or a message."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from textual.strip import Strip
from textual.widget import Widget

from parexec_tui.text.cells import width_of
from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.input.key_names import short_name
from parexec_tui.tui.input.keymap import Action, Keymap
from parexec_tui.tui.view.view_state import Change, ViewState


class _Key(NamedTuple):
    place: int
    """In the table."""
    name: str
    label: str
    is_dim: bool


class Footer(Widget):
    """One line."""

    def __init__(
        self,
        view: ViewState,
        keymap: Keymap[Any],
        is_dim: Callable[[Action[Any]], bool],
        label: Callable[[Action[Any]], str],
    ) -> None:
        """`is_dim`: whether an action would be refused now. `label`: what it would do now."""
        super().__init__(id="footer")
        self.view = view
        self._keymap = keymap
        self._is_dim = is_dim
        self._label = label
        self.panel = "tickets"
        self.message = ""
        self.message_style = "text"

    pace = 0.25
    """Seconds between two drawings: each asks for every key whether it would be refused."""

    def changed(self, change: Change) -> None:
        if not self.message and change & (Change.state | Change.selection | Change.appearance):
            self.refresh()

    def say(self, text: str, style: str = "text") -> None:
        """Show a message instead of the keys, until `say("")`."""
        self.message, self.message_style = printable(text), style
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        palette = self.view.palette
        line = StyledLine(self.view.base, ascii_only=self.view.ascii_only).add(" ")
        if self.message:
            return line.column(self.message, width - 2, palette[self.message_style]).strip(width)
        for key in self._fitting(width - 1):
            line.add(key.name, palette["key-off" if key.is_dim else "footer-key"])
            line.add(f" {key.label}  ", palette["key-off" if key.is_dim else "footer-text"])
        return line.strip(width)

    def _fitting(self, width: int) -> list[_Key]:
        """The most important keys that fit, in the order of the table. A key that would be refused gives its place to
        one that would not."""
        chosen, used = [], 0
        for key in sorted(self._keys(), key=lambda key: key.is_dim):
            cells = width_of(key.name) + width_of(key.label) + 3
            if used + cells <= width:
                chosen.append(key)
                used += cells
        return sorted(chosen, key=lambda key: key.place)

    def _keys(self) -> Iterator[_Key]:
        """The keys of the panel, the most important first."""
        places = {action.name: place for place, action in enumerate(self._keymap.actions)}
        for action in self._keymap.footer(self.panel):
            name = short_name(action.keys[0], ascii_only=self.view.ascii_only)
            yield _Key(places[action.name], name, self._label(action), self._is_dim(action))
