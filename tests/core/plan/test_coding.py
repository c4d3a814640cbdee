"""Agent types that are coding CLIs: what a plan may say of them, and what it need not say."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.expanding.axes import look_nowhere
from parexec_tui.core.plan.expanding.including import read_no_file
from parexec_tui.core.plan.expanding.outside import Outside
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.fragment import read_fragment


def agent(text: str, *, in_repository: bool = True) -> AgentType:
    plan = f'[agents.a]\n{text}\n[tickets.t]\nprompt = "p"\nrun = "true"\n'
    outside = Outside(look_nowhere, read_no_file, lambda folder: in_repository and folder == "/work")
    return read_plan(plan, source="plan", folder="/work", format="toml", outside=outside).agents["a"]


@pytest.mark.parametrize(
    ("text", "in_repository", "expected"),
    [
        ('kind = "claude"', True, "worktree"),
        ('kind = "claude"', False, None),
        ('kind = "claude"\nisolation = "none"', True, "none"),
        ('kind = "claude"\nisolation = "worktree"', False, "worktree"),
        ('kind = "claude"\nbase = "main"\nupdate_checkout = true', True, "worktree"),
        ('kind = "claude"\nbase = "main"', False, None),
        ("", True, None),
        ('command = ["x", "{prompt}"]\nspeaks = "facts"', True, None),
    ],
)
def test_coding_clis_are_kept_apart_where_there_is_a_repository(
    text: str, in_repository: bool, expected: str | None
) -> None:
    assert agent(text, in_repository=in_repository).isolation == expected


def test_a_repository_that_a_ticket_makes_is_one_too() -> None:
    maker = '[agents.o]\n[tickets.make]\nagent = "o"\nrun = "git init"\nwrites = [".git/**"]\n'
    assert agent(f'kind = "claude"\n{maker}', in_repository=False).isolation == "worktree"


def test_what_worktrees_need_is_looked_at_although_nobody_asked_for_them() -> None:
    with pytest.raises(PlanErrors, match=r"agents.a.base: '-x' names no commit"):
        agent('kind = "claude"\nbase = "-x"')
    with pytest.raises(PlanErrors, match="it means nothing without worktrees"):
        agent('kind = "claude"\nisolation = "none"\nbase = "main"')


def test_tickets_join_a_plan_with_coding_clis() -> None:
    text = '[agents.a]\nkind = "claude"\n[tickets.t]\nprompt = "p"\n'
    plan = read_plan(text, source="plan", folder="/work", format="toml")
    more = read_fragment('[tickets.u]\nprompt = "q"\n', source="more", format="toml", plan=plan, host=None)
    assert list(more) == ["u"]


def test_who_has_no_agent_type_for_a_ticket_is_told_which_one_to_add() -> None:
    with pytest.raises(
        PlanErrors, match=r'a `prompt` is for a coding agent: add `\[agents.claude\]` with kind = "cl'
    ):
        read_plan('[tickets.T]\nprompt = "do it"', source="plan", folder="/work", format="toml")
    text = '[agents.claude]\nkind = "claude"\n[tickets.T]\nrun = "make"'
    with pytest.raises(PlanErrors, match=r"for its `run` an agent type without a kind: `\[agents.shell\]`"):
        read_plan(text, source="plan", folder="/work", format="toml")


def test_no_type_is_its_own_fallback() -> None:
    with pytest.raises(PlanErrors, match=r"agents.a.fallback\[0\]: it is its own fallback"):
        agent('kind = "claude"\nfallback = ["a"]')


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ("{ input = 1 }", "3:1: agents.a.prices: `output` is missing"),
        (
            "{ input = 'x', output = 1 }",
            "3:12: agents.a.prices.input: expected a number from 0 to 1000000, got a string",
        ),
        ("{ input = inf, output = 1 }", "agents.a.prices.input: expected a number from 0 to 1000000, got inf"),
        ("3", "agents.a.prices: expected a table, got 3"),
    ],
)
def test_prices_that_are_not_whole_are_errors_at_their_place(prices: str, told: str) -> None:
    with pytest.raises(PlanErrors) as caught:
        agent(f'kind = "claude"\nprices = {prices}')
    assert told in str(caught.value)
