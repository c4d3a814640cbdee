"""The verbs: what a person asks of a session that an engine runs, from any shell.

Each is a request of the protocol. The engine has the state, so it resolves selectors and patterns, and it says what a
request would change (`--dry-run`). Here words become requests, and answers become lines.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import (
    VerbContext,
    as_json_option,
    connect,
    connect_or_do_without,
    connect_to,
    connected_with,
    is_plain,
    known_events,
    report_errors,
    session_argument,
    session_option,
    verb,
    verb_even_if_finished,
    verb_options,
    verb_without_engine,
)

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import FailurePolicy
    from parexec_tui.core.wire.protocol import Answer, StatusReport

F = TypeVar("F", bound=Callable[..., Any])

_SELECTORS = """
\b
TICKET is an id, a pattern, or a selector; several add up, selectors narrow down:
  T3   'MOD-*'   status:failed   agent:builder-2   type:builder   group:3   priority:low   '!T3'
"""
_SCOPE = """
\b
WHAT is a ticket, an agent or an agent type; nothing is the session:
  T3   'MOD-*'   status:ready   builder-2   agent:builder-2   type:builder   ticket:T3
"""
_ASKS = """
What is named is done at once. If a selector or pattern means several, it is shown first what would happen, and
asked; without a terminal that needs --yes.
"""


def _tickets_argument(offer: Callable[..., Any]) -> Callable[[F], F]:
    return click.argument("tickets", metavar="TICKET...", nargs=-1, required=True, shell_complete=offer)


_tickets = _tickets_argument(complete.tickets)
_what = click.argument("what", metavar="[WHAT]...", nargs=-1, shell_complete=complete.anything)


def _is_wide(words: tuple[str, ...], found: int) -> bool:
    """Whether words select more than the one thing that they name."""
    return found > 1 and not all(map(is_plain, words))


# -- how it stands ---------------------------------------------------------------------------------------------


@click.command()
@session_argument("the newest of this directory that an engine runs, else the newest that one runs")
@as_json_option
def status(session: str | None, as_json: bool) -> None:
    """Show how the session stands, on one page: counts, what is held, agents, what failed.

    Without an engine, as it was when its engine left; if the engine does not answer, as the registry has it, and why.
    `--json` has the same facts for scripts; see `parexec help commands`.
    """
    with report_errors():
        report, hint = _status(session)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report))
    else:
        import time

        from parexec_tui.client.sockets import own_signature
        from parexec_tui.text.dashboard import dashboard

        for line in dashboard(report, now=time.time(), me=own_signature(), whole=not sys.stdout.isatty()):
            click.echo(line)
    if hint:
        click.echo(f"parexec: {hint}", err=True)


def _status(session: str | None) -> "tuple[StatusReport, str]":
    """The facts, from the engine or else from the registry; and a hint if that is so because something is wrong."""
    from parexec_tui.client import sessions
    from parexec_tui.client.framing import EngineGone

    row = sessions.resolve_here(session)
    silence = ""
    if sessions.is_living(row.session):
        try:
            with connect_to(row.session) as client:
                report = client.status()
                return report, report.trouble
        except EngineGone as gone:
            silence = str(gone)
        except sessions.NoSuchSession:
            pass  # it just left
    from msgspec.structs import replace

    from parexec_tui.registry.lock import note_engine
    from parexec_tui.text.report import status_report

    past = sessions.replay_of(row.session)
    note_engine(past.state)
    report = status_report(past.state, now=0.0)
    state = sessions.status_of(replace(row, status=past.state.status))
    report = replace(report, state=state, eta=None, trouble=silence if sessions.is_living(row.session) else "")
    if past.fault:
        return report, past.warning
    if report.state == "interrupted":
        return report, f"its engine is gone; take over: parexec resume {row.session}"
    return report, report.trouble or ("" if session is not None else _living_elsewhere())


def _living_elsewhere() -> str:
    """Which session runs in another folder, while that of this one does not; empty if none does."""
    from parexec_tui.client import sessions

    with sessions.open_registry() as registry:
        other = next(iter(sessions.others_living(registry)), None)
    return f"{other.session} of {other.workdir} runs: parexec status {other.session}" if other is not None else ""


@click.command()
@click.argument("tickets", metavar="[TICKET]...", nargs=-1, shell_complete=complete.tickets)
@session_option
@as_json_option
def why(tickets: tuple[str, ...], session: str | None, as_json: bool) -> None:
    """Say why tickets are not running, or how a service stands. Without TICKET, all that wait or are frozen.

    What they wait for in the end is said once, with the command that ends it, above all that wait for it; then all
    that keeps each of them. With --json, what a ticket waits for in the end is the last of its reasons.

    Without an engine, as it was when its engine left.
    """
    import time

    from parexec_tui.client.sockets import own_signature
    from parexec_tui.text.waits import last_reasons, why_lines

    with report_errors(), connect_or_do_without(session) as client:
        context = VerbContext(client, as_json=as_json)
        chosen = context.tickets(tickets) if tickets else ()
        reasons: dict[str, list[str]] = client.question("why", chosen, me="" if as_json else own_signature())
        roots = client.roots(chosen)
    if as_json:
        import json

        click.echo(json.dumps(last_reasons(reasons, roots)))
        return
    for line in why_lines(reasons, roots, time.time(), own_signature()):
        click.echo(line)
    if not reasons:
        click.echo("nothing waits", err=True)


# -- the three pauses ------------------------------------------------------------------------------------------


@click.command(help=f"Do not start; what runs finishes. `release` undoes it.\n{_SCOPE}")
@_what
@click.option("-r", "--reason", default="", help="Why, for whoever wonders; of the session only.")
@verb
def hold(context: VerbContext, what: tuple[str, ...], reason: str) -> None:
    from parexec_tui.core.wire.requests import Hold

    context.ask(Hold(**context.scope(what), reason=reason))


@click.command(help=f"Let start again what is held; also take an agent out of draining and quarantine.\n{_SCOPE}")
@_what
@verb
def release(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Release

    context.ask(Release(**context.scope(what)))


@click.command(
    help="Stop the processes of what runs, with SIGSTOP. The timeout clock stands still; agent and claims are kept. "
    f"`thaw` lets them go on.\n{_SCOPE}"
)
@_what
@verb
def freeze(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Freeze

    context.ask(Freeze(**context.scope(what)))


@click.command(help=f"Let frozen tickets go on.\n{_SCOPE}")
@_what
@verb
def thaw(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Thaw

    context.ask(Thaw(**context.scope(what)))


@click.command(
    help="Start nothing new, let what runs finish. A drained agent then stops, a drained session ends and can be "
    f"resumed.\n{_SCOPE}\nThe session is asked about first; without a terminal that needs --yes."
)
@_what
@click.option("-r", "--reason", default="", help="Why, for whoever wonders; of the session only.")
@verb
def drain(context: VerbContext, what: tuple[str, ...], reason: str) -> None:
    from parexec_tui.core.wire.requests import Drain

    names = context.scope(what)
    is_wide = _is_wide(what, sum(map(len, names.values())))
    context.ask(Drain(**names, reason=reason), confirm=is_wide or not what)


# -- tickets ---------------------------------------------------------------------------------------------------


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
    "them runs after them. A finished session gets an engine again.\n"
    "\nThe environment is that of the engine, which has it from the shell that started it (run, resume, or a retry "
    "in a finished session), not from the shell of this command; --env changes it.\n"
    f"{_SELECTORS}\n{_ASKS}\nSo is --downstream."
)
@_tickets
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
    note: str,
    wait: bool,
) -> None:
    from parexec_tui.core.wire.requests import Retry

    chosen = context.tickets(tickets)
    request = Retry(tickets=chosen, downstream=downstream, run=command, agent=agent, uses=uses, env=env, note=note)
    retried = context.ask(request, confirm=downstream or _is_wide(tickets, len(chosen)))
    if wait and not context.dry_run:
        _wait_for(context, retried)


@click.command(
    help="Take back what tickets did that are over, also if they succeeded: by their `rollback`, and by the snapshot "
    "of their files, while that is kept. They are *rolled back* then: what needs them does not run, and `retry` runs "
    "them again. Nothing is started meanwhile. What was built on them is named first; it stays as it is without "
    f"--downstream.\n{_SELECTORS}\nIt is asked first; without a terminal that needs --yes."
)
@_tickets
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
    f"{_SELECTORS}\nIt is asked first; without a terminal that needs --yes."
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


@click.command(
    help="Give tickets to AGENT, an agent or an agent type, and to no other; `any` lets any agent run them again. "
    f"One that runs elsewhere is stopped on purpose and starts there, and no retry is charged.\n{_SELECTORS}\n{_ASKS}"
)
@_tickets_argument(complete.anything)
@click.argument("agent", shell_complete=complete.agents_and_types)
@verb
def reassign(context: VerbContext, tickets: tuple[str, ...], agent: str) -> None:
    from parexec_tui.core.wire.requests import Reassign

    chosen = context.tickets(tickets)
    context.ask(
        Reassign(tickets=chosen, agent="" if agent == "any" else agent), confirm=_is_wide(tickets, len(chosen))
    )


@click.command(
    help="End tickets: what runs is stopped, what needs them is skipped. `undo` takes it back for those that did "
    "not run. Without an engine, what does not run can be cancelled, but for what is to be rolled back.\n"
    f"{_SELECTORS}\n{_ASKS}"
)
@_tickets
@click.option("--now", is_flag=True, help="KILL what runs at once, without the grace after TERM.")
@verb_without_engine
def cancel(context: VerbContext, tickets: tuple[str, ...], now: bool) -> None:
    from parexec_tui.core.wire.requests import Cancel

    chosen = context.tickets(tickets)
    context.ask(Cancel(tickets=chosen, now=now), confirm=_is_wide(tickets, len(chosen)))


@click.command(
    help="Waive tickets that are not running, which is to do without them: what needs them may run as if they had "
    "succeeded. `skip` is the old name. It needs no engine.\n"
    f"{_SELECTORS}\n{_ASKS}"
)
@_tickets
@verb_without_engine
def waive(context: VerbContext, tickets: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Waive

    chosen = context.tickets(tickets)
    context.ask(Waive(tickets=chosen), confirm=_is_wide(tickets, len(chosen)))


_note = click.option("-m", "--note", default="", help="What to mind: the next attempt gets it as PAREXEC_NOTE.")


def _approval_verb(help_: str) -> Callable[[F], Any]:
    """A decorator for the two answers to a ticket that waits for approval."""
    options = (click.command(help=f"{help_}\n{_SELECTORS}\n{_ASKS}"), _tickets_argument(complete.unapproved), _note)

    def make(command: F) -> Any:
        made: Any = verb_without_engine(command)
        for option in reversed(options):
            made = option(made)
        return made

    return make


@_approval_verb(
    "Approve tickets that wait for that: what has run has succeeded, what has yet to start may start. Without an "
    "engine it is remembered, and holds from the next `resume` on."
)
def approve(context: VerbContext, tickets: tuple[str, ...], note: str) -> None:
    from parexec_tui.core.wire.requests import Approve

    chosen = context.tickets(tickets)
    context.ask(Approve(tickets=chosen, note=note), confirm=_is_wide(tickets, len(chosen)))


@click.command(
    help="Decide on the conflict of a ticket that waits for that, and merge what it did: give one of --ours, "
    f"--theirs and --by. Without an engine it is remembered, and the next `resume` does it.\n{_SELECTORS}\n{_ASKS}"
)
@_tickets_argument(complete.in_conflict)
@click.option("--ours", is_flag=True, help="What is merged already wins.")
@click.option("--theirs", is_flag=True, help="What the ticket did wins.")
@click.option("--by", "run", metavar="COMMAND", default="", help="Run this where it worked; git marks the conflict.")
@verb_without_engine
def merge(context: VerbContext, tickets: tuple[str, ...], ours: bool, theirs: bool, run: str) -> None:
    from parexec_tui.core.wire.requests import Merge

    given = sum(map(bool, (ours, theirs, run)))
    if given != 1:
        what = "say what is to be done about the conflict" if not given else "these exclude each other, give one"
        raise click.UsageError(f"{what}: --ours, --theirs, or --by COMMAND")
    chosen = context.tickets(tickets)
    asked = Merge(tickets=chosen, side="ours" if ours else "theirs" if theirs else "", run=run)
    context.ask(asked, confirm=_is_wide(tickets, len(chosen)))


@_approval_verb(
    "Do not approve tickets that wait for that: what has run is sent back and runs again, no retry is charged; what "
    "has yet to start is cancelled. Without an engine it is remembered, and holds from the next `resume` on."
)
def reject(context: VerbContext, tickets: tuple[str, ...], note: str) -> None:
    from parexec_tui.core.wire.requests import Reject

    chosen = context.tickets(tickets)
    context.ask(Reject(tickets=chosen, note=note), confirm=_is_wide(tickets, len(chosen)))


@click.command(
    help="Put tickets in another priority class: of what is ready, the higher class starts first.\n" + _SELECTORS
)
@_tickets_argument(complete.tickets_and_classes)
@click.argument("level", type=click.Choice(complete.PRIORITIES))
@verb
def priority(context: VerbContext, tickets: tuple[str, ...], level: str) -> None:
    from parexec_tui.core.plan.model import Priority
    from parexec_tui.core.wire.requests import Prioritise

    context.ask(Prioritise(tickets=context.tickets(tickets), priority=Priority(level)))


# -- the session -----------------------------------------------------------------------------------------------


@click.command()
@click.option("--now", is_flag=True, help="KILL at once, without the grace after TERM.")
@click.option("-r", "--reason", default="", help="Why, for whoever wonders.")
@verb
def stop(context: VerbContext, now: bool, reason: str) -> None:
    """End what runs and let the engine leave. `parexec resume` goes on later; no retry is charged.

    It is asked first; without a terminal that needs --yes.
    """
    from parexec_tui.core.wire.requests import Stop

    context.ask(Stop(now=now, reason=reason), confirm=True)


def _count(text: str) -> dict[str, Any]:
    """`4`, `+1`, `-1` or `plan`, as fields of a request."""
    from parexec_tui.core.plan.reading.typed import read_count

    count = read_count(text)
    if count is None:
        raise click.UsageError(f"{text!r} is not a number of agents or tickets: write 4, +1, -1, plan or auto")
    return count._asdict()


@click.command(context_settings={"ignore_unknown_options": True})  # -1 is a number here
@click.argument("type_", metavar="[TYPE]", required=False, shell_complete=complete.types)
@click.argument("number", metavar="[N|+N|-N|plan]", required=False)
@click.option(
    "-p",
    "--parallel",
    metavar="N|+N|-N|auto",
    help="Change how many tickets may run at once; auto: the engine finds out how many finish most.",
)
@verb
def scale(context: VerbContext, type_: str | None, number: str | None, parallel: str | None) -> None:
    """Change how many agents of TYPE there may be, by a number or to one; `plan`: as many as the plan says.

    With fewer, agents stop: idle ones first, busy ones when they are done.
    """
    from parexec_tui.core.wire.requests import Scale

    if parallel is not None:
        if type_ is not None:
            raise click.UsageError("--parallel is about the session: leave the agent type out, or do one at a time")
        if parallel == "plan":
            raise click.UsageError("--parallel wants a number or auto: 4, +1 or -1")
        context.ask(Scale(**_count(parallel)))
        return
    if type_ is None or number is None:
        raise click.UsageError("say an agent type and a number, for instance: parexec scale builder +2")
    if type_[0] == "-":
        raise click.UsageError(f"no such option: {type_}")
    context.ask(Scale(type=type_, **_count(number)))


@click.command("on-failure")
@click.argument("policy", type=click.Choice(("continue", "hold", "stop")))
@verb
def on_failure(context: VerbContext, policy: "FailurePolicy") -> None:
    """Say what happens from now on when a ticket fails for good: carry on, start nothing new, or end what runs.

    It is about failures to come: what has failed already stops nothing. `run --fail-fast` begins with `stop`.
    """
    from parexec_tui.core.wire.requests import SetFailurePolicy

    context.ask(SetFailurePolicy(policy=policy))


@click.command()
@click.option(
    "-l", "--list", "is_list", is_flag=True, help="Only list what was done; the first line would be taken back."
)
@verb_options
def undo(is_list: bool, session: str | None, as_json: bool, **options: Any) -> None:
    """Take back the last thing that a person did in this session.

    If it cannot be taken back, that is refused, with the reason. What it is too late to undo is passed over: what
    that leaves is shown, and to be confirmed or given --yes. Nothing older than what cannot be undone at all is
    touched.

    --list shows what was done and not taken back yet, newest first, with and without an engine, and says of each
    whether it can be taken back.
    """
    if is_list:
        from parexec_tui.cli.reading import print_actions

        print_actions(session, as_json=as_json)
    else:
        _take_back(session=session, as_json=as_json, **options)


@connected_with(connect)
def _take_back(context: VerbContext) -> None:
    import time

    from parexec_tui.client.framing import Refused
    from parexec_tui.core.wire.requests import Undo

    try:
        context.ask(Undo())
    except Refused:
        from parexec_tui.client.sessions import replay_of
        from parexec_tui.core.rules.verbs.undo import next_undo
        from parexec_tui.text.words import printable

        found, passed = next_undo(replay_of(context.client.session).state, time.time())
        if found is None or not passed:
            raise
        for text in passed:
            click.echo(f"parexec: {printable(text)}", err=True)
        context.ask(Undo(at=found.at, text=found.text), confirm=True)


COMMANDS: tuple[click.Command, ...] = (
    status, why, hold, release, freeze, thaw, drain, retry, rollback, restart, reassign, cancel, waive, approve,
    merge, reject, priority, stop, scale, on_failure, undo,
)  # fmt: skip
