"""Lanes, as drawings and as what can be read back from them."""

from itertools import pairwise
from textwrap import dedent

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.graph import Graph
from tests.tui.drawing.graph.graphs import drawn, fan, graph_of, graphs, lanes_of, rows_of, text_of, traced_lanes


def picture(text: str) -> list[str]:
    """The lines of a drawing in a test, without its margins."""
    return [line.rstrip() for line in dedent(text).strip("\n").splitlines()]


DIAMOND = "A:\nB: A\nC: A\nD: B C"

EXAMPLES = {
    "a chain is one lane": (
        "A:\nB: A\nC: B",
        """
        ○  A
        ●  B
        ●  C
        """,
    ),
    "tickets that have nothing to do with each other are hollow": (
        "A:\nB:\nC:",
        """
        ○  A
        ○  B
        ○  C
        """,
    ),
    "a diamond": (
        "A:\nB: A\nC: A\nD: B C",
        """
        ○    A
        ├─○  B
        ● │  C
        ●─╯  D
        """,
    ),
    "a need that is also a need of a need": (
        "A:\nB: A\nC: A B",
        """
        ○    A
        ├─○  B
        ●─╯  C
        """,
    ),
    "many in, many out: two lanes": (
        "A:\nB: A\nC: A\nD: A\nE: A\nF: B C D E",
        """
        ○      A
        ├─○─╮  B
        ├─○─┤  C
        ├─○─┤  D
        ●   │  E
        ●───╯  F
        """,
    ),
    "tickets with the same needs share one lane": (
        "A:\nB:\nC:\nD: A B C\nE: A B C\nF: A B C",
        """
        ○─╮    A
        ○─┤    B
        ○─┤    C
          ├─○  D
          ├─○  E
        ○─╯    F
        """,
    ),
    "branches stay together, the shortest first, the longest is the trunk": (
        "A:\nlong1: A\nlong2: long1\nlong3: long2\nleaf: A\nshort1: A\nshort2: short1\nend: long3 short2",
        """
        ○    A
        ├─○  leaf
        ├─○  short1
        │ ●  short2
        ● │  long1
        ● │  long2
        ● │  long3
        ●─╯  end
        """,
    ),
    "other needs are pulled in just before they are needed": (
        "A:\nfixture:\nB: A\nC: B fixture",
        """
        ○    A
        ●    B
        │ ○  fixture
        ●─╯  C
        """,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    text, expected = EXAMPLES[name]

    assert [line.rstrip() for line in drawn(lanes_of(graph_of(text)))] == picture(expected)


def test_where_columns_run_out_a_line_may_come_from_the_right_and_cross_others() -> None:
    narrow = lanes_of(graph_of("A:\nB: A\nC: A\nD: B C\nE: D\nF: B D\nG: C"), max_columns=3)

    assert [line.rstrip() for line in drawn(narrow)] == picture("""
        ○      A
        ├─○    B
        ● │    C
        ├─│─○  G
        ╰─┼─○  D
        ○◂│─┤  E
        ○─┴─╯  F
    """)


def test_what_is_needed_farthest_down_is_counted_when_lanes_do_not_fit() -> None:
    narrow = lanes_of(graph_of("A:\nB: A\nC: A B\nD: B C\nE: A D"), max_columns=3)

    assert [line.rstrip() for line in drawn(narrow)] == picture("""
        ○ ↓1   A
        ├─○    B
        ╰─┼─○  C
        ○─┴─╯  D
        ● ↑1   E
    """)


def test_the_critical_path_is_heavy() -> None:
    lanes = lanes_of(graph_of(DIAMOND))
    lanes.mark(["A", "B", "D"])

    assert [line.rstrip() for line in drawn(lanes)] == picture("""
        ○    A
        ┡━○  B
        ● ┃  C
        ●━┛  D
    """)
    assert [[cell.heavy for cell in row.cells] for row in rows_of(lanes)] == [
        [True],
        [True, True, True],
        [False, False, True],
        [True, True, True],
    ]


def test_in_ascii() -> None:
    lanes = lanes_of(graph_of("A:\nB: A\nC: A\nD: A\nE: A\nF: B C D E"))
    lanes.mark(["A", "B", "F"])

    assert [line.rstrip() for line in drawn(lanes, ascii_only=True)] == picture(r"""
        o      A
        +=o=\  B
        +-o-+  C
        +-o-+  D
        *   #  E
        *===/  F
    """)


def test_a_lane_keeps_its_colour_along_a_chain_and_neighbours_have_others() -> None:
    trunk, side = rows_of(lanes_of(graph_of("A:\nB: A\nC: A\nD: B C")))[1].cells[::2]

    assert trunk.colour != side.colour
    assert {row.cells[0].colour for row in rows_of(lanes_of(graph_of("A:\nB: A\nC: B")))} == {trunk.colour}


@pytest.mark.parametrize("count", [3, 5000])
def test_a_fan_has_two_lanes_however_wide(count: int) -> None:
    rows = rows_of(lanes_of(fan(count)))

    assert [text_of(row) for row in rows[:2]] == ["○", "├─○─╮"]
    assert {text_of(row) for row in rows[2:-2]} == {"├─○─┤"}
    assert [text_of(row) for row in rows[-2:]] == ["●   │", "●───╯"]


def _marks(text: str) -> tuple[int, int]:
    """Needs and dependents that a row says are left out."""
    counts = {word[0]: int(word[1:]) for word in text.split() if word[0] in "↑↓"}
    return counts.get("↑", 0), counts.get("↓", 0)


@given(graphs(), st.integers(2, 8))
def test_what_can_be_read_from_a_drawing_is_the_graph(graph: Graph, max_columns: int) -> None:
    """Every line leads to a ticket that needs where it came from, once; what has no line is counted at both ends."""
    lanes = lanes_of(graph, max_columns=max_columns)
    rows = rows_of(lanes)
    traced = traced_lanes(rows)
    found = [(need, dependent) for need, dependents in traced.items() for dependent in dependents]

    assert len(found) == len(set(found))
    assert set(found) <= set(graph.edges())
    for row in rows:
        needs_left_out, dependents_left_out = _marks(text_of(row))
        assert sum(dependent == row.id for _, dependent in found) + needs_left_out == len(graph.needs[row.id])
        assert sum(need == row.id for need, _ in found) + dependents_left_out == len(graph.dependents[row.id])


@given(graphs(max_tickets=12))
def test_nothing_is_left_out_where_there_are_columns_enough(graph: Graph) -> None:
    traced = traced_lanes(rows_of(lanes_of(graph, max_columns=12)))

    assert {(need, dependent) for need, dependents in traced.items() for dependent in dependents} == set(
        graph.edges()
    )


@given(graphs(), st.integers(2, 8), st.booleans())
def test_rows_are_in_order_within_their_width_and_found_both_ways(
    graph: Graph, max_columns: int, ascii_only: bool
) -> None:
    lanes = lanes_of(graph, max_columns=max_columns)
    rows = lanes.rows(0, len(graph.needs), ascii_only=ascii_only)

    assert [row.id for row in rows] == list(lanes.order)
    assert sorted(lanes.order) == sorted(graph.needs)
    assert all(lanes.order[lanes.row(id_)] == id_ for id_ in graph.needs)
    assert all(lanes.row(need) < lanes.row(dependent) for need, dependent in graph.edges())
    for row in rows:
        assert len(row.cells) <= lanes.width
        assert all(len(cell.char) == 1 for cell in row.cells)
        assert row.cells[row.node].char in ("o*" if ascii_only else "○●")
        assert text_of(row).isascii() or not ascii_only


@given(graphs(), st.integers(-3, 25), st.integers(0, 12))
def test_a_window_is_a_part_of_the_whole(graph: Graph, start: int, height: int) -> None:
    lanes = lanes_of(graph)

    assert lanes.rows(start, start + height) == rows_of(lanes)[max(0, start) : max(0, start + height)]


@given(graphs())
def test_heavy_lines_run_from_each_ticket_of_a_path_to_the_next(graph: Graph) -> None:
    lanes = lanes_of(graph, max_columns=12)
    whole: nx.DiGraph[str] = nx.DiGraph(graph.edges())
    whole.add_nodes_from(graph.needs)
    path: list[str] = nx.dag_longest_path(whole)
    lanes.mark(path)
    rows = rows_of(lanes)

    assert [row.id for row in rows if row.cells[row.node].heavy] == path
    for need, dependent in pairwise(path):
        if lanes.row(dependent) - lanes.row(need) > 1 and not any("↓" in text_of(row) for row in rows):
            between = rows[lanes.row(need) + 1 : lanes.row(dependent)]
            assert all(sum(cell.heavy for cell in row.cells) == 1 for row in between)
