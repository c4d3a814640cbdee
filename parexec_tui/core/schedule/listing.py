"""List scheduling of a `Problem`, forwards as the dispatcher does it, and backwards to justify a schedule.

Whenever something ends, every ready ticket that fits starts, best first (a parallel schedule generation scheme; R. L.
Graham, "Bounds for certain multiprocessing anomalies", 1966). Demands that cannot be met wait under the thing that is
short, as the tickets of the dispatcher do. When some of it is free again, the best of them is looked at, and the next
one only while there is any left: so a pass costs O(log) for each ticket and not for each look.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from parexec_tui.core.schedule.problem import Problem
from parexec_tui.core.state.session import AGEING

_SAME = 1e-6
"""Seconds within which ends count as one: sums of fractions are off by less, and clocks by more."""


class Schedule(NamedTuple):
    """When each ticket starts and the last one ends, in seconds from the beginning."""

    starts: list[float]
    seconds: float
    started: int
    """Tickets that found a place; fewer than there are if some can never start."""


class Lister:
    """Makes schedules of one problem, in one direction."""

    def __init__(self, problem: Problem, *, backwards: bool = False) -> None:
        self._problem = problem
        self._backwards = backwards
        self._after = problem.before if backwards else problem.after
        self._missing = [len(each) for each in (problem.after if backwards else problem.before)]
        self._free_at_once = [number for number, count in enumerate(self._missing) if not count]
        self._has_choice = any(demand.types for demand in problem.demands)
        self._choices = list(dict.fromkeys(demand.types for demand in problem.demands))
        """Agent types of which tickets take one."""
        self._choice_of = [self._choices.index(demand.types) for demand in problem.demands]
        self._by_type = [
            [number for number, types in enumerate(self._choices) if type_ in types]
            for type_ in range(len(problem.room))
        ]
        """agent type: the choices that it is among"""

    def by_places(self, places: Sequence[int]) -> Schedule:
        """The best first, by its place. `places`: of each ticket, from 0."""
        at: list[int] = [0] * len(places)
        for ticket, place in enumerate(places):
            at[place] = ticket
        return self._pass(places, at, None)

    def by_paths(self) -> Schedule:
        """The order without a search: by class, then the longest remaining path, with ageing."""
        return self._pass([], [], AGEING)

    def _pass(self, places: Sequence[int], at: Sequence[int], ageing: float | None) -> Schedule:
        problem = self._problem
        durations, demand_of, demands, clashes = (
            problem.durations, problem.demand_of, problem.demands, problem.clashes
        )  # fmt: skip
        after, has_choice = self._after, self._has_choice
        missing = self._missing.copy()
        free = problem.capacities.copy()
        blocked = [0] * len(clashes)
        choices, choice_of, by_type = self._choices, self._choice_of, self._by_type
        choice_from, files_from = len(free), len(free) + len(choices)
        starts = [0.0] * len(durations)
        idle = [list(turns) for turns in problem.idle] if has_choice else []
        room = problem.room.copy()
        turn = max((turns[-1] for turns in idle if turns), default=0)
        has_type: dict[int, int] = {}
        ready: list[list[Any]] = [[] for _ in demands]
        """demand: heap of the ready tickets with it"""
        waits: list[int] = [_NOBODY] * len(demands)
        """demand: what it waits for: a thing, a file or a type; or that it is to be looked at, or has no ticket"""
        waiting: dict[int, list[tuple[Any, int]]] = {}
        """thing, choice of types, or file: heap of (best ticket, demand): those that wait for that"""
        woken: list[int] = [_NOBODY] * len(demands)
        """demand: what was free when it was to be looked at, until it is"""
        aside: list[int] = []
        """Demands for which there is too little, until something ends"""
        look: list[tuple[Any, int]] = []
        """heap of (best ticket, demand): what is to be looked at"""
        running: list[tuple[float, int, int]] = []
        """heap of (end, number of its start, ticket): what ends at once ends in the order of the starts"""
        now = 0.0
        count = 0

        def entry(ticket: int) -> Any:
            if ageing is None:
                return places[ticket]
            since = problem.ready_at[ticket] if not problem.before[ticket] else now
            path = (since - problem.opened) * ageing - problem.remaining[ticket]
            return problem.classes[ticket], path, problem.orders[ticket], ticket

        def make_ready(ticket: int) -> None:
            demand = demand_of[ticket]
            if demand < 0:
                starts[ticket] = now
                ended.append(ticket)
                return
            best = entry(ticket)
            heap = ready[demand]
            heappush(heap, best)
            if heap[0] == best:
                thing = waits[demand]
                if thing < 0 or is_free(thing):  # a worse one is to be looked at for that
                    waits[demand] = _LOOKED_AT
                    heappush(look, (best, demand))
                else:
                    heappush(waiting[thing], (best, demand))

        def is_free(thing: int) -> bool:
            if thing < choice_from:
                return free[thing] > 0
            if thing < files_from:
                return _type(choices[thing - choice_from], idle, room) >= 0
            return not blocked[thing - files_from]

        def wake_one(thing: int) -> None:
            heap = waiting.get(thing)
            while heap:
                best, demand = heappop(heap)
                if waits[demand] == thing and ready[demand][0] == best:
                    waits[demand], woken[demand] = _LOOKED_AT, thing
                    heappush(look, (best, demand))
                    return

        def take(ticket: int, demand: int) -> None:
            for thing, amount in demands[demand].amounts:
                free[thing] -= amount
            for file in demands[demand].files:
                for other in clashes[file]:
                    blocked[other] += 1
            starts[ticket] = now
            heappush(running, (now + durations[ticket], count, ticket))

        ended: list[int] = []
        if self._backwards:
            running_now: set[int] = set()
            for _, type_ in problem.busy:
                turn += 1
                idle[type_].append(turn)
        else:
            running_now = set(problem.running)
            has_type.update(problem.busy)
            for ticket in problem.running:
                take(ticket, demand_of[ticket])
                count += 1
        for ticket in self._free_at_once:
            if ticket not in running_now:
                make_ready(ticket)
        while True:
            while ended:  # what takes no time and wants nothing
                ticket = ended.pop()
                count += 1
                for other in after[ticket]:
                    missing[other] -= 1
                    if not missing[other]:
                        make_ready(other)
            while look and free[0] > 0:
                best, demand = heappop(look)
                heap = ready[demand]
                if not heap or heap[0] != best or waits[demand] != _LOOKED_AT:
                    continue
                wanted = demands[demand]
                short = -1
                for thing, amount in wanted.amounts:
                    if free[thing] < amount:
                        short = thing
                        break
                else:
                    for file in wanted.files:
                        if blocked[file]:
                            short = files_from + file
                            break
                    else:
                        if wanted.types:
                            type_ = _type(wanted.types, idle, room)
                            if type_ < 0:
                                short = choice_from + choice_of[demand]
                source, woken[demand] = woken[demand], _NOBODY
                if short >= 0:
                    waits[demand] = short
                    if short == source:
                        aside.append(demand)
                    else:
                        heappush(waiting.setdefault(short, []), (best, demand))
                    if source >= 0 and is_free(source):
                        wake_one(source)
                    continue
                heappop(heap)
                ticket = at[best] if ageing is None else best[-1]
                take(ticket, demand)
                count += 1
                if wanted.types:
                    has_type[ticket] = type_
                    if idle[type_]:
                        idle[type_].pop(0)
                    else:
                        room[type_] -= 1
                if heap:
                    heappush(look, (heap[0], demand))
                else:
                    waits[demand] = _NOBODY
                if source >= 0 and is_free(source):
                    wake_one(source)
            if not running:
                break
            while aside:
                demand = aside.pop()
                if waits[demand] >= 0:
                    heappush(waiting[waits[demand]], (ready[demand][0], demand))
            now = running[0][0]
            freed: set[int] = set()
            while running and running[0][0] <= now + _SAME:
                end, _, ticket = heappop(running)
                if end > now:
                    now = end
                wanted = demands[demand_of[ticket]]
                for thing, amount in wanted.amounts:
                    free[thing] += amount
                    freed.add(thing)
                for file in wanted.files:
                    for other in clashes[file]:
                        blocked[other] -= 1
                        if not blocked[other]:
                            freed.add(files_from + other)
                if ticket in has_type:
                    turn += 1
                    type_ = has_type.pop(ticket)
                    idle[type_].append(turn)
                    freed.update(choice_from + number for number in by_type[type_])
                for other in after[ticket]:
                    missing[other] -= 1
                    if not missing[other]:
                        make_ready(other)
            for thing in freed:
                wake_one(thing)
        return Schedule(starts, now, count)


_NOBODY, _LOOKED_AT = -2, -1


def _type(types: tuple[int, ...], idle: list[list[int]], room: list[int]) -> int:
    """The type of which an agent takes a ticket: of the one that is idle longest, else of one that may be started."""
    best = -1
    for type_ in types:
        if idle[type_] and (best < 0 or idle[type_][0] < idle[best][0]):
            best = type_
    return best if best >= 0 else next((type_ for type_ in types if room[type_] > 0), -1)
