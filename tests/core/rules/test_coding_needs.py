"""What coding agents need of a person, what those wait for that wait for that, and what a person can do."""

import pytest

from parexec_tui.core.plan.units import Money
from parexec_tui.core.rules.attention import Need, Subject, began, needs, relieved
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.banner import pieces
from parexec_tui.text.roots import root_text
from tests.core.coded import coded, said, tells
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session


def called_for(session: Session, since: int) -> list[Need]:
    return [need for event in session.journal[since:] for need in began(session.state, event)]


def relieved_by(session: Session, since: int) -> list[Subject]:
    return [subject for event in session.journal[since:] for subject in relieved(event)]


def test_a_ticket_whose_agent_was_not_allowed_something() -> None:
    session = coded("A: agent=claude\nC: A agent=claude")
    before = len(session.journal)
    said(session, "A", "needs you", "denied: Bash")
    need = Need(Subject("ticket", "A"), "needs you: denied: Bash")
    assert list(needs(session.state)) == called_for(session, before) == [need]
    root = Root("answer", "A", reason="denied: Bash", since=session.now)
    assert root_of(session.state, session.state.tickets["A"]) == root_of(session.state, session.state.tickets["C"])
    assert root_of(session.state, session.state.tickets["C"]) == root
    assert root.stays
    assert [each.text for each in why(session.state, session.state.tickets["A"])] == ["needs you: denied: Bash"]


def test_an_agent_that_asks_while_it_runs() -> None:
    session = coded("A: agent=claude\nC: A agent=claude")
    before = len(session.journal)
    tells(session, "A", question="q1", asks="delete the table?", choices=("yes", "no"))
    assert list(needs(session.state)) == called_for(session, before)
    assert [need.reason for need in needs(session.state)] == ["asks: delete the table?"]
    root = root_of(session.state, session.state.tickets["C"])
    assert root is not None
    assert (root.kind, root.how, root.ticket, root.stays) == ("answer", "asks", "A", False)
    before = len(session.journal)
    session.apply(ev.TicketAnswered(at=session.now, ticket="A", answer="no", question="q1"))
    assert relieved_by(session, before) == [Subject("ticket", "A")]
    assert list(needs(session.state)) == []


def test_an_agent_type_with_something_to_mend() -> None:
    session = coded("A: agent=claude\nB: agent=claude")
    before = len(session.journal)
    said(session, "A", "auth", "run claude /login")
    trouble = Need(Subject("type", "claude"), "not logged in: run claude /login")
    assert list(needs(session.state)) == called_for(session, before) == [trouble]
    before = len(session.journal)
    session.act(rq.Release(types=("claude",)))
    assert Subject("type", "claude") in relieved_by(session, before)
    assert list(needs(session.state)) == []


def test_a_limit_needs_nobody_and_is_the_root_of_what_waits() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "limited", "You've hit your limit", until=session.now + 4320)
    assert list(needs(session.state)) == []
    root = root_of(session.state, session.state.tickets["A"])
    assert root is not None
    assert (root.kind, root.name, root.how, root.reason) == ("limit", "claude", "claude", "You've hit your limit")
    assert root.until == pytest.approx(session.now + 4320, abs=60)
    assert not root.stays


def test_a_release_tries_an_account_that_rests_at_once() -> None:
    session = coded("A: agent=claude\nB: agent=claude\nC: agent=claude")
    for ticket in "ABC":
        said(session, ticket, "limited", "no", until=session.now + 4320)
    assert session.dispatch() == []
    session.act(rq.Release(types=("claude",), by="ann"))
    assert session.journal[-1] == ev.AccountTried(at=session.now, account="claude", by="ann")
    assert session.dispatch() == ["A"], "one ticket tries it"
    before = len(session.journal)
    session.act(rq.Release(types=("claude",), by="ann"))
    assert not [event for event in session.journal[before:] if isinstance(event, ev.AccountTried)]


def test_a_limit_is_the_root_also_while_the_fallback_is_full() -> None:
    agents = {"claude": coder(fallback=("codex",)), "codex": coder("codex", max=1)}
    session = coding_session("A: agent=claude\nB: agent=claude", agents=agents)
    began = session.dispatch()
    assert len(began) == 2
    for id_ in began:
        says(session, id_, "limited", "no more", until=session.now + 4320)
    (on_codex,) = session.dispatch()
    (waits,) = {"A", "B"} - {on_codex}
    root = root_of(session.state, session.state.tickets[waits])
    assert root is not None
    assert (root.kind, root.name) == ("limit", "claude")


def test_a_spent_budget_is_told_once_until_it_is_raised() -> None:
    session = coding_session("\n".join(f"T{n}:" for n in range(5)), agents={"claude": coder(max=2)}, budget=Money(10))
    session.dispatch()
    before = len(session.journal)
    says(session, "T0", cost=4.0)
    assert session.dispatch() == []
    assert [*needs(session.state), *called_for(session, before)] == [], "the one that runs may cost less"
    before = len(session.journal)
    says(session, "T1", cost=5.0)
    assert session.dispatch() == []
    words = "budget: $9 of $10 spent, and about $5 expected of an attempt; parexec scale --budget DOLLARS"
    need = Need(Subject("budget"), words)
    assert list(needs(session.state)) == called_for(session, before) == [need]
    assert [piece.subject for piece in pieces(session.state)] == [need.subject]

    before = len(session.journal)
    session.act(rq.Scale(most=None, budget="$15", by="ann"))
    assert relieved_by(session, before) == [need.subject]
    assert session.dispatch() == ["T2"]
    assert list(needs(session.state)) == []
    before = len(session.journal)
    says(session, "T2", cost=7.0)
    assert session.dispatch() == []
    assert [each.reason for each in called_for(session, before)] == [
        "budget: $16 of $15 spent; parexec scale --budget DOLLARS"
    ]


def test_a_budget_of_a_type_that_a_fallback_takes_over_needs_nobody() -> None:
    agents = {"claude": coder(budget=Money(1), fallback=("codex",)), "codex": coder("codex", budget=Money(1))}
    session = coding_session("A: agent=claude\nB: agent=claude A\nC: agent=claude B", agents=agents)
    session.dispatch()
    says(session, "A", cost=1.5)
    assert list(needs(session.state)) == []
    session.dispatch()
    before = len(session.journal)
    says(session, "B", cost=2.0)
    (need,) = called_for(session, before)
    assert need.subject == Subject("budget", "codex")
    assert [each.subject.name for each in needs(session.state)] == ["claude", "codex"], "a higher one of either helps"


def test_an_account_that_is_limited_again_and_again_needs_a_look() -> None:
    session = coding_session("A:\nB: A")
    session.dispatch()
    called: list[Need] = []
    for times in range(1, 5):
        before = len(session.journal)
        says(session, "A", "limited", "quota", until=session.now + 10)
        called += called_for(session, before)
        told = f"limited, {times} times in a row: quota"
        assert [each.reason for each in needs(session.state)] == ([f"claude is {told}"] if times >= 3 else [])
        (piece,) = pieces(session.state)
        assert (piece.subject is not None, "times in a row" in piece.text) == (times >= 3, times >= 3)
        root = root_of(session.state, session.state.tickets["B"])
        assert root is not None
        assert ("times in a row" in root_text(root, session.now)) == (times >= 3)
        assert any("times in a row" in each.text for each in why(session.state, session["A"])) == (times >= 3)
        session.now = session.state.accounts["claude"].until
        session.tell(rq.RestElapsed("claude"))
        session.dispatch()
    assert [each.subject for each in called] == [Subject("account", "claude")], "once"
    before = len(session.journal)
    says(session, "A")
    assert Subject("account", "claude") in relieved_by(session, before)


def test_who_needs_somebody_without_a_word_is_told_of_in_words() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "needs you")
    assert session.state.tickets["A"].reason == "its agent does not say what for"
