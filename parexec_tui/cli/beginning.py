"""init: a small plan of what a folder tells of the work in it."""

import os
from pathlib import Path

import click

from parexec_tui.cli.exits import BAD_USAGE, UNSUCCESSFUL, fail, report_errors

STREAM = Path("-")


@click.command()
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    default=Path("plan.toml"),
    help="The file to write; `-`: standard output. Default: plan.toml.",
)
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
@report_errors()
def init(file: Path, force: bool) -> None:
    """Write a small plan that runs, of what this folder has: Makefile, CMakeLists.txt, build.ninja, pyproject.toml
    (pytest, ruff, mypy, tox), package.json (its scripts), Cargo.toml, go.mod.

    These files are read, and nothing is executed. What they do not tell stands in the plan as a comment, and so does
    a ticket whose command is not on this machine. A file that exists is left as it is, without --force.
    """
    from parexec_tui.cli.folder_looks import look_at, written
    from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
    from parexec_tui.core.plan.units import format_count
    from parexec_tui.report.formats import WriteError
    from parexec_tui.report.writing import write_file
    from parexec_tui.text.words import printable

    here = Path.cwd()
    folder = here if file == STREAM else file.absolute().parent
    found = look_at(here)
    settings = {"name": here.name or "work"}
    if folder != here:
        settings["workdir"] = os.path.relpath(here, folder)
    text = "\n".join(written(found, settings)) + "\n"
    try:
        plan = read_plan(text, source=str(file), folder=str(folder), format="toml")
    except PlanErrors as errors:
        fail(f"nothing was written, since it would be no plan: {errors}", BAD_USAGE)
    if file == STREAM:
        click.echo(text, nl=False)
        return
    try:
        write_file(file, [text.encode()], replaces=force)
    except WriteError as error:
        hint = " (--force replaces it, -o FILE writes another one)" if not force and file.is_file() else ""
        fail(f"{error}{hint}", UNSUCCESSFUL)
    for look in found:
        here_now = [draft.id for draft in look.tickets if not draft.lack]
        lacks = list(dict.fromkeys(draft.lack for draft in look.tickets if draft.lack))
        facts = [", ".join(here_now)] if here_now else []
        facts += [f"not found here, so only a comment: {', '.join(lacks)}"] if lacks else []
        facts += ["nothing to run"] if not facts else []
        click.echo(printable(f"{look.file}: {'; '.join(facts)}"))
    if not found:
        click.echo("nothing that is known was found here: the plan is an example")
    click.echo(printable(f"written: {file} ({format_count(len(plan.tickets), 'ticket')})"))
    click.echo(printable(f"next: parexec validate {file}; parexec run {file}"))


COMMANDS: tuple[click.Command, ...] = (init,)
