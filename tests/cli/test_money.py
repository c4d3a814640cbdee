"""Amounts of money on a command line."""

import click
import pytest

from parexec_tui.cli.money import money
from parexec_tui.core.plan.units import Money

OPTION = click.Option(["--budget"], metavar="DOLLARS|plan")


@pytest.mark.parametrize(
    ("typed", "means"),
    [("4", "$4"), ("4.50", "$4.50"), ("4 USD", "$4"), ("4usd", "$4"), ("$4", "$4"), ("plan", "plan"), (None, None)],
)
def test_dollars_need_no_sign_in_a_shell(typed: str | None, means: str | None) -> None:
    assert money(click.Context(click.Command("x")), OPTION, typed) == means


@pytest.mark.parametrize("typed", ["-4", "4 EUR", "much", "$", "1e3"])
def test_other_words_are_no_money(typed: str) -> None:
    with pytest.raises(click.UsageError, match="is no amount of money: write US dollars without their sign"):
        money(click.Context(click.Command("x")), OPTION, typed)


def test_nothing_is_no_budget() -> None:
    with pytest.raises(click.UsageError, match="'0' allows nothing: a budget is more than nothing"):
        money(click.Context(click.Command("x")), OPTION, "0")  # what a shell makes of $80
    with pytest.raises(ValueError, match="a budget is more than nothing"):
        Money.parse("$0.00")


def test_only_scale_knows_that_of_the_plan() -> None:
    with pytest.raises(click.UsageError, match="'plan' is no amount of money"):
        money(click.Context(click.Command("x")), click.Option(["--budget"], metavar="DOLLARS"), "plan")
