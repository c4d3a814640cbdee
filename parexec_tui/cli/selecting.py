"""Which tickets of a plan `run` is about: arguments and options, and what they would mean (-n)."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parexec_tui.cli import complete
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.text.words import groups, printable, tickets

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.core.wire.selection import Choice

R = TypeVar("R")

_MAX_NAMED = 8

_selection = [
    click.argument("tickets", nargs=-1, metavar="[TICKET]...", shell_complete=complete.tickets_of_plan),
    click.option(
        "--only",
        multiple=True,
        metavar="TICKET",
        shell_complete=complete.tickets_of_plan,
        help="Of these only TICKET; what it needs and is not among them is taken as done.",
    ),
    click.option(
        "--from",
        "start",
        multiple=True,
        metavar="TICKET",
        shell_complete=complete.tickets_of_plan,
        help="Of these only TICKET and all that needs it, directly or through others.",
    ),
    click.option(
        "--except",
        "excluded",
        multiple=True,
        metavar="TICKET",
        shell_complete=complete.tickets_of_plan,
        help="Not TICKET; what needs it is run without it.",
    ),
    click.option("-n", "--dry-run", is_flag=True, help="Print which tickets would run, and why; start nothing."),
]


def selection_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add arguments and options that choose tickets to a command, which gets them as `wanted`."""

    @wraps(command)
    def run(*args: Any, tickets: Any, only: Any, start: Any, excluded: Any, **kwargs: Any) -> R:
        from parexec_tui.core.plan.model import Selection

        return command(*args, wanted=Selection(tickets, only, start, excluded), **kwargs)

    for option in reversed(_selection):
        run = option(run)
    return run


def would_run(choice: "Choice") -> Iterator[str]:
    """What would be run, and why, in lines."""
    from parexec_tui.core.plan import graph

    levels = graph.groups(graph.build(choice.plan.tickets))
    count, of = len(choice.plan.tickets), choice.plan.selection.of
    how_many = f"{count} of {tickets(of)}" if choice.plan.selection else tickets(count)
    yield f"would run {how_many}, in {groups(len(levels))}:"
    width = max(map(len, choice.plan.tickets))
    asked = dict(_asked_first(choice.plan))
    for number, level in enumerate(levels, 1):
        for id_ in level:
            why = ", ".join(filter(None, (choice.because[id_], asked.get(id_))))
            yield printable(f"  {number:>{len(str(len(levels)))}}  {id_:<{width}}  {why}").rstrip()
    for need, dependents in choice.taken_as_done.items():
        more = f" and {len(dependents) - _MAX_NAMED} more" if len(dependents) > _MAX_NAMED else ""
        yield printable(f"taken as done: {need}, which {', '.join(dependents[:_MAX_NAMED])}{more} would need")


def _asked_first(plan: "Plan") -> Iterator[tuple[str, str]]:
    """Tickets that may turn out to be done already, and what is known of that now; no command is run."""
    for id_, ticket in plan.tickets.items():
        if ticket.skip_if:
            yield id_, f"unless this succeeds: {ticket.skip_if}"
        elif ticket.if_done:
            from parexec_tui.engine.backends.local.outputs import are_filled

            is_done = are_filled(plan.workdir, ticket.if_done)
            files = listed(ticket.if_done, limit=4)
            yield id_, f"already done: {files}" if is_done else f"not done yet: {files}"


def would_run_json(choice: "Choice") -> str:
    """The same for scripts."""
    import json

    from parexec_tui.core.plan import graph

    levels = graph.groups(graph.build(choice.plan.tickets))
    asked = dict(_asked_first(choice.plan))
    facts = {
        "tickets": [
            {"id": id_, "group": number, "why": choice.because[id_]} | ({"done": asked[id_]} if id_ in asked else {})
            for number, level in enumerate(levels, 1)
            for id_ in level
        ],
        "taken_as_done": choice.taken_as_done,
        "of": choice.plan.selection.of or len(choice.plan.tickets),
    }
    return json.dumps(facts)
