"""A ticket takes what it claims, or the event that says so cannot follow."""

from typing import Any

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError


def take_claims(state: SessionState, ticket: TicketState, event: Any) -> dict[str, Units]:
    """Let the ticket of an event hold what it claims. Returns the units that it gets. Raises IllegalEventError if
    another one holds it."""
    try:
        return state.holdings.take(ticket.id, ticket.claims, event.at)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None
