"""What the host has for tickets, told to the rules every second, whether or not anybody looks.

A look reads a few files of the kernel. What live attempts use is not looked for here: the sampling does, as often as
its budget lets it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import trio
from msgspec import structs

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.engine.measure.activity import ActivityMeter
from parexec_tui.engine.measure.cgroup import Cgroup
from parexec_tui.engine.measure.host_meter import load_average, stall
from parexec_tui.engine.threads import in_thread

EVERY, WHILE_TUNING, WHILE_RISING = 1.0, 0.5, 0.1
"""Seconds between two looks; where the engine finds out how many tickets should run at once; and at the start of
that, while it goes up fast."""

_GIVE_UP = 5.0
"""Seconds that a look may take before it is given up."""


class PressureWatch:
    """Looks at the host for as long as the engine runs."""

    def __init__(
        self,
        state: SessionState,
        used: Callable[[], Mapping[tuple[str, int], int]],
        submit: Callable[[Sequence[rq.AnyReport]], None],
        cgroup: Cgroup | None = None,
        *,
        disks: Callable[[], Sequence[DiskSample]] = tuple,
        disk_used: Callable[[], Mapping[tuple[str, int], int]] = dict,
        proc: Path = Path("/proc"),
    ) -> None:
        """`used`: {(ticket, attempt): bytes that its processes used when they were looked at last}; `disks`: those
        of the session, as they were measured last; `disk_used`: {(ticket, attempt): bytes that its processes read
        from disks and wrote to them lately}."""
        self._state = state
        self._used = used
        self._submit = submit
        self._cgroup = cgroup or Cgroup.own()
        self._disks = disks
        self._disk_used = disk_used
        self._proc = proc
        self._activity: ActivityMeter | None = None
        self._limit = trio.CapacityLimiter(1)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look again and again, until cancelled. Has started after the first look."""
        while True:
            with trio.move_on_after(_GIVE_UP), suppress(OSError):
                found = await in_thread(self.look, may_hang=True, limiter=self._limit)
                used, disk_used = self._of_live(self._used()), self._of_live(self._disk_used())
                self._submit([structs.replace(found, used=used, disk_used=disk_used)])
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(self._pause())

    def look(self) -> rq.HostMeasured:
        """What the host has now, without what attempts use of it. Raises OSError."""
        available, total = self.memory()
        return rq.HostMeasured(
            available,
            total,
            disk_free=min((each.free for each in self._disks()), default=None),
            io=stall(self._proc, "io"),
            load=load_average()[0],
            activity=self._look_at_activity(available),
        )

    def _pause(self) -> float:
        tuning = self._state.tuning
        if tuning is None:
            return EVERY
        return WHILE_RISING if tuning.ceiling is None and tuning.cause in ("start", "more") else WHILE_TUNING

    def _look_at_activity(self, available: int) -> rq.Activity | None:
        if self._state.tuning is None:
            self._activity = None
            return None
        if self._activity is None:
            self._activity = ActivityMeter(self._proc, self._cgroup)
        return self._activity.look(available)

    def memory(self) -> tuple[int, int]:
        """(bytes that are available, bytes in all), of the host or of the cgroup, whichever has less. Raises
        OSError."""
        found = psutil.virtual_memory()
        available, total = int(found.available), int(found.total)
        limit, used = self._cgroup.memory, self._cgroup.memory_used
        if limit is None or used is None or limit >= total:
            return available, total
        return min(available, max(0, limit - used)), limit

    def _of_live(self, found: Mapping[tuple[str, int], int]) -> dict[str, int]:
        live = self._state.live
        return {id_: size for (id_, number), size in found.items() if id_ in live and live[id_].attempts == number}
