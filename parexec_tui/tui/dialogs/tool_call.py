"""The box with all of one call of a tool by a coding agent: what it was to do, and what came of it."""

from collections.abc import Awaitable, Callable

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.outputs.tool_calls import LONGEST, Place, ToolCall, lines_of
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page

ReadCall = Callable[[Place | int], Awaitable[ToolCall | None]]
"""Reads a call in a thread. Raises OSError."""


class ToolCallDialog(Dialog[None]):
    """One call; `n` and `N` go to the next one and to the one before. Files are read in a thread."""

    is_wide = True
    keys = (("n N", "next, previous call"), ("j k", "scroll"), ("escape", "close"))

    def __init__(self, view: ViewState, ticket: str, place: Place, read: ReadCall) -> None:
        super().__init__(view)
        self.heading = f"What the agent of {ticket} did"
        self._ticket = ticket
        self._place = place
        self._read = read
        self._call: ToolCall | None = None
        self._page = Page(view, ["reading..."], chrome=CHROME)

    def content(self) -> ComposeResult:
        yield self._page

    def on_mount(self) -> None:
        self._show(self._place)

    def take_key(self, name: str) -> bool:
        if name == "enter":
            self.leave()
        elif name in ("n", "N") and self._call is not None:
            self._show(self._call.number + (1 if name == "n" else -1))
        else:
            return self._page.take_key(name)
        return True

    def _show(self, which: Place | int) -> None:
        self.run_worker(self._look(which), exclusive=True)

    async def _look(self, which: Place | int) -> None:
        try:
            call = await self._read(which)
        except OSError as error:
            self._page.show([f"it cannot be read: {error.strerror}"])
            return
        if call is None:
            if self._call is None:
                self._page.show(["no call of a tool is known"])
            return
        self._call = call
        box = self.query_one(".box")
        box.border_subtitle = f"call {call.number} of {call.of}"
        lines = [self.styled(call.became, "dim")]
        lines += [Text(printable(line), self.view.palette[meaning]) for meaning, line in lines_of(call)]
        if call.is_cut:
            lines.append(self.styled(f"more than {LONGEST} lines: parexec log --raw {self._ticket} has all", "warn"))
        self._page.show(lines)
