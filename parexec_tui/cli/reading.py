"""show, log and events: what the registry remembers of sessions, with or without an engine."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option, is_plain, session_argument
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, UNSUCCESSFUL, fail, report_errors
from parexec_tui.cli.logs import Wanted, print_lines
from parexec_tui.cli.troubles import troubles_of
from parexec_tui.registry.errors import RegistryDamaged, RegistryError

if TYPE_CHECKING:
    from parexec_tui.core.state.process_key import ProcessKey
    from parexec_tui.core.state.services import ServiceState
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.state.tickets import TicketState
    from parexec_tui.outputs.output import Output
    from parexec_tui.registry.events import EventRow
    from parexec_tui.registry.registry import Registry
    from parexec_tui.registry.replay import Replay
    from parexec_tui.registry.sessions import SessionRow

_FOLLOW_EVERY = 0.2
"""Seconds between two checks for something new."""

_CHUNK = 1 << 16
"""Bytes of output that are read at once."""


_session_option = click.option(
    "-s",
    "--session",
    shell_complete=complete.sessions,
    help="Which session; default: the newest of this directory.",
)


@click.command()
@click.argument("what", metavar="[SESSION | TICKET...]", nargs=-1, shell_complete=complete.sessions_and_tickets)
@_session_option
@as_json_option
@report_errors()
def show(what: tuple[str, ...], session: str | None, as_json: bool) -> None:
    """Show SESSION (default: the newest of this directory): every ticket, and why it is where it is. A family is a
    row, with those of it below that run or need a look.

    Or show the tickets that are named: ids, families, patterns or selectors. Those of one family are a page with
    its values, what they took, and what failed. With --json, each ticket by itself.
    """
    from msgspec.structs import replace

    from parexec_tui.client.sessions import how_to_take_over, open_registry, status_of
    from parexec_tui.client.sockets import own_signature
    from parexec_tui.core.wire import codec
    from parexec_tui.registry.lock import note_engine
    from parexec_tui.text.session_facts import session_report
    from parexec_tui.text.session_lines import chosen_lines, report_lines
    from parexec_tui.text.words import is_ascii_only

    with open_registry() as registry:
        row, past, chosen = _find(registry, what, session)
    troubles = troubles_of([row])
    note_engine(past.state)
    me = "" if as_json else own_signature()
    report = session_report(past.state, me)
    state = status_of(replace(row, status=past.state.status))
    report = replace(report, state=state, trouble=troubles.get(row.session, ""))
    if as_json:
        if chosen is not None:
            named = set(chosen)
            report = replace(report, tickets=[ticket for ticket in report.tickets if ticket.id in named])
        click.echo(codec.encode(report))
        return
    ascii_only = is_ascii_only(sys.stdout)
    for line in (
        report_lines(report, ascii_only=ascii_only, me=me)
        if chosen is None
        else chosen_lines(report, chosen, ascii_only=ascii_only, me=me)
    ):
        click.echo(line)
    if report.state == "interrupted":
        click.echo(f"parexec: its engine is gone; {how_to_take_over(row.session)}", err=True)
    elif report.trouble:
        click.echo(f"parexec: {report.trouble}", err=True)


def _find(
    registry: "Registry", what: tuple[str, ...], session: str | None
) -> "tuple[SessionRow, Replay, list[str] | None]":
    """The session that is meant, and the tickets of it; None: all. Raises RegistryError."""
    from parexec_tui.client.sessions import resolve_past
    from parexec_tui.core.wire.selectors import SelectorError, is_name, select

    is_one = session is None and len(what) == 1 and is_plain(what[0])
    if what and what[0].startswith("exec_"):
        if session is not None:
            raise click.UsageError("name the session once: as SESSION, or with --session")
        session, what = what[0], what[1:]
    row = resolve_past(registry, session)
    past = _replay(registry, row.session)
    if is_one and what and not is_name(past.state, what[0]):
        try:
            row = registry.resolve(what[0])
        except RegistryError as error:
            raise RegistryError(f"{row.session} has no ticket {what[0]}; {error}") from error
        return row, _replay(registry, row.session), None
    try:
        return row, past, select(past.state, what) if what else None
    except SelectorError as error:
        fail(f"{row.session}: {error}", BAD_USAGE)


def _replay(registry: "Registry", session: str) -> "Replay":
    from parexec_tui.registry.replay import replay

    past = replay(registry, session)
    if past.warning:
        click.echo(f"parexec: {past.warning}", err=True)
    return past


def _from_one(_context: click.Context, _option: click.Parameter, number: int | None) -> int | None:
    if number is not None and number < 1:
        raise click.BadParameter(f"attempts are counted from 1, so there is no attempt {number}")
    return number


@click.command()
@click.argument("tickets", metavar="[TICKET]...", nargs=-1, shell_complete=complete.tickets)
@click.option("--all", "of_all", is_flag=True, help="The lines of all tickets, each with the name of its ticket.")
@click.option("-g", "--grep", "regex", metavar="REGEX", help="Only lines in which this regular expression is found.")
@click.option("-i", "--ignore-case", is_flag=True, help="For --grep: case does not matter.")
@click.option("--status", "statuses", metavar="STATUS", multiple=True, help="Only of tickets in this status.")
@click.option(
    "--order",
    type=click.Choice(("plan", "time")),
    default="plan",
    help="Tickets as in the plan (default), or by the start of their attempts.",
)
@_session_option
@click.option("-a", "--attempt", type=int, callback=_from_one, help="Which attempt; default: the latest.")
@click.option(
    "--step", metavar="STEP", help="run, or a gate such as gate-2; default: the gate that failed, else run."
)
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the attempt is over.")
@click.option(
    "--raw/--clean",
    default=None,
    help="Every byte as it is, of a coding agent what its CLI printed; or only text and colours. Default: clean on a"
    " terminal, every byte of the log in a pipe or a file.",
)
@report_errors()
def log(
    tickets: tuple[str, ...],
    of_all: bool,
    regex: str | None,
    ignore_case: bool,
    statuses: tuple[str, ...],
    order: str,
    session: str | None,
    attempt: int | None,
    step: str | None,
    follow: bool,
    raw: bool | None,
) -> None:
    """Print the output of TICKET, or of a service, or lines of the outputs of several tickets.

    On a terminal, it cannot act on the terminal: titles, links, the clipboard and the like are left out, as on the
    screen. --raw prints them as well; of a coding agent, whose output is a story of what it did, it prints what its
    CLI wrote itself.

    Several tickets are named, or meant by patterns, selectors, --status or --all. Then each line has the name of its
    ticket before it, and is plain text as the screen shows it, without colours; so it is with --grep. As with grep,
    the exit code is 1 if there is no such line.
    """
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.core.state.process_key import SKIP_IF
    from parexec_tui.core.wire.selectors import is_name

    is_one = len(tickets) == 1 and is_plain(tickets[0]) and not statuses
    is_whole = is_one and regex is None and not of_all
    _check_log_options(
        tickets, of_all, regex, statuses, needs_one=not is_whole and (follow or bool(raw) or bool(step))
    )
    with open_registry() as registry:
        row = resolve_past(registry, session)
        past = _replay(registry, row.session)
        if is_one and is_whole and tickets[0] in past.state.services:
            key = _service_key(row.session, past.state.services[tickets[0]], attempt, step, follow=follow)
            _print_log(registry, row.session, key, follow, raw)
            return
        if is_one and tickets[0] not in past.state.tickets:
            if is_name(past.state, tickets[0]):
                _check_log_options(tickets, of_all, regex, statuses, needs_one=follow or bool(raw) or bool(step))
                wanted = Wanted(tickets, statuses, regex, ignore_case, attempt, order == "time", are_named=True)
                sys.exit(SUCCEEDED if print_lines(registry, past.state, wanted) else UNSUCCESSFUL)
            fail(f"session {row.session} has no ticket {tickets[0]}", BAD_USAGE)
        if not is_whole:
            wanted = Wanted(tickets, statuses, regex, ignore_case, attempt, order == "time", not is_one)
            sys.exit(SUCCEEDED if print_lines(registry, past.state, wanted) else UNSUCCESSFUL)
        known = past.state.tickets[tickets[0]]
        number = attempt or known.attempts
        if step is not None and step.startswith(SKIP_IF):  # that is asked before the first attempt
            key = _step_key(past.state, known, 0, step)
            _print_log(registry, row.session, key, follow, raw)
            return
        if not number and not follow:
            why = (
                f"was {known.reason}" if known.status == "succeeded" else f"has not been started yet: {known.status}"
            )
            fail(f"{known.id} {why}", UNSUCCESSFUL)
        key = _step_key(past.state, known, number or 1, step)
        _print_log(registry, row.session, key, follow, raw)


def _is_clean(raw: bool | None) -> bool:
    return not raw if raw is not None else sys.stdout.isatty()


def _service_key(
    session: str, service: "ServiceState", number: int | None, step: str | None, *, follow: bool
) -> "ProcessKey":
    """The process of a service whose output is wanted."""
    from parexec_tui.core.state.process_key import RUN, ProcessKey
    from parexec_tui.outputs.output import steps_of

    number = number or service.number
    if not number and not follow:
        fail(f"service {service.name} has not been started yet", UNSUCCESSFUL)
    key = ProcessKey.of_service(service.name, number or 1, step or RUN)
    if step not in (None, RUN) and step not in (steps := steps_of(session, key)):
        there = f"there are: {', '.join(steps)}" if steps else "it has none"
        fail(f"there is no output of step {step} of start {number} of service {service.name}: {there}", BAD_USAGE)
    return key


def _step_key(state: "SessionState", ticket: "TicketState", number: int, step: str | None) -> "ProcessKey":
    """The process whose output is wanted, by the name of its step or that of its gate. Without a step it is the one
    that tells most, which is said."""
    from parexec_tui.core.state.process_key import RESOLVE, RUN, ProcessKey
    from parexec_tui.core.state.steps import gate_step, is_resolve
    from parexec_tui.outputs.output import steps_of
    from parexec_tui.text.attempt_output import told_step

    if step == RESOLVE and number == ticket.attempts:  # the first one that began may have another name
        step = next((each.step for each in state.steps.get(ticket.id, ()) if is_resolve(each.step)), step)
    if step is None:
        step = told_step(ticket, number)
        if step != RUN:
            other = "" if ticket.is_gates else f"; that of the command: --step {RUN}"
            click.echo(f"parexec: the output of {step}{other}", err=True)
    elif step != RUN and step not in (steps := steps_of(state.session, ProcessKey(ticket.id, number))):
        gates = {
            each: gate.title for each in steps if number and (gate := gate_step(state, ticket, each)) is not None
        }
        if named := [each for each, title in gates.items() if title == step]:
            return ProcessKey(ticket.id, number, named[-1])
        names = (f"{each} ({gates[each]})" if each in gates else each for each in steps)
        there = f"there are: {', '.join(names)}" if steps else "it has none"
        fail(f"there is no output of step {step} of attempt {number} of {ticket.id}: {there}", BAD_USAGE)
    return ProcessKey(ticket.id, number, step)


def _check_log_options(
    tickets: tuple[str, ...], of_all: bool, regex: str | None, statuses: tuple[str, ...], *, needs_one: bool
) -> None:
    """Raises UsageError. `needs_one`: there is an option that only the whole output of one ticket can have."""
    if tickets and of_all:
        raise click.UsageError("--all means all tickets: leave it out, or the names of tickets")
    if not (tickets or of_all or statuses or regex is not None):
        raise click.UsageError("say which ticket, or --all: parexec log --all --grep warning")
    if needs_one:
        raise click.UsageError("--follow, --step and --raw are for the whole output of one ticket")


class _Raw:
    """Prints bytes as they are."""

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def finish(self) -> None:
        """Print what is left."""


class _Clean:
    """Prints text and colours of an output."""

    def __init__(self) -> None:
        from parexec_tui.text.cleaning import Cleaner

        self._cleaner = Cleaner()

    def write(self, data: bytes) -> None:
        sys.stdout.write(self._cleaner.feed(data))

    def finish(self) -> None:
        """Print what is left."""
        sys.stdout.write(self._cleaner.finish())


def _print_log(registry: "Registry", session: str, key: "ProcessKey", follow: bool, raw: bool | None) -> None:
    """`raw`: as the option says; where it does not, on a terminal text and colours, else bytes."""
    from parexec_tui.outputs.output import output_of, raw_output_of

    output = _Clean() if _is_clean(raw) else _Raw()
    source = (raw_output_of(session, key) if raw else None) or output_of(session, key)
    at = 0
    while True:
        over = not follow or _is_over(registry, session, key.ticket, key.attempt)  # before reading, to miss nothing
        try:
            at = _print_from(source, at, output)
            sys.stdout.flush()
        except FileNotFoundError:
            if over:
                of = (
                    f"start {key.attempt} of service {key.service}"
                    if key.service
                    else f"attempt {key.attempt} of {key.ticket}"
                )
                text = f"there is no log of {of}: {source.name} does not exist"
                fail(text, UNSUCCESSFUL)
        if over:
            output.finish()
            return
        time.sleep(_FOLLOW_EVERY)


def _print_from(source: "Output", at: int, output: _Raw | _Clean) -> int:
    """Print what there is from a byte on; returns where it ends."""
    from parexec_tui.core.plan.units import format_size

    has_read_on = False
    """Whether the line that stands before a gap was printed."""
    while True:
        if chunk := source.read(at, _CHUNK):
            output.write(chunk)
            at += len(chunk)
            has_read_on = True
        elif (after := source.past_gap(at)) > at:
            if not has_read_on:
                output.write(f"\n[parexec] {format_size(after - at)} left out here\n".encode())
            at = after
        else:
            return at


def _is_over(registry: "Registry", session: str, ticket: str, number: int) -> bool:
    import msgspec

    from parexec_tui.client.sessions import is_living
    from parexec_tui.core.state.process_key import service_of

    if service := service_of(ticket):
        ends = map(msgspec.json.decode, registry.events_of_kinds(session, "service_ended"))
        has_ended = any(end["service"] == service and end["number"] >= number for end in ends)
    else:
        has_ended = any(fact.attempt >= number for fact in registry.attempts(session, ticket))
    return has_ended or not is_living(session)


@click.command()
@session_argument("the newest of this directory")
@as_json_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the engine leaves.")
@report_errors()
def events(session: str | None, as_json: bool, follow: bool) -> None:
    """Print what happened in SESSION (default: the newest of this directory)."""
    from parexec_tui.client.sessions import is_living, open_registry, resolve_past

    with open_registry() as registry:
        row = resolve_past(registry, session)
        line_of = _json_line if as_json else _TextLines(registry, row.session)
        after = 0
        while True:
            over = not follow or not is_living(row.session)
            why = ""
            try:
                for stored in registry.events(row.session, after):
                    for line in line_of(stored):
                        click.echo(line)
                    after = stored.seq
            except RegistryDamaged as error:
                why = str(error)
            if not why and over and (damage := registry.damage(row.session, after)):
                why = damage.why
            if why:
                fail(f"events from number {after + 1} on cannot be read: {why}", UNSUCCESSFUL)
            if over:
                return
            time.sleep(_FOLLOW_EVERY)


def _json_line(row: "EventRow") -> Iterator[bytes]:
    yield b'{"seq":%d,%b' % (row.seq, row.data[1:])


class _TextLines:
    """Says events in words. They have to come in their order."""

    def __init__(self, registry: "Registry", session: str) -> None:
        from parexec_tui.registry.replay import state_before
        from parexec_tui.text.words import is_ascii_only, subject_width

        self._registry, self._session = registry, session
        self._state = state_before(registry, session)
        self._width = subject_width(self._state.tickets)
        self._ascii_only = is_ascii_only(sys.stdout)

    def __call__(self, row: "EventRow") -> Iterator[str]:
        """The lines of an event. Raises RegistryDamaged."""
        from parexec_tui.registry.replay import apply_row
        from parexec_tui.text.event_lines import lines
        from parexec_tui.text.words import columns, day_and_clock

        event = apply_row(self._state, row, self._registry, self._session)
        for line in lines(self._state, event):
            rest = "  ".join(part for part in columns(line, self._width, ascii_only=self._ascii_only) if part)
            yield f"{day_and_clock(line.at)}  {rest}  {line.text}".rstrip()


def print_actions(session: str | None, *, as_json: bool) -> None:
    """Print what persons did in a session and did not take back, newest first."""
    from parexec_tui.client.sessions import open_registry, resolve_here
    from parexec_tui.core.rules.verbs.undo import history
    from parexec_tui.core.wire import codec
    from parexec_tui.text.words import day_and_clock, printable

    with report_errors():
        row = resolve_here(session)
        with open_registry() as registry:
            past = _replay(registry, row.session)
    found = list(history(past.state, time.time()))
    if as_json:
        facts = [
            {"at": each.at, "by": each.by, "verb": each.verb, "text": each.text, "why_not": why}
            for each, why in found
        ]
        click.echo(codec.encode(facts))
        return
    if not found:
        click.echo("there is nothing that could be undone", err=True)
    width = max((len(each.by) for each, _ in found), default=0)
    for each, why in found:
        final = f"  (cannot be taken back: {why})" if why else ""
        click.echo(f"{day_and_clock(each.at)}  {printable(each.by):{width}}  {printable(each.text + final)}")


COMMANDS: tuple[click.Command, ...] = (show, log, events)
