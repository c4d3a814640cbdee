"""Time from left to right, in seconds since the start of a session."""

from collections.abc import Iterator
from math import ceil

from msgspec import Struct

from parexec_tui.core.plan.units import write_duration
from parexec_tui.report.drawings.svg import element

_STEPS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600,
          43200, 86400, 172800, 604800,
)  # fmt: skip

_BETWEEN = 80
"""Cells of a picture between two marks, at least."""


class Scale(Struct, frozen=True):
    start: float
    """Seconds since the epoch."""
    end: float
    left: float
    right: float
    """Of the drawing."""

    def x(self, at: float) -> float:
        """Where a moment is, inside the drawing."""
        share = (at - self.start) / max(self.end - self.start, 1e-9)
        return self.left + (self.right - self.left) * min(1.0, max(0.0, share))

    def marks(self) -> Iterator[tuple[float, str]]:
        """Round times: where, and in words."""
        span = max(self.end - self.start, 1e-9)
        least = span * _BETWEEN / (self.right - self.left)
        step = next((each for each in _STEPS if each >= least), _STEPS[-1] * ceil(least / _STEPS[-1]))
        for number in range(int(span / step + 1e-9) + 1):
            yield self.x(self.start + number * step), write_duration(round(number * step, 2)) if number else "0"

    def grid(self, top: float, bottom: float) -> str:
        """The lines of the marks, and their times below."""
        lines = (
            element("line", class_="grid", x1=x, x2=x, y1=top, y2=bottom)
            + element("text", said, class_="dim", x=x, y=bottom + 14, text_anchor=_anchor(x, self))
            for x, said in self.marks()
        )
        return "".join(lines)


def _anchor(x: float, scale: Scale) -> str:
    return "end" if x > scale.right - 12 else "middle"
