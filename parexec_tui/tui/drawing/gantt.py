"""A predicted course as a Gantt chart for a terminal: a lane for each agent, and an axis of seconds from now."""

from collections.abc import Iterator, Sequence
from typing import Final

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.predict.course import Course, Span
from parexec_tui.tui.drawing.time_window import Window, axis, ticks
from parexec_tui.tui.drawing.timeline import Bar, TimelineCell, draw_bars, free_rows

GATES: Final = "(gates)"
"""The lanes of what the engine runs itself."""

_MAX_NAME, _MIN_CHART, _MIN_NAMED = 16, 10, 5
"""Cells of the name of a lane at most, and of the chart at least; a shorter bar shows no part of a name."""


def gantt_rows(
    course: Course, width: int, lanes: int, *, ascii_only: bool = False
) -> Iterator[tuple[str, tuple[TimelineCell, ...]]]:
    """Each line: the name of the lane with a blank behind it, and its cells; of the axis and of what is folded as
    well. No line has more than `width` cells, and no more than `lanes` lanes are drawn, at least one."""
    found = list(_lanes(course))
    folded = found[max(1, lanes) :] if len(found) > max(1, lanes) + 1 else []
    found = found[: len(found) - len(folded)]
    room = min(_MAX_NAME, max((len(name) for name, _ in found), default=0), max(0, width - _MIN_CHART - 1))
    window = Window(course.began, course.began + max(course.seconds, 1e-9), max(1, width - room - 1))
    yield " " * (room + 1), _cells(axis(ticks(window, course.began), window.width).rstrip())
    for name, spans in found:
        bars = [_bar(span, then, window) for span, then in zip(spans, (*spans[1:], None), strict=True)]
        cells = draw_bars(bars, window, course.began - 1, ascii_only=ascii_only)
        yield f"{_cut(name, room):<{room}} ", cells
    if folded:
        busy = sum(span.end - span.start for _, spans in folded for span in spans)
        share = busy / (course.seconds * len(folded)) if course.seconds else 0.0
        text = f"and {format_count(len(folded), 'more lane')}, {share:.0%} busy"
        yield "", _cells(text[:width])


def _bar(span: Span, then: Span | None, window: Window) -> Bar:
    """A bar with its ticket upon it or behind it, cut if there is no room for all of it."""
    stop = -(-window.halves(span.end) // 2)
    length = stop - window.halves(span.start) // 2
    behind = (window.width if then is None else window.halves(then.start) // 2) - stop
    text = span.ticket
    if length < len(text) + 2 and behind < len(text) + 3:
        text = f"{text[: length - 3]}~" if length > _MIN_NAMED else ""
    return Bar(
        "attempt",
        span.ticket,
        span.start,
        span.end,
        "",
        text if length >= len(text) + 2 else "",
        "" if length >= len(text) + 2 else text,
        span.end,
    )


def _lanes(course: Course) -> Iterator[tuple[str, Sequence[Span]]]:
    """The agents that run something, in the order of the pool, then what the engine runs."""
    by_agent: dict[str, list[Span]] = {}
    for span in course.spans:
        by_agent.setdefault(span.agent, []).append(span)
    for agent in course.agents:
        if agent in by_agent:
            yield agent, by_agent[agent]
    places = {span.ticket: span for span in by_agent.get("", ())}
    bars = [Bar("attempt", id_, span.start, span.end, "", "") for id_, span in places.items()]
    for row in free_rows(bars):
        yield GATES, [places[bar.ticket] for bar in row]


def _cut(name: str, room: int) -> str:
    """The number at its end says more than the rest."""
    return name if len(name) <= room else f"{name[: room - room // 2]}{name[len(name) - room // 2 :]}"


def _cells(text: str) -> tuple[TimelineCell, ...]:
    return tuple(TimelineCell(char, "beside") for char in text)
