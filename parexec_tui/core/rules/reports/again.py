"""What a ticket conflicts with, and that a person decides on it again who took back what they had decided."""

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import quoted_name
from parexec_tui.core.rules.reports.ends import StepReport, attempt_ended
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState

_NAMED = 5
"""Files and tickets of a conflict that are named."""


def conflict_text(target: str, files: tuple[str, ...], count: int, tickets: tuple[str, ...]) -> str:
    """What a ticket conflicts with, in words."""
    whom = listed(tickets, limit=_NAMED) if tickets else target
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    named = tuple(map(quoted_name, files))
    where = ", ".join(named[:_NAMED]) + more if more else listed(named)
    return f"conflicts with {whom} in {where}"


def undecided_again(state: SessionState, ticket: TicketState, report: StepReport, now: float) -> ev.AttemptEnded:
    """The end of an attempt whose conflict waits for a decision again, as it was when it was decided."""
    worktree = state.worktrees[ticket.id]
    found = worktree.decided
    assert found is not None
    told = conflict_text(worktree.made.target, found.files, found.count, found.tickets)
    return attempt_ended(ticket, report, End.stopped, Status.approval, now, reason=told)
