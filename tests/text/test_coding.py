"""Coding agents in words: the same in the banner, in `status`, in summaries and on the page of `why`."""

import time

import pytest

from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.wire.protocol import Doing, RestFact
from parexec_tui.text.banner import BannerContext, pieces
from parexec_tui.text.coding import (
    blocker_words,
    doing_text,
    first_words,
    rest_text,
    time_of_day,
    what_first,
)
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.event_lines import lines as event_lines
from parexec_tui.text.roots import Ending
from parexec_tui.text.spending import figures_text
from parexec_tui.text.status_facts import status_report
from parexec_tui.tui.view.facts import reason_of
from tests.core.coded import coded, said, tells


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_a_time_that_comes() -> None:
    noon = 1_800_014_400.0  # 2027-01-15 12:00:00
    assert time_of_day(noon + 90, noon) == "12:01:30"
    assert time_of_day(noon + 4320, noon) == "13:12"
    assert time_of_day(noon + 90_000, noon) == "Sat 13:00"


def test_an_account_that_rests() -> None:
    rest = RestFact("team", 5320.0, "You've hit\x1b[31m your limit")
    assert rest_text(rest, 1000.0) == "team limited until 01:28 (1h12): You've hit your limit"
    assert rest_text(rest, None, is_brief=True) == "team limited until 01:28"
    assert rest_text(RestFact("team", None, is_outage=True), 1000.0) == "team gets no answer and tried now"


def test_how_long_an_agent_does_something_is_said_once_it_is_a_while() -> None:
    doing = Doing(what="$ npm test", since=1000.0)
    assert doing_text(doing, 1130.0) == ("$ npm test", "2m10")
    assert doing_text(doing, 1003.0) == ("$ npm test", "")
    assert doing_text(Doing(what="thinks"), 1003.0) == ("thinks", "")


def test_what_a_person_has_to_do_comes_first() -> None:
    session = coded("A: agent=claude\nB: agent=claude\nC: agent=free\nF: agent=shell")
    assert what_first(session.state, session.now) == ""
    session.fail("F")
    assert what_first(session.state, session.now) == "", "the counts say that"
    said(session, "A", "needs you", "denied: Bash")
    tells(session, "B", question="q", asks="drop it?")
    said(session, "C", "limited", "no", until=session.now + 4320)
    first = what_first(session.state, None)
    assert first.startswith("2 need you, codex limited until 01:2")
    assert first.endswith(", 1 failed")
    assert first_words(1, (), 0, None) == "1 needs you"
    report = status_report(session.state, session.now)
    lines = dashboard(report, now=session.now)
    assert lines[1].startswith("first    2 need you, codex limited until 01:2")
    assert any("2 need you" in line for line in lines if line.startswith("tickets"))


def test_the_banner_says_what_needs_an_answer_before_what_failed() -> None:
    session = coded("A: agent=claude\nB: A agent=claude\nC: agent=free\nD: agent=claude\nF: agent=shell")
    session.fail("F")
    said(session, "A", "needs you", "denied: Bash")
    said(session, "C", "limited", "enough", until=session.now + 600)
    said(session, "D", "auth", "no key")
    told = list(pieces(session.state, BannerContext(now=session.now)))
    assert told[1].remedy == Ending("answer", "answer", "answers", "A", "TEXT")
    found = [piece.text for piece in told]
    assert found[:3] == [
        "claude needs you: not logged in: no key",
        "A needs you: denied: Bash; 1 waits for it",
        "F failed: exit 1",
    ]
    assert found[3].startswith("codex limited until 00:2")
    assert found[3].endswith(": enough")


def test_where_the_lines_of_a_question_end_is_seen_wherever_it_is_told_on_one() -> None:
    session = coded("A: agent=claude\nB: agent=claude\nC: B agent=claude")
    tells(session, "A", question="q", asks="Bash: echo\nrm")
    said(session, "B", "needs you", "denied: Bash: echo\nrm")
    state = session.state
    told = [need.reason for need in needs(state)]
    told += [line.text for event in session.journal for line in event_lines(state, event) if "echo" in line.text]
    told += [reason_of(state, ticket, session.now) for ticket in state.tickets.values()]
    told += [line for line in dashboard(status_report(state, session.now), now=session.now) if "echo" in line]
    assert len(told) >= 2 + 2 + 3 + 2
    assert [text for text in told if "Bash: echo ⏎ rm" not in text] == []


def test_why_a_ticket_waits_for_a_reset_says_the_time_before_the_words_of_the_provider() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "limited", "You've hit your limit", until=session.now + 4320)
    (blocker,) = why(session.state, session.state.tickets["A"])
    words = blocker_words(blocker, session.now)
    assert words.startswith("claude is limited until 01:2")
    assert words.endswith("): You've hit your limit")


def test_a_budget_that_keeps_tickets_from_starting_is_said() -> None:
    session = coded("A: agent=claude\nB: A agent=claude\nC: B agent=claude", budget=0.5)
    said(session, "A", "succeeded", cost=0.6)
    session.dispatch()
    assert [piece.text for piece in pieces(session.state)] == ["budget: $0.60 of $0.50 spent; 2 wait for it"]


def test_what_an_agent_type_needs_is_said_once() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "auth", "no key")
    lines = dashboard(status_report(session.state, session.now), now=session.now)
    at = lines.index("waits    agent type claude needs you: not logged in: no key; 1 waits for it")
    assert lines[at + 1].strip() == "parexec release claude"


def test_at_least_nothing_is_not_known() -> None:
    assert figures_text(Figures(cost=0.0, is_least=True, is_cost_least=True)) == "- and - tokens"
    assert figures_text(Figures(cost=0.0, inp=0)) == "$0 and 0 tokens"
