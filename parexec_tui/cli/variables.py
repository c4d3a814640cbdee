"""--set and --profile: what is said on the command line of the variables of a plan."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

R = TypeVar("R")

_options = [
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="NAME=VALUE",
        help="A variable of [vars], instead of what the plan says; typed as that is.",
    ),
    click.option("--profile", default="", metavar="NAME", help="Take the variables of [profiles.NAME]."),
]


def variable_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--set` and `--profile` to a command, which gets them, and what the environment says, as `given`."""

    @wraps(command)
    def run(*args: Any, sets: tuple[str, ...], profile: str, **kwargs: Any) -> R:
        from parexec_tui.client.plan_files import given_here

        return command(*args, given=given_here(profile, dict(map(_set, sets))), **kwargs)

    for option in reversed(_options):
        run = option(run)
    return run


def _set(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set {word!r}: write --set NAME=VALUE")
    return name, value
