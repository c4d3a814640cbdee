"""tour: the sample plan on the screen, and what to press, step by step."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.cli.beside import start_if_alone, warn
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, UNSUCCESSFUL, fail, report_errors
from parexec_tui.cli.plans import plan_of
from parexec_tui.cli.screen import Screen, screen_options
from parexec_tui.paths import create_private, session_folder, state_home

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Plan


@click.command()
@screen_options
@report_errors()
def tour(screen_options: dict[str, Any]) -> None:
    """See and steer a sample plan on the screen; it says what to press, and waits for you.

    It takes a few minutes, and needs nothing but a POSIX shell. The session is a real one, begun held: `parexec ls`
    has it afterwards, `parexec stop` ends it. Its plan is a copy that you may edit, in the state folder. A tour that
    you left goes on where it was.
    """
    from parexec_tui.engine.errors import EngineFailedError
    from parexec_tui.engine.lifecycle.launch import start_detached
    from parexec_tui.engine.measure import monitor
    from parexec_tui.tui.terminal.restore import can_show

    if not can_show(os.environ):
        fail("the tour needs a terminal to show it on; without one: parexec run PLAN --headless", BAD_USAGE)
    session, left = "", _left()

    def begin(new: str) -> None:
        nonlocal session
        session = new
        session_folder(new).tour_note.write_text(f"0 {left}".strip(), encoding="utf-8")
        screen.show(new)

    try:
        with Screen(screen_options, wanted=True) as screen:
            if session := _begun():
                screen.show(session)
            else:
                start = partial(start_detached, _plan(monitor.host()), hold=True, meanwhile=begin, warn=warn)
                start_if_alone(start, "refuse", again="parexec tour", can_wait=False)
    except EngineFailedError as error:
        fail(str(error), BAD_USAGE)
    except SystemExit as left:
        if left.code not in (SUCCEEDED, UNSUCCESSFUL):
            raise
        _say_what_is_left(session)
        sys.exit(SUCCEEDED)  # some of its tickets are meant to fail: that is no failure of the tour


def _say_what_is_left(session: str) -> None:
    from parexec_tui.client.sessions import is_living

    if is_living(session):
        click.echo(f"on with the tour: parexec tour; to end its session: parexec stop -s {session}", err=True)


def _begun() -> str:
    """The tour that lives; empty if none does. One that was walked to its end begins anew."""
    from parexec_tui.client.sessions import NoSuchSession, open_registry, others_living

    try:
        with open_registry() as registry:
            rows = others_living(registry)
    except NoSuchSession:
        return ""
    for row in rows:
        note = session_folder(row.session).tour_note
        if note.exists():
            if note.read_text(encoding="utf-8") == "over":
                note.write_text("0", encoding="utf-8")
            return row.session
    return ""


def _left() -> str:
    """Why a tour that was left is not gone on with, where its session is over; else empty."""
    from parexec_tui.client.sessions import all_sessions

    rows, _ = all_sessions()
    for row in rows:
        try:
            noted = session_folder(row.session).tour_note.read_text(encoding="utf-8")
        except OSError:
            continue
        if noted.isdecimal() and int(noted):
            return f"the sample has ended since you left at step {int(noted) + 1}, so the tour begins again"
        return ""
    return ""


def _plan(host: Any) -> "Plan":
    """The sample plan, from a copy that the person may edit."""
    folder = state_home(create=True) / "tour"
    create_private(folder)
    copy = folder / "tour.toml"
    copy.write_bytes(_sample().read_bytes())
    return plan_of(copy, host)


def _sample() -> Path:
    """The sample plan: in the package, or in a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "tour.toml"
    return inside if inside.is_file() else package.parent / "sample_plans" / "tour.toml"


COMMANDS: tuple[click.Command, ...] = (tour,)
