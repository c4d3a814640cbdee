"""The box with both sides of a conflict that a person has to decide on. git is asked in a thread."""

from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog
from parexec_tui.tui.dialogs.diff import style_of
from parexec_tui.tui.dialogs.form import AnyField, Field, Form
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page


class ConflictDialog(Dialog[AnyRequest]):
    """What is merged, what the ticket did, and what both were made from; it asks for what the person decides."""

    is_wide = True
    keys = (("o", "ours wins"), ("t", "theirs wins"), ("c", "a command…"), ("j k", "scroll"), ("escape", "close"))

    def __init__(self, view: ViewState, ticket: str, ask: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """`ask`: the lines that show both sides."""
        super().__init__(view)
        state = view.state
        assert state is not None
        self.ticket = ticket
        self.heading = f"{ticket} {state.tickets[ticket].reason}"
        self._ask = ask
        self._page = Page(view, ["asking git..."], chrome=CHROME)

    def content(self) -> ComposeResult:
        yield self._page

    def on_mount(self) -> None:
        self.run_worker(self._look())

    async def _look(self) -> None:
        self._page.update([Text(printable(line), self.view.palette[style_of(line)]) for line in await self._ask()])

    def take_key(self, name: str) -> bool:
        match name:
            case "o":
                self.dismiss(rq.Merge(tickets=(self.ticket,), side="ours"))
            case "t":
                self.dismiss(rq.Merge(tickets=(self.ticket,), side="theirs"))
            case "c":
                self.app.push_screen(ResolveForm(self.view, (self.ticket,)), self._resolve)
            case _:
                return self._page.take_key(name)
        return True

    def _resolve(self, request: AnyRequest | None) -> None:
        if request is not None:
            self.dismiss(request)


class ResolveForm(Form):
    """One field, for the command that resolves it."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets)
        self.heading = f"Resolve the conflict of {self.tickets[0]} by a command"

    def fields(self) -> Sequence[AnyField]:
        return [Field("command", about="run where it worked, with the conflict marked in PAREXEC_CONFLICTS")]

    def request(self) -> AnyRequest | Refusal:
        command = self.field("command").text.strip()
        return rq.Merge(tickets=self.tickets, run=command) if command else Refusal("no command is given")
