"""The dependency graph of a plan: edges run from a need to its dependents, and say what is waited for.

A need is here whatever a ticket waits for, also by `after`.

It is two dicts, because every command that replays a session builds one, and networkx takes 0.1 s to import. Only a
plan with a cycle needs what networkx knows.
"""

from collections.abc import Iterable, Iterator, Mapping

from parexec_tui.core.plan.gates import PLAN_GATES, is_gate_ticket
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.waits import Wait, waits_of


class Graph:
    """Who needs whom, and what it waits for. Tickets are in plan order."""

    __slots__ = ("__weakref__", "dependents", "last", "needs", "numbers")

    def __init__(
        self, needs: Mapping[str, dict[str, Wait]], last: Iterable[str] = (), numbers: Mapping[str, int] | None = None
    ) -> None:
        """`needs`: of each ticket, all of them tickets of the graph. `last`: those that run when all others are over,
        with which they have no edge. `numbers`: see `build`.
        """
        self.needs = needs
        self.last = frozenset(last)
        self.numbers = numbers or {}
        self.dependents: dict[str, dict[str, Wait]] = {id_: {} for id_ in needs}
        for id_, waits in needs.items():
            for need, wait in waits.items():
                self.dependents[need][id_] = wait

    def edges(self) -> Iterator[tuple[str, str]]:
        """A need and one of its dependents, for each pair of them."""
        return ((need, id_) for id_, needs in self.needs.items() for need in needs)


_STRENGTH = (Wait.order, Wait.end, Wait.success)


class CycleError(Exception):
    """Tickets wait for each other."""


def build(tickets: Mapping[str, Ticket], numbers: Mapping[str, int] | None = None) -> Graph:
    """The graph of these tickets; needs that are not among them are left out.

    If gate tickets are among them, what needs a ticket of a group needs the gates of the group as well.

    `numbers`: {ticket: the least number that its group has, from 1}, where a plan has tickets that are left out here.
    """
    needs = {id_: waits_of(ticket) for id_, ticket in tickets.items()}
    for id_, waits in needs.items():
        for unknown in [need for need in waits if need not in tickets]:
            del needs[id_][unknown]
    _note_gates(needs)
    return Graph(needs, (id_ for id_, ticket in tickets.items() if ticket.finally_), numbers)


def _note_gates(needs: Mapping[str, dict[str, Wait]]) -> None:
    """Let what needs a ticket of a group need the gates of the group as well."""
    gates = {id_: waits for id_, waits in needs.items() if is_gate_ticket(id_) and id_ != PLAN_GATES}
    if not gates:
        return
    gates_of: dict[str, list[str]] = {}
    for gate, waits in gates.items():
        for id_ in waits:
            gates_of.setdefault(id_, []).append(gate)
    for id_, waits in needs.items():
        if not is_gate_ticket(id_):
            for gate, wait in list(_gates_before(waits, gates_of)):
                if id_ not in gates[gate]:
                    waits[gate] = max(wait, waits.get(gate, wait), key=_STRENGTH.index)


def _gates_before(waits: Mapping[str, Wait], gates_of: Mapping[str, list[str]]) -> Iterator[tuple[str, Wait]]:
    for need, wait in waits.items():
        for gate in gates_of.get(need, ()):
            yield gate, wait


def cycles(graph: Graph) -> list[list[str]]:
    """One shortest cycle of each group of tickets that wait for each other, in plan order.

    `["A", "B"]` means that A is needed by B and B by A. An empty list means that the graph can be executed.
    """
    try:
        groups(graph)
    except CycleError:
        return _find_cycles(graph)
    return []


def _find_cycles(graph: Graph) -> list[list[str]]:
    import networkx as nx

    order = {id_: place for place, id_ in enumerate(graph.needs)}
    edges: nx.DiGraph[str] = nx.DiGraph(graph.edges())
    found = []
    for component in nx.strongly_connected_components(edges):
        first = min(component, key=order.__getitem__)
        if len(component) > 1:
            inside = edges.subgraph(component)
            back = (nx.shortest_path(inside, after, first) for after in inside.successors(first))
            found.append([first, *min(back, key=len)[:-1]])
        elif edges.has_edge(first, first):
            found.append([first])
    return sorted(found, key=lambda cycle: order[cycle[0]])


def groups(graph: Graph) -> list[list[str]]:
    """Dependency levels: group k holds the tickets whose longest chain of needs has k tickets, in plan order.

    The tickets that run at the end have groups of their own, after all others. A gate ticket is the last of the last
    group that it needs. Where the numbers of tickets say so, there are groups without tickets. Raises CycleError if
    there is no such order.
    """
    levels, left = _levels(graph)
    if left:
        raise CycleError
    if graph.last:
        levels = _last_after(graph, levels)
    return _numbered(graph, levels) if graph.numbers else levels


def most_groups(graph: Graph) -> int:
    """How many groups there are at most once needs of which cycles are made are taken away."""
    levels, left = _levels(graph)
    return len(levels) + left


def _levels(graph: Graph) -> tuple[list[list[str]], int]:
    """Dependency levels of the tickets that are neither in a cycle nor behind one, and how many others there are."""
    order = {id_: place for place, id_ in enumerate(graph.needs)}
    missing = {id_: len(needs) for id_, needs in graph.needs.items()}
    levels = []
    level = [id_ for id_, count in missing.items() if not count]
    while level:
        levels.append(level)
        after: list[str] = []
        for id_ in level:  # gate tickets join it meanwhile
            for dependent in graph.dependents[id_]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    (level if is_gate_ticket(dependent) else after).append(dependent)
        level = sorted(after, key=order.__getitem__)
    return levels, len(missing) - sum(map(len, levels))


def _numbered(graph: Graph, levels: list[list[str]]) -> list[list[str]]:
    """The same tickets, each in a group of its least number at least."""
    order = {id_: place for place, id_ in enumerate(graph.needs)}
    number: dict[str, int] = {}
    end = 0
    for level in levels:
        for id_ in level:  # needs come before their dependents
            below = max((number[need] for need in graph.needs[id_]), default=0)
            if id_ in graph.last:
                below = max(below, end)
            number[id_] = below if is_gate_ticket(id_) else max(below + 1, graph.numbers.get(id_, 1))
        if not graph.last.issuperset(level):
            end = max(end, *(number[id_] for id_ in level))
    placed: list[list[str]] = [[] for _ in range(max(number.values(), default=0))]
    for id_ in sorted(number, key=lambda id_: (is_gate_ticket(id_), order[id_])):
        placed[number[id_] - 1].append(id_)
    return placed


def _last_after(graph: Graph, levels: list[list[str]]) -> list[list[str]]:
    parts = (
        [[id_ for id_ in level if (id_ in graph.last) is is_last] for level in levels] for is_last in (False, True)
    )
    return [level for part in parts for level in part if level]


def remaining_paths(graph: Graph, levels: list[list[str]], durations: Mapping[str, float]) -> dict[str, float]:
    """For each ticket, the longest total duration of a chain that starts with it, in the unit of `durations`."""
    remaining: dict[str, float] = {}
    for level in reversed(levels):
        for id_ in reversed(level):
            after = max((remaining[dependent] for dependent in graph.dependents[id_]), default=0.0)
            remaining[id_] = durations[id_] + after
    if graph.last:
        end = max(map(remaining.__getitem__, graph.last))
        remaining = {id_: left if id_ in graph.last else left + end for id_, left in remaining.items()}
    return remaining


def longest_path(graph: Graph, durations: Mapping[str, float]) -> tuple[float, list[str]]:
    """The critical path: its length in the unit of `durations`, and its tickets in order."""
    remaining = remaining_paths(graph, groups(graph), durations)
    path: list[str] = []
    at: Iterable[str] = graph.needs
    while step := max(at, key=remaining.__getitem__, default=None):
        path.append(step)
        at = graph.dependents[step] or (graph.last if step not in graph.last else ())
    return (remaining[path[0]] if path else 0.0), path


def ordered_dependents(graph: Graph, starts: Iterable[str]) -> list[str]:
    """All tickets that depend on `starts`, directly or not, nearest first; without `starts`."""
    seen, found = set(starts), list[str]()
    wave = list(seen)
    while wave:
        after: dict[str, None] = {}
        for id_ in wave:
            after.update((dependent, None) for dependent in graph.dependents[id_] if dependent not in seen)
        wave = list(after)
        seen.update(wave)
        found.extend(wave)
    return found
