"""What is left of a session as a scheduling problem: numbers only, made once, so that many orders can be tried on it.

A ticket is a number here. What it wants is a demand: amounts of counted things (slots, agents of a type, resources,
locks, an agent that it is pinned to), one of several agent types, and files. Tickets that want the same share one
demand, and files count only where two tickets want the same ones. A barrier, and what runs at the end, are tickets
that take no time and want nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from parexec_tui.core.plan.claims import folders_of
from parexec_tui.core.plan.patterns import Pattern, overlap
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

MAX_COMPARED: Final = 100_000
"""Pairs of patterns that are compared to find out which files tickets share; with more there is no problem made."""

PER_UNIT: Final = 10**9
"""Amounts are counted in billionths, as the claims are: fractions add up without rounding."""


class Demand(Struct, frozen=True, gc=False):
    """What a ticket wants while it runs. Equal for tickets that want the same."""

    amounts: tuple[tuple[int, int], ...] = ()
    """(counted thing, how much of it in billionths)"""
    files: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    """Agent types, by number, of which it takes one; none where it has no choice."""


class Problem(Struct):
    """Tickets that are to be scheduled, by number. Times are seconds."""

    ids: list[str]
    """Of the tickets; those without an id take no time and want nothing."""
    durations: list[float]
    after: list[list[int]]
    """ticket: those that wait for its end"""
    before: list[list[int]]
    """ticket: those whose end it waits for"""
    classes: list[int]
    """ticket: the rank of its priority class; a lower one goes first, always"""
    remaining: list[float]
    """ticket: the longest chain that starts with it"""
    ready_at: list[float]
    """ticket: since when it is ready, if it is, in seconds before now (negative)"""
    orders: list[int]
    """ticket: its place in the plan"""
    demand_of: list[int]
    """ticket: its demand; -1: it wants nothing"""
    demands: list[Demand]
    capacities: list[int]
    """counted thing: how much there is, in billionths. The first one are the slots."""
    things: list[tuple[str, str]]
    """counted thing: its kind (`slot`, `type`, `agent`, `lock` or `resource`) and its name"""
    clashes: list[tuple[int, ...]]
    """file: those that cannot be held at the same time"""
    running: list[int]
    """Tickets that run already."""
    idle: list[list[int]]
    """agent type: its idle agents by their turns, idle longest first"""
    room: list[int]
    """agent type: how many agents may still be started"""
    busy: list[tuple[int, int]]
    """(running ticket, the agent type that it has), where types are chosen"""
    opened: float
    """When the session was opened, in seconds before now (negative)."""


def problem_of(state: SessionState, now: float) -> Problem | None:
    """What is left to schedule; None if the files of its tickets are too many to compare. O(plan).

    Held, frozen and unapproved tickets, and those that wait for another try, count as if they went on at once.
    """
    return _Maker(state, now).make()


class _Maker:
    """Makes one problem."""

    def __init__(self, state: SessionState, now: float) -> None:
        self._state = state
        self._now = now
        self._tickets = [ticket for ticket in state.tickets.values() if ticket.status not in TERMINAL]
        self._numbers = {ticket.id: number for number, ticket in enumerate(self._tickets)}
        self._things: dict[tuple[str, str], int] = {("slot", ""): 0}
        self._capacities = [state.parallel * PER_UNIT]
        self._types = {type_: number for number, type_ in enumerate(state.agent_limits)}
        self._has_choice = any(len(ticket.types) > 1 for ticket in self._tickets)
        self._bad = Counter(agent.type for agent in state.quarantined.values())

    def make(self) -> Problem | None:
        tickets, state = self._tickets, self._state
        files = _Files(tickets)
        if not files.are_known:
            return None
        demands: dict[Demand, int] = {}
        demand_of = []
        for ticket in tickets:
            demand = Demand(tuple(self._amounts(ticket)), files.of(ticket), self._choice(ticket))
            demand_of.append(demands.setdefault(demand, len(demands)))
        after: list[list[int]] = [[] for _ in tickets]
        before: list[list[int]] = [[] for _ in tickets]
        for number, ticket in enumerate(tickets):
            if ticket.is_live or ticket.status is Status.approval:
                continue
            for need in state.graph.needs[ticket.id]:
                if (other := self._numbers.get(need)) is not None:
                    after[other].append(number)
                    before[number].append(other)
        kept = [number for number, ticket in enumerate(tickets) if ticket.status is Status.approval]
        running = [*map(self._numbers.__getitem__, state.live), *kept]
        problem = Problem(
            ids=[ticket.id for ticket in tickets],
            durations=[self._takes(ticket) for ticket in tickets],
            after=after,
            before=before,
            classes=[ticket.spec.priority.rank for ticket in tickets],
            remaining=[ticket.remaining for ticket in tickets],
            ready_at=[min(0.0, ticket.ready_at - self._now) for ticket in tickets],
            orders=[ticket.order for ticket in tickets],
            demand_of=demand_of,
            demands=list(demands),
            capacities=self._capacities,
            things=list(self._things),
            clashes=files.clashes,
            running=running,
            idle=[[agent.turn for agent in state.available[type_].values()] for type_ in self._types],
            room=[self._most(type_) - state.pool_size[type_] for type_ in self._types],
            busy=[(number, self._types[type_]) for number, type_ in self._busy(running)],
            opened=state.opened_at - self._now,
        )
        self._add_barriers(problem)
        return problem

    def _takes(self, ticket: TicketState) -> float:
        if ticket.status is Status.approval:
            return 0.0  # it has run
        takes = self._state.assumed(ticket)
        return abs(takes - ticket.worked(self._now)) if ticket.is_live else takes

    def _amounts(self, ticket: TicketState) -> Iterator[tuple[int, int]]:
        if ticket.status is Status.approval:
            yield from self._claimed(ticket)
            return
        yield 0, PER_UNIT
        if len(ticket.types) == 1 and not self._has_choice and self._is_limited(ticket.types[0]):
            yield self._thing("type", ticket.types[0], self._most(ticket.types[0])), PER_UNIT
        if ticket.pin and ticket.pin in self._state.agents:
            yield self._thing("agent", ticket.pin, 1), PER_UNIT
        yield from self._claimed(ticket)

    def _claimed(self, ticket: TicketState) -> Iterator[tuple[int, int]]:
        for lock in ticket.claims.locks:
            yield self._thing("lock", lock, 1), PER_UNIT
        for name in sorted(ticket.claims.uses):
            thing = self._thing("resource", name, self._state.holdings.capacity(name))
            yield thing, round(ticket.claims.uses[name] * PER_UNIT)

    def _thing(self, kind: str, name: str, capacity: float) -> int:
        if (kind, name) not in self._things:
            self._things[kind, name] = len(self._capacities)
            self._capacities.append(round(capacity * PER_UNIT))
        return self._things[kind, name]

    def _is_limited(self, type_: str) -> bool:
        return self._state.agent_limits.get(type_) is not None or self._bad[type_] > 0

    def _most(self, type_: str) -> int:
        return self._state.max_agents(type_) - self._bad[type_]

    def _choice(self, ticket: TicketState) -> tuple[int, ...]:
        if not self._has_choice or ticket.status is Status.approval:
            return ()
        return tuple(self._types[type_] for type_ in ticket.types)

    def _busy(self, running: Iterable[int]) -> Iterator[tuple[int, str]]:
        for number in running:
            ticket = self._tickets[number]
            if self._has_choice and ticket.is_live and ticket.agent:
                yield number, self._state.agents[ticket.agent].type

    def _add_barriers(self, problem: Problem) -> None:
        """What has to wait for all of a group, or for all tickets that do not run at the end, waits for one ticket
        that waits for them."""
        last = [number for number, ticket in enumerate(self._tickets) if ticket.spec.finally_]
        others = [number for number, ticket in enumerate(self._tickets) if not ticket.spec.finally_]
        if last and others:
            _put_between(problem, others, last)
        if self._state.plan.settings.barrier:
            levels: defaultdict[int, list[int]] = defaultdict(list)
            for number in others:
                levels[self._tickets[number].group].append(number)
            for level, following in zip(sorted(levels), sorted(levels)[1:], strict=False):
                _put_between(problem, levels[level], levels[following])


def _put_between(problem: Problem, first: list[int], then: list[int]) -> None:
    between = len(problem.durations)
    problem.ids.append("")
    problem.durations.append(0.0)
    problem.classes.append(0)
    problem.remaining.append(0.0)
    problem.ready_at.append(0.0)
    problem.orders.append(-1)
    problem.demand_of.append(-1)
    problem.after.append(list(then))
    problem.before.append(list(first))
    for number in first:
        problem.after[number].append(between)
    for number in then:
        problem.before[number].append(between)


class _Files:
    """Which files tickets share: patterns that are read or written, and which of them clash."""

    def __init__(self, tickets: Iterable[TicketState]) -> None:
        uses: Counter[tuple[bool, Pattern]] = Counter()
        for ticket in tickets:
            uses.update({(True, pattern) for pattern in ticket.claims.writes})
            uses.update({(False, pattern) for pattern in ticket.claims.reads})
        self._compared = 0
        found: defaultdict[tuple[bool, Pattern], list[tuple[bool, Pattern]]] = defaultdict(list)
        for one, other in self._pairs(uses):
            found[one].append(other)
            if one != other:
                found[other].append(one)
        self.are_known = self._compared <= MAX_COMPARED
        """False: there were too many to compare."""
        self._numbers = {each: number for number, each in enumerate(found)}
        self.clashes = [tuple(self._numbers[other] for other in others) for others in found.values()]

    def of(self, ticket: TicketState) -> tuple[int, ...]:
        """The files of a ticket that others want as well."""
        claims = ticket.claims
        wanted = (*((True, pattern) for pattern in claims.writes), *((False, pattern) for pattern in claims.reads))
        return tuple(self._numbers[each] for each in wanted if each in self._numbers)

    def _pairs(
        self, uses: Mapping[tuple[bool, Pattern], int]
    ) -> Iterator[tuple[tuple[bool, Pattern], tuple[bool, Pattern]]]:
        """Each two that clash; one that two tickets write clashes with itself."""
        below: defaultdict[str, list[tuple[bool, Pattern]]] = defaultdict(list)
        at: defaultdict[str, list[tuple[bool, Pattern]]] = defaultdict(list)
        for one, count in uses.items():
            is_written, pattern = one
            if is_written and count > 1:
                yield one, one
            path = folders_of(pattern)
            for group in (*(at[folder] for folder in path[:-1]), below[path[-1]]):
                for other in group:
                    self._compared += 1
                    if self._compared > MAX_COMPARED:
                        return
                    if (is_written or other[0]) and overlap(pattern, other[1]):
                        yield one, other
            at[path[-1]].append(one)
            for folder in path:
                below[folder].append(one)
