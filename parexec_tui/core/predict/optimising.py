"""What would make a plan faster or cheaper: other sizes of the pool, fewer limits, better estimates.

Each alternative is a scheduling problem of its own, and the best of some orders of it is what it is worth. So what a
limit costs is what a good order of dispatch would gain without it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nlargest
from math import log
from typing import Final, Literal

from msgspec import Struct, structs

from parexec_tui.core.predict.what_if import changed
from parexec_tui.core.schedule.order import Draws, Search
from parexec_tui.core.schedule.problem import Problem, problem_of
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import requests as rq

MAX_PASSES: Final = 60
"""Orders that are tried for each alternative, at most."""

_PLACED: Final = 10_000
"""Tickets that are placed for each alternative, at most; but four orders are tried."""

_SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000)
"""Sizes that are looked at of a pool of more than `_FEW`."""

_FEW: Final = 12
_MORE: Final = 4
"""A pool is looked at with so many agents more than it has."""

_NEAR: Final = 1.02
"""A pool is large enough if it takes at most this many times what the best size does."""

_WORTH: Final = 0.005
"""Removing a limit that gains a smaller share is not told."""

_EDGES: Final = 12
"""Needs that are looked at: those on the longest chains of the schedule."""

_WRONG: Final = log(1.25)
_WRONG_SECONDS: Final = 1.0
"""An estimate is wrong if history says by a quarter more or less, and by more than this."""

_NO_LIMIT: Final = 10**30

Drawing = Callable[[], Draws]
"""A new series of random numbers, always the same one: so that alternatives are compared fairly."""


class Size(Struct, frozen=True):
    """What the plan takes with a pool of some size."""

    agents: int
    parallel: int
    """Tickets at once; one more for each agent that is added to the type."""
    seconds: float
    cost: float
    """Agent-seconds: as many agents as may be at work, from the start to the end."""


class Curve(Struct, frozen=True):
    """What the plan takes by the size of one agent type, or by how many tickets run at once."""

    type: str
    """Empty: tickets at once."""
    current: int
    sizes: tuple[Size, ...]
    """The smallest first."""
    knee: int
    """The smallest size beyond which hardly anything is gained."""


class Saving(Struct, frozen=True):
    """What a limit costs."""

    kind: Literal["needs", "lock", "resource", "agents", "agent", "parallel", "files"]
    name: str
    """The lock, the resource, the agent type or agent; of needs `T7 needs T3`."""
    seconds: float
    """By which the plan would be over sooner without it."""
    share: float


class WrongEstimate(Struct, frozen=True):
    """What the plan and what earlier sessions say of a ticket, in seconds."""

    ticket: str
    estimate: float | None
    """None: the plan says nothing."""
    p50: float
    runs: int


class Proposal(Struct, frozen=True):
    """Sizes of the pool at the knees of their curves, and what the plan takes with all of them."""

    agents: dict[str, int]
    """{agent type: its new `max`}"""
    parallel: int | None
    """None: as it is."""
    seconds: float
    cost: float
    seconds_before: float
    cost_before: float


def seconds_of(problem: Problem, drawing: Drawing) -> float:
    """What the best of some orders takes."""
    return _searched(problem, drawing).seconds


def _searched(problem: Problem, drawing: Drawing) -> Search:
    search = Search(problem, drawing())
    search.run(max(4, min(MAX_PASSES, _PLACED // max(1, len(problem.ids)))))
    return search


# --- The size of the pool ---


def curves(state: SessionState, now: float, drawing: Drawing) -> Iterator[Curve]:
    """A curve for each agent type that has a limit, and one for the tickets that run at once. One after another, as
    each takes its time."""
    for type_, most in state.agent_limits.items():
        if most and any(type_ in ticket.types for ticket in state.tickets.values()):
            yield _curve(state, now, drawing, type_, most)
    yield _curve(state, now, drawing, "", state.parallel)


def _curve(state: SessionState, now: float, drawing: Drawing, type_: str, current: int) -> Curve:
    sizes: list[Size] = []
    best = float("inf")
    least = max(1, state.plan.agents[type_].min) if type_ else 1
    for agents in _sizes_around(current):
        if agents < least:
            continue
        parallel = _parallel(state, type_, agents, current)
        sized = _with(state, {type_: agents} if type_ else {}, parallel, now)
        if sized is None or (problem := problem_of(sized, now)) is None:
            continue
        best = min(best, seconds_of(problem, drawing))  # a larger pool can leave agents idle
        sizes.append(Size(agents, parallel, round(best, 3), round(best * _pool(sized), 3)))
    knee = next((size.agents for size in sizes if size.seconds <= _NEAR * best), current)
    return Curve(type_, current, tuple(sizes), knee)


def _sizes_around(current: int) -> Sequence[int]:
    if current <= _FEW:
        return range(1, current + _MORE + 1)
    near = range(current - 2, current + _MORE + 1)
    return sorted({*near, *(size for size in _SIZES if size <= 2 * current)})


def _parallel(state: SessionState, type_: str, agents: int, current: int) -> int:
    """How many tickets may run at once if a type has so many agents: those that are added have their own slots."""
    return state.parallel + max(0, agents - current) if type_ else agents


def _with(state: SessionState, agents: Mapping[str, int], parallel: int, now: float) -> SessionState | None:
    """The same session with other sizes; None if the rules refuse them."""
    wishes: list[rq.AnyRequest] = [
        rq.Scale(most=most, type=type_) for type_, most in agents.items() if most != state.agent_limits[type_]
    ]
    if parallel != state.parallel:
        wishes.append(rq.Scale(most=parallel))
    sized = changed(state, wishes, now)
    return None if isinstance(sized, rq.Refusal) else sized


def _pool(state: SessionState) -> int:
    """How many agents may be at work at once."""
    return min(state.parallel, sum(map(state.max_agents, state.agent_limits)))


def proposal(state: SessionState, found: Sequence[Curve], now: float, drawing: Drawing) -> Proposal | None:
    """The knees of all curves together; None if the pool is there already, or they are worse together."""
    if (problem := problem_of(state, now)) is None:
        return None
    before = seconds_of(problem, drawing)
    cost_before = before * _pool(state)
    agents = {curve.type: curve.knee for curve in found if curve.type and curve.knee != curve.current}
    grown = sum(max(0, curve.knee - curve.current) for curve in found if curve.type)
    at_once = {curve.knee + grown for curve in found if not curve.type} | {state.parallel + grown}
    for parallel in sorted(at_once):
        sized = _with(state, agents, parallel, now)
        if sized is None or (problem := problem_of(sized, now)) is None:
            continue
        seconds = seconds_of(problem, drawing)
        cost = seconds * _pool(sized)
        if seconds < before / _NEAR or (seconds <= before * _NEAR and cost < cost_before / _NEAR):
            most = None if parallel == state.parallel else parallel
            rounded = (round(each, 3) for each in (seconds, cost, before, cost_before))
            return Proposal(agents, most, *rounded)
    return None


# --- What binds ---


def savings(problem: Problem, drawing: Drawing, best: float | None = None) -> list[Saving]:
    """What each limit costs, the worst first; those that cost next to nothing are left out.

    `best`: what the plan takes in the best order that is known, if a longer search was made.
    """
    base = _searched(problem, drawing)
    seconds = base.seconds if best is None else min(best, base.seconds)
    if seconds <= 0:
        return []
    found = []
    for kind, name, other in _without(problem, base):
        saved = seconds - seconds_of(other, drawing)
        if saved > _WORTH * seconds:
            found.append(Saving(kind, name, round(saved, 3), round(saved / seconds, 4)))
    return sorted(found, key=lambda saving: -saving.seconds)


_Kind = Literal["needs", "lock", "resource", "agents", "agent", "parallel", "files"]
_KINDS: Final[dict[str, _Kind]] = {
    "slot": "parallel",
    "type": "agents",
    "agent": "agent",
    "lock": "lock",
    "resource": "resource",
}


def _without(problem: Problem, base: Search) -> Iterator[tuple[_Kind, str, Problem]]:
    """The problem without each of its limits."""
    for thing, (kind, name) in enumerate(problem.things):
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


# --- Estimates ---


def wrong_estimates(state: SessionState, history: Mapping[str, TicketHistory]) -> list[WrongEstimate]:
    """Tickets of which earlier sessions say something else than the plan, or the plan nothing; the worst first."""
    found = [
        WrongEstimate(ticket.id, ticket.spec.estimate, told.p50, told.runs)
        for ticket in state.tickets.values()
        if ticket.status not in TERMINAL
        and (told := history.get(ticket.id)) is not None
        and _is_wrong(ticket.spec.estimate, told.p50)
    ]
    return sorted(found, key=lambda each: (each.estimate is None, -abs(each.p50 - (each.estimate or 0.0))))


def _is_wrong(estimate: float | None, took: float) -> bool:
    if estimate is None:
        return took > 0
    if abs(took - estimate) <= _WRONG_SECONDS:
        return False
    return estimate <= 0 or took <= 0 or abs(log(took / estimate)) > _WRONG
