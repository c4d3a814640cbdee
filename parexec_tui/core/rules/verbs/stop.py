"""stop: end what runs, and leave; the session can be resumed."""

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RESTORE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.steps import is_rollback
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def stop(state: SessionState, asked: rq.Stop, now: float) -> Decision:
    if state.stopping is not None and (state.stopping.now or not asked.now):
        return []
    stopping: ev.AnyEvent = ev.SessionStopping(at=now, by=asked.by, reason=asked.reason, now=asked.now)
    return [stopping, *stop_live(state, now, by=asked.by, at_once=asked.now)]


def stop_live(
    state: SessionState, now: float, *, by: str = "", at_once: bool = False, besides: TicketState | None = None
) -> list[ev.AnyEvent]:
    """End all that runs, without a charge. What is being rolled back ends by itself, unless nothing is waited for."""
    return [
        ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="stopped", by=by, now=at_once)
        for ticket in state.live.values()
        if ticket is not besides and ticket.status is not Status.stopping and _may_be_ended(ticket, at_once=at_once)
    ]


def _may_be_ended(ticket: TicketState, *, at_once: bool) -> bool:
    step = ticket.live_attempt.step
    return step != RESTORE and (at_once or not is_rollback(step))
