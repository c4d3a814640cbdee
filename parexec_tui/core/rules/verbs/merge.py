"""merge: what a person decides about a conflict."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.rules.verbs.undecide import can_undecide, undecided
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of, waits_for_merge
from parexec_tui.core.state.process_key import COMMIT
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.steps import next_resolve
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def merge(state: SessionState, asked: rq.Merge, now: float) -> Decision:
    if bool(asked.side) == bool(asked.run.strip()):
        return Refusal("say what is to be done about the conflict", "--ours, --theirs, or --by COMMAND")
    if refusal := refuse_unknown(state, asked.tickets) or first_refusal(refused_merges(state, asked)):
        return refusal
    if asked.onto and (changed := first_refusal(_others_than_shown(state, asked))):
        return changed
    tickets = named(state, asked.tickets)
    together = tuple(ticket.id for ticket in tickets) if len(tickets) > 1 else ()
    return [
        event
        for ticket in tickets
        for event in (*undecided(state, ticket, now), _begun(state, ticket, asked, together, now))
    ]


def _begun(
    state: SessionState, ticket: TicketState, asked: rq.Merge, together: tuple[str, ...], now: float
) -> ev.MergeStarted:
    assert ticket.attempt is not None
    step = next_resolve(ticket.attempt.resolves) if asked.run else COMMIT
    return ev.MergeStarted(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        step=step,
        side="by" if asked.run else asked.side,
        run=asked.run,
        by=asked.by,
        together=together,
        without_engine=state.gone is not None,
    )


def _others_than_shown(state: SessionState, asked: rq.Merge) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        conflict = conflict_of(state, ticket)
        if conflict is not None and conflict.onto != asked.onto:
            refusal = Refusal(f"since you looked, {ticket.id} {ticket.reason}", "look at both sides again")
            yield Refused("tickets", ticket.id, refusal)


def refused_merges(state: SessionState, asked: rq.Merge) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        if conflict_of(state, ticket) is not None or can_undecide(state, ticket):
            continue
        if waits_for_merge(state, ticket):
            refusal = Refusal(f"{ticket.id} has no conflict, it waits for approval", f"parexec approve {ticket.id}")
        else:
            hint = "conflicts wait for you where `on_conflict` is hold"
            refusal = Refusal(f"{ticket.id} {ticket.stands}, no conflict of it waits for you", hint)
        yield Refused("tickets", ticket.id, refusal)
