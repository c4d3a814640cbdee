"""Small graphs, one line per ticket: `B: A` means that B needs A."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.ticket import Ticket


def tickets(text: str) -> dict[str, Ticket]:
    lines = (line.split(":") for line in text.strip().splitlines())
    return {id_.strip(): Ticket(run="true", needs=tuple(needs.split())) for id_, needs in lines}


DIAMOND = """
A:
B: A
C: A
D: B C
"""


def test_groups_are_the_dependency_levels() -> None:
    assert graph.groups(graph.build(tickets(DIAMOND))) == [["A"], ["B", "C"], ["D"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DIAMOND, []),
        ("A: A", [["A"]]),
        ("A: B\nB: A", [["A", "B"]]),
        ("A: C\nB: A\nC: B\nX: Y\nY: X\nZ: A X", [["A", "B", "C"], ["X", "Y"]]),
        ("A: B\nB: A C\nC: B", [["A", "B"]]),
    ],
)
def test_one_cycle_is_named_for_each_knot(text: str, expected: list[list[str]]) -> None:
    assert graph.cycles(graph.build(tickets(text))) == expected


def test_critical_path_follows_durations_not_counts() -> None:
    built = graph.build(tickets(DIAMOND))

    assert graph.longest_path(built, {"A": 1, "B": 5, "C": 2, "D": 1}) == (7, ["A", "B", "D"])


def test_dependents_come_nearest_first_and_once() -> None:
    assert graph.ordered_dependents(graph.build(tickets(DIAMOND)), ["A"]) == ["B", "C", "D"]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, Ticket]:
    size = draw(st.integers(1, 12))
    return {f"T{i}": Ticket(needs=tuple(f"T{j}" for j in range(i) if draw(st.booleans()))) for i in range(size)}


@given(acyclic())
def test_each_ticket_is_one_group_after_its_latest_need(plan: dict[str, Ticket]) -> None:
    level = {id_: k for k, ids in enumerate(graph.groups(graph.build(plan))) for id_ in ids}

    assert level.keys() == plan.keys()
    for id_, ticket in plan.items():
        assert level[id_] == max((level[need] + 1 for need in ticket.needs), default=0)
