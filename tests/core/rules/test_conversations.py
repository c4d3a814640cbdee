"""Conversations of coding agents: which one is known, and what it has used."""

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.status import Status, StopReason
from parexec_tui.core.wire import requests as rq
from tests.core.coding import coding_session, says


def test_one_that_was_stopped_before_anybody_looked_is_known_with_what_it_used() -> None:
    session = coding_session("A:")
    session.dispatch()
    session.act(rq.Stop(by="ann"))
    session.spawned("A")
    session.tell(rq.ProcessEnded("A", 1, code=80, said=rq.Said("interrupted", session="c1", cost=0.5)))
    assert session.state.tickets["A"].status is Status.waiting
    known = coding_of(session.state, session.state.tickets["A"]).conversation
    assert known is not None
    assert known.id == "c1"
    assert known.used is not None
    assert known.used.cost == 0.5, "the next attempt, which goes on in it, is not charged for that again"


@pytest.mark.parametrize(
    ("why", "gates", "end", "then"),
    [
        ("timed out", "", "succeeded", Status.succeeded),
        ("timed out", "x", "succeeded", Status.validating),
        ("silent", "x", "succeeded", Status.validating),
        ("timed out", "", "interrupted", Status.failed),
        ("stopped", "", "succeeded", Status.succeeded),
        ("stopped", "x", "succeeded", Status.waiting),
        ("stopped", "x", "failed", Status.failed),
        ("cancelled", "", "succeeded", Status.cancelled),
    ],
)
def test_an_end_before_the_stop_counts(why: StopReason, gates: str, end: str, then: Status) -> None:
    session = coding_session(f"A:{f' gates={gates}' if gates else ''}")
    session.dispatch()
    session.apply(ev.AttemptStopRequested(at=session.now, ticket="A", attempt=1, why=why))
    says(session, "A", end, cost=0.5)
    assert session.state.tickets["A"].status is then
    used = coding_of(session.state, session.state.tickets["A"]).figures
    assert used is not None
    assert used.cost == 0.5


def test_figures_of_an_end_that_is_torn_are_no_last_word() -> None:
    session = coding_session("A:")
    session.dispatch()
    session.apply(ev.AttemptStopRequested(at=session.now, ticket="A", attempt=1, why="timed out"))
    says(session, "A", "succeeded", is_least=True)
    assert session.state.tickets["A"].status is Status.failed
