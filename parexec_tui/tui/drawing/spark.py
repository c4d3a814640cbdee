"""Numbers as cells: sparklines and bars, in eighths of a cell or in ASCII, always exactly as wide as asked."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from parexec_tui.tui.drawing.sign import FREE, LIMIT, RISING, USED

SparkKind = Literal["fill", "level1", "level2", "empty", "mark", "gap"]
"""What a cell shows, for its colour: a value below, above the first, above the second threshold; nothing; the place
of a threshold; a moment without a value."""


class SparkCell(NamedTuple):
    """One character of a bar or a sparkline."""

    char: str
    kind: SparkKind


_PARTIAL: Final = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_MIN: Final = (1, 4)
"""Any value above zero shows at least so many eighths of a cell; in ASCII, half a cell."""
_LEVELS: Final[tuple[SparkKind, ...]] = ("fill", "level1", "level2")


def spark(
    values: Sequence[float | None],
    width: int,
    *,
    maximum: float | None = None,
    thresholds: Sequence[float] = (),
    ascii_only: bool = False,
) -> list[SparkCell]:
    """The last `width` values, the newest at the right; blanks at the left while there are fewer.

    Zero is the lowest sign, `maximum` the highest (the greatest value shown, if not given). None is a moment that was
    not measured. At most two `thresholds`, in the unit of the values, rising.
    """
    shown = values[max(0, len(values) - width) :]
    top = maximum if maximum is not None else max((value for value in shown if value is not None), default=0.0)
    cells = [_rising(value, top, thresholds, RISING[ascii_only]) for value in shown]
    return [SparkCell(" ", "gap")] * (width - len(cells)) + cells


def _rising(value: float | None, top: float, thresholds: Sequence[float], signs: str) -> SparkCell:
    if value is None:
        return SparkCell(" ", "gap")
    step = round(_share(value, top) * (len(signs) - 1))
    return SparkCell(signs[step], level(value, thresholds))


def level(value: float, thresholds: Sequence[float]) -> SparkKind:
    """The colour of a value: how many of at most two thresholds it has reached."""
    return _LEVELS[sum(value >= threshold for threshold in thresholds[:2])]


def _share(value: float, maximum: float) -> float:
    """The value as a share of `maximum`, from 0 to 1."""
    return min(1.0, max(0.0, value / maximum)) if maximum > 0 else 0.0


def bar(
    value: float | None, width: int, *, maximum: float, thresholds: Sequence[float] = (), ascii_only: bool = False
) -> list[SparkCell]:
    """A bar of `width` cells that is full at `maximum`; without a value all of it is empty.

    At most two thresholds, rising: beyond the bar each has a sign of its own, within it the colour tells.
    """
    eighths = round(_share(value or 0.0, maximum) * width * 8)
    if value and value > 0 and width:
        eighths = max(eighths, _MIN[ascii_only])
    kind = level(value or 0.0, thresholds)
    cells = [SparkCell(USED[ascii_only], kind)] * (eighths // 8)
    if eighths % 8 and (not ascii_only or eighths % 8 >= _MIN[ascii_only]):
        cells.append(SparkCell("=" if ascii_only else _PARTIAL[eighths % 8], kind))
    filled = len(cells)
    cells += [SparkCell(FREE[ascii_only], "empty")] * (width - filled)
    for threshold in thresholds[:2]:
        at = _cell_of(threshold, maximum, width)
        if filled <= at < width:
            cells[at] = SparkCell(LIMIT[ascii_only], "mark")
    return cells


def _cell_of(threshold: float, maximum: float, width: int) -> int:
    """The cell that a bar reaches when its value is at the threshold."""
    return min(width - 1, int(_share(threshold, maximum) * width))
