"""Predicts what is left of a session: list scheduling on the pool as it is now."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Forecast, Told
from parexec_tui.core.state.session import DEFAULT_ESTIMATE, Rank, SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState

MAX: Final = 2_000
"""Tickets that a prediction looks ahead."""


class PredictedSpan(NamedTuple):
    """When a ticket will run, as far as can be told; times are seconds since the epoch."""

    ticket: str
    agent: str | None
    """None: one that is still to be started; empty: the engine itself, as it runs gates of a group."""
    start: float
    end: float


def predict(
    state: SessionState, now: float, told: Mapping[str, Told] = NOTHING_TOLD, *, limit: int = MAX
) -> list[PredictedSpan]:
    """When running tickets will end, and when `limit` of the waiting ones will run, in the order of their starts.
    `told`: how far the running ones are, as far as their outputs tell.

    A ticket takes what `Forecast` says or, where nothing is known, `DEFAULT_ESTIMATE`. Tickets start in the order of
    `SessionState.rank`, on an agent of a type that can run them, within the limits of the types and of the session.

    Not considered: claims and resources, failures, barriers between groups, pins to one agent of several. A held
    ticket, a held agent and everything that depends on them are left out; a held session is predicted as if it were
    released now. Costs O(tickets), then O(log) for each of the `limit`.
    """
    simulation = _Simulation(state, now, told)
    found: list[PredictedSpan] = []
    for each in simulation.run():
        found.append(each)
        if len(found) >= limit:
            break
    return found


class _Simulation:
    def __init__(self, state: SessionState, now: float, told: Mapping[str, Told]) -> None:
        self._state = state
        self._now = now
        self._forecast = Forecast(state, told)
        self._missing: dict[str, int] = {}
        """ticket: needs that are not over, where that differs from the state"""
        self._ready: defaultdict[tuple[str, ...], list[tuple[Rank, str]]] = defaultdict(list)
        """types: heap of the tickets that can start, by rank"""
        self._later: list[tuple[float, str]] = []
        """when, ticket: those in backoff"""
        self._running: list[tuple[float, str, str, str | None]] = []
        """end, ticket, agent type, agent; gates that the engine runs itself have neither"""
        self._idle = {type_: list(reversed(agents)) for type_, agents in state.available.items()}
        """type: its idle agents, the next one last"""
        self._room = {type_: state.max_agents(type_) - state.pool_size[type_] for type_ in state.available}
        """type: agents that may still be started"""

    def run(self) -> Iterator[PredictedSpan]:
        state = self._state
        for ticket in state.live.values():
            yield self._go_on(ticket)
        for ticket in state.tickets.values():
            if not ticket.missing and ticket.held is None:
                if ticket.status is Status.waiting:
                    self._queue(ticket, ticket.ready_at)
                elif ticket.status is Status.backoff:
                    self._later.append((max(self._now, ticket.retry_at or 0.0), ticket.id))
        heapify(self._later)
        at = self._now
        while True:
            yield from self._start(at)
            upcoming = [heap[0][0] for heap in (self._running, self._later) if heap]
            if not upcoming:
                return
            at = min(upcoming)
            self._advance(at)

    def _go_on(self, ticket: TicketState) -> PredictedSpan:
        """Keep a running ticket until its end."""
        end = self._now + (self._forecast.left(ticket, self._now) or 0.0)
        if ticket.agent is None:
            heappush(self._running, (end, ticket.id, "", ""))
            return PredictedSpan(ticket.id, "", self._now, end)
        agent = self._state.agents[ticket.agent]
        heappush(self._running, (end, ticket.id, agent.type, agent.id))
        return PredictedSpan(ticket.id, agent.id, self._now, end)

    def _duration(self, ticket: TicketState) -> float:
        takes = self._forecast.takes(ticket)
        return DEFAULT_ESTIMATE if takes is None else takes

    def _queue(self, ticket: TicketState, ready_at: float) -> None:
        priority_rank, path, order = self._state.rank(ticket)
        waits_less = (ready_at - ticket.ready_at) * self._state.ageing
        heappush(self._ready[ticket.types], ((priority_rank, path + waits_less, order), ticket.id))

    def _start(self, at: float) -> Iterator[PredictedSpan]:
        """Start what can start at this moment."""
        while len(self._running) < self._state.parallel:
            able = [(heap[0], types) for types, heap in self._ready.items() if heap and self._type(types) is not None]
            if not able:
                return
            _, types = min(able)
            type_ = self._type(types)
            assert type_ is not None
            ticket = self._state.tickets[heappop(self._ready[types])[1]]
            end = at + self._duration(ticket)
            agent = self._take_agent(type_)
            heappush(self._running, (end, ticket.id, type_, agent))
            yield PredictedSpan(ticket.id, agent, at, end)

    def _type(self, types: tuple[str, ...]) -> str | None:
        """One of these types that has an idle agent, or may start another; empty if none is needed."""
        if not types:
            return ""
        usable = [type_ for type_ in types if type_ not in self._state.held_types]
        return next((t for t in usable if self._idle[t]), None) or next(
            (t for t in usable if self._room[t] > 0), None
        )

    def _take_agent(self, type_: str) -> str | None:
        if not type_:
            return ""
        if self._idle[type_]:
            return self._idle[type_].pop()
        self._room[type_] -= 1
        return None

    def _advance(self, at: float) -> None:
        """End what ends at this moment, and make ready what waited for it."""
        while self._later and self._later[0][0] <= at:
            self._queue(self._state.tickets[heappop(self._later)[1]], at)
        while self._running and self._running[0][0] <= at:
            _, id_, type_, agent = heappop(self._running)
            self._give_back(type_, agent)
            for dependent in self._state.dependents(id_):
                missing = self._missing.get(dependent.id, dependent.missing) - 1
                self._missing[dependent.id] = missing
                if not missing and dependent.held is None and dependent.status in PENDING:
                    self._queue(dependent, at)

    def _give_back(self, type_: str, agent: str | None) -> None:
        """Make the agent idle again, unless it is to run no more."""
        if not type_:
            return
        if agent is None:
            self._room[type_] += 1
        elif not (known := self._state.agents[agent]).draining and known.held is None and not known.quarantined:
            self._idle[type_].append(agent)
