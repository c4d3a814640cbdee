"""The box with both sides of a conflict that a person has to decide on."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from parexec_tui.core.state.isolation import conflict_of
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.dialogs.diff import GitDialog
from parexec_tui.tui.dialogs.form import AnyField, Field, Form
from parexec_tui.tui.view.view_state import ViewState


class ConflictDialog(GitDialog[AnyRequest]):
    """What is merged, what the ticket did, and what both were made from; it asks for what the person decides."""

    keys = (("o", "ours wins"), ("t", "theirs wins"), ("c", "a command…"), ("j k", "scroll"), ("escape", "close"))

    def __init__(self, view: ViewState, ticket: str, ask: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """`ask`: the lines that show both sides."""
        assert view.state is not None
        super().__init__(view, f"{ticket} {view.state.tickets[ticket].reason}", ask)
        self.ticket = ticket
        conflict = conflict_of(view.state, view.state.tickets[ticket])
        self.onto = conflict.onto if conflict is not None else ""

    def take_key(self, name: str) -> bool:
        match name:
            case "o":
                self.dismiss(rq.Merge(tickets=(self.ticket,), side="ours", onto=self.onto))
            case "t":
                self.dismiss(rq.Merge(tickets=(self.ticket,), side="theirs", onto=self.onto))
            case "c":
                self.app.push_screen(ResolveForm(self.view, (self.ticket,)), self._resolve)
            case _:
                return super().take_key(name)
        return True

    def _resolve(self, request: AnyRequest | None) -> None:
        if request is not None:
            assert isinstance(request, rq.Merge)
            self.dismiss(structs.replace(request, onto=self.onto))


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
