"""What is looked at while an attempt runs is not as its plan wants it, or is so again."""

from parexec_tui.core.rules.reports.ends import reported
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq


def on_check_made(state: SessionState, report: rq.CheckMade, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None or ticket.status is not Status.running or report.number >= len(ticket.spec.checks):
        return []
    check, attempt = ticket.spec.checks[report.number], ticket.live_attempt
    name = check.title
    if bool(report.problem) == (name in attempt.failed_checks):
        return []
    if not report.problem:
        return [ev.CheckHeld(at=now, ticket=ticket.id, attempt=attempt.number, check=name)]
    events: list[ev.AnyEvent] = [
        ev.CheckFailed(at=now, ticket=ticket.id, attempt=attempt.number, check=name, reason=report.problem)
    ]
    why = f"check {name}: {report.problem}"
    if check.then == "freeze" and not ticket.is_frozen:
        events.append(ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=attempt.number, reason=why))
    elif check.then == "stop":
        events.append(
            ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=attempt.number, why="check", detail=why)
        )
    return events
