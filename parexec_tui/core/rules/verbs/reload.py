"""amend, as it is asked for: the plan is amended, and changed tickets that are over run again if that is wanted."""

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.verbs.amend import amend
from parexec_tui.core.rules.verbs.retry import retry
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def reload(
    state: SessionState, asked: rq.Amend, now: float, *, is_checked: bool = False, joins: bool = False
) -> Decision:
    """`is_checked`, `joins`: as for `amend`."""
    if not asked.rerun:
        return amend(state, asked, now, is_checked=is_checked, joins=joins)
    if others := [id_ for id_ in asked.rerun if id_ not in asked.changed]:
        return Refusal(f"{listed(others)} would run again without a change", f"retry {others[0]}")
    # The retries come first: `amend` refuses to change what has succeeded, and they follow the needs as they were.
    retried = retry(state, rq.Retry(tickets=asked.rerun, by=asked.by), now)
    if isinstance(retried, Refusal):
        return retried
    amended = amend(state, asked, now, may_have_succeeded=True, is_checked=is_checked, joins=joins, after=retried)
    return amended if isinstance(amended, Refusal) else [*retried, *amended]
