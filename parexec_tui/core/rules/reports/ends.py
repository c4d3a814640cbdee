"""How a step or an attempt ends: the events of that, with the facts that its process reported."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.process_key import MERGE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES, End, Status, StopReason
from parexec_tui.core.state.steps import step_started
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What a shell exits with when it cannot start a command (POSIX, 2.8.2)."""

Exit = rq.ProcessEnded | rq.ProcessLost
"""What ends a process."""

StepReport = Exit | rq.OutputSearched | rq.OutputsChecked | rq.TicketsRead | rq.ClaimsChecked | rq.WorkTried
"""What ends a step."""


_TELL_WHY: Final[frozenset[StopReason]] = frozenset(("check", "silent"))
"""What an attempt was ended for, where the reason says all: its last line is like the others."""


class Facts(NamedTuple):
    """What a process reported of its end."""

    code: int | None = None
    signal: int | None = None
    used: Used = Used()
    error_line: str = ""
    ended: float | None = None
    values: Mapping[str, str] = {}
    figures: Figures | None = None


def facts_of(report: rq.AnyReport) -> Facts:
    """Those of a process that is lost, or of a step without a process, are not known."""
    match report:
        case rq.ProcessEnded():
            return Facts(
                report.code,
                report.signal,
                report.used,
                report.error_line,
                report.ended,
                report.values,
                None if report.said is None else _figures(report.said),
            )
        case rq.ProcessLost():
            return Facts(error_line=report.error_line)
        case _:
            return Facts()


def _figures(said: rq.Said) -> Figures:
    told = Figures(said.cost, said.inp, said.out, said.cached, said.turns, is_computed=said.is_computed)
    return told.to_the_least() if said.is_least else told


def reported(state: SessionState, report: rq.Report) -> TicketState | None:
    """The ticket that the report is about; None if its attempt or its step is over."""
    ticket = state.live.get(report.ticket)
    if ticket is None or ticket.attempts != report.attempt or ticket.live_attempt.step != report.step:
        return None
    return ticket


def exit_text(report: rq.ProcessEnded) -> str:
    if report.signal is not None:
        return f"signal {report.signal}"
    return f"exit {report.code}" + (", which is not in expect_codes" if report.code == 0 else "")


def passed(
    state: SessionState, ticket: TicketState, report: StepReport, then: str | None, now: float
) -> list[ev.AnyEvent]:
    """Go on to the step `then` after one that succeeded; None: the attempt has succeeded."""
    if then is None:
        more = {"reason": exit_text(report)} if isinstance(report, rq.ProcessEnded) and report.code != 0 else {}
        attempt = ticket.live_attempt
        is_merged = attempt.step == MERGE  # a journal of before may let it be merged, and never tell of an approval
        waits = ticket.spec.approve == "after" and not attempt.is_approved and not is_merged
        done = Status.approval if waits else Status.succeeded
        return [attempt_ended(ticket, report, End.succeeded, done, now, **more)]
    return [step_ended(ticket, report, now, passed=True), step_started(state, ticket, then, now)]


def step_ended(
    ticket: TicketState, report: rq.AnyReport, now: float, *, passed: bool, reason: str = ""
) -> ev.StepEnded:
    """The end of the step that the current attempt is at, after which the attempt goes on."""
    attempt, facts = ticket.live_attempt, facts_of(report)
    ended = None if facts.ended is None else attempt.ended_unseen(facts.ended, now)
    return ev.StepEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        step=attempt.step,
        seconds=round(attempt.step_worked(now) - _unseen(ended, now), 6),
        ended=ended,
        passed=passed,
        reason=reason,
        code=facts.code,
        signal=facts.signal,
        error_line="" if passed else facts.error_line,
        values=dict(facts.values),
        figures=facts.figures,
        **facts.used.fields(),
    )


def attempt_ended(
    ticket: TicketState, report: StepReport, end: End, then: Status, now: float, **more: Any
) -> ev.AttemptEnded:
    """The end of the current attempt, with the facts that its process reported."""
    attempt, facts = ticket.live_attempt, facts_of(report)
    ended = None if facts.ended is None else attempt.ended_unseen(facts.ended, now)
    tells_why = end in FAILURES and not more.get("host_at_fault") and attempt.stop_reason not in _TELL_WHY
    if facts.error_line and more.get("reason", "").endswith(f" {facts.error_line}"):  # a check has found it
        tells_why = False
    return ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=attempt.number,
        step=attempt.step,
        agent=attempt.agent,
        started=attempt.started,
        seconds=round(attempt.worked(now) - _unseen(ended, now), 6),
        ended=ended,
        end=end,
        then=then,
        code=facts.code,
        signal=facts.signal,
        error_line=facts.error_line if tells_why else "",
        ended_before=attempt.is_released,
        values=dict(facts.values),
        figures=facts.figures,
        **attempt.used.then(facts.used).fields(),
        **more,
    )


def _unseen(ended: float | None, now: float) -> float:
    """Seconds between the end of a process and now, if no engine saw it."""
    return 0.0 if ended is None else now - ended
