"""The form to answer a coding agent that asks something, or that was not allowed it."""

from collections.abc import Sequence

from rich.text import Text

from parexec_tui.core.plan.coding import TAKES_RULES
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.verbs.answer import asks_permission, shown_questions
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.one_line import visible_lines
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.form import AnyField, Field, Form
from parexec_tui.tui.view.view_state import ViewState


class AnswerForm(Form):
    """What is asked, and a field for the answer; one more for what an agent may do, where its CLI takes that."""

    preview_lines = 2

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view, tickets)
        self.heading = f"Answer {listed(self.tickets, limit=5)}"
        assert view.state is not None
        self._shown = {each.id: self._asked(each) for each in self._asking}
        self._questions = shown_questions(view.state, self.tickets)

    def text(self) -> Sequence[Text]:
        """What they ask, or were not allowed, with the lines that it has."""
        lines = []
        for each in self._asking:
            whose = f"{each.id}: " if len(self._asking) > 1 else ""
            lines += [self.styled(line, "title") for line in visible_lines(f"{whose}{self._shown[each.id]}")]
        return lines

    @property
    def _asking(self) -> Sequence[TicketState]:
        assert self.view.state is not None
        return [self.view.state.tickets[id_] for id_ in self.tickets]

    def fields(self) -> Sequence[AnyField]:
        state = self.view.state
        assert state is not None
        asking = self._asking
        choices = list[str]()
        for each in asking:
            if (asks := coding_of(state, each).asks) is not None:
                choices += (*asks.choices, *(("yes", "no", "always") if asks_permission(state, each) else ()))
        offers = tuple(dict.fromkeys(map(printable, choices)))
        about = f"{', '.join(offers)}, or in words" if offers else "in words: it goes on with them"
        takes = all(
            each.agent and state.plan.agents[state.agents[each.agent].type].kind in TAKES_RULES for each in asking
        )
        rows = [Field("answer", width=6 if takes else 0, about=about, offers=offers)]
        if takes:
            about = "what it may do from now on, a rule of Claude Code: Bash(git push *)"
            rows.append(Field("allow", width=6, about=about))
        return rows

    def _asked(self, ticket: TicketState) -> str:
        assert self.view.state is not None
        asks = coding_of(self.view.state, ticket).asks
        return ticket.reason if asks is None else asks.what

    @property
    def is_blank(self) -> bool:
        return not any(isinstance(row, Field) and row.text for row in self._fields)

    def request(self) -> AnyRequest | Refusal:
        if self.is_blank:
            return Refusal("there is no answer yet", "say yes or no, or something in words")
        rule = next((row.text for row in self._fields if isinstance(row, Field) and row.label == "allow"), "")
        return rq.AnswerAgent(
            tickets=self.tickets,
            answer=self.field("answer").text,
            allow=(rule,) if rule else (),
            questions=self._questions,
        )
