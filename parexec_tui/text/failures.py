"""The tickets that ended without success."""

from collections.abc import Iterator

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ENDED_BADLY, Status
from parexec_tui.core.state.tickets import TicketState


def failures(state: SessionState) -> Iterator[TicketState]:
    """Tickets that ended without success, in plan order; without skipped ones, which follow from the others."""
    return (ticket for ticket in state.tickets.values() if ticket.status in ENDED_BADLY)


def failure_groups(state: SessionState) -> list[list[TicketState]]:
    """As `failures`, those that failed alike together, each group in plan order and where its first ticket is."""
    groups: dict[str, list[TicketState]] = {}
    for ticket in failures(state):
        groups.setdefault(ticket.failed_with if ticket.status is Status.failed else ticket.id, []).append(ticket)
    return list(groups.values())
