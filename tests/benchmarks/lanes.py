"""What the lanes of a graph cost: `python tests/benchmarks/lanes.py`.

For 1,000, 10,000 and 100,000 tickets: rows laid out in a second of CPU, as a ratio to `networkx.topological_sort` of
the same graph in the same call; and what a window of 50 rows in the middle costs, as a ratio to the same at 1,000.
The graphs: *grid* (two needs each, 500 and 777 tickets back: far more lanes than columns), *near* (up to three needs
among the last 30 tickets) and *fan* (one ticket, then all but two, then one). The promise: a window costs at most
`PROMISED` times what it costs at 1,000.
"""

import random
import sys
import time
from collections.abc import Callable

import networkx as nx

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.tui.drawing.graph.lanes import Lanes

SIZES = (1_000, 10_000, 100_000)
ROWS = 50
PROMISED = 3.0
"""Far from a growth with the plan, which would be a hundredfold; rows differ in how many lanes they have."""


def grid(count: int) -> dict[str, list[int]]:
    return {str(n): [n - step for step in (500, 777) if n >= step] for n in range(count)}


def near(count: int) -> dict[str, list[int]]:
    choose = random.Random(1)
    return {
        str(n): choose.sample(range(max(0, n - 30), n), min(n, choose.choice((0, 1, 1, 2, 3)))) for n in range(count)
    }


def fan(count: int) -> dict[str, list[int]]:
    return {"0": [], **{str(n): [0] for n in range(1, count - 1)}, str(count - 1): list(range(1, count - 1))}


def built(needs: dict[str, list[int]]) -> Graph:
    return graph.build({id_: Ticket(needs=tuple(map(str, own))) for id_, own in needs.items()})


def seconds(call: Callable[[], object], tries: int) -> float:
    """CPU time of one call, the least of some."""
    found = []
    for _ in range(tries):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return min(found)


def measure(plan: Graph, tries: int) -> tuple[float, float, float]:
    """Seconds for networkx to sort the graph, for its layout, and for a window in the middle of it."""
    groups = graph.groups(plan)
    lanes = Lanes(plan, groups)
    middle = len(plan.needs) // 2
    reference: nx.DiGraph[str] = nx.DiGraph(plan.edges())
    reference.add_nodes_from(plan.needs)
    return (
        seconds(lambda: list(nx.topological_sort(reference)), tries),
        seconds(lambda: Lanes(plan, groups), tries),
        seconds(lambda: lanes.rows(middle, middle + ROWS), 20),
    )


def main() -> None:
    broken = []
    for shape in (grid, near, fan):
        first = 0.0
        for count in SIZES:
            reference, layout, window = measure(built(shape(count)), tries=1 if count == SIZES[-1] else 3)
            first = first or window
            print(
                f"{shape.__name__:>5} {count:>7}: {count / layout / 1000:5.0f} thousand rows/s, "
                f"{layout / reference:5.1f} x topological_sort; window of {ROWS}: {window * 1e3:4.1f} ms, "
                f"{window / first:4.2f} x that at {SIZES[0]}",
                flush=True,
            )
            if window / first > PROMISED:
                broken.append(f"{shape.__name__} {count}")
    print("broken promises: " + ", ".join(broken) if broken else "every promise kept")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
