"""A small graph in layers (after Sugiyama): which layer, in which order, at which rows.

Every edge runs from a layer to the next one: where it would be longer, invisible nodes carry it through the layers
between, one for each source, however many targets it has.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

Edges = Mapping[str, Sequence[str]]
"""node: the nodes that its edges run to"""

_SWEEPS: Final = 6
"""Passes over the layers, there and back, to find an order with few crossings, and rows that make edges straight."""


class Layered:
    """Nodes by layer, ordered from the top, with the row that each one begins at."""

    def __init__(self, layers: list[list[str]], edges: Edges, heights: Mapping[str, int], height: int) -> None:
        self.layers = layers
        self.edges = edges
        """Among neighbouring layers only; carriers of long edges included."""
        self.heights = heights
        """Rows of each node; a carrier has one."""
        self.height = height
        self.top: dict[str, int] = {}
        """node: its first row"""

    def port(self, node: str) -> int:
        """The row at which edges meet a node."""
        return self.top[node] + self.heights[node] // 2


def carrier(source: str, layer: int) -> str:
    """The name of the node that carries the edges of a source through a layer; no ticket has such an id."""
    return f">{layer}>{source}"


def carried(node: str) -> str | None:
    """The source whose edges a node carries; None if the node is a ticket."""
    return node.split(">", 2)[2] if node.startswith(">") else None


def fits(layer_of: Mapping[str, int], edges: Edges, heights: Mapping[str, int], height: int) -> bool:
    """Whether every layer has room in so many rows. A node that has no height takes one."""
    layers, _ = _split(layer_of, edges)
    return all(sum(heights.get(node, 1) for node in layer) <= height for layer in layers)


def arrange(layer_of: Mapping[str, int], edges: Edges, heights: Mapping[str, int], height: int) -> Layered:
    """Lay out a graph that fits, and whose edges run to higher layers."""
    layers, short = _split(layer_of, edges)
    all_heights = {node: heights.get(node, 1) for layer in layers for node in layer}
    before = _reversed(short)
    ordered = _order(layers, short, before)
    layered = Layered(ordered, short, all_heights, height)
    _set_rows(layered, before)
    return layered


def _split(layer_of: Mapping[str, int], edges: Edges) -> tuple[list[list[str]], Edges]:
    """The layers with carriers in them, and the edges cut into pieces of one layer each."""
    layers: defaultdict[int, list[str]] = defaultdict(list)
    for node, layer in layer_of.items():
        layers[layer].append(node)
    short: defaultdict[str, list[str]] = defaultdict(list)
    for source, targets in edges.items():
        at, layer = source, layer_of[source]
        for next_ in range(layer + 1, max((layer_of[target] for target in targets), default=layer) + 1):
            short[at] += [target for target in targets if layer_of[target] == next_]
            if any(layer_of[target] > next_ for target in targets):
                through = carrier(source, next_)
                layers[next_].append(through)
                short[at].append(through)
                at = through
    return [layers[layer] for layer in sorted(layers)], short


def _reversed(edges: Edges) -> Edges:
    turned: defaultdict[str, list[str]] = defaultdict(list)
    for source, targets in edges.items():
        for target in targets:
            turned[target].append(source)
    return turned


def _order(layers: list[list[str]], after: Edges, before: Edges) -> list[list[str]]:
    """The order with the fewest crossings among those that sweeps by barycentre find."""
    best, fewest = layers, _crossings(layers, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        layers = _swept(layers, before) if sweep % 2 == 0 else _swept(layers[::-1], after)[::-1]
        if (count := _crossings(layers, after)) < fewest:
            best, fewest = layers, count
    return best


def _swept(layers: list[list[str]], neighbours: Edges) -> list[list[str]]:
    """Each layer ordered by the mean place of its neighbours in the one before it."""
    found: list[list[str]] = []
    place: dict[str, float] = {}
    for layer in layers:
        for at, node in enumerate(layer):
            own = [place[other] for other in neighbours.get(node, ()) if other in place]
            place[node] = sum(own) / len(own) if own else at
        found.append(sorted(layer, key=place.__getitem__))
        place.update((node, float(at)) for at, node in enumerate(found[-1]))
    return found


def _crossings(layers: list[list[str]], edges: Edges) -> int:
    """Pairs of edges that cross each other, in all layers."""
    count = 0
    for left, right in pairwise(layers):
        place = {node: at for at, node in enumerate(right)}
        ends = [sorted(place[target] for target in edges.get(node, ())) for node in left]
        for at, own in enumerate(ends):
            count += sum(low < high for later in ends[at + 1 :] for low in later for high in own)
    return count


def _set_rows(layered: Layered, before: Edges) -> None:
    """Give every node its rows: as near to the middle of its neighbours as the order allows."""
    middle = (layered.height - 1) / 2
    for layer in layered.layers:
        _place(layered, layer, dict.fromkeys(layer, middle))
    for sweep in range(_SWEEPS):
        towards = (layered.edges, before)[sweep % 2]
        for layer in layered.layers if towards is before else reversed(layered.layers):
            ports = {node: [layered.port(other) for other in towards.get(node, ())] for node in layer}
            wanted = {node: sum(own) / len(own) if own else layered.port(node) for node, own in ports.items()}
            _place(layered, layer, wanted)


def _place(layered: Layered, layer: list[str], wanted: Mapping[str, float]) -> None:
    """Rows without overlap, in order, each as near to the wanted row of its port as possible (least squares).

    First the heights of the nodes above are subtracted from each wanted row. Then the rows must not fall from node to
    node, and neighbours whose rows would fall get their mean.
    """
    used, blocks = 0, list[tuple[float, int]]()
    offsets = []
    for node in layer:
        offsets.append(used)
        mean, size = wanted[node] - layered.heights[node] // 2 - used, 1
        while blocks and blocks[-1][0] > mean:
            last, count = blocks.pop()
            mean, size = (last * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
        used += layered.heights[node]
    means = [mean for mean, size in blocks for _ in range(size)]
    for node, offset, mean in zip(layer, offsets, means, strict=True):
        layered.top[node] = offset + min(max(0, round(mean)), layered.height - used)
