"""The form to send back what waits for approval, with a note that its next attempt gets."""

from collections.abc import Sequence

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.dialogs.form import AnyField, Field, Form
from parexec_tui.tui.view.view_state import ViewState


class RejectForm(Form):
    """One field, for the note; it may be empty."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets)
        self.heading = f"Reject {listed(self.tickets, limit=5)}"

    def fields(self) -> Sequence[AnyField]:
        return [Field("note", about="what is wrong; the next attempt gets it as PAREXEC_NOTE and {note}")]

    def request(self) -> AnyRequest | Refusal:
        return rq.Reject(tickets=self.tickets, note=self.field("note").text)
