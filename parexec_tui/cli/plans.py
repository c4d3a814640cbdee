"""validate, doctor and schema: a plan and the machine are checked before anything runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from parexec_tui.cli.asking import as_json_option
from parexec_tui.cli.beside import warn
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, UNSUCCESSFUL, fail, report_errors
from parexec_tui.cli.variables import variable_options
from parexec_tui.client import plan_files

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Host, Plan, Selection
    from parexec_tui.core.plan.reading.problems import Problem
    from parexec_tui.core.wire.selection import Choice

plan_argument = click.argument("plan_file", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))


def plan_of(file: Path, host: "Host | None", where: str = "in the plan", given: "Given | None" = None) -> "Plan":
    """The plan in a file. Exits if it has errors: see `refuse_file`."""
    return _open(file, host, where, given).plan


class ChosenPlan:
    """The tickets of a plan that are wanted. Exits if the file has errors, or if no ticket is chosen."""

    def __init__(self, file: Path, host: "Host", wanted: "Selection", given: "Given | None" = None) -> None:
        from parexec_tui.core.wire.selectors import SelectorError

        self._file = _open(file, host, given=given)
        self.plan = self._file.plan
        self._choice: Choice | None = None
        if wanted:
            try:
                self.plan = self._choose(wanted).plan
            except SelectorError as error:
                fail(f"{error}; nothing was started", BAD_USAGE)

    @property
    def choice(self) -> "Choice":
        """Why each ticket would be run."""
        return self._choice or self._choose(self.plan.selection)

    def _choose(self, wanted: "Selection") -> "Choice":
        from parexec_tui.core.wire.selection import choose

        self._choice = choose(self._file.plan, wanted)
        return self._choice

    def check(self, *, only_looks: bool = False) -> "Plan":
        """The plan. Exits if this machine has not what it requires. `only_looks`: see `unmet`."""
        from parexec_tui.core.plan.expanding.given import passed_over

        if problems := _missing_here(self._file._replace(plan=self.plan), only_looks=only_looks):
            refuse_file(problems, "not met on this machine: nothing was started", "requirement")
        if not only_looks and (unknown := passed_over(self.plan.given, self.plan.variables)):
            warn(unknown)
        if not only_looks and self._choice is not None and self._choice.gates_left_out:
            from parexec_tui.text.words import printable

            for line in self._choice.without_gates():
                click.echo(printable(f"parexec: {line}"), err=True)
        return self.plan


def _missing_here(found: plan_files.PlanFile, *, only_looks: bool) -> "tuple[Problem, ...]":
    """What the plan requires and this machine does not have."""
    from parexec_tui.core.plan.requirements import requires_something
    from parexec_tui.core.plan.secrets import wanted_secrets

    problems: tuple[Problem, ...] = ()
    if requires_something(found.plan):
        from parexec_tui.engine.backends.local.unmet import unmet

        problems = found.problems(unmet(found.plan, only_looks=only_looks))
    if not only_looks and wanted_secrets(found.plan):
        from parexec_tui.engine.secrets import unknown_secrets

        problems += found.problems(unknown_secrets(found.plan, runs=True))
    return problems


def _open(
    file: Path, host: "Host | None", where: str = "in the plan", given: "Given | None" = None
) -> plan_files.PlanFile:
    from parexec_tui.text.words import printable

    with report_file_errors(where):
        found = plan_files.open_plan_file(file, host, given)
    if warning := plan_files.trust_warning(file, found.plan.included):
        click.echo(f"parexec: warning: {printable(warning)}", err=True)
    return found


@contextmanager
def report_file_errors(where: str) -> Iterator[None]:
    """Print what is wrong with a plan file, and exit. `where`: the end of the line that counts its mistakes."""
    from parexec_tui.core.plan.reading.file import PlanErrors

    try:
        yield
    except PlanErrors as errors:
        refuse_file(errors.problems, where)
    except plan_files.PlanFileError as error:
        fail(str(error), BAD_USAGE)


def refuse_file(problems: tuple[object, ...], where: str, what: str = "error", code: int = BAD_USAGE) -> NoReturn:
    """Print every problem of a file, and exit. `what`, `where`: the last line, which counts them."""
    from parexec_tui.core.plan.units import format_count
    from parexec_tui.text.words import printable

    for problem in problems:
        # Each line begins with file, line and column, because editors read them.
        click.echo(printable(str(problem)), err=True)
    fail(f"{format_count(len(problems), what)} {where}", code)


@click.command()
@plan_argument
@click.option("--expanded", is_flag=True, help="Print the plan as it will run, its families ticket by ticket.")
@variable_options
@report_errors()
def validate(plan_file: Path, expanded: bool, given: "Given") -> None:
    """Check PLAN: all errors at once, else its shape and what is likely to go wrong on this machine.

    Exits with 0 if it can be run here, 1 if this machine has not all that the plan requires, 2 if it has errors.
    """
    from parexec_tui.cli.preflight import clashes, limits_here, shape, warnings
    from parexec_tui.core.plan.check import survey
    from parexec_tui.engine.measure import monitor

    host = monitor.host()
    read = _open(plan_file, host, given=given)
    if expanded:
        click.echo(read.written_out(), nl=False)
        return
    plan = read.plan
    found = survey(plan, host=host)
    for line in (*shape(found), *limits_here(plan)):
        click.echo(line)
    for warning in (*clashes(found), *warnings(plan)):
        click.echo(f"warning: {warning}")
    if problems := _missing_here(read, only_looks=True):
        refuse_file(problems, "not met on this machine: it would not be run here", "requirement", UNSUCCESSFUL)


@click.command()
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@variable_options
@as_json_option
@click.option("--repair", is_flag=True, help="Replace a damaged registry by what can be saved of it; keep a copy.")
@click.option("--dry-run", is_flag=True, help="With --repair: say what would be saved, and change nothing.")
@report_errors()
def doctor(plan_file: Path | None, given: "Given", as_json: bool, repair: bool, dry_run: bool) -> None:
    """Check this machine: what may get in the way of long runs (of PLAN), and what to do about it.

    Every session of the registry is read as well. Exits with 0 if all is fine, 1 if something needs attention.

    With --repair, only the registry is looked at. Exits with 0 if nothing is damaged, or all of it was saved; 1 if
    something is lost; 2 if it could not be repaired: then it is as it was.
    """
    import msgspec

    if repair:
        from parexec_tui.cli.repairing import repair_registry

        if plan_file or as_json:
            raise click.UsageError("--repair is about the registry: leave PLAN and --json out")
        sys.exit(repair_registry(dry_run=dry_run))
    if dry_run:
        raise click.UsageError("--dry-run is for --repair")

    from parexec_tui.cli.doctor import examine
    from parexec_tui.engine.measure import monitor

    host = monitor.host()
    found = []
    for finding in examine(host, plan_of(plan_file, host, given=given) if plan_file else None):
        found.append(finding)
        if not as_json:
            click.echo(f"{'fine' if finding.fine else 'LOOK'}  {finding.check}: {finding.text}")
            if finding.remedy:
                click.echo(f"      do: {finding.remedy}")
    if as_json:
        click.echo(msgspec.json.encode(found))
    sys.exit(SUCCEEDED if all(finding.fine for finding in found) else UNSUCCESSFUL)


@click.command()
def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    import json

    from parexec_tui.core.plan.reading.schema import plan_schema

    click.echo(json.dumps(plan_schema(), indent=2))


COMMANDS: tuple[click.Command, ...] = (validate, doctor, schema)
