"""How a session ended."""

from functools import cached_property
from typing import TYPE_CHECKING

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED

if TYPE_CHECKING:
    from parexec_tui.text.session_facts import TicketReport


class Result:
    """How a session ended, or how its engine left it."""

    def __init__(self, state: SessionState, outcome: str) -> None:
        self.session = state.session
        """The id of the session."""
        self.outcome = outcome
        """`finished`, or why its engine left: `held`, `waits for approval`, `waits for a decision`,
        `waits for an answer`, `drained`, `stopped`, `blocked` or `lost`."""
        self._state = state

    @property
    def succeeded(self) -> bool:
        """Whether it is finished, and all tickets succeeded or may do without: when `parexec run` exits with 0."""
        return self.outcome == "finished" and self._state.has_succeeded

    @property
    def counts(self) -> dict[str, int]:
        """Tickets by status; a status that no ticket has is left out."""
        return {str(status): count for status, count in self._state.shown_counts().items() if count}

    @property
    def unsuccessful(self) -> list[str]:
        """The tickets that are wanted, and neither succeeded nor waived, in the order of the plan."""
        tickets = self._state.tickets.items()
        return [id_ for id_, ticket in tickets if ticket.status not in SATISFIED and not ticket.is_unwanted]

    @cached_property
    def tickets(self) -> "dict[str, TicketReport]":
        """What became of each ticket, by id: the facts of `parexec show --json`."""
        from parexec_tui.text.session_facts import session_report

        return {report.id: report for report in session_report(self._state).tickets}

    def __repr__(self) -> str:
        counted = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"<Result {self.session} {self.outcome}: {counted}>"
