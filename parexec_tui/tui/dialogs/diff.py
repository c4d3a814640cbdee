"""The box with what a ticket did in its worktree. git is asked in a thread, when it opens and on `r`."""

from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, T
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page

_STYLES = (
    ("+++", "text"), ("---", "text"), ("+", "good"), ("-", "bad"), ("@@", "link"), ("diff ", "title"),
    ("<<<<<<< ", "warn"), ("||||||| ", "dim"), ("=======", "dim"), (">>>>>>> ", "warn"),
)  # fmt: skip


def _style_of(line: str) -> str:
    """The meaning of a line of a diff, or of a file with a conflict that git has marked."""
    return next((style for start, style in _STYLES if line.startswith(start)), "text")


class GitDialog(Dialog[T]):
    """What git says of a ticket."""

    is_wide = True

    def __init__(self, view: ViewState, heading: str, ask: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """`ask`: the lines that git prints."""
        super().__init__(view)
        self.heading = heading
        self._ask = ask
        self._page = Page(view, ["asking git..."], chrome=CHROME)

    def content(self) -> ComposeResult:
        yield self._page

    def on_mount(self) -> None:
        self.look()

    def look(self) -> None:
        """Ask git, again."""
        self.run_worker(self._look())

    async def _look(self) -> None:
        self._page.update([Text(printable(line), self.view.palette[_style_of(line)]) for line in await self._ask()])

    def take_key(self, name: str) -> bool:
        return self._page.take_key(name)


class DiffDialog(GitDialog[None]):
    """What a ticket changed. Enter, escape, q and d close it."""

    keys = (("r", "look again"), ("j k", "scroll"), ("escape", "close"))

    def __init__(self, view: ViewState, ticket: str, ask: Callable[[], Awaitable[Sequence[str]]]) -> None:
        super().__init__(view, f"What {ticket} changed", ask)

    def take_key(self, name: str) -> bool:
        if name in ("enter", "d"):
            self.leave()
            return True
        if name == "r":
            self.look()
            return True
        return super().take_key(name)
