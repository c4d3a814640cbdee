"""The dependency graph: tickets from left to right by dependency group, in an order with few crossings.

A plan of very many tickets is drawn by its groups: a box for each, with how many of its tickets ended how.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.state.status import FAILURES, TABLE, Status
from parexec_tui.report.drawings.svg import drawing, element, text

MOST_NODES = 200
"""Tickets that are drawn one by one."""

_LETTER, _HIGH, _ROW, _PASSAGE, _BETWEEN = 7.0, 24.0, 34.0, 14.0, 56.0
_BAD = {*FAILURES, Status.failed, Status.cancelled, Status.rolled_back}

_LONGEST = 24
"""Letters of an id that are shown."""


class Node(Struct, frozen=True):
    """A ticket of the graph."""

    id: str
    group: int
    """From 1."""
    status: str
    needs: tuple[str, ...]
    title: str = ""
    seconds: float = 0.0
    """What it ran."""


def graph(nodes: Sequence[Node], path: Sequence[str] = ()) -> str:
    """The drawing; empty if there is no ticket. `path`: the tickets of the critical path, in order."""
    if not nodes:
        return ""
    return _tickets(nodes, path) if len(nodes) <= MOST_NODES else _groups(nodes)


def style_of(status: str) -> str:
    """The class of a ticket by the word for its status, or for how it ended."""
    row = TABLE.get(status)
    if status == Status.succeeded:
        return "good"
    if row is not None and row.is_live:
        return "run"
    return "bad" if status in _BAD else "warn" if row is not None and row.is_problem else "wait"


def _tickets(nodes: Sequence[Node], path: Sequence[str]) -> str:
    levels = _ordered(nodes)
    wide = max(min(len(each.id), _LONGEST) for each in nodes) * _LETTER + 26
    high = max(sum(map(_height, level)) for level in levels) + 12
    at: dict[_Place, tuple[float, float]] = {}
    for column, level in enumerate(levels):
        y = (high - sum(map(_height, level))) / 2
        for place in level:
            at[place] = 6 + column * (wide + _BETWEEN), y + _height(place) / 2
            y += _height(place)
    hot, on_path = set(pairwise(path)), set(path)
    edges = [
        _edge([at[place] for place in chain], wide, is_hot=(chain[0], chain[-1]) in hot) for chain in _chains(nodes)
    ]
    boxes = (
        _box(node, at[node.id][0], at[node.id][1] - _HIGH / 2, wide, is_hot=node.id in on_path) for node in nodes
    )
    width = len(levels) * (wide + _BETWEEN) - _BETWEEN + 12
    return drawing(width, high, *edges, *boxes, label="What needs what")


_Place = str | tuple[str, str, int]
"""A ticket, or where the line between two of them passes through a group: need, dependent, group."""


def _height(place: _Place) -> float:
    return _ROW if isinstance(place, str) else _PASSAGE


def _chains(nodes: Sequence[Node]) -> Iterator[list[Any]]:
    """For each need its places from left to right: the need, where the line passes, the dependent."""
    group = {node.id: node.group for node in nodes}
    for node in nodes:
        for need in node.needs:
            if need in group:
                between = range(group[need] + 1, node.group)
                yield [need, *((need, node.id, number) for number in between), node.id]


def _ordered(nodes: Sequence[Node]) -> list[list[_Place]]:
    """The places by group, each near to what it hangs on."""
    levels: defaultdict[int, list[_Place]] = defaultdict(list)
    for node in nodes:
        levels[node.group].append(node.id)
    before: defaultdict[_Place, list[_Place]] = defaultdict(list)
    behind: defaultdict[_Place, list[_Place]] = defaultdict(list)
    for chain in _chains(nodes):
        for place in chain[1:-1]:
            levels[place[2]].append(place)
        for one, other in pairwise(chain):
            before[other].append(one)
            behind[one].append(other)
    ordered = [levels[number] for number in sorted(levels)]
    for _ in range(6):
        for is_forward in (True, False):
            where: dict[_Place, float] = {}
            for level in ordered if is_forward else reversed(ordered):
                _settle(level, before if is_forward else behind, where)
    return ordered


def _settle(level: list[_Place], others: Mapping[_Place, Sequence[_Place]], where: dict[_Place, float]) -> None:
    """Order a group by where the neighbours of its places are, in the groups that were ordered before."""
    middle = {}
    for number, place in enumerate(level):
        known = [where[other] for other in others.get(place, ()) if other in where]
        middle[place] = sum(known) / len(known) if known else (number + 0.5) / len(level)
    level.sort(key=middle.__getitem__)
    where.update({place: (number + 0.5) / len(level) for number, place in enumerate(level)})


def _edge(points: Sequence[tuple[float, float]], wide: float, *, is_hot: bool) -> str:
    """From the right side of a box, straight through the groups between, to the left side of another one."""
    x, y = points[0][0] + wide, points[0][1]
    d = [f"M{x:.1f} {y:.1f}"]
    for number, (left, middle) in enumerate(points[1:], 1):
        bend = (left - x) / 2
        d.append(f"C{x + bend:.1f} {y:.1f} {left - bend:.1f} {middle:.1f} {left:.1f} {middle:.1f}")
        x, y = left, middle
        if number < len(points) - 1:
            x += wide
            d.append(f"L{x:.1f} {y:.1f}")
    return element("path", class_="edge hot" if is_hot else "edge", d=" ".join(d))


def _box(node: Node, x: float, y: float, wide: float, *, is_hot: bool) -> str:
    name = node.id if len(node.id) <= _LONGEST else f"{node.id[: _LONGEST - 1]}…"
    ran = f"\nran {format_duration(node.seconds)}" if node.seconds else ""
    needs = f"\nneeds {', '.join(node.needs[:8])}" if node.needs else ""
    said = f"{node.id}: {node.status}{ran}" + (f"\n{node.title}" if node.title else "") + needs
    style = "node onpath" if is_hot else "node"
    return element(
        "g",
        element("rect", class_=style, x=x, y=y, width=wide, height=_HIGH, rx=4),
        _sign(node.status, x + 11, y + _HIGH / 2),
        element("text", text(name), x=x + 21, y=y + 16),
        title=said,
    )


def _sign(status: str, x: float, y: float) -> str:
    """Round: it went well; square: it did not; hollow: it has not run."""
    style = style_of(status)
    if style in ("bad", "warn"):
        return element("rect", class_=style, x=x - 4, y=y - 4, width=8, height=8)
    return element("circle", class_=style, cx=x, cy=y, r=4.5)


def _groups(nodes: Sequence[Node]) -> str:
    levels: defaultdict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        levels[node.group].append(node)
    wide, high, row = 150.0, 46.0, 58.0
    columns = 6
    parts = []
    for number, group in enumerate(sorted(levels)):
        x, y = 6 + number % columns * (wide + 14), 6 + number // columns * row
        parts.append(_group(group, levels[group], x, y, wide, high))
    rows = -(-len(levels) // columns)
    width = min(len(levels), columns) * (wide + 14) + 6
    return drawing(width, rows * row + 6, *parts, label="The dependency groups, and how their tickets ended")


def _group(number: int, nodes: Iterable[Node], x: float, y: float, wide: float, high: float) -> str:
    found = list(nodes)
    counts = Counter(node.status for node in found)
    said = f"group {number}: {format_count(len(found), 'ticket')}\n" + "\n".join(
        f"{count} {status}" for status, count in counts.most_common()
    )
    bars, left = [], x + 8.0
    for status, count in counts.most_common():
        part = (wide - 16) * count / len(found)
        bars.append(element("rect", class_=style_of(status), x=left, y=y + 28, width=max(1.0, part), height=8))
        left += part
    return element(
        "g",
        element("rect", class_="node", x=x, y=y, width=wide, height=high, rx=4),
        element("text", f"group {number}", x=x + 8, y=y + 18),
        element("text", str(len(found)), class_="dim", x=x + wide - 8, y=y + 18, text_anchor="end"),
        *bars,
        title=said,
    )
