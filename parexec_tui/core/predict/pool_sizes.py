"""What a plan takes and costs with other sizes of the pool, and which size it should have.

Each size is a scheduling problem of its own, and the best of some orders of it is what it is worth.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct, structs

from parexec_tui.core.schedule.order import Draws, Search
from parexec_tui.core.schedule.problem import PER_UNIT, Problem
from parexec_tui.core.state.session import SessionState

MAX_PASSES: Final = 60
"""Orders that are tried for each alternative, at most."""

_PLACED: Final = 10_000
"""Tickets that are placed for each alternative, at most; but four orders are tried."""

DOZEN: Final = 12
"""Each size up to this is looked at. A larger pool is not proposed either, unless it was half as large before."""

_RATIO: Final = 1.4
"""Of the sizes above these each is so many times the one before it."""

_NEAR: Final = 1.02
"""A pool is large enough if it takes at most this many times what the best size does."""

_SLACK: Final = 1e-6

Drawing = Callable[[], Draws]
"""A new series of random numbers, always the same one: so that alternatives are compared fairly."""


class Size(Struct, frozen=True):
    """What the plan takes with a pool of some size."""

    agents: int
    parallel: int
    """Tickets at once: an agent that is added to a type, or taken from it, has its slot with it."""
    seconds: float
    cost: float
    """Agent-seconds: as many agents as may be at work, from the start to the end."""


class Curve(Struct, frozen=True):
    """What the plan takes by the size of one agent type, or by how many tickets run at once."""

    type: str
    """Empty: tickets at once."""
    current: int
    sizes: tuple[Size, ...]
    """The smallest first. They end where a larger one gains nothing."""
    knee: int
    """The smallest size beyond which hardly anything is gained."""
    unlimited: float
    """Seconds that it takes if there is no limit of this, nor of the slots for it."""
    width: int
    """Tickets that want it and run at once then, at most."""

    @property
    def proposed(self) -> int:
        """The knee, unless that is more than a dozen and more than twice what there is."""
        return min(self.knee, max(DOZEN, 2 * self.current))

    def seconds(self, agents: int) -> float:
        """What it takes with the greatest size of those that were looked at that is not above this one."""
        return next(size.seconds for size in reversed(self.sizes) if size.agents <= agents)


class Proposal(Struct, frozen=True):
    """Sizes of the pool, and what the plan takes with all of them."""

    agents: dict[str, int]
    """{agent type: its new `max`}"""
    parallel: int | None
    """None: as it is."""
    seconds: float
    cost: float
    seconds_before: float
    cost_before: float


def searched(problem: Problem, drawing: Drawing) -> Search:
    """What the best of some orders is."""
    search = Search(problem, drawing())
    search.run(max(4, min(MAX_PASSES, _PLACED // max(1, len(problem.ids)))))
    return search


class PoolSizes:
    """A plan that is about to begin, with other sizes of its pool."""

    def __init__(self, state: SessionState, problem: Problem, drawing: Drawing) -> None:
        """`problem`: that of `state`."""
        self._state = state
        self._problem = problem
        self._drawing = drawing

    def curves(self) -> Iterator[Curve]:
        """A curve for each agent type that has a limit, and one for the tickets that run at once. One after another,
        as each takes its time: at most some forty problems are searched."""
        for type_, most in self._state.agent_limits.items():
            if most and any(type_ in ticket.types for ticket in self._state.tickets.values()):
                yield self._curve(type_, most)
        yield self._curve("", self._state.parallel)

    def _curve(self, type_: str, current: int) -> Curve:
        most = current + len(self._problem.ids)
        if not type_:
            most = max(current, self._at_work({}, most))
        wide = searched(self._sized(*self._pool(type_, most)), self._drawing)
        width = self._width(type_, wide)
        least = max(1, self._state.plan.agents[type_].min) if type_ else 1
        raw: dict[int, float] = {}
        best = float("inf")
        for size in sorted({size for size in (*_sizes_up_to(width), current, current + 1) if size >= least}):
            raw[size] = wide.seconds if size >= width else self._seconds(type_, size)
            best = min(best, raw[size])
            if best <= wide.seconds + _SLACK and size > current:
                break
        best = min(best, wide.seconds)
        seconds = _falling(raw)
        while (middle := _before_the_knee(seconds, best)) is not None:
            raw[middle] = self._seconds(type_, middle)
            seconds = _falling(raw)
        return Curve(
            type=type_,
            current=current,
            sizes=tuple(self._size(type_, size, taken) for size, taken in seconds.items()),
            knee=next((size for size, taken in seconds.items() if taken <= _NEAR * best), current),
            unlimited=round(best, 3),
            width=width,
        )

    def _size(self, type_: str, size: int, seconds: float) -> Size:
        agents, parallel = self._pool(type_, size)
        return Size(size, parallel, round(seconds, 3), round(seconds * self._at_work(agents, parallel), 3))

    def _seconds(self, type_: str, size: int) -> float:
        return searched(self._sized(*self._pool(type_, size)), self._drawing).seconds

    def _pool(self, type_: str, size: int) -> tuple[dict[str, int], int]:
        """The limits of types and of the tickets at once that go with a size."""
        if not type_:
            return {}, size
        parallel, current = self._state.parallel, self._state.max_agents(type_)
        if size > current:
            return {type_: size}, parallel + size - current
        return {type_: size}, min(parallel, size + max(0, parallel - current))

    def _sized(self, agents: Mapping[str, int], parallel: int) -> Problem:
        """The problem with other limits."""
        state, problem = self._state, self._problem
        capacities, room = problem.capacities.copy(), problem.room.copy()
        more_at_once = parallel - state.parallel
        capacities[0] += more_at_once * PER_UNIT
        places = {thing: place for place, thing in enumerate(problem.things)}
        for number, (type_, limit) in enumerate(state.agent_limits.items()):
            more = more_at_once if limit is None else agents.get(type_, limit) - limit
            room[number] += more
            if (place := places.get(("type", type_))) is not None:
                capacities[place] += more * PER_UNIT
        return structs.replace(problem, capacities=capacities, room=room)

    def _at_work(self, agents: Mapping[str, int], parallel: int) -> int:
        """How many agents may be at work at once."""
        limits = self._state.agent_limits.items()
        return min(parallel, sum(agents.get(type_, parallel if most is None else most) for type_, most in limits))

    def _width(self, type_: str, wide: Search) -> int:
        """How many tickets that want agents of a type run at once at most, in the schedule that was found."""
        problem, starts = self._problem, wide.best.starts
        changes: list[tuple[float, int]] = []
        for number, (id_, seconds) in enumerate(zip(problem.ids, problem.durations, strict=True)):
            if id_ and seconds > 0 and (not type_ or type_ in self._state.tickets[id_].types):
                changes += ((starts[number], 1), (starts[number] + seconds - _SLACK, -1))
        at_once, width = 0, 1
        for _, change in sorted(changes):
            at_once += change
            width = max(width, at_once)
        return width

    # --- Which size it should have ---

    def proposal(self, found: Sequence[Curve]) -> Proposal | None:
        """The cheapest of the pools at the knees of the curves that hardly any other is faster than; None if the pool
        that there is is as good. No size is more than twice what it is, if it is above a dozen."""
        state = self._state
        present: _Pool = ((), state.parallel)
        takes = {present: min(curve.seconds(curve.current) for curve in found)}
        for pool in self._candidates(found):
            if pool not in takes:
                takes[pool] = searched(self._sized(dict(pool[0]), pool[1]), self._drawing).seconds
        enough = _NEAR * min(takes.values())
        costs = {
            pool: seconds * self._at_work(dict(pool[0]), pool[1])
            for pool, seconds in takes.items()
            if seconds <= enough
        }
        best = min(costs, key=lambda pool: (costs[pool], pool[1], pool))
        cost_before = takes[present] * self._at_work({}, state.parallel)
        if takes[best] >= takes[present] / _NEAR and costs[best] >= cost_before / _NEAR:
            return None
        return Proposal(
            agents=dict(best[0]),
            parallel=None if best[1] == state.parallel else best[1],
            seconds=round(takes[best], 3),
            cost=round(costs[best], 3),
            seconds_before=round(takes[present], 3),
            cost_before=round(cost_before, 3),
        )

    def _candidates(self, found: Sequence[Curve]) -> Iterator["_Pool"]:
        """All knees together, those of the types, each type alone, and the slots alone."""
        state = self._state
        knees = {curve.type: curve.proposed for curve in found if curve.proposed != curve.current}
        at_once = knees.pop("", state.parallel)
        yield (), at_once
        for agents in (knees, *({type_: knee} for type_, knee in knees.items())):
            changes = [knee - state.max_agents(type_) for type_, knee in agents.items()]
            grown = sum(change for change in changes if change > 0)
            for parallel in {at_once + grown, state.parallel + grown, state.parallel + sum(changes), at_once}:
                yield tuple(agents.items()), max(1, self._at_work(agents, parallel))


_Pool = tuple[tuple[tuple[str, int], ...], int]
"""The limits of types that are other than now, and the tickets at once."""


def _sizes_up_to(width: int) -> Iterator[int]:
    yield from range(1, min(DOZEN, width) + 1)
    size = float(DOZEN)
    while (size := size * _RATIO) < width:
        yield round(size)
    yield width


def _falling(seconds: Mapping[int, float]) -> dict[int, float]:
    """{size: seconds}, the smallest size first: a larger pool can leave agents idle."""
    best, found = float("inf"), {}
    for size in sorted(seconds):
        best = found[size] = min(best, seconds[size])
    return found


def _before_the_knee(seconds: Mapping[int, float], best: float) -> int | None:
    """A size that may be the knee, and was not looked at: half way to the smallest that is large enough."""
    before = None
    for size, taken in seconds.items():
        if taken <= _NEAR * best:
            return None if before is None or size - before < 2 else (before + size) // 2
        before = size
    return None
