"""Gates: commands that a ticket must pass after its own command, before it counts as succeeded."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Duration

MAX_ALTERNATIVES = 20
"""Most gates in an `any`."""

MAX_GATE_RETRIES = 1_000
"""Most retries of a gate."""


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One gate: a command, or several of which one has to pass."""

    name: Annotated[str, Meta(description="What the gate is called; absent: by its command.")] = ""
    run: Annotated[str, Meta(description="A shell command; the gate holds if it succeeds.")] = ""
    any: Annotated[
        tuple["str | Gate", ...],
        Meta(description="Instead of `run`: gates that are tried in this order until one holds."),
    ] = ()
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

    @property
    def alternatives(self) -> tuple["Gate", ...]:
        """The gates of which one has to hold: those of `any`, else only this one."""
        return tuple(map(as_gate, self.any)) if self.any else (self,)


Gates = tuple[str | Gate, ...] | Gate
"""How gates are written: a list of commands and tables, or one table."""


def as_gate(written: str | Gate) -> Gate:
    """A gate of a list, which may be written as a command alone."""
    return Gate(run=written) if isinstance(written, str) else written


def listed(written: Gates) -> tuple[Gate, ...]:
    """The gates in order, however they were written."""
    return (written,) if isinstance(written, Gate) else tuple(map(as_gate, written))


def commands(gates: Sequence[Gate]) -> Iterator[Gate]:
    """Every gate that has a command, the alternatives one by one."""
    for gate in gates:
        yield from gate.alternatives
