"""simulate and what-if: how long a plan or a session will take and why, and what a change would do to that."""

import sys
import time
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option, report_errors, session_argument
from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.cli.states import past_state, state_of
from parexec_tui.cli.variables import variable_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.predict.prediction import Prediction
    from parexec_tui.core.schedule.forecast import Told
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire import requests as rq

_PIPED_WIDTH, _PIPED_LANES = 100, 40
"""Cells of a line, and lanes, where there is no terminal."""

_OTHER_LINES = 9
"""Lines of a terminal that the lanes leave free: what stands above and below, and the prompt."""


@click.command()
@click.argument("target", metavar="[PLAN|SESSION]", required=False, shell_complete=complete.sessions)
@click.option("--agents", "agents", metavar="TYPE=N", multiple=True, help="At most N agents of a type; repeatable.")
@click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="At most N tickets at once.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other samples of how long tickets take.")
@variable_options
@as_json_option
@report_errors()
def simulate(
    target: str | None, agents: tuple[str, ...], parallel: int | None, seed: int, given: "Given", as_json: bool
) -> None:
    """Let a plan file or a session go on to its end without running anything (default: the newest session of this
    directory), and say when that is, what binds it, and how busy all are.

    The rules are those of a run, under a virtual clock. How long tickets take is what the plan estimates, else what
    they took before. Nothing fails, and what a person holds, freezes or has to approve goes on at once.
    """
    from random import Random

    from parexec_tui.core.predict.ordering import find_order
    from parexec_tui.core.predict.prediction import predict
    from parexec_tui.core.predict.what_if import changed
    from parexec_tui.core.wire.requests import Refusal
    from parexec_tui.gc_control import gc_paused

    wishes = _wishes(agents, parallel)
    now = time.time()
    with gc_paused():
        state = state_of(target, now, given)
        altered = changed(state, wishes, now)
        if isinstance(altered, Refusal):
            fail(f"refused: {altered}", BAD_USAGE)
        if altered.found_order is None and (wishes or not altered.live):
            find_order(altered, Random(1), now)  # as an engine does
        found = predict(altered, now, Random(seed).random, told=_told(altered))
    if as_json:
        _print_json(found, altered, seed)
    else:
        _print(found, altered)


@click.command("what-if")
@session_argument("the newest of this directory")
@click.option("--agents", metavar="TYPE=N", multiple=True, help="At most N agents of a type; repeatable.")
@click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="At most N tickets at once.")
@click.option("--without", metavar="TICKET", multiple=True, help="Waive a ticket; repeatable.")
@click.option("--freeze", metavar="TICKET", multiple=True, help="Freeze what runs, hold what does not; repeatable.")
@as_json_option
@report_errors()
def what_if(
    session: str | None,
    agents: tuple[str, ...],
    parallel: int | None,
    without: tuple[str, ...],
    freeze: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say when SESSION, which runs, would be over if something were otherwise from now on (default: the newest of
    this directory). Nothing is changed.

    Both are simulated with the same durations. What a person keeps stays as it is: tickets that would not end are
    named.
    """
    from random import Random

    from parexec_tui.core.predict.what_if import what_if as foresee
    from parexec_tui.core.rules.wording import wording
    from parexec_tui.core.wire.requests import Refusal
    from parexec_tui.core.wire.selectors import SelectorError, select
    from parexec_tui.gc_control import gc_paused
    from parexec_tui.text.prediction import what_if_lines
    from parexec_tui.text.words import printable

    if not (agents or parallel is not None or without or freeze):
        fail(
            "what would be otherwise is not said: --agents TYPE=N, --parallel N, --without T or --freeze T", BAD_USAGE
        )
    now = time.time()
    with gc_paused():
        state = past_state(session)
        if state.status != "running":
            fail(f"{state.session} is {state.status}, so nothing ends by itself; simulate takes it to go on")
        requests = _wishes(agents, parallel)
        changes = [
            *map(wording, requests),
            *(f"without {id_}" for id_ in without),
            *(f"{id_} frozen" for id_ in freeze),
        ]
        try:
            waived, frozen = ([id_ for word in words for id_ in select(state, [word])] for words in (without, freeze))
        except SelectorError as wrong:
            fail(f"refused: {wrong}")
        requests += [*_without(state, dict.fromkeys(waived)), *_frozen(state, dict.fromkeys(frozen))]
        found = foresee(state, requests, now, Random(1).random, draws=Random(1), told=_told(state))
    if isinstance(found, Refusal):
        fail(f"refused: {found}")
    if as_json:
        import json

        from msgspec import to_builtins

        facts = {"session": state.session, "changes": changes, "earlier": round(found.earlier, 3)}
        json.dump({**facts, "now": to_builtins(found.now), "then": to_builtins(found.then)}, sys.stdout)
        click.echo()
        return
    for line in what_if_lines(found, ", ".join(changes)):
        click.echo(printable(line))


def _without(state: "SessionState", tickets: "Iterable[str]") -> "Iterator[rq.AnyRequest]":
    """What runs is ended first."""
    from parexec_tui.core.wire import requests as rq

    for id_ in tickets:
        if id_ in state.live:
            yield rq.Cancel(tickets=(id_,), now=True)
        yield rq.Waive(tickets=(id_,))


def _frozen(state: "SessionState", tickets: "Iterable[str]") -> "Iterator[rq.AnyRequest]":
    from parexec_tui.core.wire import requests as rq

    for id_ in tickets:
        yield rq.Freeze(tickets=(id_,)) if id_ in state.live else rq.Hold(tickets=(id_,))


def _told(state: "SessionState") -> "dict[str, Told]":
    """How far what runs is, as its outputs tell."""
    if not state.live:
        return {}
    from parexec_tui.engine.measure.progress import read_told

    return read_told(state)


def _wishes(agents: "Sequence[str]", parallel: int | None) -> "list[rq.AnyRequest]":
    """What is to be otherwise. Exits if it makes no sense."""
    from parexec_tui.core.wire import requests as rq

    wishes: list[rq.AnyRequest] = [] if parallel is None else [rq.Scale(most=parallel)]
    for word in agents:
        type_, equals, number = word.rpartition("=")
        if not equals or not type_ or not (number.isascii() and number.isdigit()):
            fail(f"--agents {word}: a type and a number are needed, such as --agents builder=6", BAD_USAGE)
        wishes.append(rq.Scale(most=int(number), type=type_))
    return wishes


def _print_json(found: "Prediction", state: "SessionState", seed: int) -> None:
    import json

    from msgspec import to_builtins

    course = found.course
    spans = [
        {
            "ticket": span.ticket,
            "agent": span.agent or None,
            "start": round(span.start - course.began, 3),
            "end": round(span.end - course.began, 3),
        }
        for span in course.spans
    ]
    facts = {
        "plan": state.plan.settings.name,
        "expected": found.expected,
        "p50": found.p50,
        "p90": found.p90,
        "samples": found.samples,
        "seed": seed,
        "bounds": to_builtins(found.bounds),
        "known": to_builtins(found.known),
        "uses": to_builtins(found.uses),
        "left": course.left,
        "spans": spans,
    }
    json.dump(facts, sys.stdout)
    click.echo()


def _print(found: "Prediction", state: "SessionState") -> None:
    from textwrap import TextWrapper

    from parexec_tui.text.prediction import prediction_lines, uses_text
    from parexec_tui.text.words import printable

    if not state.unfinished:
        click.echo("nothing is left to do")
        return
    width, height = _room()
    wrap = TextWrapper(width if sys.stdout.isatty() else sys.maxsize, subsequent_indent="  ")
    for line in prediction_lines(found, state):
        click.echo(wrap.fill(printable(line)))
    if found.course.spans:
        click.echo()
        for line in _gantt(found, width, height - _OTHER_LINES):
            click.echo(line)
        click.echo()
        click.echo(wrap.fill(printable(uses_text(found.uses))))


def _room() -> tuple[int, int]:
    """Cells of a line, and lines."""
    import shutil

    fallback = (_PIPED_WIDTH, _PIPED_LANES + _OTHER_LINES)
    width, height = shutil.get_terminal_size(fallback)
    return width, height if sys.stdout.isatty() else fallback[1]


def _gantt(found: "Prediction", width: int, lanes: int) -> "Iterator[str]":
    """The chart as lines; on a terminal the letters upon a bar are in reverse video."""
    import os

    from parexec_tui.text.words import is_ascii_only
    from parexec_tui.tui.drawing.gantt import gantt_rows

    is_styled = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for name, cells in gantt_rows(found.course, width, lanes, ascii_only=is_ascii_only(sys.stdout)):
        drawn = (
            click.style(each.char, reverse=True) if is_styled and each.kind == "on" else each.char for each in cells
        )
        yield f"{name}{''.join(drawn)}".rstrip()


COMMANDS: tuple[click.Command, ...] = (simulate, what_if)
