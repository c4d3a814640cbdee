"""diff: what a ticket did in its worktree."""

import sys

import click

from parexec_tui.cli import complete
from parexec_tui.cli.exits import BAD_USAGE, fail, report_errors


@click.command()
@click.argument("ticket", shell_complete=complete.tickets)
@click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)
@click.option("--stat", is_flag=True, help="Only how much changed in which files.")
@click.option("--conflict", is_flag=True, help="Both sides of its conflict, if that waits for you.")
@report_errors()
def diff(ticket: str, session: str | None, stat: bool, conflict: bool) -> None:
    """Print what TICKET did in its worktree, against the commit where it began: what was merged, or else what is
    there now, with what is not committed. In colours on a terminal.
    """
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.engine.backends.local.worktrees.diffs import conflict_lines, diff_of
    from parexec_tui.registry.replay import replay

    with open_registry() as registry:
        past = replay(registry, resolve_past(registry, session).session)
    options = ("--color=always" if sys.stdout.isatty() else "--color=never", *(("--stat",) if stat else ()))
    try:
        text = "\n".join(conflict_lines(past.state, ticket)) if conflict else diff_of(past.state, ticket, *options)
    except OSError as error:
        fail(str(error), BAD_USAGE)
    if conflict and not text:
        fail(f"no conflict of {ticket} waits for you", BAD_USAGE)
    if text:
        click.echo(text)


COMMANDS: tuple[click.Command, ...] = (diff,)
