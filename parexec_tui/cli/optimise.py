"""optimise: what would make a plan faster or cheaper, and that written into its file."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import as_json_option, report_errors
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.plans import plan_argument, plan_of
from parexec_tui.cli.states import begun_state, history_of
from parexec_tui.cli.variables import variable_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from parexec_tui.cli.plan_writing import PlanText
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.core.predict.estimates import WrongEstimate
    from parexec_tui.core.schedule.order import Search
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.text.optimum import Optimum

    Step = Callable[[float], None]

_STEPS = 1000
"""Parts of a progress bar."""


@click.command()
@plan_argument
@click.option(
    "--seconds", type=click.FloatRange(0, 3600), default=5.0, show_default=True, help="How long to search for orders."
)
@click.option("--write", is_flag=True, help="Write estimates and pool sizes into PLAN, and show what changes.")
@variable_options
@as_json_option
@report_errors()
def optimise(plan_file: Path, seconds: float, write: bool, given: "Given", as_json: bool) -> None:
    """Say what would make PLAN faster or cheaper: the best order, what other sizes of the pool would do, which needs,
    locks and resources bind, and which estimates are wrong. Nothing is run. Tickets that ran in earlier sessions take
    what they took there, whatever the plan estimates.

    --write puts what earlier sessions say into the estimates that are wrong or missing, and the sizes that are
    proposed. Comments and layout stay. The order is not written: a run searches for its own.
    """
    from parexec_tui.core.predict.estimates import corrected, wrong_estimates
    from parexec_tui.engine.measure.monitor import host
    from parexec_tui.gc_control import gc_paused
    from parexec_tui.text.words import printable

    text = _text_of(plan_file) if write else None
    now = time.time()
    with gc_paused():
        plan = plan_of(plan_file, host(), given=given)
        history = history_of(plan)
        state = begun_state(corrected(plan, history), history, now)
        found = _optimum(state, wrong_estimates(plan, history), now, seconds)
    if not as_json:
        from parexec_tui.text.optimum import optimum_lines

        for line in optimum_lines(found, state):
            click.echo(printable(line))
    difference = [] if text is None else _written(text, found, state.plan)
    if as_json:
        import json

        from msgspec import to_builtins

        json.dump({**to_builtins(found), "written": bool(difference)}, sys.stdout)
        click.echo()
    elif text is not None:
        click.echo()
        for line in difference or ["nothing in the file changes"]:
            click.echo(printable(line))


def _optimum(state: "SessionState", wrong: "Sequence[WrongEstimate]", now: float, seconds: float) -> "Optimum":
    from random import Random

    from parexec_tui.core.predict.optimising import savings
    from parexec_tui.core.predict.ordering import find_order
    from parexec_tui.core.predict.pool_sizes import PoolSizes
    from parexec_tui.core.schedule.bounds import lower_bounds
    from parexec_tui.core.schedule.order import Search
    from parexec_tui.core.schedule.problem import problem_of
    from parexec_tui.core.state.copying import copy_of
    from parexec_tui.text.optimum import Optimum

    if not state.tickets:
        fail("the plan has no tickets", BAD_USAGE)
    if not any(state.expected(ticket) is not None for ticket in state.tickets.values()):
        fail("nothing tells how long its tickets take: give them an `estimate`, or run the plan once")
    if (problem := problem_of(state, now)) is None:
        fail("its tickets claim more files than can be compared")

    def drawing() -> Random:
        return Random(1)

    search = Search(problem, drawing())
    if search.first.started < len(problem.ids):
        fail("some tickets can never start: parexec simulate names them")
    at_load = find_order(copy_of(state), drawing(), now)
    with _progress("orders") as step:
        _search(search, seconds, step)
    best = min(search.seconds, search.first.seconds if at_load is None else at_load.seconds)
    sizes = PoolSizes(state, problem, drawing)
    curves = []
    with _progress("sizes and limits") as step:
        count = len(state.agent_limits) + 2
        for curve in sizes.curves():
            curves.append(curve)
            step(len(curves) / count)
        found_savings = savings(problem, curves, drawing, best)
    left = {id_: takes for id_, takes in zip(problem.ids, problem.durations, strict=True) if id_}
    return Optimum(
        plan=state.plan.settings.name,
        longest_path=round(search.first.seconds, 3),
        at_load=round(search.first.seconds if at_load is None else at_load.seconds, 3),
        best=round(best, 3),
        passes=search.passes,
        bounds=tuple(lower_bounds(state, left, now)),
        curves=tuple(curves),
        savings=tuple(found_savings),
        estimates=tuple(wrong),
        proposal=sizes.proposal(curves),
    )


def _search(search: "Search", seconds: float, step: "Step") -> None:
    """Look for better orders for so many seconds, or until none can be better."""
    began = time.monotonic()
    for _ in search.steps():
        passed = time.monotonic() - began
        if passed >= seconds:
            return
        step(passed / seconds)


@contextmanager
def _progress(label: str) -> "Iterator[Step]":
    """On a terminal, a bar that is as long as it is said to be: from 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=_STEPS, label=label, file=sys.stderr, show_eta=False) as bar:

        def step(share: float) -> None:
            bar.update(round(_STEPS * share) - bar.pos)

        yield step
        step(1.0)


def _text_of(file: Path) -> "PlanText":
    """The text to change. Exits if it cannot be."""
    from parexec_tui.cli.plan_writing import PlanText, PlanWriteError
    from parexec_tui.client.plan_files import is_stream

    if is_stream(file):
        fail("--write needs a file: what comes through a pipe cannot be written", BAD_USAGE)
    try:
        return PlanText(file)
    except PlanWriteError as error:
        fail(str(error), BAD_USAGE)


def _written(text: "PlanText", found: "Optimum", plan: "Plan") -> list[str]:
    """Write what was found into the plan file; returns what changed. Exits if it cannot be written."""
    from parexec_tui.cli.plan_writing import PlanWriteError

    text.set_estimates({each.ticket: each.p50 for each in found.estimates})
    if (proposal := found.proposal) is not None:
        for type_, most in proposal.agents.items():
            text.set_max(type_, most)
        if proposal.parallel is not None and plan.parallel != "auto":
            text.set_parallel(proposal.parallel)
    difference = text.diff()
    try:
        if difference:
            text.write()
    except PlanWriteError as error:
        fail(str(error))
    return difference


COMMANDS: tuple[click.Command, ...] = (optimise,)
