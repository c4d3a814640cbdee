"""What coding agents used: tokens and dollars. What is not known is None, never 0."""

from collections.abc import Iterable
from typing import Self, TypeVar

from msgspec import Struct, structs


class Figures(Struct, frozen=True, gc=False, omit_defaults=True):
    """Of one attempt, or summed up."""

    cost: float | None = None
    """US dollars."""
    inp: int | None = None
    """Tokens that were read anew."""
    out: int | None = None
    """Tokens that were written."""
    cached: int | None = None
    """Tokens that came from a cache."""
    turns: int | None = None
    is_least: bool = False
    """True: more tokens were used than is known."""
    is_cost_least: bool = False
    """True: more dollars were spent than is known."""
    is_computed: bool = False
    """True: the dollars, or some of them, follow from tokens and prices; nobody was told them."""

    @property
    def tokens(self) -> int | None:
        """All tokens, those from a cache as well."""
        known = [each for each in (self.inp, self.out, self.cached) if each is not None]
        return sum(known) if known else None

    @property
    def new_tokens(self) -> int | None:
        """Tokens that were read anew or written: what a cap counts."""
        known = [each for each in (self.inp, self.out) if each is not None]
        return sum(known) if known else None

    @property
    def is_known(self) -> bool:
        """Whether anything is."""
        return self.cost is not None or self.tokens is not None

    def then(self, other: Self) -> Self:
        """What both used. What one of them does not tell is not known of the sum: that is at least the other's."""
        return type(self)(
            cost=_sum(self.cost, other.cost),
            inp=_sum(self.inp, other.inp),
            out=_sum(self.out, other.out),
            cached=_sum(self.cached, other.cached),
            turns=_sum(self.turns, other.turns),
            is_least=self.is_least or other.is_least or (self.tokens is None) != (other.tokens is None),
            is_cost_least=self.is_cost_least or other.is_cost_least or (self.cost is None) != (other.cost is None),
            is_computed=self.is_computed or other.is_computed,
        )

    def to_the_least(self) -> Self:
        """The same, of which it is not known whether it is all."""
        return structs.replace(self, is_least=True, is_cost_least=True)


_Number = TypeVar("_Number", int, float)


def _sum(one: _Number | None, other: _Number | None) -> _Number | None:
    return other if one is None else one if other is None else one + other


NOT_KNOWN = Figures(is_least=True, is_cost_least=True)
"""Of an attempt that ended before it could tell."""


def total(figures: Iterable[Figures]) -> Figures | None:
    """What all of them come to; None if there are none."""
    found: Figures | None = None
    for each in figures:
        found = each if found is None else found.then(each)
    return found
