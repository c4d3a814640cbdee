"""Rows with a cursor: it is always in view, and what is shown moves as little as that needs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.geometry import Region

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels import ticket_table
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release

SESSION = Session(plan("\n".join(f"T{number}:" for number in range(40))))
moves = st.one_of(
    st.tuples(st.just("move"), st.integers(-50, 50)),
    st.tuples(st.just("move_page"), st.sampled_from([-1, 1])),
    st.tuples(st.just("go_to"), st.integers(-3, 60)),
)


@settings(max_examples=60)
@given(st.integers(3, 50), st.lists(moves, max_size=12))
def test_the_cursor_is_in_view_and_rows_move_no_more_than_that_needs(
    height: int, taken: list[tuple[str, int]]
) -> None:
    panel = panel_of(TicketsPanel, view_of(SESSION), 60, height)
    for name, by in taken:
        before = panel.top
        getattr(panel, name)(by)
        below = panel.cursor - panel.top
        assert 0 <= below < panel.page
        if panel.top < before:
            assert below == 0, "it came from above"
        elif panel.top > before:
            assert below == panel.page - 1, "it came from below"
        (shown,) = (line for line in lines(panel) if line.startswith("]"))
        assert shown.split()[3] == panel.view.selected


def test_a_click_is_on_the_row_that_is_drawn_there() -> None:
    panel = panel_of(TicketsPanel, view_of(SESSION), 60, 10)
    panel.go_to(20)
    drawn = lines(panel)
    for y in range(2, 10):
        panel.clicked(y)
        assert panel.view.selected in drawn[y - 1]
    here = panel.view.selected
    for nowhere in (0, 1, 99):
        panel.clicked(nowhere)
        assert panel.view.selected == here


def test_the_bar_is_where_the_rows_are() -> None:
    panel = panel_of(TicketsPanel, view_of(SESSION), 60, 12)

    def bar() -> str:
        return "".join(line.ljust(60)[59] for line in lines(panel)[1:])

    assert bar() == "##        "
    panel.go_last()
    assert bar() == "        ##"
    panel.go_to(15)
    assert bar() == "    ##    "


def play(session: Session, panel: TicketsPanel, step: str) -> Change:
    """Let something happen; returns what the panel is told of it."""
    running = [id_ for id_ in session.live() if session.status(id_) == "running"]
    match step:
        case "succeed" if running:
            session.succeed(running[0])
        case "freeze" if running:
            session.act(rq.Freeze(tickets=(running[-1],)))
        case "retry":
            session.act(rq.Retry(tickets=("bench",)))
        case "hold":
            session.act((rq.Release if session["smoke"].held else rq.Hold)(tickets=("smoke",)))
        case "raise":
            session.act(rq.Prioritise(tickets=("bench",), priority=Priority.critical))
        case "hold all":
            session.act(rq.Release() if session.state.held else rq.Hold())
        case "mark":
            panel.view.marks ^= {panel.view.selected}
            return Change.selection
        case "select":
            panel.view.selected = "smoke" if panel.view.selected == "bench" else "bench"
            return Change.selection
        case "second":
            session.wait(1)
            return Change.clock
        case _:
            pass
    return Change.state


STEPS = ("succeed", "freeze", "retry", "hold", "raise", "hold all", "mark", "select", "second")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(STEPS), max_size=10), st.integers(0, 40))
def test_every_line_that_looks_different_is_drawn_again_with_the_next_frame(
    monkeypatch: pytest.MonkeyPatch, taken: list[str], start: int
) -> None:
    monkeypatch.setattr(ticket_table, "_SHARE", 0)
    session = release()
    panel = panel_of(TicketsPanel, view_of(session), 120, 20)
    panel.go_to(start)
    again: list[Region] = []
    monkeypatch.setattr(panel, "refresh", lambda *regions: again.extend(regions or [Region(0, 0, *panel.size)]))
    for step in taken:
        before = lines(panel)
        again.clear()
        change = play(session, panel, step)
        panel.changed(change)
        drawn = {y for region in again for y in range(region.y, region.bottom)}
        after = lines(panel)
        stale = [
            y for y, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new and y not in drawn
        ]
        assert not stale, step
