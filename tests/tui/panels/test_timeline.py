"""The timeline: when predictions are made again, since that costs O(plan)."""

import pytest

from parexec_tui.core.state.session import SessionState
from parexec_tui.tui.drawing.predict import predict
from parexec_tui.tui.panels import timeline
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import panel_of, view_of


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> list[SessionState]:
    """The sessions for which predictions were made, one after another. The clock stands still."""
    found: list[SessionState] = []

    def predicted(state: SessionState, *args: float, **more: object) -> object:
        found.append(state)
        return predict(state, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(timeline, "predict", predicted)
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    return found


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
    panel.move_across(-1)
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
