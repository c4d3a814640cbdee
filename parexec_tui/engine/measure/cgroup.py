"""The cgroup that the engine is in: what it may use, which in a container is less than the host has, and what it
uses.

Version 2 is looked at first. Where that has no controllers, as on hybrid hosts, those of version 1 are. A limit may
be set on the group itself or on any group above it: the lowest counts, with what is used in the group that sets it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_MOUNT = Path("/sys/fs/cgroup")

_NO_LIMIT = 2**62
"""Bytes: from here on a limit of version 1 says that there is none."""


class _Limit(NamedTuple):
    """A limit of memory, and where it is set."""

    size: int
    folder: Path
    used: str
    """The file that says what is used there."""
    reclaimed: str
    """The field of `memory.stat` of what the kernel takes back when it needs to."""


class Cgroup:
    """A group, by its folder. A value that cannot be read there is None: it has no limit, or is not known."""

    def __init__(
        self, *folders: Path, memory: Sequence[Path] = (), cpu: Sequence[Path] = (), cpuacct: Sequence[Path] = ()
    ) -> None:
        """`folders`: of version 2, the group and those above it. `memory`, `cpu` and `cpuacct`: the same of
        controllers of version 1."""
        self._folders = folders
        self._memory = memory
        self._cpu = cpu
        self._cpuacct = cpuacct

    @classmethod
    def own(cls) -> "Cgroup":
        """The group of this process."""
        try:
            lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        return cls.named_in(lines)

    @classmethod
    def named_in(cls, lines: Sequence[str], mount: Path = _MOUNT) -> "Cgroup":
        """The group that the lines of a `/proc/PID/cgroup` name, below where cgroups are mounted."""
        names: dict[str, str] = {}
        for line in lines:
            _, _, rest = line.partition(":")
            controllers, _, name = rest.partition(":")
            names |= dict.fromkeys(controllers.split(","), name)
        of_1 = {
            controller: _chain(mount / controller, names[controller])
            for controller in ("memory", "cpu", "cpuacct")
            if controller in names
        }
        return cls(*_chain(mount, names.get("", "/")), **of_1)

    @property
    def cpus(self) -> float | None:
        """How many CPUs it may keep busy."""
        return min(self._quotas(), default=(None, Path()))[0]

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time that it has used so far, or the group above it has that sets the limit."""
        _, folder = min(self._quotas(), default=(None, None))
        own = self._folders[:1] if folder is None else (folder,)
        for each in (*own, *self._cpuacct[:1]):
            if (used := _field(each, "cpu.stat", "usage_usec")) is not None:
                return used / 1e6
            if (nanoseconds := _number(_read(each, "cpuacct.usage"))) is not None:
                return nanoseconds / 1e9
        return None

    @property
    def memory(self) -> int | None:
        """Bytes that it may use."""
        limit = self._limit()
        return limit.size if limit is not None else None

    @property
    def memory_used(self) -> int | None:
        """Bytes that are used of that, without the page cache that the kernel takes back when it needs to. Without a
        limit, what the group itself uses."""
        for limit in (self._limit(), *self._own()):
            if limit is not None and (used := _number(_read(limit.folder, limit.used))) is not None:
                return max(0, used - (_field(limit.folder, "memory.stat", limit.reclaimed) or 0))
        return None

    def _quotas(self) -> Iterator[tuple[float, Path]]:
        for folder in self._folders:
            quota, _, period = _read(folder, "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period), folder
        for folder in self._cpu:
            quota, period = _read(folder, "cpu.cfs_quota_us"), _read(folder, "cpu.cfs_period_us")
            if quota.isdigit() and period.isdigit() and int(period):
                yield int(quota) / int(period), folder

    def _limit(self) -> _Limit | None:
        found = (each for each in self._limits() if 0 <= each.size < _NO_LIMIT)
        return min(found, default=None)

    def _limits(self) -> Iterator[_Limit]:
        for folder in self._folders:
            if (size := _number(_read(folder, "memory.max"))) is not None:
                yield _of_2(folder, size)
        for folder in self._memory:
            if (size := _number(_read(folder, "memory.limit_in_bytes"))) is not None:
                yield _of_1(folder, size)

    def _own(self) -> Iterator[_Limit]:
        yield from (_of_2(folder, 0) for folder in self._folders[:1])
        yield from (_of_1(folder, 0) for folder in self._memory[:1])


def _of_2(folder: Path, size: int) -> _Limit:
    return _Limit(size, folder, "memory.current", "inactive_file")


def _of_1(folder: Path, size: int) -> _Limit:
    return _Limit(size, folder, "memory.usage_in_bytes", "total_inactive_file")


def _chain(top: Path, name: str) -> tuple[Path, ...]:
    """The folder of a group and of those above it. In a container the name may be one that only the host knows: then
    the top is the group."""
    folder = top / name.strip("/")
    if not folder.is_dir():
        folder = top
    above = [each for each in folder.parents if each.is_relative_to(top)]
    return (folder, *above)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _field(folder: Path, file: str, name: str) -> int | None:
    words = (line.split() for line in _read(folder, file).splitlines())
    return next((int(value) for key, value in words if key == name), None)


def _read(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="ascii").strip()
    except OSError:
        return ""
