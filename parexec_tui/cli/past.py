"""history and report: what earlier sessions of a plan tell of its tickets, and what became of sessions."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option
from parexec_tui.cli.exits import BAD_USAGE, UNSUCCESSFUL, fail, report_errors
from parexec_tui.cli.variables import refuse_given, variable_options
from parexec_tui.cli.written import writes_as

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.registry.registry import Registry

FORMATS = ("text", "md", "json", "csv", "junit", "html")
"""As `report.formats.Format`, which is not needed for other commands."""


@click.command()
@click.argument("plan", required=False, shell_complete=complete.sessions)
@click.argument("ticket", required=False, shell_complete=complete.tickets)
@variable_options
@as_json_option
@report_errors()
def history(plan: str | None, ticket: str | None, given: "Given", as_json: bool) -> None:
    """Say what earlier sessions of PLAN tell of its tickets: how long the newest 20 successes of each took (half of
    them P50 at most, nine in ten P90; newer ones weigh more), how many succeeded only at a retry, and the last
    failure. A family is one line. With TICKET, each of its attempts, or each member if it is a family.

    PLAN is a plan file, the name of a plan, or a session; default: the plan of the newest session of this directory.
    Those that never succeeded come first, then the longest.
    """
    from parexec_tui.client.sessions import open_registry

    with open_registry() as registry:
        found, ticket = _plan_and_ticket(registry, plan, ticket, given)
        if ticket is None or ticket not in found.tickets:
            _print_plan(registry, found, ticket or "", as_json=as_json)
        else:
            _print_ticket(registry, found, ticket, as_json=as_json)


def _plan_and_ticket(
    registry: "Registry", plan: str | None, ticket: str | None, given: "Given"
) -> "tuple[Plan, str | None]":
    """What is meant; a single word that names no plan may name a ticket of the plan of this directory."""
    from parexec_tui.registry.errors import RegistryError

    try:
        found = _plan_of(registry, plan, given)
    except RegistryError:
        if plan is None or ticket is not None or not _has(here := _plan_of(registry, None, given), plan):
            raise
        return here, plan
    if ticket is not None and not _has(found, ticket):
        from parexec_tui.text.words import and_others

        fail(f"no ticket {ticket!r} in {found.settings.name}; it has {and_others(list(found.tickets))}", BAD_USAGE)
    return found, ticket


def _has(plan: "Plan", word: str) -> bool:
    """Whether the plan has a ticket, or a family, of this name."""
    return word in plan.tickets or any(spec.family == word for spec in plan.tickets.values())


def _plan_of(registry: "Registry", named: str | None, given: "Given") -> "Plan":
    """The plan in a file, else that of a session. Raises RegistryError."""
    from parexec_tui.client.sessions import resolve_past
    from parexec_tui.registry.replay import first_plan

    if named is not None and (file := Path(named)).is_file():
        from parexec_tui.cli.plans import plan_of

        return _with_generated(registry, plan_of(file, None, given=given))
    refuse_given(given)
    if named is not None and (of_name := [row for row in registry.sessions() if row.name == named]):
        if len(sources := sorted({row.source for row in of_name})) > 1:
            fail(f"{named!r} is the name of several plans; name the file: {', '.join(sources)}", BAD_USAGE)
        row = of_name[0]
    else:
        row = resolve_past(registry, named)
    return _with_generated(registry, first_plan(registry, row.session))


def _with_generated(registry: "Registry", plan: "Plan") -> "Plan":
    """The plan with the tickets that it generated in the newest session of it which is kept."""
    from msgspec.structs import replace

    from parexec_tui.registry.errors import RegistryError
    from parexec_tui.registry.replay import replay

    if any(spec.generates for spec in plan.tickets.values()):
        for session in registry.sessions_of(plan):
            try:
                then = replay(registry, session).state
            except RegistryError:  # it was pruned
                continue
            generated = {id_ for by in then.generated for id_ in then.generated_by(by)}
            new = {id_: then.plan.tickets[id_] for id_ in generated - plan.tickets.keys()}
            return replace(plan, tickets={**plan.tickets, **dict(sorted(new.items()))})
    return plan


def _print_plan(registry: "Registry", plan: "Plan", family: str, *, as_json: bool) -> None:
    """`family`: only its members; empty: all."""
    from msgspec.structs import replace

    from parexec_tui.core.wire import codec
    from parexec_tui.text.history import past_lines, plan_past
    from parexec_tui.text.words import is_ascii_only

    past = plan_past(registry, plan)
    if family:
        never_ran = [id_ for id_ in past.never_ran if plan.tickets[id_].family == family]
        past = replace(past, tickets=[each for each in past.tickets if each.family == family], never_ran=never_ran)
    if as_json:
        click.echo(codec.encode(past))
        return
    ascii_only = is_ascii_only(sys.stdout)

    def trend(values: Sequence[float], cells: int) -> str:
        from parexec_tui.tui.drawing.spark import spark

        return "".join(cell.char for cell in spark(values, cells, ascii_only=ascii_only))

    for line in past_lines(past, time.time(), trend, _width(), ascii_only=ascii_only):
        click.echo(line)


def _print_ticket(registry: "Registry", plan: "Plan", ticket: str, *, as_json: bool) -> None:
    from parexec_tui.core.wire import codec
    from parexec_tui.text.history import past_runs, run_lines
    from parexec_tui.text.words import is_ascii_only

    runs = past_runs(registry, plan, ticket)
    if as_json:
        click.echo(codec.encode({"ticket": ticket, "attempts": runs}))
        return
    if not runs:
        click.echo(f"{ticket} has never run in a session of {plan.settings.name}")
    for line in run_lines(runs, _width(), ascii_only=is_ascii_only(sys.stdout)):
        click.echo(line)


def _width() -> int | None:
    """The cells of the terminal; None: what is printed goes elsewhere, and nothing is cut off."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@click.command()
@click.argument("sessions", metavar="[SESSION]...", nargs=-1, shell_complete=complete.sessions)
@writes_as(FORMATS)
@report_errors()
def report(sessions: tuple[str, ...], format_: str | None, file: Path | None, force: bool) -> None:
    """Report on SESSION (default: the newest of this directory): how it went, and why it took so long.

    What tickets waited for, second by second; the critical path as it really was; agents, estimates against what
    tickets took, what the machine did, and what changed since the session before of the same plan. Of several
    sessions, each is compared with the one named before it.

    md is for a pull request, html is one page with drawings, json has all facts, csv a line for each
    attempt, junit is for CI systems. A file that
    exists is left as it is, without --force.
    """
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.report.formats import Format, WriteError, format_of
    from parexec_tui.report.sources import read_report
    from parexec_tui.report.writing import MOST_WIDTH, content, write_file
    from parexec_tui.text.words import is_ascii_only

    if file == Path("-"):
        file = None
    try:
        if format_ is None:
            format_ = format_of(file) if file is not None else Format.text
    except WriteError as error:
        fail(str(error), BAD_USAGE)
    with open_registry() as registry:
        rows = [resolve_past(registry, text) for text in sessions or (None,)]
        facts = read_report(registry, rows, warn=lambda text: click.echo(f"parexec: {text}", err=True))
        if file is None:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else MOST_WIDTH
            ascii_only = is_ascii_only(sys.stdout)
            for part in content(facts, Format(format_), registry, width=width, ascii_only=ascii_only):
                click.echo(part, nl=False)
            return
        try:
            write_file(file, content(facts, Format(format_), registry), replaces=force)
        except WriteError as error:
            hint = "" if force or not file.is_file() else " (--force replaces it)"
            fail(f"{error}{hint}", UNSUCCESSFUL)
    click.echo(f"written: {file.absolute()}", err=True)


COMMANDS: tuple[click.Command, ...] = (history, report)
