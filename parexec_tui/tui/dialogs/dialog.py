"""What all dialogs have in common: a box over the screen that escape closes."""

from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from parexec_tui.tui.keymap import key_name

T = TypeVar("T")


class Dialog(ModalScreen[T], inherit_bindings=False):
    """A box in the middle of the screen; escape leaves it, with nothing done."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > .box {
        width: auto; max-width: 92%; min-width: 40; height: auto; max-height: 90%;
        border: round $border; background: $background; padding: 0 1;
    }
    Dialog .body { height: auto; max-height: 1fr; width: auto; }
    Dialog .keys { color: $text-muted; height: auto; width: auto; }
    """
    AUTO_FOCUS: ClassVar[str | None] = ""

    heading = ""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="box")
        box.border_title = self.heading
        with box:
            yield from self.content()

    def content(self) -> ComposeResult:
        """What is in the box."""
        yield Static("")

    def on_key(self, event: events.Key) -> None:
        if key_name(event) == "escape":
            event.stop()
            self.dismiss(None)


class Told(Dialog[None]):
    """Lines to read. Any of enter, escape, q closes."""

    def __init__(self, heading: str, lines: list[str]) -> None:
        super().__init__()
        self.heading = heading
        self._lines = lines

    def content(self) -> ComposeResult:
        with VerticalScroll(classes="body"):
            yield Static("\n".join(self._lines), markup=False)
        yield Static("esc close", classes="keys", markup=False)

    def on_key(self, event: events.Key) -> None:
        name = key_name(event)
        scroll = self.query_one(VerticalScroll)
        if name in ("escape", "enter", "q", "w", "?"):
            self.dismiss(None)
        elif name in ("j", "down"):
            scroll.scroll_down(animate=False)
        elif name in ("k", "up"):
            scroll.scroll_up(animate=False)
        elif name in ("pagedown", "ctrl+d", "space"):
            scroll.scroll_page_down(animate=False)
        elif name in ("pageup", "ctrl+u"):
            scroll.scroll_page_up(animate=False)
        event.stop()


class Confirm(Dialog[bool]):
    """What an action would cost, and a question: y or enter does it, n or escape does not."""

    def __init__(self, heading: str, lines: list[str], *, yes: str) -> None:
        super().__init__()
        self.heading = heading
        self._lines = lines
        self._yes = yes

    def content(self) -> ComposeResult:
        with VerticalScroll(classes="body"):
            yield Static("\n".join(self._lines), markup=False)
        yield Static(f"y {self._yes}   n leave it", classes="keys", markup=False)

    def on_key(self, event: events.Key) -> None:
        name = key_name(event)
        if name in ("y", "enter"):
            self.dismiss(True)
        elif name in ("n", "escape", "q"):
            self.dismiss(False)
        event.stop()
