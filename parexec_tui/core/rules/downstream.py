"""What happens to the dependents of a ticket when it ends, runs again or is restored."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.plan.wanted import early_answer
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState

HAVE_RUN: Final = (
    Status.succeeded,
    Status.failed,
    Status.cancelled,
    Status.waived,
    Status.backoff,
    Status.approval,
)
"""Where a ticket is whose attempt may have done something that can be taken back."""


def skips(
    state: SessionState, ticket: TicketState, gone: Iterable[str] = (), *, are_unwanted: bool = False
) -> tuple[str, ...]:
    """The tickets that can no longer run when this one is over without success, nearest first. Those that wait only
    for its end, or for the end of one of these, are not among them.

    `gone` are tickets that events decided at the same time have taken away already. `are_unwanted`: it is over
    because it is not wanted, which is no loss for gates, nor for who needs a whole family.
    """
    seen = {ticket.id, *gone}
    found: list[str] = []
    wave = [ticket.id]
    while wave:
        after = []
        for id_ in wave:
            for dependent_id, wait in state.graph.dependents[id_].items():
                dependent = state.tickets[dependent_id]
                if are_unwanted and state.does_without(dependent, state.tickets[id_]):
                    continue
                if wait is Wait.success and dependent.id not in seen and dependent.status in PENDING:
                    seen.add(dependent.id)
                    after.append(dependent.id)
        found.extend(after)
        wave = after
    return tuple(found)


def skipped_by(event: ev.AnyEvent) -> tuple[str, ...]:
    """The tickets that can no longer run because of an event."""
    match event:
        case (
            ev.AttemptEnded(skipped=skipped)
            | ev.TicketCancelled(skipped=skipped)
            | ev.TicketUnrunnable(skipped=skipped)
            | ev.TicketRejected(skipped=skipped)
            | ev.TicketPutBack(skipped=skipped)
            | ev.PlanAmended(skipped=skipped)
            | ev.WhenAnswered(skipped=skipped)
        ):
            return skipped
        case _:
            return ()


def unskips(
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
                if not _is_blocked(state, dependent, regained) and not _stays_unwanted(state, dependent):
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
    ticket that was cancelled or waived stays so, and so do tickets that depend on nothing else that runs again, or
    only come after it.
    """
    regained = {ticket.id, *back}
    again = set(regained)
    """These will run, so their dependents run after them."""
    rerun: list[str] = []
    restored: list[str] = []
    found = graph.ordered_dependents(state.graph, [ticket.id])
    for dependent in sorted(map(state.tickets.__getitem__, found), key=lambda each: each.depth):
        needs = [(id_, wait) for id_, wait in state.graph.needs[dependent.id].items() if id_ in again]
        if dependent.id in again or not needs:
            continue
        if dependent.is_live:
            return (), (), dependent
        if not any(wait.is_need for _, wait in needs):
            continue
        if _is_blocked(state, dependent, regained) or dependent.id in state.half_done:
            continue
        if _stays_unwanted(state, dependent):
            continue
        match dependent.status:
            case Status.succeeded | Status.failed | Status.rolled_back | Status.backoff | Status.approval:
                rerun.append(dependent.id)
            case Status.skipped:
                restored.append(dependent.id)
            case Status.cancelled | Status.waived:
                continue
            case Status.waiting | Status.running | Status.validating | Status.stopping | Status.rolling_back:
                pass  # It runs after what it needs; a live one was returned above.
        regained.add(dependent.id)
        again.add(dependent.id)
    return tuple(rerun), tuple(restored), None


def gates_again(state: SessionState, ticket: TicketState, back: Collection[str]) -> tuple[str, ...]:
    """The gates that have run, and run again when this ticket does: those of its groups, then those of the plan.

    `back`: as of `unskips`.
    """
    if not state.has_gates:
        return ()
    found: list[str] = []
    again = [ticket.id]
    for id_ in again:  # it grows meanwhile
        for gates in filter(attrgetter("is_gates"), state.dependents(id_)):
            has_run = gates.status in (Status.succeeded, Status.failed) and gates.id not in back
            if has_run and gates.id not in found and not _is_blocked(state, gates, {*back, ticket.id, *found}):
                found.append(gates.id)
                again.append(gates.id)
    return tuple(sorted(found, key=lambda gates: state.tickets[gates].depth))


def built_on(state: SessionState, tickets: Collection[str]) -> Iterator[TicketState]:
    """The tickets that need these, near or far, and have run, the nearest first."""
    seen = set(tickets)
    wave: Sequence[str] = list(seen)
    while wave:
        after = [
            id_
            for before in wave
            for id_, wait in state.graph.dependents[before].items()
            if wait.is_need and id_ not in seen
        ]
        wave = list(dict.fromkeys(after))
        seen.update(wave)
        for ticket in map(state.tickets.__getitem__, wave):
            if ticket.status in HAVE_RUN and ticket.attempt is not None and not ticket.is_gates:
                yield ticket


def _stays_unwanted(state: SessionState, ticket: TicketState) -> bool:
    """Whether its `when` says no, whatever the tickets tell that it waits for."""
    if not ticket.says_no:
        return False
    early = early_answer(ticket.spec, state.plan.variables)
    return early is not None and not early.wanted


def _is_blocked(state: SessionState, ticket: TicketState, regained: set[str]) -> bool:
    """Whether it has a lost need that is not in `regained`."""
    return any(need.id not in regained for need in state.lost_needs(ticket))
