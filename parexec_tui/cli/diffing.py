"""diff: what changed from one session to another, or what a ticket did in its worktree."""

import shutil
import sys
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option
from parexec_tui.cli.exits import BAD_USAGE, fail, report_errors

if TYPE_CHECKING:
    from parexec_tui.registry.registry import Registry
    from parexec_tui.registry.sessions import SessionRow

_BOTH = "diff BEFORE AFTER is of two sessions, diff TICKET of what a ticket did"


@click.command()
@click.argument("what", metavar="[TICKET | BEFORE AFTER]", nargs=-1, shell_complete=complete.sessions_and_tickets)
@click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)
@click.option("--stat", is_flag=True, help="Of a ticket: only how much changed in which files.")
@click.option("--conflict", is_flag=True, help="Of a ticket: both sides of its conflict, if that waits for you.")
@as_json_option
@report_errors()
def diff(what: tuple[str, ...], session: str | None, stat: bool, conflict: bool, as_json: bool) -> None:
    """Say what changed from one session to another, or what a ticket did.

    Two names are sessions: what got slower or faster by more than chance, and how sure that is; what newly fails;
    what is new, gone or changed in the plan; what was waited for, and the critical path, then and now. Without a
    name, the session is compared with the one before of the same plan. --json prints all of it.

    One name is a ticket: prints what it did in its worktree, against the commit where it began: what was merged, or
    else what is there now, with what is not committed. In colours on a terminal.
    """
    if len(what) == 1:
        if as_json:
            fail(f"--json is for two sessions, and {what[0]} is one name: {_BOTH}", BAD_USAGE)
        _diff_ticket(what[0], session, stat=stat, conflict=conflict)
        return
    if len(what) > 2:
        fail(f"{len(what)} names: {_BOTH}", BAD_USAGE)
    if stat or conflict:
        fail(f"{'--stat' if stat else '--conflict'} is for a ticket, one at a time: {_BOTH}", BAD_USAGE)
    if what and session is not None:
        fail(f"-s is for a ticket, or for one session and that before it; two are named already: {_BOTH}", BAD_USAGE)
    _diff_sessions(what, session, as_json=as_json)


def _diff_ticket(ticket: str, session: str | None, *, stat: bool, conflict: bool) -> None:
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.engine.backends.local.worktrees.diffs import conflict_lines, diff_of
    from parexec_tui.registry.replay import replay

    with open_registry() as registry:
        past = replay(registry, resolve_past(registry, session).session)
        is_ticket = ticket in past.state.tickets or ticket in past.state.worktrees
        if names := _sessions_named(registry, ticket):
            if not is_ticket:
                fail(
                    f"there is no ticket {ticket} in {past.state.session}; that is {names}: "
                    "parexec diff BEFORE AFTER compares two, diff -s SESSION one with that before it",
                    BAD_USAGE,
                )
            click.echo(f"parexec: {ticket} is a ticket, and also {names}: one name is a ticket", err=True)
    options = ("--color=always" if sys.stdout.isatty() else "--color=never", *(("--stat",) if stat else ()))
    try:
        text = "\n".join(conflict_lines(past.state, ticket)) if conflict else diff_of(past.state, ticket, *options)
    except OSError as error:
        fail(str(error), BAD_USAGE)
    if conflict and not text:
        fail(f"no conflict of {ticket} waits for you", BAD_USAGE)
    if text:
        click.echo(text)


def _sessions_named(registry: "Registry", text: str) -> str:
    """Which sessions have exactly this id, or are of a plan of this name, in a word or two; empty: none."""
    found = [row.session for row in registry.list_sessions()[0] if text in (row.session, row.name)]
    return "" if not found else f"session {found[0]}" if len(found) == 1 else f"{len(found)} sessions"


def _diff_sessions(names: tuple[str, ...], session: str | None, *, as_json: bool) -> None:
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.core.wire import codec
    from parexec_tui.report.comparing import compare
    from parexec_tui.report.difference import difference_lines
    from parexec_tui.report.sources import read_session, session_before
    from parexec_tui.report.writing import MOST_WIDTH
    from parexec_tui.text.words import is_ascii_only

    def warn(text: str) -> None:
        click.echo(f"parexec: {text}", err=True)

    with open_registry() as registry:
        if names:
            earlier, later = (_named(registry, name) for name in names)
        else:
            later = resolve_past(registry, session)
            found = session_before(registry, later)
            if found is None:
                none = f"no session of its plan was before {later.session}"
                fail(f"{none}, to compare it with; name two: parexec diff BEFORE AFTER", BAD_USAGE)
            earlier = found
        if earlier.session == later.session:
            fail(f"both are {later.session}: there is nothing to compare", BAD_USAGE)
        before = read_session(registry, earlier.session, warn)
        after = read_session(registry, later.session, warn)
    found_difference = compare(after, before)
    if as_json:
        click.echo(codec.encode(found_difference))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else MOST_WIDTH
    for line in difference_lines(found_difference, after.facts, width=width, ascii_only=is_ascii_only(sys.stdout)):
        click.echo(line)


def _named(registry: "Registry", name: str) -> "SessionRow":
    """The session of this name. Raises RegistryError."""
    from parexec_tui.client.sessions import resolve_past
    from parexec_tui.registry.errors import RegistryError
    from parexec_tui.registry.replay import first_plan

    try:
        row = registry.resolve(name)
    except RegistryError as error:
        here = resolve_past(registry, None)
        if name in first_plan(registry, here.session).tickets:
            fail(f"{error}; {name} is a ticket of {here.session}, and of those one is looked at: {_BOTH}", BAD_USAGE)
        raise
    return row


COMMANDS: tuple[click.Command, ...] = (diff,)
