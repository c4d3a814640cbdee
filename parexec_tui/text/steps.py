"""The steps of tickets as facts and in lines."""

from msgspec.structs import replace

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state.process_key import CONDITIONS, SKIP_IF, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.step_record import StepRecord
from parexec_tui.core.state.steps import OWED, is_owed
from parexec_tui.core.wire.protocol import StepReport
from parexec_tui.text.words import printable, why_ended


def step_reports(state: SessionState, ticket: str) -> tuple[StepReport, ...]:
    """The steps of the newest attempt of a ticket, in order; none if its command was the only one."""
    reports = tuple(_report(ticket, record) for record in state.steps.get(ticket, ()))
    if reports and ticket in state.live and is_owed(state, state.live[ticket]):
        return (*reports[:-1], replace(reports[-1], reason=f"has not begun: {OWED}", log=None))
    return reports


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
    if step.seconds is None:
        said = step.reason or "runs"
    else:
        word = {True: "passed", False: "did not pass", None: "ended"}[step.passed]
        said = f"{word} in {format_duration(step.seconds)}{f': {step.reason}' if step.reason else ''}"
    parts = (f"{step.step} {step.title}".strip(), said, step.log or "")
    return printable("  ".join(filter(None, parts)))
