"""A session that goes on is given other agent types: what starts from now on has them, and replay knows it all."""

from typing import Any

import pytest
from msgspec.structs import replace

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.secrets import SecretSource
from parexec_tui.core.plan.units import Money
from parexec_tui.core.rules.difference import Difference, compare
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import AgentStatus
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, lasting


def file(session: Session, **agents: AgentType | None) -> Plan:
    """The plan file, with others of these types."""
    types = {**session.state.plan.agents, **agents}
    return replace(session.state.plan, agents={name: each for name, each in types.items() if each is not None})


def reload(session: Session, **agents: AgentType | None) -> Difference:
    found = compare(session.state, file(session, **agents))
    if not found.is_empty:
        assert not isinstance(answer := session.act(found.request), Refusal), answer
    return found


def limited(text: str, **agents: AgentType) -> Session:
    """A session whose only account is limited for five hours."""
    session = coding_session(text, agents={"claude": coder(max=1), **agents})
    (first,) = session.dispatch()
    says(session, first, "limited", until=session.now + 5 * 3600)
    assert session.dispatch() == []
    return session


def test_a_fallback_that_comes_at_a_limit_takes_over_at_once() -> None:
    session = limited("A:\nB:\nC: agent=claude")
    before = lasting(session.state)
    new: dict[str, AgentType] = {"claude": coder(max=1, fallback=("codex",)), "codex": coder("codex", max=2)}
    found = reload(session, **new)
    assert list(found.lines()) == [
        "~ agent type claude  fallback codex",
        "+ agent type codex  max 2, kind codex, permissions edit",
    ]
    session.restart()
    assert session.act(rq.Undo(by="ann"))
    assert lasting(session.state) == before
    reload(session, **new)
    assert session.dispatch() == ["A", "B"]
    assert {session[id_].agent for id_ in "AB"} == {"codex-1", "codex-2"}
    says(session, "A")
    assert session.dispatch() == ["C"]
    assert compare(session.state, file(session)).is_empty
    session.restart()


def test_tickets_are_reassigned_to_a_new_type_which_can_be_scaled_and_held() -> None:
    session = limited("A:\nB:")
    assert isinstance(session.act(rq.Reassign(tickets=("B",), agent="codex")), Refusal)
    reload(session, codex=coder("codex", min=2, max=3, budget=Money(4)))
    up = {id_: each.status for id_, each in session.state.agents.items() if each.type == "codex"}
    assert up == {"codex-1": AgentStatus.idle, "codex-2": AgentStatus.idle}
    assert session.state.budgets == {"codex": 4.0}
    session.act(rq.Hold(types=("codex",)))
    session.act(rq.Reassign(tickets=("B",), agent="codex"))
    assert session.dispatch() == []
    session.act(rq.Release(types=("codex",)))
    assert "B" in session.dispatch()
    session.act(rq.Scale(type="codex", most=1, by="ann"))
    assert session.state.max_agents("codex") == 1
    session.restart()


def test_what_the_file_says_of_a_limit_goes_before_what_was_scaled_and_undo_brings_that_back() -> None:
    session = coding_session("A:\nB:\nC:", agents={"claude": coder(max=3)}, parallel=3)
    assert len(session.dispatch()) == 3
    session.act(rq.Scale(type="claude", most=2))
    session.act(rq.Scale(most=None, type="claude", budget="$9"))
    reload(session, claude=coder(max=1, budget=Money(5)))
    assert (session.state.max_agents("claude"), session.state.budgets) == (1, {"claude": 5.0})
    assert [each.draining for each in session.state.agents.values()].count(True) == 2
    session.act(rq.Undo())
    assert (session.state.max_agents("claude"), session.state.budgets) == (2, {"claude": 9.0})
    session.restart()


def test_what_rests_on_a_type_stays_and_it_is_said_what_to_do_instead() -> None:
    session = coding_session("A:\nB: agent=claude", agents={"claude": coder(max=1), "own": coder("gemini")})
    session.dispatch()
    session.act(rq.Reassign(tickets=("B",), agent="own"))
    cases: list[tuple[dict[str, AgentType | None], str]] = [
        (
            {"claude": coder("codex")},
            "agent type claude: kind cannot change, as it has had agents "
            "(give the new one a name of its own: [agents.claude2])",
        ),
        (
            {"claude": coder(account="team", gates=("lint",))},
            "agent type claude: gates and account cannot change while it runs A "
            "(hold claude, and reload when that is over)",
        ),
        (
            {"claude": None},
            "agent type claude has had agents, and stays to the end of the session "
            "(hold claude, to start nothing on it)",
        ),
        ({"own": None}, "agent type own: B is reassigned to it (reassign B first)"),
    ]
    for agents, why in cases:
        found = reload(session, **agents)
        assert (list(found.lines()), found.is_empty, found.concerns_session) == ([f"! {why}"], True, False)
        assert str(session.ask(rq.Amend(agents=agents))) == why
    says(session, "A")
    assert list(reload(session, claude=coder(account="team", gates=("lint",))).lines()) == [
        "~ agent type claude  max as many as run at once, gates, account team"
    ]
    session.act(rq.Reassign(tickets=("B",), agent=""))
    assert list(reload(session, own=None).lines()) == ["- agent type own"]
    assert "own" not in session.state.available
    session.restart()


@pytest.mark.parametrize(
    ("agents", "why"),
    [
        ({"x": coder(fallback=("y",))}, "agents.x.fallback: there is no agent type 'y' (there is `claude` and `x`)"),
        ({"claude-1": coder()}, "agent type claude-1: an agent has this name (give the type another)"),
        ({"claude": coder(min=3, max=1)}, "agents.claude.min: min = 3 is more than max = 1"),
    ],
)
def test_types_that_cannot_be_are_refused(agents: dict[str, AgentType | None], why: str) -> None:
    session = coding_session("A:")
    session.dispatch()
    assert str(session.ask(rq.Amend(agents=agents))) == why


def test_permissions_that_are_raised_are_said_aloud() -> None:
    session = coding_session("A:", agents={"claude": coder(), "codex": replace(coder("codex"), permissions="all")})
    free = replace(coder(), permissions="all")
    found = compare(session.state, file(session, claude=free))
    assert list(found.lines()) == ["~ agent type claude  permissions all (it may do all that you may)"]
    events = session.ask(found.request)
    assert not isinstance(events, Refusal)
    [amended] = [each for each in events if isinstance(each, ev.PlanAmended)]
    assert amended.unrestricted == ("claude",)
    assert "agents of claude may do all that you may" in list(preview(session.state, events).lines())


def test_a_new_type_may_run_on_a_host_that_the_session_has() -> None:
    hosts = {"far": HostSpec(ssh="far", max=2)}
    session = coding_session("A:", hosts=hosts)
    reload(session, far=AgentType(on=("far",), min=1))
    assert session.state.hosts_of_types == {"claude": ("",), "far": ("far",)}
    assert session.state.max_agents("far") == 2
    near = replace(file(session, near=AgentType(on=("new",))), hosts={**hosts, "new": HostSpec(ssh="new")})
    assert list(compare(session.state, near).lines()) == ["+ host new", "+ agent type near  on"]


def test_an_account_that_no_type_has_any_more_rests_no_more() -> None:
    session = limited("A:")
    reload(session, claude=coder(max=1, account="mine"))
    assert (session.state.accounts, session.dispatch()) == ({}, ["A"])


def test_a_new_type_waits_for_the_next_session_if_its_secret_does() -> None:
    session = coding_session("A:")
    plan = file(session, codex=coder("codex", secrets=("KEY",)))
    found = compare(session.state, replace(plan, secrets={"KEY": SecretSource(file="key")}))
    assert next(found.lines()) == "! agent type codex: it uses [secrets.KEY], which is for the next session"
    assert found.is_empty
    assert reload(session, codex=coder("codex", secrets=("KEY",))).agents
    assert session.state.has_secrets


@pytest.mark.parametrize("more", [{}, {"fallback": ("codex",)}])
def test_a_repository_that_was_made_since_moves_nobody_into_a_worktree(more: dict[str, Any]) -> None:
    session = coding_session("A:")
    session.dispatch()
    now = coder(isolation="worktree", **more)
    found = reload(session, claude=now, **{"codex": coder("codex")} if more else {})
    assert list(found.agents) == (["claude", "codex"] if more else [])
    assert session.state.plan.agents["claude"].isolation is None


def test_it_is_taken_over_without_an_engine_and_a_finished_session_stays_finished() -> None:
    session = coding_session("A:")
    session.dispatch()
    says(session, "A")
    session.close()
    reload(session, codex=coder("codex", min=1))
    assert (session.state.status, "codex-1" in session.state.agents) == ("finished", False)
