"""When what is done is folded: at once where a person waits for it, else at most once a second."""

import pytest

from parexec_tui.tui.drawing.graph.lanes import Lanes
from parexec_tui.tui.view.graph_folds import GraphFolds
from tests.core.sessions import Session


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A chain of six, of which four are done. The clock stands still."""
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    session = Session("A:\nB: A\nC: B\nD: C\nE: D\nF: E")
    for id_ in "ABCD":
        session.dispatch()
        session.succeed(id_)
    session.dispatch()
    return session


def test_it_is_folded_at_once_if_the_person_opens_a_fold_or_goes_to_what_is_in_one(session: Session) -> None:
    state, lanes, folds = session.state, Lanes(session.state.graph, session.state.groups), GraphFolds()
    assert folds.wait(state, lanes, "") == 0.0, "nothing is folded yet"
    folds.make(state, lanes, "")
    assert len(folds.folding) == 3
    assert folds.wait(state, lanes, "") is None
    assert folds.wait(state, lanes, "D") == 0.0, "it is in the fold"
    folds.open(folds.folding[0], lanes)
    assert folds.wait(state, lanes, "") == 0.0
    folds.make(state, lanes, "")
    assert len(folds.folding) == 6


def test_leaving_a_ticket_that_is_done_folds_nothing_at_once(session: Session) -> None:
    """A cursor that goes through what is done would make O(rows) at each key."""
    state, lanes, folds = session.state, Lanes(session.state.graph, session.state.groups), GraphFolds()
    folds.make(state, lanes, "D")
    assert [place.kind for place in map(folds.folding.__getitem__, range(len(folds.folding)))][:2] == [
        "fold",
        "ticket",
    ]
    assert folds.wait(state, lanes, "E") == 1.0
    assert folds.wait(state, lanes, "") == 1.0


def test_what_succeeds_is_folded_within_a_second(session: Session) -> None:
    state, lanes, folds = session.state, Lanes(session.state.graph, session.state.groups), GraphFolds()
    folds.make(state, lanes, "")
    session.succeed("E")
    assert folds.wait(state, lanes, "") == 1.0
