"""What a person decided about a merge while no engine was there, and of which none has begun anything."""

from parexec_tui.core.state import events as ev
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
    if attempt is None or ticket.status is not Status.validating or not attempt.awaits_engine:
        return False
    return can_undecide(state, ticket) or (attempt.is_approved and not attempt.is_lost)


def undecided(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    """The event that lets a ticket wait for a decision again, or for approval, if that can be taken back."""
    if not can_put_back(state, ticket):
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
