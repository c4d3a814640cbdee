"""How a session would go on with one more of something: quickly, as limits are tried one after another.

List scheduling by `Lister`, in the order of dispatch, also in one that was found: a tenth of what a course by the
rules of the engine takes (`core/predict/course.py`), and one status of a session asks for nine. Failures, pauses of
agents, the time until a service is ready and reservations are left out. What is held, frozen or waits for a person
counts as if it went on at once; but what uses a service that failed, and what needs that, never starts.
"""

from typing import Final, Literal

from msgspec import Struct, structs

from parexec_tui.core.schedule.forecast import Forecast
from parexec_tui.core.schedule.listing import Lister, Schedule
from parexec_tui.core.schedule.order import places_by_rank
from parexec_tui.core.schedule.problem import PER_UNIT, Problem, problem_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, ServiceStatus

LimitKind = Literal["parallel", "agents", "resource", "lock"]

_THINGS: Final[dict[LimitKind, str]] = {"parallel": "slot", "agents": "type", "resource": "resource", "lock": "lock"}
"""What a problem calls them."""

_NO_LIMIT: Final = 10**30


class Limit(Struct, frozen=True):
    """Something of which there is not enough for all at once."""

    kind: LimitKind
    name: str = ""
    """The agent type, the resource or the lock."""


class Rest(Struct, frozen=True):
    """How what is left of a session would go on."""

    seconds: float
    """Until the last ticket ends that can."""
    at_once: int
    """Tickets that would start right now."""
    left: int
    """Tickets that would never start."""


class Simulation:
    """A session as it is now, to be let go on under its limits, and under others."""

    def __init__(self, state: SessionState, forecast: Forecast, now: float) -> None:
        """O(plan)."""
        self._types = list(state.agent_limits)
        self._problem = _problem(state, forecast, now)
        self._places: list[int] | None = None
        """ticket: its place, where an order was found"""
        if self._problem is not None and state.found_order is not None:
            self._places = places_by_rank(self._problem, state)

    def rest(self, more: Limit | None = None) -> Rest | None:
        """Let it go on to its end. None if nothing tells how long a ticket takes, or its files are too many.

        `more`: a limit of which there is one more than there is; of a lock: which is no limit at all.
        """
        if self._problem is None:
            return None
        problem = self._problem if more is None else self._with(self._problem, more)
        schedule = self._schedule(Lister(problem), is_changed=more is not None)
        running, count = set(problem.running), len(problem.durations)
        at_once = sum(not start and number not in running for number, start in enumerate(schedule.starts))
        left = count - schedule.started
        return Rest(round(schedule.seconds, 1), at_once - left, left)

    def _schedule(self, lister: Lister, *, is_changed: bool) -> Schedule:
        if self._places is None:
            return lister.by_paths()
        found = lister.by_places(self._places)
        if not is_changed:
            return found
        return min(found, lister.by_paths(), key=lambda each: each.seconds)  # another order would be searched

    def _with(self, problem: Problem, more: Limit) -> Problem:
        capacities, room = problem.capacities.copy(), problem.room.copy()
        wanted = (_THINGS[more.kind], more.name)
        if wanted in problem.things:
            thing = problem.things.index(wanted)
            capacities[thing] = _NO_LIMIT if more.kind == "lock" else capacities[thing] + PER_UNIT
        if more.kind == "agents":
            room[self._types.index(more.name)] += 1
        return structs.replace(problem, capacities=capacities, room=room)


def _problem(state: SessionState, forecast: Forecast, now: float) -> Problem | None:
    """What is left to schedule, with the durations of a forecast."""
    durations = []
    for ticket in state.tickets.values():
        if ticket.status not in TERMINAL:
            if (left := forecast.left(ticket, now)) is None:
                return None
            durations.append(float(left))
    if (problem := problem_of(state, now)) is None:
        return None
    problem.durations[: len(durations)] = durations
    failed = {service.name for service in state.services.values() if service.status is ServiceStatus.failed}
    running = set(problem.running)
    for number, id_ in enumerate(problem.ids) if failed else ():
        if id_ and number not in running and not failed.isdisjoint(state.tickets[id_].spec.uses_service):
            problem.before[number].append(number)  # it waits for itself, so it never starts
    return problem
