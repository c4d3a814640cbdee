"""The order search: what a pass is, what is found, and when what was found holds."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.predict.course import Course, Durations, course_of
from parexec_tui.core.schedule import problem as problems
from parexec_tui.core.schedule.listing import Lister
from parexec_tui.core.schedule.order import Found, Search, is_searched, judged, lower_bound
from parexec_tui.core.schedule.problem import Problem, problem_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.history import USUAL_SIGMA, TicketHistory
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, dump, plan, replay

FIVE = "A: estimate=3s\nB: estimate=3s\nC: estimate=2s\nD: estimate=2s\nE: estimate=2s"
"""On two slots, the longest first take 7 s; A and B on one, and the others on the other one, 6 s."""


def problem(session: Session) -> Problem:
    made = problem_of(session.state, session.now)
    assert made is not None
    return made


def search(session: Session, passes: int = 200) -> Found | None:
    looked = Search(problem(session), Random(1))
    looked.run(passes)
    return looked.found()


def found(session: Session) -> Found:
    better = search(session)
    assert better is not None
    return better


def take(session: Session, better: Found | None = None) -> Found:
    better = better or found(session)
    session.tell(rq.OrderSearched(better.tickets, better.seconds, better.before))
    assert session.state.found_order is not None
    return better


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans with everything that keeps a ticket from starting beside others; nothing waits long enough for a
    reservation."""
    lines = []
    count = draw(st.integers(3, 12))
    for number in range(count):
        needs = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        words = [f"T{need}" for need in needs]
        words.append(f"estimate={draw(st.integers(0, 9))}s")
        if draw(st.booleans()):
            words.append(f"uses=gpu:{draw(st.integers(1, 3))}")
        if draw(st.integers(0, 3)) == 0:
            words.append(f"locks={draw(st.sampled_from(('db', 'web')))}")
        if draw(st.integers(0, 2)) == 0:
            words.append(
                f"{draw(st.sampled_from(('reads', 'writes')))}={draw(st.sampled_from(('a', 'a/b', 'c', '*')))}"
            )
        if draw(st.integers(0, 4)) == 0:
            words.append("priority=high")
        words.append(draw(st.sampled_from(("", "agent=x", "agent=y"))))
        lines.append(f"T{number}: {' '.join(words)}")
    if draw(st.booleans()):
        lines.append("Z: estimate=2s finally=true")
    return plan(
        "\n".join(lines),
        parallel=draw(st.integers(1, 4)),
        agents={"x": AgentType(max=draw(st.integers(1, 2))), "y": AgentType(max=2)},
        resources={"gpu": 3},
        barrier=draw(st.booleans()),
        reserve_after=Duration(10_000),
    )


def course(session: Session) -> Course:
    """What the dispatcher does with what is left, if estimates are right."""
    whole = {id_: session.state.assumed(ticket) for id_, ticket in session.state.tickets.items()}
    left = {id_: whole[id_] - ticket.worked(session.now) for id_, ticket in session.state.live.items()}
    return course_of(copy_of(session.state), Durations(whole, left), session.now)


@settings(deadline=None, max_examples=60)
@given(plans())
def test_a_pass_is_what_the_dispatcher_does(made: Plan) -> None:
    session = Session(made, checks=False)
    listed = Lister(problem(session)).by_paths()
    starts = {span.ticket: span.start - session.now for span in course(session).spans}
    expected = {id_: listed.starts[number] for number, id_ in enumerate(problem(session).ids) if id_}
    assert starts == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(plans())
def test_what_is_found_takes_as_long_as_it_says_and_less_than_the_longest_path(made: Plan) -> None:
    session = Session(made)
    better = search(session)
    if better is None:
        return
    assert better.seconds < better.before == pytest.approx(course(session).seconds)
    take(session, better)
    assert course(session).seconds == pytest.approx(better.seconds)
    assert dump(replay(made, session.journal)) == dump(session.state)


def test_a_better_order_is_found_and_kept_by_the_dispatcher() -> None:
    session = Session(plan(FIVE, parallel=2))
    better = take(session)
    assert (better.seconds, better.before) == (6.0, 7.0)
    assert course(session).seconds == pytest.approx(6.0)
    assert search(Session(plan(FIVE, parallel=2))) == better, "the same seed finds the same"


def test_nothing_is_found_where_the_longest_path_cannot_be_beaten() -> None:
    session = Session(plan("A: estimate=3s\nB: A estimate=3s\nC: estimate=2s", parallel=2))
    looked = Search(problem(session), Random(1))
    looked.run(100)
    assert (looked.found(), looked.passes) == (None, 1)


def test_classes_go_first_in_any_order() -> None:
    session = Session(plan(f"{FIVE} priority=high", parallel=2))
    assert take(session).tickets[0] == "E"
    session.act(rq.Prioritise(("C",), Priority.critical))
    assert session.dispatch() == ["C", "E"]


def test_what_runs_goes_on_in_the_schedule() -> None:
    session = Session(plan(FIVE, parallel=2))
    session.dispatch()
    session.wait(1)
    assert problem(session).durations[:2] == [2.0, 2.0]
    assert lower_bound(problem(session)) == 5.0
    assert search(session) is None


def test_an_order_that_comes_late_is_judged_for_what_is_left() -> None:
    session = Session(plan(FIVE, parallel=2))
    better = found(session)
    assert judged(problem(session), better.tickets) == better
    session.dispatch()
    assert judged(problem(session), better.tickets) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.act(rq.Scale(3, "agent")),
        lambda session: session.act(rq.Scale(3)),
        lambda session: session.act(rq.Amend(added={"F": Ticket(run="true", estimate=Duration(5))})),
    ],
)
def test_it_holds_for_the_plan_and_pool_that_it_was_found_for(change: Callable[[Session], object]) -> None:
    session = Session(plan(FIVE, parallel=2))
    take(session)
    assert not isinstance(change(session), rq.Refusal)
    assert session.state.found_order is None
    assert session.dispatch()[:1] == ["F" if "F" in session.state.tickets else "A"]


def test_no_ticket_ages_in_it_and_none_is_reserved_for_before_all_should_be_over() -> None:
    session = Session(
        plan("A: estimate=900s\nB: estimate=900s\nC: estimate=600s\nD: estimate=600s\nE: estimate=600s", parallel=2)
    )
    patience = session.state.reserve_after
    take(session)
    assert session.state.reserve_after == 1800 > patience
    rank = session.state.own_rank(session["E"])
    session["E"].ready_at += 300
    assert session.state.own_rank(session["E"]) == rank


def wrong(session: Session, *factors: float) -> None:
    """Let tickets end, one by one, after these multiples of what they should take."""
    for factor in factors:
        (id_,) = session.dispatch()
        session.wait(factor * 10)
        session.succeed(id_)


@pytest.mark.parametrize(("factors", "holds"), [((0.5, 2.0), False), ((2.0, 2.0), True), ((0.9, 1.1), True)])
def test_it_is_dropped_once_estimates_are_seen_to_be_wrong(factors: tuple[float, float], holds: bool) -> None:
    lines = [f"T{number}: estimate=10s" for number in range(20)]
    session = Session(plan("\n".join(lines), parallel=1))
    take(session, Found(tuple(reversed(session.state.tickets)), 1.0, 2.0))
    wrong(session, *factors, *factors, *factors)
    assert session.state.found_order is not None, "six say too little"
    wrong(session, *factors, *factors)
    assert (session.state.found_order is not None, is_searched(session.state)) == (holds, holds)
    assert session.dispatch() == ["T9" if holds else "T2"]
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("A:\nB:\nC:\nD:", {}),
        ("A: estimate=3s\nB:\nC: estimate=2s\nD: estimate=2s", {}),
        (FIVE, {"order_search": False}),
        (FIVE, {"parallel": "auto"}),
        ("A: estimate=3s\nB: estimate=2s", {}),
    ],
)
def test_no_order_is_searched_where_it_would_not_help_or_is_not_wanted(text: str, more: dict[str, object]) -> None:
    assert is_searched(Session(plan(FIVE)).state)
    session = Session(plan(text, **more))  # type: ignore[arg-type]
    assert not is_searched(session.state)
    assert session.tell(rq.OrderSearched(("A", "B"), 1.0, 2.0)) == []


@pytest.mark.parametrize(
    ("p50", "sigma", "is_good"),
    [
        ((3, 3, 2, 2, 2), 0.1, True),
        ((6, 6, 4, 4, 4), 0.1, True),
        ((3, 3, 2, 2, 2), 0.2, False),
        ((3, 3, 2, 2, 4), 0.1, False),
        ((3, 3, 2, 2, 2), USUAL_SIGMA, True),
    ],
)
def test_no_order_is_searched_where_history_shows_that_estimates_are_wrong(
    p50: tuple[float, ...], sigma: float, is_good: bool
) -> None:
    """All of them twice too short does no harm, and the sigma of what ran once tells nothing."""
    session = Session(plan(FIVE, parallel=2))
    histories = {
        id_: TicketHistory(seconds, seconds, sigma) for id_, seconds in zip(session.state.tickets, p50, strict=True)
    }
    session.tell(rq.HistoryRead(histories))
    assert is_searched(session.state) == is_good


def test_an_order_for_tickets_that_are_gone_comes_too_late() -> None:
    session = Session(plan(FIVE))
    assert session.tell(rq.OrderSearched(("A", "X"), 1.0, 2.0)) == []


def test_no_problem_is_made_of_more_files_than_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(plan("A: writes=a/*.x\nB: reads=a/*.y\nC: writes=a/*.z"))
    assert problem_of(session.state, session.now) is not None
    monkeypatch.setattr(problems, "MAX_COMPARED", 2)
    assert problem_of(session.state, session.now) is None


def test_an_order_of_other_tickets_is_no_event_of_ours() -> None:
    session = Session(plan(FIVE))
    for tickets in ((0, 0), (5,), (-1,)):
        with pytest.raises(Exception, match="twice, or not in the plan"):
            session.apply(ev.OrderFound(at=session.now, tickets=tickets, seconds=1.0, before=2.0))
