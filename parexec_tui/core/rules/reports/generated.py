"""What a command generated was read: it joins the plan with the success of its ticket, or is why that failed.

Both happen by the events of one decision, so that nothing is half joined. Before what a ticket did in a worktree is
merged, the tickets are only looked at: a mistake in them must not be merged. Gates that run now, and would be about
tickets that join, are waited for.
"""

from parexec_tui.core.rules.joining import join
from parexec_tui.core.rules.reports.ends import passed, reported
from parexec_tui.core.rules.reports.failures import failed
from parexec_tui.core.rules.reports.stops import ended_on_purpose
from parexec_tui.core.rules.verbs.amend import GatesRun
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import TICKETS
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import after_tickets
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def on_tickets_read(state: SessionState, report: rq.TicketsRead, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None:
        return []
    if ticket.live_attempt.stop_reason is not None:
        return ended_on_purpose(state, ticket, report, now)
    if report.problem:
        return failed(state, ticket, report, End.failed, f"its tickets: {report.problem}", now)
    then = after_tickets(state, ticket) if report.step == TICKETS else None
    if then is not None:
        return passed(state, ticket, report, then, now)
    told = join(state, ticket, report.tickets, report.amended, now)
    if isinstance(told, GatesRun):
        return []  # they are read again when that is over
    if isinstance(told, Refusal):
        return failed(state, ticket, report, End.failed, f"its tickets: {told}", now)
    return [*told, *passed(state, ticket, report, None, now)]
