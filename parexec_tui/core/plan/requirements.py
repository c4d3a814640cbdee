"""What must be there before a ticket starts: commands, some in a minimal version, files, environment variables."""

import re
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple, Protocol

from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown

_COMMAND = re.compile(r"\s*(?P<name>[^\s<>=!~]+)\s*(?:>=\s*(?P<version>[0-9]+(?:\.[0-9]+)*)\s*)?").fullmatch
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)+|[0-9]+")

Version = tuple[int, ...]


class Requires(Protocol):
    """What may say that it requires something: a plan, an agent type, a ticket."""

    @property
    def requires_commands(self) -> tuple[str, ...]: ...

    @property
    def requires_files(self) -> tuple[str, ...]: ...

    @property
    def requires_env(self) -> tuple[str, ...]: ...


class Requirements(Struct, frozen=True, gc=False, omit_defaults=True):
    """All that is required for something, as it is written in a plan."""

    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()

    @classmethod
    def of(cls, *sources: Requires) -> "Requirements | None":
        """What these require together; None if that is nothing."""
        commands: tuple[str, ...] = ()
        files: tuple[str, ...] = ()
        env: tuple[str, ...] = ()
        for source in sources:
            commands += source.requires_commands
            files += source.requires_files
            env += source.requires_env
        return cls(commands, files, env) if commands or files or env else None


def requires_something(plan: Plan) -> bool:
    """Whether anything of a plan requires something."""
    sources: Iterable[Requires] = chain([plan.settings], plan.agents.values(), plan.tickets.values())
    if any(each.requires_commands or each.requires_files or each.requires_env for each in sources):
        return True
    files: Iterable[AgentType | Service | Ticket] = chain(
        plan.agents.values(), plan.services.values(), plan.tickets.values()
    )
    if any(each.env_file for each in files):
        return True
    return any(each.isolation == "worktree" for each in plan.agents.values())


class Command(NamedTuple):
    """One entry of `requires_commands`."""

    name: str
    """Looked for on PATH, or a path if it has a slash."""
    least: Version
    """The lowest version that will do; empty: any."""


def parse_command(written: str) -> Command:
    """Read an entry of `requires_commands`: `git`, or `git >= 2.38`. Raises ValueError."""
    found = _COMMAND(written)
    if found is None or "\0" in written:
        raise ValueError(f"{shown(written)} is not a command with a minimal version")
    return Command(found["name"], parse_version(found["version"]) if found["version"] else ())


def parse_version(text: str) -> Version:
    """`2.38` as numbers that compare as versions do: `2.38.0` is the same version."""
    numbers = [int(number) for number in text.split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def version_in(text: str) -> str:
    """The version in what a command prints about itself: the first dotted number, else the first number; or none."""
    numbers: list[str] = _NUMBER.findall(text)
    return next((number for number in numbers if "." in number), numbers[0] if numbers else "")
