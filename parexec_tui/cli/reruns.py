"""The verbs that run something again or take it back: retry, rollback, restart."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import VerbContext, known_events, verb_even_if_finished
from parexec_tui.cli.money import money
from parexec_tui.cli.naming import ASKS, SELECTORS, is_wide, one_or_more_tickets

if TYPE_CHECKING:
    from parexec_tui.core.wire.protocol import Answer


def _amount(word: str) -> tuple[str, Any]:
    from parexec_tui.core.plan.reading.typed import read_value

    name, equals, text = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{word!r} is no amount: write NAME=AMOUNT, for instance cpu=2 or memory=1GiB")
    return name, read_value("uses", text)


def _variable(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{word!r} is no variable: write NAME=VALUE, for instance MODE=debug")
    return name, value


def _pairs(read: Callable[[str], tuple[str, Any]]) -> Callable[..., dict[str, Any] | None]:
    """A callback that reads each word of an option, before an engine is asked or started. None without words."""
    return lambda _context, _option, words: dict(map(read, words)) or None


@click.command(
    help="Run tickets again that are over, or do not let them wait for their next try. What was skipped because of "
    "them runs after them. A session that is finished, or where nothing could run, gets an engine again.\n"
    "\nThe environment is that of the engine, which has it from the shell that started it (run, resume, or a retry "
    "in a finished session), not from the shell of this command; --env changes it.\n"
    f"{SELECTORS}\n{ASKS}\nSo is --downstream."
)
@one_or_more_tickets
@click.option("-d", "--downstream", is_flag=True, help="Run again, too, what depends on them and has run.")
@click.option("--run", "command", help="Another command from now on; for one ticket.")
@click.option(
    "-a", "--agent", shell_complete=complete.agents_and_types, help="The agent or agent type that is to run them."
)
@click.option(
    "-u",
    "--uses",
    metavar="NAME=AMOUNT",
    multiple=True,
    callback=_pairs(_amount),
    help="Another amount of a resource from now on, cpu=2 or memory=1GiB; `NAME=`: none of it. Can be repeated.",
)
@click.option(
    "-e",
    "--env",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs(_variable),
    help="An environment variable from now on. The value is kept in the registry, and shown by show and events: no "
    "place for a secret. Can be repeated.",
)
@click.option(
    "--budget",
    metavar="DOLLARS",
    default="",
    callback=money,
    help="What coding agents may spend on each from now on, in all its attempts.",
)
@click.option("-m", "--note", default="", help="What to mind this time; kept with the ticket.")
@click.option("-w", "--wait", is_flag=True, help="Wait until they are over; exit codes as of `parexec wait`.")
@verb_even_if_finished
def retry(
    context: VerbContext,
    tickets: tuple[str, ...],
    downstream: bool,
    command: str | None,
    agent: str | None,
    uses: dict[str, Any] | None,
    env: dict[str, str] | None,
    budget: str,
    note: str,
    wait: bool,
) -> None:
    from parexec_tui.core.wire.requests import Retry

    chosen = context.tickets(tickets)
    request = Retry(
        tickets=chosen,
        downstream=downstream,
        run=command,
        agent=agent,
        uses=uses,
        env=env,
        note=note,
        budget=budget,
    )
    retried = context.ask(request, confirm=downstream or is_wide(tickets, len(chosen)))
    if wait and not context.dry_run:
        _wait_for(context, retried)


@click.command(
    help="Take back what tickets did that are over, also if they succeeded: by their `rollback`, and by the snapshot "
    "of their files, while that is kept. They are *rolled back* then: what needs them does not run, and `retry` runs "
    "them again. Nothing is started meanwhile. What was built on them is named first; it stays as it is without "
    f"--downstream.\n{SELECTORS}\nIt is asked first; without a terminal that needs --yes."
)
@one_or_more_tickets
@click.option("-d", "--downstream", is_flag=True, help="First take back, too, what has run and needs them.")
@click.option("--force", is_flag=True, help="Also where others have written since what is restored.")
@click.option(
    "-w", "--wait", is_flag=True, help="Wait until it is done; exit code 0 if all of it is taken back, else 1."
)
@verb_even_if_finished
def rollback(context: VerbContext, tickets: tuple[str, ...], downstream: bool, force: bool, wait: bool) -> None:
    from parexec_tui.core.wire.requests import Rollback

    chosen = context.tickets(tickets)
    asked = context.ask(Rollback(tickets=chosen, downstream=downstream, force=force), confirm=True)
    if wait and not context.dry_run:
        from parexec_tui.cli.waiting import wait_for_rollback
        from parexec_tui.core.state.events import RollbackAsked

        found = [id_ for event in known_events(asked) if isinstance(event, RollbackAsked) for id_ in event.tickets]
        wait_for_rollback(context.client.session, found, as_json=context.as_json)


@click.command(
    help="Run again from some tickets or a dependency group on: these, and all downstream of them that has run. With "
    "--rollback what they did is taken back before that, the last ones first. Or stop a SERVICE and start it again, "
    "also one that failed: what uses it and runs then fails or runs again, as its plan says for its death.\n"
    f"{SELECTORS}\nIt is asked first; without a terminal that needs --yes."
)
@click.argument("services", metavar="[SERVICE]...", nargs=-1, shell_complete=complete.services)
@click.option(
    "-f",
    "--from",
    "start",
    metavar="GROUP|TICKET",
    multiple=True,
    shell_complete=complete.tickets,
    help="Where to begin: a ticket, or the number of a group. Can be repeated.",
)
@click.option("--rollback", "takes_back", is_flag=True, help="First take back what they did.")
@click.option("--force", is_flag=True, help="With --rollback: also where others have written since.")
@click.option(
    "-w", "--wait", is_flag=True, help="Wait until what runs again is over; exit codes as of `parexec wait`."
)
@verb_even_if_finished
def restart(
    context: VerbContext, services: tuple[str, ...], start: tuple[str, ...], takes_back: bool, force: bool, wait: bool
) -> None:
    from parexec_tui.core.wire.requests import Restart, Retry, Rollback

    if force and not takes_back:
        raise click.UsageError("--force is about what --rollback restores")
    if wait and services:
        raise click.UsageError("--wait waits for tickets, and a service does not end: see parexec status")
    if bool(services) is bool(start) or (services and takes_back):
        raise click.UsageError("say either which service, or where to begin: --from GROUP, or --from TICKET")
    if services:
        context.ask(Restart(services=context.services(services)), confirm=True)
        return
    chosen = tuple(dict.fromkeys(id_ for word in start for id_ in _begun_at(context, word)))
    if takes_back:
        asked = context.ask(Rollback(tickets=chosen, downstream=True, rerun=True, force=force), confirm=True)
    else:
        asked = context.ask(Retry(tickets=chosen, downstream=True), confirm=True)
    if wait and not context.dry_run:
        _wait_for(context, asked)


def _begun_at(context: VerbContext, word: str) -> tuple[str, ...]:
    """The tickets of a group or a selector, or the ticket of that name."""
    from parexec_tui.client.framing import Refused
    from parexec_tui.core.wire.selectors import begins_at

    if not word.isdigit():
        return context.tickets((word,))
    try:
        context.client.question("select", words=(word,))
    except Refused:
        return context.tickets((begins_at(word, ()),))
    return (word,)


def _wait_for(context: VerbContext, asked: "Answer") -> None:
    """Wait until the tickets that run again are over, and exit."""
    from parexec_tui.cli.waiting import wait_for_tickets
    from parexec_tui.core.state.events import RollbackAsked, TicketRetried

    found: list[str] = []
    for event in known_events(asked):
        if isinstance(event, TicketRetried):
            found += (event.ticket, *event.rerun)
        elif isinstance(event, RollbackAsked):
            found += event.tickets
    try:
        wait_for_tickets(context.client.session, found, as_json=context.as_json)
    except SystemExit as ended:
        if ended.code or not context.left_out:
            raise


COMMANDS: tuple[click.Command, ...] = (retry, rollback, restart)
