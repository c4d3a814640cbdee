"""What ran, or may run, on a host that was cut off or booted again is given up."""

from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.steps import takes_back
from parexec_tui.core.state.tickets import TicketState


def given_up(state: SessionState, ticket: TicketState, reason: str, now: float) -> list[ev.AnyEvent]:
    """The attempt of a ticket ends here, as its host is not reached, or has ended it: it runs again, at no charge.

    One that was cancelled meanwhile does not. What is being taken back there goes on when the host is back.
    """
    attempt = ticket.live_attempt
    if takes_back(attempt.step):
        return []
    is_cancelled = attempt.stop_reason == "cancelled"
    return [
        ev.AttemptEnded(
            at=now,
            ticket=ticket.id,
            attempt=attempt.number,
            step=attempt.step,
            agent=attempt.agent,
            started=attempt.started,
            seconds=round(attempt.worked(now), 6),
            end=End.lost,
            then=Status.cancelled if is_cancelled else Status.waiting,
            reason=reason,
            skipped=skips(state, ticket) if is_cancelled else (),
            host_at_fault=True,
            ended_before=attempt.is_released,
            **attempt.used.fields(),
        )
    ]
