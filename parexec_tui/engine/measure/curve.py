"""Keeps how busy the host is while the session runs, whether or not anybody looks: for gauges that look back."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, pairwise, repeat
from pathlib import Path

import trio

from parexec_tui.core.wire.protocol import DiskSample, HostSample
from parexec_tui.engine.measure.host_meter import HostMeter
from parexec_tui.engine.measure.sampling import BASELINE, Collector
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.curve import keep_sample

EVERY = 10.0
"""Seconds between two samples that are kept."""

FIRST = (BASELINE, 1.0, 2.0, 5.0, EVERY)
"""Seconds after the start for the first ones: a session may be short, and much happens when all starts at once."""

_GIVE_UP = 5.0


class CurveKeeper:
    """Adds a sample to the file every ten seconds, at first more often, for as long as something is left to do."""

    def __init__(
        self,
        file: Path,
        disks: Callable[[], Sequence[DiskSample]],
        is_over: Callable[[], bool],
        collector: Collector | None = None,
        *,
        tell: Callable[[HostSample], None] = lambda _: None,
    ) -> None:
        """`is_over`: nothing is kept while it says so. `tell` gets each sample that is kept."""
        self._file = file
        self._disks = disks
        self._is_over = is_over
        self._tell = tell
        self._collector = collector or Collector(HostMeter())
        self._limit = trio.CapacityLimiter(1)

    async def run(self) -> None:
        """Keep samples until cancelled. One that cannot be measured or written is left out."""
        self._collector.warm_up()
        pauses = (after - before for before, after in pairwise((0.0, *FIRST)))
        for pause in chain(pauses, repeat(EVERY)):
            await trio.sleep(pause)
            if self._is_over():
                continue
            with trio.move_on_after(_GIVE_UP), suppress(OSError):
                self._tell(await in_thread(self._keep, may_hang=True, limiter=self._limit))

    def _keep(self) -> HostSample:
        sample = self._collector.measure(self._disks()).host
        keep_sample(self._file, sample)
        return sample
