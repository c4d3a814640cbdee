"""`parexec import FORMAT SOURCE`: a plan out of what another tool runs."""

from pathlib import Path
from typing import Any

import click

from parexec_tui.cli.exits import BAD_USAGE, NOT_DONE, UNSUCCESSFUL, fail
from parexec_tui.importing.draft import ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text
from parexec_tui.text.words import printable


def import_plan(
    name: str, source: Path, parts: tuple[str, ...], file: Path | None, *, replaces: bool, as_json: bool
) -> None:
    """Write the plan that a source becomes, or print it; say what of the source is not in it. Exits if it cannot be
    imported."""
    import msgspec

    if as_json and file is None:
        fail("--json tells of the plan file that is written: say which, with -o plan.toml", BAD_USAGE)
    folder = Path() if file is None else file.parent
    try:
        draft = read(name, Wanted(source, folder, parts))
    except ImportFault as fault:
        fail(f"nothing is imported of {fault}", BAD_USAGE)
    if not draft.tickets:
        fail(f"nothing is imported of {source}: there is nothing in it that can be run", BAD_USAGE)
    text = plan_text(draft)
    if file is None:
        click.echo(text, nl=False)
    else:
        _write(text, file, replaces=replaces)
    if not as_json:
        for warning in draft.warnings:
            click.echo(f"parexec: warning: {printable(warning)}", err=True)
    _check(text, file, folder)
    if file is None:
        return
    if as_json:
        done: dict[str, Any] = {
            "plan": str(file.absolute()),
            "tickets": len(draft.tickets),
            "warnings": draft.warnings,
        }
        click.echo(msgspec.json.encode(done))
    else:
        _print_done(file, len(draft.tickets), len(draft.warnings))


def _write(text: str, file: Path, *, replaces: bool) -> None:
    from parexec_tui.report.formats import WriteError
    from parexec_tui.report.writing import write_file

    try:
        write_file(file, iter((text.encode("utf-8"),)), replaces=replaces)
    except WriteError as error:
        remedy = "" if replaces or not file.exists() or file.is_dir() else " (--force replaces it)"
        fail(f"{error}{remedy}", NOT_DONE)


def _check(text: str, file: Path | None, folder: Path) -> None:
    """Exits if the plan has mistakes: they were in the source, or the importer made them."""
    from parexec_tui.core.plan.reading.file import PlanErrors, read_plan

    try:
        read_plan(text, source=str(file or "plan.toml"), folder=str(folder.absolute()), format="toml")
    except PlanErrors as errors:
        for problem in errors.problems:
            click.echo(printable(str(problem)), err=True)
        fail("the plan was made, and cannot be run as it is: see above", UNSUCCESSFUL)


def _print_done(file: Path, tickets: int, warnings: int) -> None:
    from shlex import quote

    from parexec_tui.core.plan.units import format_count

    left = f", {format_count(warnings, 'warning')}" if warnings else ""
    click.echo(
        f"{printable(str(file))}: {format_count(tickets, 'ticket')}{left}; next: parexec run {quote(str(file))}"
    )
