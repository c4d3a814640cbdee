"""What holds a session up, and what more of it would save."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.services import Service
from parexec_tui.core.schedule.bottlenecks import Bottleneck, bottlenecks
from parexec_tui.core.schedule.critical_path import critical_path
from parexec_tui.core.schedule.simulation import Limit
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.bottlenecks import bottleneck_lines, bottleneck_text
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, plan


def found(session: Session) -> list[Bottleneck]:
    session.dispatch()
    return bottlenecks(session.state, session.now)[0]


def texts(session: Session) -> list[str]:
    return [bottleneck_text(each) for each in found(session)]


def page(session: Session) -> list[str]:
    """What `parexec bottlenecks` prints."""
    limits, course = bottlenecks(session.state, session.now)
    return list(bottleneck_lines(session.state, limits, course, critical_path(session.state), session.now))


def test_one_more_of_a_resource_lets_more_start_and_saves_time() -> None:
    lines = "\n".join(f"T{number}: estimate=60s uses=gpu:1" for number in range(6))
    session = Session(plan(lines, parallel=8, resources={"gpu": 2}))
    assert found(session) == [Bottleneck(Limit("resource", "gpu"), 4, 6, 0.0, 1, 60.0, 2)]
    assert texts(session) == ["4 tickets wait for gpu (2 in all): one more would start 1 now and save about 1m"]


def test_one_more_agent_of_a_type() -> None:
    agents = {"builder": AgentType(max=1)}
    session = Session(plan("A: estimate=60s\nB: estimate=60s\nC: estimate=60s", parallel=8, agents=agents))
    assert texts(session) == ["2 tickets wait for one of 1 builder: one more would start 1 now and save about 1m"]


def test_one_more_at_once() -> None:
    session = Session(plan("A: estimate=60s\nB: estimate=60s\nC: estimate=60s", parallel=2))
    assert texts(session) == ["1 ticket waits for a slot (2 at once): one more would start 1 now and save about 1m"]


def test_a_lock_serialises_what_wants_it() -> None:
    lines = "\n".join(f"T{number}: estimate=60s locks=db" for number in range(4))
    session = Session(plan(f"{lines}\nX: estimate=120s", parallel=8))
    assert texts(session) == [
        "lock db serialises 4 tickets, 100% of what is left: without it the session would end about 2m sooner, "
        "and 3 would start now"
    ]


def test_what_nothing_waits_for_and_nothing_would_save_is_left_out() -> None:
    assert (
        texts(Session(plan("A: estimate=60s uses=gpu:1\nB: A estimate=60s", parallel=8, resources={"gpu": 1}))) == []
    )


def test_while_nothing_tells_how_long_tickets_take_it_is_told_what_waits() -> None:
    session = Session(plan("A: uses=gpu:1\nB: uses=gpu:1", parallel=8, resources={"gpu": 1}))
    assert texts(session) == ["1 ticket waits for gpu (1 in all): one more: nothing tells how long tickets take"]


def test_a_session_that_is_over_has_none() -> None:
    session = Session("A:")
    session.dispatch()
    session.succeed("A")
    assert bottlenecks(session.state, session.now) == ([], None)
    assert list(bottleneck_lines(session.state, [], None, [], session.now)) == ["nothing is left to do"]


def test_the_page_ends_with_the_critical_path_and_the_end_of_the_session() -> None:
    session = Session(plan("A: estimate=60s\nB: A estimate=60s\nC: estimate=30s", parallel=1))
    session.dispatch()
    assert page(session) == [
        "1 ticket waits for a slot (1 at once): one more would start 1 now and save about 30s",
        "critical path: 2 tickets, 1 of them running: A, B",
        "as it is, the session ends in about 2m30s",
    ]


@pytest.mark.parametrize(
    ("request_", "first"),
    [
        (rq.Hold(by="ann"), "the session is held, by ann, for 5s; 2 tickets wait: parexec release"),
        (rq.Freeze(by="ann"), "the session is frozen, by ann, for 5s; 2 tickets wait: parexec thaw"),
        (rq.Stop(by="ann"), "the session is stopping, by ann, for 5s; 2 tickets wait"),
    ],
)
def test_of_a_session_that_a_person_has_to_let_go_on_no_end_is_told(request_: rq.AnyRequest, first: str) -> None:
    session = Session(plan("A: estimate=60s\nB: A estimate=60s\nC: A estimate=60s", parallel=1))
    session.dispatch()
    session.act(request_)
    session.wait(5)
    lines = page(session)
    assert (lines[0], lines[-1]) == (first, "as it is, no end can be told")


def test_a_service_is_no_limit_and_one_that_failed_is_what_holds_up() -> None:
    services = {"db": Service(run="db", ready="tcp:1", restart="never"), "site": Service(run="site", ready="tcp:2")}
    text = "A: estimate=60s uses_service=db\nB: A estimate=60s\nC: estimate=30s uses_service=site"
    session = Session(plan(text, parallel=4, services=services))
    session.dispatch()
    assert page(session) == [
        "nothing that could be had more of would make the session end sooner",
        "critical path: 2 tickets: A, B",
        "as it is, the session ends in about 2m",
    ], "while they start"
    session.service_ended("db", code=3)
    session.wait(5)
    assert page(session) == [
        "service db failed, for 5s: exit 3; 2 wait for it: parexec restart db",
        "critical path: 2 tickets: A, B",
        "as it is, no end can be told",
    ]
    _, course = bottlenecks(session.state, session.now)
    assert course is not None
    assert (course.left, course.seconds) == (2, 30.0)


def test_one_more_agent_of_an_account_that_rests_is_no_help() -> None:
    agents = {"claude": coder(max=2), "shell": AgentType(command=("sh",))}
    session = coding_session("\n".join(f"T{n}: agent=claude estimate=60s" for n in range(6)), agents=agents)
    for id_ in session.dispatch():
        assert [each.limit.name for each in bottlenecks(session.state, session.now)[0]] == ["claude"]
        says(session, id_, "limited", until=session.now + 900)
        break
    assert bottlenecks(session.state, session.now)[0] == []
