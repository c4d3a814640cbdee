"""The steps of tickets as facts and in lines."""

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state.process_key import CONDITIONS, SKIP_IF, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.step_record import StepRecord
from parexec_tui.core.wire.protocol import StepReport
from parexec_tui.text.words import printable, why_ended


def step_reports(state: SessionState, ticket: str) -> tuple[StepReport, ...]:
    """The steps of the newest attempt of a ticket, in order; none if its command was the only one."""
    return tuple(_report(ticket, record) for record in state.steps.get(ticket, ()))


def _report(ticket: str, record: StepRecord) -> StepReport:
    is_silent = record.step in WITHOUT_PROCESS or record.step.startswith(CONDITIONS)
    has_log = record.step.startswith(SKIP_IF) or not is_silent
    return StepReport(
        record.step,
        record.title,
        record.number,
        record.of,
        record.passed,
        None if record.seconds is None else round(record.seconds, 3),
        why_ended(record.reason, record.signal, record.error_line),
        f"{ProcessKey(ticket, record.attempt, record.step)}.log" if has_log else None,
    )


def step_line(step: StepReport) -> str:
    """A step in a line: `gate-1 lint  passed in 2.0s  T.1.gate-1.log`."""
    word = "runs" if step.seconds is None else {True: "passed", False: "did not pass", None: "ended"}[step.passed]
    took = f" in {format_duration(step.seconds)}" if step.seconds is not None else ""
    name = f"{step.step} {step.title}".strip()
    parts = (name, f"{word}{took}{f': {step.reason}' if step.reason else ''}", step.log or "")
    return printable("  ".join(filter(None, parts)))
