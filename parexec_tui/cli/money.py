"""Amounts of money on a command line, where `$4` without quotes is a variable of the shell."""

import re

import click


def money(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Read `4`, `4.50`, `4 USD` or `$4` as a plan writes it: `$4`. `plan` stands for that of the plan, where the
    option offers it."""
    if not text or (text == "plan" and "plan" in (option.metavar or "")):
        return text
    from parexec_tui.core.plan.units import Money, NothingError

    number = re.sub(r"\s*USD$", "", text.strip(), flags=re.IGNORECASE).removeprefix("$")
    try:
        Money.parse(f"${number}")
    except NothingError:
        raise click.UsageError(
            f"{text!r} allows nothing: a budget is more than nothing, without the dollar sign, for instance 4 or 4.50"
        ) from None
    except ValueError:
        raise click.UsageError(
            f"{text!r} is no amount of money: write US dollars without their sign, for instance 4 or 4.50"
        ) from None
    return f"${number}"
