"""What events change of snapshots, and of what is taken back."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply.claims import take_claims
from parexec_tui.core.state.indexes import check_types_again, move, note_warning, thaw, unskip
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.reservation import count_start
from parexec_tui.core.state.session import Rollback, SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.step_history import begin_step, end_attempt, note_command
from parexec_tui.core.state.steps import is_rollback, takes_back
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError, following, moving_ticket, named_ticket


def on_snapshot_taken(state: SessionState, event: ev.SnapshotTaken) -> None:
    if event.attempt > named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")
    if event.ticket in state.file_snapshots:
        raise IllegalEventError(f"{event!r}: there is another one, which has to be dropped first")
    state.file_snapshots[event.ticket] = event
    state.snapshots_size += event.size
    ticket = state.live.get(event.ticket)
    if ticket is not None and ticket.attempts == event.attempt and ticket.live_attempt.step == RUN:
        ticket.live_attempt.step_began = ticket.live_attempt.worked(event.at)  # the command starts now


def on_snapshot_dropped(state: SessionState, event: ev.SnapshotDropped) -> None:
    kept = state.file_snapshots.get(event.ticket)
    if kept is None or kept.attempt != event.attempt:
        raise IllegalEventError(f"{event!r}: there is no such snapshot")
    if state.half_done.get(event.ticket) == event.attempt:
        raise IllegalEventError(f"{event!r}: it has yet to be restored")
    del state.file_snapshots[event.ticket]
    state.snapshots_size -= kept.size


def on_rollback_asked(state: SessionState, event: ev.RollbackAsked) -> None:
    if state.rollback is not None:
        raise IllegalEventError(f"{event!r}: there is another one")
    for id_ in event.tickets:
        if id_ not in state.tickets:
            raise IllegalEventError(f"{event!r}: there is no ticket {id_}")
    left = [id_ for id_ in event.tickets if state.tickets[id_].status is not Status.rolled_back]
    state.rollback = Rollback(event, left)


def on_rollback_started(state: SessionState, event: ev.RollbackStarted) -> None:
    ticket = moving_ticket(state, event, Status.rolling_back)
    if not takes_back(event.step) or (ticket.is_live and event.outcome is None):
        raise IllegalEventError(f"{event!r}: its step takes nothing back, or its attempt does not end like that")
    if ticket.is_live:
        note_command(state, ticket)
        thaw(state, ticket, event.at)
    else:
        _live_again(state, ticket, event)
    attempt = ticket.live_attempt
    if event.outcome is not None:
        attempt.used = event.outcome.used
    attempt.outcome = event.outcome
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = None, "", 0.0
    attempt.rollbacks += is_rollback(event.step)
    if event.outcome is not None:
        end_attempt(state, ticket, event.outcome)
    begin_step(state, ticket, event.step)
    attempt.begin_step(event.step, event.at, is_next_start=False)
    move(state, ticket, Status.rolling_back, event.at)
    note_warning(state, ticket)


def _live_again(state: SessionState, ticket: TicketState, event: ev.RollbackStarted) -> None:
    """Let a ticket hold what it claims while what it did is taken back after its end. It keeps no agent busy."""
    restored = following(state, event.restored, Status.skipped)
    if ticket.attempt is None:
        raise IllegalEventError(f"{event!r}: it never ran")
    units = ticket.attempt.units
    if ticket.status is not Status.approval:  # that holds them, and is counted, already
        units = take_claims(state, ticket, event, before=units)
        count_start(state, ticket, event.at)
    note_command(state, ticket)
    before = ticket.attempt
    ticket.attempt = before.going_on(event.at)
    ticket.attempt.units = units
    ticket.attempt.rollbacks, ticket.attempt.step = before.rollbacks, event.step
    ticket.undo_point, ticket.retry_at = None, None
    ticket.note = event.note if ticket.status is Status.approval else event.note or ticket.note
    unskip(state, restored, event.at)


def on_rollback_ended(state: SessionState, event: ev.RollbackEnded) -> None:
    if state.rollback is None:
        raise IllegalEventError(f"{event!r}: nothing is taken back")
    state.rollback = None
    check_types_again(state, *state.available)
    if state.dirty is not None:
        state.dirty.everything = True
