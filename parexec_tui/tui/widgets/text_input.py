"""A field for a line of text."""

from typing import Any

from textual.widgets import Input

from parexec_tui.text.words import printable


class TextInput(Input):
    """It takes only what can be seen: what is pasted may have more.

    Its cursor does not blink: that would be two frames a second.
    """

    def __init__(self, value: str = "", **more: Any) -> None:
        super().__init__(value, compact=True, **more)
        self.cursor_blink = False

    def replace(self, text: str, start: int, end: int) -> None:
        super().replace(printable(text), start, end)
