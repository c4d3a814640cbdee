"""How far tickets may take more or less than is expected of them, where no earlier run of theirs has shown it.

What a person estimated is right in the middle, as far as anyone knows. But whoever guessed one ticket too low guessed
others too low as well. So most of the doubt is about all of them together, which widens p90 and leaves p50 where it
is; little is about each alone. What such tickets took, here or before, tells more of both.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Final, NamedTuple

from parexec_tui.core.state.history import likely_sigma

TOGETHER: Final = 0.3
"""The standard deviation of the logarithm of what all of them take against what is expected, before any has run."""

ALONE: Final = 0.05
"""The same of one of them against the others, before any has run."""

HOST: Final = 0.02
"""The same of what all tickets take on one day against another, however alike their runs were."""

_FEW: Final = 4.0
"""With so many that have run, half of what they were off is taken for what the others will be off."""

_ENOUGH, _MOST = 5.0, 0.8
"""With so many, not quite half of the doubt is gone. However many they are, no more than this part of its variance:
the others are of another kind, those that start late."""

_FACTOR: Final = log(2)
"""Of a single one that was off by more than this, no more is believed of the others; of n, n times this."""

_MOST_ALONE: Final = 0.5

_LEAST: Final = 0.01
"""Seconds. What is shorter tells of the host."""


class Doubt(NamedTuple):
    """Logarithms of what tickets take, over what is expected of them."""

    bias: float = 0.0
    """By how much they will be off together, as likely as not."""
    together: float = TOGETHER
    """The standard deviation of that."""
    alone: float = ALONE
    """That of each around it."""

    @property
    def factor(self) -> float:
        """By what is expected is to be multiplied to have the mean."""
        return exp(self.bias + self.alone**2 / 2)


def error_of(took: float, expected: float) -> float:
    """How far a ticket was off: a logarithm."""
    return log(max(took, _LEAST) / max(expected, _LEAST))


def doubt_of(errors: Sequence[float]) -> Doubt:
    """What the errors of tickets that have run tell of the others: a normal distribution with a normal prior. But of
    a few that are far off less is believed: they may be odd ones."""
    count = len(errors)
    if not count:
        return Doubt()
    most = count * _FACTOR
    believed = [max(-most, min(most, error)) for error in errors]
    mean = sum(believed) / count
    alone = likely_sigma(sum((error - mean) ** 2 for error in believed), count - 1, ALONE)
    differ = (alone / TOGETHER) ** 2
    gone = _MOST * count / (count + max(_ENOUGH, differ))
    bias = mean * count / (count + max(_FEW, differ))
    return Doubt(bias, TOGETHER * sqrt(1 - gone), min(_MOST_ALONE, alone))
