"""The answer to whether a ticket is done before its first attempt: by `skip_if`, `if_done` or `up_to_date`."""

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.joining import join
from parexec_tui.core.rules.reports.ends import NOT_EXECUTABLE, exit_text
from parexec_tui.core.rules.reports.host import host_short, on_host_short
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.steps import own_timeout
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal

ALREADY_DONE = "already done"
FRESH = "up to date"

_MAX_ASKED = 3
"""How often a `skip_if` is started that is lost, before its ticket starts without an answer."""


def answered(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    """What follows from the end of a `skip_if`; nothing if nobody waits for its answer any more."""
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if state.is_ended_by_stop(ticket) or report.stopped_for is not None or report.host_short_of:
        again = ev.QuestionAnswered(at=now, ticket=ticket.id, again=True)
        short = host_short(report) if report.host_short_of else None
        return [again, *(on_host_short(state, short, now) if short is not None else [])]
    if report.code == 0 and not report.problem:
        return [ev.TicketSatisfied(at=now, ticket=ticket.id, reason=f"{ALREADY_DONE}: skip_if succeeded")]
    if (timeout := own_timeout(state, ticket)) is not None and _has_timed_out(ticket, timeout, report, now):
        return [ev.QuestionAnswered(at=now, ticket=ticket.id, reason=f"timed out after {format_duration(timeout)}")]
    is_no = report.code is not None and report.code < NOT_EXECUTABLE and not report.problem
    return [
        ev.QuestionAnswered(at=now, ticket=ticket.id, reason="" if is_no else report.problem or exit_text(report))
    ]


def _has_timed_out(ticket: TicketState, timeout: float, report: rq.ProcessEnded, now: float) -> bool:
    """Whether it was killed because it ran too long: nobody else kills what is asked and goes on to wait for it."""
    clock = ticket.question_clock
    return report.signal is not None and clock is not None and clock.worked(now) >= timeout


def answer_lost(state: SessionState, report: rq.ProcessLost, now: float) -> list[ev.AnyEvent]:
    """What follows if a `skip_if` is lost: it is asked once more, a few times."""
    ticket = _asked(state, report)
    if ticket is None:
        return []
    tries_again = ticket.asked < _MAX_ASKED
    return [
        ev.QuestionAnswered(at=now, ticket=ticket.id, reason="" if tries_again else report.reason, again=tries_again)
    ]


def _asked(state: SessionState, report: rq.Report) -> TicketState | None:
    """The ticket that waits for the answer in this report."""
    ticket = state.asking.get(report.ticket)
    return ticket if ticket is not None and (report.attempt, report.step) == (0, ticket.asking) else None


def on_done_checked(state: SessionState, report: rq.DoneChecked, now: float) -> list[ev.AnyEvent]:
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if state.is_ended_by_stop(ticket):
        return [ev.QuestionAnswered(at=now, ticket=ticket.id, again=True)]
    if not report.done:
        return [ev.QuestionAnswered(at=now, ticket=ticket.id)]
    files = ticket.spec.if_done
    reason = f"{ALREADY_DONE}: {listed(files, limit=4)} {'exists' if len(files) == 1 else 'exist'}"
    return [ev.TicketSatisfied(at=now, ticket=ticket.id, reason=reason)]


def on_freshness_checked(state: SessionState, report: rq.FreshnessChecked, now: float) -> list[ev.AnyEvent]:
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if state.is_ended_by_stop(ticket):
        return [ev.QuestionAnswered(at=now, ticket=ticket.id, again=True)]
    if report.stale:
        return [ev.QuestionAnswered(at=now, ticket=ticket.id, stale=report.stale)]
    satisfied = ev.TicketSatisfied(at=now, ticket=ticket.id, reason=FRESH, values=dict(report.values))
    if not ticket.spec.generates:
        return [satisfied]
    told = join(state, ticket, report.tickets, report.amended, now)
    if isinstance(told, Refusal):
        return [ev.QuestionAnswered(at=now, ticket=ticket.id, stale=f"what it generated cannot join: {told}")]
    return [satisfied, *told]
