"""Which dependencies are drawn: none past gates that lie between, nor to gates that wait for a dependent too.

Gates of a group are needed by all that needs a ticket of it, and need all tickets of it. Lines for all of that would
say nothing that the others do not say.
"""

from collections.abc import Collection

from parexec_tui.core.plan.gates import is_gate_ticket
from parexec_tui.core.plan.graph import Graph


def drawn_dependents(graph: Graph, id_: str) -> Collection[str]:
    """The dependents of a ticket to which a line leads."""
    own = graph.dependents[id_]
    gates = [dependent for dependent in own if is_gate_ticket(dependent)]
    if not gates:
        return own
    past = {dependent for gate in gates for dependent in graph.dependents[gate] if dependent in own}
    past |= {gate for gate in gates if any(gate in graph.dependents[other] for other in own)}
    return dict.fromkeys(dependent for dependent in own if dependent not in past)


def drawn_needs(graph: Graph, id_: str) -> Collection[str]:
    """The needs of a ticket from which a line leads to it."""
    own = graph.needs[id_]
    if not (is_gate_ticket(id_) or any(map(is_gate_ticket, own))):
        return own
    return dict.fromkeys(need for need in own if id_ in drawn_dependents(graph, need))
