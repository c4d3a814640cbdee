"""A process was started, ended, or is lost; or a step without a process is over."""

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.retries import exit_code
from parexec_tui.core.rules.lost_hosts import given_up
from parexec_tui.core.rules.reports.already_done import answer_lost, answered
from parexec_tui.core.rules.reports.checks import output_searched
from parexec_tui.core.rules.reports.coding import coding_ended, known_at_end, last_word
from parexec_tui.core.rules.reports.ends import (
    NOT_EXECUTABLE,
    NOT_FOUND,
    attempt_ended,
    exit_text,
    passed,
    reported,
)
from parexec_tui.core.rules.reports.failures import failed, failed_for_good
from parexec_tui.core.rules.reports.gates import gate_ended, gate_failed
from parexec_tui.core.rules.reports.host import host_short, on_host_short, set_aside
from parexec_tui.core.rules.reports.logs import ended_as_flood, has_flooded
from parexec_tui.core.rules.reports.lost_merges import lost_before_start
from parexec_tui.core.rules.reports.stops import ended_on_purpose
from parexec_tui.core.rules.reports.taking_back import files_restored, quarantine, rollback_over
from parexec_tui.core.rules.reports.worktrees import conflict_resolved
from parexec_tui.core.schedule.placement import has_room, pinned_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import OUTPUTS_AGAIN, RESTORE, RUN, check_number, is_check
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.steps import (
    after_gates,
    after_outputs,
    again,
    first_proof,
    gate_step,
    gates_of,
    is_resolve,
    is_rollback,
    step_started,
)
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

_NAMED_GATES = 3
"""Gates that are named after which outputs are gone."""

START_TRIES = 3
"""Agents that a ticket is tried on if it cannot start. After that the ticket counts as at fault, not the agents."""


def on_process_started(state: SessionState, report: rq.ProcessStarted, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
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


def on_process_ended(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return answered(state, report, now)
    is_command = report.step == RUN
    if report.step == RESTORE:  # no process runs in it
        return []
    if not is_command and is_rollback(report.step):
        return rollback_over(state, ticket, report, now)
    if not is_command and is_resolve(report.step) and ticket.live_attempt.stop_reason in (None, "stopped"):
        return conflict_resolved(state, ticket, report, now)
    if ticket.live_attempt.stop_reason is not None or report.stopped_for is not None:
        if (said := last_word(state, ticket, report)) is not None:
            return coding_ended(state, ticket, report, said, now)
        return [*known_at_end(state, ticket, report, now), *ended_on_purpose(state, ticket, report, now)]
    gate = None if is_command else gate_step(state, ticket)
    if report.host_short_of and gate is not None:  # the engine starts it when there is enough
        return on_host_short(state, host_short(report), now)
    if report.lost and (waits := lost_before_start(state, ticket, report, now)):
        return waits
    if report.host_short_of or report.taken:
        return _put_back(state, ticket, report, now)
    if gate is not None:
        return gate_ended(state, ticket, gate, report, now)
    if report.said is not None and not report.out_of_memory and not report.problem:
        return coding_ended(state, ticket, report, report.said, now)
    if _is_expected(ticket, report) and report.bad_values:
        return failed(state, ticket, report, End.failed, f"its values: {report.bad_values}", now)
    if _is_expected(ticket, report):
        return passed(state, ticket, report, first_proof(state, ticket), now)
    if report.ticket_at_fault:
        return failed_for_good(state, ticket, report, End.could_not_start, report.problem, now, ticket_at_fault=True)
    if report.problem or report.code in (NOT_EXECUTABLE, NOT_FOUND):
        return _could_not_start(state, ticket, report, now)
    if report.out_of_memory:
        return failed(state, ticket, report, End.out_of_memory, report.out_of_memory, now)
    if has_flooded(state, ticket, report, now):
        return ended_as_flood(state, ticket, report, now)
    return failed(state, ticket, report, End.failed, exit_text(report), now)


def _is_expected(ticket: TicketState, report: rq.ProcessEnded) -> bool:
    """Whether the exit code of the command counts as success."""
    return not report.problem and exit_code(report.code, report.signal) in ticket.spec.expect_codes


def _put_back(state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    """Its command never began: the host was short of something, and nothing starts until it has more; or another
    program has a unit that it was to have, and it gets another one."""
    again = attempt_ended(
        ticket, report, End.could_not_start, Status.waiting, now, reason=report.problem, host_at_fault=True
    )
    if report.taken:
        return [again, *set_aside(state, report.taken, now)]
    return [again, *on_host_short(state, host_short(report), now)]


def _could_not_start(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    assert ticket.agent is not None
    agent = state.agents[ticket.agent]
    problem = report.problem or ("command not found" if report.code == NOT_FOUND else "command not executable")
    reason = f"{problem} (exit {report.code})" if report.code is not None else problem
    if len(ticket.excluded_agents) + 1 < START_TRIES and _has_other_agent(state, ticket):
        again = attempt_ended(
            ticket, report, End.could_not_start, Status.waiting, now, reason=reason, shunned=agent.id
        )
        events: list[ev.AnyEvent] = [again]
    else:
        events = failed(state, ticket, report, End.could_not_start, reason, now)
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


def on_process_lost(state: SessionState, report: rq.ProcessLost, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return answer_lost(state, report, now)
    if report.step == RESTORE:  # no process runs in it
        return []
    if is_rollback(report.step):
        return rollback_over(state, ticket, report, now)
    if is_resolve(report.step) and ticket.live_attempt.stop_reason in (None, "stopped"):
        return conflict_resolved(state, ticket, report, now)
    if ticket.live_attempt.stop_reason is not None or report.stopped_for is not None:
        return ended_on_purpose(state, ticket, report, now)
    if report.host_at_fault:
        return given_up(state, ticket, report.reason, now)
    gate = gate_step(state, ticket)
    if not report.began:
        if gate is not None:
            return [step_started(state, ticket, again(gate), now)]
        return [attempt_ended(ticket, report, End.lost, Status.waiting, now, reason=report.reason)]
    if gate is not None:
        return gate_failed(state, ticket, gate, report, report.reason, now, End.lost)
    return failed(state, ticket, report, End.lost, report.reason, now)


def on_output_searched(state: SessionState, report: rq.OutputSearched, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    if ticket.live_attempt.stop_reason is not None:
        return ended_on_purpose(state, ticket, report, now)
    return output_searched(state, ticket, report, now)


def on_outputs_checked(state: SessionState, report: rq.OutputsChecked, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    if ticket.live_attempt.stop_reason is not None:
        return ended_on_purpose(state, ticket, report, now)
    is_second = report.step == OUTPUTS_AGAIN
    if report.problems:
        since = f", gone since {_gates(state, ticket)}" if is_second else ""
        return failed(state, ticket, report, End.failed, f"{'; '.join(report.problems)}{since}", now)
    then = after_gates(state, ticket) if is_second else after_outputs(state, ticket)
    return passed(state, ticket, report, then, now)


def _gates(state: SessionState, ticket: TicketState) -> str:
    """The gates of a ticket, in words: `gate lint`, `gates lint and test`."""
    titles = [gate.title or gate.alternatives[0].title for gate in gates_of(state, ticket)]
    return f"{'gate' if len(titles) == 1 else 'gates'} {listed(titles, limit=_NAMED_GATES)}"


def on_files_restored(state: SessionState, report: rq.FilesRestored, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    return files_restored(state, ticket, report, now) if ticket is not None else []


def on_strays_found(state: SessionState, report: rq.StraysFound, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets.get(report.ticket)
    if ticket is None or report.attempt > ticket.attempts:
        return []
    check = ""
    if is_check(report.step):
        attempt, number = ticket.attempt, check_number(report.step)
        if attempt is None or attempt.number != report.attempt or number >= len(ticket.spec.checks):
            return []
        check = ticket.spec.checks[number].title
        if check in attempt.check_strays:
            return []  # it looks again and again
    return [
        ev.StraysEnded(
            at=now,
            ticket=report.ticket,
            attempt=report.attempt,
            commands=report.commands,
            count=report.count,
            check=check,
        )
    ]
