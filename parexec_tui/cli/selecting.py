"""Which tickets of a plan `run` is about: arguments and options, and what they would mean (-n)."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parexec_tui.cli import complete
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count
from parexec_tui.text.words import printable

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
    click.option("--force", is_flag=True, help="Run tickets even if they are up to date."),
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


def would_run(choice: "Choice", *, force: bool = False) -> Iterator[str]:
    """What would be run, and why, in lines."""
    levels = _levels(choice.plan)
    asked, done = _asked_first(choice.plan, levels, force=force)
    to_run = [[id_ for id_ in level if id_ not in done] for level in levels]
    count, of = sum(map(len, to_run)), choice.plan.selection.of or sum(map(len, levels))
    if done and not count:
        yield f"nothing to run: {_counted(done)}"
        return
    how_many = (
        f"{count} of {format_count(of, 'ticket')}" if choice.plan.selection or done else format_count(count, "ticket")
    )
    yield f"would run {how_many}, in {format_count(sum(map(bool, to_run)), 'group')}:"
    width = max(len(id_) for level in to_run for id_ in level)
    for number, level in enumerate(to_run, 1):
        for id_ in level:
            why = ", ".join(filter(None, (_why(choice, id_), asked.get(id_))))
            yield printable(f"  {number:>{len(str(len(levels)))}}  {id_:<{width}}  {why}").rstrip()
    if done:
        yield _counted(done)
    for need, dependents in choice.taken_as_done.items():
        more = f" and {len(dependents) - _MAX_NAMED} more" if len(dependents) > _MAX_NAMED else ""
        yield printable(f"taken as done: {need}, which {', '.join(dependents[:_MAX_NAMED])}{more} would need")
    yield from map(printable, choice.without_gates())


def _why(choice: "Choice", id_: str) -> str:
    """Why a ticket of the choice would be run; empty if there is nothing to say."""
    from parexec_tui.core.plan.gates import described

    return choice.because[id_] if id_ in choice.because else f"gates of {described(id_)}"


def _levels(plan: "Plan") -> list[list[str]]:
    """The tickets by dependency group, as a session of the plan has them, those that stand for gates too."""
    from parexec_tui.core.plan import graph
    from parexec_tui.core.plan.group_gates import with_gates

    numbers = plan.selection.numbers
    return graph.groups(graph.build(with_gates(plan.tickets, plan.groups, plan.settings.gates, numbers), numbers))


def _counted(done: dict[str, str]) -> str:
    """How many are done already, and how that is known."""
    from parexec_tui.core.rules.reports.already_done import ALREADY_DONE, FRESH
    from parexec_tui.core.state.status import Flag

    fresh = sum(why == FRESH for why in done.values())
    unwanted = sum(why.startswith(f"{Flag.unwanted}: ") for why in done.values())
    counts = {FRESH: fresh, ALREADY_DONE: len(done) - fresh - unwanted, str(Flag.unwanted): unwanted}
    return " and ".join(
        f"{format_count(count, 'ticket')} {'is' if count == 1 else 'are'} {what}"
        for what, count in counts.items()
        if count
    )


def _asked_first(plan: "Plan", levels: list[list[str]], *, force: bool) -> tuple[dict[str, str], dict[str, str]]:
    """What is known now of tickets that may turn out to be done already: why they may run, and which are done.

    No command is run. A ticket is not called up to date if something runs first that may change what it reads.
    """
    from parexec_tui.core.plan.check import unwanted_early
    from parexec_tui.core.plan.wanted import early_answer
    from parexec_tui.core.rules.reports.already_done import ALREADY_DONE, FRESH
    from parexec_tui.core.state.status import Flag

    unwanted = unwanted_early(plan) if any(ticket.when for ticket in plan.tickets.values()) else {}
    stale = _stale(plan, force=force)
    said: dict[str, str] = {}
    done: dict[str, str] = {}
    for level in levels:
        for id_ in level:
            ticket = plan.tickets.get(id_)
            if ticket is None:
                continue  # it stands for gates
            if id_ in unwanted:
                early = early_answer(ticket, plan.variables) if ticket.when else None
                is_own = early is not None and not early.wanted
                why = f"when {ticket.when}: {early.because}" if early is not None and is_own else "nor what it needs"
                done[id_] = f"{Flag.unwanted}: {why}"
            elif ticket.when:
                said[id_] = f"when {ticket.when}"
            elif ticket.skip_if:
                said[id_] = f"unless this succeeds: {ticket.skip_if}"
            elif ticket.if_done:
                from parexec_tui.engine.backends.local.outputs import are_filled

                files = listed(ticket.if_done, limit=4)
                if are_filled(plan.workdir, ticket.if_done):
                    done[id_] = f"{ALREADY_DONE}: {files}"
                else:
                    said[id_] = f"not done yet: {files}"
            elif ticket.up_to_date and not ticket.is_asked_by_files:
                said[id_] = "it says neither what it reads nor what it writes"
            elif id_ in stale:
                from parexec_tui.engine.backends.local.fingerprints import READS

                why, before = stale[id_], [need for need in ticket.waits if need in plan.tickets and need not in done]
                if before and why.startswith(READS):
                    said[id_] = f"{why}, unless {listed(before, limit=4)} makes it what it was"
                elif before and not why:
                    said[id_] = (
                        f"if {listed(before, limit=4)} {'changes' if len(before) == 1 else 'change'} what it reads"
                    )
                elif why:
                    said[id_] = why
                else:
                    done[id_] = FRESH
    return said, done


def _stale(plan: "Plan", *, force: bool) -> dict[str, str]:
    """Why tickets that can be up to date are not; an empty text: they are."""
    asked = [id_ for id_, ticket in plan.tickets.items() if ticket.is_asked_by_files]
    if not asked or force:
        return dict.fromkeys(asked, "forced")
    from parexec_tui.engine.backends.local.fingerprints import stale_tickets
    from parexec_tui.engine.up_to_date import told_by
    from parexec_tui.paths import registry_file
    from parexec_tui.registry.errors import RegistryMissing
    from parexec_tui.registry.registry import Registry

    try:
        with Registry.open(registry_file(), read_only=True) as registry:
            known = registry.fingerprints(plan.source, asked)
            told = told_by(registry, plan.source, _told(plan, asked))
    except RegistryMissing:
        known, told = {}, {}
    return stale_tickets(plan, asked, known, told)


def _told(plan: "Plan", tickets: list[str]) -> list[str]:
    """The tickets whose values these want."""
    from parexec_tui.core.plan.values import texts_with_values, wanted_by

    texts = (text for id_ in tickets for _, text in texts_with_values(plan.tickets[id_]))
    return [*{wanted.ticket for text in texts for wanted in wanted_by(text)}]


def would_run_json(choice: "Choice", *, force: bool = False) -> str:
    """The same for scripts."""
    import json

    levels = _levels(choice.plan)
    asked, done = _asked_first(choice.plan, levels, force=force)
    told = {id_: {"asked": words} for id_, words in asked.items()} | {id_: {"done": why} for id_, why in done.items()}
    facts = {
        "tickets": [
            {"id": id_, "group": number, "why": _why(choice, id_)} | told.get(id_, {})
            for number, level in enumerate(levels, 1)
            for id_ in level
        ],
        "taken_as_done": choice.taken_as_done,
        "gates_left_out": list(choice.gates_left_out),
        "missing": choice.gates_left_out,
        "of": choice.plan.selection.of or sum(map(len, levels)),
    }
    return json.dumps(facts)
