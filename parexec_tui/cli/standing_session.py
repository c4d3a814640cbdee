"""session: a session that stays, to which commands are added one by one."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.beside import neighbour_options, start_if_alone, warn, wish_of
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.running import ParallelType, follow_or_detach, report_start_errors

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Host, Plan
    from parexec_tui.core.plan.plan_settings import Parallel


@click.command()
@click.argument("action", metavar="new", type=click.Choice(["new"]))
@click.argument("name", default="work")
@click.option(
    "-P",
    "-j",
    "--parallel",
    metavar="N|auto",
    type=ParallelType(),
    help="How many commands at once; auto: as many as finish most. Default: one per CPU.",
)
@click.option("--scope", is_flag=True, help="Start the engine in a scope of your systemd, which survives logout.")
@neighbour_options
@report_start_errors()
def session(action: str, name: str, parallel: "Parallel | None", scope: bool, wait: bool, beside: bool) -> None:
    """Begin a session without a plan, called NAME, in this folder. It stays, also while it has nothing to do.

    `parexec add -- COMMAND` puts commands into it. `parexec drain` ends it when all is done; `parexec stop` ends what
    runs, and `parexec resume` goes on with it, as after a reboot.
    """
    from parexec_tui.engine.lifecycle.launch import start_detached
    from parexec_tui.engine.measure import monitor

    wish = wish_of(wait=wait, beside=beside)
    start = partial(start_detached, _plan(name, monitor.host(), parallel), scope=scope, warn=warn)
    started = start_if_alone(start, wish, again=f"parexec session {action} {name}")
    click.echo(f"add to it: parexec add -s {started} -- COMMAND", err=True)
    follow_or_detach(started, True, None)


def _plan(name: str, host: "Host", parallel: "Parallel | None") -> "Plan":
    """A plan of no tickets."""
    import json

    from msgspec.structs import replace

    from parexec_tui.client.plan_files import FROM_STREAM
    from parexec_tui.core.plan.reading.file import PlanErrors, read_plan

    settings = {"name": name} if parallel is None else {"name": name, "parallel": parallel}
    text = json.dumps({"plan": settings, "tickets": {"none": {"run": "true"}}})
    try:
        plan = read_plan(text, source="session", folder=str(Path.cwd()), format="json", host=host)
    except PlanErrors as errors:
        fail(f"{name!r}: {errors.problems[0].message}", BAD_USAGE)
    return replace(plan, tickets={}, source=FROM_STREAM, is_standing=True)


COMMANDS: tuple[click.Command, ...] = (session,)
