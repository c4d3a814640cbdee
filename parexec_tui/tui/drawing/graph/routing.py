"""Edges between two neighbouring layers: which upright line carries what, and how they are drawn in cells.

Sources that have the same targets share one upright line (a *net*). A net goes right from its sources to its line,
up and down along it, and right to its targets.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Net(NamedTuple):
    """What one upright line connects."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    rows: tuple[int, ...]
    """Of all ends, rising."""

    @property
    def is_straight(self) -> bool:
        return self.rows[0] == self.rows[-1]


class Channel(NamedTuple):
    """The nets between two layers, and the track of each: 0 is the leftmost; None: it needs none."""

    nets: list[Net]
    tracks: list[int | None]

    @property
    def width(self) -> int:
        """How many tracks there are."""
        return 1 + max((track for track in self.tracks if track is not None), default=-1)


def route(left: Sequence[str], edges: Mapping[str, Sequence[str]], port: Mapping[str, int]) -> Channel | None:
    """Find tracks for the edges that leave the nodes of a layer; `port` has the row of each end.

    None if there is no way without two edges running over each other.
    """
    groups: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for source in left:
        if targets := edges.get(source):
            groups[frozenset(targets)].append(source)
    nets = [
        Net(tuple(sources), tuple(targets), tuple(sorted(port[end] for end in (*sources, *targets))))
        for targets, sources in groups.items()
    ]
    left_of = _left_of(nets, port)
    order = _from_the_left(left_of)
    return None if order is None else Channel(nets, _tracks(nets, order, left_of))


_Before = list[set[int]]
"""For each net by its number: the nets that must turn off further left."""


def _left_of(nets: list[Net], port: Mapping[str, int]) -> _Before:
    """On a row where one net leaves a source and another reaches a target, the first must turn off further left."""
    leaves = {port[source]: number for number, net in enumerate(nets) for source in net.sources}
    return [
        {leaves[row] for target in net.targets if (row := port[target]) in leaves} - {number}
        for number, net in enumerate(nets)
    ]


def _from_the_left(left_of: _Before) -> list[int] | None:
    """An order of the nets in which each comes after those that must be left of it; None if there is none."""
    order: list[int] = []
    while len(order) < len(left_of):
        free = next((n for n, before in enumerate(left_of) if n not in order and before.issubset(order)), None)
        if free is None:
            return None
        order.append(free)
    return order


def _tracks(nets: list[Net], order: list[int], left_of: _Before) -> list[int | None]:
    """Put each net in the leftmost track where it overlaps no other and is right of all that must be left of it."""
    tracks: list[int | None] = [None] * len(nets)
    spans: defaultdict[int, list[Net]] = defaultdict(list)
    for number in order:
        net = nets[number]
        if net.is_straight:
            continue
        track = 1 + max((track for other in left_of[number] if (track := tracks[other]) is not None), default=-1)
        while any(other.rows[0] <= net.rows[-1] and net.rows[0] <= other.rows[-1] for other in spans[track]):
            track += 1
        spans[track].append(net)
        tracks[number] = track
    return tracks
