"""export: what is remembered of a session is written to a file."""

from pathlib import Path

import click

from parexec_tui.cli import complete
from parexec_tui.cli.exits import UNSUCCESSFUL, fail, report_errors


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
@report_errors()
def export(file: Path, session: str | None, force: bool) -> None:
    """Write a session to FILE. The end of its name says what: .json all facts, .jsonl all events, .csv a line for
    each ticket, .txt every ticket in words.

    A file that exists is left as it is, without --force.
    """
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.text.export import ExportError
    from parexec_tui.text.export import export as write

    with open_registry() as registry:
        row = resolve_past(registry, session)
    try:
        write(row.session, file, replaces=force)
    except ExportError as error:
        hint = "" if force or not file.exists() else " (--force replaces it)"
        fail(f"{error}{hint}", UNSUCCESSFUL)
    click.echo(f"written: {file.absolute()}", err=True)


COMMANDS: tuple[click.Command, ...] = (export,)
