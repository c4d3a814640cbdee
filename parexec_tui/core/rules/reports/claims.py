"""A command wrote what its ticket does not claim: a person is told, and it fails if the plan wants that."""

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.rules.reports.ends import passed, reported
from parexec_tui.core.rules.reports.failures import failed
from parexec_tui.core.rules.reports.stops import ended_on_purpose
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import unclaimed_rule
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import first_gate
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def on_claims_checked(state: SessionState, report: rq.ClaimsChecked, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    if ticket.live_attempt.stop_reason is not None:
        return ended_on_purpose(state, ticket, report, now)
    told = wrote_unclaimed(state, ticket, report.found, now)
    if breaks_rule(state, ticket, report.found):
        return [*told, *failed(state, ticket, report, End.failed, report.found.outside, now)]
    return [*told, *passed(state, ticket, report, first_gate(state, ticket), now)]


def wrote_unclaimed(state: SessionState, ticket: TicketState, found: Unclaimed, now: float) -> list[ev.AnyEvent]:
    """The event that says so, unless there is nothing to say, or that was said: a file that several may have written
    is told once, and not of each of them."""
    before = state.unclaimed.get(ticket.id)
    if before is not None and before.found == found:
        return []
    found = found.without(state.told_strays)
    if not found:
        return []
    return [ev.WroteUnclaimed(at=now, ticket=ticket.id, attempt=ticket.attempts, found=found)]


def breaks_rule(state: SessionState, ticket: TicketState, found: Unclaimed) -> bool:
    """Whether a ticket fails for what it wrote. For what others may have written as well, none does."""
    return bool(found.count) and unclaimed_rule(state, ticket) == "enforce"
