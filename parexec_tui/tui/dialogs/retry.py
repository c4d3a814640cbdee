"""The form to run tickets again, with changes, or with what depends on them."""

from collections.abc import Sequence
from typing import Any

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.reading.typed import read_value, write_value
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.dialogs.form import AnyField, Field, Form, Toggle
from parexec_tui.tui.view.view_state import ViewState

_LABELS = 8
"""Cells for the names of the fields."""


class RetryForm(Form):
    """The field for the command is shown for one ticket only, the others for several too."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets)
        state = view.state
        assert state is not None
        self._state: SessionState = state
        self._found = [state.tickets[id_] for id_ in self.tickets]
        self.heading = f"Retry {listed(self.tickets, limit=5)}"

    @property
    def _only(self) -> TicketState | None:
        """The ticket, if there is only one."""
        return self._found[0] if len(self._found) == 1 else None

    def fields(self) -> Sequence[AnyField]:
        only = self._only
        state = self._state
        found: list[AnyField] = []
        if only is not None and (only.spec.run or not only.spec.prompt):
            about = "another command, for this time and from now on"
            found.append(Field("command", write_value("run", only.spec.run), width=_LABELS, about=about))
        places = ["any", *state.available, *(agent.id for agent in state.agents.values() if not agent.stopped)]
        pin = only.pin if only is not None else ""
        uses = write_value("uses", only.spec.uses) if only is not None and only.spec.uses else ""
        found += [
            Field("agent", pin, width=_LABELS, about=f"who is to run it: {listed(places)}", offers=places),
            Field("uses", uses, width=_LABELS, about='how much it takes: { cpu = 2, memory = "1GiB" }'),
            Field("note", width=_LABELS, about="what to mind this time; it is told to the agent and kept"),
            Toggle(
                "downstream",
                "with what depends on it and has run",
                is_on=any(self._has_run_after(ticket) for ticket in self._found),
                about="space turns it: what needs this, has run, and would stand on what is replaced",
            ),
        ]
        return found

    def _has_run_after(self, ticket: TicketState) -> bool:
        after = map(self._state.tickets.__getitem__, graph.ordered_dependents(self._state.graph, [ticket.id]))
        return any(each.attempt is not None and each.end is not None for each in after)

    def request(self) -> AnyRequest | Refusal:
        uses = self._uses()
        if isinstance(uses, Refusal):
            return uses
        agent = self.field("agent")
        return rq.Retry(
            tickets=self.tickets,
            downstream=self.query_one(Toggle).is_on,
            run=self._command(),
            agent=None if not agent.is_changed else "" if agent.text == "any" else agent.text,
            uses=uses or None,
            note=self.field("note").text,
        )

    def _command(self) -> str | None:
        command = next((field for field in self._fields if field.label == "command"), None)
        if not isinstance(command, Field) or not command.is_changed:
            return None
        return str(read_value("run", command.text) or "")

    def _uses(self) -> dict[str, Any] | Refusal:
        """The amounts that were changed; None for each that was removed."""
        field = self.field("uses")
        new, old = _amounts(field.text), _amounts(field.before)
        if new is None or old is None:
            return Refusal(
                f"uses: {field.text} is no table of amounts", 'write for instance { cpu = 2, memory = "1GiB" }'
            )
        changed = {name: amount for name, amount in new.items() if name not in old or old[name] != amount}
        return changed | {name: None for name in old if name not in new}


def _amounts(text: str) -> dict[str, Any] | None:
    """The table that was typed, with braces or without; None if it is not one."""
    value = read_value("uses", text if text.startswith("{") else f"{{ {text} }}")
    return value if isinstance(value, dict) else None
