"""When a log grew, while it was watched."""

from bisect import bisect_right
from collections import deque


class Arrivals:
    """When the log grew, to the second. Others write the log, so it has no times of its own.

    The time of a byte is known only if the file was watched when it came, with no more than `_GAP` seconds since the
    read before; and not for bytes that came long ago.
    """

    _GAP = 2.0
    _MAX = 10_000
    """Seconds with output that are remembered."""

    def __init__(self) -> None:
        self._ends: deque[int] = deque(maxlen=self._MAX)
        self._times: deque[float | None] = deque(maxlen=self._MAX)
        self._looked: float | None = None

    def note(self, size: int, at: float) -> None:
        """Note that the file had this size at this time, in seconds since the epoch."""
        watched = self._looked is not None and 0 <= at - self._looked <= self._GAP
        self._looked = at
        second = float(int(at)) if watched else None
        if self._ends and size <= self._ends[-1]:
            return
        if self._ends and second == self._times[-1]:
            self._ends[-1] = size
        else:
            self._ends.append(size)
            self._times.append(second)

    def at(self, offset: int) -> float | None:
        """When the byte at this offset came, in seconds since the epoch; None: not known."""
        index = bisect_right(self._ends, offset)
        forgotten = index == 0 and len(self._ends) == self._MAX
        return None if forgotten or index == len(self._ends) else self._times[index]
