"""How full the disks of a session are, for the rule that keeps room on them and for those who watch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.core.wire.requests import DiskMeasured
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.threads import in_thread

_EVERY = 3.0
"""Seconds between two measurements."""

_GIVE_UP = 2.0
"""Seconds that a file system has to say how full it is: a network file system may never answer."""


class DiskWatch:
    """Measures every few seconds how full the disks of a session are."""

    def __init__(self, disks: Mapping[str, Path]) -> None:
        self.latest: Sequence[DiskSample] = ()
        """The last measurement."""
        self._disks = disks
        self._limit = trio.CapacityLimiter(1)

    async def run(
        self,
        submit: Callable[[Sequence[DiskMeasured]], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Measure again and again, and submit what is found. Has started after the first measurement."""
        while True:
            with trio.move_on_after(_GIVE_UP) as waited:
                with suppress(OSError):  # no thread can be had: what was measured before stands
                    self.latest = await in_thread(
                        monitor.measure_disks, self._disks, may_hang=True, limiter=self._limit
                    )
                    submit(self._measured())
            if waited.cancelled_caught:
                self.latest = ()
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(_EVERY)

    def _measured(self) -> list[DiskMeasured]:
        free = {sample.name: sample.free for sample in self.latest}
        return [DiskMeasured(name, str(folder), free.get(name)) for name, folder in self._disks.items()]
