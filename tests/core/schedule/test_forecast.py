"""How long it will take, told of sessions that a test drives by hand."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.schedule.doubt import TOGETHER, doubt_of
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import Forecast, Told, eta, left_as_told, no_eta_reason
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.history import Run, TicketHistory, summaries
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.wire import requests as rq
from tests.benchmarks.eta_accuracy import COVERAGE, ERROR, SHAPES, figures, run
from tests.core.sessions import Session, plan

# -- a ticket --------------------------------------------------------------------------------------------------


def test_the_estimate_goes_before_history_and_that_before_what_tickets_took_here() -> None:
    session = Session("A:\nB:\nC: estimate=3s\nD: A")
    session.dispatch()
    session.wait(7)
    session.succeed("A")
    session.learn(B=5, C=5)
    forecast = Forecast(session.state)
    assert [forecast.takes(session[id_]) for id_ in "BCD"] == [5, 3, 7]


def about(found: Eta | None) -> float:
    """p50, where nothing has shown that what is expected is right."""
    assert found is not None
    assert found.p90 == pytest.approx(exp(1.2816 * TOGETHER) * found.p50, rel=0.03)
    return round(found.p50 / 1.00125)


def test_of_what_nothing_is_known_it_is_what_is_known_of_others() -> None:
    session = Session("A:\nB: estimate=3s\nC: estimate=4s")
    assert Forecast(session.state).takes(session["A"]) == 4
    assert Forecast(Session("A:").state).takes(session["A"]) is None


def test_before_others_those_of_its_family_tell() -> None:
    lines = [f"S{n}: family=shard" for n in range(3)] + [f"L{n}: family=lint" for n in range(3)] + ["A:"]
    session = Session(plan("\n".join(lines), parallel=7))
    session.dispatch()
    session.wait(5)
    session.succeed("L0")
    session.succeed("L1")
    session.wait(95)
    session.succeed("S0")
    forecast = Forecast(session.state)
    assert [forecast.takes(session[id_]) for id_ in ("S1", "L2", "A")] == [100, 5, 5]


def test_what_is_late_is_taken_to_be_half_way_through_its_delay() -> None:
    session = Session("A: estimate=10s\nB: A estimate=10s")
    session.dispatch()
    left = []
    for _ in range(4):
        left.append(Forecast(session.state).left(session["A"], session.now))
        session.wait(10)
    assert left == [10, 0, 10, 20]
    assert Forecast(session.state).left(session["B"], session.now) == 10


def test_what_was_foreseen_well_is_believed_more_but_a_few_do_not_tell_of_all() -> None:
    ids = [f"T{number}" for number in range(40)]
    session = Session(plan("\n".join(f"{id_}: estimate=10s" for id_ in ids), parallel=1), checks=False)
    shares = []
    for _ in range(20):
        found = eta(session.state, session.now)
        assert found is not None
        shares.append(found.p90 / found.p50 - 1)
        assert found.p50 == pytest.approx(10 * session.state.unfinished, rel=0.01)
        (id_,) = session.dispatch()
        session.wait(10)
        session.succeed(id_)
    assert shares == sorted(shares, reverse=True)
    assert shares[2] > 0.3, "two of forty"
    assert 0.2 < shares[-1] < 0.3


def test_what_was_off_says_by_what_the_rest_is_off() -> None:
    session = Session(plan("\n".join(f"T{number}: estimate=10s" for number in range(20)), parallel=1), checks=False)
    for _ in range(10):
        (id_,) = session.dispatch()
        session.wait(20)
        session.succeed(id_)
    found = eta(session.state, session.now)
    assert found is not None
    assert 155 < found.p50 < 200 < found.p90 < 250


def test_one_that_is_far_off_says_little_of_the_rest() -> None:
    session = Session(plan("A: estimate=400s\n" + "\n".join(f"T{n}: estimate=10s" for n in range(20)), parallel=1))
    session.dispatch()
    session.wait(1)
    session.succeed("A")
    found = eta(session.state, session.now)
    assert found is not None
    assert 170 < found.p50 < 210


@pytest.mark.parametrize("count", [1, 2, 30, 5000])
@pytest.mark.parametrize("error", [0.0, 0.5, -9.0])
def test_doubt_is_never_gone_and_never_more_than_before_any_ran(count: int, error: float) -> None:
    found = doubt_of([error] * count)
    assert 0.1 < found.together < TOGETHER
    assert abs(found.bias) <= abs(error)
    assert 0 < found.alone <= 0.5


def test_two_earlier_runs_are_believed_more_than_an_estimate() -> None:
    session = Session(plan("A: estimate=100s\nB: A estimate=100s", parallel=1))
    session.tell(rq.HistoryRead(summaries({id_: [Run(30.0), Run(30.1), Run(29.9)] for id_ in "AB"})))
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 == pytest.approx(60, rel=0.01)


# -- a session -------------------------------------------------------------------------------------------------


def test_history_tells_before_anything_ran() -> None:
    session = Session(plan("A:\nB: A\nC: B", parallel=4))
    assert eta(session.state, session.now) is None
    session.learn(A=10, B=20, C=30)
    assert about(eta(session.state, session.now)) == 60, "a single run tells nothing of the next"
    known = {id_: TicketHistory(p50=took, p90=took, sigma=0.3) for id_, took in (("A", 10), ("B", 20), ("C", 30))}
    session = Session(plan("A:\nB: A\nC: B", parallel=4))
    session.tell(rq.HistoryRead(known))
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 == pytest.approx(60 * exp(0.3**2 / 2), abs=0.1), "the means, which long runs make more"
    assert 70 < found.p90 < 100


def test_many_tickets_that_history_knows_vary_less_together_than_each() -> None:
    ids = [f"T{number}" for number in range(400)]
    session = Session(plan("\n".join(f"{id_}:" for id_ in ids), parallel=2))
    session.tell(rq.HistoryRead(dict.fromkeys(ids, TicketHistory(p50=10, p90=15, sigma=0.3))))
    found = eta(session.state, session.now)
    assert found is not None
    assert 1.01 < found.p90 / found.p50 < 1.05


def test_a_run_that_history_knows_takes_what_such_runs_took_from_there_on() -> None:
    session = Session(plan("A:", parallel=1))
    session.tell(rq.HistoryRead({"A": TicketHistory(p50=100, p90=150, sigma=0.3)}))
    session.dispatch()
    left = []
    for _ in range(4):
        found = eta(session.state, session.now)
        assert found is not None
        left.append(found.p50)
        session.wait(60)
    assert left[0] > left[1] > 20, "it seldom ends at once when it is as old as half of them become"
    assert all(0 < each < 120 for each in left)


def test_with_history_it_is_as_good_as_promised() -> None:
    found = figures([run(shape, seed) for shape in SHAPES for seed in range(5)])
    assert found.error <= ERROR
    assert COVERAGE[0] <= found.covered <= COVERAGE[1]


def test_what_still_runs_does_not_end_in_no_time_because_others_were_quick() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.wait(1)
    session.succeed("A")
    session.wait(600)
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 >= 600 / session.state.parallel


def test_many_of_which_nothing_is_known_take_their_mean_not_their_slowest() -> None:
    session = Session(plan("\n".join(f"T{n}:" for n in range(110)), parallel=1))
    for number in range(10):
        (id_,) = session.dispatch()
        session.wait(100 if number == 9 else 1)
        session.succeed(id_)
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 == 100
    mean, deviation = 10.9, 29.7
    assert found.p90 == pytest.approx(100 * mean + 1.2816 * deviation * 10, rel=0.01)


@given(
    took=st.lists(st.floats(0, 1000), min_size=1, max_size=8),
    left=st.integers(1, 8),
    estimate=st.none() | st.integers(0, 1000),
    runs_for=st.floats(0, 1000),
)
def test_nine_times_in_ten_is_never_sooner_than_as_likely_as_not(
    took: list[float], left: int, estimate: int | None, runs_for: float
) -> None:
    known = "" if estimate is None else f" estimate={estimate}s"
    ids = [f"T{number}" for number in range(len(took) + left)]
    session = Session(plan("\n".join(f"{id_}:{known if at % 2 else ''}" for at, id_ in enumerate(ids)), parallel=1))
    for seconds in took:
        (id_,) = session.dispatch()
        session.wait(seconds)
        session.succeed(id_)
    session.dispatch()
    session.wait(runs_for)
    found = eta(session.state, session.now)
    assert found is not None
    assert 0 <= found.p50 <= found.p90


def test_there_is_no_eta_until_something_tells_how_long_tickets_take() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    assert eta(session.state, session.now) is None
    session.wait(10)
    session.succeed("A")
    assert eta(session.state, session.now) == Eta(10.0, 10.0)


def test_estimates_tell_before_anything_ran() -> None:
    session = Session(plan("A: estimate=100s\nB: estimate=100s\nC: estimate=100s\nD: estimate=100s", parallel=2))
    assert about(eta(session.state, session.now)) == 200
    session.dispatch()
    session.wait(40)
    assert about(eta(session.state, session.now)) == 160


def test_a_chain_takes_its_length_however_many_agents_there_are() -> None:
    session = Session(plan("A: estimate=10s\nB: A estimate=20s\nC: B estimate=30s", parallel=8))
    assert about(eta(session.state, session.now)) == 60


def test_a_chain_without_estimates_counts_in_what_tickets_took() -> None:
    session = Session(plan("A:\nB: A\nC: B\nD: C", parallel=8))
    session.dispatch()
    session.wait(7)
    session.succeed("A")
    assert eta(session.state, session.now) == Eta(21.0, 21.0)


@pytest.mark.parametrize("request_", [rq.Hold(), rq.Drain(), rq.Stop()])
def test_there_is_no_eta_when_it_will_not_go_on(request_: rq.AnyRequest) -> None:
    session = Session("A: estimate=10s\nB: A estimate=10s")
    session.dispatch()
    assert eta(session.state, session.now) is not None
    session.ask(request_)
    assert eta(session.state, session.now) is None


def test_there_is_no_eta_when_it_is_over() -> None:
    session = Session("A: estimate=10s")
    session.dispatch()
    session.succeed("A")
    session.close()
    assert eta(session.state, session.now) is None


@pytest.mark.parametrize(
    "request_", [rq.Hold(tickets=("B",)), rq.Freeze(tickets=("A",)), rq.Hold(types=("agent",)), rq.Freeze()]
)
def test_no_end_is_told_while_something_waits_for_a_person(request_: rq.AnyRequest) -> None:
    session = Session("A: estimate=10s\nB: A estimate=10s\nC: estimate=10s locks=db\nD: estimate=10s locks=db")
    session.dispatch()
    assert eta(session.state, session.now) is not None
    session.act(request_)
    assert eta(session.state, session.now) is None


def with_one_agent(text: str) -> Session:
    session = Session(plan(text, agents={"agent": AgentType(max=1)}))
    session.dispatch()
    assert eta(session.state, session.now) is not None
    return session


@pytest.mark.parametrize("fields", ["A approve=before", "A approve=after"])
def test_no_end_is_told_while_a_ticket_for_which_none_waits_is_to_be_approved(fields: str) -> None:
    session = Session(plan(f"A:\nF: {fields}\nG: estimate=60s"))
    session.dispatch()
    session.wait(4)
    session.succeed("A")
    session.dispatch()
    session.succeed("F" if fields.endswith("after") else "G")
    assert eta(session.state, session.now) is None
    session.act(rq.Approve(tickets=("F",)))
    assert eta(session.state, session.now) is not None


def test_no_end_is_told_while_the_only_agent_for_what_is_left_is_held() -> None:
    session = with_one_agent("A: estimate=10s\nB: A estimate=10s")
    session.act(rq.Hold(agents=("agent-1",)))
    assert eta(session.state, session.now) is None, "B needs A, and waits for no agent yet"
    assert no_eta_reason(session.state) == "agent-1 held"
    session.act(rq.Release(agents=("agent-1",)))
    assert eta(session.state, session.now) is not None
    assert not no_eta_reason(session.state)


def test_a_held_agent_beside_one_that_can_do_all_changes_nothing() -> None:
    session = Session(plan("A: estimate=10s\nB: A estimate=10s\nC: estimate=10s", agents={"agent": AgentType(max=2)}))
    session.dispatch()
    session.act(rq.Hold(agents=("agent-1",)))
    assert not no_eta_reason(session.state)
    assert eta(session.state, session.now) is not None


def test_another_agent_takes_the_place_of_one_that_drains() -> None:
    session = with_one_agent("A: estimate=10s\nB: A estimate=10s")
    session.act(rq.Drain(agents=("agent-1",)))
    assert eta(session.state, session.now) is not None
    session.succeed("A")
    assert session.dispatch() == ["B"]
    assert session["B"].agent == "agent-2"


def test_no_end_is_told_while_the_host_is_short_or_the_engine_is_lost() -> None:
    session = Session("A: estimate=10s\nB: A estimate=10s")
    session.dispatch()
    for is_silent in (True, False):
        session.state.note_engine_lost(EngineLost(session.now, "", is_silent))
        assert eta(session.state, session.now) is None
    session.state.note_engine_lost(None)
    assert eta(session.state, session.now) is not None
    session.apply(ev.HostPressed(at=session.now, resource="disk", text="full"))
    assert eta(session.state, session.now) is None


def test_tickets_that_want_the_same_lock_count_one_after_another() -> None:
    session = Session(plan("\n".join(f"T{n}: estimate=10s locks=db" for n in range(4)), parallel=4))
    assert about(eta(session.state, session.now)) == 40
    session.dispatch()
    session.wait(4)
    assert about(eta(session.state, session.now)) == 36


def test_the_pause_before_the_next_try_counts() -> None:
    session = Session("A: estimate=10s retries=1 retry_delay=100s\nB: A estimate=10s")
    session.dispatch()
    session.fail("A")
    retry_at = session["A"].retry_at
    assert retry_at is not None
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 == pytest.approx(retry_at - session.now + 20, abs=0.1)


# -- what the output tells -------------------------------------------------------------------------------------


def test_what_the_output_tells_goes_before_the_estimate() -> None:
    session = Session("A: estimate=10s\nB: A estimate=20s")
    session.dispatch()
    session.wait(60)
    told = {"A": Told(0.4, session.now)}
    assert Forecast(session.state, told).left(session["A"], session.now) == pytest.approx(90)
    assert about(eta(session.state, session.now, told)) == 110
    assert about(eta(session.state, session.now)) == 70


def test_it_counts_down_from_when_it_was_told_and_is_late_when_all_of_it_has_passed() -> None:
    session = Session("A:")
    session.dispatch()
    session.wait(60)
    told = Told(0.4, session.now)
    left = []
    for _ in range(7):
        left.append(left_as_told(session["A"], told, session.now))
        session.wait(30)
    assert left == pytest.approx([90, 60, 45, 45, 45, 60, 90])


def test_time_in_which_it_is_frozen_does_not_count() -> None:
    session = Session("A:")
    session.dispatch()
    session.wait(60)
    told = Told(0.4, session.now)
    session.ask(rq.Freeze(tickets=("A",)))
    session.wait(1000)
    assert left_as_told(session["A"], told, session.now) == pytest.approx(90)


@pytest.mark.parametrize(("after", "share"), [(60, 0.01), (4, 0.5)])
def test_too_little_and_too_soon_says_nothing(after: float, share: float) -> None:
    session = Session("A: estimate=100s")
    session.dispatch()
    session.wait(after)
    told = {"A": Told(share, session.now)}
    assert left_as_told(session["A"], told["A"], session.now) is None
    assert Forecast(session.state, told).left(session["A"], session.now) == 100 - after


@given(share=st.floats(0.02, 1), took=st.floats(5, 1e5), more=st.floats(0, 1e5))
def test_no_less_than_half_of_what_was_left_when_it_was_told(share: float, took: float, more: float) -> None:
    session = Session("A:")
    session.dispatch()
    session.wait(took)
    told = Told(share, session.now)
    first = left_as_told(session["A"], told, session.now)
    session.wait(more)
    found = left_as_told(session["A"], told, session.now)
    assert first is not None
    assert found is not None
    assert found >= first / 2 - 1e-3


# -- what is done again ----------------------------------------------------------------------------------------


def test_what_succeeded_here_takes_as_long_again_and_what_depends_on_it_and_is_over_does_not_count() -> None:
    session = Session(plan("A:\nB: A\nC: B", parallel=1))
    for seconds in (50, 5, 500):
        (id_,) = session.dispatch()
        session.wait(seconds)
        session.succeed(id_)
    session.ask(rq.Retry(tickets=("A",)))
    assert about(eta(session.state, session.now)) == 50
    session.dispatch()
    session.wait(20)
    assert about(eta(session.state, session.now)) == 30


def test_where_nothing_succeeded_failed_attempts_tell_how_long_it_takes() -> None:
    session = Session(plan("A:\nB:", parallel=1))
    session.dispatch()
    session.wait(30)
    session.fail("A")
    session.ask(rq.Retry(tickets=("A",)))
    assert Forecast(session.state).takes(session["B"]) == 30
    found = eta(session.state, session.now)
    assert found is not None
    assert found.p50 == 60


def test_a_ticket_takes_at_least_as_long_as_it_took_to_fail() -> None:
    session = Session(plan("A:\nB:", parallel=1))
    session.dispatch()
    session.wait(2)
    session.succeed("A")
    session.dispatch()
    session.wait(30)
    session.fail("B")
    session.ask(rq.Retry(tickets=("B",)))
    assert Forecast(session.state).takes(session["B"]) == 30


# -- what limits it --------------------------------------------------------------------------------------------


def test_tickets_that_one_agent_type_runs_share_its_agents() -> None:
    agents = {"small": AgentType(), "big": AgentType(max=1)}
    tickets = "\n".join(f"T{n}: estimate=10s agent={'big' if n < 4 else 'small'}" for n in range(8))
    session = Session(plan(tickets, parallel=8, agents=agents))
    assert about(eta(session.state, session.now)) == 40


def test_tickets_that_use_a_counted_resource_run_as_many_at_once_as_there_is_of_it() -> None:
    tickets = "\n".join(f"T{n}: estimate=10s uses=gpu:2" for n in range(4))
    session = Session(plan(tickets, parallel=8, resources={"gpu": 4}))
    assert about(eta(session.state, session.now)) == 20
