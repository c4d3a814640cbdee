"""talk: the conversation of a coding agent, taken over in this terminal."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.exits import BAD_USAGE, fail, report_errors

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState


@click.command()
@click.argument("ticket", shell_complete=complete.needing_you)
@click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)
@report_errors()
def talk(ticket: str, session: str | None) -> None:
    """Take over the conversation of a coding agent.

    Opens its CLI in this terminal, in the folder where the ticket worked, on its conversation. The ticket must not
    run: it is over, held, waits, or needs you. It is held meanwhile, and released when you leave; what you and the
    agent said then is in the conversation, so `parexec answer` or `parexec retry` go on with that.
    """
    from parexec_tui.agents.start import OF_ANOTHER_AGENT
    from parexec_tui.client.sessions import open_registry, resolve_past

    with open_registry() as registry:
        id_ = resolve_past(registry, session).session
    words, folder, env = _opened(_state(id_), ticket)
    with _held(id_, ticket):
        _opened(_state(id_), ticket)  # it may have started before it was held
        kept = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_AGENT}
        before = signal.signal(signal.SIGINT, lambda *_: None)  # ctrl-c is for the agent, which has the default
        try:
            done = subprocess.call(words, cwd=folder, env=kept | env | {"PWD": folder})
        except OSError as error:
            fail(f"{words[0]} cannot be started: {error.strerror}")
        finally:
            signal.signal(signal.SIGINT, before)
    raise SystemExit(done if done >= 0 else 128 - done)


def _state(session: str) -> "SessionState":
    from parexec_tui.client.sessions import open_registry
    from parexec_tui.registry.replay import replay

    with open_registry() as registry:
        return replay(registry, session).state


def _opened(state: "SessionState", id_: str) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """The command that opens the conversation of a ticket, its folder, and variables. Exits if there is none."""
    from parexec_tui.core.plan.coding import resume_words
    from parexec_tui.core.plan.reading.faults import did_you_mean
    from parexec_tui.core.state.accounts import coding_of

    ticket = state.tickets.get(id_)
    if ticket is None:
        fail(f"there is no ticket {id_} in {state.session}: {did_you_mean(id_, state.tickets)}", BAD_USAGE)
    if ticket.is_live:
        fail(f"{id_} {ticket.stands}: its agent has the conversation now; parexec cancel {id_} ends it", BAD_USAGE)
    known = coding_of(state, ticket).conversation
    if known is None or (agent_type := state.plan.agents.get(known.agent_type)) is None:
        fail(f"{id_} has no conversation: no coding agent has begun one", BAD_USAGE)
    if not (words := resume_words(agent_type, known.id)):
        fail(f"nothing is known that opens a conversation of {known.agent_type} in a terminal", BAD_USAGE)
    made = state.worktrees.get(id_)
    cwd = Path(state.plan.workdir, ticket.spec.cwd or agent_type.cwd or "")
    folder = cwd if made is None else Path(made.made.path)
    if not folder.is_dir():
        fail(f"the folder where it worked is gone: {folder}", BAD_USAGE)
    return words, str(folder), {**agent_type.env, **ticket.spec.env}


@contextmanager
def _held(session: str, id_: str) -> Iterator[None]:
    """Hold a ticket meanwhile, if an engine runs the session, and it could start."""
    from parexec_tui.client.connecting import connect_to
    from parexec_tui.client.framing import ClientError
    from parexec_tui.client.sessions import NoSuchSession
    from parexec_tui.core.state.status import TERMINAL
    from parexec_tui.core.wire.requests import Hold, Release

    ticket = _state(session).tickets[id_]
    if ticket.status in TERMINAL or ticket.held is not None:
        yield
        return
    try:
        with connect_to(session) as client:
            client.ask(Hold(tickets=(id_,)))
    except (NoSuchSession, ClientError):  # nothing starts it now
        yield
        return
    try:
        yield
    finally:
        try:
            with connect_to(session) as client:
                client.ask(Release(tickets=(id_,)))
        except (NoSuchSession, ClientError) as error:
            if _state(session).tickets[id_].held is not None:  # somebody else may have released it
                click.echo(f"{id_} is still held: {error}; parexec release {id_}", err=True)


COMMANDS: tuple[click.Command, ...] = (talk,)
