"""put back: take back a cancel, a waive, a retry or an answer to an approval, as long as nothing came of it."""

from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.rules.answers import Decision, named, refuse_unknown
from parexec_tui.core.rules.downstream import skips, unskips
from parexec_tui.core.rules.verbs.undecide import can_put_back, put_back_to_decide
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, SATISFIED, TERMINAL, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def put_back(state: SessionState, asked: rq.PutBack, now: float) -> Decision:
    if refusal := cannot_put_back(state, asked):
        return refusal
    if asked.since == "validating":
        tickets = named(state, asked.tickets)
        return [event for ticket in tickets for event in put_back_to_decide(state, ticket, asked.by, now)]
    events: list[ev.AnyEvent] = []
    back: set[str] = set()
    gone: set[str] = set()
    # Retried tickets are restored dependents first, so that none waits for an unsuccessful need in between.
    is_retry = asked.since == "waiting"
    for ticket in sorted(named(state, asked.tickets), key=lambda each: each.depth, reverse=is_retry):
        then = _status_before(state, ticket, gone, back)
        skipped: tuple[str, ...] = ()
        restored: tuple[str, ...] = ()
        if then in UNSUCCESSFUL:
            gone.add(ticket.id)
            if ticket.status not in UNSUCCESSFUL:
                skipped = skips(state, ticket, gone.union(asked.tickets))
                gone.update(skipped)
        else:
            back.add(ticket.id)
            if ticket.status in UNSUCCESSFUL:
                restored = unskips(state, ticket, back, besides=asked.tickets)
                back.update(restored)
        conflicts = then is Status.approval and ticket.attempt is not None and ticket.attempt.is_in_conflict
        events.append(
            ev.TicketPutBack(
                at=now,
                ticket=ticket.id,
                then=then,
                by=asked.by,
                skipped=skipped,
                restored=restored,
                is_in_conflict=conflicts,
            )
        )
    return events


def cannot_put_back(state: SessionState, asked: rq.PutBack) -> Refusal | None:
    """Why it would be refused. The answer needs only the tickets and their dependents, so it is cheap."""
    if refusal := refuse_unknown(state, asked.tickets):
        return refusal
    refusals = (_cannot_go_back(state, ticket, asked) for ticket in named(state, asked.tickets))
    return next(filter(None, refusals), None)


def _cannot_go_back(state: SessionState, ticket: TicketState, asked: rq.PutBack) -> Refusal | None:
    if asked.since == "validating":
        said = f"{ticket.id} {ticket.stands} by now"
        if ticket.is_in_conflict:
            said = f"that is no longer in force: {said}"
        return None if can_put_back(state, ticket) else Refusal(said)
    if ticket.undo_point is None or ticket.status != asked.since:
        has_run = ticket.attempt is not None and ticket.undo_point is None
        return Refusal(f"{ticket.id} has started since" if has_run else f"{ticket.id} {ticket.stands} by now")
    if ticket.undo_point.status is Status.approval and (taken := state.holdings.conflict(ticket.claims)):
        return Refusal(f"what {ticket.id} held is taken: {taken.describe()}")
    since, before = ticket.ended or 0.0, ticket.undo_point.status
    for id_, wait in state.graph.dependents[ticket.id].items():
        met = SATISFIED if wait is Wait.success else TERMINAL
        if ticket.status in met and before not in met:
            attempt = state.tickets[id_].attempt
            if attempt is not None and attempt.started >= since:  # before, it started with what there was then
                said = "since" if ticket.status is Status.succeeded else f"without {ticket.id}"
                return Refusal(f"{id_} has started {said}", f"retry {ticket.id}")
    return None


def _status_before(state: SessionState, ticket: TicketState, gone: set[str], back: set[str]) -> Status:
    """The status that the ticket goes back to. One that waited or was skipped goes where its needs allow now."""
    assert ticket.undo_point is not None
    then = ticket.undo_point.status
    if (then not in PENDING and then is not Status.skipped) or ticket.undo_point.says_no:
        return then
    needs = (
        (id_, state.tickets[id_].status in UNSUCCESSFUL)
        for id_, wait in state.graph.needs[ticket.id].items()
        if wait is Wait.success
    )
    is_blocked = any(id_ in gone or (is_lost and id_ not in back) for id_, is_lost in needs)
    return Status.skipped if is_blocked else Status.waiting
