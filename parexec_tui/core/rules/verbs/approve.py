"""approve and reject: what a person says of tickets that wait for approval."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.rules.verbs.undecide import can_undecide, undecided
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of, waits_for_merge
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.process_key import MERGE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, End, Status
from parexec_tui.core.state.steps import first_of_rollback
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def approve(state: SessionState, asked: rq.Approve, now: float) -> Decision:
    if refusal := cannot_answer(state, asked):
        return refusal
    return [
        _approved(state, ticket, asked.by, asked.note, now)
        for ticket in named(state, asked.tickets)
        if not ticket.approved
    ]


def _approved(
    state: SessionState, ticket: TicketState, by: str, note: str, now: float
) -> ev.TicketApproved | ev.MergeStarted:
    """What was done in a worktree is merged once it is approved, and only then the ticket has succeeded."""
    if waits_for_merge(state, ticket):
        return ev.MergeStarted(
            at=now,
            ticket=ticket.id,
            attempt=ticket.attempts,
            step=MERGE,
            by=by,
            note=note,
            without_engine=state.gone is not None,
        )
    return ev.TicketApproved(at=now, ticket=ticket.id, by=by, note=note)


def reject(state: SessionState, asked: rq.Reject, now: float) -> Decision:
    if refusal := cannot_answer(state, asked):
        return refusal
    events: list[ev.AnyEvent] = []
    gone: set[str] = set()
    for ticket in named(state, asked.tickets):
        if (back := taken_back(state, ticket, rejection(asked), asked.by, now, note=asked.note)) is not None:
            events.append(back)
            continue
        events += undecided(state, ticket, now)
        skipped = skips(state, ticket, gone) if ticket.status is Status.waiting else ()
        gone.update(skipped)
        events.append(ev.TicketRejected(at=now, ticket=ticket.id, by=asked.by, note=asked.note, skipped=skipped))
    return events


def rejection(asked: rq.Reject | ev.TicketRejected) -> str:
    """Why a ticket runs again that was sent back."""
    return f"sent back{by_whom(asked.by)}" + (f": {asked.note}" if asked.note else "")


def taken_back(
    state: SessionState,
    ticket: TicketState,
    reason: str,
    by: str,
    now: float,
    *,
    then: Status = Status.waiting,
    note: str = "",
) -> ev.RollbackStarted | None:
    """The rollback of a ticket whose attempt is over and not approved of, if its plan wants one after that."""
    step = first_of_rollback(state, ticket) if ticket.spec.takes_back else None
    if ticket.status is not Status.approval or step is None or ticket.agent is None:
        return None
    outcome = ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        agent=ticket.agent,
        started=now,
        seconds=0.0,
        end=End.cancelled if then is Status.cancelled else End.stopped,
        then=then,
        reason=reason,
        ended_before=True,
    )
    return ev.RollbackStarted(
        at=now, ticket=ticket.id, attempt=ticket.attempts, step=step, outcome=outcome, by=by, note=note
    )


def approve_all(state: SessionState, by: str, now: float) -> list[ev.AnyEvent]:
    """Approve whatever waits for that, and not for a decision on a conflict."""
    return [
        _approved(state, ticket, by, "", now)
        for ticket in state.unapproved.values()
        if conflict_of(state, ticket) is None and not ticket.needs_you
    ]


def cannot_answer(state: SessionState, asked: rq.Approve | rq.Reject) -> Refusal | None:
    """Why it would be refused. The answer does not need the dependents of the tickets, so it is cheap."""
    return refuse_unknown(state, asked.tickets) or first_refusal(refused_answers(state, asked))


def refused_answers(state: SessionState, asked: rq.Approve | rq.Reject) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        is_approved = ticket.approved and ticket.status is Status.waiting and isinstance(asked, rq.Approve)
        if isinstance(asked, rq.Approve) and conflict_of(state, ticket) is not None:
            yield Refused("tickets", ticket.id, in_conflict(ticket))
        elif isinstance(asked, rq.Approve) and ticket.needs_you:
            yield Refused("tickets", ticket.id, _unproved(ticket))
        elif isinstance(asked, rq.Reject) and can_undecide(state, ticket) and not ticket.spec.takes_back:
            continue
        elif not (ticket.awaits_approval or is_approved):
            yield Refused("tickets", ticket.id, _not_asked(ticket))


def in_conflict(ticket: TicketState) -> Refusal:
    """Why there is more to decide about a ticket than whether it is approved."""
    remedy = f"parexec merge {ticket.id} --ours, --theirs or --by COMMAND; or reject it, and it runs again"
    return Refusal(f"{ticket.id} {ticket.reason}", remedy)


def _unproved(ticket: TicketState) -> Refusal:
    """Why what an agent left that needs a person cannot be taken as it is: nothing has looked at it."""
    remedy = f"parexec answer {ticket.id} TEXT, and it goes on; or reject it, and it runs again"
    return Refusal(f"{ticket.id} has not succeeded, {ticket.reason}", remedy)


def _not_asked(ticket: TicketState) -> Refusal:
    """Why there is nothing to approve or to reject."""
    reason = f"{ticket.id} {ticket.stands}"
    if ticket.spec.approve == "no":
        return Refusal(f"{ticket.id} needs no approval", "approve in the plan file says which tickets need it")
    if ticket.approved and ticket.status is Status.waiting:
        return Refusal(f"{ticket.id} is approved already", f"cancel {ticket.id}, or undo the approval")
    if ticket.status in TERMINAL:
        return Refusal(reason, f"retry {ticket.id}")
    if ticket.is_early:
        return Refusal(
            f"{reason}, it does not wait for approval", "it does once all others are over: it runs at the end"
        )
    if ticket.spec.approve == "before":
        return Refusal(f"{reason}, it does not wait for approval", "it does once all that it needs has succeeded")
    return Refusal(f"{reason}, it does not wait for approval", "it does once it has run")
