"""The command line."""

import io
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar

import click

from parexec_tui import __version__
from parexec_tui.cli import complete
from parexec_tui.cli.commands import Commands
from parexec_tui.core.collector import collect_seldom
from parexec_tui.paths import registry_file, session_folder

if TYPE_CHECKING:
    # Read when a command needs them: `parexec ls` shall not wait for the engine to be imported.
    from parexec_tui.core.plan import Host, Plan
    from parexec_tui.core.state import SessionState
    from parexec_tui.engine.run import Result, Viewer
    from parexec_tui.mirror import Mirror
    from parexec_tui.registry.registry import Registry, SessionRow
    from parexec_tui.registry.replay import Replay
    from parexec_tui.tui.terminal import Guarded

SUCCEEDED, SOME_DID_NOT, BAD_USAGE, STOPPED = 0, 1, 2, 3
"""Exit codes: all tickets succeeded; some did not; bad plan or usage; stopped by a person."""

_FOLLOW_EVERY = 0.2

P = ParamSpec("P")
R = TypeVar("R")


def main() -> None:
    """The entry point of the command `parexec`."""
    collect_seldom()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the locale cannot write is no reason to die
    cli(prog_name="parexec")


def _fail(message: str, code: int = BAD_USAGE) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"parexec: {line}", err=True)
    sys.exit(code)


def _plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors a person can do something about into words and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from parexec_tui.engine.errors import EngineFailedError
        from parexec_tui.registry.errors import RegistryError

        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            raise
        except OSError as error:
            _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        except (RegistryError, EngineFailedError) as error:
            _fail(str(error))

    return run


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    from parexec_tui.core.plan_file import PlanErrors, read_plan

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        _fail(f"{file}: not UTF-8 text (byte {error.start}): save it as UTF-8")
    syntax: Literal["toml", "json"] = "json" if file.suffix == ".json" else "toml"
    try:
        return read_plan(text, source=str(file), folder=str(file.absolute().parent), format=syntax, host=host)
    except PlanErrors as errors:
        for problem in errors.problems:
            click.echo(problem, err=True)  # nothing before file, line and column: editors read these lines
        count = len(errors.problems)
        _fail(f"{count} error{'' if count == 1 else 's'} in the plan")


_output = [
    click.option("--json", "style", flag_value="json", help="Print events as JSON lines."),
    click.option("-q", "--quiet", "style", flag_value="quiet", help="Print the summary only."),
    click.option("--lines", "style", flag_value="lines", help="Print a line for each event, also on a terminal."),
]

_screen = [
    click.option("--theme", help="Colours of the screen; `:theme` there shows them all."),
    click.option("--ascii/--no-ascii", "ascii_only", default=None, help="Draw with ASCII; default: without UTF-8."),
    click.option("--mouse/--no-mouse", default=None, help="Use the mouse from the start; default: M turns it on."),
]


def _screen_options(command: Callable[..., R]) -> Callable[..., R]:
    """Options of what shows a session on the screen; the command gets them as `wishes`."""

    @wraps(command)
    def run(*args: Any, theme: str | None, ascii_only: bool | None, mouse: bool | None, **kwargs: Any) -> R:
        wishes = {"theme": theme, "ascii_only": ascii_only, "mouse": mouse}
        return command(*args, wishes=wishes, **kwargs)

    for option in reversed(_screen):
        run = option(run)
    return run


def _output_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in _output:
        command = option(command)
    return command


_engine = [
    click.option("--headless", is_flag=True, help="Run here, and print lines; so it is without a terminal as well."),
    click.option("-d", "--detach", is_flag=True, help="Return as soon as the engine is ready."),
    click.option("--scope", is_flag=True, help="Start the engine in a scope of your systemd, which survives logout."),
]


def _engine_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(_engine):
        command = option(command)
    return command


def _is_foreground(style: str | None, headless: bool, detach: bool, scope: bool) -> bool:
    """Whether the engine runs in this process: when asked to, or when nobody is there to follow another one."""
    if headless and (detach or scope):
        raise click.UsageError(f"--headless runs the engine here, {'--detach' if detach else '--scope'} elsewhere")
    return headless or not (detach or scope or (style is None and sys.stdout.isatty()))


@cli.command()
@_plan_file
@_engine_options
@click.option("--hold", is_flag=True, help="Begin held: nothing is started until `parexec release`.")
@_output_options
@_screen_options
@_plainly
def run(
    plan_file: Path, headless: bool, detach: bool, scope: bool, hold: bool, style: Any, wishes: dict[str, Any]
) -> None:
    """Execute PLAN, a TOML or JSON file, from the start.

    On a terminal it is shown on the screen, and the engine is a process of its own: leaving does not end it, nor
    does closing the terminal; `parexec attach` comes back to it. With --headless, or without a terminal, the engine
    runs here:

    \b
    ctrl-c once    drain: start nothing new, let what runs finish
    ctrl-c twice   stop: end what runs; `parexec resume` goes on later
    ctrl-c thrice  kill what is left
    """
    from parexec_tui.engine import monitor

    host = monitor.host()
    if _is_foreground(style, headless, detach, scope):
        from parexec_tui.engine.run import run_plan

        plan = _read_plan(plan_file, host)
        _execute(style, lambda viewer: run_plan(plan, host, viewer, hold=hold))
    from parexec_tui.engine.launch import start_detached

    plan = _read_plan(plan_file, host)
    with _Screen(wishes, wanted=not detach and style is None) as screen:
        session = start_detached(plan, hold=hold, scope=scope, meanwhile=screen.show)
    _go_on_elsewhere(session, detach, style, hold=hold)


@cli.command()
@click.argument("session", required=False, shell_complete=complete.sessions)
@click.option("--retry-failed", is_flag=True, help="Run the tickets that failed once more.")
@_engine_options
@_output_options
@_screen_options
@_plainly
def resume(
    session: str | None,
    retry_failed: bool,
    headless: bool,
    detach: bool,
    scope: bool,
    style: Any,
    wishes: dict[str, Any],
) -> None:
    """Go on with SESSION (default: the newest of this directory) after any end of its engine.

    What finished is not run again; what still runs is taken over; what was lost is retried if its policy allows.
    """
    foreground = _is_foreground(style, headless, detach, scope)
    with _registry() as registry:
        row = _session(registry, session)
    if foreground:
        from parexec_tui.engine.run import resume_session

        _execute(style, lambda viewer: resume_session(row.session, viewer, retry_failed=retry_failed))
    from parexec_tui.engine.launch import take_over

    with _Screen(wishes, wanted=not detach and style is None) as screen:
        take_over(row.session, resume=True, retry_failed=retry_failed, scope=scope, meanwhile=screen.show)
    _go_on_elsewhere(row.session, detach, style)


class _Screen:
    """Shows a session while its engine starts: the two take their time together. Leaves the command when it ends."""

    def __init__(self, wishes: dict[str, Any], *, wanted: bool) -> None:
        from parexec_tui.tui.terminal import can_show

        self._wishes = wishes
        self._wanted = wanted and can_show(os.environ)
        self._guarded: Guarded | None = None

    def show(self, session: str) -> None:
        """Show it, if that is wanted and there is a terminal for it."""
        from parexec_tui.tui.terminal import Guarded

        if self._wanted:
            self._guarded = Guarded(lambda: _show(session, self._wishes))

    def __enter__(self) -> "_Screen":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._guarded is not None:
            if error is not None:
                self._guarded.end()
            code = self._guarded.wait()
            if error is None:
                sys.exit(code if code >= 0 else SOME_DID_NOT)


def _show(session: str, wishes: dict[str, Any]) -> int:
    """Show a session until the person leaves, in a process that has nothing else to do; returns the exit code."""
    from parexec_tui.engine.launch import take_over
    from parexec_tui.tui.show import Wishes, farewell, show

    state, outcome = show(session, Wishes(**wishes), take_over)
    if state is None:
        return SOME_DID_NOT
    farewell(state, outcome)
    return exit_code(state, outcome) if outcome else SUCCEEDED


def _go_on_elsewhere(session: str, detach: bool, style: Any, *, hold: bool = False) -> NoReturn:
    """An engine is ready: say where it is, or follow it."""
    from parexec_tui.mirror import Mirror

    if not detach:
        _follow(Mirror.open(session), style, quiet_start=False)
    if style == "json":
        import json

        click.echo(json.dumps({"session": session}))
    else:
        click.echo(session)
        if style is None:
            held = f"; held until: parexec release -s {session}" if hold else ""
            click.echo(f"watch it: parexec attach {session}; stop it: parexec stop -s {session}{held}", err=True)
    sys.exit(SUCCEEDED)


@cli.command()
@click.argument("session", required=False, shell_complete=complete.sessions)
@_output_options
@_screen_options
@click.option("-r", "--read-only", is_flag=True, help="Only look: no key steers.")
@_plainly
def attach(session: str | None, style: Any, read_only: bool, wishes: dict[str, Any]) -> None:
    """Show SESSION (default: the newest living one of this directory) on the screen, as its engine executes it.

    q leaves, the engine stays. Without a terminal, or with --lines, it is followed line by line; ctrl-c, or q and
    enter, leaves, and it ends by itself, as run does, when the session is over. If the engine is gone, offers to take
    over.
    """
    from parexec_tui.mirror import Mirror
    from parexec_tui.sessions import NoSuchSession, meant

    try:
        row = meant(session)
    except NoSuchSession as error:
        _fail(str(error))
    with _Screen({**wishes, "read_only": read_only}, wanted=style is None) as screen:
        screen.show(row.session)
    _follow(Mirror.open(row.session), style, quiet_start=True)


def _follow(mirror: "Mirror", style: Any, *, quiet_start: bool) -> NoReturn:
    """Follow a session to its end, or until the person leaves. `quiet_start`: what was is summed up in a line."""
    from parexec_tui.cli import attach
    from parexec_tui.headless import Headless
    from parexec_tui.sessions import is_living

    if quiet_start:
        for _ in mirror.news():
            pass
    while True:
        output = Headless(style or "lines")
        with output:
            if not mirror.outcome and is_living(mirror.session):
                output.notice(attach.greeting(mirror.state) if quiet_start else attach.how_to_leave())
            ending = attach.follow(mirror, output)
        if ending.why == "over":
            code = exit_code(mirror.state, ending.outcome)
            if output.is_stuck:
                os._exit(code)
            output.summary(mirror.state, ending.outcome)
            sys.exit(code)
        if ending.why == "left":
            click.echo(f"\nthe engine goes on; come back: parexec attach {mirror.session}", err=True)
            if output.is_stuck:
                os._exit(SUCCEEDED)
            sys.exit(SUCCEEDED)
        _take_over(mirror)
        quiet_start = True


def _take_over(mirror: "Mirror") -> None:
    """Offer to start a new engine for a session whose engine is gone; does not return unless there is one."""
    from parexec_tui.cli.attach import can_type
    from parexec_tui.engine.launch import take_over

    interrupted = mirror.state.interrupted
    why = f": {interrupted.reason}" if interrupted is not None else ""
    if not can_type() or not sys.stdout.isatty():
        _fail(
            f"the engine of {mirror.session} is gone{why}; take over: parexec resume {mirror.session}", SOME_DID_NOT
        )
    if not click.confirm(f"the engine of {mirror.session} is gone{why}; take over?", default=True):
        sys.exit(SOME_DID_NOT)
    take_over(mirror.session)


def _execute(style: Any, drive: "Callable[[Viewer], Result]") -> NoReturn:
    from parexec_tui.engine.run import Viewer
    from parexec_tui.headless import Headless

    output = Headless(style or "lines")
    with output:
        result = drive(Viewer(output.tell, output.notice))
    code = exit_code(result.state, result.outcome)
    if output.is_stuck:
        os._exit(code)
    output.summary(result.state, result.outcome)
    sys.exit(code)


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
    from parexec_tui.cli.preflight import clashes, shape, warnings
    from parexec_tui.core.plan_check import survey
    from parexec_tui.engine import monitor

    host = monitor.host()
    plan = _read_plan(plan_file, host)
    found = survey(plan, host=host)
    for line in shape(found):
        click.echo(line)
    for warning in (*clashes(found), *warnings(plan)):
        click.echo(f"warning: {warning}")


@cli.command()
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def doctor(plan_file: Path | None, as_json: bool) -> None:
    """Check this machine: what may get in the way of long runs (of PLAN), and what to do about it.

    Exits with 0 if all is fine, 1 if something needs attention.
    """
    import msgspec

    from parexec_tui.cli.doctor import examine
    from parexec_tui.engine import monitor

    host = monitor.host()
    parallel = _read_plan(plan_file, host).settings.parallel if plan_file else None
    found = []
    for finding in examine(host, parallel or max(1, int(host.cpus))):
        found.append(finding)
        if not as_json:
            click.echo(f"{'fine' if finding.fine else 'LOOK'}  {finding.check}: {finding.text}")
            if finding.remedy:
                click.echo(f"      do: {finding.remedy}")
    if as_json:
        click.echo(msgspec.json.encode(found))
    sys.exit(SUCCEEDED if all(finding.fine for finding in found) else SOME_DID_NOT)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of plan files, for editors."""
    import json

    from parexec_tui.core.plan_schema import plan_schema

    click.echo(json.dumps(plan_schema(), indent=2))


# -- sessions --------------------------------------------------------------------------------------------------


_NO_SESSIONS = "no sessions yet: parexec run PLAN starts one"


def _open_registry() -> "Registry":
    from parexec_tui.registry.registry import Registry

    return Registry.open(registry_file(), read_only=True)


def _registry() -> "Registry":
    from parexec_tui.registry.errors import RegistryMissing

    try:
        return _open_registry()
    except RegistryMissing:
        _fail(_NO_SESSIONS)


def _session(registry: "Registry", text: str | None) -> "SessionRow":
    """The session that is meant: as named, else the newest of this directory, else the newest of all."""
    if text is not None:
        return registry.resolve(text)
    rows = registry.sessions()
    if not rows:
        _fail(_NO_SESSIONS)
    here = str(Path.cwd())
    return next((row for row in rows if here in (row.workdir, str(Path(row.source).parent.absolute()))), rows[0])


def _is_alive(session: str) -> bool:
    from parexec_tui.registry.lock import is_owned

    return is_owned(session_folder(session).lock)


def _status(row: "SessionRow") -> str:
    if row.status in ("finished", "stopped", "not started") or _is_alive(row.session):
        return row.status
    from parexec_tui.registry.lock import is_owned

    return "restarting" if is_owned(session_folder(row.session).guardian_lock) else "interrupted"


_session_option = click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command()
@_as_json
@_plainly
def ls(as_json: bool) -> None:
    """List sessions, newest first. interrupted: its engine died; `parexec resume` goes on."""
    import msgspec

    from parexec_tui.registry.errors import RegistryMissing
    from parexec_tui.registry.lock import lost_guardian
    from parexec_tui.words import day_and_clock, printable

    try:
        with _open_registry() as registry:
            rows = registry.sessions()
    except RegistryMissing:
        rows = []
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(msgspec.structs.replace(row, status=_status(row))))
        return
    if not rows:
        click.echo(f"parexec: {_NO_SESSIONS}", err=True)
    width = max((len(row.session) for row in rows), default=0)
    hints = []
    for row in rows:
        done = f"{row.succeeded}/{row.total} ok" + (f", {row.failed} not" if row.failed else "")
        name = printable(row.name)
        status = _status(row)
        click.echo(f"{row.session:<{width}}  {status:<11}  {day_and_clock(row.started)}  {done:<15}  {name}")
        if status == "interrupted":
            hints.append(f"{row.session}: its engine is gone; take over: parexec resume {row.session}")
        elif lost_guardian(session_folder(row.session)):
            hints.append(f"{row.session}: its guardian is gone; if its engine dies, no other follows by itself")
    for hint in hints:
        click.echo(hint, err=True)


@cli.command()
@click.argument("session", required=False, shell_complete=complete.sessions)
@_as_json
@_plainly
def show(session: str | None, as_json: bool) -> None:
    """Show SESSION (default: the newest of this directory): every ticket, and why it is where it is."""
    from parexec_tui.core import codec
    from parexec_tui.report import report_lines, session_report
    from parexec_tui.words import is_ascii_only

    with _registry() as registry:
        row = _session(registry, session)
        past = _replay(registry, row.session)
    report = session_report(past.state, alive=_is_alive(row.session))
    if as_json:
        click.echo(codec.encode(report))
        return
    for line in report_lines(report, ascii_only=is_ascii_only(sys.stdout)):
        click.echo(line)
    if report.state == "interrupted":
        click.echo(f"parexec: its engine is gone; take over: parexec resume {row.session}", err=True)


def _replay(registry: "Registry", session: str) -> "Replay":
    from parexec_tui.registry.replay import replay

    past = replay(registry, session)
    if past.fault:
        click.echo(f"parexec: events after number {past.last} cannot be read: {past.fault}", err=True)
    return past


@cli.command()
@click.argument("ticket", shell_complete=complete.tickets)
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
        elif over:
            _fail(f"there is no log of attempt {number} of {ticket}: {file} does not exist", SOME_DID_NOT)
        if over:
            return
        time.sleep(_FOLLOW_EVERY)


def _is_over(registry: "Registry", session: str, ticket: str, number: int) -> bool:
    if any(fact.attempt >= number for fact in registry.attempts(session, ticket)):
        return True
    return not _is_alive(session)


@cli.command()
@click.argument("session", required=False, shell_complete=complete.sessions)
@_as_json
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the engine leaves.")
@_plainly
def events(session: str | None, as_json: bool, follow: bool) -> None:
    """Print what happened in SESSION (default: the newest of this directory)."""
    from msgspec import MsgspecError

    from parexec_tui.core import codec
    from parexec_tui.core.state import IllegalEventError, SessionState
    from parexec_tui.event_lines import lines
    from parexec_tui.words import columns, day_and_clock, is_ascii_only, subject_width

    ascii_only = is_ascii_only(sys.stdout)
    with _registry() as registry:
        row = _session(registry, session)
        state = SessionState(codec.decode_plan(registry.plan(row.session)))
        width = subject_width(state.tickets)
        after = 0
        while True:
            over = not follow or not _is_alive(row.session)
            for stored in registry.events(row.session, after):
                if as_json:
                    click.echo(b'{"seq":%d,%b' % (stored.seq, stored.data[1:]))
                else:
                    try:
                        event = codec.decode_event(stored.data)
                        state.apply(event)
                    except (MsgspecError, IllegalEventError) as error:
                        _fail(f"events from number {stored.seq} on cannot be read: {error}", SOME_DID_NOT)
                    for line in lines(state, event):
                        rest = "  ".join(part for part in columns(line, width, ascii_only=ascii_only) if part)
                        click.echo(f"{day_and_clock(line.at)}  {rest}  {line.text}".rstrip())
                after = stored.seq
            if over:
                return
            time.sleep(_FOLLOW_EVERY)


# -- steering --------------------------------------------------------------------------------------------------

LATER = {
    "parexec_tui.cli.steer": (
        "status", "why", "hold", "release", "freeze", "thaw", "drain", "retry", "reassign", "cancel", "skip",
        "priority", "stop", "scale", "undo",
    ),
    "parexec_tui.cli.amend": ("edit", "add", "reload"),
    "parexec_tui.cli.manual": ("help", "man", "completion"),
}  # fmt: skip
"""Commands that stand in other modules, which are not imported for any other command."""

for _module, _names in LATER.items():
    cli.add_later(_module, _names)
