"""What the attempts of a session came to, added up: for who asks again and again, and cannot read all events."""

from bisect import bisect_left
from typing import Final

from parexec_tui.core.state.status import End
from parexec_tui.core.state.used import Used

BOUNDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Seconds. Attempts are counted by the first of these that is not less than what they took; the rest took longer."""


class TypeTally:
    """What the attempts on agents of one type came to."""

    __slots__ = (
        "cpu_seconds", "disk_read", "disk_written", "durations", "ends", "peak_memory", "retries", "seconds",
        "started",
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

    def note_end(self, end: End, seconds: float, used: Used) -> None:
        """An attempt ended."""
        self.ends[end] += 1
        self.durations[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.cpu_seconds += used.cpu_seconds
        self.disk_read += used.disk_read
        self.disk_written += used.disk_written
        self.peak_memory = max(self.peak_memory, used.peak_memory)


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
