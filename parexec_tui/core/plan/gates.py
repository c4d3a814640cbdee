"""Gates: commands that a ticket must pass after its own command, before it counts as succeeded."""

from typing import Annotated

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Duration

MAX_ALTERNATIVES = 20
"""Most gates in an `any`."""

MAX_GATE_RETRIES = 1_000
"""Most retries of a gate."""


class GateCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A command that has to succeed."""

    name: Annotated[str, Meta(description="What the gate is called; absent: by its command.")] = ""
    run: Annotated[str, Meta(description="A shell command; the gate holds if it succeeds.")] = ""
    timeout: Annotated[
        Duration | None, Meta(description="How long the command may take; absent: as long as it takes.")
    ] = None
    cwd: Annotated[
        str | None, Meta(description="The folder it runs in, seen from the workdir; absent: that of the ticket.")
    ] = None
    retries: Annotated[
        int, Meta(ge=0, le=MAX_GATE_RETRIES, description="How often the command is tried again if it fails.")
    ] = 0

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or " ".join(self.run.split())


class Gate(GateCommand, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One gate: a command, or several of which one has to pass."""

    any: Annotated[
        tuple[str | GateCommand, ...],
        Meta(
            min_length=1,
            description="Instead of `run`: commands that are tried in this order until one succeeds.",
        ),
    ] = ()

    @property
    def alternatives(self) -> tuple[GateCommand, ...]:
        """The commands of which one has to succeed: those of `any`, else only its own."""
        return tuple(map(as_command, self.any)) if self.any else (self,)


Gates = tuple[str | Gate, ...] | Gate
"""How gates are written: a list of commands and tables, or one table."""


class Group(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is said of a group of tickets."""

    gates: Annotated[
        Gates,
        Meta(
            description="Commands that must succeed when all tickets of the group have, before what needs one of "
            "them starts."
        ),
    ] = ()


def as_command(written: str | GateCommand) -> GateCommand:
    """A command of an `any`, which may be written without a table."""
    return GateCommand(run=written) if isinstance(written, str) else written


def as_gate(written: str | Gate) -> Gate:
    """A gate of a list, which may be written as a command alone."""
    return Gate(run=written) if isinstance(written, str) else written


def listed(written: Gates) -> tuple[Gate, ...]:
    """The gates in order, however they were written."""
    return (written,) if isinstance(written, Gate) else tuple(map(as_gate, written))


_SIGN = "@"
"""What the ids of gate tickets begin with; those of a plan file cannot."""

PLAN_GATES = "@plan"
"""The ticket of the gates of the plan."""


def is_gate_ticket(id_: str) -> bool:
    """Whether a ticket stands for the gates of a group or of the plan. See `group_gates`."""
    return id_.startswith(_SIGN)


def gates_of_group(name: str) -> str:
    """The id of the ticket that stands for the gates of a group, which is named or numbered."""
    return f"{_SIGN}{name}"


def group_of(id_: str) -> str:
    """The name or number of the group whose gates a gate ticket stands for."""
    return id_.removeprefix(_SIGN)


def described(id_: str) -> str:
    """Whose gates a gate ticket stands for, in words: `group build`, `group 3`, `the plan`."""
    return "the plan" if id_ == PLAN_GATES else f"group {group_of(id_)}"


def is_number(name: str) -> bool:
    """Whether the name of a group is the number of a dependency group."""
    return name.isdecimal()
