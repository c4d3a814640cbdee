"""The cgroup (version 2) that the engine is in: what it may use, which in a container is less than the host has, and
what it uses.
"""

from pathlib import Path

_UNIFIED = "0::"
"""What the line of /proc/self/cgroup begins with that names the group of version 2."""


class Cgroup:
    """A group, by its folder. A value that cannot be read there is None: it has no limit, or is not known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def own(cls) -> "Cgroup":
        """The group of this process."""
        try:
            lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        name = next((line.removeprefix(_UNIFIED) for line in lines if line.startswith(_UNIFIED)), "/")
        return cls(Path(f"/sys/fs/cgroup{name}"))

    @property
    def cpus(self) -> float | None:
        """How many CPUs it may keep busy."""
        quota, _, period = self._read("cpu.max").partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time that it has used so far."""
        used = self._field("cpu.stat", "usage_usec")
        return used / 1e6 if used is not None else None

    @property
    def memory(self) -> int | None:
        """Bytes that it may use."""
        limit = self._read("memory.max")
        return int(limit) if limit.isdigit() else None

    @property
    def memory_used(self) -> int | None:
        """Bytes that it uses, without the page cache that the kernel takes back when it needs to."""
        used = self._read("memory.current")
        return max(0, int(used) - (self._field("memory.stat", "inactive_file") or 0)) if used.isdigit() else None

    def _field(self, file: str, name: str) -> int | None:
        words = (line.split() for line in self._read(file).splitlines())
        return next((int(value) for key, value in words if key == name), None)

    def _read(self, file: str) -> str:
        try:
            return (self._folder / file).read_text(encoding="ascii").strip()
        except OSError:
            return ""
