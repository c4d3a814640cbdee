"""A gate is over: the next one, the same one again, one of its alternatives, or the end of the attempt."""

from parexec_tui.core.rules.reports.ends import NOT_FOUND, Exit, exit_text, passed, step_ended
from parexec_tui.core.rules.reports.failures import failed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import GateStep, after_gate, step_started
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def gate_ended(
    state: SessionState, ticket: TicketState, gate: GateStep, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    if report.code == 0 and not report.problem:
        return passed(state, ticket, report, after_gate(state, ticket, gate, passed=True), now)
    if report.code == NOT_FOUND and not report.problem:
        return gate_failed(state, ticket, gate, report, "command not found (exit 127)", now)
    if report.out_of_memory:
        why = f"{End.out_of_memory} {report.out_of_memory}"
        return gate_failed(state, ticket, gate, report, why, now, End.out_of_memory)
    return gate_failed(state, ticket, gate, report, report.problem or exit_text(report), now)


def gate_failed(
    state: SessionState,
    ticket: TicketState,
    gate: GateStep,
    report: Exit,
    why: str,
    now: float,
    end: End = End.failed,
) -> list[ev.AnyEvent]:
    """Try the gate again, or another one of which one has to hold, or fail the attempt."""
    reason = f"gate {gate.title}: {why}"
    if (then := after_gate(state, ticket, gate, passed=False)) is None:
        return failed(state, ticket, report, end, reason, now)
    tried = step_ended(ticket, report, now, passed=False, reason=reason)
    return [tried, step_started(state, ticket, then, now)]
