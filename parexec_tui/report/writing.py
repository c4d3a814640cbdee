"""Writes a report: to a file, all of it or nothing, or to standard output."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IMODE

from parexec_tui.core.wire import codec
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from parexec_tui.report.facts import Report
from parexec_tui.report.formats import Format, WriteError, format_of
from parexec_tui.report.sources import read_report, tails

MOST_WIDTH = 100
"""Cells of a line of text that is not for a terminal."""


def content(
    report: Report, format_: Format, registry: Registry, *, width: int = MOST_WIDTH, ascii_only: bool = False
) -> Iterator[bytes]:
    """What is written in this format. `width` and `ascii_only` are about text. Raises RegistryError."""
    # imported by who needs it: to look at one format costs nothing of the others
    match format_:
        case Format.text:
            from parexec_tui.report.plain import text_lines

            return _encoded(text_lines(report, width=width, ascii_only=ascii_only))
        case Format.md:
            from parexec_tui.report.markdown import markdown_lines

            return _encoded(markdown_lines(report))
        case Format.json:
            return iter((codec.encode(report), b"\n"))
        case Format.csv:
            from parexec_tui.report.tables import csv_lines

            return (line.encode(errors="backslashreplace") for line in csv_lines(report))
        case Format.html:
            from parexec_tui.report.page import page

            return iter((page(report).encode(errors="backslashreplace"),))
        case Format.junit:
            from parexec_tui.report.junit import junit_bytes

            return iter(
                (junit_bytes(report, {each.session: tails(registry, each.session) for each in report.sessions}),)
            )


def write_report(session: str, file: Path, *, replaces: bool) -> None:
    """Write the report of a session to a file, as its name tells. Raises WriteError, RegistryError."""
    format_ = format_of(file)
    with Registry.open(registry_file(), read_only=True) as registry:
        report = read_report(registry, [registry.session(session)], warn=lambda _: None)
        write_file(file, content(report, format_, registry), replaces=replaces)


def _encoded(lines: Iterable[str]) -> Iterator[bytes]:
    return (f"{line}\n".encode(errors="backslashreplace") for line in lines)


def write_file(file: Path, parts: Iterable[bytes], *, replaces: bool, is_private: bool = False) -> None:
    """Write a file; nothing is left of it if that fails. A link leads to the file that is written.

    `replaces`: also if there is such a file. `is_private`: a new one is for its owner only. Raises WriteError, and
    whatever `parts` raises.
    """
    if file.is_dir():
        raise WriteError(f"{file} is a folder: say which file in it")
    if file.exists() and not replaces:
        raise WriteError(f"{file} exists already: it is left as it is")
    target = file.resolve()
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with new.open("xb") as out:
            try:
                if is_private and not target.exists():
                    new.chmod(0o600)
                elif target.exists():
                    new.chmod(S_IMODE(target.stat().st_mode))  # before anything is in it that others may not read
                out.writelines(parts)
                out.flush()
                if not replaces:
                    target.touch(0o600 if is_private else 0o666, exist_ok=False)  # one may have come meanwhile
                new.replace(target)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise WriteError(f"{file} exists already: it is left as it is") from None
    except OSError as error:
        raise WriteError(f"{file} cannot be written: {error.strerror or error}") from error
