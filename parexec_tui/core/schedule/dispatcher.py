"""What starts next.

`Dispatcher` keeps every ready ticket in exactly one place: in the queue, to be checked, or parked under the key of
what blocks it. When a key is freed, one ticket of those parked under it is checked, and the next one only if the
first did not take what was freed. So the cost of a dispatch depends on what changed, not on how many tickets wait.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush

from parexec_tui.core.plan.claims import EMPTY
from parexec_tui.core.plan.hosts import LOCAL, shown_host
from parexec_tui.core.schedule.blocker import (
    AgentKey,
    AmountKey,
    AskKey,
    MemoryKey,
    ParkingKey,
    PlaceKey,
    PressureKey,
    ReservationKey,
    ServiceKey,
)
from parexec_tui.core.schedule.blockers import first_blocker, parallel_blocker, session_blocker
from parexec_tui.core.schedule.machine import memory_short
from parexec_tui.core.schedule.overdue import OverdueTickets, prospect, wants_the_same
from parexec_tui.core.schedule.placement import find_place, pick_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import SKIP_IF
from parexec_tui.core.state.session import DirtySet, Rank, SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.steps import first_gate, step_started
from parexec_tui.core.state.tickets import TicketState

MAX_CHECKS: int = 2_000
"""Tickets that one dispatch checks before the engine looks after its processes again."""

MAX_LOOKS: int = 256
"""Tickets that are asked at once by a look at files whether they are done."""

Emit = Callable[[ev.AnyEvent], None]
_Entry = tuple[Rank, str, int]
"""rank, ticket, entry id. An entry is dead when its ticket has a newer one."""


class Dispatcher:
    """Chooses what starts next. It keeps an index only; everything that it decides becomes an event."""

    def __init__(self, state: SessionState) -> None:
        self.state = state
        state.dirty = DirtySet(
            doubtful=True, unapproved=list(state.unapproved), undecided=list(state.to_be_decided())
        )
        self._overdue = OverdueTickets(state)
        self._queue: list[_Entry] = []
        self._parked: dict[ParkingKey, list[_Entry]] = {}
        """key: heap of the tickets that wait for it"""
        self._parked_by_resource: defaultdict[str, set[AmountKey]] = defaultdict(set)
        self._parked_by_type: defaultdict[str, set[AgentKey]] = defaultdict(set)
        self._parked_for_reservation: set[ReservationKey] = set()
        self._parked_for_host: set[MemoryKey | PressureKey] = set()
        self._places: dict[PlaceKey, None] = {}
        """Keys of those that no host has room for."""
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
        self._parked_for_reservation.clear()
        self._parked_for_host.clear()
        self._places.clear()
        self._entry_id.clear()
        self._woken.clear()
        for ticket in self.state.tickets.values():
            if ticket.status is Status.waiting and not ticket.missing:
                self._queue.append(self._entry(ticket))
                self._overdue.rank_changed(ticket)
        heapify(self._queue)

    def _entry(self, ticket: TicketState) -> _Entry:
        self._entries += 1
        self._entry_id[ticket.id] = self._entries
        return self.state.rank(ticket), ticket.id, self._entries

    def _enqueue(self, ticket: TicketState) -> None:
        if (key := self._woken.pop(ticket.id, None)) is not None:
            self._wake_one(key)
        self._overdue.rank_changed(ticket)
        heappush(self._queue, self._entry(ticket))

    def dispatch(self, now: float, emit: Emit) -> bool:
        """Start what can start. `emit` must apply each event at once.

        Returns True if it stopped early so that the engine can look after its processes: then call it again soon.
        """
        self._ask_for_approval(now, emit)
        self._take_dirty()
        if session_blocker(self.state) is not None:
            if self.state.ends_with_last:
                self._start_last(now, emit)
            return False
        self._end_pointless_reservation(now, emit)
        for _ in range(MAX_CHECKS):
            if not self._queue or (not self.state.hosts and parallel_blocker(self.state) is not None):
                return False
            _, id_, entry_id = heappop(self._queue)
            if self._entry_id.get(id_) == entry_id:
                self._try_start(self.state.tickets[id_], now, emit)
                self._take_dirty()
        return bool(self._queue)

    def _start_last(self, now: float, emit: Emit) -> None:
        """Start what runs at the end, while the session drains or stops: the queue stays as it is."""
        waiting = [ticket for ticket in self.state.last.values() if ticket.status is Status.waiting]
        for ticket in sorted(waiting, key=self.state.rank):
            if parallel_blocker(self.state) is not None:
                return
            self._try_start(ticket, now, emit)
            self._take_dirty()

    def _ask_for_approval(self, now: float, emit: Emit) -> None:
        """Tell people which tickets could start but for them."""
        dirty = self.state.dirty
        assert dirty is not None
        if dirty.unapproved:
            asked, dirty.unapproved = dirty.unapproved, []
            for id_ in dict.fromkeys(asked):
                ticket = self.state.unapproved.get(id_)
                if ticket is not None and ticket.status is Status.waiting and not ticket.approval_asked:
                    emit(ev.ApprovalAsked(at=now, ticket=id_))

    def _try_start(self, ticket: TicketState, now: float, emit: Emit) -> None:
        blocker = first_blocker(self.state, ticket)
        if blocker is None and ticket.claims is not EMPTY and self._reserve_against(ticket, now, emit):
            blocker = first_blocker(self.state, ticket)
        if blocker is None and not ticket.spec.finally_ and (last := _last_again(self.state, now)) is not None:
            emit(last)
            self._enqueue(ticket)  # a better one may have waited for what they held
            return
        woken_for = self._woken.pop(ticket.id, None)
        if blocker is None:
            self._entry_id.pop(ticket.id, None)
            self._start(ticket, now, emit)
        elif isinstance(blocker.key, AskKey) and self._may_ask(blocker.key):
            self._entry_id.pop(ticket.id, None)
            again = f"-{ticket.asked + 1}" if ticket.asked else ""
            emit(ev.QuestionAsked(at=now, ticket=ticket.id, step=f"{blocker.key.kind}{again}"))
        elif blocker.key is None:
            self._entry_id.pop(ticket.id, None)
        elif isinstance(blocker.key, ServiceKey):
            self._park(ticket, blocker.key)
            self._start_services(ticket, now, emit)
        else:
            self._park(ticket, blocker.key)
            if blocker.kind in ("claim", "resource"):
                if ticket.conflict_at is None:
                    emit(ev.ConflictFound(at=now, ticket=ticket.id, holder=blocker.holder, reason=blocker.text))
                lack = blocker.key if isinstance(blocker.key, AmountKey) else ticket.claims
                self._overdue.add(ticket, lack, now)
        if woken_for is not None and (blocker is None or blocker.key != woken_for):
            self._wake_one(woken_for)

    def _start_services(self, ticket: TicketState, now: float, emit: Emit) -> None:
        """Start what the ticket uses: it could start but for that."""
        for name in ticket.spec.uses_service:
            service = self.state.services[name]
            if service.may_start:
                emit(ev.ServiceStarted(at=now, service=name, number=service.number + 1))

    def _may_ask(self, key: AskKey) -> bool:
        """Whether one more ticket may be asked in this way; by as many commands as tickets may run at once."""
        most = self.state.parallel if key.kind == SKIP_IF else MAX_LOOKS
        if len(self.state.asking) < most:
            return True
        asked = sum(ticket.asking.startswith(key.kind) for ticket in self.state.asking.values())
        return asked < max(1, most)

    def _reserve_against(self, ticket: TicketState, now: float, emit: Emit) -> bool:
        """Before a ticket starts: keep free what it would take from the best one that has waited long for it.

        Returns whether there is a new reservation.
        """
        state = self.state
        while (other := self._overdue.best(now)) is not None:
            current = state.reservation
            if current is not None and state.own_rank(state.tickets[current.ticket]) <= state.own_rank(other):
                return False
            is_bound = ticket.spec.priority.rank >= other.spec.priority.rank
            if other is ticket or not is_bound or not wants_the_same(ticket, other):
                return False
            if state.holdings.conflict(other.claims) is None:
                return False  # it could have them now: it waits for its turn
            if (found := prospect(state, other, now)) is not None:
                emit(ev.ReservationMade(at=now, ticket=other.id, start_at=found.start_at, ending=found.ending))
                return True
            self._overdue.forget(other.id)
        return False

    def _end_pointless_reservation(self, now: float, emit: Emit) -> None:
        dirty, reservation = self.state.dirty, self.state.reservation
        assert dirty is not None
        if dirty.doubtful:
            dirty.doubtful = False
            if reservation is not None and prospect(self.state, self.state.tickets[reservation.ticket], now) is None:
                emit(ev.ReservationEnded(at=now, ticket=reservation.ticket))
                self._overdue.forget(reservation.ticket)
                self._take_dirty()

    def _start(self, ticket: TicketState, now: float, emit: Emit) -> None:
        if ticket.is_gates:
            self._start_gates(ticket, now, emit)
            return
        if self.state.hosts:
            agent_id = self._agent_at(ticket, now, emit)
        else:
            agent = pick_agent(self.state, ticket)
            assert agent is not None
            agent_id = new_agent_id(self.state, agent) if isinstance(agent, str) else agent.id
            self._say_if_short(ticket, now, emit)
            if isinstance(agent, str):
                emit(ev.AgentStarted(at=now, agent=agent_id, type=agent))
        self._overdue.started(ticket, now)
        emit(ev.AttemptStarted(at=now, ticket=ticket.id, attempt=ticket.attempts + 1, agent=agent_id))

    def _agent_at(self, ticket: TicketState, now: float, emit: Emit) -> str:
        """The agent at the best place for a ticket, which is started there if need be; one elsewhere that has nothing
        to do makes room for it if there may be no more of its type."""
        place = find_place(self.state, ticket)
        assert place is not None
        if place.host == LOCAL:
            self._say_if_short(ticket, now, emit)
        if place.agent is not None:
            return place.agent.id
        if place.leaving is not None:
            reason = f"one is wanted on {shown_host(place.host)}"
            emit(ev.AgentStopped(at=now, agent=place.leaving.id, reason=reason))
        agent_id = new_agent_id(self.state, place.type)
        emit(ev.AgentStarted(at=now, agent=agent_id, type=place.type, host=place.host))
        return agent_id

    def _say_if_short(self, ticket: TicketState, now: float, emit: Emit) -> None:
        """Say that a ticket starts although it needs more memory than there is: nothing else runs."""
        if self.state.memory is not None and (short := memory_short(self.state, ticket)) is not None:
            room = max(0, self.state.memory.room)
            emit(ev.StartedAnyway(at=now, ticket=ticket.id, needs=short.size, available=room))

    def _start_gates(self, ticket: TicketState, now: float, emit: Emit) -> None:
        """Start the first of the gates for which a ticket stands: it has no command, and needs no agent."""
        emit(ev.AttemptStarted(at=now, ticket=ticket.id, attempt=ticket.attempts + 1, agent=""))
        step = first_gate(self.state, ticket)
        assert step is not None
        emit(step_started(self.state, ticket, step, now))

    def _park(self, ticket: TicketState, key: ParkingKey) -> None:
        heap = self._parked.get(key)
        if heap is None:
            heap = self._parked[key] = []
            if isinstance(key, AmountKey):
                self._parked_by_resource[key.resource].add(key)
            elif isinstance(key, AgentKey):
                for type_ in key.types:
                    self._parked_by_type[type_].add(key)
            elif isinstance(key, ReservationKey):
                self._parked_for_reservation.add(key)
            elif isinstance(key, MemoryKey | PressureKey):
                self._parked_for_host.add(key)
            elif isinstance(key, PlaceKey):
                self._places[key] = None
        heappush(heap, self._entry(ticket))

    def _forget(self, key: ParkingKey) -> None:
        """Nothing is parked under this key any more."""
        del self._parked[key]
        if isinstance(key, AmountKey):
            self._parked_by_resource[key.resource].discard(key)
        elif isinstance(key, AgentKey):
            for type_ in key.types:
                self._parked_by_type[type_].discard(key)
        elif isinstance(key, ReservationKey):
            self._parked_for_reservation.discard(key)
        elif isinstance(key, MemoryKey | PressureKey):
            self._parked_for_host.discard(key)
        elif isinstance(key, PlaceKey):
            self._places.pop(key, None)

    def _take_dirty(self) -> None:
        """Queue what may start after the latest events."""
        dirty = self.state.dirty
        assert dirty is not None
        if dirty.everything:
            self.state.dirty = DirtySet(undecided=dirty.undecided)
            self._enqueue_all()
            return
        if dirty.ready:
            for id_ in dirty.ready:
                self._enqueue(self.state.tickets[id_])
            dirty.ready.clear()
        if self.state.hosts:
            self._take_places(dirty)
        if dirty.freed or dirty.idle or dirty.reservation or dirty.answered or dirty.services or dirty.host:
            for key in tuple(self._freed_keys(dirty)):
                self._wake_one(key)
            dirty.freed.clear()
            dirty.idle.clear()
            dirty.answered.clear()
            dirty.services.clear()
            dirty.reservation = dirty.host = False

    def _take_places(self, dirty: DirtySet) -> None:
        """Queue what may have room on the hosts where something came free, or that all have in common."""
        hosts, types = set(dirty.hosts), set(dirty.idle)
        dirty.hosts.clear()
        if not self._places:
            return
        keys: Iterable[PlaceKey] = self._places
        if not (dirty.freed or dirty.reservation or dirty.host):
            if not (hosts or types):
                return
            keys = (each for each in keys if not (hosts.isdisjoint(each.hosts) and types.isdisjoint(each.types)))
        for key in tuple(keys):
            self._wake_one(key)

    def _freed_keys(self, dirty: DirtySet) -> Iterator[ParkingKey]:
        for key in dirty.freed:
            if key.kind == "resource":
                yield from self._parked_by_resource.get(key.name, ())
            else:
                yield key
        yield from map(AskKey, dirty.answered)
        yield from map(ServiceKey, dirty.services)
        for type_ in dirty.idle:
            yield from self._parked_by_type.get(type_, ())
        if dirty.reservation:
            yield from self._parked_for_reservation
        if dirty.host:
            yield from self._parked_for_host

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


_HAS_RUN = (Status.succeeded, Status.failed, Status.rolled_back, Status.approval)


def _last_again(state: SessionState, now: float) -> ev.FinallyAgain | None:
    """Another ticket starts: what has run at the end will do so once more. What a person ended stays as it is."""
    if not state.last:
        return None
    have_run = (ticket for ticket in state.last.values() if ticket.status in _HAS_RUN)
    again = [ticket.id for ticket in have_run if ticket.id not in state.half_done]
    if not again:
        return None
    back, restored = set(again), []
    for ticket in sorted(state.last.values(), key=lambda ticket: ticket.group):
        if ticket.status is Status.skipped and all(need.id in back for need in state.lost_needs(ticket)):
            back.add(ticket.id)
            restored.append(ticket.id)
    return ev.FinallyAgain(at=now, tickets=tuple(again), restored=tuple(restored))


def new_agent_id(state: SessionState, type_: str) -> str:
    """The next name of an agent of this type: `builder-3`. Names are never used twice in a session."""
    number = state.pool_size[type_] + 1
    while f"{type_}-{number}" in state.agents:
        number += 1
    return f"{type_}-{number}"
