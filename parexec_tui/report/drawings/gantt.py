"""What ran on which agent, and when: a lane for each agent, a bar for each attempt.

Where there are very many, attempts that are too short to be seen become one bar, so the drawing stays small.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.state.status import End
from parexec_tui.report.drawings.curves import LEFT
from parexec_tui.report.drawings.scale import Scale
from parexec_tui.report.drawings.svg import STRIPES, drawing, element, text
from parexec_tui.report.facts import AttemptFact, SessionFacts
from parexec_tui.report.path import RAN, PathStep

MOST_LANES = 60
_MANY = 1_000
"""More attempts than this are folded where they are short."""

_NARROW, _GAP = 2.0, 1.5
"""Bars that are narrower, and nearer to each other, are folded."""

_LANE, _BAR = 22, 16
_LETTER = 6.6

_ENGINE = "engine"
"""The lane of what no agent ran: the gates of groups."""


class _Bar(Struct):
    attempts: list[AttemptFact]
    start: float
    end: float


def gantt(facts: SessionFacts, width: float) -> str:
    """The drawing; empty if nothing ran."""
    lanes = _lanes(facts)
    if not lanes:
        return ""
    left = left_of(facts)
    scale = Scale(facts.started, facts.until, left, width - 8)
    bottom = 6.0 + _LANE * len(lanes)
    on_path = {(step.ticket, step.attempt) for step in facts.path if step.what == RAN}
    is_folded = len(facts.attempts) > _MANY
    parts = [STRIPES, scale.grid(4, bottom)]
    tops: dict[str, float] = {}
    for number, (agent, attempts) in enumerate(lanes.items()):
        top = tops[agent] = 6.0 + number * _LANE
        name = agent if len(agent) * _LETTER < left - 8 else f"{agent[: int((left - 16) / _LETTER)]}…"
        parts.append(
            element("text", text(name), class_="dim", x=left - 6, y=top + 13, text_anchor="end", title=agent)
        )
        parts.append(element("line", class_="grid", x1=left, x2=width - 8, y1=top + _LANE - 2, y2=top + _LANE - 2))
        bars = _folded(attempts, scale, facts.until) if is_folded else _each(attempts, facts.until)
        parts += [_drawn(bar, scale, top, facts, on_path) for bar in bars]
    if not is_folded:
        parts.append(_links(facts.path, scale, tops))
    return drawing(width, bottom + 20, *parts, label="What ran on which agent, and when")


def left_of(facts: SessionFacts) -> float:
    """The room for the names of agents, and for what stands left of curves below."""
    return min(150.0, max(_LETTER * max(map(len, _lanes(facts)), default=0) + 12, LEFT))


def left_out(facts: SessionFacts) -> int:
    """How many agents have no lane."""
    return max(0, len({each.agent for each in facts.attempts}) - MOST_LANES)


def _lanes(facts: SessionFacts) -> dict[str, list[AttemptFact]]:
    """{agent: its attempts}: those that were busiest, in the order in which they came."""
    lanes: dict[str, list[AttemptFact]] = {agent.id: [] for agent in facts.agents}
    for attempt in facts.attempts:
        lanes.setdefault(attempt.agent or _ENGINE, []).append(attempt)
    busy = sorted(lanes, key=lambda agent: -sum(each.seconds for each in lanes[agent]))[:MOST_LANES]
    return {agent: attempts for agent, attempts in lanes.items() if attempts and agent in set(busy)}


def _each(attempts: Iterable[AttemptFact], until: float) -> list[_Bar]:
    return [_Bar([each], each.started, until if each.ended is None else each.ended) for each in attempts]


def _folded(attempts: Iterable[AttemptFact], scale: Scale, until: float) -> list[_Bar]:
    bars: list[_Bar] = []
    for bar in _each(attempts, until):
        last = bars[-1] if bars else None
        if (
            last is not None
            and scale.x(bar.start) - scale.x(last.end) < _GAP
            and scale.x(bar.end) - scale.x(bar.start) < _NARROW
            and (len(last.attempts) > 1 or scale.x(last.end) - scale.x(last.start) < _NARROW)
        ):
            last.attempts += bar.attempts
            last.end = max(last.end, bar.end)
        else:
            bars.append(bar)
    return bars


def style_of(end: str | None) -> str:
    """The class of a bar by how it ended."""
    if end is None:
        return "run"
    return "good" if end == End.succeeded else "wait" if end in (End.cancelled, End.stopped) else "bad"


def _drawn(bar: _Bar, scale: Scale, top: float, facts: SessionFacts, on_path: set[tuple[str, int]]) -> str:
    x, right = scale.x(bar.start), scale.x(bar.end)
    wide = max(1.0, right - x)
    ends = Counter(each.end for each in bar.attempts)
    worst = next((end for end in ends if style_of(end) == "bad"), bar.attempts[0].end)
    style = style_of(worst)
    is_on_path = any((each.ticket, each.attempt) in on_path for each in bar.attempts) and len(bar.attempts) == 1
    classes = f"{style} onpath" if is_on_path else style
    parts = [_rect(x, top, wide, title=_said(bar, facts.started, ends), class_=classes)]
    if style == "bad":
        parts.append(_rect(x, top, wide, fill="url(#stripes)", pointer_events="none"))
    label = bar.attempts[0].ticket if len(bar.attempts) == 1 else f"{len(bar.attempts)}"
    if len(label) * _LETTER + 6 < wide:
        parts.append(element("text", text(label), class_="on", x=x + 4, y=top + 13))
    return "".join(parts)


def _rect(x: float, top: float, wide: float, *, title: str = "", **look: str) -> str:
    rx = 2 if wide > 4 else 0
    return element("rect", title=title, x=x, y=top + 1, width=wide, height=_BAR, rx=rx, **look)


def _said(bar: _Bar, started: float, ends: Counter[str | None]) -> str:
    span = f"{format_duration(bar.start - started)} to {format_duration(bar.end - started)}"
    if len(bar.attempts) > 1:
        counts = ", ".join(f"{count} {end or 'running'}" for end, count in ends.most_common())
        return f"{format_count(len(bar.attempts), 'attempt')}, {span}\n{counts}"
    (each,) = bar.attempts
    again = f", attempt {each.attempt}" if each.attempt > 1 else ""
    told = f": {each.error_line or each.reason}" if each.end not in (None, End.succeeded) else ""
    stood = bar.end - bar.start - each.seconds
    frozen = f", frozen or waiting for {format_duration(stood)}" if stood > 1 else ""
    return (
        f"{each.ticket}{again}\n{each.end or 'running'} after {format_duration(each.seconds)}{told}\n{span}{frozen}"
    )


def _links(path: Sequence[PathStep], scale: Scale, tops: dict[str, float]) -> str:
    """From the end of a bar of the critical path to the start of the next one."""
    ran = [step for step in path if step.what == RAN]
    lines = []
    for one, other in pairwise(ran):
        places = (tops.get(one.agent or _ENGINE), tops.get(other.agent or _ENGINE))
        if None in places or one.ticket == other.ticket:
            continue
        y1, y2 = (place + 1 + _BAR / 2 for place in places if place is not None)
        x1, x2 = scale.x(one.end), scale.x(other.start)
        lines.append(element("path", class_="link", d=f"M{x1:.1f} {y1:.1f} L{x2:.1f} {y2:.1f}"))
    return "".join(lines)
