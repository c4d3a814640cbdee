"""What other sizes of the pool, fewer limits and better estimates would do to a plan."""

from random import Random
from typing import Any

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.predict.estimates import corrected, wrong_estimates
from parexec_tui.core.predict.optimising import Saving, savings
from parexec_tui.core.predict.pool_sizes import Curve, PoolSizes
from parexec_tui.core.schedule.problem import Problem, problem_of
from parexec_tui.core.state.history import TicketHistory
from tests.core.sessions import Session, plan

FOUR = "A: estimate=10s\nB: estimate=10s\nC: estimate=10s\nD: estimate=10s"


def drawing() -> Random:
    return Random(1)


def sizes_of(made: Plan) -> tuple[PoolSizes, Problem]:
    session = Session(made)
    problem = problem_of(session.state, session.now)
    assert problem is not None
    return PoolSizes(session.state, problem, drawing), problem


def curves_of(made: Plan) -> dict[str, Curve]:
    return {curve.type: curve for curve in sizes_of(made)[0].curves()}


def savings_of(text: str, parallel: int = 4, best: float | None = None, **settings: Any) -> list[Saving]:
    sizes, problem = sizes_of(plan(text, parallel=parallel, resources={"gpu": 1}, **settings))
    return savings(problem, list(sizes.curves()), drawing, best)


def test_a_curve_says_what_each_size_takes_and_costs_and_where_more_is_hardly_worth_it() -> None:
    (curve,) = curves_of(plan(FOUR, parallel=2)).values()
    assert [(size.agents, size.seconds, size.cost) for size in curve.sizes] == [
        (1, 40.0, 40.0),
        (2, 20.0, 40.0),
        (3, 20.0, 60.0),
        (4, 10.0, 40.0),
    ]
    assert (curve.current, curve.knee, curve.width, curve.unlimited) == (2, 4, 4, 10.0)


LONG_AND_SHORT = "L: estimate=1s\n" + "\n".join(f"S{number}: estimate=4s" for number in range(8))


@pytest.mark.parametrize("parallel", [1, 2, 8, 9, 40])
def test_where_more_is_hardly_worth_it_does_not_depend_on_what_there_is(parallel: int) -> None:
    (curve,) = curves_of(plan(LONG_AND_SHORT, parallel=parallel)).values()
    assert [(size.agents, size.seconds) for size in curve.sizes if size.agents in (5, 7, 8, 9)] == [
        (5, 8.0), (7, 8.0), (8, 5.0), (9, 4.0)
    ]  # fmt: skip
    assert (curve.knee, curve.width, curve.unlimited) == (9, 9, 4.0)
    typed = plan(LONG_AND_SHORT, parallel=parallel, agents={"x": AgentType(max=parallel)})
    assert curves_of(typed)["x"].knee == 9


def test_each_agent_of_a_type_has_its_slot_and_a_type_keeps_its_fewest() -> None:
    found = curves_of(plan(FOUR, parallel=2, agents={"x": AgentType(max=2, min=2)}))
    assert list(found) == ["x", ""]
    assert [(size.agents, size.parallel, size.seconds) for size in found["x"].sizes] == [
        (2, 2, 20.0),
        (3, 3, 20.0),
        (4, 4, 10.0),
    ]
    assert {size.seconds for size in found[""].sizes if size.agents > 1} == {20.0}, "there are two agents"


def test_fewer_agents_cost_less_although_others_could_have_their_slots() -> None:
    two = "\n".join(f"A{number}: estimate=10s agent=a\nB{number}: estimate=10s" for number in range(8))
    found = curves_of(plan(two, parallel=8, agents={"a": AgentType(max=4), "b": AgentType()}))["a"]
    rows = {size.agents: (size.parallel, size.cost / size.seconds) for size in found.sizes}
    assert [rows[agents] for agents in (2, 3, 4, 5)] == [(6, 6.0), (7, 7.0), (8, 8.0), (9, 9.0)]


def test_a_wide_plan_is_not_looked_at_size_by_size_but_for_the_knee() -> None:
    text = "\n".join(f"T{number}: estimate=10s" for number in range(200))
    (curve,) = curves_of(plan(text, parallel=8)).values()
    sizes = [size.agents for size in curve.sizes]
    assert sizes[:4] == [1, 2, 3, 4]
    assert (sizes[-1], curve.knee, curve.unlimited) == (200, 200, 10.0)
    assert len(sizes) < 35
    (curve,) = curves_of(plan(f"{text}\nL: estimate=100s", parallel=100)).values()
    assert (curve.knee, curve.unlimited) == (21, 100.0), "twenty beside the long one"


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


@pytest.mark.parametrize("parallel", [2, 4])
def test_no_limit_of_a_type_saves_at_least_what_one_agent_more_does(parallel: int) -> None:
    agents = {"a": AgentType(max=2), "b": AgentType(max=2)}
    two = "\n".join(
        f"A{n}: estimate=10s agent=a\nB{n}: estimate=10s agent=b\nC{n}: estimate=10s agent=b" for n in range(3)
    )
    made = plan(two, parallel=parallel, agents=agents)
    saved = {each.name: each.seconds for each in savings_of(two, parallel=parallel, agents=agents)}
    for type_, curve in curves_of(made).items():
        current, more = (next(each for each in curve.sizes if each.agents == curve.current + add) for add in (0, 1))
        assert saved.get(type_, 0.0) >= current.seconds - more.seconds
    assert saved["b"] > 0


def test_what_is_proposed_is_faster_or_cheaper_than_the_pool_that_there_is() -> None:
    def proposed(parallel: int, agents: dict[str, AgentType], text: str = FOUR) -> tuple[object, ...] | None:
        sizes, _ = sizes_of(plan(text, parallel=parallel, agents=agents))
        said = sizes.proposal(list(sizes.curves()))
        if said is None:
            return None
        return said.agents, said.parallel, said.seconds_before, said.seconds

    assert proposed(2, {"x": AgentType()}) == ({}, 4, 20.0, 10.0)
    assert proposed(2, {"x": AgentType(max=2)}) == ({"x": 4}, 4, 20.0, 10.0)
    assert proposed(8, {"x": AgentType(max=8)}) == ({}, 4, 10.0, 10.0)
    assert proposed(4, {"x": AgentType()}) is None
    assert proposed(2, {"x": AgentType()}, LONG_AND_SHORT) == ({}, 9, 17.0, 4.0)
    wide = "\n".join(f"T{number}: estimate=10s" for number in range(60))
    assert proposed(3, {"x": AgentType()}, wide) == ({}, 12, 200.0, 50.0)
    assert proposed(15, {"x": AgentType()}, wide) == ({}, 30, 40.0, 20.0)


def test_an_estimate_is_wrong_by_a_quarter_and_more_than_a_second() -> None:
    made = plan("A: estimate=100s\nB: estimate=2s\nC:\nD: estimate=10s\nE: estimate=0s\nF: estimate=5s")
    took = {"A": 110.0, "B": 2.9, "C": 7.0, "D": 30.0, "E": 3.0}
    history = {id_: TicketHistory(seconds, seconds, runs=3) for id_, seconds in took.items()}
    found = wrong_estimates(made, history)
    assert [(each.ticket, each.estimate, each.p50) for each in found] == [
        ("D", 10.0, 30.0),
        ("E", 0.0, 3.0),
        ("C", None, 7.0),
    ]
    better = corrected(made, history)
    assert {id_: ticket.estimate for id_, ticket in better.tickets.items()} == {**took, "F": 5.0}
    assert wrong_estimates(better, history) == []
