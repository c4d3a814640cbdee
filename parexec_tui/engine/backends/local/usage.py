"""What each live key uses: all its processes together, and how its log grows."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire.protocol import Usage
from parexec_tui.engine.backends.backend import ProgressWanted, UsageReading
from parexec_tui.engine.backends.local.processes import Processes, ProcessStat
from parexec_tui.engine.backends.local.progress import LogProgress
from parexec_tui.outputs.local import LocalOutput

_SETTLED = 1.0
"""Seconds. An older process without a cookie is not checked again; a younger one may be about to exec."""

_TICK = 0.01
"""Seconds: the shortest time that the kernel counts."""

_CPUS = os.cpu_count() or 1


class LiveProcess(Struct, frozen=True, gc=False):
    """How all the processes of a key are found."""

    key: ProcessKey
    leader: int
    """The pid of its shell, which leads its session."""
    cookie: str
    """What all its processes carry."""
    log: str


class _Tree(Struct, gc=False):
    """The processes of an attempt, as one scan found them."""

    at: float
    used: float
    """CPU seconds of all that live, and of those that they have waited for."""
    own: dict[tuple[int, float], float]
    """{(pid, birth): CPU seconds of the process itself}"""
    disk: tuple[int, int]
    """Bytes read and written by all that live, and by those that they have waited for."""
    so_far: Used
    """At least so much was used until then."""


class LogGrowth(Struct, gc=False):
    """How large a log is, and since when."""

    size: int
    grew: float
    """When, by the clock that does not jump."""


class UsageMeter:
    """Measures attempts again and again. Not for two threads at once."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._cookies: dict[tuple[int, float], str | None] = {}
        """{(pid, birth): cookie} of what the last look found outside the sessions of attempts."""
        self._trees: dict[ProcessKey, _Tree] = {}
        self._logs: dict[ProcessKey, LogGrowth | None] = {}
        self._progress = LogProgress()

    def read(self, attempts: Sequence[LiveProcess], progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        """What they use now, and the CPU time of this thread that it took. Raises OSError."""
        began = time.thread_time()
        if progress is not None:
            self._progress.keep(progress)
        usages = self.measure(attempts, time.time(), time.monotonic())
        return UsageReading(usages, time.thread_time() - began)

    def measure(self, attempts: Sequence[LiveProcess], wall: float, now: float) -> list[Usage]:
        """What they use. `wall`: seconds since the epoch; `now`: of a clock that does not jump. Raises OSError."""
        families = self._families(attempts) if attempts else []
        trees, logs = self._trees, self._logs
        self._trees, self._logs = {}, {}
        found = []
        for attempt, family in zip(attempts, families, strict=True):
            key = attempt.key
            tree = self._trees[key] = self._tree(family, trees.get(key), now)
            log = self._logs[key] = look_at_log(attempt.log, logs.get(key), wall, now)
            found.append(
                Usage(
                    ticket=key.ticket,
                    attempt=key.attempt,
                    step=key.step,
                    cpu=round(min(_cpus(tree, trees.get(key), family), _CPUS), 3),
                    memory=sum(each.memory for each in family),
                    processes=sum(not each.is_zombie for each in family),
                    silence=round(now - log.grew, 1) if log is not None else None,
                    log_size=log.size if log is not None else 0,
                    progress=self._progress.look(key, LocalOutput(Path(attempt.log)), log.size) if log else None,
                    cpu_seconds=round(tree.so_far.cpu_seconds, 2),
                    disk_read=tree.so_far.disk_read,
                    disk_written=tree.so_far.disk_written,
                )
            )
        return found

    def _families(self, attempts: Sequence[LiveProcess]) -> list[list[ProcessStat]]:
        """The processes of each attempt, in order."""
        families: list[list[ProcessStat]] = [[] for _ in attempts]
        by_session = {attempt.leader: family for attempt, family in zip(attempts, families, strict=True)}
        by_cookie = {attempt.cookie: family for attempt, family in zip(attempts, families, strict=True)}
        known, self._cookies = self._cookies, {}
        for each in self._processes.scan():
            family = by_session.get(each.session)
            if family is None and (cookie := self._cookie(each, known)) is not None:
                # An engine within an attempt puts its own cookie behind that of the attempt.
                family = next((by_cookie[part] for part in cookie.split(":") if part in by_cookie), None)
            if family is not None:
                family.append(each)
        return families

    def _tree(self, family: Sequence[ProcessStat], before: _Tree | None, now: float) -> _Tree:
        own = {(each.pid, each.birth): each.cpu for each in family}
        used = sum(each.cpu + each.reaped for each in family)
        reads, writes = zip(*(self._processes.disk(each.pid) for each in family), strict=True) if family else ((), ())
        disk = sum(reads), sum(writes)
        if before is None:
            return _Tree(now, used, own, disk, Used(used, disk_read=disk[0], disk_written=disk[1]))
        # As with CPU time, but without what the processes used themselves: it is not told.
        more = (max(0, bytes_ - earlier) for bytes_, earlier in zip(disk, before.disk, strict=True))
        spent = Used(_cpu_since(before, used, own), 0, 0, *more)
        return _Tree(now, used, own, disk, before.so_far.then(spent))

    def _cookie(self, process: ProcessStat, known: dict[tuple[int, float], str | None]) -> str | None:
        who = process.pid, process.birth
        cookie = known[who] if who in known else self._processes.cookie(process.pid)
        if cookie is not None or process.age >= _SETTLED:
            self._cookies[who] = cookie
        return cookie


def _cpus(tree: _Tree, before: _Tree | None, family: Sequence[ProcessStat]) -> float:
    """How many CPUs it kept busy since it was looked at before; the first time, since it began."""
    if before is None:
        return tree.used / max([_TICK, *(each.age for each in family)])
    return (tree.so_far.cpu_seconds - before.so_far.cpu_seconds) / (tree.at - before.at)


def _cpu_since(before: _Tree, used: float, own: Mapping[tuple[int, float], float]) -> float:
    # The CPU time of a child is added to the process that waits for it. If that is not one of ours, the time is lost
    # and the sum shrinks; then at least what each of the others used is counted.
    return max(sum(max(0.0, cpu - before.own.get(who, cpu)) for who, cpu in own.items()), used - before.used)


def look_at_log(file: str, before: LogGrowth | None, wall: float, now: float) -> LogGrowth | None:
    """How large a log is now; None if there is none. `wall`, `now`: see `UsageMeter.measure`."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    if before is None:
        return LogGrowth(found.st_size, now - max(0.0, wall - found.st_mtime))
    return before if found.st_size == before.size else LogGrowth(found.st_size, now)
