"""The form to edit a ticket that is not running: all its keys as in the plan file, checked while they are typed."""

from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from parexec_tui.core.plan.model import TICKET_KEYS, Amounts, Ticket, value_of
from parexec_tui.core.plan.reading.typed import read_value, write_value, write_values
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.dialogs.form import AnyField, Field, Form
from parexec_tui.tui.view.view_state import ViewState


class EditForm(Form):
    """A field for each key. Only what was changed is sent; an empty field sets its key back to the default."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets[:1])
        self.heading = f"Edit {self.tickets[0]}"

    def fields(self) -> Sequence[AnyField]:
        assert self.view.state is not None
        ticket = self.view.state.tickets[self.tickets[0]]
        width = max(map(len, TICKET_KEYS))
        return [
            Field(key, text, width=width, placeholder=_default(key), about=_about(key))
            for key, text in write_values(ticket.spec).items()
        ]

    def request(self) -> AnyRequest | Refusal:
        changes: dict[str, Any] = {}
        for field in self._fields:
            assert isinstance(field, Field)
            if field.is_changed:
                changes[field.label] = read_value(field.label, field.text)
        return rq.Edit(ticket=self.tickets[0], changes=changes)


def _default(key: str) -> str:
    """What an empty field stands for, in parentheses."""
    value = value_of(Ticket(), key)
    return f"({write_value(key, value)})" if value else ""


def _about(key: str) -> str:
    """What a key means, and how its value is written where that is not obvious."""
    how = _FORMS.get(type(value_of(Ticket(), key)), "")
    return f"{_MEANINGS[key]} {how}".strip()


_FORMS: dict[type, str] = {
    tuple: 'A list: ["A", "B"].',
    Amounts: 'A table: { cpu = 2, memory = "1GiB" }.',
    dict: 'A table: { NAME = "value" }.',
}


def _meanings() -> dict[str, str]:
    """What each key of a ticket means, from the model of the plan file."""
    hints = get_type_hints(Ticket, include_extras=True)
    return {
        key: next(
            (meta.description or "" for meta in hints[field].__metadata__ if isinstance(meta, msgspec.Meta)), ""
        )
        for key, field in zip(TICKET_KEYS, Ticket.__struct_fields__, strict=True)
    }


_MEANINGS = _meanings()
