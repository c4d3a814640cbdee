"""How good the ETA of a session was."""

import pytest

from parexec_tui.core.schedule.eta import EtaAccuracy, eta_accuracy
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def of_100_seconds(*looks: tuple[float, float, float]) -> Session:
    """A session that takes so long, with what the ETA says after some seconds: p50 and p90."""
    session = Session(plan("A:\nB: A", parallel=1))
    session.dispatch()
    began = session.now
    for at, p50, p90 in looks:
        session.now = began + at
        session.tell(rq.EtaFound(p50, p90))
    return session


def finish(session: Session, after: float = 100) -> None:
    for _ in range(2):
        session.dispatch()
        session.now = session.state.opened_at + after
        session.succeed(*session.state.live)
    session.close()


def test_it_is_told_once_the_session_is_over() -> None:
    session = of_100_seconds((20, 100, 120), (48, 26, 60), (55, 90, 95), (80, 10, 15))
    assert eta_accuracy(session.state) is None
    finish(session)
    assert eta_accuracy(session.state) == EtaAccuracy(half_error=0.5, error=0.5625, covered=0.75, looks=4)


def test_the_first_and_the_last_tenth_of_the_way_do_not_count() -> None:
    session = of_100_seconds((5, 1, 2), (30, 70, 70), (95, 500, 900))
    finish(session)
    assert eta_accuracy(session.state) == EtaAccuracy(half_error=None, error=0.0, covered=1.0, looks=1)
    short = of_100_seconds()
    finish(short)
    assert eta_accuracy(short.state) is None


def test_what_was_said_before_a_person_acted_does_not_count() -> None:
    session = of_100_seconds((30, 900, 900), (40, 900, 900))
    session.act(rq.Hold(tickets=("B",)))
    assert session.state.eta_told == []
    session.wait(10)
    session.act(rq.Release(tickets=("B",)))
    session.wait(25)
    session.tell(rq.EtaFound(25, 26))
    finish(session)
    assert eta_accuracy(session.state) == EtaAccuracy(half_error=0.0, error=0.0, covered=1.0, looks=1)


@pytest.mark.parametrize("reason", ["drained", ""])
def test_the_time_without_an_engine_does_not_count(reason: str) -> None:
    session = of_100_seconds((30, 900, 900))
    if reason:
        session.apply(ev.EngineLeft(at=session.now, reason=reason))
    session.resume()
    session.wait(35)
    session.tell(rq.EtaFound(35, 35))
    finish(session)
    found = eta_accuracy(session.state)
    assert found is not None
    assert found.looks == (1 if reason else 2), "an engine that is restarted at once changes nothing"


def test_nothing_is_kept_once_it_is_over() -> None:
    session = of_100_seconds()
    finish(session)
    assert session.tell(rq.EtaFound(1, 2)) == []
