"""The timeline: its rows, its cursor in time, and when predictions are made again, since that costs O(plan)."""

from collections.abc import Sequence
from typing import Any

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.drawing.predict import PredictedSpan
from parexec_tui.tui.drawing.timeline import Bar
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view import timeline_bars
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.harness import run_app


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> list[SessionState]:
    """The sessions for which predictions were made, one after another. The clock stands still."""
    found: list[SessionState] = []

    def predicted(of: TimelinePanel) -> Sequence[PredictedSpan]:
        found.append(of.state)
        return predict(of)

    predict = TimelinePanel._predict
    monkeypatch.setattr(TimelinePanel, "_predict", predicted)
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    return found


def shown(session: Session, width: int = 80, height: int = 16) -> TimelinePanel:
    """The panel of a session, whose history is known."""
    view = view_of(session)
    for event in session.journal:
        view.event_history.take(event)
    return panel_of(TimelinePanel, view, width, height)


def row(panel: TimelinePanel, name: str) -> str:
    """The row of an agent or a ticket, without its name."""
    return next(line for line in lines(panel) if line[1:].startswith((f"{name} ", *(f"{g} {name} " for g in SIGNS))))[
        17:
    ]


SIGNS = "+>x.|*fr"


def retried() -> Session:
    """B fails, is tried again, is frozen for a while, and goes on; C is held for a while."""
    session = Session("A: estimate=60s\nB: A retries=1 retry_delay=10s estimate=60s\nC: A estimate=30s\nD: B C\nE: C")
    session.dispatch()
    session.wait(60)
    session.succeed("A")
    session.act(rq.Hold(tickets=("C",), by="ann"))
    session.dispatch()
    session.wait(30)
    session.fail("B")
    session.back_off("B")
    session.dispatch()
    session.wait(20)
    session.act(rq.Freeze(tickets=("B",), by="ann"))
    session.wait(60)
    session.act(rq.Thaw(tickets=("B",), by="ann"))
    session.act(rq.Release(tickets=("C",), by="ann"))
    session.dispatch()
    session.wait(20)
    return session


def test_a_ticket_has_its_retries_and_its_hold_in_one_row() -> None:
    panel = shown(retried())

    assert "AGENT" in lines(panel)[0]
    assert row(panel, "B").count("x") == 1
    assert "~~~~" in row(panel, "B"), "it was frozen"
    assert "> agent-1" in row(panel, "B")
    assert row(panel, "C").lstrip().startswith("||||"), "it was held"
    assert "> agent-2" in row(panel, "C")
    assert "/ agent-1 /" in row(panel, "D").replace("/agent", "/ agent").replace("1/", "1 /"), "it is predicted"
    panel.toggle_view()
    assert not any("agent-1 " in line[:17] for line in lines(panel))
    assert "> agent-1" in row(panel, "B")


def test_left_and_right_go_through_the_attempts_and_the_title_tells_of_each() -> None:
    panel = shown(retried(), 200)
    panel.view.selected = "B"
    panel.changed(Change.selection)
    panel.toggle_view()
    told = []
    for _ in range(3):
        told.append(panel.subtitle().split("  ")[0])
        panel.move_across(-1)
    assert told == [
        "B attempt 2 on agent-1: running since 1m40s, until about 3m40s, frozen for 1m",
        "B attempt 1 on agent-1: 1m-1m30s, failed after 30s, exit 1",
        "B attempt 1 on agent-1: 1m-1m30s, failed after 30s, exit 1",
    ]
    panel.move_across(1)
    assert "attempt 2" in panel.subtitle()


@pytest.mark.parametrize(
    ("width", "told"),
    [(33, "B x 1m-1m30s"), (46, "B 1m-1m30s failed"), (62, "B attempt 1 on agent-1: 1m-1m30s failed")],
)
def test_where_the_title_has_little_room_it_says_the_end_by_its_sign(width: int, told: str) -> None:
    panel = shown(retried(), width)
    panel.view.selected = "B"
    panel.changed(Change.selection)
    panel.move_across(-1)
    assert panel.subtitle() == told
    assert told in panel.render_line(0).text


def test_the_selection_follows_the_bar_under_the_cursor() -> None:
    panel = shown(retried())
    panel.view.selected = "B"
    panel.changed(Change.selection)
    assert panel._rows[panel.cursor].name == "agent-1"
    panel.move_across(-1)
    panel.move_across(-1)
    assert panel.view.selected == "A"
    assert panel.open() == "output"


def test_the_title_tells_of_the_selected_ticket_though_its_agent_runs_another_by_now() -> None:
    session = retried()
    panel = shown(session)
    panel.view.selected = "C"
    panel.changed(Change.selection)
    assert panel.subtitle().startswith("C attempt 1 on agent-2: running since 3m")
    session.wait(10)
    session.succeed("C")
    panel.view.event_history.take(session.journal[-1])
    session.dispatch()
    panel._remake_at = 0.0
    panel.changed(Change.state)
    assert panel.subtitle().startswith("C attempt 1 on agent-2: 3m-3m30s"), panel.subtitle()
    assert "[" in row(panel, "agent-2")


def test_a_selection_changes_no_colour_of_a_bar() -> None:
    panel = shown(retried())

    def looks() -> dict[tuple[str, str], object]:
        cells = [cell for index in range(panel.count) for cell in panel._cells(index)]
        return {(c.ticket, c.kind): panel._style_of(c) for c in cells if c.kind in ("ran", "frozen", "forecast")}

    panel.view.selected = "D"
    panel.changed(Change.selection)
    before = looks()
    panel.view.selected = "B"
    panel.changed(Change.selection)
    assert looks() == before
    assert "[" in row(panel, "agent-1")
    assert "]" in row(panel, "agent-1")


def test_nothing_is_drawn_again_until_a_cell_changes() -> None:
    session = retried()
    panel = shown(session)
    drawn: list[object] = []
    panel.refresh = lambda *regions, **_: drawn.append(regions)  # type: ignore[method-assign,assignment]
    panel.refresh_changed()
    drawn.clear()
    panel._remake_at = 0.0
    panel.changed(Change.state | Change.clock)
    assert not drawn
    session.wait(10)
    panel._remake_at = 0.0
    panel.changed(Change.clock)
    assert drawn


def test_the_rows_of_a_session_that_is_over_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")
    session.close()
    panel = shown(session)
    made: list[int] = []
    monkeypatch.setattr(panel, "_make_rows", lambda: made.append(1))
    panel._remake_at = 0.0
    panel.changed(Change.state | Change.clock)
    assert not made


def test_each_row_of_a_session_that_is_over_is_zoomed() -> None:
    session = Session("A:\nB: A\nC: B")
    for _ in range(3):
        session.dispatch()
        session.wait(20)
        session.succeed(*session.live())
    session.close()
    panel = shown(session)
    lines(panel)
    for zoom in (panel.zoom_in, panel.zoom_in, panel.zoom_out):
        zoom()
        drawn = lines(panel)
        panel._drawn_rows.clear()
        assert drawn == lines(panel)


def busy(rounds: int) -> Session:
    """Two agents that have run so many tickets each, and have as many before them."""
    text = "\n".join(f"T{n}: estimate=1m" for n in range(4 * rounds))
    session = Session(plan(text, agents={"agent": AgentType(max=2)}, parallel=2), checks=False)
    for _ in range(rounds):
        session.dispatch()
        session.wait(50)
        session.succeed(*session.live())
        session.wait(10)
    session.dispatch()
    session.wait(20)
    return session


def test_a_tick_makes_as_many_bars_after_a_long_time_as_after_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    made: list[Bar] = []

    def noted(*args: Any, **more: Any) -> Bar:
        made.append(bar := Bar(*args, **more))
        return bar

    monkeypatch.setattr(timeline_bars, "Bar", noted)
    counts = []
    for rounds in (10, 100):
        session = busy(rounds)
        panel = shown(session)
        lines(panel)
        session.wait(1)
        made.clear()
        panel._draw_at = 0.0
        panel.changed(Change.clock)
        lines(panel)
        counts.append(len(made))
    assert counts[1] <= counts[0] + 2, counts


@pytest.mark.parametrize("session", [retried(), busy(4)])
def test_the_bar_under_the_cursor_is_found_among_all_of_an_agent(session: Session) -> None:
    panel = shown(session)
    bars = panel._bars
    assert bars is not None
    for agent in session.state.agents:
        all_ = bars.of_agent(agent)
        for moment in (0.0, *(at for bar in all_ for at in (bar.start - 1, bar.start, bar.end)), 1e9):
            begun = [bar for bar in all_ if bar.start <= moment]
            assert bars.on_agent_at(agent, moment) == (begun[-1] if begun else all_[0])
        for id_ in session.state.tickets:
            assert bars.of_ticket_on(agent, id_) == [bar for bar in all_ if bar.ticket == id_]


@pytest.mark.asyncio
async def test_a_large_screen_is_filled() -> None:
    async with run_app("timeline", size=(200, 50), ticket="core") as ui:
        await ui.press("z")
        await ui.until(lambda: ui.panel.size.height > 40, "it is alone")
        rows = [line for line in ui.text_of("timeline").splitlines()[2:] if "█" in line or "░" in line]
        assert len(rows) > 30


def made(session: Session) -> TimelinePanel:
    session.dispatch()
    session.wait(60)
    return panel_of(TimelinePanel, view_of(session), 80, 10)


def test_another_selection_size_or_zoom_predicts_nothing_anew(predictions: list[SessionState]) -> None:
    panel = made(Session("A: estimate=2m\nB: A estimate=1m"))
    assert len(predictions) == 1
    panel.view.selected = "B"
    panel.changed(Change.selection)
    panel.changed(Change.appearance)
    panel.zoom_in()
    panel.changed(Change.state | Change.clock)
    assert len(predictions) == 1
    panel.view.live = Session(plan("A:\nC: A")).state
    panel.changed(Change.state | Change.appearance)
    assert len(predictions) == 2, "it is another session that is shown"


def test_what_came_too_soon_after_a_prediction_is_drawn_later(
    predictions: list[SessionState], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session("A: estimate=2m\nB: A estimate=1m")
    panel = made(session)
    later: list[float] = []
    monkeypatch.setattr(panel, "check_again_in", later.append)
    session.succeed("A")
    panel.changed(Change.state)
    assert len(predictions) == 1
    assert later
    monkeypatch.setattr("time.monotonic", lambda: 100.0 + later[-1])
    panel.changed(Change.state)
    assert len(predictions) == 2
