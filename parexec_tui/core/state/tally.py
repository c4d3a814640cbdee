"""What the attempts of a session came to, added up: for who asks again and again, and cannot read all events."""

from bisect import bisect_left, insort
from typing import Final

from parexec_tui.core.state.figures import Figures, total
from parexec_tui.core.state.status import End
from parexec_tui.core.state.used import Used

BOUNDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Seconds. Attempts are counted by the first of these that is not less than what they took; the rest took longer."""


class TypeTally:
    """What the attempts on agents of one type came to."""

    __slots__ = (
        "costs", "cpu_seconds", "disk_read", "disk_written", "durations", "ends", "figures", "peak_memory", "retries",
        "seconds", "started",
    )  # fmt: skip

    def __init__(self) -> None:
        self.started = 0
        self.retries = 0
        """Those that were not the first of their ticket."""
        self.ends = dict.fromkeys(End, 0)
        """How the attempts ended that have."""
        self.durations = [0] * (len(BOUNDS) + 1)
        """How many of these took how long, by `BOUNDS`."""
        self.seconds = 0.0
        """What they took in all, without the time they were frozen."""
        self.cpu_seconds = 0.0
        self.disk_read = 0
        self.disk_written = 0
        self.peak_memory = 0
        """The most that one of them used."""
        self.figures: Figures | None = None
        """What coding agents used; None: none of these was one."""
        self.costs: list[float] = []
        """Dollars of each of their attempts of which they are known, without those that were cut short, the least
        first."""

    def note_end(self, end: End, seconds: float, used: Used) -> None:
        """An attempt ended."""
        self.ends[end] += 1
        self.durations[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.cpu_seconds += used.cpu_seconds
        self.disk_read += used.disk_read
        self.disk_written += used.disk_written
        self.peak_memory = max(self.peak_memory, used.peak_memory)

    def note_figures(self, figures: Figures, *, is_usual: bool = True) -> None:
        """A coding agent told what it used in an attempt. `is_usual`: whether others may cost as much."""
        self.figures = figures if self.figures is None else self.figures.then(figures)
        if figures.cost is not None and is_usual:
            insort(self.costs, figures.cost)

    @property
    def usual_cost(self) -> float | None:
        """Dollars of an attempt: the median; None if those of none are known."""
        return self.costs[len(self.costs) // 2] if self.costs else None


class Tally:
    """What all attempts came to."""

    __slots__ = ("conflicts", "merges", "types")

    def __init__(self) -> None:
        self.types: dict[str, TypeTally] = {}
        """By agent type; empty: the engine ran them, as the gates of a group."""
        self.merges = 0
        """Attempts whose work was merged; one that had changed nothing does not count."""
        self.conflicts = 0
        """How often what an attempt did was found to conflict with what was merged."""

    def of(self, type_: str) -> TypeTally:
        """That of a type."""
        found = self.types.get(type_)
        if found is None:
            found = self.types[type_] = TypeTally()
        return found

    def figures(self) -> Figures | None:
        """What all coding agents used; None: there was none."""
        return total(each.figures for each in self.types.values() if each.figures is not None)
