"""bottlenecks: what holds a session up, and what more of it would save."""

import sys
import time

import click

from parexec_tui.cli.asking import as_json_option, report_errors, session_argument


@click.command()
@session_argument("the newest of this directory")
@as_json_option
@report_errors()
def bottlenecks(session: str | None, as_json: bool) -> None:
    """Say what holds SESSION up (default: the newest of this directory), worst first, and what more of it would save.

    First what waits for a person, such as a hold or a service that failed. The rest of the session is simulated with
    the limits that it has, and with one more of each. How long tickets take is what the plan estimates, else what
    they took before. While something waits for a person, no end is told.
    """
    import json

    from msgspec import to_builtins

    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.client.sockets import own_signature
    from parexec_tui.core.schedule.bottlenecks import bottlenecks as find
    from parexec_tui.core.schedule.critical_path import critical_path
    from parexec_tui.core.schedule.forecast import comes_to_an_end
    from parexec_tui.registry.lock import note_engine
    from parexec_tui.registry.replay import replay
    from parexec_tui.text.bottlenecks import bottleneck_lines, bottleneck_text
    from parexec_tui.text.words import printable

    with open_registry() as registry:
        past = replay(registry, resolve_past(registry, session).session)
    if past.warning:
        click.echo(f"parexec: {past.warning}", err=True)
    state, now = past.state, time.time()
    note_engine(state)
    found, course = find(state, now)
    path = critical_path(state)
    if as_json:
        facts = {
            "session": state.session,
            "bottlenecks": [{**to_builtins(each), "text": bottleneck_text(each)} for each in found],
            "critical_path": path,
            "seconds": course.seconds if course is not None and comes_to_an_end(state) else None,
            "never_start": 0 if course is None else course.left,
        }
        json.dump(facts, sys.stdout)
        click.echo()
        return
    for line in bottleneck_lines(state, found, course, path, now, own_signature()):
        click.echo(printable(line))


COMMANDS: tuple[click.Command, ...] = (bottlenecks,)
