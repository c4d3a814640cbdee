"""waive: a ticket will not run, and what needs it may run without it."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.rules.downstream import unskips
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, UNSUCCESSFUL, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def waive(state: SessionState, asked: rq.Waive, now: float) -> Decision:
    """What needs these tickets may run without them."""
    if refusal := cannot_waive(state, asked):
        return refusal
    events: list[ev.AnyEvent] = []
    back: set[str] = set()
    tickets = [ticket for ticket in named(state, asked.tickets) if ticket.status is not Status.waived]
    ids = {ticket.id for ticket in tickets}
    # Dependents first: a skipped ticket must have an unsuccessful need, and it has none once that need is waived.
    for ticket in sorted(tickets, key=lambda each: each.depth, reverse=True):
        restored = unskips(state, ticket, back, besides=ids) if ticket.status in UNSUCCESSFUL else ()
        back.update(restored, (ticket.id,))
        events.append(ev.TicketWaived(at=now, ticket=ticket.id, by=asked.by, restored=restored))
    return events


def cannot_waive(state: SessionState, asked: rq.Waive) -> Refusal | None:
    """Why it would be refused. The answer does not need the dependents of the tickets, so it is cheap."""
    return refuse_unknown(state, asked.tickets) or first_refusal(refused_waivers(state, asked))


def refused_waivers(state: SessionState, asked: rq.Waive) -> Iterator[Refused]:
    for ticket in named(state, asked.tickets):
        if ticket.status is Status.succeeded:
            yield Refused("tickets", ticket.id, Refusal(f"{ticket.id} has succeeded, there is nothing to waive"))
        elif ticket.status in LIVE:
            refusal = Refusal(f"{ticket.id} {ticket.stands}", f"cancel {ticket.id}, then waive it")
            yield Refused("tickets", ticket.id, refusal)
