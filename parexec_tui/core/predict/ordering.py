"""The order of dispatch that the engine would find for a session that begins now."""

from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.schedule.order import Draws, Found, Search, is_searched, passes_for
from parexec_tui.core.schedule.problem import problem_of
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def find_order(state: SessionState, draws: Draws, now: float, *, is_quick: bool = False) -> Found | None:
    """Let the session have the order that a search finds at load; None, and nothing changes, if it finds none.

    `is_quick`: with a quarter of the passes, for who waits in front of a screen.
    """
    if not is_searched(state) or (problem := problem_of(state, now)) is None:
        return None
    search = Search(problem, draws)
    search.run(passes_for(len(problem.ids)) // (4 if is_quick else 1))
    found = search.found()
    if found is not None:
        for event in on_report(state, rq.OrderSearched(found.tickets, found.seconds, found.before), now):
            apply(state, event)
    return found
