"""Curves over the time of a session: how many ran at once, how busy the host was, how many tickets were over."""

from collections.abc import Callable, Sequence

from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.report.drawings.scale import Scale
from parexec_tui.report.drawings.svg import drawing, element
from parexec_tui.report.facts import SessionFacts

_HEIGHT = 64.0
LEFT = 62.0
"""What stands left of a curve has this room, at least."""

_MOST_STEPS = 240

Point = tuple[float, float]
"""A moment in seconds since the epoch, and a value."""


def at_once(facts: SessionFacts, width: float, left: float = LEFT) -> str:
    """How many tickets ran at once, and how many could."""
    points = [(each.at, each.running) for each in facts.parallelism.points]
    slots = [(each.at, each.slots) for each in facts.parallelism.points]
    top = max([1.0, *(value for _, value in (*points, *slots))])
    return _curve(facts, (left, width), points, top, _number, "How many tickets ran at once", limit=slots)


def ended(facts: SessionFacts, width: float, left: float = LEFT) -> str:
    """How many tickets were over."""
    ends = sorted(each.ended for each in facts.tickets if each.ended is not None)
    points = [(facts.started, 0.0)]
    for count in range(1, len(ends) + 1):
        if count % (1 + len(ends) // _MOST_STEPS) == 0 or count == len(ends):
            points += [(ends[count - 1], points[-1][1]), (ends[count - 1], float(count))]
    points.append((facts.until, points[-1][1]))
    return _curve(
        facts, (left, width), points, max(1.0, float(facts.summary.tickets)), _number, "How many tickets were over"
    )


def cpu(facts: SessionFacts, width: float, left: float = LEFT) -> str:
    """How busy the CPUs of the host were."""
    points = [(each.at, each.cpu) for each in facts.resources.curve]
    return _curve(facts, (left, width), points, 1.0, lambda value: f"{value:.0%}", "How busy the CPUs were")


def memory(facts: SessionFacts, width: float, left: float = LEFT) -> str:
    """What memory of the host was in use."""
    points = [(each.at, float(each.memory)) for each in facts.resources.curve]
    most = float(facts.resources.memory_total or 1)
    return _curve(facts, (left, width), points, most, format_size, "Memory in use")


def _number(value: float) -> str:
    return f"{value:.3g}"


def _curve(
    facts: SessionFacts,
    sides: tuple[float, float],
    points: Sequence[Point],
    top: float,
    said: Callable[[float], str],
    label: str,
    limit: Sequence[Point] = (),
) -> str:
    """The drawing; empty if there are not two points."""
    if len(points) < 2:
        return ""
    left, width = sides
    scale = Scale(facts.started, facts.until, left, width - 8)

    def y(value: float) -> float:
        return 6 + _HEIGHT * (1 - min(1.0, value / top))

    def line(values: Sequence[Point]) -> str:
        return "M" + " L".join(f"{scale.x(at):.1f} {y(value):.1f}" for at, value in values)

    base = y(0)
    parts = [scale.grid(6, base)]
    for value in (top, top / 2):
        parts.append(element("line", class_="grid", x1=left, x2=width - 8, y1=y(value), y2=y(value)))
        parts.append(element("text", said(value), class_="dim", x=left - 6, y=y(value) + 4, text_anchor="end"))
    parts.append(element("text", "0", class_="dim", x=left - 6, y=base + 4, text_anchor="end"))
    ends = f" L{scale.x(points[-1][0]):.1f} {base:.1f} L{scale.x(points[0][0]):.1f} {base:.1f} Z"
    parts.append(element("path", class_="area", d=line(points) + ends))
    parts.append(element("path", class_="curve", d=line(points)))
    if limit:
        parts.append(element("path", class_="limit", d=line(limit)))
    for (at, value), (after, _) in zip(points, [*points[1:], (facts.until, 0.0)], strict=True):
        x, wide = scale.x(at), max(0.5, scale.x(after) - scale.x(at))
        told = f"{format_duration(at - facts.started)}: {said(value)}"
        parts.append(element("rect", class_="hit", x=x, y=6, width=wide, height=_HEIGHT, title=told))
    return drawing(width, base + 20, *parts, label=label)
