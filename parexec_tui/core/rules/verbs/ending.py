"""cancel, skip, stop: what shall not run, or not go on."""

from parexec_tui.core.rules.downstream import restores, skips
from parexec_tui.core.rules.verbs.answers import Decision, named, over, unknown
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import LIVE, TERMINAL, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def cancel(state: SessionState, asked: rq.Cancel, now: float) -> Decision:
    if refusal := cannot_cancel(state, asked):
        return refusal
    events: list[ev.AnyEvent] = []
    gone: set[str] = set()
    for ticket in named(state, asked.tickets):
        if ticket.id in gone:
            continue
        if ticket.status in LIVE:
            events.append(
                ev.AttemptStopRequested(
                    at=now,
                    ticket=ticket.id,
                    attempt=ticket.attempt,
                    why=ticket.stop_why or "cancelled",
                    by=asked.by,
                    now=asked.now,
                )
            )
        else:
            skipped = skips(state, ticket, gone)
            gone.update(skipped, (ticket.id,))
            events.append(ev.TicketCancelled(at=now, ticket=ticket.id, by=asked.by, skipped=skipped))
    return events


def cannot_cancel(state: SessionState, asked: rq.Cancel) -> Refusal | None:
    """Why not; what depends on the tickets does not matter to that."""
    if refusal := unknown(state, asked.tickets):
        return refusal
    for ticket in named(state, asked.tickets):
        if ticket.status in TERMINAL:
            return over(state, ticket.id)
        if ticket.status is Status.stopping and not asked.now:
            return Refusal(f"{ticket.id} is being stopped already", "wait for it to end, or kill it: cancel --now")
    return None


def waive(state: SessionState, asked: rq.Waive, now: float) -> Decision:
    """The verb `skip`: what needs these tickets may run without them."""
    if refusal := cannot_waive(state, asked):
        return refusal
    events: list[ev.AnyEvent] = []
    back: set[str] = set()
    tickets = [ticket for ticket in named(state, asked.tickets) if ticket.status is not Status.waived]
    ids = {ticket.id for ticket in tickets}
    # Dependents first: one that is skipped would have nothing to be skipped for, once its need is waived.
    for ticket in sorted(tickets, key=lambda each: each.group, reverse=True):
        restored = restores(state, ticket, back, besides=ids) if ticket.status in UNSUCCESSFUL else ()
        back.update(restored, (ticket.id,))
        events.append(ev.TicketWaived(at=now, ticket=ticket.id, by=asked.by, restored=restored))
    return events


def cannot_waive(state: SessionState, asked: rq.Waive) -> Refusal | None:
    """Why not; what depends on the tickets does not matter to that."""
    if refusal := unknown(state, asked.tickets):
        return refusal
    for ticket in named(state, asked.tickets):
        if ticket.status is Status.succeeded:
            return Refusal(f"{ticket.id} has succeeded, there is nothing to skip")
        if ticket.status in LIVE:
            return Refusal(f"{ticket.id} is {ticket.status}", f"cancel {ticket.id}, then skip it")
    return None


def stop(state: SessionState, asked: rq.Stop, now: float) -> Decision:
    if state.stopping is not None and (state.stopping.now or not asked.now):
        return []
    stopping: ev.AnyEvent = ev.SessionStopping(at=now, by=asked.by, reason=asked.reason, now=asked.now)
    return [stopping, *stop_live(state, now, by=asked.by, at_once=asked.now)]


def stop_live(
    state: SessionState, now: float, *, by: str = "", at_once: bool = False, besides: TicketState | None = None
) -> list[ev.AnyEvent]:
    """End all that runs, without a charge."""
    return [
        ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempt, why="stopped", by=by, now=at_once)
        for ticket in state.live.values()
        if ticket is not besides and ticket.status is not Status.stopping
    ]
