"""The plan: tickets, what they need and claim, and the agents that run them.

These types are the model of the plan file, its JSON Schema, and what the engine runs. They hold values that
were checked by `plan_file`; nothing else makes a `Plan`.
"""

from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from parexec_tui.core.units import Duration, Size

SHELL_COMMAND = ("/bin/sh", "-c", "{run}")
"""What an agent type runs unless it says otherwise."""

PLACEHOLDERS = ("run", "prompt", "ticket", "attempt", "workdir")
"""Names that are filled in where they stand in braces in an agent type's command."""

ID_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}"
"""Ids of tickets and names of agent types, locks and resources: they go into paths, so they are plain."""

HOST_RESOURCES = ("cpu", "memory")
"""Keys of `uses` that are counted against the host when `[resources]` does not name them."""


class Priority(Enum):
    """The class of a ticket; a lower value goes first."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"

    @property
    def rank(self) -> int:
        return _RANK[self.value]


_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3}

Count = Annotated[int, Meta(ge=0)]


class Amounts(dict[str, float]):
    """Amounts by resource name; `memory` is in bytes."""

    @classmethod
    def parse(cls, value: object) -> "Amounts":
        """Read a table of amounts. `memory` is a size, `cpu` may be a fraction, the rest are whole numbers.

        Raises ValueError naming the key that is wrong.
        """
        if not isinstance(value, dict):
            raise ValueError("expected a table of amounts, for instance { cpu = 1, memory = \"512MiB\" }")
        amounts = cls()
        for name, amount in value.items():
            if name == "memory":
                amounts[name] = Size.parse(amount)
            elif isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
                raise ValueError(f"{name} = {amount!r} is not an amount: write a number that is not negative")
            elif name != "cpu" and amount != int(amount):
                raise ValueError(f"{name} = {amount} is not a whole number: only cpu may be a fraction")
            else:
                amounts[name] = amount
        return amounts


class Ticket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One unit of work. Its id is its key in `Plan.tickets`."""

    title: str = ""
    run: str = ""
    """A shell command: what `{run}` stands for."""
    prompt: str = ""
    """Text for an agent that reads prose: what `{prompt}` stands for."""
    needs: tuple[str, ...] = ()
    priority: Priority = Priority.medium
    agent: str | None = None
    requires: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    uses: Amounts = field(default_factory=Amounts)
    estimate: Duration | None = None
    timeout: Duration | None = None
    retries: Count = 0
    retry_delay: Duration = Duration(10)
    """The pause before the first retry; it doubles each time, with jitter."""
    grace: Duration = Duration(10)
    """How long a ticket that is stopped has between TERM and KILL."""
    env: dict[str, str] = {}
    cwd: str | None = None


class AgentType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kind of agent: how many there may be, what they can do, and how they run a ticket."""

    min: Count = 0
    max: Annotated[int, Meta(ge=1)] | None = None
    """Most agents of this type at once; None: as many as the plan runs in parallel."""
    can: tuple[str, ...] = ()
    command: Annotated[tuple[str, ...], Meta(min_length=1)] = SHELL_COMMAND
    env: dict[str, str] = {}
    cwd: str | None = None
    nice: Annotated[int, Meta(ge=-20, le=19)] = 0


class PlanSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `[plan]` table: what holds for the plan as a whole."""

    name: str = ""
    parallel: Annotated[int, Meta(ge=1)] | None = None
    """Most tickets at once; None: the number of CPUs of the host."""
    on_failure: Literal["continue", "hold", "stop"] = "continue"
    barrier: bool = False
    """True: a dependency group starts only when the one before it is accounted for."""
    workdir: str = "."


class Plan(Struct, frozen=True, kw_only=True):
    """A plan that was checked: needs exist and have no cycle, demands can be met, `[defaults]` are merged in."""

    settings: PlanSettings
    tickets: dict[str, Ticket]
    agents: dict[str, AgentType]
    """Never empty: a plan that names no agent type gets one called `agent`."""
    resources: Amounts = field(default_factory=Amounts)
    """What there is of each counted resource. `cpu` and `memory` are the host's unless given here."""
    workdir: str
    """Absolute: `settings.workdir` seen from the folder of the plan file."""
    source: str = ""
    """Where the plan came from, as a path for messages."""
