"""Tickets that one of them generated join the plan."""

from msgspec import structs

from parexec_tui.core.plan.generated import joined
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.rules.verbs.reload import reload
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Refusal


def join(
    state: SessionState, ticket: TicketState, tickets: dict[str, Ticket] | None, amended: int, now: float
) -> list[ev.AnyEvent] | Refusal:
    """Let the tickets that one generated join the plan, in the place of those that it generated before. What has
    begun stays as it is, as when a plan file is reloaded. `tickets`, `amended`: as in TicketsRead."""
    if tickets is None:
        return []
    before = state.generated_by(ticket.id)
    if taken := [id_ for id_ in tickets if id_ in state.plan.tickets and id_ not in before]:
        return Refusal(f"there is {listed(taken)} already", "edit it, or choose another id")
    plan = structs.replace(state.plan, tickets=joined(state.plan.tickets, ticket.id, tickets, before))
    found = compare(state, plan, has_generated=True)
    is_checked = amended == state.amended and not found.too_late
    events = reload(state, found.request, now, is_checked=is_checked, joins=True)
    if isinstance(events, Refusal):
        return events
    left = {
        id_: why.replace("in the file", "now")
        for id_, why in found.too_late.items()
        if id_ in tickets or id_ in before
    }
    members = (*tickets, *(id_ for id_ in left if id_ not in tickets))
    generated = ev.TicketsGenerated(
        at=now, ticket=ticket.id, family=ticket.spec.generates, members=members, left=left
    )
    return [*events, generated]
