"""The order search: an order of dispatch that is better than the longest path alone, for tickets of known duration.

Orders near the longest path are drawn, and forward-backward improvement takes the idle time out of their schedules by
justifying them to the right and then to the left (V. Valls, F. Ballestín, S. Quintanilla, "Justification and RCPSP: a
technique that pays", 2005; P. Tormos, A. Lova, "A competitive heuristic solution technique for resource-constrained
project scheduling", 2001). An order is judged by what the dispatcher would make of it, and has to be better than the
longest path by that.
"""

from collections.abc import Iterator, Sequence
from math import exp, log, sqrt
from typing import Final, Protocol

from msgspec import Struct, structs

from parexec_tui.core.schedule.listing import Lister, Schedule
from parexec_tui.core.schedule.problem import Problem
from parexec_tui.core.state.found_order import MAX_SIGMA
from parexec_tui.core.state.history import USUAL_SIGMA
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.state.tickets import TicketState

MAX_TICKETS: Final = 5_000
"""With more tickets no order is searched: 20 passes over as many place 100,000."""

MIN_PASSES: Final = 20
MAX_PASSES: Final = 400
"""Passes of a search; each places every ticket once. Of few tickets there are more, as they cost little."""

MIN_KNOWN: Final = 0.9
"""The share of the tickets that are left of which it has to be known how long they take."""

_PLACED: Final = 20_000
"""Tickets that are placed in all by a search of more passes than `MIN_PASSES`."""

_SPREAD: Final = 0.2
"""How far orders are drawn from the longest path, at most: the standard deviation as a share of the whole time."""

_HOPELESS: Final = 1.1
"""A schedule that takes this many times what the best one does is not improved."""

_ALIKE: Final = 6
"""Orders that take the same time and are compared by what becomes of them if estimates are wrong."""

_TRIALS: Final = 4
_ERROR: Final = 0.3
"""How often, and by how much: the standard deviation of the logarithm of durations."""

_SLACK: Final = 1e-6


class Draws(Protocol):
    """Where random numbers come from: a `random.Random`. The core has none of its own."""

    def random(self) -> float: ...
    def gauss(self, mu: float, sigma: float, /) -> float: ...


class Found(Struct, frozen=True):
    """An order that is better than the longest path, and the seconds until the last ticket ends by each of them."""

    tickets: tuple[str, ...]
    """The best first."""
    seconds: float
    before: float


def is_searched(state: SessionState) -> bool:
    """Whether an order is to be searched for what is left of a session: there is something to choose, and it is known
    well enough how long tickets take and how many run at once. O(plan)."""
    if not state.plan.settings.order_search or state.tuning is not None or state.finished_at is not None:
        return False
    if state.estimate_errors.are_large:
        return False
    left = [ticket for ticket in state.tickets.values() if ticket.status not in TERMINAL and not ticket.is_gates]
    if not 2 < len(left) <= MAX_TICKETS:
        return False
    known = sum(state.expected(ticket) is not None for ticket in left)
    return known >= MIN_KNOWN * len(left) and shown_sigma(state, left) <= MAX_SIGMA


def shown_sigma(state: SessionState, tickets: Sequence[TicketState]) -> float:
    """How wrong the expected durations of tickets are by earlier sessions, as `MAX_SIGMA` says; 0 if nothing tells.

    It is made of how far the runs of a ticket are apart, and of how differently wrong the estimates of the plan are.
    """
    spreads = [
        spread * spread for each in tickets if (spread := state.sigmas.get(each.id, USUAL_SIGMA)) != USUAL_SIGMA
    ]
    errors = [
        log(took / estimate)
        for each in tickets
        if (took := state.learned.get(each.id, 0.0)) > 0 and (estimate := each.spec.estimate or 0.0) > 0
    ]
    bias = sum(errors) / max(1, len(errors))
    variance = sum((error - bias) ** 2 for error in errors) / max(1, len(errors))
    return sqrt(sum(spreads) / max(1, len(spreads)) + variance)


def passes_for(tickets: int) -> int:
    """How many passes a search over so many tickets has at load."""
    return min(MAX_PASSES, max(MIN_PASSES, _PLACED // max(1, tickets)))


class Search:
    """Looks for a better order, pass by pass. The same problem and draws lead to the same orders."""

    def __init__(self, problem: Problem, draws: Draws) -> None:
        self._problem = problem
        self._draws = draws
        self._forwards = Lister(problem)
        self._backwards = Lister(problem, backwards=True)
        self._bound = lower_bound(problem)
        self._alike: list[list[int]] = []
        """Places of the tickets in the best orders, all of which take the same time."""
        self.first = self._forwards.by_paths()
        """By the longest path."""
        self.seconds = self.first.seconds
        """Of the best schedule yet."""
        self.best = self.first
        self.passes = 1

    def is_over(self) -> bool:
        """Whether nothing better can be found: no schedule can be shorter, or some tickets can never start."""
        return self.seconds <= self._bound + _SLACK or self.first.started < len(self._problem.durations)

    def run(self, passes: int) -> None:
        """Make so many passes, fewer if no better order can be found."""
        for _ in self.steps():
            if self.passes >= passes:
                return

    def steps(self) -> Iterator[None]:
        """Look on, pass by pass, as long as a better order may be found."""
        if self.is_over():
            return
        yield from self._improved(self.first)
        spread = 0.0
        while True:
            keys = [self._draws.gauss(-left, spread) for left in self._problem.remaining]
            schedule = self._forward(keys)
            yield
            if self.is_over():
                return
            if schedule.seconds <= _HOPELESS * self.seconds:
                yield from self._improved(schedule)
            spread = _SPREAD * self._draws.random() * self.first.seconds

    def found(self) -> Found | None:
        """The best order; None if none is better than the longest path. It may cost a pass or two dozen more."""
        if not self._alike:
            return None
        ids, best = self._problem.ids, self._most_robust()
        order = sorted((number for number, id_ in enumerate(ids) if id_), key=best.__getitem__)
        return Found(tuple(ids[number] for number in order), self.seconds, self.first.seconds)

    def _improved(self, schedule: Schedule) -> Iterator[None]:
        """Justify a schedule as long as that makes it shorter: to the right, then to the left."""
        durations, orders = self._problem.durations, self._problem.orders
        while True:
            starts = schedule.starts
            last_first = sorted(
                range(len(starts)),
                key=lambda ticket: (starts[ticket] + durations[ticket], starts[ticket], orders[ticket]),
                reverse=True,
            )
            back = self._backwards.by_places(_places(last_first))
            self.passes += 1
            yield
            better = self._forward([-seconds - start for seconds, start in zip(durations, back.starts, strict=True)])
            yield
            if better.seconds >= schedule.seconds - _SLACK or self.is_over():
                return
            schedule = better

    def _forward(self, keys: Sequence[float]) -> Schedule:
        """The schedule of the order of these keys, lowest first; within the classes."""
        problem = self._problem
        order = sorted(
            range(len(keys)),
            key=lambda ticket: (problem.classes[ticket], keys[ticket], -problem.remaining[ticket], ticket),
        )
        places = _places(order)
        schedule = self._forwards.by_places(places)
        self.passes += 1
        if schedule.started < len(keys):
            return schedule
        if schedule.seconds < self.seconds - _SLACK:
            self.seconds, self.best = schedule.seconds, schedule
            self._alike = [places]
        elif (
            schedule.seconds <= self.seconds + _SLACK and 0 < len(self._alike) < _ALIKE and places not in self._alike
        ):
            self._alike.append(places)
        return schedule

    def _most_robust(self) -> list[int]:
        """Of the best orders the one that is still best if estimates are wrong, where that costs little."""
        if len(self._alike) * _TRIALS * len(self._problem.durations) > _PLACED:
            return self._alike[0]
        trials = [
            Lister(structs.replace(self._problem, durations=self._wrong()))
            for _ in range(_TRIALS * (len(self._alike) > 1))
        ]
        return min(self._alike, key=lambda places: sum(trial.by_places(places).seconds for trial in trials))

    def _wrong(self) -> list[float]:
        return [seconds * exp(self._draws.gauss(0.0, _ERROR)) for seconds in self._problem.durations]


def judged(problem: Problem, tickets: Sequence[str]) -> Found | None:
    """An order that was found some time ago, as it is for what is left; None if it is not better any more."""
    place = {id_: number for number, id_ in enumerate(tickets)}
    order = sorted(
        range(len(problem.ids)),
        key=lambda ticket: (problem.classes[ticket], place.get(problem.ids[ticket], -1), ticket),
    )
    lister = Lister(problem)
    before, after = lister.by_paths(), lister.by_places(_places(order))
    if after.started < before.started or after.seconds >= before.seconds - _SLACK:
        return None
    return Found(tuple(problem.ids[ticket] for ticket in order if problem.ids[ticket]), after.seconds, before.seconds)


def places_by_rank(problem: Problem, state: SessionState) -> list[int]:
    """The place of each ticket in the order that a session has now."""
    ids = problem.ids
    first = (-1, 0.0, 0)  # what wants nothing starts as soon as it can, wherever it stands
    return _places(
        sorted(
            range(len(ids)), key=lambda number: state.own_rank(state.tickets[ids[number]]) if ids[number] else first
        )
    )


def _places(order: Sequence[int]) -> list[int]:
    places = [0] * len(order)
    for place, ticket in enumerate(order):
        places[ticket] = place
    return places


def lower_bound(problem: Problem) -> float:
    """Seconds below which no schedule is: the longest chain, and for each thing the work of all that want it."""
    work = [0.0] * len(problem.capacities)
    for demand, seconds in zip(problem.demand_of, problem.durations, strict=True):
        if demand >= 0:
            for thing, amount in problem.demands[demand].amounts:
                work[thing] += amount * seconds
    ends = problem.durations.copy()
    missing = [len(needs) for needs in problem.before]
    done = [ticket for ticket, count in enumerate(missing) if not count]
    for ticket in done:
        for other in problem.after[ticket]:
            ends[other] = max(ends[other], ends[ticket] + problem.durations[other])
            missing[other] -= 1
            if not missing[other]:
                done.append(other)
    shares = (done_ / there for done_, there in zip(work, problem.capacities, strict=True) if there > 0)
    return max(*shares, *ends, 0.0)
