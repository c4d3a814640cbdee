"""The values of secrets: in the memory of the engine, and of the processes that are given them, and nowhere else."""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from stat import S_ISFIFO

import trio
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.secrets import FROM_ENVIRONMENT, SecretSource, wanted_secrets
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import SecretsFound
from parexec_tui.engine.env_files import EnvFileError, read_env_files
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.masker import LEAST, forms_of, masked

_WITHIN = 60.0
"""Seconds that a command may take to print a secret."""

_MAX_SIZE = 32 * 1024
"""Bytes that a secret may have."""


class NoSecretError(ValueError):
    """The value of a secret is not known; the text says why, and what to do, and nothing of the value."""


class Secrets:
    """Those of one session."""

    def __init__(self, environment: Mapping[str, str], *, are_wanted: bool = False) -> None:
        """`environment`: of who started the engine. `are_wanted`: whether the plan names any."""
        self._are_wanted, self._were_looked_for = are_wanted, False
        self._environment = environment
        self._values: dict[str, str] = {}
        self._unknown: dict[str, str] = {}
        self._forms: tuple[bytes, ...] = ()

    def look(self, plan: Plan) -> SecretsFound:
        """Look for what the plan names and is not known yet. Reads files and runs commands, so it may take a minute
        for each."""
        wanted = wanted_secrets(plan)
        for name in wanted:
            if name not in self._values:
                try:
                    self._values[name] = value_of(name, plan, self._environment)
                except NoSecretError as error:
                    self._unknown[name] = str(error)
                else:
                    self._unknown.pop(name, None)
        self._forms = forms_of(map(os.fsencode, self._values.values()))
        self._are_wanted, self._were_looked_for = bool(wanted), True
        unknown = {name: self._unknown[name] for name in wanted if name in self._unknown}
        return SecretsFound(unknown, tuple(name for name in wanted if name not in unknown))

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """The values of these secrets. Raises NoSecretError."""
        given: dict[str, str] = {}
        for name in names:
            if name not in self._values:
                raise NoSecretError(f"secret {name} is not known: {self._unknown.get(name, 'it was not looked for')}")
            given[name] = self._values[name]
        return given

    def mask(self, text: str) -> str:
        """A text of a process that may have been given secrets, as it may be kept."""
        if not self._are_wanted:
            return text
        if self._unknown or not self._were_looked_for:  # an engine before this one knew what this one cannot mask
            return text.split(maxsplit=1)[0] if text.strip() else ""
        return masked(text, self._forms)


def value_of(name: str, plan: Plan, environment: Mapping[str, str]) -> str:
    """The value of a secret. Raises NoSecretError."""
    source = plan.secrets.get(name, FROM_ENVIRONMENT)
    if source.file:
        value = _in_file(source.file)
    elif source.env_file:
        value = _in_env_file(name, source.env_file)
    elif source.command:
        value = _printed(source.command, plan)
    else:
        value = _in_environment(source.env or name, environment)
    if problem := _unfit(value):
        raise NoSecretError(f"{_where(name, source)} {problem}")
    return value


def unknown_secrets(plan: Plan, *, runs: bool) -> Iterator[Fault]:
    """The secrets that the plan names and that cannot be had now, at the first place where each is named.

    `runs`: the commands that print some are run; each may take a minute. Otherwise nothing is said of these.
    """
    tables: tuple[tuple[str, Mapping[str, AgentType | Service | Ticket]], ...] = (
        ("agents", plan.agents),
        ("services", plan.services),
        ("tickets", plan.tickets),
    )
    told: set[str] = set()
    for table, sources in tables:
        for id_, source in sources.items():
            for index, name in enumerate(source.secrets):
                if name in told or (plan.secrets.get(name, FROM_ENVIRONMENT).command and not runs):
                    continue
                told.add(name)
                try:
                    value_of(name, plan, os.environ)
                except NoSecretError as error:
                    yield Fault((table, id_, "secrets", index), f"secret {name} is not known: {error}")


def hidden_variables(plan: Plan) -> frozenset[str]:
    """The variables of the environment that secrets come from: what is not given them does not inherit them."""
    names = wanted_secrets(plan) | dict.fromkeys(plan.secrets)
    sources = {name: plan.secrets.get(name, FROM_ENVIRONMENT) for name in names}
    return frozenset(source.env or name for name, source in sources.items() if source.kinds in ((), ("env",)))


def _where(name: str, source: SecretSource) -> str:
    if source.file or source.env_file:
        return f"what stands in {source.file or source.env_file}"
    return "what its command prints" if source.command else f"variable {source.env or name}"


def _unfit(value: str) -> str:
    data = os.fsencode(value)
    if not data.strip():
        return "is empty"
    if b"\0" in data:
        return "has a NUL character, which no variable can have"
    if len(data) > _MAX_SIZE:
        return f"has more than {_MAX_SIZE // 1024} KiB"
    if len(data.strip()) < LEAST:
        return f"has fewer than {LEAST} bytes: that cannot be masked, so take a longer one"
    return ""


def _in_environment(variable: str, environment: Mapping[str, str]) -> str:
    if variable not in environment:
        raise NoSecretError(f"variable {variable} is not set; set it where parexec is started, or resume with it set")
    return environment[variable]


def _in_file(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:  # noqa: PTH123 - of a descriptor
            if S_ISFIFO(os.fstat(fd).st_mode):
                raise NoSecretError(f'{path} is a pipe, which would be read once: write {{ command = "cat {path}" }}')
            return os.fsdecode(file.read(_MAX_SIZE + 2)).rstrip("\r\n")
    except OSError as error:
        raise NoSecretError(f"{path} cannot be read: {error.strerror}; then resume") from None


def _in_env_file(name: str, path: str) -> str:
    try:
        found = read_env_files([path])
    except EnvFileError as error:
        raise NoSecretError(f"{error}; then resume") from None
    if name not in found:
        raise NoSecretError(f"{path} has no line {name}=...; write it, then resume")
    return found[name]


def _printed(command: str, plan: Plan) -> str:
    folder = plan.workdir if Path(plan.workdir).is_dir() else "/"
    try:
        process = subprocess.Popen(
            (*plan.settings.shell, command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may tell the secret
            start_new_session=True,
        )
    except OSError as error:
        raise NoSecretError(f"its command cannot be run: {error.strerror}") from None
    try:
        printed, _ = process.communicate(timeout=_WITHIN)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        process.communicate()
        raise NoSecretError(f"its command took longer than {_WITHIN:g}s; resume when it can answer") from None
    if process.returncode:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise NoSecretError(f"its command failed ({how}); run it by hand to see why, then resume")
    return os.fsdecode(printed).rstrip("\r\n")


class SecretWatch:
    """Looks for the secrets of a session when its engine begins, and again when its plan was changed."""

    def __init__(
        self, secrets: Secrets, state: SessionState, submit: Callable[[Sequence[SecretsFound]], None]
    ) -> None:
        self._secrets = secrets
        self._state = state
        self._submit = submit
        self._wake = trio.Event()

    def tell(self, _: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Hear what happened."""
        if any(isinstance(event, ev.PlanAmended) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Look until cancelled; in a session without secrets, that costs nothing."""
        while True:
            self._wake = trio.Event()
            if self._state.has_secrets:
                plan = structs.replace(self._state.plan, tickets=dict(self._state.plan.tickets))
                with suppress(OSError):  # no thread can be had
                    self._submit([await in_thread(self._secrets.look, plan, may_hang=True)])
            await self._wake.wait()
