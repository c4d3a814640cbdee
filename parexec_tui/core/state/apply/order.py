"""An order of dispatch was found, and what makes it void."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.found_order import FoundOrder
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError


def on_order_found(state: SessionState, event: ev.OrderFound) -> None:
    tickets = list(state.tickets.values())
    if len(set(event.tickets)) < len(event.tickets) or not all(0 <= each < len(tickets) for each in event.tickets):
        raise IllegalEventError(f"{event!r}: a ticket is there twice, or not in the plan")
    ordered = [tickets[number] for number in event.tickets]
    paths = sorted((ticket.remaining for ticket in ordered), reverse=True)
    places = {ticket.id: (-path, place) for place, (ticket, path) in enumerate(zip(ordered, paths, strict=True))}
    state.found_order = FoundOrder(places, event.seconds)
    if state.dirty is not None:
        state.dirty.everything = True


def drop_order(state: SessionState) -> None:
    """Go back to the longest path, if there is another order."""
    if state.found_order is not None:
        state.found_order = None
        if state.dirty is not None:
            state.dirty.everything = True


def judge_order(state: SessionState, ticket: TicketState, end: End) -> None:
    """Note how good the estimate of a ticket was that ended. Once they are too bad, the longest path is as good."""
    if end is not End.succeeded or ticket.took is None or (expected := state.expected(ticket)) is None:
        return
    state.estimate_errors.note(expected, ticket.took)
    if state.found_order is not None and state.estimate_errors.are_large:
        drop_order(state)
