"""What events change of worktrees, and of the work that was done in them."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.indexes import move, note_warning
from parexec_tui.core.state.isolation import lost_text
from parexec_tui.core.state.process_key import MERGE, RUN
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.step_history import begin_step, note_command
from parexec_tui.core.state.transitions import IllegalEventError, moving_ticket, named_ticket
from parexec_tui.core.state.worktrees import WorktreeState


def on_worktree_made(state: SessionState, event: ev.WorktreeMade) -> None:
    if event.attempt != named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there is no such attempt, or a newer one")
    _not_kept(state, state.worktrees.pop(event.ticket, None))
    state.worktrees[event.ticket] = WorktreeState(event)
    ticket = state.live.get(event.ticket)
    if ticket is not None and ticket.live_attempt.step == RUN and ticket.live_attempt.pid is None:
        ticket.live_attempt.step_began = ticket.live_attempt.worked(event.at)  # the command starts now


def _of(
    state: SessionState,
    event: ev.WorkCommitted
    | ev.WorkConflicted
    | ev.WorkMerged
    | ev.RepositoryLeft
    | ev.ResolutionLeft
    | ev.RoomAwaited,
) -> WorktreeState:
    """The worktree of an event. Raises if the attempt of it has none, or does not live."""
    found, ticket = state.worktrees.get(event.ticket), state.live.get(event.ticket)
    if found is None or ticket is None or not found.made.attempt == ticket.attempts == event.attempt:
        raise IllegalEventError(f"{event!r}: there is no such worktree, or its attempt is over")
    return found


def on_work_committed(state: SessionState, event: ev.WorkCommitted) -> None:
    found = _of(state, event)
    found.commit, found.onto, found.merged, found.conflict = event.commit, event.onto, event.merged, None
    state.tickets[event.ticket].live_attempt.is_in_conflict = False


def on_work_conflicted(state: SessionState, event: ev.WorkConflicted) -> None:
    if event.reason:
        _seen_again(state, event)
        return
    found = _of(state, event)
    state.tally.conflicts += 1
    found.commit, found.onto, found.merged, found.conflict = event.commit, event.onto, "", event
    ticket = state.tickets[event.ticket]
    if event.then == "wins":
        ticket.live_attempt.side, found.decided = "theirs", event
    elif event.then == "hold":
        ticket.live_attempt.is_in_conflict = True
    elif event.then == "requeue":
        ticket.note = event.note


def _seen_again(state: SessionState, event: ev.WorkConflicted) -> None:
    ticket = named_ticket(state, event)
    found, attempt = state.worktrees.get(event.ticket), ticket.attempt
    if found is None or attempt is None or not ticket.is_in_conflict or attempt.number != event.attempt:
        raise IllegalEventError(f"{event!r}: no conflict of it waits for a decision")
    found.onto, found.conflict = event.onto, event
    ticket.reason = attempt.reason = event.reason


def on_merge_started(state: SessionState, event: ev.MergeStarted) -> None:
    ticket = moving_ticket(state, event, Status.validating)
    before = ticket.attempt
    if before is None or ticket.status is not Status.approval or event.ticket not in state.worktrees:
        raise IllegalEventError(f"{event!r}: nothing of it waits to be merged")
    note_command(state, ticket)
    # It holds its claims and keeps no agent busy: it held them while it waited for a person.
    ticket.attempt = before.going_on(event.at)
    ticket.attempt.gates_begun = before.gates_begun
    ticket.attempt.resolution, ticket.attempt.is_in_conflict = event.run, event.step != MERGE
    ticket.attempt.resolves = before.resolves + bool(event.run)
    ticket.attempt.is_released, ticket.attempt.is_approved = True, event.step == MERGE
    ticket.attempt.is_lost = before.is_lost
    # Earlier versions did not write it where the engine had left.
    ticket.attempt.awaits_engine = event.without_engine or state.left is not None
    if not ticket.attempt.is_approved:
        ticket.attempt.side, ticket.attempt.together = event.side, event.together
        state.worktrees[event.ticket].decided = state.worktrees[event.ticket].conflict
    elif not before.is_lost:
        ticket.attempt.side, ticket.attempt.together = before.side, before.together
    ticket.attempt.begin_step(event.step, event.at, is_next_start=False)
    ticket.note = event.note or ticket.note
    begin_step(state, ticket, event.step)
    move(state, ticket, Status.validating, event.at)


def on_work_merged(state: SessionState, event: ev.WorkMerged) -> None:
    found = _of(state, event)
    found.landed, found.lost = event, None
    state.tally.merges += bool(event.commit)


def on_work_lost(state: SessionState, event: ev.WorkLost) -> None:
    ticket = moving_ticket(state, event, Status.approval)
    found = state.worktrees.get(event.ticket)
    if found is None or ticket.attempt is None or found.landed is None or found.landed.commit != event.commit:
        raise IllegalEventError(f"{event!r}: it was not merged as that")
    found.landed, found.lost = None, found.landed
    ticket.attempt.is_lost, ticket.undo_point = True, None
    ticket.reason = lost_text(event.target, event.commit)
    move(state, ticket, Status.approval, event.at)


def on_repository_left(state: SessionState, event: ev.RepositoryLeft) -> None:
    _of(state, event).holds = event.path


def on_resolution_left(state: SessionState, event: ev.ResolutionLeft) -> None:
    _of(state, event)


def on_room_awaited(state: SessionState, event: ev.RoomAwaited) -> None:
    _of(state, event)
    ticket = state.live[event.ticket]
    ticket.live_attempt.lacks = event.text
    note_warning(state, ticket)


def on_secret_awaited(state: SessionState, event: ev.SecretAwaited) -> None:
    ticket = state.live.get(event.ticket)
    if ticket is None or ticket.attempts != event.attempt:
        raise IllegalEventError(f"{event!r}: there is no such attempt, or it is over")
    ticket.live_attempt.lacks = event.text
    note_warning(state, ticket)


def on_worktree_kept(state: SessionState, event: ev.WorktreeKept) -> None:
    found = state.worktrees.get(event.ticket)
    if found is None or found.made.attempt != event.attempt or found.size is not None:
        raise IllegalEventError(f"{event!r}: there is no such worktree, or it is kept already")
    found.size = event.size
    found.holds = event.stays
    state.worktrees_size += event.size


def on_worktree_dropped(state: SessionState, event: ev.WorktreeDropped) -> None:
    found = state.worktrees.get(event.ticket)
    if found is None or found.made.attempt != event.attempt or found.size is None:
        raise IllegalEventError(f"{event!r}: there is no such worktree, or it is in use")
    _not_kept(state, found)


def _not_kept(state: SessionState, found: WorktreeState | None) -> None:
    if found is not None and found.size is not None:
        state.worktrees_size -= found.size
        found.size = None


def on_conflict_foreseen(state: SessionState, event: ev.ConflictForeseen) -> None:
    if event.ticket not in state.live or event.other not in state.live:
        raise IllegalEventError(f"{event!r}: one of them does not live")
    state.foreseen[event.ticket, event.other] = event


def on_conflict_averted(state: SessionState, event: ev.ConflictAverted) -> None:
    if state.foreseen.pop((event.ticket, event.other), None) is None:
        raise IllegalEventError(f"{event!r}: nothing was foreseen")
