"""When a session will be over: quantiles, bounds, what is busy, and what would be if it were changed."""

from random import Random

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.predict.guess import Known
from parexec_tui.core.predict.prediction import Prediction, predict
from parexec_tui.core.predict.what_if import changed
from parexec_tui.core.schedule.bounds import Bound
from parexec_tui.core.state.history import Run, TicketHistory, summaries
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from tests.benchmarks.eta_accuracy import SHAPES, run, simulated
from tests.core.sessions import Session, plan


def predicted(session: Session, seed: int = 1, samples: int | None = None) -> Prediction:
    return predict(session.state, session.now, Random(seed).random, samples=samples)


def test_the_bound_that_binds_comes_first() -> None:
    agents = {"x": AgentType(max=2), "y": AgentType(max=8)}
    of = "\n".join(f"T{number}: agent=x estimate=10s" for number in range(8))
    session = Session(plan(f"{of}\nA: agent=y estimate=20s locks=db\nB: agent=y A estimate=5s", agents=agents))
    found = predicted(session)
    assert found.bounds[0] == Bound("agents", "x", 40.0)
    assert {(bound.kind, bound.name): bound.seconds for bound in found.bounds[1:]} == {
        ("parallel", ""): 26.25,
        ("path", ""): 25.0,
        ("lock", "db"): 20.0,
        ("agents", ""): 10.5,
        ("agents", "y"): 3.125,
    }
    assert found.expected == 40.0
    uses = {(use.kind, use.name): use.share for use in found.uses}
    assert uses == {
        ("parallel", ""): 0.6562,
        ("agents", "x"): 1.0,
        ("agents", "y"): 0.0781,
        ("lock", "db"): 0.5,
    }


def test_samples_are_the_same_for_the_same_seed_and_spread_as_what_ran_here() -> None:
    of = "\n".join(f"T{number}: estimate=10s" for number in range(30))
    session = Session(plan(of, parallel=3), checks=False)
    one, again, other = predicted(session), predicted(session), predicted(session, seed=2)
    assert (one.p50, one.p90, one.samples) == (again.p50, again.p90, 40)
    assert (one.p50, one.p90) != (other.p50, other.p90)
    assert one.expected == 100
    assert 95 < one.p50 < 105 < 140 < one.p90 < 160
    spread = []
    for _ in range(8):  # all take just what is expected
        spread.append(predicted(session))
        assert spread[-1].p50 == pytest.approx(spread[-1].expected, rel=0.05)
        ids = session.dispatch()
        session.wait(10)
        session.succeed(*ids)
    shares = [each.p90 / each.p50 for each in spread]
    assert shares == sorted(shares, reverse=True)
    assert shares[1] > 1.3, "three of thirty do not tell of all"
    assert shares[-1] < 1.3


def test_the_spread_of_a_ticket_is_that_of_its_earlier_runs() -> None:
    session = Session(plan("A: estimate=100s", parallel=1))
    spread = predicted(session)
    session.tell(rq.HistoryRead({"A": TicketHistory(p50=90, p90=91, sigma=0.01, runs=20)}))
    sure = predicted(session)
    assert sure.expected == spread.expected == 100
    assert 88 < sure.p50 < sure.p90 < 94, "by twenty runs, which are believed more than the estimate"
    assert spread.p90 > 120


def test_what_earlier_sessions_always_took_is_what_it_takes() -> None:
    """Eight run at once, and the ninth after the first of them: 5.1 s, four times."""
    session = Session(plan("\n".join(f"T{number}:" for number in range(9)), parallel=8), checks=False)
    runs = {
        f"T{number}": [Run(1.01 if number == 0 else 4.04 + 0.004 * run) for run in range(4)] for number in range(9)
    }
    session.tell(rq.HistoryRead(summaries(runs)))
    found = predicted(session)
    assert found.expected == pytest.approx(5.06, abs=0.02)
    assert found.p50 == pytest.approx(found.expected, rel=0.02)
    assert 5.1 < found.p90 < 5.4


@pytest.mark.parametrize("known", ["exact", "agree"])
@pytest.mark.parametrize("shape", SHAPES)
def test_where_all_takes_what_is_expected_so_does_the_session(shape: str, known: str) -> None:
    """The number that is shown first, from the start on, as an engine finds it."""
    said = run(shape, 1, known, simulated, looks=2)
    assert [each.p50 for each in said] == pytest.approx([each.left for each in said], rel=0.1)
    assert all(each.left <= each.p90 * 1.01 for each in said)


def test_tickets_of_which_nothing_is_known_take_what_others_took_here() -> None:
    session = Session(plan("\n".join(f"T{number}:" for number in range(40)), parallel=1), checks=False)
    for seconds in (2, 2, 2, 2, 30, 30):
        ids = session.dispatch()
        session.wait(seconds)
        session.succeed(*ids)
    found = predicted(session)
    assert found.known == Known(assumed=34, usual=2)
    assert found.expected == 68
    assert 200 < found.p50 < found.p90 < 600  # a third of them took 30 s


def test_it_is_said_what_tells_how_long_tickets_take() -> None:
    session = Session(plan("A: estimate=5s\nB:\nC:\nD: C"))
    assert predicted(session).known == Known(estimated=1, assumed=3, usual=5)
    session.learn(B=3)
    assert predicted(session).known == Known(estimated=1, learned=1, assumed=2, usual=5)
    assert predicted(Session("A:\nB: A")).known == Known(assumed=2, usual=60, is_default=True)
    assert predicted(Session("A:\nB: A")).expected == 120


def test_a_few_samples_say_nearly_the_same() -> None:
    session = Session(plan("\n".join(f"T{number}: estimate=10s" for number in range(100)), parallel=9), checks=False)
    many, few = predicted(session), predicted(session, samples=8)
    assert (many.samples, few.samples) == (40, 8)
    assert few.p50 == pytest.approx(many.p50, rel=0.05)
    assert few.p90 == pytest.approx(many.p90, rel=0.05)


def test_what_would_be_if_something_were_changed() -> None:
    session = Session(plan("A: estimate=5s\nB: estimate=5s", parallel=1, agents={"x": AgentType(max=1)}))
    state = changed(session.state, [rq.Scale(most=2, type="x"), rq.Scale(most=2)], session.now)
    assert isinstance(state, SessionState)
    assert predict(state, session.now, Random(1).random).expected == 5
    assert predicted(session).expected == 10
    assert isinstance(changed(session.state, [rq.Scale(most=0, type="x")], session.now), rq.Refusal)


def test_nothing_left_takes_no_time() -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")
    found = predicted(session)
    assert (found.expected, found.p50, found.p90, found.samples) == (0, 0, 0, 0)
