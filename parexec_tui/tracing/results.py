"""How ends are called in a trace, by the semantic conventions of OpenTelemetry for CI/CD."""

from typing import Final, Literal

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState

Result = Literal["success", "failure", "error", "timeout", "cancellation", "skip"]
"""The values of `cicd.pipeline.result` and `cicd.pipeline.task.run.result`."""

ERRORS: Final = frozenset[Result](("failure", "error", "timeout"))
"""Those of which a span has the status `error`."""


def of_end(end: End) -> Result:
    """The result of an attempt."""
    match end:
        case End.succeeded:
            return "success"
        case End.failed | End.out_of_memory | End.refused | End.over_budget | End.needs_you:
            return "failure"
        case End.timed_out:
            return "timeout"
        case End.could_not_start | End.lost | End.limited | End.unavailable | End.not_logged_in | End.bad_setup:
            return "error"
        case End.cancelled | End.stopped | End.rolled_back:
            return "cancellation"


def of_ticket(ticket: TicketState) -> Result:
    """The result of a ticket that is over."""
    match ticket.status:
        case Status.succeeded:
            return "success"
        case Status.failed:
            return of_end(ticket.end) if ticket.end is not None else "failure"
        case Status.skipped | Status.waived:
            return "skip"
        case _:
            return "cancellation"


def of_session(state: SessionState) -> Result:
    """The result of a session that is finished."""
    if state.has_succeeded:
        return "success"
    if len(state.failed) > len(state.allowed):
        return "failure"
    return "cancellation" if state.counts[Status.cancelled] or state.counts[Status.rolled_back] else "skip"


def of_service(then: ServiceStatus, *, died: bool) -> Result:
    """The result of a service that is gone."""
    return "failure" if died or then is ServiceStatus.failed else "success"


def error_type(word: str) -> str:
    """The value of `error.type`: `timed_out`."""
    return word.replace(" ", "_")
