"""When a session will be over, what binds that, and what is busy meanwhile.

How long tickets take is what `Forecast` says. The course with just that is what is expected; samples of it, in which
each ticket takes more or less, tell p50 and p90.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, log, sqrt
from typing import Final, Literal

from msgspec import Struct

from parexec_tui.core.predict.course import Course, Durations, course_of
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.schedule.bounds import Bound, lower_bounds
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Forecast, Told
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.session import DEFAULT_ESTIMATE, SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

MAX_SAMPLES: Final = 40
MIN_SAMPLES: Final = 4
_TICKETS_SAMPLED: Final = 20_000
"""Courses that are sampled at most and at least, and how many tickets they have together between these."""

_COUNTED: Final = 20
"""With so many samples p50 and p90 are counted; with fewer they are those of a normal distribution."""

_NINE_IN_TEN: Final = 1.2816
"""Standard deviations above the mean of a normal distribution that nine in ten values stay below."""

_RECORDED: Final = 5
"""So many recorded durations say more of the next one than a distribution that is assumed."""

Random = Callable[[], float]
"""Returns the next of a series of numbers from 0 up to but not including 1. Where it comes from is not the core's."""


class Known(Struct, frozen=True):
    """What tells how long the tickets take that are not over: how many of them."""

    estimated: int = 0
    """By the plan."""
    learned: int = 0
    """By earlier sessions, or by an earlier run in this one."""
    assumed: int = 0
    """By nothing of their own: as long as tickets usually take."""
    usual: float = 0.0
    """So many seconds that is."""
    is_default: bool = False
    """True: nothing at all is known of any ticket."""


class Use(Struct, frozen=True):
    """How much of something is in use from now to the end."""

    kind: Literal["agents", "parallel", "resource", "lock"]
    name: str
    there_are: float
    share: float
    """From 0 to 1, on average."""


class Prediction(Struct, frozen=True):
    """How a session will go on, with times in seconds from now."""

    expected: float
    """Until it is over, if each ticket takes what is expected."""
    p50: float
    p90: float
    """As likely as not it is over within `p50`, nine times in ten within `p90`."""
    samples: int
    bounds: tuple[Bound, ...]
    """What it takes at least, the one that binds first: no order of the tickets makes `expected` less."""
    known: Known
    uses: tuple[Use, ...]
    course: Course
    """The one that is expected."""


def changed(state: SessionState, requests: Sequence[rq.AnyRequest], now: float) -> SessionState | rq.Refusal:
    """A copy of a session in which these requests are granted, or why the first is not that cannot be."""
    copy = copy_of(state)
    for request in requests:
        decision = decide(copy, request, now)
        if isinstance(decision, rq.Refusal):
            return decision
        for event in decision:
            apply(copy, event)
    return copy


def predict(
    state: SessionState,
    now: float,
    random: Random,
    *,
    told: Mapping[str, Told] = NOTHING_TOLD,
    samples: int | None = None,
    resumes: bool = True,
) -> Prediction:
    """Let a copy of a session go on to its end, again and again. O(tickets * samples).

    `told`: how far the tickets that run are. `samples`: how many, by default as many as are cheap. `resumes`: see
    `course_of`.
    """
    guess = _Guess(state, now, told)
    expected = guess.expected()
    course = course_of(copy_of(state), expected, now, resumes=resumes)
    left = {id_: expected.left.get(id_, seconds) for id_, seconds in expected.whole.items()}
    if samples is None:
        samples = max(MIN_SAMPLES, min(MAX_SAMPLES, _TICKETS_SAMPLED // max(1, len(left)))) if left else 0
    makespans = [
        course_of(copy_of(state), guess.sampled(random), now, resumes=resumes).seconds for _ in range(samples)
    ]
    p50, p90 = _quantiles(makespans) if makespans else (course.seconds, course.seconds)
    return Prediction(
        expected=round(course.seconds, 3),
        p50=round(p50, 3),
        p90=round(p90, 3),
        samples=samples,
        bounds=tuple(lower_bounds(state, left, now)),
        known=guess.known,
        uses=tuple(_uses(state, course)),
        course=course,
    )


class _Guess:
    """How long tickets take: what is expected, and samples of it.

    A sampled duration is what is expected times a factor whose logarithm is normally distributed around 0, with the
    sigma that earlier sessions tell of the ticket; else with that of the `spread` of `Forecast`, which nine in ten
    stay below. A ticket of which nothing is known but what others took here takes what one of them took, as soon as a
    few have.
    """

    def __init__(self, state: SessionState, now: float, told: Mapping[str, Told]) -> None:
        self._state, self._now = state, now
        self._forecast = forecast = Forecast(state, told)
        self._sigma = log(forecast.spread) / _NINE_IN_TEN
        self._usual = DEFAULT_ESTIMATE if forecast.usual is None else float(forecast.usual)
        self._todo = [ticket for ticket in state.tickets.values() if ticket.status not in TERMINAL]

    def expected(self) -> Durations:
        whole = {ticket.id: self._takes(ticket) for ticket in self._todo}
        left = {ticket.id: self._left(ticket) for ticket in self._todo if _has_begun(ticket)}
        return Durations(whole, left, self._usual)

    def sampled(self, random: Random) -> Durations:
        recorded = self._forecast.unforeseen
        normal = _normals(random)
        whole, left = {}, {}
        for ticket in self._todo:
            if len(recorded) >= _RECORDED and self._forecast.foreseen(ticket) is None:
                whole[ticket.id] = recorded[int(random() * len(recorded))]
            else:
                whole[ticket.id] = self._takes(ticket) * exp(self._sigma_of(ticket) * next(normal))
            if _has_begun(ticket):
                rest = whole[ticket.id] - ticket.worked(self._now)
                is_told = self._forecast.left_as_told(ticket, self._now) is not None
                if is_told or rest <= 0:
                    left[ticket.id] = self._left(ticket) * exp(self._sigma_of(ticket) * next(normal))
                else:
                    left[ticket.id] = rest
        return Durations(whole, left, self._usual)

    def _sigma_of(self, ticket: TicketState) -> float:
        return self._state.sigmas.get(ticket.id, self._sigma)

    def _takes(self, ticket: TicketState) -> float:
        takes = self._forecast.takes(ticket)
        return self._usual if takes is None else float(takes)

    def _left(self, ticket: TicketState) -> float:
        left = self._forecast.left(ticket, self._now)
        return abs(self._usual - ticket.worked(self._now)) if left is None else left

    @property
    def known(self) -> Known:
        by: Counter[str] = Counter()
        for ticket in self._todo:
            if ticket.spec.estimate is not None:
                by["estimated"] += 1
            elif self._forecast.foreseen(ticket) is not None:
                by["learned"] += 1
            elif not ticket.is_gates:
                by["assumed"] += 1
        is_default = bool(self._todo) and self._forecast.usual is None
        return Known(by["estimated"], by["learned"], by["assumed"], self._usual, is_default)


def _has_begun(ticket: TicketState) -> bool:
    return ticket.is_live or ticket.status is Status.approval


def _normals(random: Random) -> Iterator[float]:
    """Normally distributed numbers (G. Marsaglia and T. A. Bray, "A convenient method for generating normal
    variables", 1964)."""
    while True:
        x, y = 2 * random() - 1, 2 * random() - 1
        square = x * x + y * y
        if 0 < square < 1:
            factor = sqrt(-2 * log(square) / square)
            yield x * factor
            yield y * factor


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p90 of what these are samples of."""
    if len(values) >= _COUNTED:
        ordered = sorted(values)
        return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return mean, mean + _NINE_IN_TEN * sqrt(variance)


def _uses(state: SessionState, course: Course) -> Iterator[Use]:
    """How busy agents, slots, resources and locks are, on average until the end of the course."""
    if not course.seconds:
        return
    busy: defaultdict[str, float] = defaultdict(float)
    used: defaultdict[str, float] = defaultdict(float)
    locked: defaultdict[str, float] = defaultdict(float)
    all_ = 0.0
    for span in course.spans:
        claims, ran = state.tickets[span.ticket].claims, span.end - span.start
        all_ += ran
        if span.agent:
            busy[course.agents[span.agent]] += ran
        for resource, amount in claims.uses.items():
            used[resource] += ran * amount
        for lock in claims.locks:
            locked[lock] += ran
    yield Use("parallel", "", state.parallel, _share(all_, state.parallel, course))
    for type_ in state.agent_limits:
        most = state.max_agents(type_)
        yield Use("agents", type_, most, _share(busy[type_], most, course))
    for resource, amount in used.items():
        there_is = state.holdings.capacity(resource)
        yield Use("resource", resource, there_is, _share(amount, there_is, course))
    for lock, seconds in locked.items():
        yield Use("lock", lock, 1, _share(seconds, 1, course))


def _share(seconds: float, there_are: float, course: Course) -> float:
    return round(seconds / (there_are * course.seconds), 4) if there_are > 0 else 0.0
