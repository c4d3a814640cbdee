"""Conversations of coding agents: which one is known, and what it has used."""

from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from tests.core.coding import coding_session


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
