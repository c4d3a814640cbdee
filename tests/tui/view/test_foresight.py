"""What the screen foresees of a session: few tickets at once, more in a thread, and not again and again."""

import time
from collections.abc import Mapping

from parexec_tui.core.predict.foreseen import MAX_LEFT, Foreseen
from parexec_tui.core.schedule.forecast import Told
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.drawing.predict import PredictedSpan
from parexec_tui.tui.view.foresight import Foresight, spans_of
from tests.core.sessions import Session, plan


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def nothing_told() -> Mapping[str, Told]:
    return {}


def look(foresight: Foresight, session: Session) -> Foreseen | None:
    return foresight.look(session.state, session.now, nothing_told)


def alike(count: int, parallel: int = 4) -> Session:
    session = Session(plan("\n".join(f"T{number}: estimate=10s" for number in range(count)), parallel=parallel))
    session.dispatch()
    return session


def test_few_tickets_are_simulated_at_once_and_what_a_person_does_counts_at_once() -> None:
    session, foresight = alike(8), Foresight(Clock())
    first = look(foresight, session)
    assert first is not None
    assert first.course.seconds == 20
    assert first.end is not None
    session.wait(1)
    assert look(foresight, session) is first, "it is kept"
    later, sooner = first.eta(session.now), first.eta(first.at)
    assert later is not None
    assert sooner is not None
    assert later.p50 == round(sooner.p50 - 1, 1)
    session.act(rq.Scale(most=8, by="ann"))
    session.dispatch()
    again = look(foresight, session)
    assert again is not None
    assert again.course.seconds == 10


def test_more_tickets_are_simulated_in_a_thread_while_the_screen_goes_on() -> None:
    session, foresight = alike(200), Foresight(Clock())
    assert look(foresight, session) is None
    give_up = time.monotonic() + 60
    while (found := look(foresight, session)) is None:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert found.course.seconds == 500


def test_it_is_simulated_again_after_a_while() -> None:
    clock = Clock()
    session, foresight = alike(8), Foresight(clock)
    first = look(foresight, session)
    clock.at = 1_000
    session.wait(5)
    second = look(foresight, session)
    assert first is not None
    assert second is not None
    assert second is not first
    assert second.course.seconds == 15


def test_many_tickets_are_not_simulated_and_another_session_is_another_matter() -> None:
    foresight = Foresight(Clock())
    assert look(foresight, alike(8)) is not None
    many = Session(plan("\n".join(f"T{number}:" for number in range(MAX_LEFT + 1))), checks=False)
    assert look(foresight, many) is None
    other = look(foresight, alike(4))
    assert other is not None
    assert other.course.seconds == 10


def test_no_end_is_foreseen_of_a_held_session_but_how_it_would_go_on() -> None:
    session, foresight = Session(plan("A: estimate=5s\nB: A estimate=5s")), Foresight(Clock())
    session.act(rq.Hold(by="ann"))
    found = look(foresight, session)
    assert found is not None
    assert (found.end, found.eta(0), found.course.seconds) == (None, None, 10)


def test_what_should_have_begun_begins_now_and_what_a_person_keeps_is_left_out() -> None:
    session, foresight = Session(plan("A: estimate=5s\nB: A estimate=5s\nC: estimate=5s\nD: C")), Foresight(Clock())
    session.act(rq.Hold(tickets=("C",), by="ann"))
    session.dispatch()
    found = look(foresight, session)
    assert found is not None
    at = session.now
    assert spans_of(found, session.state, at) == [
        PredictedSpan("A", "agent-1", at, at + 5),
        PredictedSpan("B", "agent-1", at + 5, at + 10),
    ]
    session.wait(7)
    session.succeed("A")
    assert spans_of(found, session.state, at + 7) == [PredictedSpan("B", "agent-1", at + 7, at + 12)]


def test_an_agent_that_is_still_to_be_started_has_no_name_yet() -> None:
    session, foresight = Session(plan("A: estimate=5s\nB: estimate=5s", parallel=2)), Foresight(Clock())
    found = look(foresight, session)
    assert found is not None
    assert [span.agent for span in spans_of(found, session.state, session.now)] == [None, None]
