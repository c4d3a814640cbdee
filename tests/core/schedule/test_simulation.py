"""A session on a clock of its own: when it ends, under its limits and under others."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.predict.ordering import find_order
from parexec_tui.core.schedule.forecast import Forecast
from parexec_tui.core.schedule.simulation import Limit, Rest, Simulation
from tests.core.sessions import Session, plan


def course(session: Session, more: Limit | None = None) -> Rest | None:
    return Simulation(session.state, Forecast(session.state), session.now).rest(more)


@pytest.mark.parametrize(
    ("text", "parallel", "seconds", "at_once"),
    [
        ("A: estimate=5s\nB: estimate=3s", 4, 5, 2),
        ("A: estimate=5s\nB: estimate=3s", 1, 8, 1),
        ("A: estimate=5s\nB: A estimate=3s\nC: estimate=1s", 4, 8, 2),
        ("A: estimate=5s locks=x\nB: estimate=3s locks=x", 4, 8, 1),
        ("A: estimate=5s uses=gpu:1\nB: estimate=3s uses=gpu:2\nC: estimate=2s uses=gpu:1", 4, 8, 2),
        ("A: estimate=5s writes=out\nB: estimate=3s reads=out/b", 4, 8, 1),
        ("A: estimate=5s\nB: estimate=3s finally=true", 4, 8, 1),
        ("A: estimate=5s\nB: estimate=3s after=A", 4, 8, 1),
    ],
)
def test_a_session_ends_when_its_limits_let_it(text: str, parallel: int, seconds: float, at_once: int) -> None:
    session = Session(plan(text, parallel=parallel, resources={"gpu": 2}))
    assert course(session) == Rest(seconds, at_once, 0)


def test_what_runs_takes_what_is_left_of_it() -> None:
    session = Session(plan("A: estimate=5s\nB: A estimate=3s", parallel=2))
    session.dispatch()
    session.wait(4)
    assert course(session) == Rest(4.0, 0, 0)


def test_more_of_a_limit_lets_more_start() -> None:
    of = "A: estimate=4s locks=db\nB: estimate=4s locks=db\nC: estimate=4s uses=gpu:1\nD: estimate=4s uses=gpu:1"
    session = Session(plan(of, parallel=4, resources={"gpu": 1}, agents={"x": AgentType(max=4)}))
    assert course(session) == Rest(8.0, 2, 0)
    assert course(session, Limit("lock", "db")) == Rest(8.0, 3, 0)
    assert course(session, Limit("resource", "gpu")) == Rest(8.0, 3, 0)
    narrow = Session(plan(of, parallel=1, resources={"gpu": 1}))
    assert course(narrow, Limit("parallel")) == Rest(8.0, 2, 0)
    one_agent = Session(plan(of, parallel=4, resources={"gpu": 1}, agents={"x": AgentType(max=1)}))
    assert course(one_agent) == Rest(16.0, 1, 0)
    assert course(one_agent, Limit("agents", "x")) == Rest(8.0, 2, 0)


def test_nothing_is_said_while_nothing_tells_how_long_tickets_take() -> None:
    assert course(Session("A:\nB: A")) is None


def test_what_no_agent_is_left_for_never_starts() -> None:
    session = Session(plan("A: estimate=4s\nB: A estimate=1s", agents={"x": AgentType(max=0, min=0)}))
    assert course(session) == Rest(0.0, 0, 2)


_durations = st.lists(st.integers(1, 20), min_size=1, max_size=12)


@given(_durations, st.integers(1, 4), st.data())
def test_it_is_never_shorter_than_the_work_and_the_longest_chain_allow(
    durations: list[int], parallel: int, data: st.DataObject
) -> None:
    lines: list[str] = []
    chains: list[int] = []
    for number, seconds in enumerate(durations):
        need = data.draw(st.none() | st.integers(0, number - 1)) if number else None
        chains.append(seconds + (chains[need] if need is not None else 0))
        lines.append(f"T{number}: {'' if need is None else f'T{need}'} estimate={seconds}s")
    found = course(Session(plan("\n".join(lines), parallel=parallel)))
    assert found is not None
    assert found.left == 0
    assert found.seconds >= max(max(chains), sum(durations) / parallel) - 0.1
    assert found.seconds <= sum(durations)
    # Graham, 1966: any list schedule takes less than work / m + (1 - 1 / m) * longest chain.
    assert found.seconds <= sum(durations) / parallel + (1 - 1 / parallel) * max(chains) + 0.1


def test_what_goes_on_in_an_order_that_was_found_is_listed_by_it() -> None:
    """By the longest path it would take 7 s."""
    text = (
        "A: estimate=3s\nB: estimate=3s\nC: estimate=2s\nD: estimate=2s\nE: estimate=2s\nZ: estimate=1s finally=true"
    )
    session = Session(plan(text, parallel=2))
    assert course(session) == Rest(8.0, 2, 0)
    find_order(session.state, Random(1), session.now)
    assert course(session) == Rest(7.0, 2, 0)
    assert course(session, Limit("parallel")) == Rest(6.0, 3, 0)
