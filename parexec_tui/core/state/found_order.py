"""The order of dispatch that a search found, and how good the estimates are that it was made for.

It is of use only as long as tickets take what they should. Once what they do take differs too much from that, the
order is dropped, and no other one is searched for; as if history had said so from the start.
"""

from collections.abc import Mapping
from math import log, sqrt
from typing import Final, NamedTuple

MAX_SIGMA: Final = 0.15
"""By how much estimates may be wrong for an order to be of use: the standard deviation of the logarithm of actual
over expected durations. All of them being too long or too short by the same factor does no harm."""

_MIN_ENDED: Final = 8
"""Tickets that have to end before they say how good estimates are."""


class FoundOrder(NamedTuple):
    """The place of each ticket, and how long all of them should take."""

    places: Mapping[str, tuple[float, int]]
    """{ticket: what counts for it in place of its longest remaining path, and its place}; lower goes first"""
    seconds: float
    """From when it was found until the last ticket should end."""


class EstimateErrors:
    """How far off the expected durations of the tickets were that succeeded in this session."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        """The sum of the logarithms of what they took over what they should."""
        self.squares = 0.0

    def note(self, expected: float, took: float) -> None:
        """A ticket succeeded."""
        if expected > 0 and took > 0:
            error = log(took / expected)
            self.count += 1
            self.total += error
            self.squares += error * error

    @property
    def are_large(self) -> bool:
        """Whether estimates are worse than `MAX_SIGMA`, by two standard errors of what has been seen of them."""
        if self.count < _MIN_ENDED:
            return False
        variance = (self.squares - self.total**2 / self.count) / (self.count - 1)
        allowed = MAX_SIGMA * (1 + 2 / sqrt(2 * (self.count - 1)))
        return variance > allowed**2
