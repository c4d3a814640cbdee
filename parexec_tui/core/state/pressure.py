"""How far the ladder against a pressed host was climbed, and what that means for tickets."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from parexec_tui.core.plan.pressure import RUNGS, Rung


class Step(Struct, frozen=True):
    """A step that was taken and not taken back."""

    kind: Rung
    at: float
    ticket: str = ""
    """Of `freeze` and `requeue`: which one, and its attempt."""
    attempt: int = 0
    parallel: int | None = None
    """Of `fewer`: how many tickets may run at once."""


class Ladder(Struct, frozen=True):
    """The steps against one pressure, the first one first. It has at least one."""

    resource: str
    steps: tuple[Step, ...]
    text: str
    """The figure and the threshold at the last step."""
    threshold: float
    at: float
    """When the last step was taken, or taken back."""

    @property
    def since(self) -> float:
        """When it began."""
        return self.steps[0].at

    @property
    def rung(self) -> Rung:
        """The highest of its steps."""
        return max((step.kind for step in self.steps), key=RUNGS.index)

    @property
    def holds(self) -> bool:
        """Whether what would use more does not start."""
        return any(step.kind == "hold" for step in self.steps)

    @property
    def tickets(self) -> tuple[str, ...]:
        """The tickets that it froze or stopped, the newest last."""
        return tuple(dict.fromkeys(step.ticket for step in self.steps if step.ticket))


LEAST: Final = 30.0
"""Seconds for which a host stays pressed at least, as far as anybody knows who has to say when something ends."""


def pressed_for(ladders: Iterable[Ladder], now: float) -> float:
    """Seconds for which fewer run at once from now on, as likely as not: as long again as it has been so.

    That is the median of what is left of something that goes on as long as it goes on, and of which only its age is
    known (J. R. Gott, "Implications of the Copernican principle for our future prospects", Nature, 1993).
    """
    since = [step.at for ladder in ladders for step in ladder.steps if step.parallel is not None]
    return max(LEAST, now - min(since, default=now))


def fewest(ladders: Iterable[Ladder]) -> int | None:
    """How many tickets may run at once by these; None: they say nothing about that."""
    said = [step.parallel for ladder in ladders for step in ladder.steps if step.parallel is not None]
    return min(said, default=None)
