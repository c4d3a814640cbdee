"""What events change of tickets between their attempts."""

from msgspec import structs

from parexec_tui.core.plan.hosts import pinned_host
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply.accounts import take_back_answer
from parexec_tui.core.state.apply.claims import take_claims
from parexec_tui.core.state.indexes import (
    check_again,
    doubt_reservation,
    find_types,
    lost_need,
    move,
    note_approval,
    note_hold,
    run_again,
    skip,
    unskip,
)
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.reservation import count_kept, drop_reservation
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import note_stall
from parexec_tui.core.state.status import PENDING, End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError, following, moving_ticket, named_ticket


def on_backoff_ended(state: SessionState, event: ev.BackoffEnded) -> None:
    ticket = moving_ticket(state, event, Status.waiting)
    ticket.retry_at = None
    move(state, ticket, Status.waiting, event.at)


def on_ticket_held(state: SessionState, event: ev.TicketHeld) -> None:
    ticket = named_ticket(state, event)
    ticket.held, ticket.held_at = event.by, event.at
    state.held_tickets[ticket.id] = ticket
    note_hold(state, ticket)
    note_stall(state, ticket)
    doubt_reservation(state)


def on_ticket_released(state: SessionState, event: ev.TicketReleased) -> None:
    ticket = named_ticket(state, event)
    ticket.held = None
    state.held_tickets.pop(ticket.id, None)
    note_hold(state, ticket)
    note_stall(state, ticket)
    check_again(state, ticket)


def _end_unstarted(
    state: SessionState, ticket: TicketState, skipped: list[TicketState], to: Status, end: End, at: float
) -> None:
    ticket.ended, ticket.end, ticket.retry_at = at, end, None
    move(state, ticket, to, at)
    skip(state, skipped, ticket.id, at)


def on_ticket_cancelled(state: SessionState, event: ev.TicketCancelled) -> None:
    ticket = moving_ticket(state, event, Status.cancelled)
    skipped = following(state, event.skipped, *PENDING)
    ticket.save()
    ticket.reason = by_whom(event.by).strip()
    _end_unstarted(state, ticket, skipped, Status.cancelled, End.cancelled, event.at)


def on_ticket_unrunnable(state: SessionState, event: ev.TicketUnrunnable) -> None:
    ticket = moving_ticket(state, event, Status.failed)
    skipped = following(state, event.skipped, *PENDING)
    ticket.reason = event.reason
    _end_unstarted(state, ticket, skipped, Status.failed, End.could_not_start, event.at)


def on_tickets_generated(state: SessionState, event: ev.TicketsGenerated) -> None:
    if event.ticket not in state.tickets:
        raise IllegalEventError(f"{event!r}: there is no ticket {event.ticket}")
    state.generated[event.ticket] = event


def on_ticket_retried(state: SessionState, event: ev.TicketRetried) -> None:
    ticket = moving_ticket(state, event, Status.waiting)
    have_run = (Status.succeeded, Status.failed, Status.rolled_back, Status.backoff, Status.approval)
    rerun = following(state, event.rerun, *have_run)
    restored = following(state, event.restored, Status.skipped)
    if ticket.status is Status.skipped and not ticket.says_no:
        raise IllegalEventError(f"{event!r}: it is skipped because of another ticket")
    run_again(state, ticket, event.note, event.at, is_wanted=ticket.is_decided or None)
    for each in rerun:
        run_again(state, each, "", event.at)
    unskip(state, restored, event.at)


def on_finally_again(state: SessionState, event: ev.FinallyAgain) -> None:
    again = following(state, event.tickets, Status.succeeded, Status.failed, Status.rolled_back, Status.approval)
    restored = following(state, event.restored, Status.skipped)
    if any(id_ not in state.last for id_ in (*event.tickets, *event.restored)):
        raise IllegalEventError(f"{event!r}: one of them does not run at the end")
    for ticket in again:
        run_again(state, ticket, "", event.at)
        ticket.is_asked = ticket.attempts > 0 or not ticket.spec.has_condition  # nobody wanted it to run
        note_approval(state, ticket)
    unskip(state, restored, event.at)


def on_approval_asked(state: SessionState, event: ev.ApprovalAsked) -> None:
    ticket = named_ticket(state, event)
    if ticket.status is not Status.waiting or not ticket.can_be_approved or ticket.approval_asked:
        raise IllegalEventError(f"{event!r}: it does not wait for that, or people know it")
    ticket.approval_asked = True


def on_ticket_approved(state: SessionState, event: ev.TicketApproved) -> None:
    ticket = _unapproved(state, event)
    ticket.save()
    ticket.note = event.note or ticket.note
    if ticket.status is Status.approval:
        move(state, ticket, Status.succeeded, event.at)
        return
    ticket.approved = True
    note_approval(state, ticket)
    check_again(state, ticket)


def on_ticket_rejected(state: SessionState, event: ev.TicketRejected) -> None:
    ticket = _unapproved(state, event)
    skipped = following(state, event.skipped, *PENDING)
    ticket.save()
    ticket.note = event.note
    by = f" by {event.by}" if event.by else ""
    why = f": {event.note}" if event.note else ""
    if ticket.status is Status.approval:
        ticket.reason = f"sent back{by}{why}"
        move(state, ticket, Status.waiting, event.at)
        return
    ticket.reason = f"rejected{by}{why}"
    _end_unstarted(state, ticket, skipped, Status.cancelled, End.cancelled, event.at)


def _unapproved(state: SessionState, event: ev.TicketApproved | ev.TicketRejected) -> TicketState:
    ticket = named_ticket(state, event)
    if not ticket.can_be_approved:
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait for approval")
    return ticket


def on_ticket_waived(state: SessionState, event: ev.TicketWaived) -> None:
    ticket = moving_ticket(state, event, Status.waived)
    restored = following(state, event.restored, Status.skipped)
    ticket.save()
    ticket.ended, ticket.retry_at, ticket.because = event.at, None, ""
    ticket.reason = by_whom(event.by).strip()
    move(state, ticket, Status.waived, event.at)
    unskip(state, restored, event.at)


def on_ticket_put_back(state: SessionState, event: ev.TicketPutBack) -> None:
    ticket = moving_ticket(state, event, event.then)
    if ticket.undo_point is None:
        raise IllegalEventError(f"{event!r}: nothing is known of what {ticket.id} was before")
    skipped = following(state, event.skipped, *PENDING)
    restored = following(state, event.restored, Status.skipped)
    units = None
    if event.then is Status.approval:  # as it held them before
        units = take_claims(state, ticket, event, before=ticket.attempt.units if ticket.attempt is not None else None)
    ticket.put_back()
    if event.then is Status.approval:
        take_back_answer(state, ticket)
    if units is not None and ticket.attempt is not None:
        ticket.attempt.units = units
    if event.then is Status.skipped and not (ticket.because or ticket.says_no):  # it is only now that a need is lost
        ticket.because, ticket.ended = lost_need(state, ticket), event.at
    move(state, ticket, event.then, event.at)
    count_kept(state, ticket)
    skip(state, skipped, ticket.id, event.at)
    unskip(state, restored, event.at)


def on_ticket_pinned(state: SessionState, event: ev.TicketPinned) -> None:
    ticket = named_ticket(state, event)
    is_host = pinned_host(event.agent) in ("", *state.hosts)
    if event.agent and not is_host and event.agent not in state.agents and event.agent not in state.available:
        raise IllegalEventError(f"{event!r}: there is no such agent, agent type or host")
    ticket.pin = event.agent
    ticket.excluded_agents = tuple(agent for agent in ticket.excluded_agents if agent != event.agent)
    find_types(state, ticket)
    doubt_reservation(state)
    check_again(state, ticket)


def on_priority_changed(state: SessionState, event: ev.PriorityChanged) -> None:
    ticket = named_ticket(state, event)
    ticket.spec = state.plan.tickets[ticket.id] = structs.replace(ticket.spec, priority=event.priority)
    if state.reservation is not None and state.reservation.ticket == ticket.id:
        drop_reservation(state)  # it binds others by its class
    check_again(state, ticket)
