"""Gates of a group or of the plan whose tickets become more or fewer: when that may be, and what becomes of them."""

from collections.abc import Mapping

from parexec_tui.core.plan.model import Ticket
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState


def gates_in_the_way(state: SessionState, whole: Mapping[str, Ticket]) -> list[TicketState]:
    """The gates that would wait for more tickets, or be gone, in a plan like this, and that run now or let a
    ticket start that runs now.
    """
    live = {id_: ticket for id_, ticket in state.live.items() if ticket.is_gates}
    for id_ in state.live:
        live |= {need.id: need for need in state.needs(id_) if need.is_gates and need.status in HAVE_RUN}
    return [gate for id_, gate in live.items() if id_ not in whole or _has_more_needs(gate.spec, whole[id_])]


HAVE_RUN = (Status.succeeded, Status.failed)
"""The statuses of gates that have run."""


def status_with(gate: TicketState, spec: Ticket) -> Status:
    """The status of gates once they wait for what `spec` says: those that have run wait again while there are tickets
    that there were not.
    """
    if gate.status in HAVE_RUN and _has_more_needs(gate.spec, spec):
        return Status.waiting
    has_grown = gate.grown_from is not None and gate.snapshot is not None
    if has_grown and gate.status in (Status.waiting, Status.skipped):
        assert gate.grown_from is not None
        assert gate.snapshot is not None
        return gate.status if _has_more_needs(gate.grown_from, spec) else gate.snapshot.status
    return gate.status


def _has_more_needs(before: Ticket, after: Ticket) -> bool:
    return not before.waits.keys() >= after.waits.keys()
