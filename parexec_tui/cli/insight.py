"""What is so in a session: what holds it up, and who holds which claims."""

import sys
import time

import click

from parexec_tui.cli.asking import as_json_option, report_errors, session_argument
from parexec_tui.cli.states import past_state


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

    from parexec_tui.client.sockets import own_signature
    from parexec_tui.core.schedule.bottlenecks import bottlenecks as find
    from parexec_tui.core.schedule.critical_path import critical_path
    from parexec_tui.core.schedule.forecast import comes_to_an_end
    from parexec_tui.text.bottlenecks import bottleneck_lines, bottleneck_text
    from parexec_tui.text.words import printable

    state, now = past_state(session), time.time()
    found, rest = find(state, now)
    path = critical_path(state)
    if as_json:
        facts = {
            "session": state.session,
            "bottlenecks": [{**to_builtins(each), "text": bottleneck_text(each)} for each in found],
            "critical_path": path,
            "seconds": rest.seconds if rest is not None and comes_to_an_end(state) else None,
            "never_start": 0 if rest is None else rest.left,
        }
        json.dump(facts, sys.stdout)
        click.echo()
        return
    for line in bottleneck_lines(state, found, rest, path, now, own_signature()):
        click.echo(printable(line))


@click.command()
@session_argument("the newest of this directory")
@as_json_option
@report_errors()
def claims(session: str | None, as_json: bool) -> None:
    """Say who holds which claims of SESSION (default: the newest of this directory), since when, and who waits.

    Then who is expected to give back first what others wait for, and what tickets wrote outside their claims, as far
    as the plan has `claims`.
    """
    from parexec_tui.text.claims import claims_lines, claims_report
    from parexec_tui.text.words import printable

    state, now = past_state(session), time.time()
    report = claims_report(state, now)
    if as_json:
        import json

        from msgspec import to_builtins

        json.dump(to_builtins(report), sys.stdout)
        click.echo()
        return
    for line in claims_lines(report, now):
        click.echo(printable(line))


COMMANDS: tuple[click.Command, ...] = (bottlenecks, claims)
