"""each: one command for many inputs, as GNU parallel does it, in a session of its own."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from parexec_tui.cli.beside import neighbour_options, start_if_alone, warn, wish_of
from parexec_tui.cli.each_inputs import InputError, check_words, document, inputs_in, jobs, split
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, exit_code, fail, leave_without_output
from parexec_tui.cli.running import ParallelType, follow_or_detach, report_start_errors, report_want

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Host, Plan
    from parexec_tui.core.plan.plan_settings import Parallel


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("words", metavar="COMMAND... [-- INPUT...]", nargs=-1, required=True)
@click.option(
    "-P",
    "-j",
    "--parallel",
    metavar="N|auto",
    type=ParallelType(),
    help="How many at once; auto: as many as finish most. Default: one per CPU.",
)
@click.option(
    "-0", "--null", "are_null_ended", is_flag=True, help="What is read ends with NUL, as `find -print0` has it."
)
@click.option(
    "-a",
    "--arg-file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the inputs from FILE instead of standard input.",
)
@click.option("-k", "--keep-order", "keeps_order", is_flag=True, help="Print in the order of the inputs.")
@click.option("--tag", "is_tagged", is_flag=True, help="Print the input and a tab before each line.")
@click.option("--fail-fast", is_flag=True, help="End with the first failure: start nothing more, end what runs.")
@click.option("--retries", type=click.IntRange(0), metavar="N", help="Run what failed up to N times more, at once.")
@click.option("--timeout", metavar="TIME", help="The most that one may take: 30s, 10m, 2h; a number is seconds.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the commands, and run nothing.")
@click.option(
    "-d", "--detach", is_flag=True, help="Return as soon as the engine is ready; `parexec attach` shows it."
)
@neighbour_options
@report_start_errors()
def each(
    words: tuple[str, ...],
    parallel: "Parallel | None",
    are_null_ended: bool,
    file: Path | None,
    keeps_order: bool,
    is_tagged: bool,
    fail_fast: bool,
    retries: int | None,
    timeout: str | None,
    dry_run: bool,
    detach: bool,
    wait: bool,
    beside: bool,
) -> None:
    """Run COMMAND for each INPUT, or for each line of standard input, several at once: GNU parallel with a memory.

    {} stands for the input, {.} without its ending, {/} its last part, {//} its folder, {/.} the last part without
    its ending, {#} its number from 1; all are quoted for the shell, so leave quotes out. Without any of them, the
    input is the last word. `:::` may stand for `--`. Options come before COMMAND.

    What a command printed, errors too, is printed when it is over. It is a session as any other: `parexec attach`
    shows it, and after any end, kill -9 too, `parexec resume` goes on with what is left. Exits as run does: 0 if all
    succeeded, 1 if some did not, 3 if a person stopped it.
    """
    from parexec_tui.engine.measure import monitor

    wish = wish_of(wait=wait, beside=beside)
    if detach and (keeps_order or is_tagged):
        raise click.UsageError("with --detach nothing is printed: leave --keep-order and --tag out")
    try:
        command, inputs = split(words)
        check_words(words)
        made = list(jobs(command, _read(file, are_null_ended=are_null_ended) if inputs is None else inputs))
    except InputError as error:
        fail(str(error), BAD_USAGE)
    if dry_run:
        for job in made:
            click.echo(job.run)
        return
    if not made:
        return
    host = monitor.host()
    settings = {} if parallel is None else {"parallel": parallel}
    keys: dict[str, Any] = {} if retries is None else {"retries": retries, "retry_delay": "0s"}  # as GNU parallel
    if timeout is not None:
        keys["timeout"] = f"{timeout}s" if timeout.isdecimal() else timeout
    plan = _plan(document(made, command, settings, keys), host)
    again = "the same command with"
    options: Any = {"fail_fast": True if fail_fast else None}
    if detach:
        from parexec_tui.engine.lifecycle.launch import start_detached

        start = partial(start_detached, plan, warn=warn, **options)
        follow_or_detach(start_if_alone(start, wish, again=again), detach, None)
    execute = partial(_execute, plan, host, options, keeps_order=keeps_order, is_tagged=is_tagged)
    start_if_alone(execute, wish, again=again)


def _read(file: Path | None, *, are_null_ended: bool) -> Sequence[str]:
    if file is not None:
        return inputs_in(file.read_bytes(), are_null_ended=are_null_ended)
    if sys.stdin.isatty():
        raise InputError("there are no inputs: write them behind `--`, or pipe them in, one a line")
    return inputs_in(sys.stdin.buffer.read(), are_null_ended=are_null_ended)


def _plan(text: str, host: "Host") -> "Plan":
    """Exits if an option has a wrong value."""
    from msgspec.structs import replace

    from parexec_tui.client.plan_files import FROM_STREAM
    from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
    from parexec_tui.gc_control import gc_paused

    try:
        with gc_paused():
            plan = read_plan(text, source="each", folder=str(Path.cwd()), format="json", host=host)
    except PlanErrors as errors:
        first = errors.problems[0]
        fail(f"--{first.key.rpartition('.')[2]}: {first.message}", BAD_USAGE)
    return replace(plan, source=FROM_STREAM)


def _execute(
    plan: "Plan", host: "Host", options: dict[str, Any], *, keeps_order: bool, is_tagged: bool, beside: bool
) -> NoReturn:
    from parexec_tui.cli.grouped_output import GroupedOutput
    from parexec_tui.engine.session import run_plan
    from parexec_tui.engine.sinks import EventSink

    output = GroupedOutput(plan.tickets, keeps_order=keeps_order, is_tagged=is_tagged)
    with output, report_want():
        result = run_plan(plan, host, EventSink(output.tell, output.notice), beside=beside, **options)
    code = exit_code(result.state, result.outcome)
    if code != SUCCEEDED:
        from parexec_tui.text.headless import Headless

        Headless("quiet", sys.stderr).summary(result.state, result.outcome)
    if output.is_stuck:
        os._exit(code)
    if output.lost is not None:
        leave_without_output(output.lost, code, f"; what happened: parexec show {result.state.session}")
    sys.exit(code)


COMMANDS: tuple[click.Command, ...] = (each,)
