"""graph: the dependency graph of a plan or a session, as text or for other tools."""

import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.exits import BAD_USAGE, UNSUCCESSFUL, fail, report_errors
from parexec_tui.cli.states import is_plan, state_of
from parexec_tui.cli.variables import variable_options
from parexec_tui.cli.written import writes_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from parexec_tui.core.plan.check import Survey
    from parexec_tui.core.plan.expanding.given import Given
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.state.tickets import TicketState
    from parexec_tui.report.graph_facts import GraphFacts

FORMATS = ("text", "dot", "mermaid", "svg", "json")

_ENDINGS = {
    ".txt": "text",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".svg": "svg",
    ".json": "json",
}

_PIPED_WIDTH = 100

_MOST_NAMED = 12
"""Tickets of the critical path that are named."""


@click.command()
@click.argument("target", metavar="[PLAN|SESSION]", required=False, shell_complete=complete.sessions)
@writes_as(FORMATS)
@variable_options
@report_errors()
def graph(target: str | None, format_: str | None, file: Path | None, force: bool, given: "Given") -> None:
    """Draw what needs what in a plan file or a session (default: the newest session of this directory): groups,
    where each ticket stands, the critical path of what is left, and which tickets will not run at once.

    text is the drawing of the screen, dot is for Graphviz, mermaid for Markdown, svg
    a picture (of more than 200 tickets, of their groups), json has all facts.
    """
    from parexec_tui.core.plan.check import survey
    from parexec_tui.gc_control import gc_paused
    from parexec_tui.report.graph_facts import MOST_CONFLICTS, graph_facts

    if file == Path("-"):
        file = None
    if format_ is None:
        format_ = _format_of(file) if file is not None else "text"
    with gc_paused():
        state = state_of(target, time.time(), given)
        found = survey(state.plan, host=state.host, max_clashes=MOST_CONFLICTS)
        if format_ == "text":
            says = _title if is_plan(target) else partial(_reason, state)
            _write(_text(state, found, says, in_file=file is not None), file, replaces=force)
            return
        facts = graph_facts(state, None if is_plan(target) else state.session, found)
    _write(_lines(facts, format_), file, replaces=force)


def _format_of(file: Path) -> str:
    found = _ENDINGS.get(file.suffix.lower())
    if found is None:
        known = ", ".join(f"{ending} ({format_})" for ending, format_ in _ENDINGS.items())
        text = f"the end of the name of {file} does not tell the format: {known}; or say it with --format"
        fail(text, BAD_USAGE)
    return found


def _lines(facts: "GraphFacts", format_: str) -> "Iterator[str]":
    match format_:
        case "dot":
            from parexec_tui.report.dot import dot_lines

            return dot_lines(facts)
        case "mermaid":
            from parexec_tui.report.mermaid import mermaid_lines, why_not_drawn

            lines = list(mermaid_lines(facts))
            if why := why_not_drawn(lines, facts):
                click.echo(f"parexec: {why}", err=True)
            return iter(lines)
        case "svg":
            from parexec_tui.report.drawings import graph as drawing
            from parexec_tui.report.drawings.svg import alone

            nodes = [drawing.Node(each.id, each.group, each.status, each.drawn, each.title) for each in facts.tickets]
            return iter((alone(drawing.graph(nodes, facts.path)).rstrip(),))
        case _:
            from parexec_tui.core.wire import codec

            return iter((codec.encode(facts).decode(),))


def _write(lines: "Iterable[str]", file: Path | None, *, replaces: bool) -> None:
    if file is None:
        for line in lines:
            click.echo(line)
        return
    from parexec_tui.report.formats import WriteError
    from parexec_tui.report.writing import write_file

    try:
        write_file(file, (f"{line}\n".encode(errors="backslashreplace") for line in lines), replaces=replaces)
    except WriteError as error:
        fail(f"{error}{'' if replaces or not file.is_file() else ' (--force replaces it)'}", UNSUCCESSFUL)
    click.echo(f"written: {file.absolute()}", err=True)


def _text(
    state: "SessionState", found: "Survey", says: "Callable[[TicketState], str]", *, in_file: bool
) -> "Iterator[str]":
    from parexec_tui.cli.preflight import clashes
    from parexec_tui.core.plan.units import format_count, format_duration
    from parexec_tui.core.schedule.critical_path import critical_path
    from parexec_tui.text.words import and_others, is_ascii_only
    from parexec_tui.tui.drawing.graph.text import graph_lines

    path = critical_path(state)
    groups = format_count(sum(map(bool, state.groups)), "group")
    yield f"{state.plan.settings.name}: {format_count(len(state.tickets), 'ticket')} in {groups}"
    if path:
        takes = format_duration(state.tickets[path[0]].remaining)
        yield f"critical path: {format_count(len(path), 'ticket')}, {takes}: {and_others(path, _MOST_NAMED)}"
    yield ""
    width = shutil.get_terminal_size((_PIPED_WIDTH, 0)).columns
    ascii_only = not in_file and is_ascii_only(sys.stdout)
    columns = max(2, min(12, width // 5))
    yield from graph_lines(state, path, says, max_columns=columns, ascii_only=ascii_only)
    if lines := list(clashes(found)):
        yield ""
        yield from lines


def _title(ticket: "TicketState") -> str:
    from parexec_tui.text.words import printable

    return printable(ticket.spec.title)


def _reason(state: "SessionState", ticket: "TicketState") -> str:
    """Why a ticket does not run, else its title."""
    from parexec_tui.tui.view.facts import reason_of

    return reason_of(state, ticket, state.now) or _title(ticket)


COMMANDS: tuple[click.Command, ...] = (graph,)
