"""A session under a virtual clock: it goes on as the rules let it, and nobody else notices."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.predict.course import Course, Durations, course_of
from parexec_tui.core.predict.foreseen import foresee
from parexec_tui.core.schedule.bounds import lower_bounds
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.copying import copy_of, copy_to_go_on
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import OPENED_AT, Session, dump, plan
from tests.core.state.test_properties import plans, run, steps


def durations(state: SessionState) -> Durations:
    return Durations({id_: state.expected(ticket) or 7.0 for id_, ticket in state.tickets.items()}, usual=7.0)


def course(session: Session, *, resumes: bool = True) -> Course:
    return course_of(copy_of(session.state), durations(session.state), session.now, resumes=resumes)


def times(found: Course) -> dict[str, tuple[float, float]]:
    return {span.ticket: (span.start - found.began, span.end - found.began) for span in found.spans}


# --- What is true of every course ---


@settings(max_examples=40)
@given(plans())
def test_every_ticket_runs_once_within_all_limits_and_never_faster_than_its_bounds(of: Plan) -> None:
    session = Session(of, checks=False)
    state, takes = session.state, durations(session.state)
    found = course_of(copy_of(state), takes, session.now)
    assert sorted(span.ticket for span in found.spans) == sorted(state.tickets)
    assert found.left == ()
    check_limits(state, found)
    capped = {id_: min(seconds, 5.0) for id_, seconds in takes.whole.items()}  # the timeout of these plans
    of_gates = {id_: takes.whole[id_] for id_, ticket in state.tickets.items() if ticket.is_gates}
    for bound in lower_bounds(state, capped | of_gates, session.now):
        assert found.seconds >= bound.seconds - 1e-6, bound


def check_limits(state: SessionState, found: Course) -> None:
    """No two tickets have the same agent, or what they may not have together; nor are there too many at once."""
    for moment in {span.start for span in found.spans}:
        at_work = [span for span in found.spans if span.start <= moment < span.end]
        assert len(at_work) <= state.parallel
        for type_ in state.agent_limits:
            assert sum(found.agents.get(span.agent) == type_ for span in at_work) <= state.max_agents(type_)
        for resource, there_is in state.plan.resources.amounts.items():
            used = sum(state.tickets[span.ticket].claims.uses.get(resource, 0) for span in at_work)
            assert used <= there_is + 1e-6
        for one, other in combinations(at_work, 2):
            assert not one.agent or one.agent != other.agent
            locks = set(state.tickets[one.ticket].claims.locks)
            assert locks.isdisjoint(state.tickets[other.ticket].claims.locks)
    ends = {span.ticket: span.end for span in found.spans}
    for span in found.spans:
        assert all(ends[need] <= span.start for need in state.graph.needs[span.ticket])


@settings(max_examples=30)
@given(plans(), steps(40), st.booleans())
def test_a_course_of_a_session_that_has_gone_on_for_a_while_changes_nothing_of_it(
    of: Plan, numbers: list[int], resumes: bool
) -> None:
    session = Session(of, checks=False)
    run(session, numbers)
    before, copy = dump(session.state), copy_to_go_on(session.state)
    assert dump(copy) == dump(copy_of(session.state)) == before
    found = course_of(copy, durations(session.state), session.now, resumes=resumes)
    assert dump(session.state) == before
    assert set(found.left) == {id_ for id_, ticket in copy.tickets.items() if ticket.status not in TERMINAL}


def test_what_is_taken_back_and_runs_again_runs_in_the_copy_only() -> None:
    session = Session(plan("A: rollback=undo\nB: rollback=undo\nC: A"))
    session.dispatch()
    session.succeed("B")
    session.fail("A")  # C is skipped
    session.act(rq.Rollback(tickets=("A", "B"), rerun=True))
    session.succeed(*session.state.live)
    assert session.state.rollback is not None, "one of them is still to be taken back"
    before = dump(session.state)
    found = course_of(copy_to_go_on(session.state), durations(session.state), session.now)
    assert dump(session.state) == before
    assert {span.ticket for span in found.spans} == {"A", "B", "C"}


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_with_one_agent_and_no_claims_it_takes_the_sum(seconds: list[int]) -> None:
    text = "\n".join(f"T{number}: estimate={each}s" for number, each in enumerate(seconds))
    assert course(Session(plan(text, parallel=1), checks=False)).seconds == pytest.approx(sum(seconds))


# --- Cases ---


@pytest.mark.parametrize(
    ("text", "parallel", "seconds"),
    [
        ("A: estimate=5s\nB: estimate=3s", 4, 5),
        ("A: estimate=5s\nB: A estimate=3s\nC: estimate=1s", 4, 8),
        ("A: estimate=5s locks=x\nB: estimate=3s locks=x", 4, 8),
        ("A: estimate=5s uses=gpu:1\nB: estimate=3s uses=gpu:2\nC: estimate=2s uses=gpu:1", 4, 8),
        ("A: estimate=5s writes=out\nB: estimate=3s reads=out/b", 4, 8),
        ("A: estimate=5s\nB: estimate=3s finally=true", 4, 8),
        ("A: estimate=5s\nB: estimate=3s after=A", 4, 8),
        ("A: estimate=5s outputs=o gates=lint\nB: A estimate=3s if_done=f\nC: B skip_if=x", 4, 15),
        ("A: estimate=5s timeout=2s", 1, 2),
        ("A: estimate=5s approve=before\nB: A estimate=2s approve=after", 1, 7),
    ],
)
def test_a_session_ends_when_its_limits_let_it(text: str, parallel: int, seconds: float) -> None:
    found = course(Session(plan(text, parallel=parallel, resources={"gpu": 2})))
    assert (found.seconds, found.left) == (seconds, ())


def test_a_host_that_is_pressed_lets_fewer_run_for_as_long_again_and_then_all() -> None:
    """40 tickets of 10 s, 4 at once but 1 while cpu is short: that began 60 s ago."""
    text = "\n".join(f"T{number}: estimate=10s" for number in range(40))
    session = Session(plan(text, parallel=4), checks=False)
    pressed = ev.PressureRaised(
        at=session.now, resource="cpu", step="fewer", parallel=1, text="cpu 95 %", value=95.0, threshold=80.0
    )
    session.apply(pressed)
    for _ in range(6):
        ids = session.dispatch()
        assert len(ids) == 1
        session.wait(10)
        session.succeed(*ids)
    found = course(session, resumes=False)
    assert found.seconds == 60 + 70, "6 one by one, then 28 by fours"
    assert [span.start - found.began for span in found.spans[:8]] == [0, 10, 20, 30, 40, 50, 60, 60]
    assert course(session, resumes=True).seconds == 90, "what the host lacks is left out"
    told = eta(session.state, session.now)
    assert told is not None
    assert told.p50 == pytest.approx(found.seconds, rel=0.02), "the closed form says the same"
    end = foresee(session.state, session.now, Random(1).random).end
    assert end is not None
    assert 110 < end.p50 < 150 < 200 < end.p90, "it may go on for long"
    session.apply(
        ev.PressureEased(at=session.now, resource="cpu", step="fewer", text="cpu 5 %", value=5.0, threshold=80.0)
    )
    assert course(session, resumes=False).seconds == 90


def test_what_runs_takes_what_is_left_of_it_and_keeps_what_it_has() -> None:
    session = Session(plan("A: estimate=5s locks=x\nB: estimate=3s locks=x", parallel=2))
    session.dispatch()
    session.wait(4)
    found = course_of(copy_of(session.state), Durations({"A": 5, "B": 3}, {"A": 1}), session.now)
    assert times(found) == {"A": (0, 1), "B": (1, 4)}
    assert found.at_once == 0


def test_a_try_that_waits_begins_after_its_pause_and_tickets_in_order_of_the_rules() -> None:
    session = Session(plan("A: retries=1 retry_delay=10s\nB: priority=low\nC: priority=high", parallel=1))
    session.dispatch()
    session.succeed("C")
    session.dispatch()
    session.fail("A")
    retry_at = session["A"].retry_at or 0.0
    found = times(course(session))
    assert found["B"] == (0.0, 7.0)
    assert found["A"][0] == pytest.approx(max(7, retry_at - session.now))


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        (rq.Hold(tickets=("B",)), ("B", "C")),
        (rq.Freeze(tickets=("A",)), ("A", "B", "C", "D")),  # it keeps its slot
        (rq.Hold(), ("B", "C", "D")),
        (rq.Drain(), ("B", "C", "D")),
        (rq.Hold(types=("agent",)), ("B", "C", "D")),
    ],
)
def test_what_a_person_keeps_stays_so_or_goes_on_at_once(wish: rq.AnyRequest, left: tuple[str, ...]) -> None:
    session = Session(
        plan("A: estimate=5s\nB: A estimate=3s\nC: B estimate=1s\nD: estimate=1s priority=low", parallel=1)
    )
    session.dispatch()
    session.ask(wish)
    assert course(session, resumes=False).left == left
    assert course(session).left == ()


def test_services_are_ready_at_once_and_end_when_nobody_wants_them() -> None:
    services = {"db": Service(run="db", ready="tcp:5432")}
    session = Session(plan("A: uses_service=db estimate=5s\nB: A estimate=1s", services=services))
    assert course(session).seconds == 6


def test_what_no_agent_is_left_for_is_skipped_as_in_a_session() -> None:
    of = plan(
        "A: agent=x estimate=4s\nB: A estimate=1s\nC: agent=y",
        agents={"x": AgentType(max=0, min=0), "y": AgentType()},
    )
    assert times(course(Session(of))) == {"C": (0, 7)}


def test_tickets_in_worktrees_are_merged() -> None:
    agents = {"x": AgentType(max=1, isolation="worktree")}
    assert course(Session(plan("A: estimate=5s gates=lint\nB: A estimate=1s", agents=agents))).seconds == 6


def test_the_beginning_is_now() -> None:
    session = Session(plan("A: estimate=5s"))
    session.wait(100)
    (span,) = course(session).spans
    assert (span.start, span.end, span.agent) == (OPENED_AT + 100, OPENED_AT + 105, "agent-1")
