"""What attempts print: more than `max_log`, or so much that the disk fills."""

from msgspec import structs

from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.rules.flood import Disk, has_filled
from parexec_tui.core.rules.reports.ends import Exit, StepReport, reported
from parexec_tui.core.rules.reports.failures import failed_for_good
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

FLOODED = "its output was filling the disk"


def has_flooded(state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float) -> bool:
    """Whether it failed because its own output filled the disk."""
    floor = state.plan.settings.min_free_disk
    return report.free is not None and has_filled(report.log_size, ticket.worked(now), Disk(report.free, floor))


def ended_as_flood(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    """It is not tried again by itself: it would do the same again, and others would suffer."""
    why = _flood(ticket, report.log_size, now)
    asked = ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="flooding", detail=why)
    return [asked, *failed_as_flood(state, ticket, report, why, now)]


def failed_as_flood(
    state: SessionState, ticket: TicketState, report: StepReport, why: str, now: float
) -> list[ev.AnyEvent]:
    """What it printed says nothing about its failure."""
    silent = structs.replace(report, error_line="") if isinstance(report, Exit) else report
    return failed_for_good(state, ticket, silent, End.failed, why, now)


def _flood(ticket: TicketState, size: int, now: float) -> str:
    """What it printed, and how fast."""
    return f"{FLOODED}: {format_size(size)} in {format_duration(ticket.worked(now))}"


def on_log_too_long(state: SessionState, report: rq.LogTooLong, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets.get(report.ticket)
    if ticket is None or report.attempt > ticket.attempts or state.finished_at is not None:
        return []
    before = state.cut_logs.get(ticket.id)
    if before is not None and before.attempt == report.attempt and report.left_out < 2 * max(before.left_out, 1):
        return []
    return [
        ev.LogCut(
            at=now,
            ticket=ticket.id,
            attempt=report.attempt,
            left_out=report.left_out,
            limit=report.limit,
            problem=report.problem,
        )
    ]


def on_log_flooded(state: SessionState, report: rq.LogFlooded, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None or (ticket.status is Status.stopping and not report.now):
        return []
    why = ticket.live_attempt.stop_reason
    return [
        ev.AttemptStopRequested(
            at=now,
            ticket=ticket.id,
            attempt=ticket.attempts,
            why=why or "flooding",
            now=report.now,
            detail=_flood(ticket, report.size, now) if why is None else "",
        )
    ]
