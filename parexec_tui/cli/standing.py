"""How a session stands: the page of `status`, and why something does not run."""

import sys
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import (
    VerbContext,
    as_json_option,
    connect_or_do_without,
    report_errors,
    session_argument,
    session_option,
)

if TYPE_CHECKING:
    from parexec_tui.core.wire.protocol import StatusReport


@click.command()
@session_argument("the newest of this directory that an engine runs, else the newest that one runs")
@as_json_option
def status(session: str | None, as_json: bool) -> None:
    """Show how the session stands, on one page: counts, what is held, agents, what failed.

    Without an engine, as it was when its engine left; if the engine does not answer, as the registry has it, and why.
    `--json` has the same facts for scripts; see `parexec help commands`.
    """
    with report_errors():
        report, hint = _status(session)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report))
    else:
        import time

        from parexec_tui.client.sockets import own_signature
        from parexec_tui.text.dashboard import dashboard

        for line in dashboard(report, now=time.time(), me=own_signature(), whole=not sys.stdout.isatty()):
            click.echo(line)
    if hint:
        click.echo(f"parexec: {hint}", err=True)


def _status(session: str | None) -> "tuple[StatusReport, str]":
    """The facts, from the engine or else from the registry; and a hint if that is so because something is wrong."""
    from parexec_tui.client import sessions
    from parexec_tui.client.connecting import connect_to
    from parexec_tui.client.framing import EngineGone

    row = sessions.resolve_here(session)
    silence = ""
    if sessions.is_living(row.session):
        try:
            with connect_to(row.session) as client:
                report = client.status()
                return report, report.trouble
        except EngineGone as gone:
            silence = str(gone)
        except sessions.NoSuchSession:
            pass  # it just left
    from parexec_tui.api.standing import standing_of

    report, past = standing_of(row, silence)
    if past.fault:
        return report, past.warning
    if report.state == "interrupted":
        return report, f"its engine is gone; {sessions.how_to_take_over(row.session)}"
    return report, report.trouble or ("" if session is not None else _living_elsewhere())


def _living_elsewhere() -> str:
    """Which session runs in another folder, while that of this one does not; empty if none does."""
    from parexec_tui.client import sessions

    with sessions.open_registry() as registry:
        other = next(iter(sessions.others_living(registry)), None)
    return f"{other.session} of {other.workdir} runs: parexec status {other.session}" if other is not None else ""


@click.command()
@click.argument("tickets", metavar="[TICKET]...", nargs=-1, shell_complete=complete.tickets)
@session_option
@as_json_option
def why(tickets: tuple[str, ...], session: str | None, as_json: bool) -> None:
    """Say why tickets are not running, or how a service stands. Without TICKET, all that wait, are
    frozen, ask you something, lack room for what they did, or will conflict.

    What they wait for in the end is said once, with the command that ends it, above all that wait for it; then all
    that keeps each of them. With --json, what a ticket waits for in the end is the last of its reasons.

    Without an engine, as it was when its engine left.
    """
    import time

    from parexec_tui.client.sockets import own_signature
    from parexec_tui.text.waits import last_reasons, why_lines

    with report_errors(), connect_or_do_without(session) as client:
        context = VerbContext(client, as_json=as_json)
        chosen = context.tickets(tickets) if tickets else ()
        reasons: dict[str, list[str]] = client.question("why", chosen, me="" if as_json else own_signature())
        roots = client.roots(chosen)
    if as_json:
        import json

        click.echo(json.dumps(last_reasons(reasons, roots)))
        return
    for line in why_lines(reasons, roots, time.time(), own_signature()):
        click.echo(line)
    if not reasons:
        click.echo("nothing waits", err=True)


COMMANDS: tuple[click.Command, ...] = (status, why)
