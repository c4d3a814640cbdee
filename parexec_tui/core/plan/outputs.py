"""The outputs of a ticket: patterns of what it must have written when its command is over."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from parexec_tui.core.plan.patterns import Pattern


class Output(NamedTuple):
    """One entry of `outputs`."""

    pattern: "Pattern"
    is_optional: bool
    """Whether it may be missing or empty: it is claimed all the same."""


class Writes(Protocol):
    """What says what it writes, such as a ticket."""

    @property
    def writes(self) -> tuple[str, ...]: ...

    @property
    def outputs(self) -> tuple[str, ...]: ...


def all_writes(ticket: Writes) -> tuple[str, ...]:
    """The patterns of all that a ticket writes: its `writes`, and its outputs."""
    return (*ticket.writes, *map(pattern_of, ticket.outputs)) if ticket.outputs else ticket.writes


def pattern_of(written: str) -> str:
    """The pattern of an output, without the mark of one that may be missing."""
    return written.removesuffix("?")


def parse_output(written: str, root: str) -> Output:
    """Read an entry of `outputs`; a `?` at the end means that it may be missing. Raises ValueError."""
    from parexec_tui.core.plan.patterns import parse_pattern  # clients read the model, and no pattern

    return Output(parse_pattern(pattern_of(written), root), written.endswith("?"))
