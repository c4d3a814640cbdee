"""What is predicted of sessions that a test drives by hand; they open at the second 1000."""

from hypothesis import given

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.graph import Graph
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.drawing.predict import predict
from tests.core.sessions import OPENED_AT, Session, plan
from tests.tui.drawing.graph.graphs import graphs

Rest = list[tuple[str, float, float]]


def rest(session: Session, **history: float) -> Rest:
    """ticket, start and end in seconds from now"""
    now = session.now
    session.learn(**history)
    return [(each.ticket, each.start - now, each.end - now) for each in predict(session.state, now)]


def test_each_starts_when_its_needs_are_over_the_longest_path_first() -> None:
    session = Session(plan("a: estimate=3s\nb: a estimate=5s\nc: a estimate=2s\nd: b c estimate=1s", parallel=2))

    assert rest(session) == [("a", 0, 3), ("b", 3, 8), ("c", 3, 5), ("d", 8, 9)]


def test_no_more_run_at_once_than_the_session_allows() -> None:
    session = Session(plan("a: estimate=3s\nb: estimate=2s\nc: estimate=1s", parallel=1))

    assert rest(session) == [("a", 0, 3), ("b", 3, 5), ("c", 5, 6)]


def test_no_more_run_at_once_than_there_may_be_agents_that_can() -> None:
    agents = {"one": AgentType(max=1), "two": AgentType(max=1)}
    session = Session(plan("a: estimate=3s agent=one\nb: estimate=2s agent=one\nc: estimate=1s", agents=agents))

    assert rest(session) == [("a", 0, 3), ("c", 0, 1), ("b", 3, 5)]


def test_what_runs_goes_on_where_it_runs() -> None:
    session = Session(plan("a: estimate=3s\nb: a estimate=2s", parallel=1))
    session.dispatch()
    session.wait(2)

    first, second = predict(session.state, session.now)
    assert (first.ticket, first.agent, first.end - session.now) == ("a", "agent-1", 1)
    assert (second.ticket, second.agent, second.start - session.now) == ("b", "agent-1", 1)


def test_what_has_run_longer_than_expected_does_not_end_at_once() -> None:
    session = Session("a: estimate=3s")
    session.dispatch()
    session.wait(60)

    assert rest(session) == [("a", 0, 57)]


def test_without_an_estimate_history_tells_else_the_median_of_what_is_done() -> None:
    session = Session(plan("a:\nb: a\nc: b", parallel=1))
    session.dispatch()
    session.wait(7)
    session.succeed("a")

    assert rest(session, c=2) == [("b", 0, 7), ("c", 7, 9)]


def test_what_is_held_is_left_out_with_what_needs_it() -> None:
    session = Session("a: estimate=1s\nb: a\nc: estimate=1s")
    session.ask(rq.Hold(tickets=("a",)))

    assert rest(session) == [("c", 0, 1)]


def test_a_ticket_in_backoff_waits_for_its_time() -> None:
    session = Session("a: estimate=1s retries=1 retry_delay=10s\nb: a estimate=1s")
    session.dispatch()
    session.fail("a")
    retry_at = session.state.tickets["a"].retry_at
    assert retry_at is not None

    assert rest(session) == [
        ("a", retry_at - session.now, retry_at - session.now + 1),
        ("b", retry_at - session.now + 1, retry_at - session.now + 2),
    ]


def test_it_looks_only_so_far_ahead() -> None:
    session = Session(plan("\n".join(f"t{number}:" for number in range(9)), parallel=2))

    assert [each.ticket for each in predict(session.state, session.now, limit=3)] == ["t0", "t1", "t2"]


@given(graphs(max_tickets=12))
def test_every_ticket_runs_once_after_its_needs_with_no_more_than_there_are_slots(graph: Graph) -> None:
    text = "\n".join(
        f"{id_}: {' '.join(graph.needs[id_])} estimate={1 + place % 4}s" for place, id_ in enumerate(graph.needs)
    )
    session = Session(plan(text, parallel=3), checks=False)
    found = {each.ticket: each for each in predict(session.state, OPENED_AT)}

    assert sorted(found) == sorted(graph.needs)
    assert all(found[need].end <= found[id_].start for need, id_ in graph.edges())
    for each in found.values():
        assert sum(other.start <= each.start < other.end for other in found.values()) <= 3
