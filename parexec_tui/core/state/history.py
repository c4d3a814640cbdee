"""What earlier sessions of a plan tell of a ticket: one summary, of which newer runs are the greater part.

Quantiles are weighted ones of type 7 with Kish's effective sample size (A. Akinshin, "Weighted quantile estimators",
2023, arXiv:2304.07265): with equal weights they are the usual quantiles, and the median is the usual median. The
weight of a run halves with every `HALF_LIFE` runs that came after it, as in the exponential smoothing of that paper.
"""

from collections.abc import Mapping, Sequence
from math import erfc, exp, expm1, log, pi, sqrt
from typing import Final, NamedTuple

from msgspec import Struct, structs

RUNS: Final = 20
"""Of so many of its newest runs a ticket is judged: an older one would weigh less than a sixteenth of the newest."""

HALF_LIFE: Final = 5
"""A run weighs half as much as one that came so many runs later."""

USUAL_SIGMA: Final = 0.316
"""The sigma of a ticket of whose spread nothing is known: nine in ten runs take at most 1.5 times the median."""

_LEAST: Final = 0.01
"""Seconds. What is shorter tells of the host rather than of the ticket: for the spread it counts as this."""

_TOO_LATE: Final = 1e-4
"""Of a run that is later than all but this share of runs, the distribution tells nothing."""

_PRIOR: Final = 3.0
"""That tickets are as usual counts as much as so many tickets of the plan."""

_DOUBT: Final = 1.0
"""How far the sigmas of tickets are apart: the standard deviation of their logarithms. It is so much that a few runs
which agree tell that a ticket is steady, whatever others are."""

_OF_MEDIAN: Final = pi / 2
"""The variance of the median of normally distributed values, as a multiple of that of their mean."""

_LEAST_SIGMA: Final = 0.005
"""However steady a ticket is, a host is not."""

_WEIGHTS: Final = tuple(
    tuple(0.5 ** (age / HALF_LIFE) / sum(0.5 ** (each / HALF_LIFE) for each in range(count)) for age in range(count))
    for count in range(RUNS + 1)
)
"""For each count of runs: the weights of the newest, the one before, and so on, which are 1 together."""


class Run(NamedTuple):
    """A success of a ticket."""

    seconds: float
    peak: int = 0
    """Bytes of memory; 0 where it is not known."""
    retried: bool = False
    """Whether it failed before in the same session."""


class TicketHistory(Struct, frozen=True):
    """What earlier sessions tell of a ticket."""

    p50: float
    """Seconds that half of its runs took at most; newer runs weigh more. A run is an attempt that succeeded."""
    p90: float
    """The same of nine in ten."""
    sigma: float = USUAL_SIGMA
    """The standard deviation of the natural logarithm of what the next run takes, around `p50`: see `likely_sigma`.
    Of a ticket with a single run it is that of the tickets of the plan, `USUAL_SIGMA` if none of them has two."""
    runs: int = 1
    """So many were looked at: the newest ones, `RUNS` at most. 0: it has never run, others of its family tell."""
    flaky: float = 0.0
    """The share of the runs that succeeded only after a failure in the same session."""
    peak: int = 0
    """Bytes of memory that nine in ten of its runs stayed within; 0 where it is not known."""


def summaries(runs: Mapping[str, Sequence[Run]]) -> dict[str, TicketHistory]:
    """What the runs of each ticket tell; `runs`: the newest first, one at least."""
    found: dict[str, TicketHistory] = {}
    spreads: dict[str, tuple[float, float]] = {}
    for id_, all_ in runs.items():
        newest = all_[:RUNS]
        ordered = sorted(zip([run.seconds for run in newest], _WEIGHTS[len(newest)], strict=True))
        found[id_] = TicketHistory(
            p50=round(quantile(ordered, 0.5), 3),
            p90=round(quantile(ordered, 0.9), 3),
            runs=len(newest),
            flaky=round(sum(run.retried for run in newest) / len(newest), 3),
            peak=_peak(newest),
        )
        if len(newest) > 1:
            spreads[id_] = _spread(ordered)
    logs = [log(likely_sigma(*each, USUAL_SIGMA)) for each in spreads.values()]
    usual = exp((_PRIOR * log(USUAL_SIGMA) + sum(logs)) / (_PRIOR + len(logs)))
    for id_, history in found.items():
        sigma = usual
        if id_ in spreads:
            freedom = spreads[id_][1]
            sigma = likely_sigma(*spreads[id_], usual) * sqrt(1 + _OF_MEDIAN / (freedom + 1))
        found[id_] = structs.replace(history, sigma=round(sigma, 4))
    return found


def likely_sigma(square: float, freedom: float, usual: float) -> float:
    """The likeliest standard deviation of what has these squares around its mean, with so many degrees of freedom.

    Before anything is known its logarithm is that of the usual one, more or less, normally distributed (`_DOUBT`). It
    is the maximum of the posterior density, found by Newton's method from a point below it.
    """
    narrow = 1 / _DOUBT**2
    about = log(usual)
    at = max(log(_LEAST_SIGMA), about - freedom / narrow)
    if square > 0:
        at = max(at, min(about, log(square / freedom) / 2))
    for _ in range(30):
        pull = square * exp(-2 * at)
        step = (pull - freedom - (at - about) * narrow) / (2 * pull + narrow)
        at += step
        if step < 1e-6:  # it is there, or below the least
            break
    return max(_LEAST_SIGMA, exp(at))


def quantile(ordered: Sequence[tuple[float, float]], share: float) -> float:
    """The quantile of rising values with weights that are 1 together; one value at least. See the module."""
    size = 1 / sum(weight * weight for _, weight in ordered)
    at, reached, found = -share * (size - 1), 0.0, 0.0
    for value, weight in ordered:
        at += weight * size
        if at >= 1:
            return found + (1 - reached) * value
        if at > 0:
            found += (at - reached) * value
            reached = at
    return found + (1 - reached) * ordered[-1][0]  # what rounding left


def rest_of(p50: float, sigma: float, worked: float) -> tuple[float, float] | None:
    """The mean and the variance of the seconds that are left of a run that has taken `worked` already.

    That is of a log-normal distribution, where it is more than that. None if it is so late that this tells nothing.
    """
    p50, sigma = max(p50, _LEAST), max(sigma, _LEAST)
    mean = p50 * exp(sigma * sigma / 2)
    if worked <= 0:
        return mean, mean * mean * expm1(sigma * sigma)
    ahead = log(p50 / worked) / sigma
    if (share := normal(ahead)) < _TOO_LATE:
        return None
    above = mean * normal(ahead + sigma) / share
    square = mean * mean * exp(sigma * sigma) * normal(ahead + 2 * sigma) / share
    return max(0.0, above - worked), max(0.0, square - above * above)


def normal(value: float) -> float:
    """The share of a standard normal distribution that is below a value."""
    return erfc(-value / sqrt(2)) / 2


def _spread(ordered: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The squares of the logarithms around their mean, and the degrees of freedom that these have."""
    mean = square = weights = 0.0
    for value, weight in ordered:
        exponent = log(max(value, _LEAST))
        mean += weight * exponent
        square += weight * exponent * exponent
        weights += weight * weight
    return max(0.0, square - mean * mean) / weights, 1 / weights - 1


def _peak(newest: Sequence[Run]) -> int:
    """The least peak that nine in ten runs stayed within, by their weights."""
    known = sorted(
        (run.peak, weight) for run, weight in zip(newest, _WEIGHTS[len(newest)], strict=True) if run.peak > 0
    )
    goal = 0.9 * sum(weight for _, weight in known)
    at = 0.0
    for peak, weight in known:
        at += weight
        if at >= goal - 1e-9:
            return peak
    return 0
