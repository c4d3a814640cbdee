"""Gates of a group or of the plan that become others, or whose tickets become more or fewer: when that may be, and
what becomes of them."""

from collections.abc import Iterable, Mapping

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState


def gates_in_the_way(state: SessionState, whole: Mapping[str, Ticket]) -> list[TicketState]:
    """The gates that would be others, wait for more tickets, or be gone, in a plan like this, and that run now or let
    a ticket start that runs now.
    """
    live = {id_: ticket for id_, ticket in state.live.items() if ticket.is_gates}
    for id_ in state.live:
        live |= {need.id: need for need in state.needs(id_) if need.is_gates and need.status in HAVE_RUN}
    return [gate for id_, gate in live.items() if id_ not in whole or _is_more(gate.spec, whole[id_])]


def kept_by_gates(state: SessionState) -> frozenset[str]:
    """The gates that run now, and the tickets that run because gates let them start: the gates stay as they are."""
    return frozenset(
        id_
        for id_, ticket in state.live.items()
        if ticket.is_gates or any(need.is_gates and need.status in HAVE_RUN for need in state.needs(id_))
    )


def start_without(state: SessionState, whole: Mapping[str, Ticket], gates: Iterable[str]) -> dict[str, TicketState]:
    """{gates among these that there are not yet: a ticket that would wait for them, and has started without them}."""
    new = [id_ for id_ in gates if id_ in whole and id_ not in state.tickets]
    dependents = graph.build(whole).dependents if new else {}
    return {
        gate: ticket
        for gate in new
        for ticket in (state.tickets[id_] for id_ in reversed(dependents[gate]) if id_ in state.tickets)
        if not ticket.is_gates and ticket.status not in _NOT_STARTED
    }


_NOT_STARTED = (*PENDING, Status.skipped, Status.cancelled, Status.rolled_back)

HAVE_RUN = (Status.succeeded, Status.failed)
"""The statuses of gates that have run."""


def status_with(gate: TicketState, spec: Ticket) -> Status:
    """The status of gates once they are as `spec` says: those that have run wait again while they are others, or
    while there are tickets that there were not.
    """
    if gate.status in HAVE_RUN and _is_more(gate.spec, spec):
        return Status.waiting
    has_grown = gate.grown_from is not None and gate.undo_point is not None
    if has_grown and gate.status in (Status.waiting, Status.skipped):
        assert gate.grown_from is not None
        assert gate.undo_point is not None
        return gate.status if _is_more(gate.grown_from, spec) else gate.undo_point.status
    return gate.status


def _is_more(before: Ticket, after: Ticket) -> bool:
    """Whether the one proves something that the other did not."""
    return before.gates != after.gates or not before.waits.keys() >= after.waits.keys()
