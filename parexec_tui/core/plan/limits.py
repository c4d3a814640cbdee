"""What the processes of an attempt may use at most, all together: `limits` of a ticket or an agent type."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, structs

from parexec_tui.core.plan.units import Size, format_size

MIN_MEMORY: Final = 4 * 2**20
"""Bytes: with less, not even the shell of an attempt can run."""

MIN_CPU: Final = 0.01
"""The smallest share of a CPU that Linux can give out."""

MIN_FILES: Final = 16
"""Open files: with fewer, not even the shell of an attempt can run."""

MOST: Final = 1_000_000
"""The highest number of CPUs, processes and open files that a plan may name."""

KEPT_ON_HOSTS: Final = ("memory", "open_files", "nice")
"""Of the limits, those that other machines keep."""


_Cpu = Annotated[float, Meta(ge=MIN_CPU, le=MOST)]
_Processes = Annotated[int, Meta(ge=1, le=MOST)]
_Files = Annotated[int, Meta(ge=MIN_FILES, le=MOST)]
_Nice = Annotated[int, Meta(ge=-20, le=19)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the processes of an attempt may use at most; what is not named is not limited."""

    memory: Annotated[
        Size | None, Meta(description="The most memory of its processes together, swap included; at least 4MiB.")
    ] = None
    cpu: Annotated[_Cpu | None, Meta(description="How many CPUs its processes may keep busy together.")] = None
    processes: Annotated[
        _Processes | None, Meta(description="How many processes and threads there may be at once.")
    ] = None
    open_files: Annotated[_Files | None, Meta(description="How many files each of its processes may have open.")] = (
        None
    )
    nice: Annotated[_Nice | None, Meta(description="Niceness: higher leaves more CPU to others.")] = None
    io: Annotated[
        Literal["idle", "low", "normal"] | None,
        Meta(description="How it gets to disks: `idle` only when nobody else wants them, `low` after others."),
    ] = None

    def over(self, other: "Limits | None") -> "Limits":
        """These, and of the other those that are not named here."""
        return self if other is None else structs.replace(other, **_named(self))

    def names(self, name: str) -> bool:
        """Whether there is a limit of this name."""
        return getattr(self, name) is not None

    def __str__(self) -> str:
        return ", ".join(f"{name} {_shown(value)}" for name, value in _named(self).items())


def _named(limits: Limits) -> dict[str, float | str]:
    return {name: value for name, value in structs.asdict(limits).items() if value is not None}


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return format_size(value) if isinstance(value, Size) else f"{value:g}"
