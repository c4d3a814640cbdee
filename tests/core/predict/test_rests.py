"""How long it takes while accounts rest: what waits for a reset begins after it."""

from random import Random

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.predict.course import Durations, course_of
from parexec_tui.core.predict.foreseen import foresee, turns
from parexec_tui.core.predict.prediction import predict
from parexec_tui.core.schedule.bounds import lower_bounds
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.prediction import prediction_lines
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session

HOUR = 3600.0
FEW = {"claude": coder(max=2)}
TWO_KINDS = {"claude": coder(max=2, fallback=("codex",)), "codex": coder("codex", max=1)}


def limited(text: str, agents: dict[str, AgentType] = FEW, hours: float = 5) -> Session:
    """The first ticket was limited, so its account rests for so many hours and a minute at most."""
    session = coding_session(text, agents=agents)
    first, *others = session.dispatch()
    before = turns(session.state)
    says(session, first, "limited", "You've hit your limit", until=session.now + hours * HOUR)
    assert turns(session.state) != before, "what was foreseen holds no more"
    for id_ in others:
        says(session, id_)
    return session


def told(session: Session) -> tuple[float, float, float, float]:
    """Hours until the end: in closed form and as foreseen, p50 and p90."""
    closed, foreseen = eta(session.state, session.now), foresee(session.state, session.now, Random(1).random).end
    assert closed is not None
    assert foreseen is not None
    return closed.p50 / HOUR, closed.p90 / HOUR, foreseen.p50 / HOUR, foreseen.p90 / HOUR


def test_all_that_is_left_begins_after_the_reset() -> None:
    session = limited("\n".join(f"T{n}: estimate=3600s" for n in range(4)))
    assert told(session) == pytest.approx((7, 7, 7, 7), abs=0.8), "three are left, two at once"
    rest = session.state.accounts["claude"].until - session.now
    left = dict.fromkeys(("T0", "T2", "T3"), HOUR)
    course = course_of(copy_of(session.state), Durations(left), session.now)
    assert course.seconds == pytest.approx(rest + 2 * HOUR)
    assert [span.start - session.now for span in course.spans] == pytest.approx([rest, rest, rest + HOUR])
    bounds = lower_bounds(session.state, left, session.now)
    assert course.seconds >= bounds[0].seconds >= rest + 1.5 * HOUR


def test_a_fallback_takes_it_meanwhile_until_it_rests_itself() -> None:
    session = limited("A: agent=claude estimate=60s", TWO_KINDS)
    assert max(told(session)) < 0.1
    session.dispatch()
    says(session, "A", "limited", until=session.now + HOUR)
    assert told(session) == pytest.approx((1, 1, 1, 1), abs=0.1)


def test_what_runs_elsewhere_longer_than_the_rest_is_what_counts() -> None:
    agents = {"claude": coder(max=1), "codex": coder("codex", max=1)}
    session = coding_session("A: agent=claude estimate=60s\nB: agent=codex estimate=7200s", agents=agents)
    session.dispatch()
    says(session, "A", "limited", until=session.now + HOUR)
    assert told(session) == pytest.approx((2, 2.5, 2, 2.5), abs=0.6)


def test_an_account_that_is_tried_delays_nothing() -> None:
    session = limited("A: estimate=60s\nB: estimate=60s")
    session.now = session.state.accounts["claude"].until
    session.tell(rq.RestElapsed("claude"))
    assert max(told(session)) < 0.1


def test_simulate_waits_for_the_reset_and_says_so() -> None:
    session = limited("A: estimate=60s\nB: estimate=60s")
    found = predict(session.state, session.now, Random(1).random)
    assert found.expected == pytest.approx(5 * HOUR + 60, abs=61)
    lines = list(prediction_lines(found, session.state))
    assert lines[1].startswith("claude limited until")
    assert lines[1].endswith("what waits for it begins after that")
    assert not any("costs about" in line for line in lines), "nothing tells what one costs"
    session.state.tally.of("claude").note_figures(Figures(cost=0.5))
    assert any(line.startswith("what is left costs about $0.50,") for line in prediction_lines(found, session.state))
