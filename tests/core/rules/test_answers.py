"""answer: what a person says to a coding agent, and what becomes of its ticket."""

from typing import Literal

import pytest

from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session


def answer(text: str = "", *allow: str) -> rq.AnswerAgent:
    return rq.AnswerAgent(tickets=("T",), answer=text, allow=allow, by="ann")


@pytest.fixture
def denied() -> Session:
    """Its agent was not allowed something, and its attempt is over."""
    session = coding_session("T:")
    session.dispatch()
    says(session, "T", "needs you", "denied: Bash")
    assert session.state.tickets["T"].needs_you
    return session


@pytest.fixture
def asking() -> Session:
    """Its agent asks, and waits."""
    session = coding_session("T: timeout=60s")
    session.dispatch()
    session.spawned("T")
    session.now += 10
    session.tell(rq.AgentSaid("T", 1, question="q1", asks="delete it?", choices=("yes", "no")))
    return session


def refused(session: Session, asked: rq.AnswerAgent) -> str:
    found = session.ask(asked)
    assert isinstance(found, rq.Refusal), found
    return str(found)


def test_one_that_is_over_goes_on_without_a_charge(denied: Session) -> None:
    denied.act(answer("keep it", "Bash(git push *)"))
    ticket = denied.state.tickets["T"]
    told = coding_of(denied.state, ticket)
    assert (ticket.status, ticket.charged, ticket.reason) == (Status.waiting, 0, "answered by ann")
    assert told.answered is not None
    assert (told.answered.answer, told.allowed) == ("keep it", ("Bash(git push *)",))
    assert "T is answered already (undo that first" in refused(denied, answer("and again"))
    denied.dispatch()
    says(denied, "T", "succeeded")
    told = coding_of(denied.state, ticket)
    assert (told.answered, told.allowed) == (None, ("Bash(git push *)",))


def test_an_answer_can_be_taken_back_until_it_is_heard(denied: Session) -> None:
    denied.act(answer("", "Bash(rm *)"))
    denied.act(rq.Undo(by="ann"))
    ticket = denied.state.tickets["T"]
    assert (ticket.needs_you, coding_of(denied.state, ticket).allowed) == (True, ())


def test_what_is_not_heard_is_said_again(denied: Session) -> None:
    denied.act(answer("keep it"))
    denied.dispatch()
    says(denied, "T", "limited", "later")
    told = coding_of(denied.state, denied.state.tickets["T"])
    assert told.answered is not None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (answer(" "), "there is no answer"),
        (answer("a\0b"), "NUL"),
        (answer("x" * 70_000), "an answer has at most 64 KiB"),
        (answer("yes"), "T is over, and what it was denied: Bash would be denied again (parexec answer T --allow"),
        (answer("", " Bash"), "a rule is empty, or begins or ends with a space"),
    ],
)
def test_what_cannot_be_answered(denied: Session, asked: rq.AnswerAgent, told: str) -> None:
    assert told in refused(denied, asked)


def test_who_takes_no_rules() -> None:
    session = coding_session("T:", agents={"codex": coder("codex")})
    session.dispatch()
    says(session, "T", "needs you", "denied: rm")
    assert "codex cannot be allowed one thing more (permissions in [agents.codex]" in refused(
        session, answer("", "rm")
    )


def test_who_asks_nothing() -> None:
    session = coding_session("T:")
    assert "the agent of T asks nothing: it is waiting" in refused(session, answer("yes"))
    session.dispatch()
    says(session, "T", "succeeded")
    assert "(retry T --note TEXT)" in refused(session, answer("yes"))


def test_approval_is_no_answer(denied: Session) -> None:
    found = denied.ask(rq.Approve(tickets=("T",)))
    assert isinstance(found, rq.Refusal)
    assert "T has not succeeded, denied: Bash (parexec answer T TEXT" in str(found)


def test_a_question_stops_the_clock_until_it_is_answered(asking: Session) -> None:
    ticket = asking.state.tickets["T"]
    asking.now += 1000
    assert ticket.worked(asking.now) == 10
    asking.act(answer("yes"))
    told = coding_of(asking.state, ticket).answered
    assert told is not None
    assert (told.answer, told.question) == ("yes", "q1")
    asking.now += 5
    assert (ticket.status, ticket.worked(asking.now)) == (Status.running, 15)
    # its file of facts is read again by the next engine
    assert asking.tell(rq.AgentSaid("T", 1, question="q1", asks="delete it?")) == []
    assert "T is answered already, and its agent goes on" in refused(asking, answer("yes"))
    assert "the agent of T has heard it" in str(asking.ask(rq.Undo(by="ann")))


def test_a_frozen_question(asking: Session) -> None:
    ticket = asking.state.tickets["T"]
    asking.now += 10
    asking.act(rq.Freeze(tickets=("T",)))
    asking.now += 10
    asking.act(answer("no"))
    asking.now += 10
    assert ticket.worked(asking.now) == 10
    asking.act(rq.Thaw(tickets=("T",)))
    asking.now += 3
    assert ticket.worked(asking.now) == 13


@pytest.mark.parametrize("isolation", ["none", "worktree"])
def test_what_was_denied_is_no_success_without_a_proof(isolation: Literal["none", "worktree"]) -> None:
    """That work is committed and merged proves nothing of it."""
    session = coding_session("T:", agents={"claude": coder(isolation=isolation)})
    session.dispatch()
    says(session, "T", "needs you", "denied: Bash")
    assert session.state.tickets["T"].needs_you
