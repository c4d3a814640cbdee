"""Makespans of samples by list scheduling, beside those of courses by the rules of a run."""

from random import Random

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.predict import prediction
from parexec_tui.core.predict.course import course_of
from parexec_tui.core.predict.guess import Guess
from parexec_tui.core.predict.ordering import find_order
from parexec_tui.core.predict.quick_samples import quick_makespans
from parexec_tui.core.state.copying import copy_to_go_on
from parexec_tui.core.state.session import SessionState
from tests.core.sessions import Session, plan

AGENTS = {"a": AgentType(max=3), "b": AgentType(max=3)}


def session_of(count: int) -> Session:
    random = Random(5)
    lines = []
    for number in range(count):
        words = [f"T{number}: estimate={random.randrange(5, 60)}s"]
        words += [f"T{need}" for need in random.sample(range(number), min(number, random.randrange(3)))]
        words += [f"agent={random.choice('ab')}"] * (random.random() < 0.6)
        words += [f"locks=l{random.randrange(6)}"] * (random.random() < 0.3)
        words += [f"writes=d{random.randrange(20)}/**"] * (random.random() < 0.3)
        words += [f"priority={random.choice(['low', 'high'])}"] * (random.random() < 0.3)
        lines.append(" ".join(words))
    return Session(plan("\n".join(lines), agents=AGENTS, parallel=6), checks=False)


def both(state: SessionState, now: float) -> list[tuple[float, float]]:
    guess = Guess(state, now)
    expected, drawn = guess.expected(), guess.samples(Random(1).random, 4)
    course = course_of(copy_to_go_on(state), expected, now)
    quick = quick_makespans(state, course, expected, drawn, now)
    assert quick is not None
    slow = [course_of(copy_to_go_on(state), each, now).seconds for each in drawn]
    return list(zip(quick, slow, strict=True))


@pytest.mark.parametrize("order", ["longest path", "found"])
def test_it_tells_what_courses_would_tell(order: str) -> None:
    session = session_of(150)
    if order == "found":
        assert find_order(session.state, Random(1), session.now) is not None
    session.dispatch()
    session.wait(3)
    for quick, slow in both(session.state, session.now):
        assert quick == pytest.approx(slow, rel=0.03)


def test_only_what_is_expected_is_a_course_of_a_large_session(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(prediction.LARGE)
    courses = []

    def counted(*args: object, **named: object) -> object:
        courses.append(args)
        return course_of(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(prediction, "course_of", counted)
    found = prediction.predict(session.state, session.now, Random(1).random)
    assert len(courses) == 1
    assert found.samples == 20
    assert found.expected < found.p90


def test_what_has_run_and_waits_for_approval_takes_no_more_time() -> None:
    session = Session(plan("A: estimate=100s approve=after\nB: A estimate=10s\nC: estimate=5s"))
    session.dispatch()
    session.wait(20)
    session.succeed("A", "C")
    for quick, slow in both(session.state, session.now):
        assert quick == pytest.approx(slow, rel=0.01)


def test_it_does_not_tell_if_tickets_would_not_end() -> None:
    session = session_of(20)
    expected = Guess(session.state, session.now).expected()
    course = course_of(copy_to_go_on(session.state), expected, session.now)
    kept = structs.replace(course, left=("T1",))
    assert quick_makespans(session.state, kept, expected, [expected], session.now) is None
