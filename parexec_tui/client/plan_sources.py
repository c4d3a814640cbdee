"""Reads what the families of a plan are made of: the names of files, the lines of a command, lists in files.

They are read when the plan is: what a session runs does not change with them.
"""

import glob
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from parexec_tui.core.plan.expanding.axes import Source, SourceError

_MOST_SECONDS = 60
"""How long a command may take that tells the values of a family."""

_MOST_BYTES = 64 * 1024 * 1024
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


def top_of(folder: str) -> str:
    """The folder of the git checkout that a folder is in; empty if it is in none. Reads no more than names."""
    here = Path(os.path.realpath(folder))
    for each in (here, *here.parents):
        if (each / ".git").exists():
            return str(each)
    return ""


def is_repository(folder: str) -> bool:
    """Whether a folder is in a git checkout."""
    return bool(top_of(folder))


def _files(pattern: str, workdir: str) -> list[str]:
    """The files that a pattern matches, sorted, seen from the workdir; no folders."""
    found = glob.glob(pattern, root_dir=workdir, recursive=True)  # noqa: PTH207 - a Path has no root_dir
    files = sorted(each for each in found if Path(workdir, each).is_file())
    for each in files:
        _check_text(each)
    return files


def _check_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError(f"{os.fsencode(name)!r} is not UTF-8: rename the file") from None


def _lines(command: str, workdir: str) -> list[str]:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(
            f"the command took more than {_MOST_SECONDS} s: let it write a file, and read that"
        ) from None
    except OSError as error:
        raise SourceError(f"the command cannot be run in {workdir}: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SourceError(f"the command failed with exit {done.returncode}{': ' + said[-1] if said else ''}")
    return [line for line in _text(done.stdout, "the command printed").splitlines() if line.strip()]


def _listed(name: str, workdir: str) -> list[Any]:
    file = Path(workdir, name)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SourceError(f"{name} has more than {_MOST_BYTES >> 20} MiB")
        found = json.loads(_text(file.read_bytes(), f"{name} has"))
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise SourceError(f"{name} has no list: write [...]")
    return found


def _text(data: bytes, what: str) -> str:
    if len(data) > _MOST_BYTES:
        raise SourceError(f"{what} more than {_MOST_BYTES >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(f"{what} what is not UTF-8 (byte {error.start})") from None
