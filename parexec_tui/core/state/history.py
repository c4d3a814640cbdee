"""What earlier sessions of a plan tell of a ticket: one summary, of which newer runs are the greater part.

Quantiles are weighted ones of type 7 with Kish's effective sample size (A. Akinshin, "Weighted quantile estimators",
2023, arXiv:2304.07265): with equal weights they are the usual quantiles, and the median is the usual median. The
weight of a run halves with every `HALF_LIFE` runs that came after it, as in the exponential smoothing of that paper.
"""

from collections.abc import Mapping, Sequence
from math import erfc, exp, expm1, log, sqrt
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
"""The spread of all tickets together counts as much as so many runs of the ticket itself."""

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
    """The standard deviation of the natural logarithm of what a run takes, as far as it is known: with few runs it is
    near that of all tickets of the plan."""
    runs: int = 1
    """So many were looked at: the newest ones, `RUNS` at most."""
    flaky: float = 0.0
    """The share of the runs that succeeded only after a failure in the same session."""
    peak: int = 0
    """Bytes of memory that nine in ten of its runs stayed within; 0 where it is not known."""


def summaries(runs: Mapping[str, Sequence[Run]]) -> dict[str, TicketHistory]:
    """What the runs of each ticket tell; `runs`: the newest first, one at least."""
    found, squares, freedom = {}, 0.0, 0.0
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
            spreads[id_] = square, free = _spread(ordered)
            squares += square
            freedom += free
    usual = (_PRIOR * USUAL_SIGMA**2 + squares) / (_PRIOR + freedom)
    for id_, history in found.items():
        square, free = spreads.get(id_, (0.0, 0.0))
        sigma = sqrt((_PRIOR * usual + square) / (_PRIOR + free))
        found[id_] = structs.replace(history, sigma=round(sigma, 3))
    return found


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
