"""answer: what a person says to a coding agent, and what becomes of its ticket."""

from typing import Literal

import pytest
from msgspec import structs

from parexec_tui.agents.facts import fact
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.rules.attention import needs
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.verbs.answer import shown_questions
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of, open_types
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Question
from parexec_tui.engine.agent_facts import said_with
from parexec_tui.engine.briefs import telling_of
from parexec_tui.text import questions
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, dump, replay


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


def test_what_one_asks_at_once_is_asked_one_after_the_other() -> None:
    """An agent may ask about several tools at once: the oldest first, and the next one when that is answered."""
    session = coding_session("T:")
    session.dispatch()
    session.spawned("T")
    said = rq.AgentSaid("T", 1)
    for id_ in ("r1", "r2", "r3"):
        said = said_with(said, fact("ask", id=id_, what=f"Bash: {id_}", choices=["yes", "no"]))
    session.tell(said)
    told = []
    while (asks := coding_of(session.state, session.state.tickets["T"]).asks) is not None:
        told.append(asks.question)
        session.act(answer("yes"))
        said = said_with(said, fact("ask_done", id=asks.question, answer="yes"))
        session.tell(said)
    assert told == ["r1", "r2", "r3"]
    said = said_with(said, fact("ask", id="r1", what="once more, by the same name"))
    session.tell(said)
    asks = coding_of(session.state, session.state.tickets["T"]).asks
    assert asks is not None
    assert asks.what == "once more, by the same name"
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_a_question_that_is_withdrawn_needs_nobody_and_takes_no_answer() -> None:
    session = coding_session("T: timeout=60s")
    session.dispatch()
    session.spawned("T")
    said = said_with(rq.AgentSaid("T", 1), fact("ask", id="r1", what="Bash: echo harmless"))
    session.tell(said)
    shown = shown_questions(session.state, ("T",))
    session.now += 100
    said = said_with(said, fact("ask_done", id="r1", answer="withdrawn"))
    session.tell(said)
    ticket = session.state.tickets["T"]
    assert (list(needs(session.state)), ticket.is_asking, ticket.worked(session.now)) == ([], False, 0.0)
    asked = structs.replace(answer("yes"), questions=shown)
    assert refused(session, asked) == "T does not ask that any more"
    session.now += 1
    session.tell(said_with(said, fact("ask", id="r2", what="Bash: rm -rf everything")))
    assert refused(session, asked).startswith("T asks something else by now: Bash: rm -rf everything")
    assert "'harmless' is not in what T asks now" in refused(
        session, structs.replace(asked, questions={}, about="harmless")
    )
    session.act(structs.replace(asked, questions=shown_questions(session.state, ("T",)), about="rm -rf"))
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_what_was_not_read_yet_is_not_withdrawn(asking: Session) -> None:
    """An engine that comes reads the file of facts from its beginning, a little at a time."""
    session = coding_session("T:")
    session.dispatch()
    session.spawned("T")
    said = said_with(rq.AgentSaid("T", 1), fact("ask", id="r1", what="?"))
    session.tell(said)
    session.tell(rq.AgentSaid("T", 1, conversation="c1"))
    assert session.state.tickets["T"].is_asking
    asking.tell(said_with(rq.AgentSaid("T", 1), fact("ask", id="q1", what="delete it?")))
    assert len([each for each in asking.journal if isinstance(each, ev.TicketAsks)]) == 1, "as of an older engine"


@pytest.mark.parametrize(
    ("typed", "meant", "denies"),
    [
        ("Yes", "yes", False),
        ("y", "yes", False),
        ("ok", "yes", False),
        ("ALWAYS", "always", False),
        ("N", "no", False),
        ("yes, in tests", "yes, in tests", True),
    ],
)
@pytest.mark.parametrize(("kind", "choices"), [("claude", ("yes", "no")), ("acp", ("Allow", "Reject"))])
def test_a_yes_is_a_yes_and_other_words_are_said_to_be_none(
    kind: Literal["claude", "acp"], choices: tuple[str, ...], typed: str, meant: str, denies: bool
) -> None:
    session = coding_session("T:", agents={"agent": coder(kind)})
    session.dispatch()
    session.tell(rq.AgentSaid("T", 1, question="q1", asks="Bash: ls", choices=choices))
    events = session.act(answer(typed))
    assert not isinstance(events, rq.Refusal)
    (told,) = (each for each in events if isinstance(each, ev.TicketAnswered))
    assert (told.answer, told.denies, told.what) == (meant, denies, "Bash: ls")


def test_a_choice_of_a_wrapper_is_told_as_it_is_written() -> None:
    session = coding_session("T:", agents={"own": AgentType(speaks="facts", command=("own",))})
    session.dispatch()
    session.tell(rq.AgentSaid("T", 1, question="q1", asks="Which?", choices=("SQLite", "Y")))
    events = session.act(answer("sqlite"))
    assert not isinstance(events, rq.Refusal)
    (told,) = (each for each in events if isinstance(each, ev.TicketAnswered))
    assert (told.answer, told.denies) == ("SQLite", False)


def test_a_question_without_choices_takes_any_words() -> None:
    session = coding_session("T:", agents={"own": AgentType(speaks="facts", command=("own",))})
    session.dispatch()
    session.tell(rq.AgentSaid("T", 1, question="q1", asks="Which letter?"))
    events = session.act(answer("n"))
    assert not isinstance(events, rq.Refusal)
    assert [(each.answer, each.denies) for each in events if isinstance(each, ev.TicketAnswered)] == [("n", False)]


def test_an_answer_to_one_that_had_ended_is_not_for_what_it_ended_for_since() -> None:
    session = coding_session("T:")
    session.dispatch()
    says(session, "T", "needs you", "denied: Bash: echo harmless")
    shown = shown_questions(session.state, ("T",))
    session.now += 1
    session.act(answer("no", "Bash(echo *)"))
    session.dispatch()
    says(session, "T", "needs you", "denied: Bash: rm -rf everything")
    asked = structs.replace(answer("", "Bash"), questions=shown)
    assert refused(session, asked).startswith("T asks something else by now: denied: Bash: rm -rf everything")
    assert "would be denied again" in refused(session, answer("Yes"))


def test_what_was_allowed_by_a_rule_waits_for_who_knows_it() -> None:
    agents = {"claude": coder(max=2, fallback=("codex",)), "codex": coder("codex")}
    session = coding_session("T: agent=claude\nU: agent=claude", agents=agents)
    session.dispatch()
    says(session, "T", "needs you", "denied: Bash: git push")
    says(session, "U", "limited", "quota", until=session.now + 4000)
    session.act(answer("do", "Bash(git push *)"))
    session.dispatch()
    assert [str(session.state.tickets[id_].status) for id_ in "TU"] == ["waiting", "running"], "only U is on codex"
    root = root_of(session.state, session.state.tickets["T"])
    assert root is not None
    assert (root.kind, root.how) == ("limit", "claude")
    session.act(rq.Reassign(tickets=("T",), agent="codex"))
    assert open_types(session.state, session.state.tickets["T"]) == ("codex",), "it has to"
    ticket = session.state.tickets["T"]
    assert telling_of(session.state, ticket, ticket.spec, agents["codex"], "").told.answer == (
        "do; you may do this now: Bash(git push *)"
    )


def test_all_of_what_is_asked_is_told_to_who_asks_for_it() -> None:
    session = coding_session("T:\nU:\nV:")
    session.dispatch()
    command = f"Bash: echo {'y' * 5000}\nrm -rf ~/END"
    session.tell(rq.AgentSaid("T", 1, question="q1", asks=command, choices=("yes", "no")))
    says(session, "U", "needs you", "denied: Bash: ls")
    found = questions.answer(session.state, Question(id=1, about="asks", tickets=("T", "U", "V")), session.now)
    assert isinstance(found, dict)
    assert {id_: (each.what, each.choices) for id_, each in found.items()} == {
        "T": (command, ("yes", "no", "always")),
        "U": ("denied: Bash: ls", ()),
    }
    names = {id_: each.name for id_, each in found.items()}
    assert names == shown_questions(session.state, ("T", "U")) == {"T": "1.0", "U": "1"}
    refusal = questions.answer(session.state, Question(id=1, about="asks", tickets=("V",)), session.now)
    assert isinstance(refusal, rq.Refusal)
    assert refusal.reason.startswith("the agent of V asks nothing")


def test_those_that_ask_are_answered_and_the_others_are_left_out() -> None:
    session = coding_session("T:\nU:")
    session.dispatch()
    session.tell(rq.AgentSaid("T", 1, question="q1", asks="Bash: ls", choices=("yes", "no")))
    narrowed = narrow(session.state, rq.AnswerAgent(tickets=("T", "U"), answer="yes"))
    assert narrowed.request == rq.AnswerAgent(tickets=("T",), answer="yes")
