"""A decision on a conflict that was made while no engine was there, and of which none has begun anything."""

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


def undecided(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    """The event that lets a ticket wait for a decision again, if it was decided on and may be decided otherwise."""
    if not can_undecide(state, ticket):
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
        end=End.stopped,
        then=Status.approval,
        reason=ticket.reason,
        ended_before=True,
    )
    return [back]
