"""How long tickets take, as a guess: what is expected of each, and samples of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import cos, erf, exp, log, pi, sqrt
from typing import Final

from msgspec import Struct

from parexec_tui.core.predict.course import Durations
from parexec_tui.core.schedule.doubt import HOST
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Forecast, Told
from parexec_tui.core.state.session import DEFAULT_ESTIMATE, SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

_MAX_SAMPLES: Final = 40
_MIN_SAMPLES: Final = 4
_TICKETS_SAMPLED: Final = 20_000
"""Courses that are sampled at most and at least, and how many tickets they have together between these."""

_COUNTED: Final = 20
"""With so many samples p90 is counted; with fewer it is that of a log-normal distribution around the median."""

_MOMENT: Final = 1e-3
"""Seconds, below which all samples are alike."""

_NINE_IN_TEN: Final = 1.2816
"""Standard deviations above the mean of a normal distribution that nine in ten values stay below."""

_RECORDED: Final = 5
"""So many recorded durations say more of the next one than a distribution that is assumed."""

_LATE: Final = 0.3
"""The standard deviation of the logarithm of what a ticket still takes that is late, or tells how far it is."""

_TOO_LATE: Final = 1e-4
"""Of a run that is later than all but this share of runs, the distribution tells nothing."""

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


class Guess:
    """How long tickets take: what is expected, and samples of it.

    A sampled duration is what earlier sessions tell of the ticket times a factor whose logarithm is normally
    distributed, with their sigma; where these do not tell, it is what is expected, and the factor is as `Doubt` says,
    mostly alike for all such tickets. A ticket of which nothing is known but what others took here, of its family if
    one has, takes what one of them took, as soon as a few have.
    """

    def __init__(self, state: SessionState, now: float, told: Mapping[str, Told] = NOTHING_TOLD) -> None:
        self._state, self._now = state, now
        self._forecast = forecast = Forecast(state, told)
        self._usual = DEFAULT_ESTIMATE if forecast.usual is None else float(forecast.usual)
        self._todo = [ticket for ticket in state.tickets.values() if ticket.status not in TERMINAL]

    def expected(self) -> Durations:
        whole = {ticket.id: self._takes(ticket) for ticket in self._todo}
        left = {ticket.id: self._left(ticket) for ticket in self._todo if _has_begun(ticket)}
        return Durations(whole, left, self._usual)

    def samples(self, random: Random, count: int) -> list[Durations]:
        """So many samples. Each second one mirrors the one before it: what took more takes less. So a few are already
        right on average. What is off for all tickets together is spread evenly over the samples."""
        found: list[Durations] = []
        pairs = (count + 1) // 2
        while len(found) < count:
            drawn = [_normal(random) for _ in range(2 * len(self._todo))]
            together = _normal_at(0.5 + (len(found) + 1) / (4 * pairs))
            found += [self._sample(drawn, together), self._sample([-each for each in drawn], -together)]
        return found[:count]

    def _sample(self, drawn: Sequence[float], together: float) -> Durations:
        """`drawn`: two normally distributed numbers for each ticket; `together`: one for all."""
        doubt = self._forecast.doubt
        off = doubt.bias + doubt.together * together
        whole, left = {}, {}
        for ticket, one, other in zip(self._todo, drawn[::2], drawn[1::2], strict=True):
            is_told = self._forecast.left_as_told(ticket, self._now) is not None
            worked = ticket.worked(self._now) if ticket.is_live and not is_told else 0.0
            recorded = self._forecast.like(ticket)
            if len(recorded) >= _RECORDED and self._forecast.foreseen(ticket) is None:
                place = min(len(recorded) - 1, int(_share_below(one) * len(recorded)))
                takes = recorded[place]
            else:
                sigma = self._forecast.sigma(ticket)
                if sigma is None:
                    median = self._takes(ticket) * exp(off)
                else:
                    median = self._state.learned[ticket.id] * exp(HOST * together)
                takes = _drawn(median, doubt.alone if sigma is None else sigma, one, worked)
            whole[ticket.id] = takes
            if _has_begun(ticket):
                is_late = is_told or takes <= worked
                left[ticket.id] = self._left(ticket) * exp(_LATE * other) if is_late else takes - worked
        below = _share_below(together)
        return Durations(whole, left, self._usual, below / (1 - below))

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


def _normal(random: Random) -> float:
    """A normally distributed number (G. E. P. Box and M. E. Muller, "A note on the generation of random normal
    deviates", 1958)."""
    return sqrt(-2 * log(1 - random())) * cos(2 * pi * random())


def _drawn(median: float, sigma: float, drawn: float, worked: float) -> float:
    """A sample of a log-normal distribution, among what is more than `worked`; not more if hardly anything is."""
    if worked > 0 and median > 0:
        below = _share_below(log(worked / median) / sigma)
        if below < 1 - _TOO_LATE:
            drawn = _normal_at(below + _share_below(drawn) * (1 - below))
    return median * exp(sigma * drawn)


def _normal_at(share: float) -> float:
    """The number that such a share of a normal distribution is below: the inverse of `_share_below`, by bisection."""
    low, high = -8.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_below(middle) < share else (low, middle)
    return low


def _share_below(value: float) -> float:
    """How much of a normal distribution is below a value."""
    return (1 + erf(value / sqrt(2))) / 2


def samples_for(tickets: int) -> int:
    """How many courses are to be sampled for so many tickets that are left."""
    return max(_MIN_SAMPLES, min(_MAX_SAMPLES, _TICKETS_SAMPLED // tickets)) if tickets else 0


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p90 of what these are samples of; one at least."""
    ordered, count = sorted(values), len(values)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    if count >= _COUNTED:
        place = 0.9 * count - 0.5
        low, part = int(place), place % 1
        return median, ordered[low] * (1 - part) + ordered[low + 1] * part
    logs = [log(max(value, _MOMENT)) for value in values]
    mean = sum(logs) / count
    variance = sum((value - mean) ** 2 for value in logs) / max(1, count - 1)
    return median, median * exp(_NINE_IN_TEN * sqrt(variance))
