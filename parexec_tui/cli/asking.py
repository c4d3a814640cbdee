"""How a command asks the engine for something, and says what came of it.

Nothing that a verb needs before its answer is printed may be slow to import: a person waits for it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

import click

from parexec_tui.cli import complete, exits
from parexec_tui.cli.exits import fail

if TYPE_CHECKING:
    from parexec_tui.client.blocking import Client
    from parexec_tui.core.wire.protocol import Answer, Names
    from parexec_tui.core.wire.requests import AnyRequest

P = ParamSpec("P")

_NEXT_ENGINE = 5.0
"""Seconds to wait for a session's next engine, where a guardian is about to start it."""


@contextmanager
def plainly() -> Iterator[None]:
    """As `exits.plainly`; and tell what is refused, and that there is no session or engine to be asked."""
    from parexec_tui.client.framing import ClientError, Refused
    from parexec_tui.client.sessions import NoSuchSession

    with exits.plainly():
        try:
            yield
        except Refused as refused:
            fail(f"refused: {refused}")
        except (ClientError, NoSuchSession) as error:
            fail(str(error))


def connect(session: str | None) -> "Client":
    """A connection to the engine of the session that is meant. Raises NoSuchSession, RegistryError, ClientError."""
    from parexec_tui.client.sessions import living

    return connect_to(living(session))


def take_up(session: str | None) -> "Client":
    """As `connect`; a session that is finished gets a new engine first, which waits for what will be asked."""
    from parexec_tui.client.sessions import is_living, meant

    row = meant(session)
    if row.status == "finished" and not is_living(row.session):
        from parexec_tui.engine.errors import EngineFailedError
        from parexec_tui.engine.lifecycle.launch import take_over

        click.echo(f"{row.session} was finished; a new engine takes it up", err=True)
        try:
            take_over(row.session, resume=True, awaits=True)
        except EngineFailedError as error:
            fail(str(error))
    return connect(row.session)


def connect_to(id_: str) -> "Client":
    """A connection to the engine of a living session, by its id. Raises NoSuchSession, RegistryError, ClientError."""
    from parexec_tui.client.blocking import Client
    from parexec_tui.client.framing import EngineGone
    from parexec_tui.client.sessions import living

    give_up = time.monotonic() + _NEXT_ENGINE
    while True:
        try:
            return Client.connect(id_)
        except EngineGone:
            # It is about to serve, or it died and its guardian starts the next one.
            if time.monotonic() > give_up:
                raise
            living(id_)
            time.sleep(0.05)


def is_plain(word: str) -> bool:
    """Whether a word names one thing, and selects nothing."""
    return not any(letter in word for letter in "*?[:!,")


def asks_nobody() -> bool:
    """Whether there is no terminal at which a person could answer."""
    return not (sys.stdin.isatty() and sys.stderr.isatty())


class Desk:
    """Where a verb puts its wish: with the options that all verbs have in common."""

    def __init__(self, client: "Client", *, as_json: bool, dry_run: bool = False, yes: bool = False) -> None:
        self.client = client
        self.as_json = as_json
        self.dry_run = dry_run
        self.yes = yes

    def tickets(self, words: Sequence[str]) -> tuple[str, ...]:
        """The tickets that these words mean, each once. Does not return if there are none. Raises Refused."""
        if all(map(is_plain, words)):
            return tuple(dict.fromkeys(words))  # whether they exist is the verb's to say
        return self._names("select", words).tickets or self.nothing("no ticket is like that")

    def scope(self, words: Sequence[str]) -> dict[str, Any]:
        """What these words mean, as fields of a scoped request; nothing for no words, which means the session.

        Does not return if words mean nothing: that is not the session. Raises Refused.
        """
        if not words:
            return {}
        names = self._names("scope", words)
        if not (names.tickets or names.agents or names.types):
            self.nothing("no ticket is like that")
        return {"tickets": names.tickets, "agents": names.agents, "types": names.types}

    def nothing(self, why: str) -> NoReturn:
        """Leave with nothing done. No error: a script may well ask for what failed when nothing did."""
        if self.as_json:
            click.echo(json.dumps({"events": []}))
        click.echo(f"nothing to do: {why}", err=True)
        sys.exit(0)

    def _names(self, about: Any, words: Sequence[str]) -> "Names":
        import msgspec

        from parexec_tui.core.wire.protocol import Names

        return msgspec.convert(self.client.question(about, words=words), Names)

    def ask(self, request: "AnyRequest", *, doubt: bool = False) -> None:
        """Ask for it, and say what happened. `doubt`: show first what it would mean, and let a person confirm."""
        if self.dry_run:
            answer = self.client.ask(request, dry_run=True)
            return self._say(answer, would=True)
        if doubt and not self.yes:
            self._confirm(self.client.ask(request, dry_run=True))
        return self._say(self.client.ask(request))

    def _confirm(self, answer: "Answer") -> None:
        if not answer.events:
            return
        for line in _foreseen(answer):
            click.echo(line, err=True)
        if asks_nobody():
            fail("refused: nobody can be asked whether this is meant (say --yes, or look with --dry-run)")
        if not click.confirm("do it?", default=False, err=True):
            fail("nothing was done")

    def _say(self, answer: "Answer", *, would: bool = False) -> None:
        if self.as_json:
            found: dict[str, Any] = {"events": [json.loads(bytes(event)) for event in answer.events or ()]}
            if would:
                found["preview"] = list(answer.preview)
            click.echo(json.dumps(found))
            return
        if not answer.events:
            click.echo("nothing to do: it is so already", err=True)
        for line in _foreseen(answer) if would else _happened(answer):
            click.echo(line)


def _foreseen(answer: "Answer") -> Iterable[str]:
    """A line for each thing that would happen."""
    from parexec_tui.text.words import printable

    return map(printable, answer.preview) if answer.preview else _happened(answer)


def _happened(answer: "Answer") -> Iterator[str]:
    """A line for each thing that happened."""
    from parexec_tui.core.wire import codec
    from parexec_tui.text.event_lines import lines_alone
    from parexec_tui.text.words import clock, columns, is_ascii_only, subject_width

    lines = [line for raw in answer.events or () for line in lines_alone(codec.decode_event(bytes(raw)))]
    width = subject_width(line.subject for line in lines)
    for line in lines:
        glyph_and_word, subject = columns(line, width, ascii_only=is_ascii_only(sys.stdout))
        yield "  ".join(filter(None, (clock(line.at), glyph_and_word, subject, line.text))).rstrip()


_Command = Callable[Concatenate[Desk, P], None]

# -- options ---------------------------------------------------------------------------------------------------


session_option = click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory that an engine runs, else the newest that one runs.",
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_dry_run_option = click.option(
    "-n", "--dry-run", is_flag=True, help="Only say what it would mean: what stops, what runs again, what is skipped."
)
_yes_option = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


def _verb(connected: Callable[[str | None], "Client"]) -> Callable[[_Command[P]], Callable[..., None]]:
    """A verb gets a desk at the engine of the session that is meant, and has the options of all verbs."""

    def with_desk(command: _Command[P]) -> Callable[..., None]:
        @wraps(command)
        def run(
            *args: Any, session: str | None, as_json: bool, dry_run: bool, yes: bool = False, **kwargs: Any
        ) -> None:
            with plainly(), connected(session) as client:
                command(Desk(client, as_json=as_json, dry_run=dry_run, yes=yes), *args, **kwargs)

        return as_json_option(_dry_run_option(_yes_option(session_option(run))))

    return with_desk


steers = _verb(connect)
steers_even_finished = _verb(take_up)
