"""The graph panel: signs at the tickets, folds, headings of groups, and the path to the root that is lit."""

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of

CHAIN = "A:\nB: A\nC: B\nD: C\nE: D"


def chain(finished: int) -> Session:
    """A chain of five, the first of which have succeeded."""
    session = Session(CHAIN)
    for id_ in "ABCDE"[:finished]:
        session.dispatch()
        session.wait(5)
        session.succeed(id_)
    session.dispatch()
    return session


def shown(
    session: Session, selected: str, width: int = 70, height: int = 20, *, ascii_only: bool = False
) -> GraphPanel:
    view = view_of(session, ascii_only=ascii_only)
    view.selected = selected
    panel = panel_of(GraphPanel, view, width, height)
    panel.changed(Change.selection)
    return panel


def drawn(panel: GraphPanel) -> list[str]:
    return [line[1:].rstrip(" ┃│") for line in lines(panel) if line.strip()]


def test_the_sign_of_the_status_is_at_the_ticket() -> None:
    rows = drawn(shown(chain(1), "C"))

    assert [row[:5] for row in rows] == ["○✓ A", "●▶ B ", "●· C ", "●· D ", "●· E "]
    assert [row[:5] for row in drawn(shown(chain(1), "C", ascii_only=True))] == [
        "o  + ",
        "*  > ",
        "*  . ",
        "*  . ",
        "*  . ",
    ]


def test_what_is_done_is_folded_with_a_count_and_enter_unfolds_it() -> None:
    panel = shown(chain(4), "E")

    assert [row[:8] for row in drawn(panel)] == ["▸ 4 succ", "●▶ E  ru"]
    panel.move(-1)
    assert not panel.has_selected
    assert panel.view.selected == "E", "a fold is no ticket"
    assert panel.open() == ""
    assert [row[:4] for row in drawn(panel)] == ["○✓ A", "●✓ B", "●✓ C", "●✓ D", "●▶ E"]
    assert panel.toggle_fold()
    assert len(drawn(panel)) == 2


def test_a_fold_of_one_family_says_which() -> None:
    lines = [f"A{n}: {f'A{n - 1}' if n else ''} family=test" for n in range(4)]
    session = Session("\n".join((*lines, "B: A3")))
    for number in range(4):
        session.dispatch()
        session.succeed(f"A{number}")
    assert drawn(shown(session, "B"))[0] == "▸ 4 of test succeeded"


def test_the_selected_ticket_is_never_folded_away() -> None:
    session = chain(5)
    for selected in "ABCDE":
        panel = shown(session, selected)
        assert any(row.startswith((f"●✓ {selected}", f"○✓ {selected}")) for row in drawn(panel))
        assert panel.has_selected


def test_the_cursor_stays_on_its_ticket_when_rows_above_are_folded() -> None:
    session = chain(2)
    panel = shown(session, "D", height=4)
    session.succeed("C")
    session.dispatch()
    panel._folds._fold_at = 0.0
    panel.changed(Change.state)
    assert [row[:6] for row in drawn(panel)] == ["▸ 3 su", "●▶ D  ", "●· E  "]
    assert panel.has_selected


def test_the_path_to_what_it_waits_for_is_lit() -> None:
    session = Session("A:\nB: A\nC: B\nX:\nC2: B X\nD: C C2\nlong: estimate=900s\nlonger: long estimate=900s")
    session.act(rq.Hold(tickets=("A",), by="ann"))
    session.dispatch()
    panel = shown(session, "D")

    assert "waits for A" in panel.subtitle()
    assert set(panel._lit.tickets) >= {"A", "B", "D"}
    assert "D waits for it" in next(row for row in drawn(panel) if " A  " in row)
    heavy = "".join(drawn(panel))
    assert "┃" in heavy or "┡" in heavy or "┢" in heavy or "╾" in heavy or "━" in heavy
    panel.view.selected = "longer"
    panel.changed(Change.selection)
    assert "A" not in panel._lit.tickets


def test_the_path_to_what_a_ticket_was_skipped_for_is_lit() -> None:
    session = Session("A:\nok:\nB: ok A\nC: B\nother: estimate=900s")
    session.dispatch()
    session.succeed("ok")
    session.fail("A")
    panel = shown(session, "C")

    assert panel._lit.tickets == ["A", "B", "C"]
    assert "was skipped for A" in panel.subtitle()
    assert "C was skipped for it" in next(row for row in drawn(panel) if " A  " in row)


def test_a_ticket_that_waits_for_nothing_leaves_the_critical_path_heavy() -> None:
    panel = shown(chain(1), "B")

    assert not panel._lit.tickets
    assert panel._marked == ["B", "C", "D", "E"]


def layered(groups: int, each: int) -> Session:
    """Layers in which every ticket needs three of the one before, far apart: nobody can follow all lanes."""
    text = "\n".join(
        f"g{level}-{number}: "
        + (" ".join(f"g{level - 1}-{(number * 7 + step * 11) % each}" for step in range(3)) if level else "")
        for level in range(groups)
        for number in range(each)
    )
    return Session(plan(text, agents={"agent": AgentType(max=40)}, parallel=40), checks=False)


def test_a_big_plan_has_headings_of_groups() -> None:
    session = layered(4, 40)
    session.dispatch()
    session.succeed(*[f"g0-{number}" for number in range(40)])
    session.dispatch()
    session.succeed(*[f"g1-{number}" for number in range(5)])
    panel = shown(session, "g1-9", height=60)
    headings = [row for row in drawn(panel) if "group " in row]

    assert headings[0].endswith("group 1 · 40 of 40 done"), "all of it is done: it is folded"
    assert headings[1].endswith("group 2 · 5 of 40 done")
    assert not any("g0-" in row and "needs" not in row for row in drawn(panel))
    panel.move(-1)
    assert panel.cursor >= 0


def test_a_big_plan_of_chains_keeps_them_together() -> None:
    text = "\n".join(f"c{n}-{step}: {f'c{n}-{step - 1}' if step else ''}" for n in range(40) for step in range(4))
    panel = shown(Session(plan(text), checks=False), "c0-0")

    assert not any("group " in row for row in drawn(panel))
