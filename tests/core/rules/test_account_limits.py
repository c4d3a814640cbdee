"""Accounts that rest, on a clock by hand: who waits, who tries, and what that costs."""

from parexec_tui.core.rules.leaving import why_to_leave
from parexec_tui.core.rules.reports.coding import GUESSES, MOST_OUTAGES, OUTAGES
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.outcome import UNANSWERED
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import RestFact
from parexec_tui.text.coding import rest_facts, rest_text
from parexec_tui.text.words import clock
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, dump, replay

HOUR = 3600.0


def wakes(session: Session, account: str = "claude") -> list[str]:
    """Wait until an account has rested; who tries it."""
    session.now = session.state.accounts[account].until
    session.tell(rq.RestElapsed(account))
    return session.dispatch()


def test_twenty_tickets_at_a_limit_wait_five_hours_and_cost_no_retry() -> None:
    session = coding_session("\n".join(f"T{n}: retries=2" for n in range(20)), agents={"claude": coder(max=4)})
    session.checks = False  # it takes the square of the events
    began = session.dispatch()
    assert len(began) == 4
    reset = session.now + 5 * HOUR
    for id_ in began:
        says(session, id_, "limited", "You've hit your limit", until=reset)
    assert session.dispatch() == []
    assert len([each for each in session.journal if isinstance(each, ev.AccountRests)]) == 1
    rest = session.state.accounts["claude"]
    assert reset <= rest.until <= reset + 60
    session.now = reset - 1
    session.tell(rq.RestElapsed("claude"))
    assert session.dispatch() == [], "it is not over yet"

    (canary,) = wakes(session)
    assert session.dispatch() == []
    says(session, canary)
    assert session.state.accounts == {}
    while began := session.dispatch():
        assert len(began) <= 4
        for id_ in began:
            says(session, id_)
    assert session.state.counts[Status.succeeded] == 20
    assert {each.charged for each in session.state.tickets.values()} == {0}
    ended = [each.end for each in session.journal if isinstance(each, ev.AttemptEnded)]
    assert (ended.count(End.limited), len(ended)) == (4, 24)


def test_a_canary_that_is_limited_again_lets_the_account_rest_again() -> None:
    session = coding_session("A:\nB:")
    for id_ in session.dispatch():
        says(session, id_, "limited", until=session.now + HOUR)
    (canary,) = wakes(session)
    says(session, canary, "limited", until=session.now + HOUR)
    assert session.dispatch() == []
    assert session.state.accounts["claude"].times == 2


def test_a_reset_that_nobody_knows_is_guessed_longer_each_time() -> None:
    session = coding_session("A:")
    session.dispatch()
    waited = []
    for _ in range(len(GUESSES) + 1):
        says(session, "A", "limited")
        waited.append(session.state.accounts["claude"].until - session.now)
        assert wakes(session) == ["A"]
    assert waited == [*GUESSES, GUESSES[-1]]
    says(session, "A")
    assert session.state.accounts == {}


def test_a_reset_that_does_not_hold_is_believed_less_each_time() -> None:
    session = coding_session("A:")
    session.dispatch()
    waited = []
    for _ in range(5):
        says(session, "A", "limited", until=session.now + 10)
        waited.append(session.state.accounts["claude"].until - session.now)
        assert wakes(session) == ["A"]
    assert all(10 <= told <= 11 for told in waited[:2])
    assert waited[2:] == list(GUESSES[:3])


def test_a_provider_that_does_not_answer_fails_a_ticket_in_the_end() -> None:
    session = coding_session("A: retries=0")
    session.dispatch()
    for wait in OUTAGES[: MOST_OUTAGES - 1]:
        says(session, "A", "unavailable", "overloaded")
        assert session.state.accounts["claude"].until - session.now == wait
        assert session.state.tickets["A"].charged == 0
        assert wakes(session) == ["A"]
    says(session, "A", "unavailable", "overloaded")
    assert session.state.tickets["A"].status is Status.failed
    assert session.state.tickets["A"].reason == "its provider does not answer: overloaded"


def test_types_of_one_account_rest_together_and_a_fallback_takes_over() -> None:
    agents = {
        "opus": coder(max=1, account="team", model="opus"),
        "haiku": coder(max=1, account="team", model="haiku", fallback=("codex",)),
        "codex": coder("codex", max=1),
    }
    session = coding_session("A: agent=opus\nB: agent=haiku\nC: agent=opus", agents=agents)
    assert set(session.dispatch()) >= {"A"}
    says(session, "A", "limited", until=session.now + HOUR)
    if session.state.tickets["B"].attempt is not None:
        says(session, "B", "limited", until=session.now + HOUR)
    assert session.dispatch() == ["B"]
    assert session.state.tickets["B"].agent == "codex-1"


def test_an_engine_that_was_away_over_the_reset_tries_it_at_once() -> None:
    session = coding_session("A:\nB:")
    for id_ in session.dispatch():
        says(session, id_, "limited", until=session.now + HOUR)
    session.now += 2 * HOUR
    session.restart()
    assert len(wakes(session)) == 1


def test_an_account_that_no_ticket_waits_for_holds_up_nothing() -> None:
    session = coding_session(
        "lim: agent=claude\ndeny: agent=codex\nlater: deny agent=claude",
        agents={"claude": coder(), "codex": coder("codex")},
    )
    assert sorted(session.dispatch()) == ["deny", "lim"]
    says(session, "lim", "limited", "no more", until=session.now + HOUR)
    says(session, "deny", "needs you", "denied: Bash")
    assert session.dispatch() == []
    assert why_to_leave(session.state, stays=False) is None, "it goes on when the account may work again"
    assert [rest.account for rest in rest_facts(session.state)] == ["claude"]

    session.act(rq.Cancel(tickets=("lim",)))
    assert why_to_leave(session.state, stays=False) == UNANSWERED, "what needs deny cannot try it either"
    session.tell(rq.RestElapsed("claude"))
    assert wakes(session) == []
    assert why_to_leave(session.state, stays=False) == UNANSWERED
    assert rest_facts(session.state) == [], "nobody tries it"


def test_nobody_waits_for_an_attempt_that_began_before_the_limit() -> None:
    session = coding_session("slow:\nlim:\nnext:", agents={"claude": coder(max=2)})
    first = session.dispatch()
    assert len(first) == 2
    slow, limited = first
    says(session, limited, "limited", until=session.now + HOUR)
    assert session.dispatch() == []
    (canary,) = wakes(session)
    assert session.dispatch() == [], "one tries it"
    session.now += 60
    says(session, canary)
    assert session.state.accounts == {}
    assert len(session.dispatch()) == 1
    assert session.state.tickets[slow].is_live
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_a_ticket_that_says_nothing_does_not_open_an_account() -> None:
    session = coding_session("\n".join(f"T{n}: retries=0" for n in range(4)), agents={"claude": coder(max=2)})
    for id_ in session.dispatch():
        says(session, id_, "unavailable", "API Error: boom")
    for _ in range(2):  # two that try it after each other
        (canary,) = wakes(session) or session.dispatch()
        says(session, canary, "crashed", "ended without its last word, exit code 0")
        assert session.state.accounts["claude"].is_tried
    (canary,) = session.dispatch()
    says(session, canary, "crashed", "ended without its last word, exit code 1", inp=900)
    assert session.state.accounts == {}, "it has read what it was told"


def test_who_waits_for_several_accounts_is_told_of_the_one_that_comes_back_first() -> None:
    agents = {"claude": coder(max=1, fallback=("codex",)), "codex": coder("codex", max=1)}
    session = coding_session("A: agent=claude\nB: agent=claude", agents=agents)
    session.dispatch()
    says(session, "A", "limited", until=session.now + 5 * HOUR)
    (on_codex,) = session.dispatch()
    says(session, on_codex, "limited", until=session.now + 240)
    assert session.dispatch() == []
    until = session.state.accounts["codex"].until
    for ticket in session.state.tickets.values():
        root = root_of(session.state, ticket)
        assert root is not None
        assert (root.name, root.until) == ("codex", until)
        (blocker,) = why(session.state, ticket)
        assert (blocker.text, blocker.until) == ("codex is limited", until)
    session.act(rq.Hold(types=("codex",)))
    (blocker,) = why(session.state, session.state.tickets["A"])
    assert blocker.text == "claude is limited", "codex does not come back by itself"


def test_a_reset_in_milliseconds_is_guessed_and_breaks_no_words() -> None:
    session = coding_session("A:")
    session.dispatch()
    says(session, "A", "limited", until=1796051617000.0)
    assert session.state.accounts["claude"].until == session.now + GUESSES[0]
    for far in (1796051617000.0, 1e300, -1e300):  # a journal of before may have it
        rest = RestFact("claude", far, "x", is_outage=False, times=1)
        assert rest_text(rest, session.now).startswith("claude limited until ")
        assert clock(far)


def test_a_wrapper_that_says_it_was_interrupted_is_lost() -> None:
    session = coding_session("A: retries=0")
    session.dispatch()
    says(session, "A", "interrupted", "exit code 80")
    ticket = session.state.tickets["A"]
    assert (ticket.end, ticket.reason) == (End.lost, "interrupted: exit code 80")
