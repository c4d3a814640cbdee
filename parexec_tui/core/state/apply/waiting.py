"""What events change of tickets that could start."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.attempts import FreezeCause, QuestionClock
from parexec_tui.core.state.indexes import check_again, move, note_approval, note_undecided, skip, stop_asking
from parexec_tui.core.state.reservation import can_be_reserved_for, drop_reservation, reserve
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import note_stall
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.step_history import begin_question, end_question
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError, following, moving_ticket, named_ticket


def on_conflict_found(state: SessionState, event: ev.ConflictFound) -> None:
    ticket = named_ticket(state, event)
    state.serialised += not ticket.serialised
    ticket.serialised, ticket.conflict_at = True, event.at


def on_reservation_made(state: SessionState, event: ev.ReservationMade) -> None:
    ticket = named_ticket(state, event)
    if not can_be_reserved_for(ticket):
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait, or not for claims alone")
    before = state.reservation
    reserve(state, ticket, event.at, event.start_at, event.ending)
    check_again(state, ticket)
    if before is not None:
        check_again(state, state.tickets[before.ticket])


def on_reservation_ended(state: SessionState, event: ev.ReservationEnded) -> None:
    ticket = named_ticket(state, event)
    if state.reservation is None or state.reservation.ticket != ticket.id:
        raise IllegalEventError(f"{event!r}: nothing is kept free for it")
    drop_reservation(state)
    check_again(state, ticket)


def on_when_answered(state: SessionState, event: ev.WhenAnswered) -> None:
    ticket = named_ticket(state, event)
    if ticket.status is not Status.waiting or not (
        ticket.is_undecided or ticket.is_gates or state.needed_whole(ticket)
    ):
        raise IllegalEventError(f"{event!r}: it is not asked whether it is wanted")
    if event.wanted:
        ticket.is_decided, ticket.decided_by = True, event.because
        note_undecided(state, ticket)
        note_approval(state, ticket)
        check_again(state, ticket)
        return
    moving_ticket(state, event, Status.skipped)
    skipped = following(state, event.skipped, *PENDING)
    ticket.is_decided, ticket.decided_by, ticket.says_no = True, event.because, True
    said = f"when {ticket.spec.when}" if ticket.spec.when else ""
    ticket.ended, ticket.end, ticket.reason = event.at, None, ": ".join(filter(None, (said, event.because)))
    move(state, ticket, Status.skipped, event.at)
    skip(state, skipped, ticket.id, event.at)


def on_question_asked(state: SessionState, event: ev.QuestionAsked) -> None:
    ticket = named_ticket(state, event)
    if ticket.status is not Status.waiting or ticket.missing or ticket.asking or ticket.is_asked:
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait for an answer")
    ticket.asking, ticket.question_clock = event.step, QuestionClock(event.at)
    ticket.asked += 1
    state.asking[ticket.id] = ticket
    begin_question(state, ticket, event.step)


def on_question_frozen(state: SessionState, event: ev.QuestionFrozen) -> None:
    clock = _clock(state, event)
    if clock.freeze is not None:
        raise IllegalEventError(f"{event!r}: it is frozen already")
    clock.freeze = FreezeCause(event.by, "", event.at)
    note_stall(state, state.tickets[event.ticket])


def on_question_thawed(state: SessionState, event: ev.QuestionThawed) -> None:
    clock = _clock(state, event)
    if clock.freeze is None:
        raise IllegalEventError(f"{event!r}: it is not frozen")
    clock.thaw(event.at)
    note_stall(state, state.tickets[event.ticket])


def _clock(state: SessionState, event: ev.QuestionFrozen | ev.QuestionThawed) -> QuestionClock:
    clock = _asked_ticket(state, event).question_clock
    assert clock is not None
    return clock


def on_question_answered(state: SessionState, event: ev.QuestionAnswered) -> None:
    ticket = _asked_ticket(state, event)
    answer = event.stale or event.reason or ("asked again" if event.again else "not done yet")
    end_question(state, ticket, event.at, passed=None if event.again or event.reason else False, reason=answer)
    stop_asking(state, ticket)
    ticket.is_asked = not event.again
    note_approval(state, ticket)
    check_again(state, ticket)


def on_ticket_satisfied(state: SessionState, event: ev.TicketSatisfied) -> None:
    ticket = moving_ticket(state, event, Status.succeeded)
    _asked_ticket(state, event)
    end_question(state, ticket, event.at, passed=True, reason=event.reason)
    ticket.is_asked = True
    ticket.ended, ticket.end, ticket.reason = event.at, None, event.reason
    if event.values:
        state.values[ticket.id] = event.values
    move(state, ticket, Status.succeeded, event.at)


def _asked_ticket(
    state: SessionState, event: ev.QuestionAnswered | ev.QuestionFrozen | ev.QuestionThawed | ev.TicketSatisfied
) -> TicketState:
    if event.ticket not in state.asking:
        raise IllegalEventError(f"{event!r}: it is not asked whether it is done")
    return state.asking[event.ticket]
