"""What may start, what may not and why, and what starts next.

`blockers` is the one predicate: the dispatcher asks it for the first reason, people for all of them. `Dispatcher`
keeps every ready ticket in exactly one place: in the queue, to be looked at, or parked under the key of what
blocks it. When that key is freed, one ticket of those parked there is looked at, and the next one only if the first
did not take it; so the cost of a dispatch follows what changed, not how much waits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from msgspec import Struct

from parexec_tui.core.plan.claims import Conflict, Key
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.events import Status
from parexec_tui.core.state.indexes import Wakes
from parexec_tui.core.state.tickets import DONE, TicketState

LOOKS: int = 2_000
"""Tickets that one dispatch looks at before the engine may see to its processes again."""


class Blocker(Struct, frozen=True):
    """One reason why a ticket does not run."""

    kind: str
    """needs, status, session, host, held, backoff, barrier, claim, resource, agent or parallel."""
    text: str
    """In words that a person can act on."""
    key: Key | None = None
    """What the ticket is parked under while this is the first reason; None: an event makes it ready again."""
    holder: str = ""
    """The ticket that is in the way, where there is one."""
    since: float = 0.0
    until: float | None = None


def session_blocker(state: SessionState) -> Blocker | None:
    """Why nothing at all is started, if so."""
    for word, event in (("stopping", state.stopping), ("draining", state.draining), ("held", state.held)):
        if event is not None:
            by = f" by {event.by}" if event.by else ""
            why = f": {event.reason}" if event.reason else ""
            return Blocker("session", f"session {word}{by}{why}", since=event.at)
    for pressed in state.pressed.values():
        return Blocker("host", f"host short of {pressed.resource}: {pressed.text}", since=pressed.at)
    return None


def blockers(state: SessionState, ticket: TicketState) -> Iterator[Blocker]:
    """Every reason why this ticket cannot start now; none if it can, given a free slot.

    The order is fixed: what concerns the ticket first, the machine and the pool last.
    """
    if ticket.status is not Status.waiting and ticket.status is not Status.backoff:
        yield Blocker("status", _status_text(state, ticket))
        return
    if ticket.missing:
        yield _needs(state, ticket)
    if (blocker := session_blocker(state)) is not None:
        yield blocker
    if ticket.held is not None:
        yield Blocker("held", f"held by {ticket.held}" if ticket.held else "held")
    if ticket.status is Status.backoff:
        yield Blocker("backoff", f"retry {ticket.charged} of {ticket.spec.retries}", until=ticket.retry_at)
    if state.plan.settings.barrier and ticket.group > state.open_group:
        left = state.group_left[state.open_group]
        yield Blocker("barrier", f"group {state.open_group + 1} comes first: {left} left")
    for conflict in state.holdings.conflicts(ticket.claims):
        yield _claim(ticket, conflict)
    if pick_agent(state, ticket) is None:
        yield _agents(state, ticket)


def parallel_blocker(state: SessionState) -> Blocker | None:
    """Why one more ticket cannot run, whichever it is."""
    if len(state.live) >= state.parallel:
        return Blocker("parallel", f"{len(state.live)} of {state.parallel} running")
    return None


def why(state: SessionState, ticket: TicketState) -> list[Blocker]:
    """Everything that keeps this ticket from running, for a person."""
    found = list(blockers(state, ticket))
    if ticket.status in (Status.waiting, Status.backoff) and (parallel := parallel_blocker(state)) is not None:
        found.append(parallel)
    return found


def _status_text(state: SessionState, ticket: TicketState) -> str:
    if ticket.status is Status.skipped:
        cause = state.cause(ticket)
        return f"skipped: {cause.id} {'was cancelled' if cause.status is Status.cancelled else 'failed'}"
    if ticket.is_live:
        return f"{ticket.status} on {ticket.agent}"
    return f"{ticket.status}: {ticket.reason}" if ticket.reason else str(ticket.status)


def _needs(state: SessionState, ticket: TicketState) -> Blocker:
    waiting_for = [id_ for id_ in ticket.spec.needs if state.tickets[id_].status not in DONE]
    shown = ", ".join(f"{id_} ({state.tickets[id_].status})" for id_ in waiting_for[:3])
    more = f" and {len(waiting_for) - 3} more" if len(waiting_for) > 3 else ""
    return Blocker("needs", f"needs {shown}{more}", holder=waiting_for[0])


def _claim(ticket: TicketState, conflict: Conflict) -> Blocker:
    key = conflict.key
    if key.kind == "resource":
        # Tickets that want different amounts wait apart: what is too little for one may be enough for another.
        key = Key(f"resource {key.name}", str(ticket.claims.uses[key.name]))
    kind = "resource" if conflict.key.kind == "resource" else "claim"
    return Blocker(kind, conflict.describe(), key, conflict.holder, conflict.since)


def place_of(state: SessionState, ticket: TicketState) -> AgentState | None:
    """The one agent that the ticket is pinned to.

    A pin to an agent that has stopped or is in quarantine holds for its type: the ticket shall not be stranded.
    """
    agent = state.agents.get(ticket.pin) if ticket.pin else None
    return None if agent is None or agent.stopped or agent.quarantined else agent


def pick_agent(state: SessionState, ticket: TicketState) -> AgentState | str | None:
    """The agent that would run the ticket: one that can, idle longest; else a type that may start one more."""
    types = ticket.types
    if state.held_types:
        types = tuple(type_ for type_ in types if type_ not in state.held_types)
    if (place := place_of(state, ticket)) is not None:
        return place if place.is_available and place.type in types and place.id not in ticket.shunned else None
    best: AgentState | None = None
    for type_ in types:
        for agent in state.available[type_].values():
            if agent.id not in ticket.shunned:
                if best is None or agent.turn < best.turn:
                    best = agent
                break
    return best or next((type_ for type_ in types if has_room(state, type_)), None)


def has_room(state: SessionState, type_: str) -> bool:
    """Whether one more agent of this type may be started."""
    most = state.most[type_]
    return state.pool_size[type_] < (state.parallel if most is None else most)


def agents_left(state: SessionState, ticket: TicketState) -> bool:
    """Whether any agent exists or may be started that could run this ticket, now or later."""
    if (place := place_of(state, ticket)) is not None:
        return place.id not in ticket.shunned
    return any(has_room(state, agent_type) for agent_type in ticket.types) or any(
        agent.type in ticket.types and agent.id not in ticket.shunned and not (agent.stopped or agent.quarantined)
        for agent in state.agents.values()
    )


def _agents(state: SessionState, ticket: TicketState) -> Blocker:
    place = place_of(state, ticket)
    held = [type_ for type_ in ticket.types if type_ in state.held_types]
    able = [
        agent for agent in state.agents.values()
        if agent.type in ticket.types and not agent.stopped and agent.type not in held and place in (None, agent)
    ]  # fmt: skip
    key = Key("agent " + " ".join(ticket.types), " ".join(ticket.shunned) + (f" @{place.id}" if place else ""))
    types_held = [f"agent type {type_} held{_by(state.held_types[type_])}" for type_ in held]
    if agents_left(state, ticket):
        if held and not able:
            return Blocker("agent", ", ".join(types_held), key)
        text = ", ".join([*types_held, *(f"{agent.id} {_occupied(agent)}" for agent in able[:3])])
        more = f" and {len(able) - 3} more" if len(able) > 3 else ""
        why = "no idle agent" if place is None else "pinned"
        return Blocker("agent", f"{why}: {text}{more}", key)
    reasons = ", ".join(f"{agent.id} {agent.quarantined or 'could not start it'}" for agent in able[:3])
    return Blocker("agent", f"no agent left that could run it: {reasons}", key)


def _by(who: str) -> str:
    return f" by {who}" if who else ""


def _occupied(agent: AgentState) -> str:
    return f"runs {agent.ticket}" if agent.ticket else agent.status


Emit = Callable[[ev.AnyEvent], None]
_Entry = tuple[tuple[float, int], str, int]
"""rank, ticket, and the number of the look it is meant for; an entry with an old number is dead."""


class Dispatcher:
    """Chooses what starts next. It keeps an index only; all it decides goes through events."""

    def __init__(self, state: SessionState) -> None:
        self.state = state
        state.wakes = Wakes()
        self._queue: list[_Entry] = []
        self._parked: dict[Key, list[_Entry]] = {}
        """key: heap of the tickets that wait for it"""
        self._amounts: defaultdict[str, set[Key]] = defaultdict(set)
        """resource: keys that tickets are parked under for it"""
        self._crews: defaultdict[str, set[Key]] = defaultdict(set)
        """agent type: keys that tickets are parked under for want of one"""
        self._look: dict[str, int] = {}
        """ticket: number of its living entry, in the queue or parked"""
        self._woken: dict[str, Key] = {}
        """ticket: the key it was woken for, until it is looked at"""
        self._looks = 0
        self._look_at_all()

    def _look_at_all(self) -> None:
        """Begin anew: every ready ticket is in the queue, at the rank that it has now."""
        for index in (self._queue, self._parked, self._amounts, self._crews, self._look, self._woken):
            index.clear()
        for ticket in self.state.tickets.values():
            if ticket.status is Status.waiting and not ticket.missing:
                self._queue.append(self._entry(ticket))
        heapify(self._queue)

    def _entry(self, ticket: TicketState) -> _Entry:
        self._looks += 1
        self._look[ticket.id] = self._looks
        return self.state.rank(ticket), ticket.id, self._looks

    def _enqueue(self, ticket: TicketState) -> None:
        if (key := self._woken.pop(ticket.id, None)) is not None:
            self._wake_one(key)
        heappush(self._queue, self._entry(ticket))

    def dispatch(self, now: float, emit: Emit) -> bool:
        """Start what can start. `emit` must apply each event at once.

        Returns True when it stopped early to let the engine breathe, and wants to be called again.
        """
        self._take_wakes()
        if session_blocker(self.state) is not None:
            return False
        for _ in range(LOOKS):
            if not self._queue or parallel_blocker(self.state) is not None:
                return False
            _, id_, look = heappop(self._queue)
            if self._look.get(id_) == look:
                self._look_at(self.state.tickets[id_], now, emit)
                self._take_wakes()
        return bool(self._queue)

    def _look_at(self, ticket: TicketState, now: float, emit: Emit) -> None:
        blocker = next(blockers(self.state, ticket), None)
        woken_for = self._woken.pop(ticket.id, None)
        if blocker is None:
            self._look.pop(ticket.id)
            self._start(ticket, now, emit)
        elif blocker.key is None:
            self._look.pop(ticket.id)
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
        emit(ev.AttemptStarted(at=now, ticket=ticket.id, attempt=ticket.attempt + 1, agent=agent_id))

    def _park(self, ticket: TicketState, key: Key) -> None:
        shelf = self._parked.get(key)
        if shelf is None:
            shelf = self._parked[key] = []
            for index, names in ((self._amounts, "resource "), (self._crews, "agent ")):
                if key.kind.startswith(names):
                    for name in key.kind.removeprefix(names).split():
                        index[name].add(key)
        heappush(shelf, self._entry(ticket))

    def _take_wakes(self) -> None:
        wakes = self.state.wakes
        assert wakes is not None
        if wakes.everything:
            self.state.wakes = Wakes()
            self._look_at_all()
            return
        if wakes.ready:
            for id_ in wakes.ready:
                self._enqueue(self.state.tickets[id_])
            wakes.ready.clear()
        if wakes.freed:
            for key in wakes.freed:
                if key.kind == "resource":
                    for amount in tuple(self._amounts.get(key.name, ())):
                        self._wake_one(amount)
                else:
                    self._wake_one(key)
            wakes.freed.clear()
        if wakes.idle:
            for type_ in wakes.idle:
                for crew in tuple(self._crews.get(type_, ())):
                    self._wake_one(crew)
            wakes.idle.clear()

    def _wake_one(self, key: Key) -> None:
        """Queue the best ticket parked under this key, if any."""
        shelf = self._parked.get(key)
        while shelf:
            _, id_, look = heappop(shelf)
            if self._look.get(id_) == look:
                self._woken[id_] = key
                heappush(self._queue, self._entry(self.state.tickets[id_]))
                return
        if shelf is not None:
            del self._parked[key]
            for index in (self._amounts, self._crews):
                for name in key.kind.split()[1:]:
                    if key in index.get(name, ()):
                        index[name].discard(key)


def new_agent_id(state: SessionState, type_: str) -> str:
    """The next name of an agent of this type: `builder-3`. Names are never used twice in a session."""
    number = state.pool_size[type_] + 1
    while f"{type_}-{number}" in state.agents:
        number += 1
    return f"{type_}-{number}"
