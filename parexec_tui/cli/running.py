"""run, resume and attach: an engine executes a session, here or in its own process, and the session is shown."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from parexec_tui.cli.asking import session_argument
from parexec_tui.cli.beside import neighbour_options, start_if_alone, warn, wish_of
from parexec_tui.cli.exits import (
    BAD_USAGE,
    SUCCEEDED,
    UNSUCCESSFUL,
    exit_code,
    fail,
    leave_without_output,
    report_errors,
)
from parexec_tui.cli.money import money
from parexec_tui.cli.plan_changes import offer_changes
from parexec_tui.cli.plans import ChosenPlan, plan_argument
from parexec_tui.cli.screen import Screen, screen_options
from parexec_tui.cli.selecting import selection_options, would_run, would_run_json
from parexec_tui.cli.variables import variable_options
from parexec_tui.paths import session_folder
from parexec_tui.text.streams import OutputError

if TYPE_CHECKING:
    from parexec_tui.client.mirror import Mirror
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Selection
    from parexec_tui.core.plan.plan_settings import Parallel
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.engine.session import Result
    from parexec_tui.engine.sinks import EventSink
    from parexec_tui.text.headless import Headless

P = ParamSpec("P")
R = TypeVar("R")

_output = [
    click.option("--json", "style", flag_value="json", help="Print events as JSON lines."),
    click.option("-q", "--quiet", "style", flag_value="quiet", help="Print the summary only."),
    click.option(
        "--brief",
        "style",
        flag_value="brief",
        help="Print a line for each ticket that is over, below a failure what it printed last; no starts.",
    ),
    click.option("--lines", "style", flag_value="lines", help="Print a line for each event, also on a terminal."),
]


def _output_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in _output:
        command = option(command)
    return command


_engine = [
    click.option("--headless", is_flag=True, help="Run here, and print lines; so it is without a terminal as well."),
    click.option("-d", "--detach", is_flag=True, help="Return as soon as the engine is ready."),
    click.option("--scope", is_flag=True, help="Start the engine in a scope of your systemd, which survives logout."),
]


_fail_fast = click.option(
    "--fail-fast/--no-fail-fast",
    default=None,
    help="End with the first failure: start nothing more, end what runs. Default: on_failure of the plan says it.",
)


_approves = click.option(
    "-y", "--yes", "approves", is_flag=True, help="Approve whatever waits for approval; with --headless."
)


class ParallelType(click.ParamType):  # type: ignore[type-arg]  # generic for the checker only
    """How many tickets may run at once, or `auto`."""

    name = "number or auto"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Parallel":
        from parexec_tui.core.plan.units import MAX_COUNT

        text = str(value)
        if text == "auto":
            return "auto"
        if not text.isdecimal() or not 1 <= int(text) <= MAX_COUNT:
            self.fail(f"{text!r} is not a number of tickets: write 1 to {MAX_COUNT:,}, or auto", param, ctx)
        return int(text)


def _engine_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(_engine):
        command = option(command)
    return command


def _is_foreground(style: str | None, headless: bool, detach: bool, scope: bool, *, approves: bool) -> bool:
    """Whether the engine runs in this process: if the options say so, or if there is no terminal to show it on."""
    if headless and (detach or scope):
        raise click.UsageError(f"--headless runs the engine here, {'--detach' if detach else '--scope'} elsewhere")
    is_here = headless or not (detach or scope or (style is None and sys.stdout.isatty()))
    if approves and not is_here:
        raise click.UsageError("--yes is for --headless; elsewhere, approve: parexec approve status:approval")
    return is_here


@contextmanager
def report_start_errors() -> Iterator[None]:
    """As `report_errors`, also for an engine that does not start."""
    from parexec_tui.engine.errors import EngineFailedError

    try:
        with report_errors():
            yield
    except EngineFailedError as error:
        fail(str(error), BAD_USAGE)


@contextmanager
def _report_owner(session: str) -> Iterator[None]:
    """If an engine or a guardian has the session already, say how it stands with it, and exit."""
    from parexec_tui.registry.errors import SessionOwned

    try:
        yield
    except SessionOwned as owned:
        from parexec_tui.client.silence import listen

        trouble = listen(session) or f"engine {owned.pid or ''} runs {session} already".replace("  ", " ")
        fail(f"{trouble}; watch it: parexec attach {session}", BAD_USAGE)


@click.command()
@plan_argument
@selection_options
@_engine_options
@_fail_fast
@_approves
@neighbour_options
@click.option("--hold", is_flag=True, help="Begin held: nothing is started until `parexec release`.")
@click.option(
    "-p",
    "--parallel",
    metavar="N|auto",
    type=ParallelType(),
    help="How many tickets may run at once, whatever the plan says; auto: the engine finds out how many finish most.",
)
@variable_options
@_output_options
@screen_options
@report_start_errors()
def run(
    plan_file: Path,
    wanted: "Selection",
    given: "Given",
    dry_run: bool,
    force: bool,
    fail_fast: bool | None,
    approves: bool,
    headless: bool,
    detach: bool,
    scope: bool,
    hold: bool,
    parallel: "Parallel | None",
    wait: bool,
    beside: bool,
    style: Any,
    screen_options: dict[str, Any],
) -> None:
    """Execute PLAN, a TOML or JSON file, from the start: all of it, or each TICKET and what it needs.

    A TICKET is an id, a pattern or a selector, as for all commands; --only, --from and --except narrow what is
    chosen. The session knows only these tickets.

    On a terminal it is shown on the screen, and the engine is a process of its own: leaving does not end it, nor
    does closing the terminal; `parexec attach` comes back to it. With --headless, or without a terminal, the engine
    runs here:

    \b
    ctrl-c once    drain: start nothing new, let what runs finish
    ctrl-c twice   stop: end what runs; `parexec resume` goes on later
    ctrl-c thrice  kill what is left
    """
    from msgspec import structs

    from parexec_tui.engine.measure import monitor

    wish = wish_of(wait=wait, beside=beside)
    again, as_json = f"parexec run {plan_file} {wanted.words}".rstrip(), style == "json"
    host = monitor.host()
    if dry_run:
        _show_choice(ChosenPlan(plan_file, host, wanted, given), as_json=as_json, force=force)
    if _is_foreground(style, headless, detach, scope, approves=approves):
        from parexec_tui.engine.session import run_plan

        plan = structs.replace(ChosenPlan(plan_file, host, wanted, given).check(), own_parallel=parallel)

        def execute(*, beside: bool) -> NoReturn:
            options: Any = {"hold": hold, "fail_fast": fail_fast, "approves": approves, "beside": beside}
            _execute(style, lambda sink: run_plan(plan, host, sink, force=force, **options))

        start_if_alone(execute, wish, again=again, as_json=as_json)
    from parexec_tui.engine.lifecycle.launch import start_detached

    with Screen(screen_options, wanted=not detach and style is None) as screen:
        plan = structs.replace(ChosenPlan(plan_file, host, wanted, given).check(), own_parallel=parallel)
        options: Any = {"hold": hold, "fail_fast": fail_fast, "scope": scope, "force": force}
        start = partial(start_detached, plan, meanwhile=screen.show, warn=warn, **options)
        session = start_if_alone(start, wish, again=again, as_json=as_json)
    follow_or_detach(session, detach, style, hold=hold)


@click.command()
@session_argument("the newest of this directory")
@click.option("--retry-failed", is_flag=True, help="Run the tickets that failed once more.")
@click.option(
    "--budget", metavar="DOLLARS", default="", callback=money, help="What coding agents may spend in it from now on."
)
@_fail_fast
@_approves
@neighbour_options
@_engine_options
@_output_options
@screen_options
@report_start_errors()
def resume(
    session: str | None,
    retry_failed: bool,
    budget: str,
    fail_fast: bool | None,
    approves: bool,
    wait: bool,
    beside: bool,
    headless: bool,
    detach: bool,
    scope: bool,
    style: Any,
    screen_options: dict[str, Any],
) -> None:
    """Go on with SESSION (default: the newest of this directory) after any end of its engine.

    What finished is not run again; what still runs is taken over; what was lost is retried if its policy allows.

    If the plan file has changed since, it says so, and offers to take that over, as `parexec reload` does. A finished
    session would have nothing to run without it: if nobody can be asked, nothing is started (exit code 2).
    """
    from parexec_tui.client.sessions import check_is_meant, open_registry, resolve_past
    from parexec_tui.registry.imports import check_is_own

    wish = wish_of(wait=wait, beside=beside)
    foreground = _is_foreground(style, headless, detach, scope, approves=approves)
    with open_registry() as registry:
        row = resolve_past(registry, session)
    check_is_own(row)
    if session is None:
        check_is_meant(row)
    offer_changes(row, runs=row.status != "finished" or retry_failed)
    again = f"parexec resume {row.session}{' --retry-failed' if retry_failed else ''}"
    options: Any = {"retry_failed": retry_failed, "fail_fast": fail_fast, "budget": budget}
    if foreground:
        from parexec_tui.engine.session import resume_session

        def execute(*, beside: bool) -> NoReturn:
            _execute(
                style, lambda sink: resume_session(row.session, sink, beside=beside, approves=approves, **options)
            )

        with _report_owner(row.session):
            start_if_alone(execute, wish, again=again, as_json=style == "json")
    from parexec_tui.engine.lifecycle.launch import take_over

    with _report_owner(row.session), Screen(screen_options, wanted=not detach and style is None) as screen:
        start = partial(take_over, row.session, resume=True, **options, scope=scope, meanwhile=screen.show, warn=warn)
        start_if_alone(start, wish, again=again, as_json=style == "json")
    follow_or_detach(row.session, detach, style)


def _show_choice(chosen: ChosenPlan, *, as_json: bool, force: bool) -> NoReturn:
    """Print what would be run, and exit: not with 0 if it could not be started here."""
    click.echo(
        would_run_json(chosen.choice, force=force) if as_json else "\n".join(would_run(chosen.choice, force=force))
    )
    chosen.check(only_looks=True)
    sys.exit(SUCCEEDED)


def follow_or_detach(session: str, detach: bool, style: Any, *, hold: bool = False) -> NoReturn:
    """An engine is ready in its own process: print its session, or follow it."""
    from parexec_tui.client.mirror import Mirror

    if not detach:
        _follow(Mirror.open(session), style, quiet_start=False)
    try:
        click.echo(f'{{"session": "{session}"}}' if style == "json" else session)
    except OutputError as error:
        leave_without_output(error, remark=f"; {_come_back(session)}")
    if style is None:
        held = f"; held until: parexec release -s {session}" if hold else ""
        click.echo(f"watch it: parexec attach {session}; stop it: parexec stop -s {session}{held}", err=True)
    sys.exit(SUCCEEDED)


@click.command()
@session_argument("the newest living one of this directory")
@_output_options
@screen_options
@click.option("-r", "--read-only", is_flag=True, help="Only look: no key steers.")
@click.option(
    "-l", "--list", "from_list", is_flag=True, help="Begin with the list of all sessions; `O` shows it later."
)
@report_start_errors()
def attach(session: str | None, style: Any, read_only: bool, from_list: bool, screen_options: dict[str, Any]) -> None:
    """Show SESSION (default: the newest living one of this directory) on the screen, as its engine executes it.

    q leaves, the engine stays. Without a terminal, or with --lines, it is followed line by line; ctrl-c, or q and
    enter, leaves, and it ends by itself, as run does, when the session is over. If the engine is gone, offers to take
    over.
    """
    from parexec_tui.client.mirror import Mirror
    from parexec_tui.client.sessions import resolve_living_first

    options = {**screen_options, "read_only": read_only, "lists_sessions": from_list}
    with Screen(options, wanted=style is None) as screen:
        row = resolve_living_first(session)
        _leave_if_stopped(row.session)
        screen.show(row.session)
    if from_list:
        raise click.UsageError("the list of sessions needs a terminal: parexec ls prints it")
    _follow(Mirror.open(row.session), style, quiet_start=True)


def _leave_if_stopped(session: str) -> None:
    """Without a person who could let it go on, a stopped engine is not worth waiting for."""
    from parexec_tui.cli.attach import can_type
    from parexec_tui.client.silence import is_stopped, why_silent
    from parexec_tui.registry.lock import owner_of

    if not can_type() and is_stopped(owner_of(session_folder(session).lock)):
        fail(str(why_silent(session)), UNSUCCESSFUL)


def _follow(mirror: "Mirror", style: Any, *, quiet_start: bool) -> NoReturn:
    """Follow a session to its end, or until the person leaves. `quiet_start`: sum up the past in one line."""
    from parexec_tui.cli import attach
    from parexec_tui.client.sessions import is_living
    from parexec_tui.text.headless import Headless

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
            _leave(output, mirror.state, ending.outcome)
        if ending.why == "left" and output.lost is not None:
            leave_without_output(output.lost, remark=f"; {_come_back(mirror.session)}")
        if ending.why == "left":
            click.echo(f"\n{_come_back(mirror.session)}", err=True)
            if output.is_stuck:
                os._exit(SUCCEEDED)
            sys.exit(SUCCEEDED)
        _take_over(mirror)
        quiet_start = True


def _come_back(session: str) -> str:
    return f"the engine goes on; come back: parexec attach {session}"


def _leave(output: "Headless", state: "SessionState", outcome: str) -> NoReturn:
    """Sum the session up, and exit with its code; with another one than 0 if its output could not be written."""
    code = exit_code(state, outcome)
    if output.is_stuck:
        os._exit(code)
    output.summary(state, outcome)
    if output.lost is not None:
        leave_without_output(output.lost, code, f"; what happened: parexec show {state.session}")
    sys.exit(code)


def _take_over(mirror: "Mirror") -> None:
    """Offer to start a new engine for a session whose engine is gone. Exits if the person does not want one."""
    from parexec_tui.cli.attach import can_type
    from parexec_tui.client.sessions import how_to_take_over
    from parexec_tui.engine.lifecycle.launch import take_over

    interrupted = mirror.state.interrupted
    why = f": {interrupted.reason}" if interrupted is not None else ""
    if not can_type() or not sys.stdout.isatty():
        fail(f"the engine of {mirror.session} is gone{why}; {how_to_take_over(mirror.session)}", UNSUCCESSFUL)
    if not click.confirm(f"the engine of {mirror.session} is gone{why}; take over?", default=True):
        sys.exit(UNSUCCESSFUL)
    start_if_alone(partial(take_over, mirror.session), "refuse", again=f"parexec resume {mirror.session}")


@contextmanager
def report_want() -> Iterator[None]:
    """Say in words that the engine cannot go on for want of something, though it tried for a while."""
    from parexec_tui.engine.passing import first_of, is_passing

    try:
        yield
    except BaseExceptionGroup as errors:
        if not is_passing(errors):
            raise
        go_on = "what runs goes on; when there is enough again: parexec resume"
        fail(f"the engine cannot go on: {first_of(errors)}; {go_on}", UNSUCCESSFUL)


def _execute(style: Any, drive: "Callable[[EventSink], Result]") -> NoReturn:
    from parexec_tui.engine.sinks import EventSink
    from parexec_tui.text.headless import Headless

    output = Headless(style or "lines")
    with output, report_want():
        sample = output.sample if output.wants_samples else None
        result = drive(EventSink(output.tell, output.notice, sample))
    _leave(output, result.state, result.outcome)


COMMANDS: tuple[click.Command, ...] = (run, resume, attach)
