"""What happens to the dependents of a ticket when it ends, runs again or is restored."""

from collections.abc import Collection, Iterable, Sequence

from parexec_tui.core.plan import graph
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState


def skips(state: SessionState, ticket: TicketState, gone: Iterable[str] = ()) -> tuple[str, ...]:
    """The tickets that can no longer run when this one is over without success, nearest first.

    `gone` are tickets that events decided at the same time have taken away already.
    """
    seen = {ticket.id, *gone}
    found: list[str] = []
    wave = [ticket.id]
    while wave:
        after = []
        for id_ in wave:
            for dependent in state.dependents(id_):
                if dependent.id not in seen and dependent.status in PENDING:
                    seen.add(dependent.id)
                    after.append(dependent.id)
        found.extend(after)
        wave = after
    return tuple(found)


def restores(
    state: SessionState, ticket: TicketState, back: Iterable[str] = (), besides: Collection[str] = ()
) -> tuple[str, ...]:
    """The skipped tickets that may run again when this one is no longer unsuccessful.

    Those are its dependents that have no other unsuccessful need, nearest first. `back` are tickets that events
    decided at the same time have brought back already; tickets in `besides` stay as they are.
    """
    regained = {ticket.id, *back}
    found: list[str] = []
    wave: Sequence[str] = [ticket.id]
    while wave:
        after = []
        for id_ in wave:
            for dependent in state.dependents(id_):
                if dependent.status is not Status.skipped or dependent.id in regained or dependent.id in besides:
                    continue
                if not _is_blocked(state, dependent, regained):
                    regained.add(dependent.id)
                    after.append(dependent.id)
        found.extend(after)
        wave = after
    return tuple(found)


def reruns(
    state: SessionState, ticket: TicketState, back: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...], TicketState | None]:
    """The dependents that run again when this ticket and everything downstream of it do, nearest first.

    Returns those that have run, those that were skipped and may run, and one that is live now, if there is any. A
    ticket that was cancelled or waived stays so, and so do tickets that depend on nothing else that runs again.
    """
    regained = {ticket.id, *back}
    again = set(regained)
    """These will run, so their dependents run after them."""
    rerun: list[str] = []
    restored: list[str] = []
    found = graph.ordered_dependents(state.graph, [ticket.id])
    for dependent in sorted(map(state.tickets.__getitem__, found), key=lambda each: each.group):
        if dependent.id in again or again.isdisjoint(dependent.spec.needs):
            continue
        if dependent.is_live:
            return (), (), dependent
        if _is_blocked(state, dependent, regained):
            continue
        match dependent.status:
            case Status.succeeded | Status.failed | Status.backoff:
                rerun.append(dependent.id)
            case Status.skipped:
                restored.append(dependent.id)
            case Status.cancelled | Status.waived:
                continue
            case Status.waiting | Status.running | Status.validating | Status.stopping:
                pass  # It runs after what it needs; a live one was returned above.
        regained.add(dependent.id)
        again.add(dependent.id)
    return tuple(rerun), tuple(restored), None


def _is_blocked(state: SessionState, ticket: TicketState, regained: set[str]) -> bool:
    """Whether it has an unsuccessful need that is not in `regained`."""
    return any(state.tickets[need].status in UNSUCCESSFUL and need not in regained for need in ticket.spec.needs)
