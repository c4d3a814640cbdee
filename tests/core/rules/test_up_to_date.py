"""A ticket with `up_to_date` is asked before its first attempt, if it says what it reads or writes."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.identity import identity_of
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.schedule.dispatcher import MAX_LOOKS
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan

FRESH = "T: up_to_date=true reads=src\nD: T"


def test_what_is_up_to_date_has_succeeded_and_took_no_agent() -> None:
    found = Session(FRESH)
    found.dispatch()
    assert (found["T"].asking, found.live()) == ("up-to-date", [])
    assert found.why("T") == ["it is being found out whether it is up to date"]
    assert found.answer("T", done=True) == [ev.TicketSatisfied(at=found.now, ticket="T", reason="up to date")]
    assert (found.status("T"), found["T"].attempts, found.state.agents) == ("succeeded", 0, {})
    assert found.dispatch() == ["D"]


def test_what_is_not_is_run_and_the_event_says_why() -> None:
    found = Session(FRESH)
    found.dispatch()
    assert found.answer("T") == [ev.QuestionAnswered(at=found.now, ticket="T", stale="never ran")]
    assert found.dispatch() == ["T"]


def test_it_is_asked_for_again_by_another_engine_and_not_when_somebody_wants_it_to_run() -> None:
    found = Session(FRESH)
    found.dispatch()
    found.restart()
    assert found["T"].asking == "up-to-date"
    found.answer("T", done=True)
    found.act(rq.Retry(tickets=("T",), by="bob"))
    assert "T" in found.dispatch()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("up_to_date=true", ""),
        ("up_to_date=true outputs=out", "up-to-date"),
        ("up_to_date=true writes=out", "up-to-date"),
        ("up_to_date=true writes=out if_done=out", "if-done"),
        ("up_to_date=true writes=out skip_if=true", "skip-if"),
        ("up_to_date=false reads=src", ""),
    ],
)
def test_who_is_asked_and_how(text: str, asked: str) -> None:
    found = Session(f"T: {text}")
    started = found.dispatch()
    assert (found["T"].asking, started) == (asked, [] if asked else ["T"])


def test_so_many_are_looked_at_at_once() -> None:
    found = Session(plan("\n".join(f"T{n}: up_to_date=true reads=src" for n in range(MAX_LOOKS + 2))), checks=False)
    found.dispatch()
    assert len(found.state.asking) == MAX_LOOKS
    found.answer("T1", done=True)
    found.dispatch()
    assert len(found.state.asking) == MAX_LOOKS


def test_a_change_of_the_plan_is_asked_about() -> None:
    found = Session("A:\nT: A reads=src")
    found.dispatch()
    found.ask(rq.Edit(ticket="T", changes={"up_to_date": True}))
    assert not ticket(found).is_asked
    found.succeed("A")
    found.dispatch()
    assert ticket(found).asking == "up-to-date"
    found.ask(rq.Edit(ticket="T", changes={"up_to_date": None}))
    assert (found.state.asking, found.dispatch()) == ({}, ["T"])


def ticket(session: Session) -> TicketState:
    return session["T"]


def test_the_identity_of_a_ticket_is_what_it_does() -> None:
    agents = {"a": AgentType(), "b": AgentType(nice=5), "c": AgentType(env={"X": "1"})}
    known = plan("T: reads=src", agents=agents)
    spec = known.tickets["T"]
    same = identity_of(known, spec, "a")
    assert same == identity_of(known, structs.replace(spec, title="other", timeout=5.0, retries=2), "b")
    others: list[Ticket] = [
        structs.replace(spec, run="false"),
        structs.replace(spec, env={"A": "1"}),
        structs.replace(spec, gates=("lint",)),
        structs.replace(spec, reads=("src", "more")),
        structs.replace(spec, cwd="sub"),
    ]
    found = {same, identity_of(known, spec, "c"), *(identity_of(known, other, "a") for other in others)}
    assert len(found) == len(others) + 2
