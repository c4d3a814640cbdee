"""The chain of tickets that the rest of a session cannot be faster than."""

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL


def critical_path(state: SessionState) -> list[str]:
    """The longest remaining path through tickets that are not over, needs first. Empty when all are. O(tickets)."""
    left = (ticket for ticket in state.tickets.values() if ticket.status not in TERMINAL)
    step = max(left, key=lambda ticket: (ticket.remaining, -ticket.group), default=None)
    path = []
    while step is not None:
        path.append(step.id)
        dependents = (ticket for ticket in state.dependents(step.id) if ticket.status not in TERMINAL)
        step = max(dependents, key=lambda ticket: ticket.remaining, default=None)
    return path
