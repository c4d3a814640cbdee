"""Who needs a person: one rule, looked at as a state and event by event."""

from collections.abc import Sequence

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.rules.attention import Need, Subject, began, needs, relieved
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def started(text: str = "A:\nB:\nC: A") -> Session:
    session = Session(plan(text))
    session.dispatch()
    return session


def subjects(session: Session) -> list[Subject]:
    return [need.subject for need in needs(session.state)]


def called_for(session: Session, since: int) -> list[Need]:
    """Who is called for by what happened since."""
    return [need for event in session.journal[since:] for need in began(session.state, event)]


def test_nobody_is_needed_while_all_goes_well() -> None:
    session = started()
    session.succeed("A")
    assert subjects(session) == []
    assert called_for(session, 0) == []


def test_a_ticket_that_failed_until_it_runs_again() -> None:
    session = started()
    before = len(session.journal)
    session.fail("A")
    assert list(needs(session.state)) == called_for(session, before) == [Need(Subject("ticket", "A"), "exit 1")]
    assert subjects(session) == [Subject("ticket", "A")], "C follows from it"
    session.act(rq.Retry(tickets=("A",)))
    assert subjects(session) == []


def test_a_ticket_that_will_be_tried_again_needs_nobody_yet() -> None:
    session = started("A: retries=1 retry_delay=1s")
    session.fail("A")
    assert subjects(session) == []
    assert called_for(session, 0) == []


def test_a_held_ticket_once_nothing_else_keeps_it() -> None:
    session = started()
    session.act(rq.Hold(tickets=("C",), by="ann"))
    assert subjects(session) == [], "it could not run anyway"
    session.succeed("A")
    assert list(needs(session.state)) == [Need(Subject("ticket", "C"), "held by ann", is_asked_for=True)]
    assert called_for(session, 0) == [], "ann knows of it"


def test_the_needs_are_in_plan_order_and_the_newest_failure_is_known() -> None:
    session = started("A:\nB:\nC:\nD:")
    session.fail("C", "A")
    session.act(rq.Hold(tickets=("B",), by="ann"))
    assert [subject.name for subject in subjects(session)] == ["A", "C"]
    assert list(session.state.failed) == ["C", "A"]
    session.act(rq.Retry(tickets=("A",)))
    assert list(session.state.failed) == ["C"]


EVENTS: Sequence[tuple[ev.AnyEvent, Need, ev.AnyEvent]] = (
    (
        ev.AgentQuarantined(at=9, agent="agent-1", reason="3 deaths"),
        Need(Subject("agent", "agent-1"), "3 deaths"),
        ev.AgentReleased(at=9, agent="agent-1"),
    ),
    (ev.SessionHeld(at=9, reason="A failed"), Need(Subject("session"), "held: A failed"), ev.SessionReleased(at=9)),
    (
        ev.HostPressed(at=9, resource="disk", text="1GiB free"),
        Need(Subject("host", "disk"), "1GiB free"),
        ev.HostRelieved(at=9, resource="disk"),
    ),
    (
        ev.SessionInterrupted(at=9, reason="it died 5 times"),
        Need(Subject("engine"), "it died 5 times"),
        ev.MonitoringStarted(at=9, pid=1, boot="b"),
    ),
    (
        ev.EngineLeft(at=9, reason="blocked"),
        Need(Subject("end"), "blocked"),
        ev.MonitoringStarted(at=9, pid=1, boot="b"),
    ),
)


@pytest.mark.parametrize(("begin", "need", "end"), EVENTS)
def test_agents_and_the_session(begin: ev.AnyEvent, need: Need, end: ev.AnyEvent) -> None:
    session = started()
    apply(session.state, begin)
    assert list(needs(session.state)) == list(began(session.state, begin)) == [need]
    assert need.subject in relieved(end)
    apply(session.state, end)
    assert subjects(session) == []
    assert list(began(session.state, begin)) == [], "it has been seen to meanwhile"


@pytest.mark.parametrize(
    "event",
    [
        ev.SessionHeld(at=9, by="ann"),
        ev.EngineLeft(at=9, reason="stopped"),
        ev.EngineLeft(at=9, reason="drained"),
        ev.AgentHeld(at=9, agent="agent-1", by="ann"),
    ],
)
def test_nobody_is_called_for_what_a_person_did(event: ev.AnyEvent) -> None:
    session = started()
    apply(session.state, event)
    assert list(began(session.state, event)) == []


def test_a_pause_of_a_person_that_others_wait_for_is_a_need_without_a_call() -> None:
    session = started("A:\nB: A")
    session.ask(rq.Freeze(tickets=("A",), by="ann"))
    assert list(needs(session.state)) == [Need(Subject("ticket", "A"), "frozen by ann", is_asked_for=True)]
    session.ask(rq.Thaw(tickets=("A",)))
    assert subjects(session) == []
    session.ask(rq.Freeze(by="ann"))
    assert subjects(session) == [Subject("session")], "one is enough: F thaws all of it"


def test_a_held_agent_or_type_is_a_need_once_tickets_wait_for_it() -> None:
    session = Session(plan("A:\nB: A", agents={"agent": AgentType(max=1)}))
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",), by="ann"))
    assert subjects(session) == []
    session.succeed("A")
    session.dispatch()
    assert list(needs(session.state)) == [Need(Subject("agent", "agent-1"), "held by ann", is_asked_for=True)]
    session.ask(rq.Release(agents=("agent-1",)))
    session.ask(rq.Hold(types=("agent",), by="bob"))
    assert list(needs(session.state)) == [Need(Subject("type", "agent"), "held by bob", is_asked_for=True)]


def test_an_agent_in_quarantine_that_stops_needs_nobody() -> None:
    session = started("A:")
    session.succeed("A")
    apply(session.state, ev.AgentQuarantined(at=9, agent="agent-1", reason="3 deaths"))
    apply(session.state, ev.AgentStopped(at=9, agent="agent-1"))
    assert subjects(session) == []
