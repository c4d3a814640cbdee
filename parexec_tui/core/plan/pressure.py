"""When a host counts as pressed, and how far the engine goes against it: the `[pressure]` of plans and of settings.

The steps of the ladder are taken one after another, and taken back one after another:

    warn     it is said
    hold     what would use more of it does not start
    fewer    fewer tickets run at once
    freeze   the youngest ticket of the lowest class is frozen, then the next one; for `io`, of those that use disks
    requeue  the one that was frozen is stopped, and waits again
"""

from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct, structs

from parexec_tui.core.plan.units import Duration, Size, format_size

Rung = Literal["warn", "hold", "fewer", "freeze", "requeue"]
RUNGS: Final[tuple[Rung, ...]] = ("warn", "hold", "fewer", "freeze", "requeue")

Pressed = Literal["memory", "disk", "io", "cpu"]
PRESSED: Final[tuple[Pressed, ...]] = ("memory", "disk", "io", "cpu")
"""What a host may be pressed for; what harms first goes first."""

_MEMORY_PART, _LEAST_MEMORY, _MOST_MEMORY = 16, 96 * 2**20, 4 * 2**30
"""Where nothing is said: this part of the memory, within these bytes. A VPS of 2 GB begins to thrash below about 100
MiB; of 512 GB nobody wants to keep 32, and 4 GiB is what fast processes take in the seconds between two steps."""

_CPU = 8.0
"""Load per CPU: each process gets an eighth of one. As many tickets as CPUs, of some threads each, stay below."""

_IO = 0.95
"""Share of ten seconds. A plan that reads and writes a lot always waits for that, so it is only said."""

_UP_TO: Final[dict[Pressed, Rung]] = {"memory": "requeue", "disk": "freeze", "io": "warn", "cpu": "fewer"}

_STEP_AFTER = 10.0

_CLEAR: Final[dict[Pressed, float]] = {"memory": 1.5, "disk": 1.25, "io": 0.6, "cpu": 0.75}
"""The multiple of the threshold at which it counts as clear: so it does not go to and fro."""

Share = Annotated[float, Meta(ge=0, le=1)]


class Pressure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `[pressure]` table."""

    memory: Annotated[
        Size | None,
        Meta(
            description="The host is pressed while less memory is available; 0: never; absent: a sixteenth of it, "
            "96MiB to 4GiB."
        ),
    ] = None
    memory_up_to: Annotated[Rung | None, Meta(description="The last step that is taken; absent: requeue.")] = None
    disk: Annotated[
        Size | None,
        Meta(description="The same of a disk of the session; absent: twice `min_free_disk` of [plan]."),
    ] = None
    disk_up_to: Annotated[Rung | None, Meta(description="The last step that is taken; absent: freeze.")] = None
    io: Annotated[
        Share | None,
        Meta(
            description="It is pressed while processes waited for disks in more than this share of the last 10 "
            "seconds, where the kernel tells (PSI); 0: never; absent: 0.95."
        ),
    ] = None
    io_up_to: Annotated[Rung | None, Meta(description="The last step that is taken; absent: warn.")] = None
    cpu: Annotated[
        Annotated[float, Meta(ge=0, le=10_000)] | None,
        Meta(description="It is pressed above this load per CPU (of one minute); 0: never; absent: 8."),
    ] = None
    cpu_up_to: Annotated[Rung | None, Meta(description="The last step that is taken; absent: fewer.")] = None
    step_after: Annotated[
        Duration | None,
        Meta(
            description="How long it is waited after a step, up or down, whether it helped; absent: 10 seconds; a "
            "quarter of that while less than half of the memory or disk is left that it counts as pressed below."
        ),
    ] = None

    def over(self, others: "Pressure") -> "Pressure":
        """This one, with the values of the others where it has none."""
        missing = {name: getattr(others, name) for name in self.__struct_fields__ if getattr(self, name) is None}
        return structs.replace(self, **missing)

    def up_to(self, resource: Pressed) -> Rung:
        """The last step that is taken."""
        rung: Rung | None = getattr(self, f"{resource}_up_to")
        return rung or _UP_TO[resource]

    @property
    def pause(self) -> float:
        """Seconds between two steps."""
        return _STEP_AFTER if self.step_after is None else self.step_after

    def threshold(self, resource: Pressed, *, memory: int, floor: int) -> float:
        """Where pressure begins; 0: it is not looked at. `memory`: bytes in all; `floor`: `min_free_disk`."""
        said: float | None = getattr(self, resource)
        if said is not None:
            return said
        match resource:
            case "memory":
                return min(max(memory // _MEMORY_PART, _LEAST_MEMORY), _MOST_MEMORY)
            case "disk":
                return 2 * floor
            case "io":
                return _IO
            case "cpu":
                return _CPU


class Reading(NamedTuple):
    """How the host stands with something that it may be pressed for."""

    resource: Pressed
    value: float
    """Bytes that are left, of memory and disk; else load per CPU, or a share of the time."""
    threshold: float
    amount: float = 0.0
    """Of memory: bytes that the plan gives itself, if less is left of them than of the host's; else 0."""

    @property
    def is_pressed(self) -> bool:
        """Whether a step has to be taken."""
        return self.value < self.threshold if self._is_rest else self.value > self.threshold

    @property
    def is_clear(self) -> bool:
        """Whether a step may be taken back. Between the two nothing is done."""
        return self.value >= self._clear if self._is_rest else self.value <= self._clear

    @property
    def is_urgent(self) -> bool:
        """Whether so little is left that steps have to follow faster."""
        return self._is_rest and self.value < self.threshold / 2

    @property
    def _is_rest(self) -> bool:
        return self.resource in ("memory", "disk")

    @property
    def _clear(self) -> float:
        return self.threshold * _CLEAR[self.resource]

    @property
    def text(self) -> str:
        """The figure and the threshold: `90MiB available, pressed below 128MiB`."""
        return f"{self._figure}, pressed {'below' if self._is_rest else 'above'} {self._written(self.threshold)}"

    @property
    def clear_text(self) -> str:
        """The same while steps are taken back: `300MiB available, clear from 192MiB on: one step back at a time`."""
        bound = "from {} on" if self._is_rest else "up to {}"
        return f"{self._figure}, clear {bound.format(self._written(self._clear))}: one step back at a time"

    @property
    def _figure(self) -> str:
        value = self._written(self.value)
        match self.resource:
            case "memory":
                return (
                    f"{value} of the plan's {format_size(self.amount)} left" if self.amount else f"{value} available"
                )
            case "disk":
                return f"{value} free"
            case "io":
                return f"processes waited for disks {value} of the time"
            case "cpu":
                return f"load {value} per CPU"

    def _written(self, value: float) -> str:
        if self._is_rest:
            return format_size(value)
        return f"{value:.0%}" if self.resource == "io" else f"{value:.3g}"
