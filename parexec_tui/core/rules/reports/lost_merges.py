"""What was merged is in its branch no more: its ticket has not succeeded, and what needs it does not start."""

from parexec_tui.core.rules.reports.ends import attempt_ended
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def on_merges_lost(state: SessionState, report: rq.MergesLost, now: float) -> list[ev.AnyEvent]:
    """A person decides: they may have had a reason, so it is not merged again by itself."""
    if state.finished_at is not None:
        return []
    return [*_lost(state, report.commits, now)]


def _lost(state: SessionState, commits: tuple[str, ...], now: float) -> list[ev.WorkLost]:
    lost = set(commits)
    return [
        ev.WorkLost(
            at=now,
            ticket=id_,
            attempt=found.made.attempt,
            commit=found.landed.commit,
            target=found.made.target,
        )
        for id_, found in state.worktrees.items()
        if found.landed is not None
        and found.landed.commit in lost
        and (ticket := state.tickets.get(id_)) is not None
        and ticket.status is Status.succeeded
        and ticket.attempts == found.made.attempt
    ]


def lost_before_start(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    """Its command never began, for want of what it needs: it waits for that. Empty: nothing of that is known."""
    lost = _lost(state, report.lost, now)
    if not lost:
        return []
    again = attempt_ended(
        ticket, report, End.could_not_start, Status.waiting, now, reason=report.problem, host_at_fault=True
    )
    return [*lost, again]
