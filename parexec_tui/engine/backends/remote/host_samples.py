"""How busy a host is, as its node program counts it: a sample each time somebody looks, without waiting for it."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import trio
from msgspec import Struct

from parexec_tui.core.wire.protocol import DiskSample, HostSample
from parexec_tui.engine.backends.remote.channel import Channel

_TOLD_WITHIN = 5.0
"""Seconds after which an answer is not waited for any more."""

_OLD = 60.0
"""Seconds after which a count is too old to be compared with."""

_BASELINE = 0.25
"""Seconds between the first count and the second: a rate needs two."""


class _Count(Struct):
    at: float
    """By the clock of trio."""
    told: Mapping[str, Any]


class HostSamples:
    """The newest sample of one host. Belongs to the trio run of its channel."""

    def __init__(self, nursery: trio.Nursery, channel: Channel) -> None:
        self._nursery = nursery
        self._channel = channel
        self._count: _Count | None = None
        self._sample: HostSample | None = None
        self._is_asking = False

    def look_nowait(self) -> HostSample | None:
        """The sample that was taken after the last look, if any, and have another one taken."""
        if not self._is_asking and self._channel.is_up:
            self._is_asking = True
            self._nursery.start_soon(self._ask)
        return self._sample

    async def _ask(self) -> None:
        try:
            with trio.move_on_after(_TOLD_WITHIN), suppress(OSError, KeyError):
                before = self._count
                if before is None or trio.current_time() - before.at > _OLD:
                    before = await self._counted()
                    await trio.sleep(_BASELINE)
                self._count = await self._counted()
                self._sample = sample_of(before.told, self._count.told, self._count.at - before.at, time.time())
        finally:
            self._is_asking = False

    async def _counted(self) -> _Count:
        reply = await self._channel.ask("metrics")
        return _Count(trio.current_time(), reply.ok)


def sample_of(before: Mapping[str, Any], told: Mapping[str, Any], seconds: float, at: float) -> HostSample:
    """What two counts of a node program, so many seconds apart, say of its host. `at`: since the epoch."""

    def rate(name: str) -> float:
        return max(0.0, told[name] - before[name]) / seconds if seconds > 0 else 0.0

    counted = told["cpu_total"] - before["cpu_total"]
    busy = (told["cpu_busy"] - before["cpu_busy"]) / counted if counted > 0 else 0.0
    disks: tuple[DiskSample, ...] = ()
    if (free := told.get("disk_free")) is not None and (total := told.get("disk_total")):
        disks = (DiskSample("disk", "", free, total),)
    one, five, fifteen = told["load"]
    return HostSample(
        at=at,
        cpu=round(min(1.0, max(0.0, busy)), 3),
        per_cpu=(),
        load=(one, five, fifteen),
        memory_used=max(0, told["memory"] - told["memory_available"]),
        memory_total=told["memory"],
        swap_used=0,
        swap_total=0,
        disks=disks,
        disk_read=rate("disk_read"),
        disk_write=rate("disk_written"),
        net_in=rate("net_received"),
        net_out=rate("net_sent"),
        pressure={},
    )
