"""The plan file of a session may have changed: it is found and read again, and offered before the session goes on."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import is_unattended, report_errors
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.plans import plan_of, report_file_errors
from parexec_tui.client.plan_files import as_of, find_source

if TYPE_CHECKING:
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.core.rules.difference import Difference
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.registry.sessions import SessionRow

NOTHING_CHANGED = "in the file; nothing was changed"
"""The end of the line that counts errors."""

_GOES_ON = "the session goes on with the plan as it was"


def read_again(file: Path, state: "SessionState", given: "Given | None" = None) -> "Plan":
    """The plan in a file that belongs to this session. `given`: what is said of its variables besides what was said
    before. Exits with all its errors."""
    from parexec_tui.core.plan.expanding.given import over

    said = state.plan.given if given is None else over(given, state.plan.given)
    plan = plan_of(file, state.host, NOTHING_CHANGED, said)
    with report_file_errors(NOTHING_CHANGED):
        return as_of(plan, file, state)


def offer_changes(row: "SessionRow", *, runs: bool) -> None:
    """Say what has changed in the plan file of a session that is about to go on, and offer to take it over.

    `runs`: the session has something to run without that. Otherwise it exits if nobody can be asked: that every
    ticket succeeded would not be what a person means who has changed the file. Raises as `LeftSession.ask` does.
    """
    from parexec_tui.client.sessions import is_living, replay_of
    from parexec_tui.core.rules.difference import compare

    file = find_source(row.source, row.workdir)
    if file is None or is_living(row.session):
        return
    is_older = changed_at(file) < row.started
    if runs and is_older and b"include" not in file.read_bytes():  # else the whole session has to be read
        return
    state = replay_of(row.session).state
    if runs and is_older and all(changed_at(Path(each)) < row.started for each in state.plan.included):
        return
    try:
        plan = read_again(file, state)
    except SystemExit:  # it has said what is wrong with the file
        if not runs:
            raise
        click.echo(_GOES_ON, err=True)
        return
    difference = compare(state, plan)
    if not difference.concerns_session:
        return
    if difference.is_empty and difference.done:
        difference = compare(state, plan, rerun=True)
    click.echo(f"{file} has changed since {row.session} read it:", err=True)
    for line in difference.lines():
        click.echo(f"  {line}", err=True)
    _offer(row.session, difference, runs=runs)


def changed_at(file: Path) -> float:
    """When a file was last written; 0 if it is not there any more, which its reader will say."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _offer(session: str, difference: "Difference", *, runs: bool) -> None:
    rerun = " --rerun" if difference.rerun and not difference.done else ""
    take_over = f"parexec reload{rerun} -s {session}"
    if difference.is_empty:
        click.echo("none of that can be taken over", err=True)
    elif is_unattended():
        if not runs:
            fail(f"nothing was started; take it over: {take_over} --yes, then: parexec resume {session}", BAD_USAGE)
        click.echo(f"{_GOES_ON}; take it over: {take_over}", err=True)
    elif click.confirm("take it over, and go on with that?", default=False, err=True):
        from parexec_tui.engine.lifecycle.left_session import LeftSession

        with report_errors():
            LeftSession(session).ask(difference.request)
