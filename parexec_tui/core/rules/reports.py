"""What follows from a report: what a process, a timer or the monitor tells the engine.

Pure: it reads the state and returns the events to apply, in order. It changes nothing.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

from msgspec import structs

from parexec_tui.core.plan import retries
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.retries import exit_code, is_named
from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.flood import Disk, has_filled
from parexec_tui.core.rules.taking_back import (
    files_restored,
    quarantine,
    rollback_over,
    snapshot_made,
    taken_back_first,
)
from parexec_tui.core.rules.verbs.on_failure import on_failure
from parexec_tui.core.schedule.blockers import has_room, pinned_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import OUTPUTS, RESTORE, RUN
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES, End, Status, StopReason
from parexec_tui.core.state.steps import (
    GateStep,
    after_gate,
    again,
    first_check,
    first_gate,
    gate_step,
    is_rollback,
    step_timeout,
)
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

START_TRIES = 3
"""Agents that a ticket is tried on if it cannot start. After that the ticket counts as at fault, not the agents."""

RELIEF = 1.05
"""A disk counts as relieved when this many times the floor is free, so that it does not go back and forth."""

MAX_DOUBLINGS = 20
"""The most times that a retry delay is doubled: nobody waits a million times the delay."""

ALREADY_DONE = "already done"

FRESH = "up to date"

FLOODED = "its output was filling the disk"

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What a shell exits with when it cannot start a command (POSIX, 2.8.2)."""


def on_report(state: SessionState, report: rq.AnyReport, now: float) -> list[ev.AnyEvent]:
    """The events that follow from a report; none from one that came too late, for an attempt that is over."""
    events = taken_back_first(state, report, _REPORTS[type(report)](state, report, now), now)
    for event in events:
        if isinstance(event, ev.AttemptEnded):
            agent = state.agents[event.agent]
            if agent.draining and agent.ticket == event.ticket:
                return [*events, ev.AgentStopped(at=now, agent=event.agent, reason="drained")]
    return events


_Exit = rq.ProcessEnded | rq.ProcessLost

_StepReport = _Exit | rq.OutputsChecked
"""What ends a step."""


def _attempt(state: SessionState, report: rq.Report) -> TicketState | None:
    """The ticket that the report is about; None if its attempt or its step is over."""
    ticket = state.live.get(report.ticket)
    if ticket is None or ticket.attempts != report.attempt or ticket.live_attempt.step != report.step:
        return None
    return ticket


def _on_process_started(state: SessionState, report: rq.ProcessStarted, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None or ticket.live_attempt.pid is not None:
        return []
    return [
        ev.AttemptSpawned(
            at=now,
            ticket=report.ticket,
            attempt=report.attempt,
            pid=report.pid,
            birth=report.birth,
            step=report.step,
        )
    ]


def _on_process_ended(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None:
        return _answered(state, report, now)
    if report.step == RESTORE:  # no process runs in it
        return []
    if is_rollback(report.step):
        return rollback_over(state, ticket, report, now)
    if ticket.live_attempt.stop_reason is not None or report.stopped_for is not None:
        return _ended_on_purpose(state, ticket, report, now)
    if report.host_short_of:
        return _put_back(state, ticket, report, now)
    if (gate := gate_step(state, ticket)) is not None:
        return _gate_ended(state, ticket, gate, report, now)
    if _is_expected(ticket, report):
        return _passed(state, ticket, report, first_check(state, ticket), now)
    if report.ticket_at_fault:
        return _failed_for_good(state, ticket, report, End.could_not_start, report.problem, now, ticket_at_fault=True)
    if report.problem or report.code in (NOT_EXECUTABLE, NOT_FOUND):
        return _could_not_start(state, ticket, report, now)
    if _has_flooded(state, ticket, report, now):
        return _ended_as_flood(state, ticket, report, now)
    return _failed(state, ticket, report, End.failed, _exit(report), now)


def _is_expected(ticket: TicketState, report: rq.ProcessEnded) -> bool:
    """Whether the exit code of the command counts as success."""
    return not report.problem and exit_code(report.code, report.signal) in ticket.spec.expect_codes


def _answered(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    """What follows from the end of a `skip_if`; nothing if nobody waits for its answer any more."""
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if state.is_ended_by_stop(ticket) or report.stopped_for is not None or report.host_short_of:
        again = ev.CheckEnded(at=now, ticket=ticket.id, again=True)
        short = rq.HostShort(report.host_short_of, report.problem) if report.host_short_of else None
        return [again, *(_on_host_short(state, short, now) if short is not None else [])]
    if report.code == 0 and not report.problem:
        return [ev.TicketSatisfied(at=now, ticket=ticket.id, reason=f"{ALREADY_DONE}: skip_if succeeded")]
    is_no = report.code is not None and report.code < NOT_EXECUTABLE and not report.problem
    return [ev.CheckEnded(at=now, ticket=ticket.id, reason="" if is_no else report.problem or _exit(report))]


def _asked(state: SessionState, report: rq.Report) -> TicketState | None:
    """The ticket that waits for the answer in this report."""
    ticket = state.asking.get(report.ticket)
    return ticket if ticket is not None and (report.attempt, report.step) == (0, ticket.asking) else None


def _on_done_checked(state: SessionState, report: rq.DoneChecked, now: float) -> list[ev.AnyEvent]:
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if not report.done:
        return [ev.CheckEnded(at=now, ticket=ticket.id)]
    files = ticket.spec.if_done
    reason = f"{ALREADY_DONE}: {listed(files, limit=4)} {'exists' if len(files) == 1 else 'exist'}"
    return [ev.TicketSatisfied(at=now, ticket=ticket.id, reason=reason)]


def _on_freshness_checked(state: SessionState, report: rq.FreshnessChecked, now: float) -> list[ev.AnyEvent]:
    ticket = _asked(state, report)
    if ticket is None:
        return []
    if report.stale:
        return [ev.CheckEnded(at=now, ticket=ticket.id, stale=report.stale)]
    return [ev.TicketSatisfied(at=now, ticket=ticket.id, reason=FRESH)]


def _exit(report: rq.ProcessEnded) -> str:
    if report.signal is not None:
        return f"signal {report.signal}"
    return f"exit {report.code}" + (", which is not in expect_codes" if report.code == 0 else "")


def _passed(
    state: SessionState, ticket: TicketState, report: _StepReport, then: str | None, now: float
) -> list[ev.AnyEvent]:
    """Go on to the step `then` after one that succeeded; None: the attempt has succeeded."""
    if then is None:
        more = {"reason": _exit(report)} if isinstance(report, rq.ProcessEnded) and report.code != 0 else {}
        done = Status.approval if ticket.spec.approve == "after" else Status.succeeded
        return [_ended(ticket, report, End.succeeded, done, now, **more)]
    return [_step_ended(ticket, report, now, passed=True), _step_started(state, ticket, then, now)]


def _step_ended(ticket: TicketState, report: _StepReport, now: float, *, passed: bool, **more: Any) -> ev.StepEnded:
    if isinstance(report, rq.ProcessEnded):
        more |= {
            "code": report.code,
            "signal": report.signal,
            "cpu_seconds": report.cpu_seconds,
            "peak_memory": report.peak_memory,
        }
    attempt = ticket.live_attempt
    return ev.StepEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        step=attempt.step,
        seconds=round(attempt.step_worked(now), 6),
        passed=passed,
        **more,
    )


def _step_started(state: SessionState, ticket: TicketState, step: str, now: float) -> ev.StepStarted:
    gate = gate_step(state, ticket, step)
    if gate is None:
        return ev.StepStarted(at=now, ticket=ticket.id, attempt=ticket.attempts, step=step)
    return ev.StepStarted(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        step=step,
        title=gate.title,
        number=gate.number,
        of=gate.of,
    )


def _on_outputs_checked(state: SessionState, report: rq.OutputsChecked, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None:
        return []
    if ticket.live_attempt.stop_reason is not None:
        return _ended_on_purpose(state, ticket, report, now)
    if report.problems:
        return _failed(state, ticket, report, End.failed, "; ".join(report.problems), now)
    return _passed(state, ticket, report, first_gate(state, ticket), now)


def _on_files_restored(state: SessionState, report: rq.FilesRestored, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    return files_restored(state, ticket, report, now) if ticket is not None else []


def _gate_ended(
    state: SessionState, ticket: TicketState, gate: GateStep, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    if report.code == 0 and not report.problem:
        return _passed(state, ticket, report, after_gate(state, ticket, gate, passed=True), now)
    if report.code == NOT_FOUND and not report.problem:
        return _gate_failed(state, ticket, gate, report, "command not found (exit 127)", now)
    return _gate_failed(state, ticket, gate, report, report.problem or _exit(report), now)


def _gate_failed(
    state: SessionState,
    ticket: TicketState,
    gate: GateStep,
    report: _Exit,
    why: str,
    now: float,
    end: End = End.failed,
) -> list[ev.AnyEvent]:
    """Try the gate again, or another one of which one has to hold, or fail the attempt."""
    reason = f"gate {gate.title}: {why}"
    if (then := after_gate(state, ticket, gate, passed=False)) is None:
        return _failed(state, ticket, report, end, reason, now)
    tried = _step_ended(ticket, report, now, passed=False, reason=reason, error_line=report.error_line)
    return [tried, _step_started(state, ticket, then, now)]


def _has_flooded(state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float) -> bool:
    """Whether it failed because its own output filled the disk."""
    floor = state.plan.settings.min_free_disk
    return report.free is not None and has_filled(report.log_size, ticket.worked(now), Disk(report.free, floor))


def _ended_as_flood(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    """It is not tried again by itself: it would do the same again, and others would suffer."""
    why = _flood(ticket, report.log_size, now)
    asked = ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="flooding", detail=why)
    return [asked, *_failed_as_flood(state, ticket, report, why, now)]


def _failed_as_flood(
    state: SessionState, ticket: TicketState, report: _StepReport, why: str, now: float
) -> list[ev.AnyEvent]:
    """What it printed says nothing about its failure."""
    silent = structs.replace(report, error_line="") if isinstance(report, _Exit) else report
    return _failed_for_good(state, ticket, silent, End.failed, why, now)


def _flood(ticket: TicketState, size: int, now: float) -> str:
    """What it printed, and how fast."""
    return f"{FLOODED}: {format_size(size)} in {format_duration(ticket.worked(now))}"


def _ended(
    ticket: TicketState, report: _StepReport, end: End, then: Status, now: float, **more: Any
) -> ev.AttemptEnded:
    """The end of the current attempt, with the facts that its process reported."""
    attempt = ticket.live_attempt
    cpu_seconds, peak_memory = attempt.cpu_seconds, attempt.peak_memory
    if isinstance(report, rq.ProcessEnded):
        more |= {"code": report.code, "signal": report.signal}
        cpu_seconds, peak_memory = cpu_seconds + report.cpu_seconds, max(peak_memory, report.peak_memory)
    if end in FAILURES and isinstance(report, _Exit) and not more.get("host_at_fault"):
        more["error_line"] = report.error_line
    if attempt.step != RUN:
        more["step"] = attempt.step
    return ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        agent=attempt.agent,
        started=attempt.started,
        seconds=round(attempt.worked(now), 6),
        cpu_seconds=cpu_seconds,
        peak_memory=peak_memory,
        end=end,
        then=then,
        **more,
    )


def _ended_on_purpose(state: SessionState, ticket: TicketState, report: _StepReport, now: float) -> list[ev.AnyEvent]:
    reason = ticket.live_attempt.stop_reason
    if reason is None:
        assert isinstance(report, _Exit)
        assert report.stopped_for is not None
        asked = ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why=report.stopped_for)
        return [asked, *_ended_for(report.stopped_for, state, ticket, report, now)]
    return _ended_for(reason, state, ticket, report, now)


def _ended_for(
    reason: StopReason, state: SessionState, ticket: TicketState, report: _StepReport, now: float
) -> list[ev.AnyEvent]:
    match reason:
        case "timed out":
            return _timed_out(state, ticket, report, now)
        case "cancelled":
            skipped = skips(state, ticket)
            return [_ended(ticket, report, End.cancelled, Status.cancelled, now, skipped=skipped)]
        case "reassigned":
            return [
                _ended(
                    ticket,
                    report,
                    End.stopped,
                    Status.waiting,
                    now,
                    reason=f"moved to {ticket.pin}" if ticket.pin else "",
                )
            ]
        case "check":
            return _failed(state, ticket, report, End.failed, ticket.live_attempt.reason or "a check failed", now)
        case "flooding":
            why = ticket.live_attempt.reason or FLOODED
            return _failed_as_flood(state, ticket, report, why, now)
        case "stopped":
            return [_ended(ticket, report, End.stopped, Status.waiting, now, reason="")]


def _timed_out(state: SessionState, ticket: TicketState, report: _StepReport, now: float) -> list[ev.AnyEvent]:
    timeout = step_timeout(state, ticket)
    why = f"after {format_duration(timeout)}" if timeout is not None else ""
    if (gate := gate_step(state, ticket)) is None:
        return _failed(state, ticket, report, End.timed_out, why, now)
    assert isinstance(report, _Exit)
    return _gate_failed(state, ticket, gate, report, why, now, End.timed_out)


def _put_back(state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    """Its command never began, for want of something that the host was short of: nothing starts until it has more."""
    again = _ended(
        ticket, report, End.could_not_start, Status.waiting, now, reason=report.problem, host_at_fault=True
    )
    return [again, *_on_host_short(state, rq.HostShort(report.host_short_of, report.problem), now)]


def _could_not_start(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    assert ticket.agent is not None
    agent = state.agents[ticket.agent]
    problem = report.problem or ("command not found" if report.code == NOT_FOUND else "command not executable")
    reason = f"{problem} (exit {report.code})" if report.code is not None else problem
    if len(ticket.excluded_agents) + 1 < START_TRIES and _has_other_agent(state, ticket):
        again = _ended(ticket, report, End.could_not_start, Status.waiting, now, reason=reason, shunned=agent.id)
        events: list[ev.AnyEvent] = [again]
    else:
        events = _failed(state, ticket, report, End.could_not_start, reason, now)
    ended = events[0]
    assert isinstance(ended, ev.AttemptEnded)
    events[1:1] = quarantine(state, ticket, ended, now)
    return events


def _has_other_agent(state: SessionState, ticket: TicketState) -> bool:
    """Whether an agent on which it has not failed to start can run it, now or later."""
    if pinned_agent(state, ticket) is not None:
        return False
    if any(has_room(state, type_) for type_ in ticket.types):
        return True
    excluded = {*ticket.excluded_agents, ticket.agent}
    return any(
        agent.type in ticket.types and agent.id not in excluded and not (agent.stopped or agent.quarantined)
        for agent in state.agents.values()
    )


def _on_process_lost(state: SessionState, report: rq.ProcessLost, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None:
        lost = _asked(state, report)
        tries_again = lost is not None and lost.asked < START_TRIES
        why = "" if tries_again else report.reason
        return [ev.CheckEnded(at=now, ticket=lost.id, reason=why, again=tries_again)] if lost is not None else []
    if report.step == RESTORE:  # no process runs in it
        return []
    if is_rollback(report.step):
        return rollback_over(state, ticket, report, now)
    if ticket.live_attempt.stop_reason is not None or report.stopped_for is not None:
        return _ended_on_purpose(state, ticket, report, now)
    gate = gate_step(state, ticket)
    if not report.began:
        if gate is not None:
            return [_step_started(state, ticket, again(gate), now)]
        return [_ended(ticket, report, End.lost, Status.waiting, now, reason=report.reason)]
    if gate is not None:
        return _gate_failed(state, ticket, gate, report, report.reason, now, End.lost)
    return _failed(state, ticket, report, End.lost, report.reason, now)


def _on_check_made(state: SessionState, report: rq.CheckMade, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
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


def _on_strays_found(state: SessionState, report: rq.StraysFound, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets.get(report.ticket)
    if ticket is None or report.attempt > ticket.attempts:
        return []
    return [
        ev.StraysEnded(
            at=now, ticket=report.ticket, attempt=report.attempt, commands=report.commands, count=report.count
        )
    ]


def _on_log_too_long(state: SessionState, report: rq.LogTooLong, now: float) -> list[ev.AnyEvent]:
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


def _on_log_flooded(state: SessionState, report: rq.LogFlooded, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
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


def _on_timeout(state: SessionState, report: rq.TimeoutElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None or ticket.status is Status.stopping or ticket.is_frozen:
        return []
    return [ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="timed out")]


def _on_backoff_elapsed(state: SessionState, report: rq.BackoffElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets.get(report.ticket)
    if ticket is None or ticket.status is not Status.backoff or ticket.retry_at is None or now < ticket.retry_at:
        return []
    return [ev.BackoffEnded(at=now, ticket=ticket.id)]


def _on_disk_measured(state: SessionState, report: rq.DiskMeasured, now: float) -> list[ev.AnyEvent]:
    floor = state.plan.settings.min_free_disk
    pressed = state.pressed.get(report.resource)
    if pressed is None and (report.free is None or report.free >= floor):
        return []
    if report.free is None or (pressed is not None and report.free >= floor * RELIEF):
        return [ev.HostRelieved(at=now, resource=report.resource)]
    if pressed is not None and not _has_changed_much(pressed.free, report.free, floor):
        return []
    text = f"{format_size(report.free)} free in {report.folder}, the plan wants {format_size(floor)}"
    return [ev.HostPressed(at=now, resource=report.resource, text=text, free=report.free)]


def _has_changed_much(said: int | None, free: int, floor: float) -> bool:
    """Whether it is worth an event that there is another amount of room than was said: half as much, or an eighth of
    what the plan wants more or less."""
    return said is None or 2 * free < said or abs(free - said) >= floor / 8


def _on_host_short(state: SessionState, report: rq.HostShort, now: float) -> list[ev.AnyEvent]:
    if bool(report.text) == (report.resource in state.pressed):
        return []
    if report.text:
        return [ev.HostPressed(at=now, resource=report.resource, text=report.text)]
    return [ev.HostRelieved(at=now, resource=report.resource)]


def _on_neighbours_changed(state: SessionState, report: rq.NeighboursChanged, now: float) -> list[ev.AnyEvent]:
    seen = {each.session: each for each in (*state.neighbours, *report.found) if each.session not in report.left}
    neighbours = tuple(seen.values())
    return [] if neighbours == state.neighbours else [ev.NeighboursSeen(at=now, neighbours=neighbours)]


def _on_idle_elapsed(state: SessionState, report: rq.IdleElapsed, now: float) -> list[ev.AnyEvent]:
    agent = state.agents[report.agent]
    min_agents = state.plan.agents[agent.type].min
    if not agent.is_available or state.pool_size[agent.type] <= min_agents:
        return []
    return [ev.AgentStopped(at=now, agent=agent.id, reason="idle")]


def _failed(
    state: SessionState, ticket: TicketState, report: _StepReport, end: End, reason: str, now: float
) -> list[ev.AnyEvent]:
    """The events of a failed attempt: another try if the ticket has retries left, else what its failure means."""
    used, most = ticket.budget(end)
    if used < most and _is_retried(ticket, report, end):
        retry_at = now + retry_delay(state, ticket)
        again = _ended(ticket, report, end, Status.backoff, now, reason=reason, charged=True, retry_at=retry_at)
        return [again]
    return _failed_for_good(state, ticket, report, end, reason, now)


def _is_retried(ticket: TicketState, report: _StepReport, end: End) -> bool:
    """Whether `retry_on` of the ticket names the failure."""
    step = ticket.live_attempt.step
    if step == RUN:
        # A command that took too long was ended by us: its signal says nothing.
        ended = report if isinstance(report, rq.ProcessEnded) and end is not End.timed_out else None
        code, signal = (ended.code, ended.signal) if ended is not None else (None, None)
        return is_named(ticket.spec.retry_on, (end,), code, signal)
    if step == OUTPUTS:
        return is_named(ticket.spec.retry_on, (retries.OUTPUTS,), None, None)
    words = (end,) if end is End.lost else (retries.GATE, end) if end is End.timed_out else (retries.GATE,)
    return is_named(ticket.spec.retry_on, words, None, None)


def _failed_for_good(
    state: SessionState,
    ticket: TicketState,
    report: _StepReport,
    end: End,
    reason: str,
    now: float,
    *,
    ticket_at_fault: bool = False,
) -> list[ev.AnyEvent]:
    """The events of a failed attempt after which there is no other try."""
    failed = _ended(
        ticket,
        report,
        end,
        Status.failed,
        now,
        reason=reason,
        skipped=skips(state, ticket),
        ticket_at_fault=ticket_at_fault,
    )
    return [failed, *on_failure(state, ticket, now)]


def _on_history_read(state: SessionState, report: rq.HistoryRead, now: float) -> list[ev.AnyEvent]:
    """Once in a session, and only about tickets whose estimate the plan does not give."""
    if state.learned or not state.unfinished:
        return []
    seconds = {
        id_: round(seconds, 3)
        for id_, seconds in report.seconds.items()
        if (ticket := state.tickets.get(id_)) is not None and ticket.spec.estimate is None
    }
    return [ev.DurationsLearned(at=now, seconds=seconds)] if seconds else []


def retry_delay(state: SessionState, ticket: TicketState) -> float:
    """Seconds until the next try: the ticket's delay, doubled for each try so far, give or take a quarter.

    The jitter keeps tickets that failed together from coming back together. It follows from the names of session,
    ticket and attempt, so that the rules stay free of chance.
    """
    spread = crc32(f"{state.session}/{ticket.id}.{ticket.attempts}".encode()) / 2**32
    return ticket.spec.retry_delay * 2.0 ** min(ticket.charged, MAX_DOUBLINGS) * (0.75 + 0.5 * spread)


_REPORTS: dict[type, Callable[[SessionState, Any, float], list[ev.AnyEvent]]] = {
    rq.ProcessStarted: _on_process_started,
    rq.ProcessEnded: _on_process_ended,
    rq.ProcessLost: _on_process_lost,
    rq.OutputsChecked: _on_outputs_checked,
    rq.DoneChecked: _on_done_checked,
    rq.FreshnessChecked: _on_freshness_checked,
    rq.SnapshotMade: snapshot_made,
    rq.FilesRestored: _on_files_restored,
    rq.CheckMade: _on_check_made,
    rq.StraysFound: _on_strays_found,
    rq.LogTooLong: _on_log_too_long,
    rq.LogFlooded: _on_log_flooded,
    rq.TimeoutElapsed: _on_timeout,
    rq.BackoffElapsed: _on_backoff_elapsed,
    rq.DiskMeasured: _on_disk_measured,
    rq.HostShort: _on_host_short,
    rq.NeighboursChanged: _on_neighbours_changed,
    rq.HistoryRead: _on_history_read,
    rq.IdleElapsed: _on_idle_elapsed,
}
