"""ls: the sessions that the registry remembers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import as_json_option
from parexec_tui.cli.exits import report_errors
from parexec_tui.cli.troubles import troubles_of
from parexec_tui.paths import session_folder

if TYPE_CHECKING:
    from parexec_tui.registry.sessions import SessionRow

_COUNT_WITHIN = 1.0
"""Seconds for counting what sessions take on the disk."""


@click.command()
@click.option("-l", "--long", "is_long", is_flag=True, help="Also what each session takes on the disk.")
@as_json_option
@report_errors()
def ls(is_long: bool, as_json: bool) -> None:
    """List sessions, newest first. interrupted: its engine died; `parexec resume` goes on."""
    import msgspec

    from parexec_tui.client import sessions
    from parexec_tui.registry.lock import lost_guardian
    from parexec_tui.text.words import day_and_clock, printable

    rows, unreadable = sessions.all_sessions()
    troubles = troubles_of(rows)
    for what in unreadable:
        click.echo(f"parexec: {printable(what)}", err=True)
    sizes = _sizes(rows) if is_long else {}
    if as_json:
        for row in rows:
            facts = msgspec.structs.asdict(row)
            facts |= {"status": sessions.status_of(row), "trouble": troubles.get(row.session, "")}
            if is_long:
                facts["size"] = sizes[row.session]
            click.echo(msgspec.json.encode(facts))
        return
    if not rows and not unreadable:
        click.echo(f"parexec: {sessions.NO_SESSIONS}", err=True)
    width = max((len(row.session) for row in rows), default=0)
    hints = []
    for row in rows:
        done = f"{row.succeeded}/{row.total} ok" + (f", {row.failed} not" if row.failed else "")
        name = printable(row.name)
        status = sessions.status_of(row)
        size = f"{_size(sizes[row.session]):>8}  " if is_long else ""
        click.echo(f"{row.session:<{width}}  {status:<11}  {day_and_clock(row.started)}  {size}{done:<15}  {name}")
        if status == "interrupted":
            hints.append(f"{row.session}: its engine is gone; take over: parexec resume {row.session}")
        elif row.session in troubles:
            hints.append(f"{row.session}: {printable(troubles[row.session])}")
        elif lost_guardian(session_folder(row.session)):
            hints.append(f"{row.session}: its guardian is gone; if its engine dies, no other follows by itself")
    if missing := sum(size is None for size in sizes.values()):
        hints.append(
            f"?: {missing} were not counted within {_COUNT_WITHIN:g} s; the next `parexec ls --long` goes on"
        )
    for hint in hints:
        click.echo(hint, err=True)


def _sizes(rows: "Sequence[SessionRow]") -> "dict[str, int | None]":
    """{session: what it takes on the disk; None: there was no time to count it}"""
    from parexec_tui.client.sessions import open_registry
    from parexec_tui.keeping.sizes import Sizes

    if not rows:
        return {}
    sizes = Sizes()
    with open_registry() as registry:
        found = sizes.of_all(registry, rows, _COUNT_WITHIN)
    sizes.remember(rows)
    return found


def _size(size: int | None) -> str:
    from parexec_tui.core.plan.units import format_size

    return "?" if size is None else format_size(size)


COMMANDS: tuple[click.Command, ...] = (ls,)
