"""What starts next.

`Dispatcher` keeps every ready ticket in exactly one place: in the queue, to be checked, or parked under the key of
what blocks it. When a key is freed, one ticket of those parked under it is checked, and the next one only if the
first did not take what was freed. So the cost of a dispatch depends on what changed, not on how many tickets wait.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from parexec_tui.core.schedule.blockers import (
    AgentKey,
    AmountKey,
    ParkingKey,
    blockers,
    parallel_blocker,
    pick_agent,
    session_blocker,
)
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import DirtySet, Rank, SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

MAX_CHECKS: int = 2_000
"""Tickets that one dispatch checks before the engine looks after its processes again."""

Emit = Callable[[ev.AnyEvent], None]
_Entry = tuple[Rank, str, int]
"""rank, ticket, entry id. An entry is dead when its ticket has a newer one."""


class Dispatcher:
    """Chooses what starts next. It keeps an index only; everything that it decides becomes an event."""

    def __init__(self, state: SessionState) -> None:
        self.state = state
        state.dirty = DirtySet()
        self._queue: list[_Entry] = []
        self._parked: dict[ParkingKey, list[_Entry]] = {}
        """key: heap of the tickets that wait for it"""
        self._parked_by_resource: defaultdict[str, set[AmountKey]] = defaultdict(set)
        self._parked_by_type: defaultdict[str, set[AgentKey]] = defaultdict(set)
        self._entry_id: dict[str, int] = {}
        """ticket: id of its living entry, in the queue or parked"""
        self._woken: dict[str, ParkingKey] = {}
        """ticket: the key it was woken for, until it is checked"""
        self._entries = 0
        self._enqueue_all()

    def _enqueue_all(self) -> None:
        """Start over: put every ready ticket into the queue, at the rank that it has now."""
        self._queue.clear()
        self._parked.clear()
        self._parked_by_resource.clear()
        self._parked_by_type.clear()
        self._entry_id.clear()
        self._woken.clear()
        for ticket in self.state.tickets.values():
            if ticket.status is Status.waiting and not ticket.missing:
                self._queue.append(self._entry(ticket))
        heapify(self._queue)

    def _entry(self, ticket: TicketState) -> _Entry:
        self._entries += 1
        self._entry_id[ticket.id] = self._entries
        return self.state.rank(ticket), ticket.id, self._entries

    def _enqueue(self, ticket: TicketState) -> None:
        if (key := self._woken.pop(ticket.id, None)) is not None:
            self._wake_one(key)
        heappush(self._queue, self._entry(ticket))

    def dispatch(self, now: float, emit: Emit) -> bool:
        """Start what can start. `emit` must apply each event at once.

        Returns True if it stopped early so that the engine can look after its processes: then call it again soon.
        """
        self._take_dirty()
        if session_blocker(self.state) is not None:
            return False
        for _ in range(MAX_CHECKS):
            if not self._queue or parallel_blocker(self.state) is not None:
                return False
            _, id_, entry_id = heappop(self._queue)
            if self._entry_id.get(id_) == entry_id:
                self._try_start(self.state.tickets[id_], now, emit)
                self._take_dirty()
        return bool(self._queue)

    def _try_start(self, ticket: TicketState, now: float, emit: Emit) -> None:
        blocker = next(blockers(self.state, ticket), None)
        woken_for = self._woken.pop(ticket.id, None)
        if blocker is None:
            self._entry_id.pop(ticket.id)
            self._start(ticket, now, emit)
        elif blocker.key is None:
            self._entry_id.pop(ticket.id)
        else:
            self._park(ticket, blocker.key)
            if blocker.kind in ("claim", "resource") and not ticket.serialised:
                emit(ev.ConflictFound(at=now, ticket=ticket.id, holder=blocker.holder, reason=blocker.text))
        if woken_for is not None and (blocker is None or blocker.key != woken_for):
            self._wake_one(woken_for)

    def _start(self, ticket: TicketState, now: float, emit: Emit) -> None:
        agent = pick_agent(self.state, ticket)
        assert agent is not None
        if isinstance(agent, str):
            agent_id = new_agent_id(self.state, agent)
            emit(ev.AgentStarted(at=now, agent=agent_id, type=agent))
        else:
            agent_id = agent.id
        emit(ev.AttemptStarted(at=now, ticket=ticket.id, attempt=ticket.attempts + 1, agent=agent_id))

    def _park(self, ticket: TicketState, key: ParkingKey) -> None:
        heap = self._parked.get(key)
        if heap is None:
            heap = self._parked[key] = []
            if isinstance(key, AmountKey):
                self._parked_by_resource[key.resource].add(key)
            elif isinstance(key, AgentKey):
                for type_ in key.types:
                    self._parked_by_type[type_].add(key)
        heappush(heap, self._entry(ticket))

    def _forget(self, key: ParkingKey) -> None:
        """Nothing is parked under this key any more."""
        del self._parked[key]
        if isinstance(key, AmountKey):
            self._parked_by_resource[key.resource].discard(key)
        elif isinstance(key, AgentKey):
            for type_ in key.types:
                self._parked_by_type[type_].discard(key)

    def _take_dirty(self) -> None:
        """Queue what may start after the latest events."""
        dirty = self.state.dirty
        assert dirty is not None
        if dirty.everything:
            self.state.dirty = DirtySet()
            self._enqueue_all()
            return
        if dirty.ready:
            for id_ in dirty.ready:
                self._enqueue(self.state.tickets[id_])
            dirty.ready.clear()
        if dirty.freed or dirty.idle:
            for key in tuple(self._freed_keys(dirty)):
                self._wake_one(key)
            dirty.freed.clear()
            dirty.idle.clear()

    def _freed_keys(self, dirty: DirtySet) -> Iterator[ParkingKey]:
        for key in dirty.freed:
            if key.kind == "resource":
                yield from self._parked_by_resource.get(key.name, ())
            else:
                yield key
        for type_ in dirty.idle:
            yield from self._parked_by_type.get(type_, ())

    def _wake_one(self, key: ParkingKey) -> None:
        """Queue the best ticket parked under this key, if any."""
        heap = self._parked.get(key)
        while heap:
            _, id_, entry_id = heappop(heap)
            if self._entry_id.get(id_) == entry_id:
                self._woken[id_] = key
                heappush(self._queue, self._entry(self.state.tickets[id_]))
                return
        if heap is not None:
            self._forget(key)


def new_agent_id(state: SessionState, type_: str) -> str:
    """The next name of an agent of this type: `builder-3`. Names are never used twice in a session."""
    number = state.pool_size[type_] + 1
    while f"{type_}-{number}" in state.agents:
        number += 1
    return f"{type_}-{number}"
