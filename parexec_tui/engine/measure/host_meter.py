"""How busy the host is: what psutil and the kernel count, as rates.

Where the engine's cgroup may use less CPU or memory than the host has, that is measured instead: tickets are admitted
by it (`monitor.host`), and the host may be idle while it is full.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from msgspec import Struct, structs

from parexec_tui.core.wire.protocol import DiskSample, HostSample
from parexec_tui.engine.measure.cgroup import Cgroup
from parexec_tui.engine.measure.gpus import Gpus

_PROC = "/proc"

_LOOPBACK = ("lo", "lo0")

_OLDEST = 60.0
"""Seconds: an average over more would not tell what happens now."""


class Counters(Struct, frozen=True):
    """Counters that only grow, except when one wraps or a device is removed."""

    cpus: tuple[tuple[float, float], ...]
    """(busy, all) seconds of each CPU."""
    disk_read: int = 0
    disk_write: int = 0
    net_in: int = 0
    net_out: int = 0
    engine: float = 0.0
    """CPU seconds of this process."""
    cgroup: float = 0.0
    """CPU seconds of its cgroup."""


def counters() -> Counters:
    """What is counted now."""
    disk_read, disk_write = _disk_bytes()
    net = [each for name, each in psutil.net_io_counters(pernic=True, nowrap=False).items() if name not in _LOOPBACK]
    return Counters(
        tuple(map(busy_of_all, psutil.cpu_times(percpu=True))),
        disk_read,
        disk_write,
        sum(each.bytes_recv for each in net),
        sum(each.bytes_sent for each in net),
        time.process_time(),
        Cgroup.own().cpu_seconds or 0.0,
    )


def _disk_bytes() -> tuple[int, int]:
    with suppress(NotImplementedError):  # a kernel may be built without
        found = psutil.disk_io_counters(nowrap=False)
        if found is not None:
            return found.read_bytes, found.write_bytes
    return 0, 0


def busy_of_all(times: tuple[float, ...]) -> tuple[float, float]:
    """(busy, all) seconds. Time spent waiting for a disk is not busy; `user` already contains the time of guests."""
    named = times._asdict()  # type: ignore[attr-defined]
    whole = sum(times) - named.get("guest", 0.0) - named.get("guest_nice", 0.0)
    return whole - named["idle"] - named.get("iowait", 0.0), whole


class HostMeter:
    """Measures the host again and again. Not for two threads at once."""

    def __init__(
        self, count: Callable[[], Counters] = counters, proc: str = _PROC, cgroup: Cgroup | None = None
    ) -> None:
        self._count = count
        self._cgroup = cgroup or Cgroup.own()
        self._proc = Path(proc)
        self._gpus = Gpus()
        self._before: tuple[float, Counters] | None = None
        """What was counted before, and when."""
        self.engine_cpu = 0.0
        """CPUs that this process used between the last two measurements."""

    def is_warm(self, now: float) -> bool:
        """Whether the last count is young enough to compare the next one with."""
        return self._before is not None and now - self._before[0] <= _OLDEST

    def warm_up(self, now: float) -> None:
        """Take a first count, for the next measurement to be compared with."""
        self._before = now, self._count()

    def measure(self, wall: float, now: float, disks: Sequence[DiskSample]) -> HostSample:
        """How busy it is. `wall`: seconds since the epoch; `now`: of a clock that does not jump."""
        counted = self._count()
        then, before = self._before or (now, counted)
        self._before = now, counted
        self.engine_cpu = round(_rate(counted.engine, before.engine, now - then), 4)

        def per_second(counter: int, earlier: int) -> float:
            return round(_rate(counter, earlier, now - then), 1)

        busy, whole = _spent(counted, before)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        sample = HostSample(
            at=wall,
            cpu=_share(sum(busy), sum(whole)),
            per_cpu=tuple(map(_share, busy, whole)),
            load=load_average(),
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            swap_used=swap.used,
            swap_total=swap.total,
            disks=tuple(disks),
            disk_read=per_second(counted.disk_read, before.disk_read),
            disk_write=per_second(counted.disk_write, before.disk_write),
            net_in=per_second(counted.net_in, before.net_in),
            net_out=per_second(counted.net_out, before.net_out),
            pressure=self._pressure(),
            gpus=self._gpus.measure(now),
        )
        return self._within_cgroup(sample, _rate(counted.cgroup, before.cgroup, now - then))

    def _within_cgroup(self, sample: HostSample, cpus: float) -> HostSample:
        """The sample with what the cgroup uses, `cpus` of them, where it may use less than the host has."""
        group = self._cgroup
        if (cpu_limit := group.cpus) and cpu_limit < len(sample.per_cpu):
            sample = structs.replace(sample, cpu=_share(cpus, cpu_limit), of_cgroup=("cpu",))
        used, limit = group.memory_used, group.memory
        if limit and used is not None and limit < sample.memory_total:
            of_cgroup = (*sample.of_cgroup, "memory")
            sample = structs.replace(sample, memory_used=used, memory_total=limit, of_cgroup=of_cgroup)
        return sample

    def _pressure(self) -> dict[str, float]:
        found = {name: stall(self._proc, name) for name in ("cpu", "memory", "io")}
        return {name: share for name, share in found.items() if share is not None}


def stall(proc: Path, name: str) -> float | None:
    """Share of the last 10 s in which somebody waited for `cpu`, `memory` or `io`; None: the kernel was built or
    started without."""
    try:
        words = (proc / "pressure" / name).read_text(encoding="ascii").split()
    except OSError:
        return None
    return round(float(words[1].removeprefix("avg10=")) / 100, 4)


def _rate(counted: float, before: float, seconds: float) -> float:
    """How fast a counter grew; 0 if it jumped back, because it has wrapped or a device was removed."""
    return max(0.0, counted - before) / seconds if seconds > 0 else 0.0


def _spent(counted: Counters, before: Counters) -> tuple[list[float], list[float]]:
    """How long each CPU was busy, and how long it was there."""
    earlier = before.cpus if len(before.cpus) == len(counted.cpus) else counted.cpus
    pairs = list(zip(counted.cpus, earlier, strict=True))
    return [max(0.0, now[0] - then[0]) for now, then in pairs], [max(0.0, now[1] - then[1]) for now, then in pairs]


def _share(busy: float, whole: float) -> float:
    return round(min(1.0, busy / whole), 4) if whole > 0 else 0.0


def load_average() -> tuple[float, float, float]:
    try:
        return os.getloadavg()
    except OSError:
        return 0.0, 0.0, 0.0
