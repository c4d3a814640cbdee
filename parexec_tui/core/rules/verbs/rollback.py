"""rollback: take back what tickets did that are over, the last ones first."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from parexec_tui.core.plan.patterns import overlap
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.answers import Decision, Refused, named, refuse_unknown
from parexec_tui.core.rules.downstream import HAVE_RUN, built_on, skips, unskips
from parexec_tui.core.rules.verbs.retry import retry
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RESTORE, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import UNSUCCESSFUL, End, Status
from parexec_tui.core.state.steps import first_of_rollback
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def rollback(state: SessionState, asked: rq.Rollback, now: float) -> Decision:
    if refusal := refuse_unknown(state, asked.tickets) or _goes_on(state):
        return refusal
    chosen = {ticket.id: ticket for ticket in named(state, asked.tickets)}
    if asked.downstream:
        chosen |= {ticket.id: ticket for ticket in built_on(state, chosen)}
    tickets = last_first(chosen.values())
    refusals = (
        _cannot(state, ticket, is_named=ticket.id in asked.tickets, besides=chosen)
        for ticket in tickets
        if not (asked.rerun and ticket.status is Status.rolled_back)
    )
    if refusal := next(filter(None, refusals), None) or (None if asked.force else _loses(state, tickets)):
        return refusal
    return [ev.RollbackAsked(at=now, tickets=tuple(ticket.id for ticket in tickets), by=asked.by, rerun=asked.rerun)]


def refused_rollbacks(state: SessionState, asked: rq.Rollback) -> Iterator[Refused]:
    """Those that alone would refuse it; none while another rollback goes on, which refuses all."""
    if _goes_on(state):
        return
    for ticket in named(state, asked.tickets):
        if asked.rerun and ticket.status is Status.rolled_back:
            continue
        if refusal := _cannot(state, ticket, is_named=True, besides=asked.tickets):
            yield Refused("tickets", ticket.id, refusal)


def restored_by(state: SessionState, asked: rq.Rollback) -> tuple[ProcessKey, ...]:
    """The attempts whose snapshots would be restored, the newest first; none if it would be refused anyway."""
    decision = rollback(state, asked, state.now)
    if isinstance(decision, Refusal):
        return ()
    chosen = (
        state.tickets[id_] for event in decision if isinstance(event, ev.RollbackAsked) for id_ in event.tickets
    )
    found = [each for each in chosen if each.status is not Status.rolled_back and state.snapshot_of(each) is not None]
    found.sort(key=lambda each: each.attempt.started if each.attempt is not None else 0.0, reverse=True)
    return tuple(ProcessKey(each.id, each.attempts) for each in found)


def lost_by(asked: rq.Rollback, changed: rq.ChangedSince) -> Refusal | str:
    """What of the work of others a rollback overwrites: a refusal, or with --force a line; empty if nothing."""
    if changed.is_known and not changed.files:
        return ""
    what = f"changed since: {listed(changed.files, 5)}"
    if not changed.is_known:
        what = "it was not noted how the files were left, so nobody can tell what has changed since"
    if asked.force:
        return f"{what}; that is overwritten"
    return Refusal(f"{what}: a restore takes that away", "do it all the same: --force")


def last_first(tickets: Iterable[TicketState]) -> list[TicketState]:
    """In the order in which they are taken back: each before those that it needs."""
    return sorted(tickets, key=lambda each: (-each.group, -each.order))


def to_repeat(state: SessionState) -> list[TicketState]:
    """What is taken back in part only, and shall be taken back once more by itself, the last first. Not what a person
    has waived since, nor what others have written over since: that wants `rollback --force`."""
    found = map(state.tickets.__getitem__, state.half_done)
    return last_first(
        each
        for each in found
        if each.status in HAVE_RUN and each.status is not Status.waived and _loses(state, [each]) is None
    )


def repeated(state: SessionState, by: str, now: float, *, rerun: bool = False) -> list[ev.AnyEvent]:
    """Let what is taken back in part only be taken back once more."""
    tickets = to_repeat(state)
    if not tickets or state.rollback is not None:
        return []
    return [ev.RollbackAsked(at=now, tickets=tuple(each.id for each in tickets), by=by, rerun=rerun)]


def _loses(state: SessionState, tickets: Sequence[TicketState]) -> Refusal | None:
    """What tickets that stay as they are have written since, and a restore would overwrite."""
    chosen = {ticket.id for ticket in tickets}
    for ticket in tickets:
        before = ticket.attempt
        if before is None or before.ended is None or state.snapshot_of(ticket) is None:
            continue
        for other in state.tickets.values():
            attempt = other.attempt
            if attempt is None or other.id in chosen or other.status is Status.rolled_back:
                continue
            if attempt.started >= before.ended and (lost := _both_write(ticket, other)):
                reason = f"{other.id} has run since {ticket.id}, and writes {lost} as well: a restore takes that away"
                return Refusal(reason, f"roll {other.id} back with it, or do it all the same: --force")
    return None


def _both_write(one: TicketState, other: TicketState) -> str:
    """What both of them may write; empty if there is nothing."""
    pairs = ((mine, theirs) for mine in one.claims.writes for theirs in other.claims.writes)
    return next((theirs.text for mine, theirs in pairs if overlap(mine, theirs)), "")


def _goes_on(state: SessionState) -> Refusal | None:
    if state.rollback is None:
        return None
    return Refusal(f"{listed(state.rollback.left)} is being rolled back", "wait for it to end")


def _cannot(state: SessionState, ticket: TicketState, *, is_named: bool, besides: Collection[str]) -> Refusal | None:
    """Why what a ticket did cannot be taken back now. `besides`: those that are taken back with it."""
    if ticket.is_live:
        return Refusal(f"{ticket.id} {ticket.stands}", f"wait for {ticket.id} to end, or cancel it")
    if ticket.status is Status.rolled_back:
        return Refusal(f"{ticket.id} is rolled back already", f"retry {ticket.id} to run it again")
    if ticket.status not in HAVE_RUN or ticket.attempt is None:
        if ticket.status is Status.waiting and ticket.attempt is not None:
            return Refusal(f"{ticket.id} waits to run again", f"cancel {ticket.id} first")
        return Refusal(f"{ticket.id} has not run: there is nothing to take back")
    if first_of_rollback(state, ticket) is None and (is_named or ticket.spec.all_writes):
        why = "its snapshot is not kept any more" if ticket.spec.snapshot else "it has neither rollback nor snapshot"
        remedy = "" if is_named else "leave --downstream out, and it stays as it is"
        return Refusal(f"{ticket.id} cannot be rolled back: {why}", remedy)
    for dependent in state.dependents(ticket.id):
        if dependent.is_live:
            what = f"{dependent.id} needs {ticket.id} and {dependent.stands}"
            return Refusal(what, f"wait for {dependent.id} to end, or cancel it")
    conflicts = (each for each in state.holdings.conflicts(ticket.claims) if each.holder not in besides)
    if (conflict := next(conflicts, None)) is not None:
        return Refusal(f"{ticket.id} cannot be rolled back now: {conflict.describe()}", "wait for it to end")
    return None


def go_on(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """The next event of what a person wanted taken back; none while the last one goes on, or the session ends."""
    wanted = state.rollback
    if wanted is None or state.stopping is not None or state.draining is not None:
        return []
    if not wanted.left:
        return _ended(state, wanted.asked, now)
    ticket = state.tickets.get(wanted.left[0])
    if ticket is not None and ticket.is_live:
        return []
    if ticket is None or ticket.status not in HAVE_RUN or ticket.attempt is None:
        return [ev.RollbackEnded(at=now, reason=f"{wanted.left[0]} is not what it was any more")]
    if ticket.status is not Status.approval and state.holdings.conflict(ticket.claims) is not None:
        return []
    return _begun(state, ticket, wanted.asked.by, now)


def _begun(state: SessionState, ticket: TicketState, by: str, now: float) -> list[ev.AnyEvent]:
    step = first_of_rollback(state, ticket)
    started = ev.RollbackStarted(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        step=step or RESTORE,
        by=by,
        restored=unskips(state, ticket) if ticket.status in UNSUCCESSFUL else (),
    )
    if step is not None:
        return [started]
    agent = ticket.agent
    assert agent is not None
    # It left nothing that could be taken back, and what it was built on is gone.
    ended = ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        agent=agent,
        started=now,
        seconds=0.0,
        end=End.rolled_back,
        then=Status.rolled_back,
        skipped=skips(state, ticket),
        ended_before=True,
    )
    return [started, ended]


def _ended(state: SessionState, asked: ev.RollbackAsked, now: float) -> list[ev.AnyEvent]:
    if not asked.rerun:
        return [ev.RollbackEnded(at=now)]
    again = retry(state, rq.Retry(tickets=asked.tickets, by=asked.by), now)
    if isinstance(again, Refusal):
        return [ev.RollbackEnded(at=now, reason=str(again))]
    return [ev.RollbackEnded(at=now), *again]
