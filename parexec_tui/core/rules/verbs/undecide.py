"""What a person decided about a merge, and of which nothing is merged yet."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import MERGE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState


def can_undecide(state: SessionState, ticket: TicketState) -> bool:
    """Whether a person may decide otherwise: nothing of what they decided was done yet."""
    found, attempt = state.worktrees.get(ticket.id), ticket.attempt
    if found is None or found.conflict is None or attempt is None:
        return False
    return ticket.status is Status.validating and attempt.awaits_engine and attempt.is_in_conflict


def can_put_back(state: SessionState, ticket: TicketState) -> bool:
    """Whether the decision, or the approval, can be taken back."""
    attempt = ticket.attempt
    if attempt is None or ticket.status is not Status.validating:
        return False
    if attempt.awaits_engine:
        return can_undecide(state, ticket) or (attempt.is_approved and not attempt.is_lost)
    return _can_be_ended(state, ticket)


def _can_be_ended(state: SessionState, ticket: TicketState) -> bool:
    """Whether an engine carries out a decision on a conflict, and can end what it does for that: its merge has not
    begun."""
    found, attempt = state.worktrees.get(ticket.id), ticket.live_attempt
    if state.gone is not None or ticket.spec.takes_back or attempt.step == MERGE or attempt.is_lost:
        return False
    is_decided = attempt.is_released and bool(attempt.side) and not attempt.is_approved
    return is_decided and found is not None and found.decided is not None


def put_back_to_decide(state: SessionState, ticket: TicketState, by: str, now: float) -> list[ev.AnyEvent]:
    """The event that takes the decision or the approval back; none if that cannot be."""
    if not can_put_back(state, ticket) or ticket.live_attempt.awaits_engine:
        return undecided(state, ticket, now)
    return [ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="undone", by=by)]


def undecided(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    """The event that lets a ticket wait for a decision again, or for approval, if no engine has begun anything."""
    if not can_put_back(state, ticket) or not ticket.live_attempt.awaits_engine:
        return []
    attempt = ticket.live_attempt
    back = ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        step=attempt.step,
        agent=attempt.agent,
        started=attempt.started,
        seconds=round(attempt.worked_before, 6),
        ended=attempt.started,
        end=End.succeeded if attempt.is_approved else End.stopped,
        then=Status.approval,
        reason=ticket.reason,
        ended_before=True,
    )
    return [back]
