"""metrics: figures of sessions for people, scripts and Prometheus; once, or in a file while a session lives."""

import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import as_json_option
from parexec_tui.cli.exits import BAD_USAGE, INTERRUPTED, NOT_DONE, SUCCEEDED, UNSUCCESSFUL, fail, report_errors

if TYPE_CHECKING:
    from parexec_tui.core.state.events import AnyEvent
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.registry.sessions import SessionRow
    from parexec_tui.report.metrics import Meter, SessionMetrics

_EVERY = 1.0
"""Seconds between two writes of a file at least."""

_SHARE = 100
"""And so many times the CPU time that a write took: it costs a hundredth of a core at most."""

_REFRESH_EVERY = 15.0
"""Seconds after which it is written though nothing happened: the ETA and the host go on."""


@click.command()
@click.argument("sessions", metavar="[SESSION]...", nargs=-1, shell_complete=complete.sessions)
@click.option("--prometheus", is_flag=True, help="In the text format of Prometheus.")
@as_json_option
@click.option(
    "--write",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep FILE up to date until SESSION is over, for Prometheus (or with --json).",
)
@report_errors()
def metrics(sessions: tuple[str, ...], prometheus: bool, as_json: bool, file: Path | None) -> None:
    """Print figures of SESSION (default: the newest of this directory): tickets by status, attempts by end and
    duration, agents, claims, what tickets wait for, the ETA.

    --write replaces FILE as a whole at each change, at most once a second; node_exporter's textfile collector reads
    it. It waits for the next engine if one dies, and ends with the session, or when a person stops or drains that.
    SIGTERM and ctrl-c end it after a last write.
    """
    from parexec_tui.client.sessions import resolve_here
    from parexec_tui.report.metrics_lines import metrics_lines

    if prometheus and as_json:
        fail("--prometheus and --json are two formats: choose one", BAD_USAGE)
    if file is not None:
        if len(sessions) > 1:
            fail("--write follows one session: start it once for each, with a file for each", BAD_USAGE)
        _keep(resolve_here(sessions[0] if sessions else None), file, as_json=as_json)
    rows = {row.session: row for row in map(resolve_here, sessions or (None,))}
    found = [_now(row, _past(row)) for row in rows.values()]
    if prometheus or as_json:
        click.echo(_content(found, as_json=as_json), nl=False)
        return
    for number, each in enumerate(found):
        for line in (*[""] * bool(number), *metrics_lines(each)):
            click.echo(line)


def _content(found: "Sequence[SessionMetrics]", *, as_json: bool) -> bytes:
    if as_json:
        from parexec_tui.core.wire import codec

        return codec.encode({"sessions": found}) + b"\n"
    from parexec_tui.report.exposition import exposition

    return exposition(found)


def _past(row: "SessionRow") -> "Meter":
    """The figures that the registry tells; that a part of it is lost is said. Raises RegistryError."""
    from parexec_tui.client.sessions import open_registry
    from parexec_tui.gc_control import gc_paused
    from parexec_tui.registry.replay import replay

    meters: list[Meter] = []
    with open_registry() as registry, gc_paused():
        past = replay(registry, row.session, fold=_noting(meters))
    if past.warning:
        click.echo(f"parexec: {row.session}: {past.warning}", err=True)
    return meters[-1]


def _noting(meters: "list[Meter]") -> "Callable[[SessionState], Callable[[AnyEvent], None]]":
    """The fold of a replay by a meter, which is added to these."""
    from parexec_tui.report.metrics import Meter

    def fold(state: "SessionState") -> "Callable[[AnyEvent], None]":
        meters.append(Meter(state))
        return meters[-1].note

    return fold


def _now(row: "SessionRow", meter: "Meter") -> "SessionMetrics":
    """The metrics of a session now, of which the meter has all events."""
    from msgspec.structs import replace

    from parexec_tui.client.sessions import status_of
    from parexec_tui.outputs.curve import newest_sample
    from parexec_tui.paths import session_folder
    from parexec_tui.registry.lock import note_engine
    from parexec_tui.report.metrics import session_metrics

    note_engine(meter.state)
    is_up = meter.state.has_engine and _is_up(row.session)
    return session_metrics(
        meter,
        status_of(replace(row, status=meter.state.status)),
        newest_sample(session_folder(row.session).curve),
        time.time(),
        is_up=is_up,
    )


def _is_up(session: str) -> bool:
    """Whether an engine is there and can work."""
    from parexec_tui.client.sessions import has_engine
    from parexec_tui.client.silence import is_hopeless

    return has_engine(session) and not is_hopeless(session)


# -- a file that is kept up to date ------------------------------------------------------------------------------


def _keep(row: "SessionRow", file: Path, *, as_json: bool) -> NoReturn:
    """Write the file again and again until the session is over, and exit. Raises RegistryError."""
    from parexec_tui.client.following import Following, Stop
    from parexec_tui.client.mirror import Mirror
    from parexec_tui.client.sessions import OVER

    meters: list[Meter] = []
    with _sole_writer(file), Stop() as stop:
        mirror = Mirror.open(row.session, fold=_noting(meters))
        (meter,) = meters
        following = Following(mirror, _say, stop=stop, is_patient=row.status not in OVER)
        kept = _File(file)
        written, every, was_up, is_new = -_REFRESH_EVERY, _EVERY, False, True
        for events in following:
            is_up = _is_up(row.session)
            is_new = is_new or bool(events) or is_up is not was_up
            was_up = is_up
            waited = time.monotonic() - written
            if mirror.last and waited >= (every if is_new else _REFRESH_EVERY):
                began = time.process_time()
                kept.write(_content([_now(row, meter)], as_json=as_json))
                every = min(_REFRESH_EVERY, max(_EVERY, _SHARE * (time.process_time() - began)))
                written, is_new, waited = time.monotonic(), False, 0.0
            until = (every if is_new and mirror.last else _REFRESH_EVERY) - waited
            following.within = max(0.0, min(until, _EVERY))  # that an engine is stopped is no event
        if not mirror.last:
            fail(f"session {row.session} has no events, so {file} was not written", UNSUCCESSFUL)
        kept.write(_content([_now(row, meter)], as_json=as_json))
        if kept.trouble:
            fail(kept.trouble, UNSUCCESSFUL)
        sys.exit(INTERRUPTED if stop.signal == signal.SIGINT else SUCCEEDED)


def _say(text: str) -> None:
    click.echo(f"parexec: {text}", err=True)


class _File:
    """A file that is replaced as a whole, or stays as it was. That it cannot be is said once each time it begins."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.trouble = ""
        """Why it could not be written last; empty: it was."""

    def write(self, content: bytes) -> None:
        from parexec_tui.report.formats import WriteError
        from parexec_tui.report.writing import write_file

        try:
            write_file(self._file, (content,), replaces=True)
        except WriteError as error:
            if str(error) != self.trouble:
                _say(f"{error}; it stays as it was, and is tried again")
            self.trouble = str(error)
        else:
            if self.trouble:
                _say(f"{self._file} is written again")
            self.trouble = ""


@contextmanager
def _sole_writer(file: Path) -> Iterator[None]:
    """Be the only one who keeps this file, and take away what one left who was killed while it wrote. Exits if the
    file cannot be written, or another one keeps it."""
    from parexec_tui.report.writing import is_stream

    if file.is_dir() or is_stream(file):
        fail(f"{file} is no file that could be replaced: name one in a folder", BAD_USAGE)
    target = file.resolve()
    lock = target.with_name(f".{target.name}.lock")
    try:
        fd = _locked(lock)
    except BlockingIOError:
        fail(
            f"{file} is kept up to date by another parexec metrics already: name another file, or end that", NOT_DONE
        )
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}: {target.parent}", BAD_USAGE)
    try:
        for each in target.parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(target.name)}\.[0-9]+", each.name):
                each.unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):  # the folder may be gone
            lock.unlink()
        os.close(fd)


def _locked(lock: Path) -> int:
    """The flock of a file that is made for it. Raises BlockingIOError if another process has it, OSError."""
    while True:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(os.fstat(fd), lock.stat()):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # the one before removed it meanwhile


COMMANDS: tuple[click.Command, ...] = (metrics,)
