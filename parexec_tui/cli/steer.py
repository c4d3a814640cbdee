"""The verbs: what a person asks of a session that an engine runs, from any shell.

Each is a request of the protocol. The engine has the state, so it resolves selectors and patterns, and it says what a
request would change (`--dry-run`). Here words become requests, and answers become lines.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import (
    VerbContext,
    connect_or_do_without,
    connected_with,
    verb,
    verb_even_if_interrupted,
    verb_options,
    verb_without_engine,
)
from parexec_tui.cli.money import money
from parexec_tui.cli.naming import (
    ASKS,
    SCOPE,
    SELECTORS,
    F,
    is_wide,
    one_or_more_tickets,
    tickets_argument,
    what_argument,
)

if TYPE_CHECKING:
    from parexec_tui.core.plan.plan_settings import FailurePolicy
    from parexec_tui.core.wire.protocol import Asks


# -- the three pauses ------------------------------------------------------------------------------------------


@click.command(help=f"Do not start; what runs finishes. `release` undoes it.\n{SCOPE}")
@what_argument
@click.option("-r", "--reason", default="", help="Why, for whoever wonders; of the session only.")
@verb
def hold(context: VerbContext, what: tuple[str, ...], reason: str) -> None:
    from parexec_tui.core.wire.requests import Hold

    context.ask(Hold(**context.scope(what), reason=reason))


@click.command(help=f"Let start again what is held; also take an agent out of draining and quarantine.\n{SCOPE}")
@what_argument
@verb
def release(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Release

    context.ask(Release(**context.scope(what)))


@click.command(
    help="Let the processes of what runs stand still: by their cgroup where they have one, else by SIGSTOP. "
    "The timeout clock stands still; agent and claims are kept. "
    f"`thaw` lets them go on.\n{SCOPE}"
)
@what_argument
@verb
def freeze(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Freeze

    context.ask(Freeze(**context.scope(what)))


@click.command(help=f"Let frozen tickets go on.\n{SCOPE}")
@what_argument
@verb
def thaw(context: VerbContext, what: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Thaw

    context.ask(Thaw(**context.scope(what)))


@click.command(
    help="Start nothing new, let what runs finish. A drained agent then stops, a drained session ends and can be "
    f"resumed.\n{SCOPE}\nThe session is asked about first; without a terminal that needs --yes."
)
@what_argument
@click.option("-r", "--reason", default="", help="Why, for whoever wonders; of the session only.")
@verb
def drain(context: VerbContext, what: tuple[str, ...], reason: str) -> None:
    from parexec_tui.core.wire.requests import Drain

    names = context.scope(what)
    asks = not what or is_wide(what, sum(map(len, names.values())))
    context.ask(Drain(**names, reason=reason), confirm=asks)


# -- tickets ---------------------------------------------------------------------------------------------------


@click.command(
    help="Give tickets to AGENT, an agent, an agent type or host:NAME, and to no other; `any` lets any agent run "
    "them. One that runs elsewhere is stopped on purpose and starts there, and no retry is charged.\n"
    f"{SELECTORS}\n{ASKS}"
)
@tickets_argument(complete.anything)
@click.argument("agent", shell_complete=complete.agents_types_and_hosts)
@click.option("--now", is_flag=True, help="Give up what runs on a host that is not reached: it may run twice.")
@verb
def reassign(context: VerbContext, tickets: tuple[str, ...], agent: str, now: bool) -> None:
    from parexec_tui.core.wire.requests import Reassign

    chosen = context.tickets(tickets)
    context.ask(
        Reassign(tickets=chosen, agent="" if agent == "any" else agent, now=now),
        confirm=now or is_wide(tickets, len(chosen)),
    )


@click.command(
    help="End tickets: what runs is stopped, what needs them is skipped. `undo` takes it back for those that did "
    "not run. Without an engine, what does not run can be cancelled, but for what is to be rolled back.\n"
    f"{SELECTORS}\n{ASKS}"
)
@one_or_more_tickets
@click.option("--now", is_flag=True, help="KILL what runs at once, without the grace after TERM.")
@verb_without_engine
def cancel(context: VerbContext, tickets: tuple[str, ...], now: bool) -> None:
    from parexec_tui.core.wire.requests import Cancel

    chosen = context.tickets(tickets)
    context.ask(Cancel(tickets=chosen, now=now), confirm=is_wide(tickets, len(chosen)))


@click.command(
    help="Waive tickets that are not running, which is to do without them: what needs them may run as if they had "
    "succeeded. `skip` is the old name. It needs no engine.\n"
    f"{SELECTORS}\n{ASKS}"
)
@one_or_more_tickets
@verb_without_engine
def waive(context: VerbContext, tickets: tuple[str, ...]) -> None:
    from parexec_tui.core.wire.requests import Waive

    chosen = context.tickets(tickets)
    context.ask(Waive(tickets=chosen), confirm=is_wide(tickets, len(chosen)))


_note = click.option("-m", "--note", default="", help="What to mind: the next attempt gets it as PAREXEC_NOTE.")


def _approval_verb(help_: str) -> Callable[[F], Any]:
    """A decorator for the two answers to a ticket that waits for approval."""
    options = (click.command(help=f"{help_}\n{SELECTORS}\n{ASKS}"), tickets_argument(complete.unapproved), _note)

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
    context.ask(Approve(tickets=chosen, note=note), confirm=is_wide(tickets, len(chosen)))


@click.command(
    help="Answer a ticket whose coding agent asks something, or ended because it was not allowed it: yes, no, "
    "always, one of its choices, or any words; without a word all of what it asks is printed. It goes on in the same "
    "conversation, and no retry is charged. Without an engine, one that is over goes on with the next `resume`.\n"
    f"{SELECTORS}\n{ASKS}"
)
@click.argument("ticket", shell_complete=complete.needing_you)
@click.argument("words", nargs=-1, metavar="[ANSWER]")
@click.option(
    "--allow",
    metavar="RULE",
    multiple=True,
    help="What it may do from now on, in the words of Claude Code: 'Bash(git push *)'. Can be repeated.",
)
@click.option("--about", metavar="WORDS", default="", help="Only if these words stand in what it asks now.")
@verb_without_engine
def answer(context: VerbContext, ticket: str, words: tuple[str, ...], allow: tuple[str, ...], about: str) -> None:
    from parexec_tui.core.wire.requests import AnswerAgent

    chosen = context.tickets((ticket,))
    if not words and not allow:
        found = _asked(context, chosen)
        if context.as_json:
            import json

            from msgspec import to_builtins

            click.echo(json.dumps({"asks": to_builtins(found)}))
        else:
            _print_asked(found)
        return
    asked = AnswerAgent(tickets=chosen, answer=" ".join(words), allow=allow, about=about)
    confirm = is_wide((ticket,), len(chosen))
    if context.dry_run or (confirm and not context.yes):
        from msgspec import structs

        from parexec_tui.client.framing import Refused

        with suppress(Refused):  # what is wrong with it is said by the answer
            shown = _asked(context, chosen)
            _print_asked(shown, err=True)
            asked = structs.replace(asked, questions={id_: each.name for id_, each in shown.items()})
    context.ask(asked, confirm=confirm)


def _asked(context: VerbContext, tickets: tuple[str, ...]) -> "dict[str, Asks]":
    from parexec_tui.client.framing import facts_of
    from parexec_tui.core.wire.protocol import Asks

    return facts_of(context.client.question("asks", tickets), dict[str, Asks])


def _print_asked(asked: "dict[str, Asks]", *, err: bool = False) -> None:
    """All of what agents ask, with the lines that it has."""
    from parexec_tui.core.state.one_line import visible_lines
    from parexec_tui.text.words import printable

    for id_, each in asked.items():
        choices = f" ({', '.join(each.choices)})" if each.choices else ""
        for line in visible_lines(f"{id_} asks: {each.what}{choices}"):
            click.echo(printable(line), err=err)


@click.command(
    help="Decide on the conflict of a ticket that waits for that, and merge what it did: give one of --ours, "
    f"--theirs and --by. Without an engine it is remembered, and the next `resume` does it.\n{SELECTORS}\n{ASKS}"
)
@tickets_argument(complete.in_conflict)
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
    context.ask(asked, confirm=is_wide(tickets, len(chosen)))


@_approval_verb(
    "Do not approve tickets that wait for that: what has run is sent back and runs again, no retry is charged; what "
    "has yet to start is cancelled. Without an engine it is remembered, and holds from the next `resume` on."
)
def reject(context: VerbContext, tickets: tuple[str, ...], note: str) -> None:
    from parexec_tui.core.wire.requests import Reject

    chosen = context.tickets(tickets)
    context.ask(Reject(tickets=chosen, note=note), confirm=is_wide(tickets, len(chosen)))


@click.command(
    help="Put tickets in another priority class: of what is ready, the higher class starts first.\n" + SELECTORS
)
@tickets_argument(complete.tickets_and_classes)
@click.argument("level", type=click.Choice(complete.PRIORITIES))
@verb
def priority(context: VerbContext, tickets: tuple[str, ...], level: str) -> None:
    from parexec_tui.core.plan.ticket import Priority
    from parexec_tui.core.wire.requests import Prioritise

    context.ask(Prioritise(tickets=context.tickets(tickets), priority=Priority(level)))


# -- the session -----------------------------------------------------------------------------------------------


@click.command()
@click.option("--now", is_flag=True, help="KILL at once, without the grace after TERM.")
@click.option("-r", "--reason", default="", help="Why, for whoever wonders.")
@verb_even_if_interrupted
def stop(context: VerbContext, now: bool, reason: str) -> None:
    """End what runs and let the engine leave. `parexec resume` goes on later; no retry is charged.

    A session that was interrupted is stopped without an engine: what its engine left behind is ended.
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
@click.argument("type_", metavar="[TYPE]", required=False, shell_complete=complete.types_and_hosts)
@click.argument("number", metavar="[N|+N|-N|plan]", required=False)
@click.option(
    "-p",
    "--parallel",
    metavar="N|+N|-N|auto",
    help="Change how many tickets may run at once; auto: the engine finds out how many finish most.",
)
@click.option(
    "--budget",
    metavar="DOLLARS|plan",
    callback=money,
    help="Change what coding agents may spend in this session; with TYPE: those.",
)
@verb
def scale(
    context: VerbContext, type_: str | None, number: str | None, parallel: str | None, budget: str | None
) -> None:
    """Change how many agents of TYPE there may be, by a number or to one; `plan`: as many as the plan says. Of
    host:NAME: how many tickets run there at once.

    With fewer, agents stop: idle ones first, busy ones when they are done.
    """
    from parexec_tui.core.wire.requests import Scale

    if budget is not None:
        if parallel is not None or number is not None:
            raise click.UsageError("--budget is about money: do one at a time")
        context.ask(Scale(most=None, type=type_, budget=budget))
        return
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


@connected_with(connect_or_do_without)
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
    hold, release, freeze, thaw, drain, reassign, cancel, waive, answer, approve, merge, reject, priority, stop,
    scale, on_failure, undo,
)  # fmt: skip
