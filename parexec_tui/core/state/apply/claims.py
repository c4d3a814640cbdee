"""A ticket takes what it claims, or the event that says so cannot follow."""

from collections.abc import Mapping
from typing import Any

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError


def take_claims(
    state: SessionState, ticket: TicketState, event: Any, *, before: Mapping[str, Units] | None = None
) -> dict[str, Units]:
    """Let the ticket of an event hold what it claims. Returns the units that it gets, those that it had `before` if
    they are free. Raises IllegalEventError if another one holds what it claims."""
    try:
        if state.hosts and (
            host := state.hosts.get(state.host_of_agent(getattr(event, "agent", "") or ticket.agent))
        ):
            return _take_there(state, host, ticket, event.at, before)
        return state.holdings.take(ticket.id, ticket.claims, event.at, before)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None


def _take_there(
    state: SessionState, host: HostState, ticket: TicketState, at: float, before: Mapping[str, Units] | None
) -> dict[str, Units]:
    """The same on a host: what it has itself is held there, the rest in the session as a whole."""
    shared, own = host.split(ticket.claims)
    if (conflict := host.holdings.conflict(own)) is not None:
        raise RuntimeError(f"{ticket.id} may not take its claims on {host.name}: {conflict.describe()}")
    units = state.holdings.take(ticket.id, shared, at, before)
    state.held_on[ticket.id] = host
    return {**units, **host.holdings.take(ticket.id, own, at, before)}
