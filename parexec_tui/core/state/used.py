"""What processes used until they ended."""

from typing import Any

from msgspec import Struct, structs


class Used(Struct, frozen=True, gc=False, omit_defaults=True):
    """What all processes of a step or an attempt used, as the fields of the same names of `AttemptEnded`. 0: it is
    not known."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    peak_processes: int = 0
    disk_read: int = 0
    disk_written: int = 0

    def fields(self) -> dict[str, Any]:
        """By their names, for what has the same fields."""
        return structs.asdict(self)

    def then(self, later: "Used") -> "Used":
        """What both used, one after the other."""
        return Used(
            self.cpu_seconds + later.cpu_seconds,
            max(self.peak_memory, later.peak_memory),
            max(self.peak_processes, later.peak_processes),
            self.disk_read + later.disk_read,
            self.disk_written + later.disk_written,
        )

    def at_least(self, seen: "Used") -> "Used":
        """The higher of what two ways found that look at the same processes."""
        return Used(
            max(self.cpu_seconds, seen.cpu_seconds),
            max(self.peak_memory, seen.peak_memory),
            max(self.peak_processes, seen.peak_processes),
            max(self.disk_read, seen.disk_read),
            max(self.disk_written, seen.disk_written),
        )
