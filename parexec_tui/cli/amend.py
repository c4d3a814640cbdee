"""edit, add and reload: change the plan of a session, while it runs or before it goes on.

The engine checks an amendment as it checks a plan, and knows which changes come too late. Here files are read, and a
plan file is compared with the plan as it is now.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import VerbContext, verb_without_engine
from parexec_tui.cli.exits import BAD_USAGE, fail, report_errors
from parexec_tui.cli.plan_changes import NOTHING_CHANGED, read_again
from parexec_tui.cli.plans import report_file_errors
from parexec_tui.cli.variables import set_option, sets_of, variable_options
from parexec_tui.client.plan_files import FROM_STREAM, find_source, read_fragment_file, read_tickets

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire.requests import Amend

# -- edit ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("ticket", shell_complete=complete.tickets)
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@verb_without_engine
def edit(context: VerbContext, ticket: str, changes: tuple[str, ...]) -> None:
    """Change keys of a ticket that is not running, as they would stand in the plan file; `KEY=` resets one.

    TICKET may be a pattern or a selector, such as a family: then all or none of them are changed. A value is TOML
    where it can be read as TOML, else text; a list is written 'needs=["A", "B"]'. What it needs and claims is
    checked as in a plan file.
    """
    from parexec_tui.core.wire.requests import Edit

    meant = dict(map(_change, changes))
    requests = [Edit(ticket=id_, changes=meant) for id_ in context.tickets((ticket,))]
    if len(requests) > 1 and not context.dry_run:
        for request in requests:
            context.client.ask(request, dry_run=True)  # what is refused for one of them changes none
    for request in requests:
        context.ask(request)


def _change(word: str) -> tuple[str, Any]:
    from parexec_tui.core.plan.reading.typed import read_value

    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not key:
        raise click.UsageError(f"{word!r} is no change: write KEY=VALUE, for instance timeout=30m")
    return key, read_value(key, text)


# -- add -------------------------------------------------------------------------------------------------------

_plan_path = click.Path(dir_okay=False, path_type=Path)


_ADDED = "added"
"""Where the words behind `--` are, between the reading of the command line and the command."""


class _WithCommand(click.Command):
    """A command that may be followed by `--` and the words of another."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_ADDED] = args[:at], args[at + 1 :]
            if not any(each in ("-h", "--help") or each.startswith(("-s", "--session")) for each in args):
                args += _to_a_standing_session()
        return super().parse_args(ctx, args)


def _to_a_standing_session() -> list[str]:
    """The option that names the newest session that stays and has an engine. Exits if there is none."""
    from parexec_tui.client.sessions import standing

    with report_errors():
        found = standing()
    if found is None:
        fail("no session that stays is running: parexec session new begins one; or name any session with -s")
    return ["--session", found.session]


@click.command(cls=_WithCommand)
@click.argument("fragment", metavar="FRAGMENT | -- COMMAND...", required=False, type=_plan_path)
@click.option("--id", "id_", metavar="ID", help="What the ticket is called; default: T1, T2 and so on.")
@click.option("--title", help="What it is about, in a line.")
@click.option("--needs", multiple=True, metavar="TICKET", help="It starts when this one has succeeded.")
@click.option("--after", multiple=True, metavar="TICKET", help="It starts when this one is over, however it ended.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable in its environment.")
@click.option("--priority", help="critical, high, medium or low.")
@set_option
@verb_without_engine
def add(
    context: VerbContext,
    fragment: Path | None,
    id_: str | None,
    title: str | None,
    needs: tuple[str, ...],
    after: tuple[str, ...],
    env: tuple[str, ...],
    priority: str | None,
    sets: tuple[str, ...],
) -> None:
    """Add the tickets of FRAGMENT, a file like a plan with `[tickets.ID]` tables, and `[defaults]` for them.

    They may need tickets and families that are in the plan already. All of them are added, or none. Variables are
    those of the session, and of `[vars]` of the file.

    Or add one ticket that runs COMMAND in this folder, and print its id. One word is a command of the shell, several
    are a program and its arguments. Without -s, it goes into the newest session that stays (`parexec session new`).
    """
    said = sets_of(sets)
    keys = {"id_": id_, "title": title, "needs": needs, "after": after, "env": env, "priority": priority}
    words: list[str] | None = click.get_current_context().meta.get(_ADDED)
    if words is not None:
        if said:
            raise click.UsageError("--set is for a file: a command says what it means")
        if fragment is not None or not words:
            raise click.UsageError("write a file, or behind -- a command: parexec add -- make docs")
        _add_command(context, words, keys)
        return
    if given := [name for name, value in keys.items() if value]:
        raise click.UsageError(
            f"--{given[0].rstrip('_')} is for a command: parexec add --{given[0].rstrip('_')} … -- COMMAND"
        )
    if fragment is None:
        raise click.UsageError("write a file, or behind -- a command: parexec add -- make docs")
    context.ask(_read_fragment(fragment, _state_of(context), said))


def _add_command(context: VerbContext, words: list[str], keys: dict[str, Any]) -> None:
    """Add one ticket. If somebody takes its id meanwhile, it gets the next one. Raises Refused."""
    import shlex

    from parexec_tui.client.framing import Refused
    from parexec_tui.core.plan.reading.file import PlanErrors
    from parexec_tui.core.wire.requests import Amend

    env = dict(map(_variable, keys["env"]))
    written = {key: value for key in ("title", "needs", "after", "priority") if (value := keys[key])}
    written |= {"run": words[0] if len(words) == 1 else shlex.join(words)} | ({"env": env} if env else {})
    while True:
        state = _state_of(context)
        here = str(Path.cwd())
        where = {} if here == state.plan.workdir else {"cwd": here}
        id_ = keys["id_"] or _free_id(state)
        try:
            added = read_tickets({id_: {**written, **where}}, state)
        except PlanErrors as errors:
            fail("\n".join(f"{each.key}: {each.message}" for each in errors.problems), BAD_USAGE)
        try:
            context.ask(Amend(added=added, beside=True), says=id_)
        except Refused:
            if keys["id_"] or id_ not in _state_of(context).tickets:
                raise
            continue
        return


def _variable(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--env {word!r}: write --env NAME=VALUE")
    return name, value


def _free_id(state: "SessionState") -> str:
    """T1, T2 and so on: the number after the highest one that is there."""
    numbers = [int(id_[1:]) for id_ in state.tickets if id_[:1] == "T" and id_[1:].isdecimal() and len(id_) < 12]
    return f"T{max(numbers, default=0) + 1}"


def _read_fragment(file: Path, state: "SessionState", sets: dict[str, str]) -> "Amend":
    """What adds the tickets of a fragment, checked together with the plan that they join. Exits with all errors."""
    with report_file_errors(NOTHING_CHANGED):
        return read_fragment_file(file, state, sets)


# -- reload ----------------------------------------------------------------------------------------------------


@click.command()
@click.argument("plan", required=False, type=_plan_path)
@click.option("--rerun", is_flag=True, help="Run again with its changes, too, what has succeeded.")
@variable_options
@verb_without_engine
def reload(context: VerbContext, plan: Path | None, rerun: bool, given: "Given") -> None:
    """Take over what changed in the plan file (default: the one that the session was started from).

    Shows what is added, changed and dropped, and what cannot be: what runs stays as it is, and so does what has
    succeeded, if it is changed, and what `parexec add` added. What failed runs again if it is changed. Then it is
    asked; without a terminal that needs --yes. With errors in the file nothing happens (exit code 2). Tickets are
    taken over, gates of groups and of the plan, hosts, and agent types: new ones, and others for what starts from now
    on. Resources, services and settings are for the next session, and so are new tickets that use a new one of these.

    The file is read with the --set and --profile that the session began with; those of this command line are added,
    and kept with it.

    If no engine runs the session (it is finished, say), its plan is changed all the same, and `parexec resume` goes
    on with it.
    """
    from parexec_tui.core.rules.difference import compare

    state = _state_of(context)
    file = plan or _source_of(state)
    plan_now = read_again(file, state, given)
    difference = compare(state, plan_now, rerun=rerun)
    if not context.as_json:
        for line in difference.lines():
            click.echo(line)
        if taken := [name for name, agent_type in difference.agents.items() if agent_type is not None]:
            from parexec_tui.cli.preflight import type_warnings

            for warning in type_warnings(plan_now, taken):
                click.echo(f"warning: {warning}")
    if difference.done:
        click.echo("run again, too, what is done: parexec reload --rerun", err=True)
    if difference.is_empty:
        cannot = "nothing of what differs can be taken over"
        is_other = (
            difference.concerns_session or difference.agent_lines or difference.host_lines or difference.elsewhere
        )
        context.exit_unchanged(cannot if is_other else f"{file} says what the plan is already")
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
