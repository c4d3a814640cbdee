"""An attempt failed: another try if its ticket has retries left, else what the failure means."""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from parexec_tui.core.plan import retries
from parexec_tui.core.plan.family import by_fail_fast
from parexec_tui.core.plan.retries import is_named
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.reports.ends import StepReport, attempt_ended, facts_of
from parexec_tui.core.rules.verbs.cancel import cancelled
from parexec_tui.core.rules.verbs.on_failure import on_failure
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.budgets import has_caps, over_text
from parexec_tui.core.state.process_key import (
    CLAIMS,
    COMMIT,
    LAST_LOOK,
    MERGE,
    OUTPUTS,
    OUTPUTS_AGAIN,
    RUN,
    TICKETS,
    TICKETS_AGAIN,
)
from parexec_tui.core.state.raised import more_memory
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, End, Status, StopReason
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

MAX_DOUBLINGS = 20
"""The most times that a retry delay is doubled: nobody waits a million times the delay."""


_STOPPED: Final[Mapping[StopReason, str]] = {
    "check": retries.CHECK,
    "silent": retries.CHECK,
    "service died": retries.SERVICE,
}
"""What `retry_on` calls that which a ticket was ended for."""


def failed(
    state: SessionState, ticket: TicketState, report: StepReport, end: End, reason: str, now: float
) -> list[ev.AnyEvent]:
    """The events of a failed attempt: another try if the ticket has retries left, else what its failure means."""
    used, most = ticket.budget(end)
    over = spent_by(state, ticket, report) if used < most else ""
    if over:
        reason = f"{reason}; not tried again: {over}"
    elif used < most and _is_retried(ticket, report, end):
        retry_at = now + retry_delay(state, ticket)
        raised = more_memory(state, ticket) if end is End.out_of_memory else 0.0
        again = attempt_ended(
            ticket, report, end, Status.backoff, now, reason=reason, charged=True, retry_at=retry_at, raised=raised
        )
        return [again]
    return failed_for_good(state, ticket, report, end, reason, now)


def spent_by(state: SessionState, ticket: TicketState, report: StepReport) -> str:
    """That a ticket has used all that it may on the agent type of its current attempt, this one counted; empty if it
    has not."""
    if not has_caps(ticket.spec) or ticket.agent is None:
        return ""
    told, now = coding_of(state, ticket), facts_of(report).figures
    used = told.used_on(state.agents[ticket.agent].type)
    if now is not None and told.figures_of(ticket.attempts) is None:
        used = now if used is None else used.then(now)
    return over_text(ticket.spec, used)


def _is_retried(ticket: TicketState, report: StepReport, end: End) -> bool:
    """Whether `retry_on` of the ticket names the failure."""
    step, stopped = ticket.live_attempt.step, ticket.live_attempt.stop_reason
    if stopped is not None and end is End.failed:
        named = (end, _STOPPED[stopped]) if stopped in _STOPPED else (end,)
        return is_named(ticket.spec.retry_on, named, None, None)  # we ended it: its signal says nothing
    if step == RUN:
        ended = report if isinstance(report, rq.ProcessEnded) and end is not End.timed_out else None
        code, signal = (ended.code, ended.signal) if ended is not None else (None, None)
        return is_named(ticket.spec.retry_on, (end,), code, signal)
    if step == LAST_LOOK:
        return is_named(ticket.spec.retry_on, (end, retries.CHECK), None, None)
    if step == CLAIMS or (isinstance(report, rq.WorkTried) and report.unclaimed is not None):
        return is_named(ticket.spec.retry_on, (retries.CLAIMS,), None, None)
    if step in (COMMIT, MERGE, TICKETS, TICKETS_AGAIN):
        return is_named(ticket.spec.retry_on, (end,), None, None)
    if step in (OUTPUTS, OUTPUTS_AGAIN):
        return is_named(ticket.spec.retry_on, (retries.OUTPUTS,), None, None)
    words = (end,) if end is End.lost else (retries.GATE,) if end is End.failed else (retries.GATE, end)
    return is_named(ticket.spec.retry_on, words, None, None)


def failed_for_good(
    state: SessionState,
    ticket: TicketState,
    report: StepReport,
    end: End,
    reason: str,
    now: float,
    *,
    ticket_at_fault: bool = False,
) -> list[ev.AnyEvent]:
    """The events of a failed attempt after which there is no other try."""
    failed = attempt_ended(
        ticket,
        report,
        end,
        Status.failed,
        now,
        reason=reason,
        skipped=skips(state, ticket),
        ticket_at_fault=ticket_at_fault,
    )
    return [failed, *on_failure(state, ticket, now), *family_ends(state, ticket, failed.skipped, now)]


def family_ends(state: SessionState, ticket: TicketState, gone: Iterable[str], now: float) -> list[ev.AnyEvent]:
    """With `fail_fast`, the others of its family do not run, or do not go on."""
    family = state.plan.families.get(ticket.spec.family) if ticket.spec.family else None
    if family is None or not family.fail_fast or ticket.spec.allow_failure or state.stopping is not None:
        return []
    others = [
        each
        for each in state.tickets.values()
        if each.spec.family == ticket.spec.family
        and each is not ticket
        and each.status not in TERMINAL
        and each.status is not Status.stopping
        and each.status is not Status.rolling_back
    ]
    return cancelled(state, others, now, by=by_fail_fast(ticket.spec.family), gone=gone)


def retry_delay(state: SessionState, ticket: TicketState) -> float:
    """Seconds until the next try: the ticket's delay, doubled for each try so far, give or take a quarter.

    The jitter keeps tickets that failed together from coming back together. It follows from the names of session,
    ticket and attempt, so that the rules stay free of chance.
    """
    spread = crc32(f"{state.session}/{ticket.id}.{ticket.attempts}".encode()) / 2**32
    return ticket.spec.retry_delay * 2.0 ** min(ticket.charged, MAX_DOUBLINGS) * (0.75 + 0.5 * spread)
