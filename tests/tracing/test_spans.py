"""The spans of sessions that a test plays by hand, to the second."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import requests as rq
from parexec_tui.tracing.ids import read_traceparent, span_id, trace_id, traceparent
from parexec_tui.tracing.spans import Span, Spans
from tests.core.coding import coding_session, says
from tests.core.sessions import OPENED_AT, Session, plan
from tests.core.state.test_properties import plans, run, steps


def spans_of(session: Session) -> list[Span]:
    """All that are over, each before that of which it is a part; no id comes twice."""
    state = SessionState(session.plan)
    spans = Spans(state)
    found: list[Span] = []
    for event in session.journal:
        apply(state, event)
        found += spans.take(event)
    ids = [span.id for span in found]
    assert len(set(ids)) == len(ids)
    assert all(span.start <= span.end for span in found)
    return found


def tree(spans: Iterable[Span]) -> dict[str, Any]:
    """{the names of a span and of those above it: its start and end in seconds since the session was opened}"""
    by_id = {span.id: span for span in spans}

    def path(span: Span) -> str:
        return f"{path(by_id[span.parent])}/{span.name}" if span.parent in by_id else span.name

    return {path(span): (span.start - OPENED_AT, span.end - OPENED_AT) for span in by_id.values()}


def named(spans: Iterable[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_the_span_of_a_coding_agent_has_its_tokens_and_dollars() -> None:
    session = coding_session("A:")
    session.dispatch()
    says(session, "A", cost=0.5, inp=1000, out=100, cached=50)
    attempt = next(span for span in spans_of(session) if "parexec.cost_dollars" in span.attributes)
    names = ("input_tokens", "output_tokens", "cache_read.input_tokens")
    assert [attempt.attributes[f"gen_ai.usage.{name}"] for name in names] == [1050, 100, 50]
    assert attempt.attributes["parexec.cost_dollars"] == 0.5


def test_a_session_has_a_span_for_each_ticket_attempt_and_step() -> None:
    session = Session("A: gates=lint\nB: A retries=1 retry_delay=3s\nC: B")
    session.dispatch()
    session.wait(1)
    session.spawned("A", pid=77)
    session.wait(4)
    session.succeed("A")
    session.wait(2)
    session.succeed("A")
    session.dispatch()
    session.wait(1)
    session.fail("B")
    session.back_off("B")
    session.now = OPENED_AT + 11  # the pause is not the same each time
    session.dispatch()
    session.wait(2)
    session.fail("B")
    session.close()
    spans = spans_of(session)
    assert tree(spans) == {
        "RUN test": (0, 13),
        "RUN test/A": (0, 7),
        "RUN test/A/attempt 1": (0, 7),
        "RUN test/A/attempt 1/run": (1, 5),
        "RUN test/A/attempt 1/lint": (5, 7),
        "RUN test/B": (7, 13),
        "RUN test/B/attempt 1": (7, 8),
        "RUN test/B/attempt 1/run": (7, 8),
        "RUN test/B/attempt 2": (11, 13),
        "RUN test/B/attempt 2/run": (11, 13),
        "RUN test/C": (13, 13),
    }
    assert named(spans, "lint").attributes["parexec.step"] == "gate-1"
    root, b, c = named(spans, "RUN test"), named(spans, "B"), named(spans, "C")
    assert root.is_session
    assert root.parent == ""
    assert (root.problem, root.attributes["cicd.pipeline.result"]) == ("1 of 3 tickets failed", "failure")
    assert (b.problem, b.attributes["cicd.pipeline.task.run.result"]) == ("exit 1", "failure")
    assert (c.problem, c.attributes["cicd.pipeline.task.run.result"]) == (None, "skip")
    assert b.links == (("A", named(spans, "A").id),)
    assert {span.attributes.get("process.pid") for span in spans} == {None, 77}


def test_what_waits_for_a_slot_begins_when_its_needs_are_met() -> None:
    session = Session(plan("A:\nB:", parallel=1))
    session.dispatch()
    session.wait(5)
    session.succeed("A")
    session.dispatch()
    session.wait(1)
    session.succeed("B")
    session.close()
    found = tree(spans_of(session))
    assert found["RUN test/B"] == (0, 6)
    assert found["RUN test/B/attempt 1"] == (5, 6)


def test_what_is_done_already_has_a_span_of_the_question() -> None:
    session = Session("A: if_done=out")
    session.dispatch()
    session.wait(2)
    session.answer("A", done=True)
    session.close()
    assert tree(spans_of(session)) == {
        "RUN test": (0, 2),
        "RUN test/A": (0, 2),
        "RUN test/A/if-done": (0, 2),
    }


def test_a_question_that_is_asked_again_has_a_span_of_its_own() -> None:
    spans, asked = Spans(Session("A: if_done=out").state), list[Span]()
    for at in (1.0, 2.0):
        asked += spans.take(ev.QuestionAsked(at=at, ticket="A", step="if-done"))
        asked += spans.take(ev.QuestionAnswered(at=at + 0.5, ticket="A", again=True))
    assert [span.start for span in asked] == [1.0, 2.0]
    assert asked[0].id != asked[1].id


def test_a_ticket_that_runs_again_and_a_session_that_goes_on_have_spans_anew() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    session.fail("A")
    session.close()
    session.wait(10)
    session.resume()
    session.ask(rq.Retry(tickets=("A",), by="ann"))
    session.dispatch()
    session.wait(1)
    session.succeed("A")
    session.dispatch()
    session.succeed("B")
    session.close()
    spans = spans_of(session)
    found = tree(spans)
    assert found["RUN test/RUN test"] == (10, 11), "the second run is a part of the first one's trace"
    assert found["RUN test/RUN test/A"] == (10, 11)
    assert found["RUN test/RUN test/A/attempt 2"] == (10, 11)
    assert found["RUN test/RUN test/B"] == (11, 11)
    assert found["RUN test/A"] == (0, 0)
    assert [span.attributes["cicd.pipeline.result"] for span in spans if span.is_session] == ["failure", "success"]


def test_what_a_person_approves_afterwards_lasts_until_then() -> None:
    session = Session("T: approve=after")
    session.dispatch()
    session.wait(1)
    session.succeed("T")
    session.wait(5)
    session.act(rq.Approve(tickets=("T",), by="ann"))
    session.close()
    found = tree(spans_of(session))
    assert found["RUN test/T/attempt 1"] == (0, 1)
    assert found["RUN test/T"] == (0, 6)


def test_what_is_taken_back_is_a_step_of_the_attempt() -> None:
    session = Session("T: on_fail=rollback rollback=undo")
    session.dispatch()
    session.wait(2)
    session.fail("T")
    session.wait(3)
    session.succeed("T")
    session.close()
    spans = spans_of(session)
    found = tree(spans)
    assert found["RUN test/T/attempt 1/run"] == (0, 2)
    assert found["RUN test/T/attempt 1/rollback"] == (2, 5)
    assert found["RUN test/T/attempt 1"] == (0, 5)
    assert named(spans, "run").problem == "exit 1"
    assert named(spans, "rollback").problem is None


@pytest.mark.parametrize(
    ("happens", "result", "is_error", "kind"),
    [
        ("lost", "error", True, "lost"),
        ("fail", "failure", True, "failed"),
        ("time_out", "timeout", True, "timed_out"),
        ("cancel", "cancellation", False, None),
    ],
)
def test_every_end_has_its_result(happens: str, result: str, is_error: bool, kind: str | None) -> None:
    session = Session("T: timeout=9s")
    session.dispatch()
    session.wait(9)
    if happens == "cancel":
        session.act(rq.Cancel(tickets=("T",), by="ann"))
    else:
        getattr(session, happens)("T")
    if happens in ("cancel", "time_out"):
        session.killed("T")
    session.end_unrunnable()
    session.close()
    attempt, ticket = named(spans_of(session), "attempt 1"), named(spans_of(session), "T")
    for span in (attempt, ticket):
        assert span.attributes["cicd.pipeline.task.run.result"] == result
        assert span.attributes.get("error.type") == kind
        assert (span.problem is not None) is is_error


def test_a_freeze_is_seen_on_the_attempt_and_what_a_person_did_on_the_session() -> None:
    session = Session("T:")
    session.dispatch()
    session.wait(1)
    session.spawned("T")
    session.act(rq.Freeze(tickets=("T",), by="ann"))
    session.wait(1)
    session.act(rq.Thaw(tickets=("T",), by="ann"))
    session.succeed("T")
    session.close()
    spans = spans_of(session)
    seen = [(each.name, each.at - OPENED_AT) for each in named(spans, "attempt 1").moments]
    assert seen == [("attempt frozen", 1), ("attempt thawed", 2)]
    assert [each.attributes["verb"] for each in named(spans, "RUN test").moments] == ["freeze", "thaw"]


def test_a_service_has_a_span() -> None:
    session = Session(plan("T: uses_service=db", services={"db": Service(run="serve")}))
    session.dispatch()
    session.wait(1)
    session.service_is_up("db")
    session.dispatch()
    session.wait(2)
    session.succeed("T")
    session.end_unwanted()
    session.service_ended("db", code=0)
    session.close()
    assert tree(spans_of(session))["RUN test/service db"] == (0, 3)


def test_the_trace_is_that_of_who_started_the_session() -> None:
    given = f"00-{'ab' * 16}-{'cd' * 8}-01"
    session = Session("T:", is_open=False)
    session.apply(
        ev.SessionOpened(
            at=OPENED_AT, session="s1", plan="test", tickets=1, parallel=1, cpus=1, memory=1, traceparent=given
        )
    )
    assert trace_id(session.state) == "ab" * 16
    key = ProcessKey("T", 1)
    assert traceparent(session.state, key) == f"00-{'ab' * 16}-{span_id(session.state, 'step', 'T.1')}-01"
    session.now = OPENED_AT + 1
    session.dispatch()
    session.succeed("T")
    session.close()
    spans = spans_of(session)
    assert named(spans, "RUN test").parent == "cd" * 8
    assert named(spans, "run").id == traceparent(session.state, key).split("-")[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-1-2-01",
        f"00-{'0' * 32}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'0' * 16}-01",
        f"ff-{'ab' * 16}-{'cd' * 8}-01",
    ],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert read_traceparent(text) is None


def test_ids_of_two_sessions_differ_though_they_are_called_alike() -> None:
    first, second = Session("T:"), Session("T:", is_open=False)
    second.now += 0.001
    second.open()
    assert trace_id(first.state) != trace_id(second.state)
    assert span_id(first.state) != span_id(second.state)


@settings(max_examples=30, deadline=None, phases=(Phase.reuse, Phase.generate))  # to shrink one takes minutes
@given(plans(), st.data())
def test_whatever_is_over_has_one_span(drawn: Plan, data: st.DataObject) -> None:
    session = Session(drawn, checks=False)
    run(session, data.draw(steps(60)))
    state = SessionState(session.plan)
    spans = Spans(state)
    found: list[Span] = []
    over: list[str] = []
    """A ticket for each time that it was over."""
    before: set[str] = set()
    for event in session.journal:
        apply(state, event)
        found += spans.take(event)
        now = {id_ for id_, ticket in state.tickets.items() if ticket.status in TERMINAL}
        over += now - before
        before = now
    assert sorted(span.name for span in found if "parexec.attempts" in span.attributes) == sorted(over)
    ended = {(each.ticket, each.attempt) for each in session.journal if isinstance(each, ev.AttemptEnded)}
    told = [
        (a["parexec.ticket"], a["parexec.attempt"]) for a in (span.attributes for span in found) if "parexec.end" in a
    ]
    assert sorted(told) == sorted(ended)
    assert len({span.id for span in found}) == len(found)
    assert all(OPENED_AT <= span.start <= span.end for span in found)
