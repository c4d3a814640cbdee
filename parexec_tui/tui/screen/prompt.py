"""The line above the footer in which the person types a filter or a search."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label

from parexec_tui.tui.widgets.text_input import TextInput


class Prompt(Horizontal):
    """One line, visible only while it is used. Enter accepts the text, escape leaves it."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; }
    Prompt Label { width: auto; }
    Prompt Input { width: 1fr; height: 1; border: none; padding: 0; background: transparent; }
    Prompt Input:focus { border: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._label = Label("", markup=False)
        self._input = TextInput()
        self._taken: Callable[[str], None] = print
        self._typed: Callable[[str], None] | None = None
        self._left: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._input

    def ask(
        self,
        label: str,
        taken: Callable[[str], None],
        *,
        text: str = "",
        typed: Callable[[str], None] | None = None,
        left: Callable[[], None] | None = None,
    ) -> None:
        """Ask for a text. `taken` gets it on enter, `typed` at every change; `left` is called on escape."""
        self._taken, self._typed, self._left = taken, typed, left
        self._label.update(f" {label} ")
        self._input.value = text
        self._input.cursor_position = len(text)
        self.display = True
        self.screen.set_focus(self._input)

    @property
    def is_open(self) -> bool:
        return bool(self.display)

    def close(self) -> None:
        self.display = False
        self.screen.set_focus(None)

    def leave(self) -> None:
        """Close without a result, as escape does."""
        self.close()
        if self._left is not None:
            self._left()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self._typed is not None:
            self._typed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self._taken(event.value)
