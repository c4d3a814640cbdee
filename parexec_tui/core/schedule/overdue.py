"""Which tickets are overdue, and when one could start: what a reservation is made from.

A ticket is overdue when it has waited `SessionState.reserve_after` seconds for resources or claims. That an engine is
followed by another does not end a wait: it goes on by the clock of the boot, as timeouts do.
"""

from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace
from math import inf

from msgspec import Struct

from parexec_tui.core.plan.claims import EMPTY, Claims
from parexec_tui.core.schedule.blocker import AmountKey
from parexec_tui.core.schedule.blockers import agents_come, blockers
from parexec_tui.core.state.reservation import can_be_reserved_for
from parexec_tui.core.state.session import Rank, SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState


class Prospect(Struct, frozen=True):
    """When a ticket could start, if nothing passes it any more."""

    start_at: float | None
    """None: nothing tells, since one that it waits for has no expected duration."""
    ending: tuple[str, ...]
    """The live tickets whose ends it waits for."""


_GroupKey = tuple[int, AmountKey | Claims]
"""A class, and what its tickets lack: an amount of a resource, or all their claims."""


class _Group:
    """Tickets of one class that lack the same. While some of them start, the others wait for their turn only."""

    __slots__ = ("heap", "since", "size")

    def __init__(self, since: float) -> None:
        self.since = since
        """Since when none of them has started."""
        self.heap: list[tuple[Rank, str]] = []
        self.size = 0
        """How many there are; the heap may have more, that are no more of it."""


class OverdueTickets:
    """The tickets that wait for resources or claims, and which of them are overdue.

    Each step costs O(log n) at most. Entries that have become false stay where they are until they are met.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._groups: dict[_GroupKey, _Group] = {}
        self._group_of: dict[str, _GroupKey] = {}
        self._not_due_yet: list[tuple[float, int, _GroupKey]] = []
        """heap of (since, entry, group), the longest wait first"""
        self._due: list[tuple[Rank, int, float, _GroupKey]] = []
        """heap of (rank of the best, entry, since, group): those that are overdue, and some that were"""
        self._entries = 0
        self._waited = {id_ for id_, ticket in state.tickets.items() if ticket.conflict_at is not None}
        """Tickets that waited under an earlier engine and were not looked at by this one yet."""
        self._last_starts: dict[_GroupKey, float] | None = None
        """group: the last start of one that lacked the same; None until it is asked for."""

    def add(self, ticket: TicketState, lack: AmountKey | Claims, now: float) -> None:
        """Note that a ticket waits for claims. `lack`: the amount that is too little, else all its claims."""
        if ticket.id in self._group_of:
            return
        key = ticket.spec.priority.rank, lack
        since = self._waited_since(ticket, key, now) if ticket.id in self._waited else now
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(since)
            self._wait(since, key)
        elif since < group.since:
            group.since = since
            self._wait(since, key)
        self._group_of[ticket.id] = key
        group.size += 1
        self._rank(ticket, key, group)

    def _wait(self, since: float, key: _GroupKey) -> None:
        self._entries += 1
        heappush(self._not_due_yet, (since, self._entries, key))

    def _waited_since(self, ticket: TicketState, key: _GroupKey, now: float) -> float:
        """Since when a ticket waits that waited under an earlier engine. O(n) for the first one."""
        self._waited.discard(ticket.id)
        if ticket.conflict_at is None:
            return now
        if self._last_starts is None:
            self._last_starts = {}
            for other in self._state.tickets.values():
                if other.attempt is not None and other.claims is not EMPTY:
                    self._note_start(other, self._state.corrected(other.attempt.started))
        began = self._state.corrected(ticket.conflict_at)
        return min(now, max(began, self._last_starts.get(key, began)))

    def _note_start(self, ticket: TicketState, at: float) -> None:
        if self._last_starts is not None:
            for key in _keys(ticket):
                self._last_starts[key] = max(at, self._last_starts.get(key, at))

    def forget(self, id_: str) -> None:
        key = self._group_of.pop(id_, None)
        if key is not None:
            group = self._groups[key]
            group.size -= 1
            if not group.size:
                del self._groups[key]

    def started(self, ticket: TicketState, now: float) -> None:
        """What lacked the same as this one waits from now on."""
        if self._waited:
            self._waited.discard(ticket.id)
            self._note_start(ticket, now)
        if not self._groups:
            return
        self.forget(ticket.id)
        for key in _keys(ticket):
            if (group := self._groups.get(key)) is not None:
                group.since = now
                self._wait(now, key)

    def rank_changed(self, ticket: TicketState) -> None:
        key = self._group_of.get(ticket.id)
        if key is None:
            return
        if key[0] == ticket.spec.priority.rank:
            self._rank(ticket, key, self._groups[key])
        else:
            self.forget(ticket.id)

    def _rank(self, ticket: TicketState, key: _GroupKey, group: _Group) -> None:
        rank = self._state.own_rank(ticket)
        heappush(group.heap, (rank, ticket.id))
        if group.heap[0][1] == ticket.id:
            self._entries += 1
            heappush(self._due, (rank, self._entries, group.since, key))

    def best(self, now: float) -> TicketState | None:
        """The best-ranked overdue ticket."""
        due = now - self._state.reserve_after
        while self._not_due_yet and self._not_due_yet[0][0] <= due:
            since, _, key = heappop(self._not_due_yet)
            if (group := self._groups.get(key)) is not None and group.since == since:
                self._entries += 1
                heappush(self._due, (group.heap[0][0], self._entries, since, key))
        while self._due:
            rank, entry, since, key = self._due[0]
            group = self._groups.get(key)
            if group is None or group.since != since or since > due or (best := self._best_of(key, group)) is None:
                heappop(self._due)
            elif (best_rank := self._state.own_rank(best)) == rank:
                return best
            else:
                heapreplace(self._due, (best_rank, entry, since, key))
        return None

    def _best_of(self, key: _GroupKey, group: _Group) -> TicketState | None:
        while group.heap:
            rank, id_ = group.heap[0]
            if self._group_of.get(id_) == key:
                ticket = self._state.tickets.get(id_)
                if ticket is None or not can_be_reserved_for(ticket):
                    self.forget(id_)
                elif self._state.own_rank(ticket) == rank:
                    return ticket
            heappop(group.heap)
        return None


def _keys(ticket: TicketState) -> Iterator[_GroupKey]:
    """The groups of those that may lack what this ticket claims."""
    rank = ticket.spec.priority.rank
    for name, amount in ticket.claims.uses.items():
        yield rank, AmountKey(name, amount)
    yield rank, ticket.claims


def wants_the_same(one: TicketState, other: TicketState) -> bool:
    """Whether a ticket that starts may delay the other by what it claims."""
    return bool(one.claims.clash(other.claims)) or not one.claims.uses.keys().isdisjoint(other.claims.uses)


def prospect(state: SessionState, ticket: TicketState, now: float) -> Prospect | None:
    """When a ticket that has to wait for claims could start; None if something keeps it that does not pass. O(live).

    What is frozen or waits for approval is not expected to end: nothing is kept free for what waits for that.
    """
    kinds = {blocker.kind for blocker in blockers(state, ticket)}
    if not kinds <= {"claim", "resource", "agent", "reservation"}:
        return None
    if "agent" in kinds and not agents_come(state, ticket):
        return None
    ends = sorted((_end(state, other, now), other.id) for other in state.live.values() if not other.is_frozen)
    ending = {id_: end for end, id_ in ends if state.tickets[id_].claims.clash(ticket.claims)}
    kept = (*state.frozen.values(), *(each for each in state.unapproved.values() if each.status is Status.approval))
    if any(each.claims.clash(ticket.claims) for each in kept):
        return None
    for name, amount in ticket.claims.uses.items():
        lacking = amount - state.holdings.free(name)
        lacking -= sum(state.tickets[id_].claims.uses.get(name, 0.0) for id_ in ending)
        for end, id_ in ends:
            if lacking <= 1e-6:
                break
            if id_ not in ending and (freed := state.tickets[id_].claims.uses.get(name)):
                ending[id_] = end
                lacking -= freed
        if lacking > 1e-6:
            return None
    start_at = max(ending.values(), default=now)
    return Prospect(None if start_at == inf else start_at, tuple(ending))


def _end(state: SessionState, ticket: TicketState, now: float) -> float:
    """When a live ticket should end: now if it is late, never if nothing tells."""
    takes = state.expected(ticket)
    return inf if takes is None else now + max(0.0, takes - ticket.worked(now))
