"""The coding CLIs of this machine: which there are, how old they are, whether they have a sandbox, an account.

Each is asked itself, for a bounded time. Credentials are never read, and nothing is run that a plan brings along.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from parexec_tui.core.plan.coding import PROGRAMS, TESTED
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.requirements import parse_version, version_in

_WITHIN = 10.0
"""Seconds that each question may take."""


class Cli(NamedTuple):
    """One CLI, as agent types have it."""

    kind: str
    program: str
    types: tuple[str, ...] = ()
    """Agent types that run it; none: nobody asked for it."""
    wants_sandbox: bool = False
    has_env: bool = False
    """Whether the plan gives it variables, so that it may have another account, or be another program."""


class Looked(NamedTuple):
    """What is known of it."""

    cli: Cli
    path: str = ""
    """Empty: it is not there."""
    is_asked: bool = False
    """Whether it was run: only if it is what a person gets by its name."""
    version: str = ""
    """Empty: not known."""
    sandbox: "Sandbox | None" = None
    """None: nobody looked."""
    login: "Login | None" = None

    @property
    def is_older(self) -> bool:
        """Whether it is older than what was tested."""
        return bool(self.version) and parse_version(self.version)[:2] < _tested(self.cli.kind)

    @property
    def is_newer(self) -> bool:
        return bool(self.version) and parse_version(self.version)[:2] > _tested(self.cli.kind)


class Sandbox(NamedTuple):
    is_there: bool
    text: str
    remedy: str = ""


class Login(NamedTuple):
    is_in: bool | None
    """None: it cannot say it."""
    text: str
    remedy: str = ""


def clis_of(plan: Plan) -> list[Cli]:
    """The coding CLIs that a plan names, each once."""
    found: dict[tuple[str, str, bool], Cli] = {}
    for name, agent in plan.agents.items():
        if agent.kind is None or agent.kind not in PROGRAMS:
            continue
        program = agent.program or PROGRAMS[agent.kind]
        key = agent.kind, program, bool(agent.env or agent.env_file)
        before = found.get(key, Cli(agent.kind, program, has_env=key[2]))
        found[key] = before._replace(
            types=(*before.types, name), wants_sandbox=before.wants_sandbox or agent.permissions == "sandbox"
        )
    return list(found.values())


def clis_in_path() -> list[Cli]:
    """Those that a person could name in a plan."""
    return [Cli(kind, program) for kind, program in PROGRAMS.items() if shutil.which(program)]


def look_at(clis: list[Cli], *, wants_login: bool) -> Iterator[Looked]:
    """What is known of each, in their order; all are asked at the same time."""
    if clis:
        with ThreadPoolExecutor(len(clis)) as threads:
            yield from threads.map(lambda cli: _look(cli, wants_login=wants_login), clis)


def _look(cli: Cli, *, wants_login: bool) -> Looked:
    path = shutil.which(cli.program)
    if path is None:
        return Looked(cli)
    if "/" in cli.program or not os.path.isabs(path):  # noqa: PTH117
        return Looked(cli, path)
    said = _ask(path, "--version")
    found = Looked(cli, path, True, version_in(said.out) if said else "")
    if cli.wants_sandbox or wants_login:
        found = found._replace(sandbox=sandbox_of(cli.kind, path))
    if wants_login and not cli.has_env:
        found = found._replace(login=login_of(cli.kind, path, os.environ))
    return found


def _tested(kind: str) -> tuple[int, ...]:
    return parse_version(TESTED[kind])[:2]


# -- sandboxes


def sandbox_of(kind: str, path: str) -> Sandbox | None:
    """Whether a CLI has its sandbox on this machine; None: there is none of its own."""
    match kind:
        case "claude":
            return _of_claude()
        case "codex":
            said = _ask(path, "sandbox", "--", "true")
            if said is not None and said.code == 0:
                return Sandbox(True, "its own works")
            why = said.last_line if said else "it does not answer"
            return Sandbox(
                False, f"`codex sandbox -- true` fails: {why}", "let it use Landlock, or install bubblewrap"
            )
        case "gemini":
            return _of_gemini()
        case _:
            return None


def _of_claude() -> Sandbox:
    if sys.platform == "darwin":
        return Sandbox(True, "that of the system")
    missing = [name for name in ("bwrap", "socat") if not shutil.which(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return Sandbox(
            False, f"{' and '.join(missing)} {verb} not there", "install the packages bubblewrap and socat"
        )
    said = _ask("bwrap", "--ro-bind", "/", "/", "--unshare-net", "--dev", "/dev", "true")
    if said is None or said.code:
        why = said.last_line if said else "no answer"
        return Sandbox(False, f"bwrap can make none here: {why}", "allow user namespaces")
    return Sandbox(True, "bwrap works, and socat is there")


def _of_gemini() -> Sandbox:
    for name in ("docker", "podman"):
        if shutil.which(name) and (said := _ask(name, "info")) is not None and said.code == 0:
            return Sandbox(True, f"{name} works")
    if sys.platform == "darwin":
        return Sandbox(True, "that of the system")
    return Sandbox(False, "neither docker nor podman works", "install one, and start it")


# -- accounts


def login_of(kind: str, path: str, environment: Mapping[str, str]) -> Login:
    """Whether it has an account, by its own word."""
    match kind:
        case "claude":
            return _claude_login(path)
        case "codex":
            said = _ask(path, "login", "status")
            word = said.last_line if said else ""
            if said is not None and said.code == 0:
                return Login(True, word or "logged in")
            if environment.get("CODEX_API_KEY"):
                return Login(True, "CODEX_API_KEY is set")
            return Login(False, word or "it does not say whether it is logged in", "codex login")
        case "opencode":
            said = _ask(path, "auth", "list")
            counts = [line for line in said.out.splitlines() if line.rstrip().endswith(_OF_OPENCODE)] if said else []
            if any(line.split()[1:2] != ["0"] for line in counts):
                return Login(True, "it has credentials")
            return Login(False, "it has no credentials", "opencode auth login") if counts else _UNKNOWN
        case _:
            return _UNKNOWN


_UNKNOWN = Login(None, "it has no command that says whether it is logged in")

_OF_OPENCODE = ("credential", "credentials", "environment variable", "environment variables")


def _claude_login(path: str) -> Login:
    said = _ask(path, "auth", "status")
    try:
        told = json.loads(said.out) if said else None
    except ValueError:
        told = None
    match told:
        case {"loggedIn": True, "authMethod": method}:
            return Login(True, f"logged in ({method})")
        case {"loggedIn": False}:
            return Login(False, "not logged in", "claude auth login, or set ANTHROPIC_API_KEY")
        case _:
            return Login(None, "`claude auth status` does not say whether it is logged in")


# -- questions


class _Said(NamedTuple):
    code: int
    out: str
    errors: str

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in f"{self.errors}\n{self.out}".splitlines() if line.strip()]
        return lines[-1][:200] if lines else f"exit code {self.code}"


def _ask(*words: str) -> _Said | None:
    """What a program says; None: it cannot be run, or does not answer in time."""
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "NO_COLOR": "1", "DISABLE_AUTOUPDATER": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        )
    except OSError:
        return None
    try:
        out, errors = process.communicate(timeout=_WITHIN)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return None
    return _Said(process.returncode, out, errors)
