"""How busy the host was a moment ago: for the rules that find out how many tickets should run at once."""

import os
import time
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import psutil

from parexec_tui.core.wire.requests import Activity
from parexec_tui.engine.measure.cgroup import Cgroup
from parexec_tui.engine.measure.host_meter import busy_of_all

_SHORT, _LONG = 0.4, 3.0
"""Seconds that the share of CPU is of, and the others."""


class _Count(NamedTuple):
    """What was counted, and when."""

    at: float
    busy: float
    whole: float
    """CPU seconds: those that were used, and those that there were."""
    cgroup: float
    cpu_wait: float | None
    memory_wait: float | None
    """Seconds."""
    runnable: float | None
    available: int
    """Bytes of memory."""


class ActivityMeter:
    """Looks again and again. Not for two threads at once."""

    def __init__(self, proc: Path, cgroup: Cgroup, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._cgroup = cgroup
        self._clock = clock
        self._counts: deque[_Count] = deque()

    def look(self, available: int) -> Activity | None:
        """What happened in the last seconds; None after the first look. `available`: bytes of memory now. Raises
        OSError."""
        now = self._count(available)
        while len(self._counts) > 1 and now.at - self._counts[1].at >= _LONG:
            self._counts.popleft()
        self._counts.append(now)
        if len(self._counts) < 2:
            return None
        long = self._counts[0]
        short = next((each for each in reversed(self._counts) if now.at - each.at >= _SHORT), long)
        runnable = [each.runnable for each in self._counts if each.runnable is not None]
        return Activity(
            cpu=round(self._cpu(now, short), 4),
            cpu_wait=_share(now.cpu_wait, long.cpu_wait, now.at - long.at),
            runnable=round(sum(runnable) / len(runnable), 2) if runnable else None,
            memory_wait=_share(now.memory_wait, long.memory_wait, now.at - long.at),
            memory_low=min(each.available for each in self._counts),
        )

    def _cpu(self, now: _Count, then: _Count) -> float:
        """Share of the CPUs of the host, or of those that the cgroup may use, whichever is higher."""
        whole, seconds = now.whole - then.whole, now.at - then.at
        share = (now.busy - then.busy) / whole if whole > 0 else 0.0
        if (limit := self._cgroup.cpus) and seconds > 0:
            share = max(share, (now.cgroup - then.cgroup) / seconds / limit)
        return min(1.0, max(0.0, share))

    def _count(self, available: int) -> _Count:
        each = [
            busy_of_all(times) for number, times in enumerate(psutil.cpu_times(percpu=True)) if number in _usable()
        ]
        return _Count(
            self._clock(),
            sum(busy for busy, _ in each),
            sum(whole for _, whole in each),
            (self._cgroup.cpu_seconds or 0.0) if self._cgroup.cpus else 0.0,
            self._waited("cpu"),
            self._waited("memory"),
            self._runnable(len(each)),
            available,
        )

    def _waited(self, name: str) -> float | None:
        """Seconds in which somebody waited for it, since the host booted (PSI)."""
        try:
            first = (self._proc / "pressure" / name).read_text(encoding="ascii").splitlines()[0]
        except OSError:
            return None
        return int(first.rpartition("total=")[2]) / 1e6

    def _runnable(self, cpus: int) -> float | None:
        """Processes for each CPU that run, or could."""
        try:
            load = (self._proc / "loadavg").read_text(encoding="ascii")
        except OSError:
            return None
        return int(load.split()[3].partition("/")[0]) / max(1, cpus)


def _usable() -> Collection[int]:
    """The CPUs that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _share(now: float | None, then: float | None, seconds: float) -> float | None:
    if now is None or then is None or seconds <= 0:
        return None
    return round(min(1.0, max(0.0, now - then) / seconds), 4)
