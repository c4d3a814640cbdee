"""The form to edit a ticket that is not running: all its keys as in the plan file, checked while they are typed."""

from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from parexec_tui.core.plan.reading.typed import read_value, write_value, write_values
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.ticket import EDITABLE_KEYS, TICKET_KEYS, Ticket, value_of
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.dialogs.form import AnyField, Field, Form, Heading
from parexec_tui.tui.view.view_state import ViewState


class EditForm(Form):
    """A field for each key. Only what was changed is sent; an empty field sets its key back to the default."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets[:1])
        self.heading = f"Edit {self.tickets[0]}"

    def fields(self) -> Sequence[AnyField | Heading]:
        assert self.view.state is not None
        values = write_values(self.view.state.tickets[self.tickets[0]].spec)
        width = max(map(len, EDITABLE_KEYS))
        rows: list[AnyField | Heading] = []
        for heading, keys in _sections().items():
            rows.append(Heading(heading, self.view.palette["title"]))
            rows += (
                Field(key, values[key], width=width, placeholder=_default(key), about=_about(key)) for key in keys
            )
        return rows

    def request(self) -> AnyRequest | Refusal:
        changes: dict[str, Any] = {}
        for field in self._fields:
            assert isinstance(field, Field)
            if field.is_changed:
                changes[field.label] = read_value(field.label, field.text)
        return rq.Edit(ticket=self.tickets[0], changes=changes)


_SECTIONS: dict[str, tuple[str, ...]] = {
    "What it does": ("title", "run", "prompt", "prompt_file", "cwd", "env", "env_file", "secrets"),
    "When it starts": ("needs", "after", "when", "group", "priority", "approve", "finally"),
    "What coding agents may do": ("on_denied", "budget", "tokens", "turns", "conversation", "from"),
    "Who runs it": ("agent", "requires", "requires_commands", "requires_files", "requires_env"),
    "Files, claims and services": ("reads", "writes", "claims", "locks", "uses", "limits", "uses_service"),
    "When it is done already": ("if_done", "skip_if", "up_to_date", "depfile"),
    "When it has succeeded": ("expect_codes", "outputs", "gates", "checks"),
    "When it fails": (
        "retries", "retry_on", "retry_delay", "retry_uses", "allow_failure", "on_fail",
        "rollback", "snapshot", "snapshot_limit",
    ),
    "Time and output": (
        "estimate", "timeout", "silence", "on_silence", "freezable", "grace", "lease", "progress", "max_log",
        "own_tmp",
    ),
}  # fmt: skip


def _sections() -> dict[str, tuple[str, ...]]:
    """{heading: the keys below it}; each key of a ticket is below one."""
    sorted_ = {key for keys in _SECTIONS.values() for key in keys}
    rest = tuple(key for key in EDITABLE_KEYS if key not in sorted_)
    return _SECTIONS | ({"More": rest} if rest else {})


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
