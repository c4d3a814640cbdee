"""Ids on the screen: two that differ are never drawn the same, and reasons keep their words."""

import re
from collections.abc import Collection

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.text.cut_ids import IdCutter
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view import short_ids
from parexec_tui.tui.widgets.panel import Panel
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of

ARCHES = ("arm64", "x86-64", "riscv", "s390x", "ppc64")


def session() -> Session:
    """What runs and what waits for it, with ids that are alike at both ends."""
    runs = "\n".join(f"compile-the-world-for-{arch}-with-all-options: agent=builder-of-everything" for arch in ARCHES)
    waits = "\n".join(
        f"package-the-world-for-{arch}-with-all-options: compile-the-world-for-{arch}-with-all-options "
        "agent=builder-of-everything"
        for arch in ARCHES
    )
    played = Session(plan(f"{runs}\n{waits}", agents={"builder-of-everything": AgentType(min=5, max=5)}, parallel=5))
    played.dispatch()
    return played


@pytest.mark.parametrize("kind", [TicketsPanel, AgentsPanel, TimelinePanel])
@pytest.mark.parametrize("width", [48, 72, 80, 120])
def test_two_ids_are_never_drawn_the_same(kind: type[Panel], width: int) -> None:
    played = session()
    view = view_of(played, ascii_only=False)
    for event in played.journal:
        view.event_history.take(event)
    panel = panel_of(kind, view, width, 20)
    cut = [words for line in lines(panel) if (words := [word for word in line.split() if "…" in word])]
    assert len(cut) >= 5
    assert len({words[0] for words in cut}) == len(cut)
    if kind is AgentsPanel:
        assert len({words[1] for words in cut}) == len(cut)


@pytest.mark.parametrize("size", [(40, 12), (60, 24), (100, 24)])
def test_no_two_tickets_of_the_graph_around_one_look_alike(size: tuple[int, int]) -> None:
    alike = [f"compile-the-world-for-{arch}-with-all-options" for arch in ARCHES]
    waits = f"package-the-whole-world: {' '.join(alike)}"
    view = view_of(Session("\n".join([f"{id_}:" for id_ in alike] + [waits])), ascii_only=False)
    view.selected = "package-the-whole-world"
    panel = panel_of(GraphPanel, view, *size)
    panel.toggle_view()
    shown = re.findall(r"[•·] (\S*…\S*)", "\n".join(lines(panel)))
    assert len(shown) >= 3, lines(panel)
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize("width", [72, 80, 120])
def test_a_reason_keeps_its_words(width: int) -> None:
    panel = panel_of(TicketsPanel, view_of(session()), width, 20)
    waiting = [line for line in lines(panel) if " waiting " in line]
    assert len(waiting) == 5
    assert all(" needs " in line and "(running)" in line for line in waiting)


def test_what_has_come_since_is_told_apart_too() -> None:
    played = session()
    view = view_of(played, ascii_only=False)
    old, new = (f"compile-the-world-for-{arch}-with-all-options" for arch in ("arm64", "arm65"))
    assert view.short_ticket(old, 16) == "compile…arm64…"
    played.apply(ev.PlanAmended(at=played.now, added={new: played.plan.tickets[old]}))
    assert view.short_ticket(new, 16) == "compile…arm65…"
    assert view.short_ticket(old, 16) != view.short_ticket(new, 16)


def test_in_a_big_plan_too_the_short_forms_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(IdCutter):
        def __init__(self, ids: Collection[str], sign: str) -> None:
            made.append(len(ids))
            super().__init__(ids, sign)

    tickets = [f"a-very-long-name-of-a-shard-{number:04}" for number in range(1000)]
    view = view_of(Session(plan("\n".join(f"{id_}:" for id_ in tickets)), checks=False))
    monkeypatch.setattr(short_ids, "IdCutter", Counted)
    assert len({view.short_ticket(id_, width) for id_ in tickets[:300] for width in (16, 20)}) == 600
    assert made == [1000]
