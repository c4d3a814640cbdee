"""The order of tickets for a drawing with one row each: needs first, and what belongs together side by side."""

from collections.abc import Collection, Iterable, Mapping

TicketLinks = Mapping[str, Collection[str]]
"""ticket: its dependents, or its needs"""


def row_order(dependents: TicketLinks, needs: TicketLinks, groups: list[list[str]]) -> list[str]:
    """A topological order that keeps chains together; `groups` are the dependency levels.

    After a ticket come its dependents, each with its own dependents. Shorter branches come first, so that the longest
    one goes on below like a trunk. If the next ticket of a branch has other needs, these come just before it, the
    shallow ones last. Among equals the lower group goes first, then the order of the plan. O(E log E).
    """
    walk = _Walk(dependents, needs, groups)
    for level in groups:
        for root in level:
            if not needs[root]:
                walk.down_from(root)
    return walk.order


def _ranks(dependents: TicketLinks, groups: list[list[str]]) -> dict[str, int]:
    """The place of each ticket among siblings: by the length of the longest chain of its dependents."""
    length: dict[str, int] = {}
    for level in reversed(groups):
        for id_ in reversed(level):  # gates stand last in it, and need others of it
            length[id_] = 1 + max(map(length.__getitem__, dependents[id_]), default=0)
    # The sort is stable, so equals stay in the order of groups and, within one, of the plan.
    by_length = sorted((id_ for level in groups for id_ in level), key=length.__getitem__)
    return {id_: rank for rank, id_ in enumerate(by_length)}


class _Walk:
    """Depth first, by a stack: a ticket whose needs are not all placed yet goes back beneath them, once."""

    def __init__(self, dependents: TicketLinks, needs: TicketLinks, groups: list[list[str]]) -> None:
        self.order: list[str] = []
        self._dependents = dependents
        self._needs = needs
        self._rank = _ranks(dependents, groups).__getitem__
        by_depth = (id_ for level in groups for id_ in reversed(level))
        self._depth = {id_: place for place, id_ in enumerate(by_depth)}.__getitem__
        self._missing = {id_: len(own) for id_, own in needs.items()}
        self._placed: set[str] = set()
        self._pulled: set[str] = set()

    def down_from(self, root: str) -> None:
        stack = [root]
        while stack:
            id_ = stack.pop()
            if id_ in self._placed:
                continue
            if self._missing[id_]:
                if id_ not in self._pulled:
                    self._pulled.add(id_)
                    stack.append(id_)
                    needs = self._needs[id_]
                    stack.extend(sorted((need for need in needs if need not in self._placed), key=self._depth))
                continue
            self._place(id_)
            # Dependents without other needs go on top: the others come when these are placed.
            dependents = self._dependents[id_]
            stack.extend(self._next(d for d in dependents if self._missing[d]))
            stack.extend(self._next(d for d in dependents if not self._missing[d]))

    def _place(self, id_: str) -> None:
        self.order.append(id_)
        self._placed.add(id_)
        for dependent in self._dependents[id_]:
            self._missing[dependent] -= 1

    def _next(self, ids: Iterable[str]) -> list[str]:
        """As they go on a stack: the one to come first is last."""
        return sorted(ids, key=self._rank, reverse=True)
