"""Keeps what became of the steps of each ticket, in `SessionState.steps`.

Nothing is kept of a ticket that was not asked whether it is done and whose newest attempt has had no step but its
command. What changed last stands at the end.
"""

from msgspec.structs import replace

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import OWN_FAILURES, End
from parexec_tui.core.state.step_record import StepRecord
from parexec_tui.core.state.steps import is_resolve, takes_back
from parexec_tui.core.state.tickets import TicketState

_TOLD = OWN_FAILURES | {End.succeeded}
"""Ends by which the last step passed or did not."""


def begin_question(state: SessionState, ticket: TicketState, step: str) -> None:
    """A ticket is asked whether it is done."""
    _add(state, ticket, StepRecord(0, step))


def end_question(
    state: SessionState, ticket: TicketState, at: float, *, passed: bool | None = None, reason: str = ""
) -> None:
    """The answer is there, or nobody waits for it any more."""
    assert ticket.question_clock is not None
    _end(state, ticket, passed, ticket.question_clock.worked(at), reason)


def begin_attempt(state: SessionState, ticket: TicketState) -> None:
    """A new attempt begins: of the one before nothing is kept, but what was asked before the first one."""
    if not state.steps:
        return
    questions = tuple(record for record in state.steps.pop(ticket.id, ()) if not record.attempt)
    if questions:
        state.steps[ticket.id] = questions if ticket.is_gates else (*questions, StepRecord(ticket.attempts, RUN))


def begin_step(
    state: SessionState, ticket: TicketState, step: str, title: str = "", number: int = 0, of: int = 0
) -> None:
    """The newest attempt goes on to a step. One before that was to do the same, and never began, is forgotten."""
    records = state.steps.get(ticket.id)
    if records and records[-1].seconds is None and is_resolve(step) and is_resolve(records[-1].step):
        state.steps[ticket.id] = records[:-1]
    _add(state, ticket, StepRecord(ticket.attempts, step, title, number, of))


def note_command(state: SessionState, ticket: TicketState) -> None:
    """The newest attempt has more steps than its command: what is known of that comes first."""
    attempt = ticket.attempt
    if ticket.id in state.steps or ticket.is_gates or attempt is None:
        return
    _add(state, ticket, StepRecord(attempt.number, RUN))
    if attempt.end is not None and attempt.ended is not None:
        is_told = attempt.end in _TOLD
        passed = attempt.end is End.succeeded
        said = () if passed else (attempt.reason, attempt.signal, attempt.error_line)
        _end(state, ticket, passed if is_told else None, attempt.worked(attempt.ended), *said)


def end_step(state: SessionState, ticket: TicketState, event: ev.StepEnded) -> None:
    """A step is over, and the attempt goes on."""
    note_command(state, ticket)
    said = () if event.passed else (event.reason, event.signal, event.error_line)
    _end(state, ticket, event.passed, event.seconds, *said)


def end_attempt(state: SessionState, ticket: TicketState, event: ev.AttemptEnded) -> None:
    """The last step is over with its attempt, or what it did is to be taken back. To be told before that changes."""
    records = state.steps.get(ticket.id)
    if not records:
        return
    if is_back := takes_back(records[-1].step):
        passed = not (event.end is End.failed and event.step == records[-1].step)  # else it is that of a step before
    else:
        passed = event.end is End.succeeded
    said = () if passed else (event.reason, event.signal, event.error_line)
    is_told = is_back or event.end in _TOLD
    _end(state, ticket, passed if is_told else None, ticket.live_attempt.step_worked(event.ended or event.at), *said)


def _add(state: SessionState, ticket: TicketState, record: StepRecord) -> None:
    state.steps[ticket.id] = (*state.steps.pop(ticket.id, ()), record)


def _end(
    state: SessionState,
    ticket: TicketState,
    passed: bool | None,
    seconds: float,
    reason: str = "",
    signal: int | None = None,
    error_line: str = "",
) -> None:
    records = state.steps.get(ticket.id)
    if records and records[-1].seconds is None:
        del state.steps[ticket.id]
        ended = replace(
            records[-1], seconds=seconds, passed=passed, reason=reason, signal=signal, error_line=error_line
        )
        state.steps[ticket.id] = (*records[:-1], ended)
