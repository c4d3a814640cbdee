"""Budgets of coding agents through the real engine, with stand-ins of their CLIs."""

from pathlib import Path

import pytest

from parexec_tui.client.sessions import is_living
from parexec_tui.core.state.status import End, Status
from tests.engine import stand_ins
from tests.engine.engines import run, state_of
from tests.engine.lifecycle.detached import parexec
from tests.engine.stand_ins import agent, calls, ticket

PRICES = {"input": 1.25, "output": 10, "cached": 0.125}


@pytest.fixture(autouse=True)
def stand_in_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_ins.home(tmp_path, monkeypatch)


def test_what_was_held_back_goes_on_with_a_higher_budget(tmp_path: Path) -> None:
    plan = "[plan]\nparallel = 1\nbudget = '$0.01'\n" + agent("claude")
    code, state = run(tmp_path, plan + "".join(ticket(id_, "[say Done.]") for id_ in "abc"))
    assert code == 1
    assert state.counts[Status.succeeded] == 1, "another one would cost 0.0058 dollars, too"
    parexec("resume", "--headless", "--budget", "$1", cwd=tmp_path)
    assert state_of(state.session).counts[Status.succeeded] == 3


def test_a_ticket_may_use_what_its_attempts_have_left(tmp_path: Path) -> None:
    table = ticket("a", "[error 400]", budget="$0.008", retries=5, retry_delay="10ms")
    code, state = run(tmp_path, agent("claude") + table)
    assert code == 1
    caps = [call["argv"][call["argv"].index("--max-budget-usd") + 1] for call in calls()]
    assert caps[0] == "0.0080"
    assert state.tickets["a"].end in (End.failed, End.over_budget)


def test_tokens_of_codex_are_priced(tmp_path: Path) -> None:
    prices = f"prices = {{ {', '.join(f'{name} = {price}' for name, price in PRICES.items())} }}\n"
    code, state = run(tmp_path, agent("codex") + prices + ticket("a", "[say Done.]"))
    assert code == 0
    (figures,) = (told.figures for told in state.tally.types.values())
    assert figures is not None
    assert figures.is_computed
    assert figures.cost == pytest.approx(
        ((figures.inp or 0) * 1.25 + (figures.out or 0) * 10 + (figures.cached or 0) * 0.125) / 1e6
    )


def test_a_retry_with_more_budget_gives_a_session_that_was_left_an_engine_again(tmp_path: Path) -> None:
    plan = "[plan]\nparallel = 1\nbudget = '$0.01'\n" + agent("claude")
    tickets = ticket("t", "[say Done.]", budget="$0.001", retries=0) + "".join(
        ticket(id_, "[say B.]") for id_ in "ab"
    )
    code, state = run(tmp_path, plan + tickets)
    assert (code, state.tickets["t"].end, state.left and state.left.reason) == (1, End.over_budget, "blocked")
    assert "refused: " in parexec("retry", "t", "--budget", "0.002", cwd=tmp_path, code=1), "and no engine started"
    assert not is_living(state.session)
    said = parexec("retry", "t", "--budget", "1", cwd=tmp_path)
    assert f"{state.session} was left: blocked; a new engine takes it up" in said
    parexec("scale", "--budget", "1", cwd=tmp_path)
    parexec("wait", cwd=tmp_path, code=1)  # the stand-in has nothing to say when its conversation goes on
    after = state_of(state.session)
    assert (after.tickets["t"].attempts, after.counts[Status.succeeded]) == (2, 2)
