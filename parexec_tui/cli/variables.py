"""--set and --profile: what is said on the command line of the variables of a plan."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parexec_tui.cli.exits import BAD_USAGE, fail

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given

R = TypeVar("R")

set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of [vars], instead of what the plan says; typed as that is.",
)
"""`--set`, of which a command gets the words, to be given to `sets_of`."""

_options = [
    set_option,
    click.option("--profile", default="", metavar="NAME", help="Take the variables of [profiles.NAME]."),
]


def variable_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--set` and `--profile` to a command, which gets them, and what the environment says, as `given`."""

    @wraps(command)
    def run(*args: Any, sets: tuple[str, ...], profile: str, **kwargs: Any) -> R:
        from parexec_tui.client.plan_files import given_here

        return command(*args, given=given_here(profile, sets_of(sets)), **kwargs)

    for option in reversed(_options):
        run = option(run)
    return run


def refuse_given(given: "Given") -> None:
    """Exit if the command line says something of variables, where a session is meant: it has those it began with."""
    if given.profile or given.sets:
        fail("--set and --profile are for a plan file: a session has the variables that it began with", BAD_USAGE)


def words_of(given: "Given") -> tuple[str, ...]:
    """What the command line says of variables, as its words."""
    profile = ("--profile", given.profile) if given.profile else ()
    return (*profile, *(word for name, value in given.sets.items() for word in ("--set", f"{name}={value}")))


def sets_of(words: Iterable[str]) -> dict[str, str]:
    """{variable: value} of the words of `--set`."""
    return dict(map(_set, words))


def _set(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set {word!r}: write --set NAME=VALUE")
    return name, value
