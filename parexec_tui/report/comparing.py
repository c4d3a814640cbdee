"""What is different in a session from another one, mostly the one before of the same plan."""

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.report.facts import Change, Comparison

_MUCH, _SECONDS = 1.2, 1.0
"""A ticket is slower, or faster, by a fifth and by a second at least."""

_MOST = 10

_BAD = (Status.failed, Status.cancelled, Status.skipped, Status.rolled_back)


def compare(state: SessionState, other: SessionState) -> Comparison:
    """How a session differs from another one, which was mostly before."""
    here, there = state.tickets, other.tickets
    both = [(ticket, there[id_]) for id_, ticket in here.items() if id_ in there]
    changes = [
        Change(mine.id, theirs.took, mine.took)
        for mine, theirs in both
        if mine.took is not None and theirs.took is not None
    ]
    return Comparison(
        session=other.session,
        seconds=(other.now if other.finished_at is None else other.finished_at) - other.opened_at,
        ran_seconds=other.busy_for,
        succeeded=other.counts[Status.succeeded],
        tickets=len(there),
        slower=_worst([each for each in changes if _is_more(each.before, each.after)]),
        faster=_worst([each for each in changes if _is_more(each.after, each.before)]),
        newly_failed=[mine.id for mine, theirs in both if theirs.status is Status.succeeded and _is_bad(mine)],
        newly_succeeded=[mine.id for mine, theirs in both if mine.status is Status.succeeded and _is_bad(theirs)],
        added=len(here.keys() - there.keys()),
        dropped=len(there.keys() - here.keys()),
    )


def _is_bad(ticket: TicketState) -> bool:
    """Whether it ended badly, or was skipped for another that did; not if it may fail."""
    return ticket.status in _BAD and not ticket.is_allowed


def _is_more(less: float, more: float) -> bool:
    return more >= less * _MUCH and more >= less + _SECONDS


def _worst(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda each: -abs(each.after - each.before))[:_MOST]
