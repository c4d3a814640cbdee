"""What the limits of a plan cost: needs, locks, resources, the pool.

Without one of them it is a scheduling problem of its own, and the best of some orders of it is what it is worth. So
what a limit costs is what a good order of dispatch would gain without it.
"""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import Final, Literal

from msgspec import Struct, structs

from parexec_tui.core.predict.pool_sizes import Curve, Drawing, searched
from parexec_tui.core.schedule.order import Search
from parexec_tui.core.schedule.problem import Problem

_WORTH: Final = 0.005
"""Removing a limit that gains a smaller share is not told."""

_EDGES: Final = 12
"""Needs that are looked at: those on the longest chains of the schedule."""

_NO_LIMIT: Final = 10**30

_Kind = Literal["needs", "lock", "resource", "agents", "agent", "parallel", "files"]


class Saving(Struct, frozen=True):
    """What a limit costs."""

    kind: _Kind
    name: str
    """The lock, the resource, the agent type or agent; of needs `T7 needs T3`."""
    seconds: float
    """By which the plan would be over sooner without it; the limit of an agent type goes with that of its slots."""
    share: float


def savings(problem: Problem, found: Sequence[Curve], drawing: Drawing, best: float | None = None) -> list[Saving]:
    """What each limit costs, the worst first; those that cost next to nothing are left out.

    `found`: what other sizes of the pool do. `best`: what the plan takes in the best order that is known, if a longer
    search was made.
    """
    base = searched(problem, drawing)
    seconds = base.seconds if best is None else min(best, base.seconds)
    if seconds <= 0:
        return []
    saved: list[tuple[_Kind, str, float]] = [
        ("agents" if curve.type else "parallel", curve.type, curve.seconds(curve.current) - curve.unlimited)
        for curve in found
        if curve.unlimited < seconds
    ]
    for kind, name, other in _without(problem, base):
        saved.append((kind, name, seconds - searched(other, drawing).seconds))
    worst = sorted((each for each in saved if each[2] > _WORTH * seconds), key=lambda each: -each[2])
    return [Saving(kind, name, round(gain, 3), round(gain / seconds, 4)) for kind, name, gain in worst]


_KINDS: Final[dict[str, _Kind]] = {"agent": "agent", "lock": "lock", "resource": "resource"}
"""Of the counted things that are no sizes of the pool."""


def _without(problem: Problem, base: Search) -> Iterator[tuple[_Kind, str, Problem]]:
    """The problem without each of its limits that are not the pool's."""
    for thing, (kind, name) in enumerate(problem.things):
        if kind in _KINDS:
            capacities = problem.capacities.copy()
            capacities[thing] = _NO_LIMIT
            yield _KINDS[kind], name, structs.replace(problem, capacities=capacities)
    if problem.clashes:
        yield "files", "", structs.replace(problem, clashes=[() for _ in problem.clashes])
    for need, ticket in _tight_needs(problem, base):
        after, before = list(problem.after), list(problem.before)
        after[need] = [each for each in after[need] if each != ticket]
        before[ticket] = [each for each in before[ticket] if each != need]
        other = structs.replace(problem, after=after, before=before)
        other.remaining = chains(other)
        yield "needs", f"{problem.ids[ticket]} needs {problem.ids[need]}", other


def _tight_needs(problem: Problem, base: Search) -> list[tuple[int, int]]:
    """Needs at whose end the ticket that waits for it starts, and that have most before and after them."""
    starts, tails = base.best.starts, chains(problem)
    tight = [
        (starts[ticket] + tails[ticket], need, ticket)
        for ticket, needs in enumerate(problem.before)
        for need in needs
        if problem.ids[ticket]
        and problem.ids[need]
        and starts[ticket] <= starts[need] + problem.durations[need] + 1e-6
    ]
    return [(need, ticket) for _, need, ticket in nlargest(_EDGES, tight)]


def chains(problem: Problem) -> list[float]:
    """For each ticket the seconds of the longest chain that begins with it."""
    longest = problem.durations.copy()
    missing = [len(after) for after in problem.after]
    done = [ticket for ticket, count in enumerate(missing) if not count]
    for ticket in done:
        for need in problem.before[ticket]:
            longest[need] = max(longest[need], problem.durations[need] + longest[ticket])
            missing[need] -= 1
            if not missing[need]:
                done.append(need)
    return longest
