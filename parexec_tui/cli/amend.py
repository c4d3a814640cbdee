"""edit, add and reload: change the plan of a session while it runs.

The engine checks an amendment as it checks a plan, and knows which changes come too late. Here files are read, and a
plan file is compared with the plan as it is now.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import VerbContext, verb
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.plans import FROM_STREAM, name_of, plan_of, refuse_file, syntax_of, text_of

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Plan, Ticket
    from parexec_tui.core.state.session import SessionState

_WHERE = "in the file; nothing was changed"
"""The end of the line that counts errors."""


# -- edit ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("ticket", shell_complete=complete.tickets)
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@verb
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
@verb
def add(context: VerbContext, fragment: Path) -> None:
    """Add the tickets of FRAGMENT, a file like a plan with `[tickets.ID]` tables, and `[defaults]` for them.

    They may need tickets that are in the plan already. All of them are added, or none.
    """
    from parexec_tui.core.wire.requests import Amend

    context.ask(Amend(added=_read_fragment(fragment, _state_of(context))))


def _read_fragment(file: Path, state: "SessionState") -> "dict[str, Ticket]":
    """The tickets of a fragment, checked together with the plan that they join. Exits with all errors."""
    from parexec_tui.core.plan.reading.file import PlanErrors, read_fragment
    from parexec_tui.gc_control import gc_paused

    text = text_of(file)
    try:
        with gc_paused():
            return read_fragment(
                text, source=name_of(file), format=syntax_of(file, text), plan=state.plan, host=state.host
            )
    except PlanErrors as errors:
        refuse_file(errors.problems, _WHERE)


# -- reload ----------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """How a plan file differs from the plan as it is now."""

    added: "dict[str, Ticket]"
    changed: "dict[str, Ticket]"
    dropped: tuple[str, ...]
    too_late: dict[str, str]
    """ticket: why it is left as it is, although it is changed or dropped."""
    keys: dict[str, tuple[str, ...]]
    """changed ticket: its keys that differ."""
    elsewhere: tuple[str, ...]
    """Other tables of the file that differ; they take effect in the next session."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.dropped)


@click.command()
@click.argument("plan", required=False, type=_plan_path)
@verb
def reload(context: VerbContext, plan: Path | None) -> None:
    """Take over what changed in the plan file (default: the one that the session was started from).

    Shows what is added, changed and dropped, and what cannot be: what runs, and what has succeeded, stays as it is.
    Then it is asked; without a terminal that needs --yes. With errors in the file nothing happens (exit code 2). Only
    tickets are taken over; agent types, resources and settings are for the next session.
    """
    from parexec_tui.core.wire.requests import Amend

    state = _state_of(context)
    file = plan or _source_of(state)
    difference = compare(state, _read_again(file, state))
    if not context.as_json:
        for line in _lines(difference):
            click.echo(line)
    if difference.is_empty:
        context.exit_unchanged(f"{file} says what the plan is already")
    request = Amend(added=difference.added, changed=difference.changed, dropped=difference.dropped)
    context.ask(request, confirm=True)


def compare(state: "SessionState", plan: "Plan") -> Difference:
    """What would change if this were the plan."""
    from parexec_tui.core.state.status import LIVE, SATISFIED

    now = state.plan
    changed = {id_: spec for id_, spec in plan.tickets.items() if id_ in now.tickets and spec != now.tickets[id_]}
    dropped = [id_ for id_ in now.tickets if id_ not in plan.tickets]
    too_late = {}
    for id_ in (*changed, *dropped):
        ticket = state.tickets[id_]
        if ticket.status in LIVE or (ticket.status in SATISFIED and id_ in changed):
            what = "changed" if id_ in changed else "dropped"
            too_late[id_] = f"{what} in the file, but it {'is running' if ticket.status in LIVE else 'is done'}"
    keep = {need for id_ in too_late for need in now.tickets[id_].needs}
    for id_ in dropped:
        if id_ in keep and id_ not in too_late:
            too_late[id_] = "dropped in the file, but needed by what stays"
    tables = {"plan": "settings", "agents": "agents", "resources": "resources", "hooks": "hooks"}
    return Difference(
        added={id_: spec for id_, spec in plan.tickets.items() if id_ not in now.tickets},
        changed={id_: spec for id_, spec in changed.items() if id_ not in too_late},
        dropped=tuple(id_ for id_ in dropped if id_ not in too_late),
        too_late=too_late,
        keys={id_: tuple(_differing(now.tickets[id_], spec)) for id_, spec in changed.items()},
        elsewhere=tuple(table for table, name in tables.items() if getattr(plan, name) != getattr(now, name)),
    )


def _differing(old: "Ticket", new: "Ticket") -> Iterator[str]:
    return (key for key in old.__struct_fields__ if getattr(old, key) != getattr(new, key))


def _lines(difference: Difference) -> Iterator[str]:
    for id_, spec in difference.added.items():
        needs = f"  needs {', '.join(spec.needs)}" if spec.needs else ""
        yield f"+ {id_}{needs}"
    for id_ in difference.changed:
        yield f"~ {id_}  {', '.join(difference.keys[id_])}"
    for id_ in difference.dropped:
        yield f"- {id_}"
    for id_, why in difference.too_late.items():
        yield f"! {id_}  stays as it is: {why}"
    for table in difference.elsewhere:
        yield f"! [{table}] differs too: that is for the next session"


def _read_again(file: Path, state: "SessionState") -> "Plan":
    """The plan in a file that belongs to this session. Exits with all its errors."""
    plan = plan_of(file, state.host, _WHERE)
    if plan.workdir != state.plan.workdir:
        fail(f"{file} works in {plan.workdir}, the session in {state.plan.workdir}: this is another plan", BAD_USAGE)
    return plan


def _source_of(state: "SessionState") -> Path:
    """The file that the session was started from; it may have been named from another folder than this one."""
    if state.plan.source == FROM_STREAM:
        fail("the plan was read from standard input: name a file, parexec reload PLAN", BAD_USAGE)
    source, workdir = Path(state.plan.source), Path(state.plan.workdir)
    found = next(filter(Path.is_file, (source, workdir / source, workdir / source.name)), None)
    return found or fail(f"the plan file {source} is not found from here: name it, parexec reload PLAN", BAD_USAGE)


def _state_of(context: VerbContext) -> "SessionState":
    from parexec_tui.client.sessions import state_from_registry

    return state_from_registry(context.client.session)


COMMANDS: tuple[click.Command, ...] = (edit, add, reload)
