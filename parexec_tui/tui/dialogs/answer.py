"""The form to answer a coding agent that asks something, or that was not allowed it."""

from collections.abc import Sequence
from textwrap import wrap

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.verbs.answer import TAKES_RULES
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.form import AnyField, Field, Form, Heading
from parexec_tui.tui.view.view_state import ViewState


class AnswerForm(Form):
    """What is asked, and a field for the answer; one more for what an agent may do, where its CLI takes that."""

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets)
        self.heading = f"Answer {listed(self.tickets, limit=5)}"

    def fields(self) -> Sequence[AnyField | Heading]:
        state = self.view.state
        assert state is not None
        asking = [state.tickets[id_] for id_ in self.tickets]
        rows: list[AnyField | Heading] = [
            Heading(f" {line}", self.view.palette["title"])
            for each in asking[:_MOST]
            for line in asked_lines(f"{f'{each.id}: ' if len(asking) > 1 else ''}{self._asked(each)}")
        ]
        asks = [coding_of(state, each).asks for each in asking]
        choices = [choice for each in asks if each is not None for choice in (*each.choices, "yes", "no", "always")]
        offers = tuple(dict.fromkeys(map(printable, choices)))
        about = f"{', '.join(offers)}, or in words" if offers else "in words: it goes on with them"
        takes = all(
            each.agent and state.plan.agents[state.agents[each.agent].type].kind in TAKES_RULES for each in asking
        )
        rows.append(Field("answer", width=6 if takes else 0, about=about, offers=offers))
        if takes:
            about = "what it may do from now on, a rule of Claude Code: Bash(git push *)"
            rows.append(Field("allow", width=6, about=about))
        return rows

    def _asked(self, ticket: TicketState) -> str:
        assert self.view.state is not None
        asks = coding_of(self.view.state, ticket).asks
        return ticket.reason if asks is None else asks.what

    def request(self) -> AnyRequest | Refusal:
        rule = next((row.text for row in self._fields if isinstance(row, Field) and row.label == "allow"), "")
        return rq.AnswerAgent(tickets=self.tickets, answer=self.field("answer").text, allow=(rule,) if rule else ())


def asked_lines(text: str) -> list[str]:
    """All of a question, with its own lines, each in lines that the narrowest dialog shows whole."""
    lines = [part for line in text.splitlines() for part in wrap(printable(line), _WIDTH, break_on_hyphens=False)]
    return (
        lines if len(lines) <= _LINES else [*lines[:_LINES], f"(and {len(lines) - _LINES} lines more: see its log)"]
    )


_WIDTH, _LINES = 70, 30

_MOST = 6
"""Tickets of which it is said what they ask."""
