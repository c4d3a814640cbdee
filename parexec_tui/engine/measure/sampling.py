"""Samples of the host and of the live attempts: when they are taken, and who is sent them.

While somebody subscribes, or an attempt lives whose memory is to be known, host and backend are measured every two
seconds, and less often if that would cost more than a two-hundredth of a CPU. What is found replaces what was found
before: nothing is queued, neither here nor for a viewer that does not read.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, Unpack

import msgspec
import trio
from msgspec import Struct

from parexec_tui.client.framing import encode
from parexec_tui.core.state.process_key import is_check
from parexec_tui.core.wire.protocol import DiskSample, GpuSample, HostSample, Sampled, Usage
from parexec_tui.engine.backends.backend import Backend, ProgressWanted, UsageReading
from parexec_tui.engine.measure.disk_use import DiskUse
from parexec_tui.engine.measure.disk_watch import DiskWatch
from parexec_tui.engine.measure.host_meter import HostMeter
from parexec_tui.engine.threads import Given, T, in_thread

MIN_INTERVAL, MAX_INTERVAL = 2.0, 30.0
"""Seconds between two samples."""

BUDGET = 0.0043
"""Share of a CPU that sampling may use: with the look at the host (`pressure_watch`) and its curve (`curve`), half a
hundredth in all."""

_GIVE_UP = 5.0
"""Seconds that a measurement may take before it is given up. The next one waits until its thread is back."""

_FRESH = 60.0
"""Seconds for which a sample of the host tells how it is now."""

BASELINE = 0.25
"""Seconds between the first count and the one that is sent: a rate needs two."""


def next_interval(interval: float, cost: float) -> float:
    """Seconds to wait for the next measurement, after one that cost so many CPU seconds."""
    if cost > BUDGET * interval:
        return min(2 * interval, MAX_INTERVAL)
    if cost <= BUDGET * interval / 2:
        return max(interval / 2, MIN_INTERVAL)
    return interval


class Subscriber(Protocol):
    """Somebody who wants samples."""

    def wake(self) -> None:
        """There is a new one."""


class SampleFeed:
    """The newest sample as the line that is sent, the same bytes for all subscribers."""

    def __init__(self) -> None:
        self.line = b""
        """Empty: there is none that is fresh."""
        self.usages: tuple[Usage, ...] = ()
        """What the live attempts used at the last look, whether or not somebody subscribes."""
        self._host: HostSample | None = None
        self.subscribers: set[Subscriber] = set()
        self._lacked = trio.Event()

    def join(self, subscriber: Subscriber) -> None:
        """Send samples to one more."""
        self.subscribers.add(subscriber)
        if not self.line:
            self._lacked.set()

    def leave(self, subscriber: Subscriber) -> None:
        """Send no more samples to this one. Without subscribers nothing is measured: the last is dropped."""
        self.subscribers.discard(subscriber)
        if not self.subscribers:
            self._lacked = trio.Event()
            self.line = b""

    def publish(self, line: bytes) -> None:
        """Replace the sample; a subscriber that has not taken the one before never gets it."""
        self._lacked = trio.Event()
        if self.subscribers:
            self.line = line
        for subscriber in self.subscribers:
            subscriber.wake()

    def note_host(self, sample: HostSample) -> None:
        """How the host is, whoever measured it."""
        self._host = sample

    def gpus(self, now: float) -> tuple[GpuSample, ...]:
        """Those of the newest sample, unless that is old. `now`: seconds since the epoch."""
        host = self._host
        return host.gpus if host is not None and now - host.at <= _FRESH else ()

    async def wait_lacked(self) -> None:
        """Wait until somebody subscribes, and there is no sample."""
        await self._lacked.wait()


class SampleTap:
    """Gives each sample to a function of this process."""

    def __init__(self, feed: SampleFeed, take: Callable[[Sampled], None]) -> None:
        self._feed = feed
        self._take = take

    def wake(self) -> None:
        self._take(msgspec.json.decode(self._feed.line, type=Sampled))


class Measurement(Struct, frozen=True):
    """What the host did, and the CPU seconds that it cost to find out."""

    host: HostSample
    engine_cpu: float
    cost: float


class Collector:
    """Measures the host in a thread: one measurement after another, never two at once."""

    def __init__(self, host: HostMeter) -> None:
        self._host = host

    @property
    def is_warm(self) -> bool:
        """Whether there is a count that a sample of the host can be compared with."""
        return self._host.is_warm(time.monotonic())

    def warm_up(self) -> None:
        """Take a first count, for the next measurement to be compared with."""
        self._host.warm_up(time.monotonic())

    def measure(self, disks: Sequence[DiskSample]) -> Measurement:
        """Look at the host. Raises OSError."""
        began = time.thread_time()
        host = self._host.measure(time.time(), time.monotonic(), disks)
        return Measurement(host, self._host.engine_cpu, time.thread_time() - began)


class SampleLoop:
    """Takes samples for as long as the engine runs."""

    def __init__(
        self,
        backend: Backend,
        disks: DiskWatch,
        feed: SampleFeed,
        notice: Callable[[str], None],
        collector: Collector | None = None,
        *,
        wanted: Callable[[], Sequence[ProgressWanted]] = tuple,
    ) -> None:
        """`wanted`: the processes that are asked how far they are; asked for each sample that somebody gets."""
        self.interval = MIN_INTERVAL
        self.used: dict[tuple[str, int], int] = {}
        """{(ticket, attempt): bytes that all its processes used at the last look}"""
        self.disk_use = DiskUse()
        self._backend = backend
        self._disks = disks
        self._feed = feed
        self._notice = notice
        self._collector = collector or Collector(HostMeter())
        self._wanted = wanted
        self._limit = trio.CapacityLimiter(1)
        self._failed = False

    async def run(self) -> None:
        """Take samples until cancelled. A measurement that fails or hangs is left out, and the session goes on."""
        while True:
            if not self._feed.subscribers and not self._backend.living():
                self._feed.usages = ()
                self.disk_use.note((), trio.current_time())
                await self._pause()
            elif (cost := await self._try_sample()) is None:
                self.interval = min(2 * self.interval, MAX_INTERVAL)
                await trio.sleep(self.interval)
            else:
                self.interval = next_interval(self.interval, cost)
                await self._pause()

    async def _pause(self) -> None:
        with trio.move_on_after(self.interval):
            await self._feed.wait_lacked()

    async def _try_sample(self) -> float | None:
        """Take a sample and publish it; what it cost, or None if it failed or hung."""
        with trio.move_on_after(_GIVE_UP):
            try:
                return await self._sample()
            except Exception as error:  # of any kind: a session does not end because the host is not measured
                if not self._failed:
                    self._notice(f"the host cannot be measured: {type(error).__name__}: {error}")
                self._failed = True
        return None

    async def _sample(self) -> float:
        if not self._feed.subscribers:
            reading = await self._backend.usage()
            self._note(reading)
            return reading.cost
        if not self._collector.is_warm:
            await self._in_thread(self._collector.warm_up)
            await trio.sleep(BASELINE)
        reading = await self._backend.usage(self._wanted())
        self._note(reading)
        measured = await self._in_thread(self._collector.measure, self._disks.latest)
        self._publish(measured)
        return reading.cost + measured.cost

    async def _in_thread(self, look: Callable[[Unpack[Given]], T], *given: *Given) -> T:
        return await in_thread(look, *given, may_hang=True, limiter=self._limit)

    def _note(self, reading: UsageReading) -> None:
        self.used = {}
        self.disk_use.note(reading.usages, trio.current_time())
        self._feed.usages = tuple(each for each in reading.usages if not is_check(each.step))
        for each in reading.usages:
            key = each.ticket, each.attempt
            self.used[key] = self.used.get(key, 0) + each.memory

    def _publish(self, measured: Measurement) -> None:
        self._feed.note_host(measured.host)
        sampled = Sampled(
            host=measured.host,
            attempts=self._feed.usages,
            engine_cpu=measured.engine_cpu,
            hosts=dict(self._backend.host_samples()),
        )
        self._feed.publish(encode(sampled))
