"""An attempt ended because it was asked to."""

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.reports.again import undecided_again
from parexec_tui.core.rules.reports.ends import Exit, StepReport, attempt_ended
from parexec_tui.core.rules.reports.failures import failed, failed_for_good
from parexec_tui.core.rules.reports.gates import gate_failed
from parexec_tui.core.rules.reports.logs import FLOODED, failed_as_flood
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.silence import on_silence
from parexec_tui.core.state.status import End, Status, StopReason
from parexec_tui.core.state.steps import gate_step, step_timeout
from parexec_tui.core.state.tickets import TicketState


def ended_on_purpose(state: SessionState, ticket: TicketState, report: StepReport, now: float) -> list[ev.AnyEvent]:
    reason = ticket.live_attempt.stop_reason
    if reason is None:
        assert isinstance(report, Exit)
        assert report.stopped_for is not None
        asked = ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why=report.stopped_for)
        return [asked, *_ended_for(report.stopped_for, state, ticket, report, now)]
    return _ended_for(reason, state, ticket, report, now)


def _ended_for(
    reason: StopReason, state: SessionState, ticket: TicketState, report: StepReport, now: float
) -> list[ev.AnyEvent]:
    match reason:
        case "timed out":
            return _timed_out(state, ticket, report, now)
        case "cancelled":
            skipped, who = skips(state, ticket), by_whom(ticket.live_attempt.stop_by).strip()
            return [attempt_ended(ticket, report, End.cancelled, Status.cancelled, now, skipped=skipped, reason=who)]
        case "reassigned":
            return [
                attempt_ended(
                    ticket,
                    report,
                    End.stopped,
                    Status.waiting,
                    now,
                    reason=f"moved to {ticket.pin}" if ticket.pin else "",
                )
            ]
        case "service died":
            return failed(state, ticket, report, End.failed, ticket.live_attempt.reason, now)
        case "pressure" | "service again":
            why = ticket.live_attempt.reason
            return [attempt_ended(ticket, report, End.stopped, Status.waiting, now, reason=why)]
        case "check":
            return failed(state, ticket, report, End.failed, ticket.live_attempt.reason or "a check failed", now)
        case "silent":
            why = ticket.live_attempt.reason
            end = failed if on_silence(state, ticket) == "retry" else failed_for_good
            return end(state, ticket, report, End.failed, why, now)
        case "flooding":
            why = ticket.live_attempt.reason or FLOODED
            return failed_as_flood(state, ticket, report, why, now)
        case "undone":
            return [undecided_again(state, ticket, report, now)]
        case "stopped":
            return [attempt_ended(ticket, report, End.stopped, Status.waiting, now, reason="")]


def _timed_out(state: SessionState, ticket: TicketState, report: StepReport, now: float) -> list[ev.AnyEvent]:
    timeout = step_timeout(state, ticket)
    why = f"after {format_duration(timeout)}" if timeout is not None else ""
    if (gate := gate_step(state, ticket)) is None:
        return failed(state, ticket, report, End.timed_out, why, now)
    assert isinstance(report, Exit)
    return gate_failed(state, ticket, gate, report, why, now, End.timed_out)
