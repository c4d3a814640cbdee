"""What is looked at while an attempt runs is not as its plan wants it, or is so again."""

from parexec_tui.core.rules.reports.ends import passed, reported
from parexec_tui.core.rules.reports.failures import failed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.steps import after_last_look
from parexec_tui.core.state.tickets import TicketState
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
    events: list[ev.AnyEvent] = [_check_failed(ticket, name, report.problem, now)]
    why = _reason(name, report.problem)
    if check.then == "freeze" and not ticket.is_frozen:
        events.append(ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=attempt.number, reason=why))
    elif check.then == "stop":
        events.append(
            ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=attempt.number, why="check", detail=why)
        )
    return events


def output_searched(
    state: SessionState, ticket: TicketState, report: rq.OutputSearched, now: float
) -> list[ev.AnyEvent]:
    """Go on to the next step, unless the rest of the output has what it must not have."""
    attempt = ticket.live_attempt
    events: list[ev.AnyEvent] = []
    reasons: dict[str, str] = {}
    for number, problem in report.found:
        check = ticket.spec.checks[number] if number < len(ticket.spec.checks) else None
        if check is not None and check.title not in attempt.failed_checks:
            events.append(_check_failed(ticket, check.title, problem, now))
            reasons.setdefault(check.then, _reason(check.title, problem))
    if "stop" in reasons:
        return [*events, *failed(state, ticket, report, End.failed, reasons["stop"], now)]
    if "freeze" in reasons and not ticket.is_frozen:
        frozen = ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=attempt.number, reason=reasons["freeze"])
        return [*events, frozen]
    if ticket.is_frozen:  # it is looked at again when somebody thaws it
        return events
    return [*events, *passed(state, ticket, report, after_last_look(state, ticket), now)]


def _check_failed(ticket: TicketState, name: str, problem: str, now: float) -> ev.CheckFailed:
    return ev.CheckFailed(at=now, ticket=ticket.id, attempt=ticket.attempts, check=name, reason=problem)


def _reason(name: str, problem: str) -> str:
    return f"check {name}: {problem}"
