"""What coding agents may spend: a ticket, an agent type, the session."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.units import Money
from parexec_tui.core.rules.leaving import why_to_leave
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import cost_to_go
from parexec_tui.core.state.budgets import Left, left_of
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.figures import spent
from parexec_tui.text.roots import command_of, root_text
from parexec_tui.text.spending import spent_text
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, dump, replay

BOTH = {"claude": coder(fallback=("codex",)), "codex": coder("codex")}


def status(session: Session, id_: str) -> Status:
    return session.state.tickets[id_].status


def whys(session: Session, id_: str) -> list[str]:
    return [blocker.text for blocker in why(session.state, session.state.tickets[id_]) if blocker.kind == "budget"]


# -- of a ticket -----------------------------------------------------------------------------------------------


def test_what_is_left_is_what_earlier_attempts_did_not_use() -> None:
    spec = coding_session("A: budget=$2 tokens=1k turns=10").plan.tickets["A"]
    assert left_of(spec, None) == Left(2.0, 1000, 10)
    assert left_of(spec, Figures(0.5, 300, 100, 9000, 4)) == Left(1.5, 600, 10)
    assert left_of(coding_session("A:").plan.tickets["A"], Figures(0.5)) == Left()


@pytest.mark.parametrize(
    ("cap", "told", "raised"),
    [
        ("budget=$2", "$2.05 of $2 spent", "retry A --budget '$4'"),
        ("tokens=2k", "2.1k of 2.0k tokens used", "edit A tokens=4k first"),
    ],
)
def test_a_ticket_that_used_what_it_may_has_failed_until_a_person_lets_it_use_more(
    cap: str, told: str, raised: str
) -> None:
    session = coding_session(f"A: {cap} retries=3 retry_delay=1s")
    session.dispatch()
    says(session, "A", "budget", cost=2.05, inp=2000, out=100, turns=9)
    ticket = session.state.tickets["A"]
    assert (ticket.status, ticket.end, ticket.reason) == (Status.failed, End.over_budget, told)
    assert session.ask(rq.Retry(tickets=("A",))) == Refusal(f"A has nothing left to use: {told}", raised)
    if cap.startswith("budget"):
        assert isinstance(session.ask(rq.Retry(tickets=("A",), budget="$4")), list)
    else:
        key, _, value = raised.split()[2].partition("=")
        session.ask(rq.Edit(ticket="A", changes={key: int(value) if value.isdigit() else value}))
        session.ask(rq.Retry(tickets=("A",)))
    assert session.dispatch() == ["A"]
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_it_is_not_tried_again_by_itself_when_nothing_is_left() -> None:
    session = coding_session("A: budget=$2 retries=3 retry_delay=1s gates=false")
    session.dispatch()
    says(session, "A", cost=2.05)
    session.fail("A")
    assert status(session, "A") is Status.failed
    assert session.state.tickets["A"].reason.endswith("; not tried again: $2.05 of $2 spent")


def test_a_fallback_may_use_as_much_again() -> None:
    session = coding_session("A: agent=claude budget=$2", agents=BOTH)
    session.dispatch()
    ended = says(session, "A", "budget", cost=2.0)[-1]
    assert isinstance(ended, ev.AttemptEnded)
    assert (ended.then, ended.charged) == (Status.waiting, True)
    assert session.dispatch() == ["A"]
    assert session.state.tickets["A"].agent == "codex-1"
    says(session, "A", "failed", cost=1.0)
    session.ask(rq.Retry(tickets=("A",)))
    session.dispatch()
    assert session.state.tickets["A"].agent == "codex-1", "claude has spent it"


def test_one_that_waits_with_nothing_left_says_so() -> None:
    session = coding_session("A: budget=$2")
    session.dispatch()
    says(session, "A", "unavailable", cost=2.5)
    assert whys(session, "A") == ["budget of A: $2.50 of $2 spent; edit it to let it use more"]
    assert session.dispatch() == []
    session.ask(rq.Edit(ticket="A", changes={"budget": "$5"}))
    assert not whys(session, "A")


def test_a_bad_budget_is_refused() -> None:
    session = coding_session("A:")
    session.dispatch()
    says(session, "A", "failed")
    refusal = session.ask(rq.Retry(tickets=("A",), budget="2 USD"))
    assert isinstance(refusal, Refusal)
    assert "'2 USD' is no amount of money" in refusal.reason


def test_what_another_type_has_refused_keeps_nobody_from_an_agent() -> None:
    session = coding_session(
        "A: agent=claude priority=high\nB: agent=claude\nC: agent=codex", agents=BOTH, parallel=9
    )
    agents = {name: coder(each.kind or "claude", max=1, fallback=each.fallback) for name, each in BOTH.items()}
    session = coding_session("A: agent=claude priority=high\nB: agent=claude\nC: agent=codex", agents=agents)
    assert session.dispatch() == ["A", "C"]
    says(session, "A", "refused")
    assert session.dispatch() == ["B"], "A waits for codex, which is busy"


# -- of the session, and of a type -----------------------------------------------------------------------------


def of_money(budget: str | None = "$10", agents: int = 2) -> Session:
    plan = "\n".join(f"T{number}:" for number in range(9))
    settings = {} if budget is None else {"budget": Money.parse(budget)}
    return coding_session(plan, agents={"claude": coder(max=agents)}, **settings)


def test_nothing_new_starts_when_what_is_spent_and_expected_reaches_the_budget() -> None:
    session = of_money()
    assert session.dispatch() == ["T0", "T1"]
    says(session, "T0", cost=4.0)
    assert session.dispatch() == [], "4 spent, 4 for T1, 4 for the next"
    assert whys(session, "T2") == ["budget: $4 of $10 spent, and about $8 expected of 1 running and the next"]
    says(session, "T1", cost=1.0)
    assert session.dispatch() == ["T2"], "5 spent, 4 for one"
    says(session, "T2", cost=5.1)
    assert session.dispatch() == []
    assert whys(session, "T3") == ["budget: $10.10 of $10 spent"]
    root = root_of(session.state, session.state.tickets["T3"])
    assert root is not None
    assert root_text(root, session.now) == "budget: $10.10 of $10 spent"
    assert why_to_leave(session.state, stays=False) == "blocked"
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_a_higher_budget_lets_all_agents_go_on_and_undo_takes_it_back() -> None:
    session = of_money("$2", agents=3)
    session.dispatch()
    for id_ in ("T0", "T1", "T2"):
        says(session, id_, cost=1.0)
    assert session.dispatch() == []
    assert isinstance(session.act(rq.Scale(most=None, budget="$20", by="ann")), list)
    assert session.dispatch() == ["T3", "T4", "T5"]
    session.act(rq.Undo(by="ann"))
    assert session.state.budgets == {"": 2.0}
    says(session, "T3", cost=1.0)
    assert session.dispatch() == []


def test_a_type_that_has_spent_its_budget_leaves_its_tickets_to_a_fallback() -> None:
    agents = {"claude": coder(budget=Money(1), fallback=("codex",)), "codex": coder("codex")}
    session = coding_session("A: agent=claude\nB: agent=claude A", agents=agents)
    session.dispatch()
    says(session, "A", cost=1.5)
    assert session.dispatch() == ["B"]
    assert session.state.tickets["B"].agent == "codex-1"


def test_a_spent_budget_is_told_with_the_command_that_raises_it() -> None:
    session = coding_session("A: agent=codex\nB: agent=codex A", agents={"codex": coder("codex", budget=Money(1))})
    session.dispatch()
    says(session, "A", cost=1.5)
    root = root_of(session.state, session.state.tickets["B"])
    assert root is not None
    assert command_of(root) == "parexec scale codex --budget DOLLARS"


def test_ordinary_tickets_go_on() -> None:
    types = {"claude": coder(), "mill": AgentType()}
    session = coding_session(
        "A: agent=claude\nB: agent=claude A\nM: agent=mill run=true A", agents=types, budget=Money(1)
    )
    session.dispatch()
    says(session, "A", cost=1.5)
    assert session.dispatch() == ["M"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (rq.Scale(most=None, budget="20"), "'20' is no amount of money"),
        (rq.Scale(most=None, budget="$20", type="mill"), "mill has no coding agents"),
        (rq.Scale(most=None, budget="$20", type="nobody"), "nobody"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(asked: rq.Scale, reason: str) -> None:
    session = coding_session("A: agent=claude", agents={"claude": coder(), "mill": AgentType()})
    refusal = session.ask(asked)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_what_is_left_is_expected_to_cost_what_attempts_did() -> None:
    agents = {"claude": coder(max=2), "codex": coder("codex"), "shell": AgentType()}
    lines = [*(f"T{n}: agent=claude" for n in range(4)), "C: agent=codex T3"]
    session = coding_session("\n".join(lines), agents=agents)
    session.dispatch()
    says(session, "T0", cost=2.0)
    assert cost_to_go(session.state) is None, "what codex costs is not known"
    session.act(rq.Waive(tickets=("C",)))
    assert cost_to_go(session.state) == 6.0
    told = spent(session.state)
    assert told is not None
    assert spent_text(told) == "$2 and - tokens, ~$6 to go"
    for id_ in ("T1", "T2", "T3"):
        session.dispatch()
        says(session, id_, cost=1.0)
    told = spent(session.state)
    assert told is not None
    assert told.to_go is None


def test_attempts_that_were_cut_short_say_nothing_of_what_others_cost() -> None:
    session = coding_session("\n".join(f"T{n}:" for n in range(9)), agents={"claude": coder(max=4)})
    first, *others = session.dispatch()
    says(session, first, "limited", until=session.now + 60, cost=0.0058)
    for id_ in others:
        says(session, id_, "limited", until=session.now + 60, cost=0.0)
    assert cost_to_go(session.state) is None
    session.now = session.state.accounts["claude"].until
    session.tell(rq.RestElapsed("claude"))
    (canary,) = session.dispatch()
    says(session, canary, cost=0.5)
    assert cost_to_go(session.state) == 4.0
