"""Lines of the graph around gates: those that say something, and only those."""

from parexec_tui.core.plan.drawn import drawn_dependents, drawn_needs
from parexec_tui.core.state.session import SessionState
from parexec_tui.tui.drawing.graph.lanes import Lanes
from tests.core.sessions import plan


def test_no_line_is_drawn_past_gates_nor_to_them_from_what_others_wait_for_too() -> None:
    state = SessionState(plan("A:\nB:\nC: A\nD: C B", groups={"1": ("true",)}, gates=("true",)))
    drawn = {id_: sorted(drawn_dependents(state.graph, id_)) for id_ in state.tickets}
    assert drawn == {"A": ["@1"], "B": ["@1"], "@1": ["C", "D"], "C": ["D"], "D": ["@plan"], "@plan": []}
    needs = {id_: sorted(drawn_needs(state.graph, id_)) for id_ in state.tickets}
    assert needs == {"A": [], "B": [], "@1": ["A", "B"], "C": ["@1"], "D": ["@1", "C"], "@plan": ["D"]}


def test_many_tickets_share_one_lane_to_their_gates() -> None:
    state = SessionState(plan("\n".join(f"T{number}:" for number in range(300)), gates=("true",)))
    rows = Lanes(state.graph, state.groups).rows(0, 301, ascii_only=False)
    assert rows[-1].id == "@plan"
    assert max(len(row.cells) for row in rows) <= 3


def test_a_graph_without_gates_is_drawn_as_it_is() -> None:
    graph = SessionState(plan("A:\nB: A\nC: A B")).graph
    assert drawn_dependents(graph, "A") is graph.dependents["A"]
    assert drawn_needs(graph, "C") is graph.needs["C"]
