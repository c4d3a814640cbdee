"""Selects the tickets around one that are shown, so that all of them fit, and counts the others."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import NamedTuple

from parexec_tui.tui.drawing.graph.layered import fits

Links = Callable[[str], Collection[str]]
"""The needs, or the dependents, of a ticket. Only the length, membership and the first few are read, so it should be
a view and not a new list."""


class Surroundings(NamedTuple):
    """The graph as a neighbourhood needs it; for a session, `graph.needs` and `graph.dependents`."""

    needs: Links
    dependents: Links


class Selection:
    """The centre and what is shown around it, with the edges among these, and counts of what is not.

    A count is a node too, beside the ticket whose needs or dependents it counts: see `HiddenCount`.
    """

    def __init__(self, centre: str, graph: Surroundings, node_height: int, height: int, levels: int = 2) -> None:
        """`levels`: one, and only needs and dependents of the centre are shown and counted; or two."""
        self.centre = centre
        self.side: dict[str, int] = {centre: 0}
        """ticket: -1 for those that the centre needs, 1 for those that need it; in the order they came"""
        self.targets: dict[str, list[str]] = {centre: []}
        """ticket: the shown ones that need it"""
        self.sources: dict[str, list[str]] = {centre: []}
        """ticket: the shown ones that it needs"""
        self._graph = graph
        self._node_height = node_height
        self._levels = levels
        self.height = height
        """Rows that there are."""

    def fill(self, keep: Sequence[str]) -> None:
        """Select as many as fit: first those of `keep`, and neighbours before tickets beyond them."""
        needs, dependents = self._graph.needs(self.centre), self._graph.dependents(self.centre)
        self._add_all([(id_, -1) for id_ in keep if id_ in needs] + [(id_, 1) for id_ in keep if id_ in dependents])
        limit = self.height + 1
        self._add_all(
            _in_turn([[(id_, -1) for id_ in islice(needs, limit)], [(id_, 1) for id_ in islice(dependents, limit)]])
        )
        if self._levels == 1:
            return
        beyond = [
            [(other, side) for other in islice(self._links(side)(id_), limit)]
            for id_, side in self.side.items()
            if side
        ]
        self._add_all(_in_turn(beyond))

    def _links(self, side: int) -> Links:
        return self._graph.needs if side < 0 else self._graph.dependents

    def _add_all(self, candidates: Iterable[tuple[str, int]]) -> None:
        """Add tickets to each side until one does not fit."""
        full: set[int] = set()
        for id_, side in candidates:
            if id_ not in self.side and side not in full:
                self._add(id_, side)
                if not fits(self.layers(), self.targets, self.heights(), self.height):
                    self.drop_last()
                    full.add(side)

    def _add(self, id_: str, side: int) -> None:
        needs, dependents = self._graph.needs(id_), self._graph.dependents(id_)
        self.sources[id_] = [other for other in self.side if other in needs]
        self.targets[id_] = [other for other in self.side if other in dependents]
        for source in self.sources[id_]:
            self.targets[source].append(id_)
        for target in self.targets[id_]:
            self.sources[target].append(id_)
        self.side[id_] = side

    def drop_last(self) -> None:
        """Remove the ticket that was added last."""
        id_, _ = self.side.popitem()
        for source in self.sources.pop(id_):
            self.targets[source].remove(id_)
        for target in self.targets.pop(id_):
            self.sources[target].remove(id_)

    def counts(self) -> list["HiddenCount"]:
        """How many needs and dependents of the centre are not shown, and of its needs, and so on."""
        found = []
        for id_, side in self.side.items() if self._levels > 1 else ((self.centre, 0),):
            if side <= 0 and (side == 0 or self.centre in self.targets[id_]):
                found.append(HiddenCount(id_, -1, len(self._graph.needs(id_)) - len(self.sources[id_])))
            if side >= 0 and (side == 0 or self.centre in self.sources[id_]):
                found.append(HiddenCount(id_, 1, len(self._graph.dependents(id_)) - len(self.targets[id_])))
        return [count for count in found if count.number]

    def edges(self) -> dict[str, list[str]]:
        """node: the nodes that its edges lead to. A count has an edge to the ticket that it belongs to."""
        edges = {id_: list(targets) for id_, targets in self.targets.items()}
        for count in self.counts():
            if count.side < 0:
                edges[count.name] = [count.ticket]
            else:
                edges[count.ticket].append(count.name)
        return edges

    def layers(self) -> dict[str, int]:
        """node: its layer. The centre is in layer 0; a ticket is as far out as its longest way to the centre."""
        layer = {self.centre: 0}
        for side, towards in ((-1, self.targets), (1, self.sources)):
            for id_, own in self.side.items():
                if own == side:
                    self._find_layer(id_, side, towards, layer)
        layer.update((count.name, layer[count.ticket] + count.side) for count in self.counts())
        return layer

    def _find_layer(self, id_: str, side: int, towards: Mapping[str, list[str]], layer: dict[str, int]) -> int:
        if id_ not in layer:
            inner = [other for other in towards[id_] if self.side[other] in (0, side)]
            layer[id_] = side + side * max(side * self._find_layer(other, side, towards, layer) for other in inner)
        return layer[id_]

    def heights(self) -> dict[str, int]:
        """ticket: its rows; everything else has one."""
        return dict.fromkeys(self.side, self._node_height)


class HiddenCount(NamedTuple):
    """How many needs (`side` -1) or dependents (1) of a ticket are not shown."""

    ticket: str
    side: int
    number: int

    @property
    def name(self) -> str:
        """Its name as a node; no ticket has such an id."""
        return f"+{'<' if self.side < 0 else '>'}{self.ticket}"

    @property
    def text(self) -> str:
        return f"+{self.number} more"

    @property
    def short_text(self) -> str:
        """In six columns at most."""
        return f"+{self.number}" if self.number < 100_000 else f"+{self.number // 1000}k"


def _in_turn(rows: list[list[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
    """The first of each, then the second of each, and so on."""
    return (each for column in zip_longest(*rows) for each in column if each is not None)
