"""Reads what the families of a plan are made of: the names of files, the lines of a command, lists in files.

They are read when the plan is: what a session runs does not change with them.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import translate
from glob import has_magic
from pathlib import Path
from typing import Any, NoReturn

from parexec_tui.core.plan.expanding.axes import Source, SourceError

MOST_BYTES = 64 * 1024 * 1024
"""How much a command or a file may tell."""


def look(source: Source, workdir: str) -> list[Any]:
    """The values that a source tells, in its order. Raises SourceError."""
    match source.kind:
        case "glob":
            return _files(source.text, workdir)
        case "lines":
            return _lines(source.text, workdir)
        case "json":
            return _listed(source.text, workdir)


def read_regular(path: str, called: str = "") -> bytes:
    """What is in a regular file; a pipe or a device might have no end. `called`: in messages. Raises SourceError."""
    called = called or path
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{called} is no regular file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{called} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise SourceError(f"{called} has more than {MOST_BYTES >> 20} MiB")
    return data


def top_of(folder: str) -> str:
    """The folder of the git checkout that a folder is in; empty if it is in none. Reads no more than names."""
    here = Path(os.path.realpath(folder))
    for each in (here, *here.parents):
        if (each / ".git").exists():
            return str(each)
    return ""


_FIRST_FILE = "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE; git ls-files -- . | head -c 1"
"""Prints something if git has files of the folder."""


def is_repository(folder: str) -> bool:
    """Whether a folder is the top of a git checkout, or a folder in it of which git has files: one that git does not
    know, as in a home under git, is in no worktree of it."""
    top = top_of(folder)
    if not top or top == os.path.realpath(folder):
        return bool(top)
    from parexec_tui.client.short_commands import CommandFailedError, output_of

    try:
        return bool(output_of(_FIRST_FILE, folder, 1))
    except CommandFailedError:
        return False


def _files(pattern: str, workdir: str) -> list[str]:
    """The files that a pattern matches, sorted, seen from the workdir; no folders.

    As in bash, `**` follows no links, and what is hidden has to be named.
    """
    names = [name for name in pattern.split("/") if name]
    if not names or pattern.endswith("/"):
        return []
    start = "/" if pattern.startswith("/") else ""
    try:
        files = sorted(set(_matches(workdir, start, names)))
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    for each in files:
        _check_text(each)
    return files


def _matches(workdir: str, at: str, names: Sequence[str]) -> Iterator[str]:
    """The files beneath a folder that these names lead to. `at`: how the folder is called, with its `/`."""
    first, rest = names[0], names[1:]
    if first == "**":
        folders = [at]
        while folders:
            at = folders.pop()
            yield from _matches(workdir, at, rest or ("*",))
            inner = [entry for entry in _entries(workdir, at) if entry.is_dir(follow_symlinks=False)]
            folders += [f"{at}{entry.name}/" for entry in inner if not entry.name.startswith(".")]
    elif not has_magic(first):
        if rest:
            yield from _matches(workdir, f"{at}{first}/", rest)
        elif _is(stat.S_ISREG, workdir, at + first):
            yield at + first
    else:
        fits = re.compile(translate(first)).match
        for entry in _entries(workdir, at):
            if not fits(entry.name) or (entry.name.startswith(".") and not first.startswith(".")):
                continue
            found = at + entry.name
            if not rest:
                if _is(stat.S_ISREG, workdir, found):
                    yield found
            elif _is(stat.S_ISDIR, workdir, found):
                yield from _matches(workdir, f"{found}/", rest)


def _entries(workdir: str, at: str) -> list[os.DirEntry[str]]:
    """What is in a folder; of one that is not there, nothing. Raises OSError if it cannot be read."""
    try:
        with os.scandir(os.path.join(workdir, at)) as found:  # noqa: PTH118
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is(kind: Any, workdir: str, name: str) -> bool:
    """Whether there is something of a kind, or a link to it. Raises OSError if that cannot be known."""
    try:
        return bool(kind(os.stat(os.path.join(workdir, name)).st_mode))  # noqa: PTH116, PTH118
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        if Path(workdir, name).is_symlink():
            return False  # in a circle, or to where nobody may look
        raise


def _check_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError(f"{os.fsencode(name)!r} is not UTF-8: rename the file") from None


# Commands and lists


def _lines(command: str, workdir: str) -> list[str]:
    from parexec_tui.client.short_commands import CommandFailedError, output_of

    try:
        printed = output_of(command, workdir, MOST_BYTES)
    except CommandFailedError as error:
        raise SourceError(str(error)) from error
    return [line for line in _text(printed, "the command printed").splitlines() if line.strip()]


def _listed(name: str, workdir: str) -> list[Any]:
    text = _text(read_regular(str(Path(workdir, name)), name), f"{name} has")
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise SourceError(f"{name} has no list: write [...]")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{what} what is not UTF-8 (byte {error.start})") from None
