"""The command line."""

import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar

import click

from parexec_tui import __version__
from parexec_tui.paths import registry_file, session_folder

if TYPE_CHECKING:
    # Read when a command needs them: `parexec ls` shall not wait for the engine to be imported.
    from parexec_tui.core.plan import Host, Plan
    from parexec_tui.core.state import SessionState
    from parexec_tui.engine.run import Result, Viewer
    from parexec_tui.registry.registry import Registry, SessionRow
    from parexec_tui.registry.replay import Replay

SUCCEEDED, SOME_DID_NOT, BAD_USAGE, STOPPED = 0, 1, 2, 3
"""Exit codes: all tickets succeeded; some did not; bad plan or usage; stopped by a person."""

_FOLLOW_EVERY = 0.2

P = ParamSpec("P")
R = TypeVar("R")


def main() -> None:
    """The entry point of the command `parexec`."""
    cli(prog_name="parexec")


def _fail(message: str, code: int = BAD_USAGE) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"parexec: {line}", err=True)
    sys.exit(code)


def _plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors a person can do something about into words and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from parexec_tui.core.plan_file import PlanErrors
        from parexec_tui.registry.errors import RegistryError

        try:
            return command(*args, **kwargs)
        except PlanErrors as errors:
            count = len(errors.problems)
            shown = "\n".join(map(str, errors.problems))
            _fail(f"{shown}\n{count} error{'' if count == 1 else 's'}; nothing was started")
        except BrokenPipeError:
            raise
        except (RegistryError, OSError) as error:
            _fail(str(error))

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="parexec")
def cli() -> None:
    """Execute a plan of dependent tickets with a pool of agents in parallel.

    \b
    Exit codes of run and resume:
      0  every ticket succeeded
      1  some did not
      2  bad plan or usage; nothing was started
      3  stopped or drained by a person; resume goes on
    """


# -- plans -----------------------------------------------------------------------------------------------------

_plan_file = click.argument("plan_file", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))


def _read_plan(file: Path, host: "Host | None") -> "Plan":
    from parexec_tui.core.plan_file import read_plan

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        _fail(f"{file}: not UTF-8 text (byte {error.start}): save it as UTF-8")
    except OSError as error:
        _fail(f"{file}: {error.strerror}")
    syntax: Literal["toml", "json"] = "json" if file.suffix == ".json" else "toml"
    return read_plan(text, source=str(file), folder=str(file.absolute().parent), format=syntax, host=host)


_output = [
    click.option("--json", "style", flag_value="json", help="Print events as JSON lines."),
    click.option("-q", "--quiet", "style", flag_value="quiet", help="Print the summary only."),
]


def _output_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in _output:
        command = option(command)
    return command


@cli.command()
@_plan_file
@click.option("--headless", is_flag=True, help="Print lines instead of showing the screen.")
@_output_options
@_plainly
def run(plan_file: Path, headless: bool, style: Any) -> None:
    """Execute PLAN, a TOML or JSON file, from the start.

    \b
    ctrl-c once   drain: start nothing new, let what runs finish
    ctrl-c twice  stop: end what runs; `parexec resume` goes on later
    """
    from parexec_tui.engine import monitor
    from parexec_tui.engine.run import run_plan

    del headless  # there is no screen yet, so every run is
    host = monitor.host()
    plan = _read_plan(plan_file, host)
    _execute(style, lambda viewer: run_plan(plan, host, viewer))


@cli.command()
@click.argument("session", required=False)
@click.option("--retry-failed", is_flag=True, help="Run the tickets that failed once more.")
@click.option("--headless", is_flag=True, help="Print lines instead of showing the screen.")
@_output_options
@_plainly
def resume(session: str | None, retry_failed: bool, headless: bool, style: Any) -> None:
    """Go on with SESSION (default: the newest of this directory) after any end of its engine.

    What finished is not run again; what still runs is taken over; what was lost is retried if its policy allows.
    """
    from parexec_tui.engine.run import resume_session

    del headless
    with _registry() as registry:
        row = _session(registry, session)
    _execute(style, lambda viewer: resume_session(row.session, viewer, retry_failed=retry_failed))


def _execute(style: Any, drive: "Callable[[Viewer], Result]") -> NoReturn:
    from parexec_tui.engine.run import Viewer
    from parexec_tui.headless import Headless

    output = Headless(style or "lines")
    with output:
        result = drive(Viewer(output.tell, output.notice))
    output.summary(result.state, result.outcome)
    sys.exit(exit_code(result.state, result.outcome))


def exit_code(state: "SessionState", outcome: str) -> int:
    """What `run` and `resume` exit with."""
    from parexec_tui.core.events import Status

    if outcome == "finished":
        return SUCCEEDED if state.counts[Status.succeeded] == len(state.tickets) else SOME_DID_NOT
    asked = state.stopping or state.draining
    return STOPPED if asked is not None and asked.by else SOME_DID_NOT


@cli.command()
@_plan_file
@_plainly
def validate(plan_file: Path) -> None:
    """Check PLAN: all errors at once, else its shape and what is likely to go wrong on this machine."""
    from parexec_tui.core.plan_check import survey
    from parexec_tui.engine import monitor
    from parexec_tui.preflight import clashes, shape, warnings

    host = monitor.host()
    plan = _read_plan(plan_file, host)
    found = survey(plan, host=host)
    for line in shape(found):
        click.echo(line)
    for warning in (*clashes(found), *warnings(plan)):
        click.echo(f"warning: {warning}")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    import json

    from parexec_tui.core.plan_schema import plan_schema

    click.echo(json.dumps(plan_schema(), indent=2))


# -- sessions --------------------------------------------------------------------------------------------------


def _registry() -> "Registry":
    from parexec_tui.registry.errors import RegistryMissing
    from parexec_tui.registry.registry import Registry

    try:
        return Registry.open(registry_file(), read_only=True)
    except RegistryMissing:
        _fail("no sessions yet: parexec run PLAN starts one")


def _session(registry: "Registry", text: str | None) -> "SessionRow":
    """The session that is meant: as named, else the newest of this directory, else the newest of all."""
    if text is not None:
        return registry.resolve(text)
    rows = registry.sessions()
    if not rows:
        _fail("no sessions yet: parexec run PLAN starts one")
    here = str(Path.cwd())
    return next((row for row in rows if here in (row.workdir, str(Path(row.source).parent.absolute()))), rows[0])


def _is_alive(session: str) -> bool:
    from parexec_tui.registry.lock import is_owned

    return is_owned(session_folder(session).lock)


def _status(row: "SessionRow") -> str:
    if row.status not in ("finished", "stopped") and not _is_alive(row.session):
        return "interrupted"
    return row.status


_session_option = click.option("-s", "--session", help="Which session; default: the newest of this directory.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command()
@_as_json
@_plainly
def ls(as_json: bool) -> None:
    """List sessions, newest first. interrupted: its engine died; `parexec resume` goes on."""
    from parexec_tui.core import codec
    from parexec_tui.words import day_and_clock

    with _registry() as registry:
        rows = registry.sessions()
    if as_json:
        for row in rows:
            fields = {name: getattr(row, name) for name in row.__struct_fields__} | {"status": _status(row)}
            click.echo(codec.encode(fields))
        return
    width = max((len(row.session) for row in rows), default=0)
    for row in rows:
        done = f"{row.succeeded}/{row.total}" + (f" {row.failed} failed" if row.failed else "")
        click.echo(
            f"{row.session:<{width}}  {_status(row):<11}  {day_and_clock(row.started)}  {done:<16}  {row.name}"
        )


@cli.command()
@click.argument("session", required=False)
@_as_json
@_plainly
def show(session: str | None, as_json: bool) -> None:
    """Show SESSION (default: the newest of this directory): every ticket, and why it is where it is."""
    from parexec_tui.core import codec
    from parexec_tui.headless import is_ascii_only
    from parexec_tui.report import report_lines, session_report

    with _registry() as registry:
        row = _session(registry, session)
        past = _replay(registry, row.session)
    report = session_report(past.state, alive=_is_alive(row.session))
    if as_json:
        click.echo(codec.encode(report))
        return
    for line in report_lines(report, ascii_only=is_ascii_only(sys.stdout)):
        click.echo(line)


def _replay(registry: "Registry", session: str) -> "Replay":
    from parexec_tui.registry.replay import replay

    past = replay(registry, session)
    if past.fault:
        click.echo(f"parexec: events after number {past.last} cannot be read: {past.fault}", err=True)
    return past


@cli.command()
@click.argument("ticket")
@_session_option
@click.option("-a", "--attempt", type=click.IntRange(min=1), help="Which attempt; default: the latest.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the attempt is over.")
@_plainly
def log(ticket: str, session: str | None, attempt: int | None, follow: bool) -> None:
    """Print the output of TICKET."""
    with _registry() as registry:
        row = _session(registry, session)
        past = _replay(registry, row.session)
        known = past.state.tickets.get(ticket)
        if known is None:
            _fail(f"session {row.session} has no ticket {ticket}")
        number = attempt or known.attempt
        if not number and not follow:
            _fail(f"{ticket} has not been started yet: {known.status}", SOME_DID_NOT)
        _print_log(registry, row.session, ticket, number or 1, follow)


def _print_log(registry: "Registry", session: str, ticket: str, number: int, follow: bool) -> None:
    file = session_folder(session).attempts / f"{ticket}.{number}.log"
    output = sys.stdout.buffer
    at = 0
    while True:
        over = not follow or _is_over(registry, session, ticket, number)  # asked before reading, so nothing is missed
        if file.exists():
            with file.open("rb") as source:
                source.seek(at)
                while chunk := source.read(1 << 16):
                    output.write(chunk)
                at = source.tell()
            output.flush()
        elif not follow:
            _fail(f"there is no log of attempt {number} of {ticket} at {file}", SOME_DID_NOT)
        if over:
            return
        time.sleep(_FOLLOW_EVERY)


def _is_over(registry: "Registry", session: str, ticket: str, number: int) -> bool:
    if any(fact.attempt >= number for fact in registry.attempts(session, ticket)):
        return True
    return not _is_alive(session)


@cli.command()
@click.argument("session", required=False)
@_as_json
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the engine leaves.")
@_plainly
def events(session: str | None, as_json: bool, follow: bool) -> None:
    """Print what happened in SESSION (default: the newest of this directory)."""
    from parexec_tui.core import codec
    from parexec_tui.core.state import SessionState
    from parexec_tui.headless import is_ascii_only
    from parexec_tui.words import day_and_clock, glyph, lines

    ascii_only = is_ascii_only(sys.stdout)
    with _registry() as registry:
        row = _session(registry, session)
        state = SessionState(codec.decode_plan(registry.plan(row.session)))
        after = 0
        while True:
            over = not follow or not _is_alive(row.session)
            for stored in registry.events(row.session, after):
                after = stored.seq
                event = codec.decode_event(stored.data)
                state.apply(event)
                if as_json:
                    click.echo(f'{{"seq":{stored.seq},{stored.data.decode()[1:]}')
                    continue
                for line in lines(state, event):
                    sign = glyph(line.word, ascii_only=ascii_only)
                    rest = "  ".join(part for part in (line.subject, line.text) if part)
                    click.echo(f"{day_and_clock(line.at)}  {sign} {line.word:<15}  {rest}")
            if over:
                return
            time.sleep(_FOLLOW_EVERY)
