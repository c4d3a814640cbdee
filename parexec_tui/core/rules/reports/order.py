"""An order of dispatch was searched for."""

from parexec_tui.core.schedule.order import is_searched
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import requests as rq


def on_order_searched(state: SessionState, report: rq.OrderSearched, now: float) -> list[ev.AnyEvent]:
    """Nothing if the plan is another one by now."""
    if not is_searched(state) or not all(id_ in state.tickets for id_ in report.tickets):
        return []
    left = [ticket for ticket in map(state.tickets.__getitem__, report.tickets) if ticket.status not in TERMINAL]
    numbers = tuple(ticket.order for ticket in left)
    seconds, before = round(report.seconds, 1), round(report.before, 1)
    return [ev.OrderFound(at=now, tickets=numbers, seconds=seconds, before=before)]
