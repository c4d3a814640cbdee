"""What all dialogs share: a box over the screen that escape closes, and q where no text is typed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from rich.markup import escape
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.words import printable
from parexec_tui.tui.input.key_names import key_name, short_name
from parexec_tui.tui.view.outlook import Outlook
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page
from parexec_tui.tui.widgets.text_input import TextInput

T = TypeVar("T")

CHROME = 4
"""Lines of a dialog that are not its content: the border, the keys, and one so that it looks like a box."""

HEADER_LINES = 2
"""Lines of the header, which says how the session ended."""

MIN_PAUSE = 0.5
"""A dialog that opened by itself takes keys only after this many seconds without a key. Earlier keys were typed for
what the dialog covers: nobody reads and decides that fast."""

KeyWords = Sequence[tuple[str, str]]
"""Keys of a dialog, and a word or two for what each does."""


class Dialog(ModalScreen[T], inherit_bindings=False):
    """A box in the middle of the screen; escape closes it, with nothing done. So does q, except in a line of text."""

    # The screen behind is not dimmed: all of it would be drawn again for each dialog that opens or closes.
    DEFAULT_CSS = """
    Dialog { align: center middle; background: transparent; overflow: hidden; }
    Dialog > .box {
        width: auto; max-width: 100%; min-width: 40; height: auto; max-height: 100%; overflow: hidden;
        border: round $primary; background: $background; color: $foreground;
    }
    Dialog > .box.-ascii { border: ascii $primary; }
    Dialog > .box.-wide { width: 96; }
    Dialog > .box.-wide Page { width: 100%; }
    Dialog Input { background: $background; }
    Dialog Input:focus { background: $background; background-tint: $background 0%; }
    Dialog .keys { height: 1; width: 100%; padding: 0 1; }
    Dialog .keys.-shrinks { width: auto; }
    """
    AUTO_FOCUS: ClassVar[str | None] = ""

    heading = ""
    keys: KeyWords = (("escape", "close"),)
    is_wide = False
    """As wide as the screen, up to 96 columns; else as wide as its content."""
    kept_top = 0
    """Lines at the top of the screen that it does not cover."""
    comes_by_itself = False
    """It opened by itself: the keys that the person is typing now are not for it."""

    def __init__(self, view: ViewState) -> None:
        super().__init__()
        self.view = view
        self._last_key_at = view.clock()
        """When it opened, or when the last key came that was not for it."""
        self._is_seen = False
        """The person has stopped typing, and so has seen it."""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="box")
        box.styles.margin = (self.kept_top, 0, self.view.kept_lines, 0)
        box.border_title = self.title_text()
        box.set_class(self.view.ascii_only, "-ascii")
        box.set_class(self.is_wide, "-wide")
        with box:
            yield from self.content()
            yield Static(self.keys_line(), classes="keys" if self.is_wide else "keys -shrinks")

    def title_text(self) -> str:
        """The heading, as the border takes it."""
        return escape(printable(self.heading))

    def content(self) -> ComposeResult:
        """The content of the box, above the line of keys."""
        raise NotImplementedError

    def keys_line(self) -> Text:
        """The keys and what each does, as in the footer."""
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, word in self.keys:
            shown = " ".join(short_name(each, ascii_only=self.view.ascii_only) for each in name.split())
            text.append(shown, self.view.palette["footer-key"]).append(
                f" {word}   ", self.view.palette["footer-text"]
            )
        text.rstrip()
        return text

    def apply_theme(self) -> None:
        """Draw again what was drawn with another theme."""
        self.query_one(".keys", Static).update(self.keys_line())

    def styled(self, text: str, meaning: str) -> Text:
        """A line of a page in the style of a meaning."""
        return Text(printable(text), self.view.palette[meaning])

    def outlook_lines(self, found: Outlook) -> list[Text]:
        """What a request would do, as lines: what it costs and what happens; or why it would be refused."""
        if found.refusal is not None:
            lines = [self.styled(f"refused: {found.refusal.reason}", "bad")]
            return [*lines, self.styled(found.refusal.remedy, "text")] if found.refusal.remedy else lines
        if not found.lines:
            return [self.styled("nothing would change", "dim")]
        cost = [self.styled(found.cost, "warn")] if found.cost else []
        return [*cost, *(self.styled(line, "text") for line in found.details)]

    def on_key(self, event: events.Key) -> None:
        name = key_name(event)
        if self._swallow_early_key():
            event.stop()
            event.prevent_default()
        elif name in ("escape", "ctrl+c") or (name == "q" and not isinstance(self.focused, Input)):
            event.stop()
            self.leave()
        elif self.take_key(name):
            event.stop()
            event.prevent_default()

    def _swallow_early_key(self) -> bool:
        """Swallow a key that was typed before the dialog was seen; returns whether it was one."""
        if self._is_seen or not self.comes_by_itself:
            return False
        before, self._last_key_at = self._last_key_at, self.view.clock()
        self._is_seen = not 0 <= self._last_key_at - before < MIN_PAUSE
        return not self._is_seen

    def take_key(self, name: str) -> bool:
        """Do what a key is for. Returns whether the dialog has a use for the key."""
        raise NotImplementedError

    def leave(self) -> None:
        """Close with nothing done."""
        self.dismiss(None)


def text_input(value: str = "", *, placeholder: str = "", **more: Any) -> Input:
    """A field for a line of text, with the cursor behind it."""
    return TextInput(value, placeholder=placeholder, select_on_focus=False, **more)


class MessageDialog(Dialog[None]):
    """Lines to read. Enter, escape and q close it."""

    keys: KeyWords = (("j k", "scroll"), ("escape", "close"))

    def __init__(self, view: ViewState, heading: str, lines: Iterable[str | Text]) -> None:
        super().__init__(view)
        self.heading = heading
        self._lines = list(lines)

    def content(self) -> ComposeResult:
        yield Page(self.view, self._lines, chrome=CHROME)

    def take_key(self, name: str) -> bool:
        if name in ("enter", "w", "?"):
            self.leave()
            return True
        return self.query_one(Page).take_key(name)


_LOOK_EVERY = 0.25
"""Seconds between two looks whether it still is as a box says."""


class Confirm(Dialog[bool]):
    """What a request would cost, and a question: y does it, n or escape does not. Enter, which is typed without a
    thought, does neither. What is said follows the session while the box stands, if it is told how."""

    def __init__(
        self,
        view: ViewState,
        heading: str,
        cost: str,
        lines: Iterable[str],
        *,
        yes: str,
        look: Callable[[], tuple[str, Iterable[str]] | Refusal] | None = None,
    ) -> None:
        """`cost`: what would be lost, in a sentence. `lines`: all that would happen. `look`: both as they are now, or
        why there is nothing to confirm any more: then the box says so and only closes."""
        super().__init__(view)
        self.heading = heading
        self._cost = cost
        self._lines = list(lines)
        self._find = look
        self._seen = view.event_history.last
        self._is_void = False
        self.keys = (("y", yes), ("n", "leave it"))

    def content(self) -> ComposeResult:
        yield Page(self.view, self._text(), chrome=CHROME)

    def on_mount(self) -> None:
        if self._find is not None:
            self.set_interval(_LOOK_EVERY, self._look)

    def _text(self) -> list[Text | str]:
        cost = [self.styled(self._cost, "warn")] if self._cost else []
        return [*cost, *self._lines]

    def _look(self) -> None:
        """Say what it would mean by now, if anything has happened."""
        if self._find is None or self._is_void or self._seen == self.view.event_history.last:
            return
        self._seen = self.view.event_history.last
        found = self._find()
        if isinstance(found, Refusal):
            self._is_void, self._cost, self._lines = True, str(found), []
            self.keys = (("n", "close"),)
            self.query_one(".keys", Static).update(self.keys_line())
        else:
            self._cost, self._lines = found[0], list(found[1])
        self.query_one(Page).update(self._text())

    def look_again(self) -> None:
        """Say what it would mean by now, as there is more to say."""
        if self.is_attached:
            self._seen = -1
            self._look()

    def take_key(self, name: str) -> bool:
        if name == "y":
            self._look()
            if not self._is_void:
                self.dismiss(True)
        elif name == "n":
            self.leave()
        else:
            return self.query_one(Page).take_key(name)
        return True

    def leave(self) -> None:
        self.dismiss(False)
