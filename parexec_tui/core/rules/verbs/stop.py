"""stop: end what runs, and leave; the session can be resumed."""

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import MERGE, RESTORE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.steps import is_rollback, takes_back
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def stop(state: SessionState, asked: rq.Stop, now: float) -> Decision:
    """The first stop of a person lets tickets run that run at the end; the second, or one at once, skips them."""
    before = state.stopping
    is_second = before is not None and bool(before.by or before.skips_finally)
    skips = bool(last_left(state)) and (asked.now or asked.skip_finally or is_second)
    if before is not None:
        is_sooner = asked.now and not before.now
        is_first = bool(asked.by) and not is_second and bool(last_left(state))
        if not is_sooner and not is_first and (not skips or before.skips_finally):
            return []
    at_once = asked.now or (before is not None and before.now)
    stopping: ev.AnyEvent = ev.SessionStopping(
        at=now, by=asked.by, reason=asked.reason, now=at_once, skips_finally=skips
    )
    return [stopping, *stop_live(state, now, by=asked.by, at_once=at_once, spares_last=not skips)]


def last_left(state: SessionState) -> list[str]:
    """The tickets that run at the end, and have not."""
    return [ticket.id for ticket in state.last.values() if ticket.status not in TERMINAL]


def stop_live(
    state: SessionState,
    now: float,
    *,
    by: str = "",
    at_once: bool = False,
    besides: TicketState | None = None,
    spares_last: bool = True,
) -> list[ev.AnyEvent]:
    """End all that runs, without a charge. What is being rolled back ends by itself, and is thawed for that, unless
    nothing is waited for.

    `spares_last`: what runs at the end goes on, unless it is frozen.
    """
    events: list[ev.AnyEvent] = []
    for ticket in state.live.values():
        if ticket is besides or ticket.status is Status.stopping:
            continue
        if not _may_be_ended(ticket, at_once=at_once):
            if ticket.is_frozen:
                events.append(ev.AttemptThawed(at=now, ticket=ticket.id, attempt=ticket.attempts, by=by))
        elif not (spares_last and ticket.spec.finally_ and not ticket.is_frozen):
            events.append(
                ev.AttemptStopRequested(
                    at=now, ticket=ticket.id, attempt=ticket.attempts, why="stopped", by=by, now=at_once
                )
            )
    return events


def thaw_rollbacks(state: SessionState, now: float, by: str = "") -> list[ev.AnyEvent]:
    """Let what is being rolled back go on: it is waited for."""
    return [
        ev.AttemptThawed(at=now, ticket=ticket.id, attempt=ticket.attempts, by=by)
        for ticket in state.frozen.values()
        if takes_back(ticket.live_attempt.step)
    ]


def _may_be_ended(ticket: TicketState, *, at_once: bool) -> bool:
    step = ticket.live_attempt.step
    return step not in (RESTORE, MERGE) and (at_once or not is_rollback(step))
