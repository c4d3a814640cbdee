"""The time of an engine, and what has to be reported at a certain time."""

import heapq
import math
from collections.abc import Iterator
from itertools import count

import trio

from parexec_tui.core.wire.requests import BackoffElapsed, LeaseElapsed, RestElapsed, TimeoutElapsed

Due = TimeoutElapsed | BackoffElapsed | RestElapsed | LeaseElapsed


class Clock:
    """Seconds since the epoch that never jump: read once, then counted by trio's clock."""

    def __init__(self, wall: float) -> None:
        self._offset = wall - trio.current_time()

    def now(self) -> float:
        return trio.current_time() + self._offset


class Timers:
    """Reports with the time at which each is due. None is removed: the receiver checks whether it still applies."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._number = count()
        """Keeps reports of the same time in the order in which they were set."""

    def set(self, when: float, report: Due) -> None:
        """Have this reported at a time."""
        heapq.heappush(self._heap, (when, next(self._number), report))

    def due(self, now: float) -> Iterator[Due]:
        """Take what is due by now."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    @property
    def next(self) -> float:
        """When the next one is due; infinity if there is none."""
        return self._heap[0][0] if self._heap else math.inf
