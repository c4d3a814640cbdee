"""What is kept free for one ticket that has waited long for resources or claims: its reservation.

The reservation says when the ticket could start, and how much of each resource may be in use by others then. Both are
kept as attempts start and end, so it costs O(1) to say whether another ticket would delay it.
"""

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.state.session import Reservation, SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

_SLACK = 1e-6
"""Amounts are fractions: this much too little is rounding."""


def reserve(
    state: SessionState, ticket: TicketState, at: float, start_at: float | None, ending: tuple[str, ...]
) -> None:
    """Keep free what the ticket wants. `ending`: the live tickets whose ends it waits for. O(live)."""
    spare = {name: state.holdings.capacity(name) - amount for name, amount in ticket.claims.uses.items()}
    state.reservation = Reservation(ticket.id, start_at, spare, {})
    for other in state.live.values():
        if other.id not in ending and not _ends_in_time(state, other, at - other.worked(at)):
            _outlast(state.reservation, other)
    for other in state.unapproved.values():
        count_kept(state, other)
    _tell_dispatcher(state)


def drop_reservation(state: SessionState) -> None:
    """Keep nothing free any more."""
    if state.reservation is not None:
        state.reservation = None
        _tell_dispatcher(state)


def count_start(state: SessionState, ticket: TicketState, at: float) -> None:
    """Another ticket starts while there is a reservation."""
    reservation = state.reservation
    if reservation is not None and ticket.claims.uses and not _ends_in_time(state, ticket, at):
        _outlast(reservation, ticket)


def count_kept(state: SessionState, ticket: TicketState) -> None:
    """Another ticket keeps its claims until a person approves, while there is a reservation."""
    if state.reservation is not None and ticket.status is Status.approval:
        _outlast(state.reservation, ticket)


def count_end(state: SessionState, ticket: TicketState) -> None:
    """Another ticket ends while there is a reservation: the next one may take its place."""
    reservation = state.reservation
    if reservation is not None and (uses := reservation.outlasting.pop(ticket.id, None)) is not None:
        for name, amount in uses.items():
            reservation.spare[name] += amount
        _tell_dispatcher(state)


def obstacle(state: SessionState, ticket: TicketState, claims: Claims | None = None) -> str:
    """What the ticket would take from the one with the reservation; empty if it may start. `claims`: what of its
    claims counts; None: all of them.

    Tickets of a higher class are not bound by it. Others pass if they are done in time or leave enough.
    """
    reservation = state.reservation
    if reservation is None or ticket.id == reservation.ticket:
        return ""
    reserved = state.tickets[reservation.ticket]
    if ticket.spec.priority.rank < reserved.spec.priority.rank:
        return ""
    claims = ticket.claims if claims is None else claims
    found = claims.clash(reserved.claims) or next(
        (name for name, amount in claims.uses.items() if amount > reservation.spare.get(name, amount) + _SLACK),
        "",
    )
    return "" if not found or _ends_in_time(state, ticket, state.now) else found


def _ends_in_time(state: SessionState, ticket: TicketState, start: float) -> bool:
    """Whether a ticket that starts then is expected to be done when the reserved one could start."""
    assert state.reservation is not None
    takes, until = state.expected(ticket), state.reservation.start_at
    return takes is not None and until is not None and start + takes <= until


def _outlast(reservation: Reservation, ticket: TicketState) -> None:
    shared = {name: amount for name, amount in ticket.claims.uses.items() if name in reservation.spare}
    if shared:
        reservation.outlasting[ticket.id] = shared
        for name, amount in shared.items():
            reservation.spare[name] -= amount


def _tell_dispatcher(state: SessionState) -> None:
    if state.dirty is not None:
        state.dirty.reservation = True


def can_be_reserved_for(ticket: TicketState) -> bool:
    """Whether a ticket stands where a reservation makes sense: it waits, for no other ticket and no person."""
    is_ready = ticket.status is Status.waiting and not ticket.missing
    return is_ready and ticket.held is None and not ticket.awaits_approval
