"""What other sizes of the pool, fewer limits and better estimates would do to a plan."""

from random import Random

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.predict.optimising import Curve, Saving, curves, proposal, savings, wrong_estimates
from parexec_tui.core.schedule.problem import problem_of
from parexec_tui.core.state.history import TicketHistory
from tests.core.sessions import Session, plan

FOUR = "A: estimate=10s\nB: estimate=10s\nC: estimate=10s\nD: estimate=10s"


def drawing() -> Random:
    return Random(1)


def curves_of(made: Plan) -> dict[str, Curve]:
    session = Session(made)
    return {curve.type: curve for curve in curves(session.state, session.now, drawing)}


def savings_of(text: str, parallel: int = 4, best: float | None = None) -> list[Saving]:
    session = Session(plan(text, parallel=parallel, resources={"gpu": 1}))
    problem = problem_of(session.state, session.now)
    assert problem is not None
    return savings(problem, drawing, best)


def test_a_curve_says_what_each_size_takes_and_costs_and_where_more_is_hardly_worth_it() -> None:
    (curve,) = curves_of(plan(FOUR, parallel=2)).values()
    assert [(size.agents, size.seconds, size.cost) for size in curve.sizes] == [
        (1, 40.0, 40.0),
        (2, 20.0, 40.0),
        (3, 20.0, 60.0),
        (4, 10.0, 40.0),
        (5, 10.0, 50.0),
        (6, 10.0, 60.0),
    ]
    assert (curve.current, curve.knee) == (2, 4)


def test_agents_that_are_added_have_slots_of_their_own_and_a_type_keeps_its_fewest() -> None:
    found = curves_of(plan(FOUR, parallel=2, agents={"x": AgentType(max=2, min=2)}))
    assert list(found) == ["x", ""]
    assert [(size.agents, size.parallel, size.seconds) for size in found["x"].sizes[:3]] == [
        (2, 2, 20.0),
        (3, 3, 20.0),
        (4, 4, 10.0),
    ]
    assert {size.seconds for size in found[""].sizes if size.agents > 1} == {20.0}, "there are two agents"


def test_a_large_pool_is_not_looked_at_size_by_size() -> None:
    (curve,) = curves_of(plan(FOUR, parallel=100)).values()
    sizes = [size.agents for size in curve.sizes]
    assert sizes[:4] == [1, 2, 3, 4]
    assert {98, 99, 100, 101} < set(sizes)
    assert len(sizes) < 25
    assert curve.knee == 4


@pytest.mark.parametrize(
    ("text", "kind", "name", "saved"),
    [
        ("A: estimate=10s locks=db\nB: estimate=10s locks=db\nC: estimate=5s", "lock", "db", 10.0),
        ("A: estimate=10s uses=gpu:1\nB: estimate=10s uses=gpu:1", "resource", "gpu", 10.0),
        ("A: estimate=10s writes=out\nB: estimate=5s reads=out/b", "files", "", 5.0),
        ("A: estimate=10s\nB: A estimate=5s", "needs", "B needs A", 5.0),
    ],
)
def test_what_a_limit_costs_is_what_a_good_order_gains_without_it(
    text: str, kind: str, name: str, saved: float
) -> None:
    (found,) = savings_of(text)
    whole = 20.0 if kind in ("lock", "resource") else 15.0
    assert (found.kind, found.name, found.seconds) == (kind, name, saved)
    assert found.share == pytest.approx(saved / whole, abs=1e-4)


def test_limits_that_cost_nothing_are_not_told() -> None:
    assert savings_of("A: estimate=10s\nB: estimate=5s locks=db\nC: estimate=5s locks=db") == []
    assert [found.kind for found in savings_of(FOUR, parallel=2)] == ["parallel"]
    assert savings_of(FOUR, parallel=2, best=10.0) == [], "a longer search has found that it can be done in 10 s"


def test_what_is_proposed_is_faster_or_cheaper_than_the_pool_that_there_is() -> None:
    def proposed(parallel: int, agents: dict[str, AgentType]) -> tuple[object, ...] | None:
        session = Session(plan(FOUR, parallel=parallel, agents=agents))
        found = list(curves(session.state, session.now, drawing))
        said = proposal(session.state, found, session.now, drawing)
        if said is None:
            return None
        return said.agents, said.parallel, said.seconds_before, said.seconds

    assert proposed(2, {"x": AgentType()}) == ({}, 4, 20.0, 10.0)
    assert proposed(2, {"x": AgentType(max=2)}) == ({"x": 4}, 4, 20.0, 10.0)
    assert proposed(8, {"x": AgentType(max=8)}) == ({"x": 4}, 4, 10.0, 10.0)
    assert proposed(4, {"x": AgentType()}) is None


def test_an_estimate_is_wrong_by_a_quarter_and_more_than_a_second() -> None:
    session = Session(plan("A: estimate=100s\nB: estimate=2s\nC:\nD: estimate=10s\nE: estimate=0s\nF: estimate=5s"))
    took = {"A": 110.0, "B": 2.9, "C": 7.0, "D": 30.0, "E": 3.0}
    history = {id_: TicketHistory(seconds, seconds, runs=3) for id_, seconds in took.items()}
    found = wrong_estimates(session.state, history)
    assert [(each.ticket, each.estimate, each.p50) for each in found] == [
        ("D", 10.0, 30.0),
        ("E", 0.0, 3.0),
        ("C", None, 7.0),
    ]
