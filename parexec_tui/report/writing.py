"""Writes a report: to a file, all of it or nothing, or to standard output."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IMODE, S_ISBLK

from parexec_tui.core.wire import codec
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from parexec_tui.report.facts import Report
from parexec_tui.report.formats import Format, WriteError, format_of
from parexec_tui.report.sources import read_report, tails

MOST_WIDTH = 100
"""Cells of a line of text that is not for a terminal."""

_MOST_LINKS = 40
"""What the kernel follows of a path."""


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


def write_file(file: Path, parts: Iterable[bytes], *, replaces: bool, is_private: bool = False) -> int:
    """Write a file; nothing is left of it if that fails. A link leads to the file that is written. Returns how many
    bytes were written.

    `replaces`: also if there is such a file. `is_private`: a new one is for its owner only. What is_stream() is
    written into as it stands, and then what was written stays. Raises WriteError, and whatever `parts` raises.
    """
    if file.is_dir():
        raise WriteError(f"{file} is a folder: say which file in it")
    try:
        if is_stream(file):
            return _write_into(file, parts)
        return _write_anew(file, parts, replaces=replaces, is_private=is_private)
    except FileExistsError:
        raise WriteError(f"{file} exists already: it is left as it is") from None
    except OSError as error:
        raise WriteError(f"{file} cannot be written: {error.strerror or error}") from error


def is_stream(file: Path) -> bool:
    """Whether a path means what another file must not replace: a device, a named pipe, what we have open."""
    return _descriptor(file) is not None or (file.exists() and not file.is_file())


def _write_into(file: Path, parts: Iterable[bytes]) -> int:
    own = _descriptor(file)
    fd = os.open(file, os.O_WRONLY | os.O_NOCTTY) if own is None else os.dup(own)
    with open(fd, "wb") as out:  # noqa: PTH123 - it has no path
        if S_ISBLK(os.fstat(fd).st_mode):
            raise WriteError(f"{file} is a disk: it is left as it is")
        return sum(out.write(part) for part in parts)


def _descriptor(file: Path) -> int | None:
    """Which of our own descriptors a path means: 1 for `/dev/stdout`. To open it anew would forget how far we are."""
    path = str(file)
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(os.path.dirname(path) or ".")  # noqa: PTH120 - a Path would drop the `..` of a link
        name = os.path.basename(path)  # noqa: PTH119
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and name.isdecimal():
            return int(name)
        try:
            path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118
        except OSError:
            break
    return None


def _write_anew(file: Path, parts: Iterable[bytes], *, replaces: bool, is_private: bool) -> int:
    if file.exists() and not replaces:
        raise FileExistsError
    target = file.resolve()
    new = target.with_name(f".{target.name}.{os.getpid()}")
    with new.open("xb") as out:
        try:
            if is_private and not target.exists():
                new.chmod(0o600)
            elif target.exists():
                new.chmod(S_IMODE(target.stat().st_mode))  # before anything is in it that others may not read
            size = sum(out.write(part) for part in parts)
            out.flush()
            if replaces:
                new.replace(target)
            else:
                _give_name(new, target)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    return size


def _give_name(new: Path, target: Path) -> None:
    """Give a file its name, unless another one has it by now. Raises FileExistsError, OSError."""
    try:
        target.hardlink_to(new)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: whoever is killed between these two leaves an empty file
        target.touch(S_IMODE(new.stat().st_mode), exist_ok=False)
        new.replace(target)
    else:
        new.unlink()
