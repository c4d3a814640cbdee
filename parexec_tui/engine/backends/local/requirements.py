"""Whether what is required for a ticket is on this machine: commands, files, environment variables."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from threading import Lock
from typing import Literal, NamedTuple

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.requirements import Requirements, parse_command, parse_version, version_in
from parexec_tui.engine.backends.local.files import files_of

VERSION_WITHIN = 5.0
"""Seconds that a command may take to say its version."""

_MAX_PRINTED = 64 * 1024
"""Bytes of what it prints that are read."""

_Kind = Literal["commands", "files", "env"]


class Unmet(NamedTuple):
    """One thing that is required and is not so."""

    kind: _Kind
    text: str
    """As it is written in the plan."""
    problem: str
    remedy: str


class UnmetError(OSError):
    """What is required for a process is not there, so it must not be started."""

    def __init__(self, unmet: list[Unmet]) -> None:
        super().__init__("; ".join(each.problem for each in unmet))


class Version(NamedTuple):
    """What a command said about itself."""

    number: str
    """Empty if it cannot be known."""
    problem: str = ""
    at: float = 0.0
    """When it was asked, by the clock that does not jump."""


class _Program(NamedTuple):
    """A program and what its answer may depend on: where one of these is another, it is asked anew."""

    path: str
    device: int
    inode: int
    changed: int
    cwd: str
    env: frozenset[tuple[str, str]]
    """What its environment has more than ours, or with other values."""


class RequirementLooker:
    """Looks for what is required. A command is asked for its version until it has told it. Threads may share it."""

    def __init__(self, *, only_ours: bool = False) -> None:
        """`only_ours`: nothing is run that a plan brings along; the version of such a command counts as enough."""
        self._only_ours = only_ours
        self._versions: dict[_Program, Version] = {}
        self._locks: dict[_Program, Lock] = {}
        self._lock = Lock()
        self._env = dict(os.environ)

    def unmet(self, wanted: Requirements, *, env: Mapping[str, str], cwd: str, root: str) -> Iterator[Unmet]:
        """What is not so. `env`: all variables of the process. `cwd`, `root`: where commands, files are seen from."""
        for text in dict.fromkeys(wanted.commands):
            if (problem := self._command_problem(text, env, cwd)) is not None:
                yield Unmet("commands", text, *problem)
        for text in dict.fromkeys(wanted.files):
            if not _is_there(text, root):
                yield Unmet("files", text, f"required file {text} does not exist", f"it is looked for in {root}")
        for text in dict.fromkeys(wanted.env):
            if not env.get(text):
                is_or = "is empty" if text in env else "is not set"
                yield Unmet(
                    "env",
                    text,
                    f"required variable {text} {is_or}",
                    f"export {text} before parexec is started, or set it in `env`",
                )

    def _command_problem(self, text: str, env: Mapping[str, str], cwd: str) -> tuple[str, str] | None:
        """What is wrong with a command, and what to do."""
        command = parse_command(text)
        name, has_path = command.name, "/" in command.name
        path = self._which(name, cwd, env)
        if path is None:
            where = f"it is looked for in {cwd}" if has_path else "install it, or put its folder on PATH"
            return f"required command {name} is not found", where
        if not command.least:
            return None
        if self._only_ours and not self._is_ours(name, path, env):
            return None
        path = os.path.join(cwd, path)  # noqa: PTH118 - PATH may have relative folders
        version = self._version(path, env, cwd)
        if version.problem:
            return f"{text} is required, and the version of {path} is not known: {version.problem}", (
                f"look at `{name} --version`"
            )
        if parse_version(version.number) < command.least:
            return f"{text} is required, and {path} is {version.number}", (
                "install a newer one, or put its folder first on PATH"
            )
        return None

    def _which(self, name: str, cwd: str, env: Mapping[str, str]) -> str | None:
        """Where a command is; None: nowhere."""
        seen = os.path.join(cwd, name) if "/" in name else name  # noqa: PTH118
        return shutil.which(seen, path=env.get("PATH", os.defpath))

    def _is_ours(self, name: str, path: str, env: Mapping[str, str]) -> bool:
        """Whether a person gets the same program, and runs it in the same way, by its name alone."""
        is_found = "/" not in name and shutil.which(name, path=self._env.get("PATH", os.defpath)) == path
        return is_found and os.path.isabs(path) and not self._added(env)  # noqa: PTH117

    def _added(self, env: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """The variables that are not ours, but for those that tell one attempt from another and nothing else."""
        own = self._env
        return frozenset(
            (name, value)
            for name, value in env.items()
            if own.get(name) != value and not name.startswith("PAREXEC_") and name != "PWD"
        )

    def _version(self, path: str, env: Mapping[str, str], cwd: str) -> Version:
        try:
            found = os.stat(path)  # noqa: PTH116
        except OSError as error:
            return Version("", str(error.strerror))
        program = _Program(path, found.st_dev, found.st_ino, found.st_mtime_ns, cwd, self._added(env))
        wanted_since = time.monotonic()
        with self._lock:
            lock = self._locks.setdefault(program, Lock())
        with lock:  # the others wait for what the first one learns
            known = self._versions.get(program)
            if known is None or (known.problem and known.at < wanted_since):
                known = self._versions[program] = _ask(path, env, cwd)._replace(at=time.monotonic())
            return known


def _ask(path: str, env: Mapping[str, str], cwd: str) -> Version:
    """Let a command say its version, for a bounded time."""
    try:
        process = subprocess.Popen(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd if os.path.isdir(cwd) else "/",  # noqa: PTH112
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Version("", f"it cannot be run: {getattr(error, 'strerror', None) or error}")
    assert process.stdout is not None
    with process:
        printed, has_said_all = _read(process.stdout.fileno())
        with suppress(ProcessLookupError):  # before anybody waits for it: its group cannot be another one yet
            os.killpg(process.pid, signal.SIGKILL)
    if number := version_in(printed.decode(errors="replace")):
        return Version(number)
    slow = f"it does not answer `--version` within {VERSION_WITHIN:g}s"
    return Version("", "it tells no number with `--version`" if has_said_all else slow)


def _read(fd: int) -> tuple[bytes, bool]:
    """What is printed there within the time, not more than is wanted; and whether that was all."""
    until = time.monotonic() + VERSION_WITHIN
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    printed = b""
    while len(printed) < _MAX_PRINTED and (left := until - time.monotonic()) > 0:
        if waiting.poll(left * 1000):
            if not (more := os.read(fd, _MAX_PRINTED)):
                return printed, True
            printed += more
    return printed, len(printed) >= _MAX_PRINTED


def _is_there(text: str, root: str) -> bool:
    """Whether a path exists, or something that matches a pattern."""
    pattern = parse_pattern(text, root)
    if pattern.plain:
        return os.path.exists(pattern.head.rstrip("/") or "/")  # noqa: PTH110
    return next(files_of(pattern), None) is not None
