"""How a session would go on: its tickets on a clock of its own, under the limits that it has, or under others.

List scheduling (R. L. Graham, "Bounds for certain multiprocessing anomalies", 1966) in the order of dispatch:
whenever something ends, each ready ticket starts that has a slot, an agent and its claims, best first. Failures,
pauses of agents, the time until a service is ready and reservations are left out. What is held, frozen or waits for a
person counts as if it went on at once; but what uses a service that failed, and what needs that, never starts.
"""

from bisect import insort
from collections import Counter
from heapq import heapify, heappop, heappush
from typing import Final, Literal

from msgspec import Struct, structs

from parexec_tui.core.plan.claims import EMPTY, Claims, Holdings
from parexec_tui.core.schedule.forecast import Forecast
from parexec_tui.core.state.session import Rank, SessionState
from parexec_tui.core.state.status import TERMINAL, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState

LOOKS: Final = 200
"""Ready tickets that are looked at whenever something ends: so many that cannot start hide others behind them."""

LimitKind = Literal["parallel", "agents", "resource", "lock"]


class Limit(Struct, frozen=True):
    """Something of which there is not enough for all at once."""

    kind: LimitKind
    name: str = ""
    """The agent type, the resource or the lock."""


class Course(Struct, frozen=True):
    """How a session would go on."""

    seconds: float
    """Until the last ticket ends that can."""
    at_once: int
    """Tickets that would start right now."""
    left: int
    """Tickets that would never start."""


def simulate(state: SessionState, forecast: Forecast, now: float, more: Limit | None = None) -> Course | None:
    """Let the session go on to its end. None if nothing tells how long a ticket takes. O(tickets * LOOKS) at most.

    `more`: a limit of which there is one more than there is; of a lock: which is no limit at all.
    """
    seconds = {}
    for ticket in state.tickets.values():
        if ticket.status not in TERMINAL:
            left = forecast.left(ticket, now)
            if left is None:
                return None
            seconds[ticket.id] = left
    return _Simulation(state, seconds, more).run()


class _Simulation:
    """One course of a session, from now to its end."""

    def __init__(self, state: SessionState, seconds: dict[str, float], more: Limit | None) -> None:
        self._state = state
        self._seconds = seconds
        busy = Counter(state.agents[ticket.agent].type for ticket in state.live.values() if ticket.agent)
        bad = Counter(agent.type for agent in state.quarantined.values())
        slots = state.parallel + (more == Limit("parallel"))
        self._agents = {
            type_: (slots if limit is None else limit) - busy[type_] - bad[type_]
            for type_, limit in state.agent_limits.items()
        }
        self._slots = slots - len(state.live)
        capacities = state.holdings.capacities
        if more is not None and more.kind == "agents" and more.name in self._agents:
            self._agents[more.name] += 1
        if more is not None and more.kind == "resource":
            capacities[more.name] = capacities.get(more.name, 0.0) + 1
        self._free_lock = more.name if more is not None and more.kind == "lock" else ""
        self._holdings = Holdings(capacities)
        self._running: list[tuple[float, str, str]] = []
        """(when it ends, ticket, type of its agent), a heap"""
        self._missing: dict[str, int] = {}
        self._ready: list[tuple[Rank, str]] = []
        self._last = sum(ticket.status not in TERMINAL for ticket in state.last.values())
        """Tickets that are to run at the end."""
        self._others = len(seconds) - self._last
        failed = {service.name for service in state.services.values() if service.status is ServiceStatus.failed}
        for id_ in seconds:
            ticket = state.tickets[id_]
            if ticket.is_live or ticket.status is Status.approval:
                has_given_back = ticket.attempt is not None and ticket.attempt.is_lost
                self._holdings.take(id_, EMPTY if has_given_back else self._claims(ticket), 0.0)
                type_ = state.agents[ticket.agent].type if ticket.is_live and ticket.agent else ""
                self._running.append((seconds[id_], id_, type_))
            else:
                self._missing[id_] = ticket.missing + any(name in failed for name in ticket.spec.uses_service)
                if not self._missing[id_] and not ticket.spec.finally_:
                    self._ready.append((state.rank(ticket), id_))
        heapify(self._running)
        self._ready.sort()
        self._end_of_others(0)

    def run(self) -> Course:
        now = 0.0
        self._start(now)
        at_once = sum(id_ in self._missing for _, id_, _ in self._running)
        while self._running:
            now = self._running[0][0]
            while self._running and self._running[0][0] <= now:
                _, id_, type_ = heappop(self._running)
                self._end(id_, type_)
            self._start(now)
        return Course(round(now, 1), at_once, len(self._ready) + sum(map(bool, self._missing.values())))

    def _claims(self, ticket: TicketState) -> Claims:
        claims = ticket.claims
        if self._free_lock and self._free_lock in claims.locks:
            return structs.replace(claims, locks=tuple(lock for lock in claims.locks if lock != self._free_lock))
        return claims

    def _start(self, now: float) -> None:
        started = looked = 0
        rest: list[tuple[Rank, str]] = []
        for entry in self._ready:
            if self._slots <= 0 or looked >= LOOKS:
                break
            started += 1
            ticket = self._state.tickets[entry[1]]
            type_ = next((type_ for type_ in ticket.types if self._agents.get(type_, 0) > 0), None)
            claims = self._claims(ticket)
            if type_ is None or (claims is not EMPTY and self._holdings.conflict(claims) is not None):
                rest.append(entry)
                looked += 1
                continue
            self._slots -= 1
            self._agents[type_] -= 1
            self._holdings.take(ticket.id, claims, now)
            heappush(self._running, (now + self._seconds[ticket.id], ticket.id, type_))
        self._ready[:started] = rest

    def _end(self, id_: str, type_: str) -> None:
        self._holdings.give_back(id_)
        if type_:
            self._slots += 1
            self._agents[type_] += 1
        for dependent in self._state.graph.dependents[id_]:
            if self._missing.get(dependent):
                self._missing[dependent] -= 1
                ticket = self._state.tickets[dependent]
                if not self._missing[dependent] and (self._others < 0 or not ticket.spec.finally_):
                    insort(self._ready, (self._state.own_rank(ticket), dependent))
        if not self._state.tickets[id_].spec.finally_:
            self._end_of_others(1)

    def _end_of_others(self, ended: int) -> None:
        """Let those start that run at the end, once the others are over."""
        self._others -= ended
        if self._others == 0 and self._last:
            self._others = -1
            for ticket in self._state.last.values():
                if ticket.id in self._missing and not self._missing[ticket.id]:
                    insort(self._ready, (self._state.own_rank(ticket), ticket.id))
