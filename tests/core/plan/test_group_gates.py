"""Gates of groups and of the plan: what is wrong with them in a file, and the graph that they make."""

import pytest

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.group_gates import with_gates
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.state.session import SessionState
from tests.core.plan.test_file import problems, read
from tests.core.sessions import plan

TICKETS = """
[tickets.a]
run = "true"
group = "x"
[tickets.b]
run = "true"
needs = ["a"]
[tickets.c]
run = "true"
needs = ["b"]
"""


def test_a_group_that_is_not_there_is_told_with_its_place() -> None:
    assert problems(TICKETS)[0].startswith("p:4:1: tickets.a.group: there is no group 'x' (")
    assert "no group 4 (the plan has 3: parexec validate)" in _only("[groups.4]\n[group.x]\n" + TICKETS)
    assert "no ticket is in this group" in _only("[group.x]\n[group.y]\n" + TICKETS)
    assert "write [group.build]" in _only("[group.x]\n[groups.build]\n" + TICKETS)
    assert "write [groups.2]" in _only("[group.x]\n[group.2]\n" + TICKETS)
    numbered = problems(TICKETS.replace('group = "x"', 'group = "1"'))
    assert numbered[0].startswith("p:4:1: tickets.a.group: '1' would be a dependency group")
    assert "[group.1]" not in numbered[0], "which is refused as well"
    assert "choose another name" in _only("[group.x]\n[group.plan]\n" + TICKETS)


def _only(text: str) -> str:
    (problem,) = problems(text)
    return problem


def test_a_gate_of_a_group_needs_a_command() -> None:
    assert "the gate has no command" in _only("[group.x]\ngates = [{ name = 'lint' }]\n" + TICKETS)
    assert "the gate has no command" in _only("[plan]\ngates = ['']\n[group.x]\n" + TICKETS)


def test_what_runs_at_the_end_has_no_gates_of_a_group() -> None:
    last = "[tickets.z]\nrun = 'true'\nfinally = true\n"
    assert "run at the end" in _only("[groups.4]\ngates = ['true']\n[group.x]\n" + TICKETS + last)
    assert "is in no group" in _only("[group.x]\n" + TICKETS + last + "group = 'x'\n")


def test_gates_cannot_wait_for_themselves() -> None:
    problem = _only("[group.x]\ngates = ['true']\n" + TICKETS + 'group = "x"\n')
    assert problem.startswith("p:13:1: tickets.c.group: c needs b, near or far, and b waits for the gates of")
    assert "put b into the group too" in problem


def test_dependency_groups_keep_their_numbers_and_gates_stand_last_in_theirs() -> None:
    found = read("[plan]\ngates = ['true']\n[groups.1]\ngates = ['true']\n[group.x]\ngates = ['true']\n" + TICKETS)
    state = SessionState(found)
    assert state.groups == [["a", "@x", "@1"], ["b"], ["c", "@plan"]]
    assert list(state.graph.needs["@plan"]) == ["a", "@x", "@1", "b", "c"]
    assert state.graph.needs["b"] == dict.fromkeys(("a", "@x", "@1"), Wait.success)
    assert state.graph.needs["c"] == {"b": Wait.success}


def test_a_named_group_may_move_what_needs_it_into_a_later_group() -> None:
    session_plan = plan("A: group=g\nB: A\nC: B\nD: A\nE: D group=g", groups={"g": ("true",), "4": ("true",)})
    with pytest.raises(graph.CycleError):  # D needs A, and E of the same group needs D
        SessionState(session_plan)
    session_plan = plan("A: group=g\nB: group=g needs=\nC: B\nD: C\nE: A", groups={"g": ("true",), "2": ("true",)})
    state = SessionState(session_plan)
    assert state.groups[1] == ["C", "E", "@2"]
    assert "@2" in state.graph.needs["D"]


def test_a_dependent_waits_for_the_gates_as_it_waits_for_the_ticket() -> None:
    waits = "A: group=g\nB: group=g\nC: A?\nD: after=A\nE: A? B\nF: A? after=B"
    needs = SessionState(plan(waits, groups={"g": ("true",)})).graph.needs
    assert [needs[id_]["@g"] for id_ in "CDEF"] == [Wait.end, Wait.order, Wait.success, Wait.end]


def test_gates_wait_for_the_end_of_what_may_fail() -> None:
    found = plan("A: group=g allow_failure=true\nB: group=g", groups={"g": ("true",)})
    assert SessionState(found).graph.needs["@g"] == {"A": Wait.end, "B": Wait.success}


@pytest.mark.parametrize("width", [50, 500])
def test_the_graph_grows_with_the_tickets_and_not_with_their_pairs(width: int) -> None:
    rows = [
        f"{row}{at}: {'A' if row == 'B' else ''}{at if row == 'B' else ''}" for row in "AB" for at in range(width)
    ]
    found = plan("\n".join(rows), groups={"1": ("true",), "2": ("true",)}, gates=("true",))
    whole = with_gates(found.tickets, found.groups, found.settings.gates)
    edges = sum(map(len, graph.build(whole).needs.values()))
    assert edges == width + 2 * width + width + (2 * width + 2)  # needs, to the gates, past @1, to @plan


def test_a_need_that_names_gates_is_answered_with_what_to_write() -> None:
    named = "[group.x]\ngates = ['true']\n" + TICKETS + "[tickets.d]\nrun = 'true'\n"
    assert "there is no ticket '@x' (need a: what needs it waits for the gates" in _only(named + "needs = ['@x']\n")
    assert "(need a ticket of the group: what" in _only(named + "after = ['@1']\n")
    assert "(only what has `finally = true` runs after" in _only(named + "needs = ['@plan?']\n")
