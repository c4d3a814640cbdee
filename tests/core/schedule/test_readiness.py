"""Which tickets are ready and which are held: one answer for rows, counts and selectors."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.schedule import readiness
from parexec_tui.core.schedule.blocker import Blocker
from parexec_tui.core.schedule.blockers import blockers_but_agents
from parexec_tui.core.schedule.readiness import WaitingCounts, display_status, waiting_counts
from parexec_tui.core.state.session import EngineLost, SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import select
from tests.core.sessions import Session, plan
from tests.core.state.test_properties import plans, run, steps

TWO_TYPES = {"one": AgentType(), "other": AgentType()}


def shown(session: Session) -> Counter[str]:
    return Counter(str(display_status(session.state, ticket)) for ticket in session.state.tickets.values())


def check(session: Session) -> None:
    words, counts = shown(session), waiting_counts(session.state)
    assert counts == (words["waiting"], words["ready"], words["held"])
    for word in ("ready", "held"):
        assert len(select(session.state, [f"status:{word}"])) == words[word]


def test_rows_counts_and_selectors_mean_the_same_by_held() -> None:
    session = Session(plan("A: agent=one\nB: agent=other\nC: agent=one\nD: C\nE:\nF: E", agents=TWO_TYPES))
    session.ask(rq.Hold(types=("one",), by="ann"))
    session.ask(rq.Hold(tickets=("F",), by="ann"))
    check(session)
    assert select(session.state, ["status:held"]) == ["A", "C", "F"], "D waits for C whatever is held"
    session.ask(rq.Hold(types=("other",), by="ann"))
    check(session)
    assert select(session.state, ["status:held"]) == ["A", "B", "C", "E", "F"], "nobody else can run B and E"


def test_who_waits_for_approval_or_for_an_answer_is_not_ready_as_others_with_its_claims_are() -> None:
    written = plan("A: locks=db\nB: locks=db approve=before\nC: locks=db if_done=out")
    check(Session(written))


def test_what_runs_is_not_held_though_it_will_not_be_tried_again() -> None:
    session = Session(plan("A:\nB:"))
    session.ask(rq.Hold(tickets=("B",), by="ann"))
    session.dispatch()
    session.ask(rq.Hold(tickets=("A",), by="ann"))
    check(session)
    assert select(session.state, ["status:held"]) == ["B"]


def test_held_ones_are_counted_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_MAX_TICKETS", 5)
    tickets = "\n".join(f"T{number}: agent={('one', 'other')[number % 2]}" for number in range(10))
    session = Session(plan(tickets, agents=TWO_TYPES))
    session.ask(rq.Hold(types=("one",), by="ann"))
    session.ask(rq.Hold(tickets=("T0", "T1"), by="ann"))
    assert waiting_counts(session.state) == WaitingCounts(4, None, 6)
    assert len(select(session.state, ["status:held"])) == shown(session)["held"] == 6


@pytest.mark.parametrize("alike", [False, True])
def test_no_more_claims_are_compared_than_the_bound_says(monkeypatch: pytest.MonkeyPatch, alike: bool) -> None:
    monkeypatch.setattr(readiness, "_MAX_ASKED", 3)
    session = Session(
        plan("\n".join(f"T{number}: writes=out/{0 if alike else number}" for number in range(10)), parallel=1)
    )
    session.dispatch()
    asked: list[str] = []

    def blockers_of(state: SessionState, ticket: TicketState) -> Iterator[Blocker]:
        asked.append(ticket.id)
        return blockers_but_agents(state, ticket)

    monkeypatch.setattr(readiness, "blockers_but_agents", blockers_of)
    assert waiting_counts(session.state) == (WaitingCounts(9, 0, 0) if alike else WaitingCounts(9, None, 0))
    assert len(asked) == (1 if alike else 3), "it stops asking when it cannot tell any more"
    waiting_counts(session.state)
    assert len(asked) == (1 if alike else 3), "the answer is kept until the next event"


def test_nothing_is_ready_while_nothing_may_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_MAX_TICKETS", 2)
    session = Session(plan("A:\nB:\nC:"))
    assert waiting_counts(session.state) == WaitingCounts(3, None, 0)
    session.ask(rq.Hold(by="ann"))
    assert waiting_counts(session.state) == WaitingCounts(3, 0, 0), "that costs nothing to know"
    session.ask(rq.Release(by="ann"))
    session.state.note_engine_lost(EngineLost(session.now, "no engine"))
    assert waiting_counts(session.state) == WaitingCounts(3, 0, 0)


def test_what_waits_for_a_service_is_not_counted_as_what_waits_for_nothing() -> None:
    session = Session(plan("A:\nB: uses_service=db", services={"db": Service(run="db")}))
    check(session)
    assert waiting_counts(session.state) == WaitingCounts(1, 1, 0)


@given(plan=plans(), numbers=steps(60), held=st.sets(st.sampled_from(("x", "y"))))
def test_counts_are_those_of_the_rows(plan: Plan, numbers: list[int], held: set[str]) -> None:
    session = Session(plan, checks=False)
    run(session, numbers)
    check(session)
    if held and session.state.finished_at is None:
        session.act(rq.Hold(types=tuple(held), by="ann"))
        check(session)
