"""A ticket takes what it claims, or the event that says so cannot follow."""

from collections.abc import Mapping
from typing import Any

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError


def take_claims(
    state: SessionState, ticket: TicketState, event: Any, *, before: Mapping[str, Units] | None = None
) -> dict[str, Units]:
    """Let the ticket of an event hold what it claims. Returns the units that it gets, those that it had `before` if
    they are free. Raises IllegalEventError if another one holds what it claims."""
    try:
        return state.holdings.take(ticket.id, ticket.claims, event.at, before)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None
