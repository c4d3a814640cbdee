"""What a coding agent used: tokens and dollars. What is not known is None, never 0."""

from typing import Self

from msgspec import Struct


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
    """True: more was used than is known."""

    def then(self, other: Self) -> Self:
        """What both used. What one of them does not tell is not known of the sum: that is at least the other's."""
        names = ("cost", "inp", "out", "cached", "turns")
        mine, others = ([getattr(each, name) for name in names] for each in (self, other))
        sums = [a if b is None else b if a is None else a + b for a, b in zip(mine, others, strict=True)]
        is_least = self.is_least or other.is_least or (self.cost is None) != (other.cost is None)
        return type(self)(**dict(zip(names, sums, strict=True)), is_least=is_least)


NO_FIGURES = Figures()
