"""What became of each step of tickets, told by events: the state knows the present step only."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.gates import is_gate_ticket
from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import (
    CONDITIONS,
    RESTORE,
    ROLLBACK,
    RUN,
    SKIP_IF,
    WITHOUT_PROCESS,
    ProcessKey,
)
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import codec
from parexec_tui.text.words import printable
from parexec_tui.text.words import why_ended as said_of


class StepReport(Struct, omit_defaults=True):
    """A step of the newest attempt of a ticket, or the question before the first one whether it is done."""

    step: str
    """As in the names of logs: `run`, `outputs`, `gate-1`, `skip-if`, `rollback`."""
    title: str = ""
    """Of a gate: what people call it."""
    passed: bool | None = None
    """None: it is not over, or was ended before it could tell."""
    seconds: float | None = None
    """None: it is not over."""
    reason: str = ""
    """Why it did not pass; of a question, the answer."""
    log: str | None = None
    """The name of its log, in the folder of the session; None: no process runs in it."""


STEP_KINDS = (
    "check_started", "check_ended", "ticket_satisfied", "attempt_started", "step_started", "step_ended",
    "rollback_started", "attempt_ended",
)  # fmt: skip
"""The kinds of events that tell of steps."""


def step_reports(events: Iterable[bytes]) -> dict[str, Sequence[StepReport]]:
    """The steps of each ticket that had more of them than its command, in order.

    `events`: of the kinds above, encoded; those that cannot be read are left out.
    """
    told = _Told()
    for data in events:
        with suppress(msgspec.DecodeError, codec.LaterVersionError):
            told.take(codec.decode_event(data))
    return {id_: steps for id_, steps in told.steps.items() if any(step.step != RUN for step in steps)}


class _Told:
    def __init__(self) -> None:
        self.steps: dict[str, list[StepReport]] = {}
        self._began: dict[str, float] = {}

    def take(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.CheckStarted():
                self._begin(event.ticket, 0, event.step, event.at)
            case ev.CheckEnded():
                reason = event.stale or event.reason or ("asked again" if event.again else "not done yet")
                self._end(
                    event.ticket, passed=None if event.again or event.reason else False, at=event.at, why=reason
                )
            case ev.TicketSatisfied():
                self._end(event.ticket, passed=True, at=event.at, why=event.reason)
            case ev.AttemptStarted():
                before = self.steps.get(event.ticket, [])
                self.steps[event.ticket] = [step for step in before if step.step.startswith(CONDITIONS)]
                if not is_gate_ticket(event.ticket):  # that has no command
                    self._begin(event.ticket, event.attempt, RUN, event.at)
            case ev.StepStarted():
                self._begin(event.ticket, event.attempt, event.step, event.at, event.title)
            case ev.StepEnded():
                why = said_of(event.reason, event.signal, event.error_line) if not event.passed else ""
                self._end(event.ticket, passed=event.passed, at=event.at, why=why, seconds=event.seconds)
            case ev.RollbackStarted(outcome=None):
                self._begin(event.ticket, event.attempt, event.step, event.at)
            case ev.RollbackStarted(outcome=ev.AttemptEnded() as outcome):
                self._end_of_attempt(outcome)
                self._begin(event.ticket, event.attempt, event.step, event.at)
            case ev.AttemptEnded():
                self._end_of_attempt(event)
            case _:
                pass

    def _begin(self, ticket: str, attempt: int, step: str, at: float, title: str = "") -> None:
        has_log = step not in WITHOUT_PROCESS and (step.startswith(SKIP_IF) or not step.startswith(CONDITIONS))
        log = f"{ProcessKey(ticket, attempt, step)}.log" if has_log else None
        self.steps.setdefault(ticket, []).append(StepReport(step, title, log=log))
        self._began[ticket] = at

    def _end(
        self, ticket: str, *, passed: bool | None, at: float, why: str = "", seconds: float | None = None
    ) -> None:
        steps = self.steps.get(ticket)
        if steps and steps[-1].seconds is None:
            last, began = steps[-1], self._began[ticket]
            last.seconds = round(at - began if seconds is None else seconds, 3)
            last.passed, last.reason = passed, why

    def _end_of_attempt(self, event: ev.AttemptEnded) -> None:
        steps = self.steps.get(event.ticket) or []
        takes_back = bool(steps) and steps[-1].step.startswith((ROLLBACK, RESTORE))
        passed = event.end is End.succeeded if not takes_back else not event.reason.startswith("rollback failed")
        why = "" if passed else said_of(event.reason, event.signal, event.error_line)
        is_told = event.end in (End.succeeded, End.failed, End.timed_out) or takes_back
        self._end(event.ticket, passed=passed if is_told else None, at=event.at, why=why)


def step_line(step: StepReport) -> str:
    """A step in a line: `gate-1 lint  passed in 2.0s  T.1.gate-1.log`."""
    word = "runs" if step.seconds is None else {True: "passed", False: "did not pass", None: "ended"}[step.passed]
    took = f" in {format_duration(step.seconds)}" if step.seconds is not None else ""
    name = f"{step.step} {step.title}".strip()
    parts = (name, f"{word}{took}{f': {step.reason}' if step.reason else ''}", step.log or "")
    return printable("  ".join(filter(None, parts)))
