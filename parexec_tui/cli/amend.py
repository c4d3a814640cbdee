"""edit, add and reload: change the plan of a session, while it runs or before it goes on.

The engine checks an amendment as it checks a plan, and knows which changes come too late. Here files are read, and a
plan file is compared with the plan as it is now.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import VerbContext, verb_without_engine
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.plan_changes import NOTHING_CHANGED, read_again
from parexec_tui.cli.plans import report_file_errors
from parexec_tui.client.plan_files import FROM_STREAM, find_source, read_fragment_file

if TYPE_CHECKING:
    from parexec_tui.core.plan.ticket import Ticket
    from parexec_tui.core.state.session import SessionState

# -- edit ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("ticket", shell_complete=complete.tickets)
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@verb_without_engine
def edit(context: VerbContext, ticket: str, changes: tuple[str, ...]) -> None:
    """Change keys of a ticket that is not running, as they would stand in the plan file; `KEY=` resets one.

    A value is TOML where it can be read as TOML, else text; a list is written 'needs=["A", "B"]'. What it needs and
    claims is checked as in a plan file.
    """
    from parexec_tui.core.wire.requests import Edit

    context.ask(Edit(ticket=ticket, changes=dict(map(_change, changes))))


def _change(word: str) -> tuple[str, Any]:
    from parexec_tui.core.plan.reading.typed import read_value

    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not key:
        raise click.UsageError(f"{word!r} is no change: write KEY=VALUE, for instance timeout=30m")
    return key, read_value(key, text)


# -- add -------------------------------------------------------------------------------------------------------

_plan_path = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("fragment", metavar="FRAGMENT", type=_plan_path)
@verb_without_engine
def add(context: VerbContext, fragment: Path) -> None:
    """Add the tickets of FRAGMENT, a file like a plan with `[tickets.ID]` tables, and `[defaults]` for them.

    They may need tickets that are in the plan already. All of them are added, or none.
    """
    from parexec_tui.core.wire.requests import Amend

    context.ask(Amend(added=_read_fragment(fragment, _state_of(context))))


def _read_fragment(file: Path, state: "SessionState") -> "dict[str, Ticket]":
    """The tickets of a fragment, checked together with the plan that they join. Exits with all errors."""
    with report_file_errors(NOTHING_CHANGED):
        return read_fragment_file(file, state)


# -- reload ----------------------------------------------------------------------------------------------------


@click.command()
@click.argument("plan", required=False, type=_plan_path)
@click.option("--rerun", is_flag=True, help="Run again with its changes, too, what has succeeded.")
@verb_without_engine
def reload(context: VerbContext, plan: Path | None, rerun: bool) -> None:
    """Take over what changed in the plan file (default: the one that the session was started from).

    Shows what is added, changed and dropped, and what cannot be: what runs, and what has succeeded, stays as it is.
    What failed runs again if it is changed. Then it is asked; without a terminal that needs --yes. With errors in the
    file nothing happens (exit code 2). Tickets are taken over, and gates of groups and of the plan; agent types,
    resources, services and settings are for the next session, and so are new tickets that use a new one of these.

    If no engine runs the session (it is finished, say), its plan is changed all the same, and `parexec resume` goes
    on with it.
    """
    from parexec_tui.core.rules.difference import compare

    state = _state_of(context)
    file = plan or _source_of(state)
    difference = compare(state, read_again(file, state), rerun=rerun)
    if not context.as_json:
        for line in difference.lines():
            click.echo(line)
    if difference.done:
        click.echo("run again, too, what is done: parexec reload --rerun", err=True)
    if difference.is_empty:
        cannot = "nothing of what differs can be taken over"
        context.exit_unchanged(cannot if difference.has_tickets else f"{file} says what the plan is already")
    context.ask(difference.request, confirm=True)


def _source_of(state: "SessionState") -> Path:
    """The file that the session was started from. Exits if it is not there."""
    source = state.plan.source
    if source == FROM_STREAM:
        fail("the plan was read from standard input: name a file, parexec reload PLAN", BAD_USAGE)
    found = find_source(source, state.plan.workdir)
    return found or fail(f"the plan file {source} is not found from here: name it, parexec reload PLAN", BAD_USAGE)


def _state_of(context: VerbContext) -> "SessionState":
    from parexec_tui.client.sessions import replay_of

    return replay_of(context.client.session).state


COMMANDS: tuple[click.Command, ...] = (edit, add, reload)
