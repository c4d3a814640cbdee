"""Writes what is remembered of a session to a file: as JSON, as events, as a table, or as text."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IMODE

from msgspec import structs

from parexec_tui.core.wire import codec
from parexec_tui.paths import registry_file
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.lock import note_engine
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.text.session_facts import SessionReport, TicketReport, report_lines, session_report

KINDS = {
    ".json": "all facts of the session, as `parexec show --json` prints them",
    ".jsonl": "all events, as `parexec events --json` prints them",
    ".csv": "a line for each ticket, for a spreadsheet",
    ".txt": "every ticket in words, as `parexec show` prints them",
}
"""The end of a file's name says what is written to it."""


class ExportError(Exception):
    """It cannot be written. The text says why, and what to do."""


def check_kind(file: Path) -> None:
    """Raises ExportError if the name of the file does not say what to write."""
    if file.suffix not in KINDS:
        kinds = "; ".join(f"{ending}: {text}" for ending, text in KINDS.items())
        raise ExportError(f"the end of the name says what is written. {kinds}")


def export(session: str, file: Path, *, replaces: bool = False) -> None:
    """Write a session to a file. Nothing is left of it if that fails.

    `replaces`: also if there is such a file. Raises ExportError, RegistryError.
    """
    check_kind(file)
    if file.is_dir():
        raise ExportError(f"{file} is a folder: say which file in it")
    target = file.resolve() if replaces else file  # what a link leads to is replaced, and not the link
    new = target.with_name(f".{target.name}.{os.getpid()}") if replaces else file
    try:
        with new.open("xb") as out:
            try:
                if replaces and target.exists():
                    new.chmod(S_IMODE(target.stat().st_mode))  # before anything is in it that others may not read
                out.writelines(_content(session, file.suffix))
                out.flush()
                if replaces:
                    new.replace(target)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise ExportError(f"{file} exists already: it is left as it is") from None
    except OSError as error:
        raise ExportError(f"{file} cannot be written: {error.strerror or error}") from error


def json_line(row: EventRow) -> bytes:
    """An event as a line of JSON, without its end."""
    return b'{"seq":%d,%b' % (row.seq, row.data[1:])


def _content(session: str, kind: str) -> Iterable[bytes]:
    with Registry.open(registry_file(), read_only=True) as registry:
        if kind == ".jsonl":
            yield from (json_line(row) + b"\n" for row in registry.events(session))
            return
        state = replay(registry, session).state
    note_engine(state)
    report = session_report(state)
    match kind:
        case ".json":
            yield codec.encode(report) + b"\n"
        case ".csv":
            yield from _table(report)
        case _:
            yield from (f"{line}\n".encode() for line in report_lines(report, ascii_only=False))


def _table(report: SessionReport) -> Iterator[bytes]:
    for values in (TicketReport.__struct_fields__, *(map(_cell, structs.astuple(each)) for each in report.tickets)):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        yield line.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) and value else value or ("" if value != 0 else 0)
