"""--wait and --beside: what a command does when living sessions claim what it is about to start."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, TypeVar

import click

from parexec_tui.cli.exits import BAD_USAGE, INTERRUPTED, fail

if TYPE_CHECKING:
    from parexec_tui.engine.lifecycle.neighbours import Clash, LivingNeighbour

R = TypeVar("R", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])

Wish = Literal["refuse", "wait", "beside"]

_MAX_NAMED = 3
"""Sessions that are described. Of more, only the number."""

_LOOK_EVERY = 0.3
"""Seconds between two looks whether a session still lives."""


class Start(Protocol[R]):
    """Starts an engine. Raises NeighboursLive unless `beside`."""

    def __call__(self, *, beside: bool) -> R: ...


beside_option = click.option(
    "--beside", is_flag=True, help="Go on although a living session claims the same; the screen keeps a warning."
)
_wait_option = click.option(
    "--wait", is_flag=True, help="If a living session claims the same, wait until it is over, then go on."
)


def neighbour_options(command: F) -> F:
    """Add both options to a command."""
    return _wait_option(beside_option(command))


def wish_of(*, wait: bool, beside: bool) -> Wish:
    if wait and beside:
        raise click.UsageError("--wait waits for the other session, --beside does not: say one of them")
    return "wait" if wait else "beside" if beside else "refuse"


def start_if_alone(start: Start[R], wish: Wish, *, again: str, can_wait: bool = True, as_json: bool = False) -> R:
    """Start an engine, or do what the person wishes if neighbours live. Exits if that is not to start.

    `again`: the command that the error names, for --beside and, if it `can_wait`, for --wait.
    """
    from parexec_tui.engine.lifecycle.admission import NeighboursLive

    waited_for: set[str] = set()
    while True:
        try:
            return start(beside=wish == "beside")
        except NeighboursLive as found:
            if wish == "wait":
                waited_for = _wait(found.neighbours, waited_for)
            else:
                wait = f"{again} --wait" if can_wait else f"parexec wait {found.neighbours[0].row.session}"
                _refuse(found.neighbours, wait=wait, beside=f"{again} --beside", as_json=as_json)


def _refuse(neighbours: "tuple[LivingNeighbour, ...]", *, wait: str, beside: str, as_json: bool) -> NoReturn:
    """Say which living sessions claim the same, and what can be done. `wait`, `beside`: the commands for that."""
    lines = [line for each in neighbours[:_MAX_NAMED] for line in _description(each)]
    if (more := len(neighbours) - _MAX_NAMED) > 0:
        lines.append(f"and {more} more")
    if as_json:
        import json

        facts = [_facts(each) for each in neighbours]
        click.echo(json.dumps({"kind": "refused", "text": "\n".join(lines), "neighbours": facts}))
    session = neighbours[0].row.session
    remedies = [
        f"wait until it is over: {wait}",
        f"go on beside it: {beside}",
        f"watch it: parexec attach {session}; end it: parexec stop -s {session}",
    ]
    fail("\n".join(["nothing was started", *lines, *remedies]), BAD_USAGE)


def _description(neighbour: "LivingNeighbour") -> "Iterator[str]":
    from parexec_tui.text.words import day_and_clock

    row, pid = neighbour.row, _engine_of(neighbour)
    engine = f"engine {pid}" if pid else "its engine is being started"
    since = day_and_clock(row.started)
    yield f"{row.session} is not over, and claims the same ({row.name}, since {since}, {engine}):"
    for reason in neighbour.reasons:
        yield f"  {reason}"


def _engine_of(neighbour: "LivingNeighbour") -> int | None:
    from parexec_tui.paths import session_folder
    from parexec_tui.registry.lock import owner_of

    return owner_of(session_folder(neighbour.row.session).lock)


def _facts(neighbour: "LivingNeighbour") -> dict[str, Any]:
    row = neighbour.row
    return {
        "session": row.session,
        "plan": row.name,
        "source": row.source,
        "since": row.started,
        "engine_pid": _engine_of(neighbour),
        "same_plan": neighbour.same_plan,
        "conflicts": [_conflict(clash) for clash in neighbour.clashes],
    }


def _conflict(clash: "Clash") -> dict[str, str]:
    ours, theirs = clash.ours, clash.theirs
    return {
        "text": str(clash),
        "ticket": ours.ticket,
        "kind": ours.kind,
        "path": ours.text,
        "their_ticket": theirs.ticket,
        "their_kind": theirs.kind,
        "their_path": theirs.text,
    }


def _wait(neighbours: "tuple[LivingNeighbour, ...]", waited_for: set[str]) -> set[str]:
    """Wait until all of these are over; say so of those that are new. Returns whom it has waited for so far."""
    from parexec_tui.client.sessions import is_living
    from parexec_tui.text.words import printable

    sessions = [each.row.session for each in neighbours]
    try:
        if not waited_for.issuperset(sessions):
            more = f" and {len(sessions) - 1} more are" if len(sessions) > 1 else " is"
            text = f"waiting until {sessions[0]}{more} over: {neighbours[0].reasons[0]}; ctrl-c gives up"
            click.echo(f"parexec: {printable(text)}", err=True)
        while any(map(is_living, sessions)):
            time.sleep(_LOOK_EVERY)
    except KeyboardInterrupt:
        click.echo("\nparexec: nothing was started", err=True)
        sys.exit(INTERRUPTED)
    return waited_for.union(sessions)


def warn(text: str) -> None:
    """Print a warning."""
    from parexec_tui.text.words import printable

    click.echo(f"parexec: warning: {printable(text)}", err=True)
