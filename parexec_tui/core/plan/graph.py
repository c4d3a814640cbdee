"""The dependency graph of a plan (networkx): edges run from a need to its dependents."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import networkx as nx

from parexec_tui.core.plan.model import Ticket

if TYPE_CHECKING:
    Graph = nx.DiGraph[str]
else:
    Graph = nx.DiGraph


CycleError = nx.NetworkXUnfeasible
"""What `groups` raises when tickets wait for each other."""


def build(tickets: Mapping[str, Ticket]) -> Graph:
    """The graph of these tickets; needs that are not among them are left out."""
    graph: Graph = nx.DiGraph()
    graph.add_nodes_from(tickets)
    graph.add_edges_from((need, id_) for id_, ticket in tickets.items() for need in ticket.needs if need in tickets)
    return graph


def cycles(graph: Graph) -> list[list[str]]:
    """One shortest cycle of each group of tickets that wait for each other, in plan order.

    `["A", "B"]` means that A is needed by B and B by A. An empty list means that the graph can be executed.
    """
    found = []
    order = {id_: place for place, id_ in enumerate(graph)}
    for component in nx.strongly_connected_components(graph):
        first = min(component, key=order.__getitem__)
        if len(component) > 1:
            found.append(_cycle_through(graph, first, component))
        elif graph.has_edge(first, first):
            found.append([first])
    return sorted(found, key=lambda cycle: order[cycle[0]])


def _cycle_through(graph: Graph, start: str, component: set[str]) -> list[str]:
    inside = graph.subgraph(component)
    paths = (nx.shortest_path(inside, after, start) for after in inside.successors(start))
    return [start, *min(paths, key=len)[:-1]]


def groups(graph: Graph) -> list[list[str]]:
    """Dependency levels: group k holds the tickets whose longest chain of needs has k tickets, in plan order.

    Raises CycleError if there is no such order.
    """
    order = {id_: place for place, id_ in enumerate(graph)}
    levels = [sorted(level, key=order.__getitem__) for level in nx.topological_generations(graph)]
    vars(graph).pop(
        "in_degree", None
    )  # networkx keeps this view, which keeps the graph: only the collector ends that
    return levels


def remaining_paths(graph: Graph, levels: list[list[str]], durations: Mapping[str, float]) -> dict[str, float]:
    """For each ticket, the longest total duration of a chain that starts with it, in the unit of `durations`."""
    remaining: dict[str, float] = {}
    for level in reversed(levels):
        for id_ in level:
            after = max((remaining[dependent] for dependent in graph.successors(id_)), default=0.0)
            remaining[id_] = durations[id_] + after
    return remaining


def longest_path(graph: Graph, durations: Mapping[str, float]) -> tuple[float, list[str]]:
    """The critical path: its length in the unit of `durations`, and its tickets in order."""
    remaining = remaining_paths(graph, groups(graph), durations)
    path: list[str] = []
    at: Iterable[str] = graph
    while step := max(at, key=remaining.__getitem__, default=None):
        path.append(step)
        at = graph.successors(step)
    return (remaining[path[0]] if path else 0.0), path


def ordered_dependents(graph: Graph, starts: Iterable[str]) -> list[str]:
    """Everything downstream of `starts`, without them, nearest first."""
    seen, found = set(starts), list[str]()
    wave = list(seen)
    while wave:
        after: dict[str, None] = {}
        for id_ in wave:
            after.update((dependent, None) for dependent in graph.successors(id_) if dependent not in seen)
        wave = list(after)
        seen.update(wave)
        found.extend(wave)
    return found
