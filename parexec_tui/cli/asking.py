"""How a verb asks the engine for something, and prints the answer.

A person waits for the answer, so nothing that is slow to import may be imported before it is printed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click

from parexec_tui.cli import complete, exits
from parexec_tui.cli.beside import Wish, beside_option, start_if_alone, warn
from parexec_tui.cli.exits import fail

if TYPE_CHECKING:
    from parexec_tui.cli.finished import FinishedSession
    from parexec_tui.client.blocking import Client
    from parexec_tui.core.state.events import AnyEvent
    from parexec_tui.core.wire.protocol import Answer, Names
    from parexec_tui.core.wire.requests import AnyRequest
    from parexec_tui.engine.lifecycle.left_session import LeftSession
    from parexec_tui.registry.sessions import SessionRow

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def report_errors() -> Iterator[None]:
    """As `exits.report_errors`, also for refusals and for a missing session or engine."""
    from parexec_tui.client.framing import ClientError, Refused
    from parexec_tui.client.sessions import NoSuchSession

    with exits.report_errors():
        try:
            yield
        except Refused as refused:
            fail(f"refused: {refused}")
        except (ClientError, NoSuchSession) as error:
            fail(str(error))
        except UnicodeEncodeError as error:
            # A word of the command line that is not UTF-8: neither the protocol nor the registry can have it.
            fail(f"{error.object[error.start : error.end]!r} is no text of UTF-8", exits.BAD_USAGE)


@contextmanager
def _silence_as_json(as_json: bool) -> Iterator[None]:
    """For scripts that read what a verb prints: that nobody answered, and why."""
    from parexec_tui.client.framing import EngineGone

    try:
        yield
    except EngineGone as gone:
        if as_json:
            import json

            click.echo(json.dumps({"events": [], "trouble": str(gone)}))
        raise


def connect(session: str | None) -> "Client":
    """A connection to the engine of the session to steer. Raises NoSuchSession, RegistryError, ClientError."""
    from parexec_tui.client.sessions import resolve_here

    return _connect_to_living(resolve_here(session), is_named=session is not None)


def _connect_to_living(row: "SessionRow", *, is_named: bool) -> "Client":
    """Connect, and say which session that is where nobody named it and it is of another folder."""
    from parexec_tui.client.connecting import connect_to
    from parexec_tui.client.sessions import is_elsewhere, living_id

    client = connect_to(living_id(row, is_named=is_named))
    if not is_named and is_elsewhere(row):
        click.echo(f"parexec: this is about {row.session} of {row.workdir}", err=True)
    return client


def connect_or_restart(
    session: str | None, *, beside: bool = False, as_json: bool = False
) -> "Client | FinishedSession":
    """As `connect`; a finished session gets a new engine for what is granted, and so does one that its engine left
    by itself because nothing could run.

    `beside`: also if living sessions claim the same. `as_json`: a refusal for that reason is printed as JSON, too.
    """
    from parexec_tui.client.sessions import NoSuchSession, resolve_to_change

    row = resolve_to_change(session)
    if not (over := _how_over(row)):
        try:
            return _connect_to_living(row, is_named=session is not None)
        except NoSuchSession:
            row = resolve_to_change(session)
            if not (over := _how_over(row)):
                raise  # else its engine has left in that moment
    from parexec_tui.cli.finished import FinishedSession

    def take_up() -> "Client":
        from parexec_tui.engine.errors import EngineFailedError
        from parexec_tui.engine.lifecycle.launch import take_over

        click.echo(f"{row.session} {over}; a new engine takes it up", err=True)
        start = partial(take_over, row.session, resume=True, awaits=True, warn=warn)
        try:
            wish: Wish = "beside" if beside else "refuse"
            verb = click.get_current_context().info_name
            start_if_alone(start, wish, again=f"parexec {verb}", can_wait=False, as_json=as_json)
        except EngineFailedError as error:
            fail(str(error))
        return connect(row.session)

    return FinishedSession(row.session, take_up)


def _how_over(row: "SessionRow") -> str:
    """Why no engine runs a session that a verb may take up, after its id: `was finished`; empty: it has one, or a
    person ended it."""
    from parexec_tui.client.sessions import is_living, replay_of
    from parexec_tui.core.state.outcome import LEFT_FOR_ANSWER

    if is_living(row.session):
        return ""
    if row.status != "stopped":
        return "was finished" if row.status == "finished" else ""
    left = replay_of(row.session).state.left
    return f"was left: {left.reason}" if left is not None and left.reason in ("blocked", *LEFT_FOR_ANSWER) else ""


def connect_or_do_without(session: str | None) -> "Client | LeftSession":
    """As `connect`; without an engine, what stands in for one where the plan is changed."""
    from parexec_tui.client.sessions import NoSuchSession, is_living, resolve_to_change

    row = resolve_to_change(session)
    if is_living(row.session):
        try:
            return _connect_to_living(row, is_named=session is not None)
        except NoSuchSession:
            if is_living(row.session):
                raise  # else its engine has left in that moment
    from parexec_tui.engine.lifecycle.left_session import LeftSession

    return LeftSession(row.session)


def connect_or_give_up(session: str | None) -> "Client | LeftSession":
    """As `connect`; for a session that was interrupted, what stops it without an engine."""
    from parexec_tui.client.sessions import resolve_to_change, status_of

    row = resolve_to_change(session)
    if status_of(row) != "interrupted":
        return _connect_to_living(row, is_named=session is not None)
    from parexec_tui.engine.given_up import GivenUp

    return GivenUp(row.session)


def is_plain(word: str) -> bool:
    """Whether a word is a name, and neither a pattern nor a selector."""
    return not any(letter in word for letter in "*?[:!,")


def is_unattended() -> bool:
    """Whether nobody can answer a question, because there is no terminal."""
    return not (sys.stdin.isatty() and sys.stderr.isatty())


class VerbContext:
    """What a verb works with: a connection to the engine, and the options that all verbs have."""

    def __init__(
        self,
        client: "Client | FinishedSession | LeftSession",
        *,
        as_json: bool,
        dry_run: bool = False,
        yes: bool = False,
    ) -> None:
        self.client = client
        self.as_json = as_json
        self.dry_run = dry_run
        self.yes = yes
        self.left_out: list[str] = []
        """Why some of what was named was refused, while the rest was granted."""

    def tickets(self, words: Sequence[str]) -> tuple[str, ...]:
        """The tickets that these words select, each once. Exits if there are none. Raises Refused."""
        from parexec_tui.client.framing import Refused

        if all(map(is_plain, words)):
            with suppress(Refused):  # services have names as well, and the engine refuses what does not exist
                return self._names("select", words).tickets
            return tuple(dict.fromkeys(words))
        return self._names("select", words).tickets or self.exit_unchanged("no ticket is like that")

    def scope(self, words: Sequence[str]) -> dict[str, Any]:
        """What these words select, as fields of a scoped request. No words: no fields, which means the session.

        Exits if there are words and they select nothing: that must not become the session. Raises Refused.
        """
        if not words:
            return {}
        names = self._names("scope", words)
        if not (names.tickets or names.agents or names.types or names.services or names.hosts):
            self.exit_unchanged("no ticket is like that")
        others = {"services": names.services, "hosts": names.hosts}
        named = {kind: found for kind, found in others.items() if found}
        return {"tickets": names.tickets, "agents": names.agents, "types": names.types, **named}

    def services(self, words: Sequence[str]) -> tuple[str, ...]:
        """The services that these words mean. Exits if they mean something else. Raises Refused."""
        from parexec_tui.client.framing import Refused

        names = self._names("scope", words)
        if others := (*names.tickets, *names.agents, *names.types, *names.hosts):
            raise Refused(f"{others[0]} is no service", f"retry {others[0]}, or restart --from a ticket")
        return names.services

    def exit_unchanged(self, why: str) -> NoReturn:
        """Say that there is nothing to do, and exit with 0: a script may retry failed tickets if there are any."""
        if self.as_json:
            click.echo('{"events": []}')
        click.echo(f"nothing to do: {why}", err=True)
        sys.exit(0)

    def _names(self, about: Any, words: Sequence[str]) -> "Names":
        from parexec_tui.client.framing import facts_of
        from parexec_tui.core.wire.protocol import Names

        return facts_of(self.client.question(about, words=words), Names)

    def ask(self, request: "AnyRequest", *, confirm: bool = False, says: str = "") -> "Answer":
        """Make a request, and print what happened; with --dry-run, what would happen. Returns the answer.

        `confirm`: show first what would happen, and let a person confirm it, unless --yes is given. `says`: what is
        printed instead of what happened. Raises Refused.
        """
        if self.dry_run:
            answer = self.client.ask(request, dry_run=True)
            self._print(answer, would=True)
            return answer
        if confirm and not self.yes:
            self._confirm(self.client.ask(request, dry_run=True))
        answer = self.client.ask(request)
        self._print(answer, says=says)
        if not self.as_json and self.client.has_engine:  # else there is none to take it back
            _say_how_it_is_taken_back(request, answer)
        return answer

    def _confirm(self, answer: "Answer") -> None:
        if not answer.events:
            return
        for line in _preview_lines(answer):
            click.echo(line, err=True)
        if is_unattended():
            fail("refused: nobody can be asked whether this is meant (say --yes, or look with --dry-run)")
        if not click.confirm("do it?", default=False, err=True):
            fail("nothing was done")

    def _print(self, answer: "Answer", *, would: bool = False, says: str = "") -> None:
        if self.as_json:
            import json

            found: dict[str, Any] = {"events": [json.loads(bytes(event)) for event in answer.events or ()]}
            self.left_out = [text for event in found["events"] for text in event.get("left_out", ())]
            if answer.notice:
                found["notice"] = answer.notice
            if would:
                found["preview"] = list(answer.preview)
            click.echo(json.dumps(found))
            return
        if not answer.events:
            click.echo("nothing to do: it is so already", err=True)
        for line in [says] if says else _preview_lines(answer) if would else _event_lines(answer):
            click.echo(line)
        self._say_what_is_left_out(answer)
        if answer.notice:
            from parexec_tui.text.words import printable

            click.echo(f"parexec: {printable(answer.notice)}", err=True)
        if answer.events and not would and not self.client.has_engine:
            click.echo(f"no engine runs it; go on: parexec resume {self.client.session}", err=True)

    def _say_what_is_left_out(self, answer: "Answer") -> None:
        from parexec_tui.core.state.events import OperatorActed
        from parexec_tui.core.wire import codec
        from parexec_tui.text.words import printable

        acted = codec.decode_event(bytes(answer.events[0])) if answer.events else None
        if isinstance(acted, OperatorActed):
            self.left_out = list(acted.left_out)
        for text in self.left_out:
            click.echo(f"parexec: left out: {printable(text)}", err=True)


def _preview_lines(answer: "Answer") -> Iterable[str]:
    """A line for each thing that would happen."""
    from parexec_tui.text.words import printable

    return map(printable, answer.preview) if answer.preview else _event_lines(answer)


def known_events(answer: "Answer") -> "Iterator[AnyEvent]":
    """The events of an answer. That an engine of a later version has told others is said."""
    from parexec_tui.core.wire import codec

    for raw in answer.events or ():
        try:
            yield codec.decode_event(bytes(raw))
        except codec.LaterVersionError as error:
            click.echo(f"parexec: it is done; some of the events cannot be told: {error}", err=True)


def _say_how_it_is_taken_back(request: "AnyRequest", answer: "Answer") -> None:
    """Say it where more has changed than what was named."""
    from parexec_tui.core.state.events import OperatorActed

    events = list(known_events(answer))
    named = sum(len(getattr(request, field, ())) for field in ("tickets", "agents", "types"))
    acted = events[0] if events else None
    if isinstance(acted, OperatorActed) and acted.inverse and sum(map(_changes, events[1:])) > max(1, named):
        click.echo("parexec: undo takes it back: parexec undo", err=True)


def _changes(event: "AnyEvent") -> int:
    """How many things an event changes."""
    return 1 + sum(len(getattr(event, field, ())) for field in ("skipped", "restored", "rerun"))


def _event_lines(answer: "Answer") -> Iterator[str]:
    """A line for each thing that happened."""
    from parexec_tui.text.event_lines import lines_alone
    from parexec_tui.text.words import clock, columns, is_ascii_only, subject_width

    lines = [line for event in known_events(answer) for line in lines_alone(event)]
    width = subject_width(line.subject for line in lines)
    for line in lines:
        glyph_and_word, subject = columns(line, width, ascii_only=is_ascii_only(sys.stdout))
        yield "  ".join(filter(None, (clock(line.at), glyph_and_word, subject, line.text))).rstrip()


_Command = Callable[Concatenate[VerbContext, P], None]

# -- options ---------------------------------------------------------------------------------------------------


session_option = click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory that an engine runs, else the newest that one runs.",
)


def session_argument(which: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """A decorator: adds SESSION to a command, as an argument and as the option that all commands have for it.

    `which`: what the help says of the default.
    """
    option = click.option(
        "-s",
        "--session",
        "named",
        shell_complete=complete.sessions,
        help=f"Which session, the same as SESSION; default: {which}.",
    )
    argument = click.argument("session", required=False, shell_complete=complete.sessions)

    def with_session(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def run(*args: Any, session: str | None, named: str | None, **kwargs: Any) -> R:
            if session is not None and named is not None:
                raise click.UsageError("name the session once: as SESSION, or with --session")
            return command(*args, session=session if named is None else named, **kwargs)

        return argument(option(run))

    return with_session


def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """A duration as a plan has it, `30m`; a plain number is seconds."""
    from parexec_tui.core.plan.units import Duration

    if value is None:
        return None
    try:
        return Duration.parse(float(value) if value.replace(".", "", 1).isdecimal() else value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_dry_run_option = click.option(
    "-n", "--dry-run", is_flag=True, help="Only say what it would mean: what stops, what runs again, what is skipped."
)
_yes_option = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


def verb_options(command: Callable[P, R]) -> Callable[P, R]:
    """A decorator: adds the options that all verbs have."""
    return as_json_option(_dry_run_option(_yes_option(session_option(command))))


def connected_with(
    connected: Callable[..., "Client | FinishedSession | LeftSession"],
) -> Callable[[_Command[P]], Callable[..., None]]:
    """A decorator: gives a function a context of a connection made with `connected`, and of the values of options."""

    def with_context(command: _Command[P]) -> Callable[..., None]:
        @wraps(command)
        def run(
            *args: Any,
            session: str | None,
            as_json: bool,
            dry_run: bool,
            yes: bool = False,
            beside: bool | None = None,
            **kwargs: Any,
        ) -> None:
            options = {} if beside is None else {"beside": beside, "as_json": as_json}
            with report_errors(), _silence_as_json(as_json), connected(session, **options) as client:
                context = VerbContext(client, as_json=as_json, dry_run=dry_run, yes=yes)
                command(context, *args, **kwargs)
                if context.left_out:
                    sys.exit(exits.DONE_IN_PART)

        return run

    return with_context


def _verb(
    connected: Callable[..., "Client | FinishedSession | LeftSession"],
) -> Callable[[_Command[P]], Callable[..., None]]:
    """A decorator for verbs: adds the options that all verbs have, and connects with `connected`."""
    return lambda command: verb_options(connected_with(connected)(command))


verb = _verb(connect)


def verb_even_if_finished(command: _Command[P]) -> Callable[..., None]:
    """As `verb`, for what takes up a finished session."""
    return beside_option(_verb(connect_or_restart)(command))


verb_without_engine = _verb(connect_or_do_without)
verb_even_if_interrupted = _verb(connect_or_give_up)
