"""Samples of the host and of the live attempts: when they are taken, and who is sent them.

While somebody asks for samples, or an attempt lives whose peak is to be known, one thread looks at the host every
two seconds, and less often if that would cost more than a hundredth of a CPU. What it finds replaces what it found
before: nothing is queued, neither here nor for a viewer that does not read.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

import trio
from msgspec import Struct

from parexec_tui.core.wire import codec
from parexec_tui.core.wire.protocol import DiskSample, Sampled, Usage
from parexec_tui.engine.measure.disk_watch import DiskWatch
from parexec_tui.engine.measure.host_meter import HostMeter
from parexec_tui.engine.measure.processes import Processes, open_processes
from parexec_tui.engine.measure.usage import LiveAttempt, UsageMeter

SHORTEST, LONGEST = 2.0, 30.0
"""Seconds between two samples."""

BUDGET = 0.01
"""Share of a CPU that sampling may use."""

_PATIENCE = 5.0
"""Seconds that a pass may take before it is given up. The next one waits until its thread is back."""

_BASELINE = 0.25
"""Seconds between the first look at counters and the one that is told: a rate needs two."""


T = TypeVar("T")
Given = TypeVarTuple("Given")


def next_interval(interval: float, cost: float) -> float:
    """How long to wait for the next pass, after one that cost so many CPU seconds."""
    if cost > BUDGET * interval:
        return min(2 * interval, LONGEST)
    if cost <= BUDGET * interval / 2:
        return max(interval / 2, SHORTEST)
    return interval


class Asker(Protocol):
    """One who wants samples."""

    def wake(self) -> None:
        """There is a new one."""


class Samples:
    """The newest sample as the line that is sent, the same bytes for all who asked for it."""

    def __init__(self) -> None:
        self.line = b""
        """Empty: there is none that is fresh."""
        self.askers: set[Asker] = set()
        self._lacked = trio.Event()

    def join(self, asker: Asker) -> None:
        self.askers.add(asker)
        if not self.line:
            self._lacked.set()

    def leave(self, asker: Asker) -> None:
        """Nothing is measured for nobody, so what is there grows old."""
        self.askers.discard(asker)
        if not self.askers:
            self._lacked = trio.Event()
            self.line = b""

    def publish(self, line: bytes) -> None:
        """Replace the sample; whoever has not taken the one before never gets it."""
        self._lacked = trio.Event()
        if self.askers:
            self.line = line
        for asker in self.askers:
            asker.wake()

    async def wait_lacked(self) -> None:
        """Until somebody asks, and there is none."""
        await self._lacked.wait()


class Runner(Protocol):
    """Who runs the attempts."""

    def living(self) -> list[LiveAttempt]: ...
    def note_memory(self, ticket: str, attempt: int, memory: int) -> None: ...


class Pass(Struct, frozen=True):
    """What one look found, and the CPU seconds that it took."""

    attempts: list[Usage]
    sampled: Sampled | None
    cost: float


class Sampler:
    """What the thread does: pass after pass, never two at once."""

    def __init__(self, processes: Processes, host: HostMeter) -> None:
        self._usage = UsageMeter(processes)
        self._host = host

    @property
    def is_warm(self) -> bool:
        """Whether a sample of the host would have something to be compared with."""
        return self._host.is_warm(time.monotonic())

    def warm_up(self) -> None:
        self._host.warm_up(time.monotonic())

    def sample(self, attempts: Sequence[LiveAttempt], disks: Sequence[DiskSample] | None) -> Pass:
        """Look at the attempts, and at the host as well unless `disks` is None. Raises OSError."""
        began = time.thread_time()
        wall, now = time.time(), time.monotonic()
        usage = self._usage.measure(attempts, wall, now)
        sampled = None
        if disks is not None:
            host = self._host.measure(wall, now, disks)
            sampled = Sampled(host=host, attempts=tuple(usage), engine_cpu=self._host.engine_cpu)
        return Pass(usage, sampled, time.thread_time() - began)


class Sampling:
    """Takes samples for as long as the engine runs."""

    def __init__(
        self,
        runner: Runner,
        disks: DiskWatch,
        samples: Samples,
        notice: Callable[[str], None],
        sampler: Sampler | None = None,
    ) -> None:
        self.interval = SHORTEST
        self._runner = runner
        self._disks = disks
        self._samples = samples
        self._notice = notice
        self._sampler = sampler or Sampler(open_processes(), HostMeter())
        self._limit = trio.CapacityLimiter(1)
        self._failed = False

    async def run(self) -> None:
        """Until cancelled. A pass that fails or hangs is left out, and the session goes on."""
        while True:
            if not self._samples.askers and not self._runner.living():
                await self._rest()
            elif (found := await self._pass()) is None:
                self.interval = min(2 * self.interval, LONGEST)
                await trio.sleep(self.interval)
            else:
                self._tell(found)
                self.interval = next_interval(self.interval, found.cost)
                await self._rest()

    async def _rest(self) -> None:
        with trio.move_on_after(self.interval):
            await self._samples.wait_lacked()

    async def _pass(self) -> Pass | None:
        with trio.move_on_after(_PATIENCE):
            try:
                return await self._look()
            except Exception as error:  # whatever ails the host, a session does not end because it is not measured
                if not self._failed:
                    self._notice(f"the host cannot be measured: {type(error).__name__}: {error}")
                self._failed = True
        return None

    async def _look(self) -> Pass:
        is_asked = bool(self._samples.askers)
        if is_asked and not self._sampler.is_warm:
            await self._in_thread(self._sampler.warm_up)
            await trio.sleep(_BASELINE)
        disks = self._disks.latest if is_asked else None
        return await self._in_thread(self._sampler.sample, self._runner.living(), disks)

    async def _in_thread(self, look: Callable[[Unpack[Given]], T], *given: *Given) -> T:
        return await trio.to_thread.run_sync(look, *given, abandon_on_cancel=True, limiter=self._limit)

    def _tell(self, found: Pass) -> None:
        for each in found.attempts:
            self._runner.note_memory(each.ticket, each.attempt, each.memory)
        if found.sampled is not None:
            self._samples.publish(codec.encode(found.sampled) + b"\n")
