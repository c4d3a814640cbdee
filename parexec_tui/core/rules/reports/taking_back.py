"""What an attempt did is taken back: by its end, step by step, until it really ends.

The attempt stays live meanwhile: it keeps its claims. How it ends then was decided when its last step ended, and is
kept in `Attempt.outcome`.
"""

from typing import Final

from msgspec import structs

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.reports.ends import facts_of, step_ended
from parexec_tui.core.rules.reports.host import host_short, on_host_short
from parexec_tui.core.rules.verbs.on_failure import on_failure
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.session import STRIKES, SessionState
from parexec_tui.core.state.status import UNSUCCESSFUL, End, Status
from parexec_tui.core.state.steps import (
    after_rollback,
    first_of_rollback,
    is_rollback,
    last_rollback,
    next_rollback,
    step_timeout,
    takes_back,
)
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

MAX_STARTS: Final = 5
"""How often a `rollback` is started that is lost, before it counts as failed."""

ROLLED_BACK: Final = "rolled back"


def taken_back_first(
    state: SessionState, report: rq.AnyReport, events: list[ev.AnyEvent], now: float
) -> list[ev.AnyEvent]:
    """The events that follow from a report, of which the end of an attempt is put off until it is taken back.

    Files are restored here. A `rollback` that wants a host that is not reached has failed, and a person has to look.
    """
    for index, ended in enumerate(events):
        if isinstance(ended, ev.AttemptEnded):
            ticket = state.tickets[ended.ticket]
            if ended.end is End.succeeded or not ticket.spec.takes_back or not _began(ticket, report):
                return events
            if (step := first_of_rollback(state, ticket)) is None or takes_back(ticket.live_attempt.step):
                return events
            if isinstance(report, rq.LeaseElapsed) and is_rollback(step):
                problem = f"its host is not reached; it had ended: {ended.reason}"
                return _failed(state, ticket, structs.replace(ended, half_done=True), problem, report, now)
            started = ev.RollbackStarted(at=now, ticket=ticket.id, attempt=ticket.attempts, step=step, outcome=ended)
            # Of what follows from the end, only what the session does at a failure does not wait.
            at_once = (ev.SessionHeld, ev.SessionStopping, ev.AttemptStopRequested)
            return [*events[:index], started, *(event for event in events[index:] if isinstance(event, at_once))]
    return events


def _began(ticket: TicketState, report: rq.AnyReport) -> bool:
    """Whether the command of the ticket began: else there is nothing to take back."""
    if ticket.live_attempt.step != RUN:
        return True
    match report:
        case rq.ProcessEnded():
            return not (report.problem or report.host_short_of)
        case rq.ProcessLost():
            return report.began
        case _:
            return True


def rollback_over(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded | rq.ProcessLost, now: float
) -> list[ev.AnyEvent]:
    """The command `rollback` of a ticket is over: restore the files, or end the attempt. One that is lost is started
    again."""
    attempt = ticket.live_attempt
    stopped = attempt.stop_reason
    if isinstance(report, rq.ProcessEnded) and report.host_short_of and stopped is None:
        return on_host_short(state, host_short(report), now)  # the engine starts it when there is enough
    is_lost = isinstance(report, rq.ProcessLost) or report.stopped_for is not None
    if is_lost and stopped is None and attempt.rollbacks < MAX_STARTS:
        return [ev.StepStarted(at=now, ticket=ticket.id, attempt=attempt.number, step=next_rollback(ticket))]
    if stopped == "timed out" and (timeout := step_timeout(state, ticket)) is not None:
        problem = f"timed out after {format_duration(timeout)}"
    else:
        problem = _problem(report) if stopped is None else attempt.reason or "it was killed"
    if (then := after_rollback(state, ticket)) is None:
        is_cut_short = bool(problem) and facts_of(report).code is None
        return _over(state, ticket, now, problem, report, half_done=is_cut_short)
    ended = step_ended(ticket, report, now, passed=not problem, reason=problem)
    return [ended, ev.StepStarted(at=now, ticket=ticket.id, attempt=attempt.number, step=then)]


def _problem(report: rq.ProcessEnded | rq.ProcessLost) -> str:
    if isinstance(report, rq.ProcessLost):
        return report.reason
    if report.problem or report.code == 0:
        return report.problem
    return f"signal {report.signal}" if report.signal is not None else f"exit {report.code}"


def files_restored(
    state: SessionState, ticket: TicketState, report: rq.FilesRestored, now: float
) -> list[ev.AnyEvent]:
    """The files of a ticket are what they were, or that failed."""
    attempt = ticket.live_attempt
    problems = filter(None, (attempt.rollback_problem, *report.problems))
    half_done = bool(report.problems) or attempt.rollback_cut_short
    return _over(state, ticket, now, "; ".join(problems), report, half_done=half_done)


def _over(
    state: SessionState, ticket: TicketState, now: float, problem: str, report: rq.AnyReport, *, half_done: bool
) -> list[ev.AnyEvent]:
    """All is taken back, or what could be: the attempt ends."""
    attempt, facts = ticket.live_attempt, facts_of(report)
    outcome = attempt.outcome
    ended = outcome or ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        agent=attempt.agent,
        started=attempt.started,
        seconds=0.0,
        end=End.rolled_back,
        then=Status.rolled_back,
        ended_before=True,
    )
    ended = structs.replace(
        ended,
        at=now,
        seconds=round(attempt.worked(now), 6),
        ended=None,
        half_done=half_done,
        **attempt.used.then(facts.used).fields(),
    )
    if problem:
        return _failed(state, ticket, ended, problem, report, now)
    if outcome is None:
        return [structs.replace(ended, skipped=skips(state, ticket))]
    ended = structs.replace(ended, reason=", ".join(filter(None, (outcome.reason, ROLLED_BACK))))
    if outcome.then in UNSUCCESSFUL:
        ended = structs.replace(ended, skipped=skips(state, ticket))
    if outcome.retry_at is not None:  # the pause is after all that
        ended = structs.replace(ended, retry_at=outcome.retry_at + now - outcome.at)
    events: list[ev.AnyEvent] = [ended, *quarantine(state, ticket, ended, now)]
    return [*events, *on_failure(state, ticket, now)] if outcome.then is Status.failed else events


def _failed(
    state: SessionState, ticket: TicketState, ended: ev.AttemptEnded, problem: str, report: rq.AnyReport, now: float
) -> list[ev.AnyEvent]:
    """What an attempt did could not be taken back: nothing may build on it before a person has looked."""
    attempt = ticket.live_attempt
    is_restored = isinstance(report, rq.FilesRestored) and not report.problems
    after = f"; it had ended: {ended.reason or ended.end}" if attempt.outcome is not None else ""
    error_line = report.error_line if isinstance(report, rq.ProcessEnded | rq.ProcessLost) else attempt.error_line
    failed = structs.replace(
        ended,
        end=End.failed,
        then=Status.failed,
        code=None,
        signal=None,
        reason=f"rollback failed: {problem}{after}",
        charged=False,
        shunned="",
        retry_at=None,
        skipped=skips(state, ticket),
        error_line=error_line,
        step=last_rollback(attempt) if is_restored else attempt.step,
    )
    held = ev.SessionHeld(at=now, reason=f"rollback of {ticket.id} failed: {problem}")
    others = [event for event in on_failure(state, ticket, now) if not isinstance(event, ev.SessionHeld)]
    rest: list[ev.AnyEvent] = []
    if state.rollback is not None and ticket.id in state.rollback.left:
        rest.append(ev.RollbackEnded(at=now, reason=f"rollback of {ticket.id} failed"))
    return [failed, held, *rest, *others]


def quarantine(state: SessionState, ticket: TicketState, ended: ev.AttemptEnded, now: float) -> list[ev.AnyEvent]:
    """Put the agent in quarantine if this was one attempt too many that could not start on it."""
    agent = state.agents[ended.agent]
    if ended.end is not End.could_not_start or ended.ticket_at_fault or ended.host_at_fault:
        return []
    if agent.quarantined or state.blames_ticket(ticket, agent) or len(agent.strikes) + 1 < STRIKES:
        return []
    why = f"{STRIKES} attempts in a row could not start, the last: {ended.reason}"
    return [ev.AgentQuarantined(at=now, agent=agent.id, reason=why)]


def snapshot_made(state: SessionState, report: rq.SnapshotMade, now: float) -> list[ev.AnyEvent]:
    """A ticket has one snapshot: that of its newest attempt. Of too many bytes, the oldest are dropped."""
    ticket = state.tickets.get(report.ticket)
    before = state.file_snapshots.get(report.ticket)
    if ticket is None or report.attempt > ticket.attempts or (before and before.attempt >= report.attempt):
        return []
    dropped = [before] if before is not None else []
    excess = state.snapshots_size + report.size - sum(each.size for each in dropped)
    excess -= state.plan.settings.keep_snapshots
    if before is not None and state.half_done.get(before.ticket) == before.attempt:
        return []  # an attempt that must not be there: what may still be restored stays
    for kept in state.file_snapshots.values() if excess > 0 else ():
        if excess > 0 and kept is not before and not _is_wanted(state, kept):
            dropped.append(kept)
            excess -= kept.size
    return [
        *(ev.SnapshotDropped(at=now, ticket=kept.ticket, attempt=kept.attempt) for kept in dropped),
        ev.SnapshotTaken(at=now, ticket=report.ticket, attempt=report.attempt, files=report.files, size=report.size),
    ]


def _is_wanted(state: SessionState, kept: ev.SnapshotTaken) -> bool:
    asked = state.rollback.left if state.rollback is not None else ()
    return kept.ticket in state.live or kept.ticket in asked or kept.ticket in state.half_done
