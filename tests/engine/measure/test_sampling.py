"""Samples: what they say of the host, when they are taken, and that they cannot hold up the engine."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.plan.model import Host
from parexec_tui.core.wire.protocol import DiskSample, HostSample, Sampled, Usage
from parexec_tui.engine.backends.backend import ProgressWanted, UsageReading
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.measure.cgroup import Cgroup
from parexec_tui.engine.measure.disk_watch import DiskWatch
from parexec_tui.engine.measure.host_meter import Counters, HostMeter, counters
from parexec_tui.engine.measure.sampling import (
    BASELINE,
    BUDGET,
    MAX_INTERVAL,
    MIN_INTERVAL,
    Collector,
    Measurement,
    SampleFeed,
    SampleLoop,
    next_interval,
)
from tests.engine.fakes import FakeBackend
from tests.engine.virtual_time import WaitedThreads, until

MIB = 1 << 20
ATTEMPT = ("A", 1)
USAGE = Usage(ticket="A", attempt=1, cpu=0.5, memory=7 * MIB, processes=1, silence=None, log_size=0, disk_written=9)

# -- the host --------------------------------------------------------------------------------------------------


def meter(*counted: Counters, proc: str = "/nowhere") -> HostMeter:
    """A host on which these are counted, one after the other."""
    left: Iterator[Counters] = iter(counted)
    return HostMeter(lambda: next(left), proc)


def test_shares_and_rates_are_of_the_time_since_the_look_before() -> None:
    host = meter(
        Counters(((10, 100), (50, 100)), 1000, 2000, 3000, 4000, 1.0),
        Counters(((12, 104), (51, 104)), 1500, 2000, 3001, 8000, 1.1),
    )
    host.warm_up(now=100)
    found = host.measure(wall=9, now=102, disks=[DiskSample("disk", "/", 1, 2)])
    assert (found.cpu, found.per_cpu) == (0.375, (0.5, 0.25))
    assert (found.disk_read, found.disk_write, found.net_in, found.net_out) == (250, 0, 0.5, 2000)
    assert (found.at, found.disks, found.pressure) == (9, (DiskSample("disk", "/", 1, 2),), {})
    assert host.engine_cpu == 0.05


def test_a_counter_that_jumps_back_tells_nothing() -> None:
    many = Counters(((90, 100),), 2**32 - 1, 7000, 2**32 - 1, 7000, 5.0)
    few = Counters(((1, 2),), 5, 8000, 0, 9000, 5.0)
    host = meter(many, few, few)
    host.warm_up(now=0)
    found = host.measure(0, 1, ())
    assert (found.cpu, found.per_cpu, host.engine_cpu) == (0, (0,), 0)
    assert (found.disk_read, found.disk_write, found.net_in, found.net_out) == (0, 1000, 0, 2000)
    assert host.measure(0, 2, ()).disk_write == 0


def test_cpus_may_come_and_go() -> None:
    host = meter(Counters(((1, 10),) * 2), Counters(((9, 20),) * 4), Counters(((14, 30),) * 4))
    host.warm_up(now=0)
    assert host.measure(0, 1, ()).per_cpu == (0, 0, 0, 0)
    assert host.measure(0, 2, ()).per_cpu == (0.5,) * 4


def test_the_first_look_has_nothing_to_compare_with() -> None:
    host = meter(Counters(((1, 10),), 500), Counters(((6, 20),), 900))
    assert not host.is_warm(now=0)
    assert (host.measure(0, 0, ()).cpu, host.measure(0, 1, ()).cpu) == (0, 0.5)
    assert host.is_warm(now=30)
    assert not host.is_warm(now=1000), "the average of an hour is not what happens now"


def test_pressure_is_told_as_far_as_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "cpu").write_text("some avg10=12.50 avg60=9.00 avg300=1.00 total=5\nfull avg10=3.00\n")
    (tmp_path / "pressure" / "io").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    found = meter(Counters(()), proc=str(tmp_path)).measure(0, 0, ())
    assert found.pressure == {"cpu": 0.125, "io": 0.0}


def cgroup(folder: Path, **files: str) -> Cgroup:
    """A group with these files in its folder, the dots of their names as underscores."""
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{text}\n", encoding="ascii")
    return Cgroup(folder)


def test_where_a_cgroup_has_less_than_the_host_that_is_measured(tmp_path: Path) -> None:
    group = cgroup(
        tmp_path,
        cpu_max="150000 100000",
        memory_max=str(64 * MIB),
        memory_current=str(40 * MIB),
        memory_stat=f"anon 1\ninactive_file {8 * MIB}\nactive_file 5",
    )
    counted = iter([Counters(((0, 100),) * 4, cgroup=7.0), Counters(((8, 108),) * 4, cgroup=10.0)])
    host = HostMeter(lambda: next(counted), cgroup=group)
    host.warm_up(now=0)
    found = host.measure(0, 4, ())
    assert (found.cpu, found.per_cpu) == (0.5, (1.0,) * 4), "0.75 of 1.5 CPUs, though all of the host are busy"
    assert (found.memory_used, found.memory_total) == (32 * MIB, 64 * MIB)
    assert found.of_cgroup == ("cpu", "memory")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu_max": "max 100000", "memory_max": "max", "memory_current": "5"},
        {"cpu_max": "400000 100000", "memory_max": str(1 << 60), "memory_current": "5"},
    ],
)
def test_a_cgroup_that_may_use_all_changes_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    counted = iter([Counters(((0, 100),) * 4), Counters(((4, 108),) * 4, cgroup=9.0)])
    host = HostMeter(lambda: next(counted), cgroup=cgroup(tmp_path, **files))
    host.warm_up(now=0)
    found = host.measure(0, 4, ())
    assert (found.cpu, found.of_cgroup) == (0.5, ())
    assert found.memory_total == psutil.virtual_memory().total


def test_what_is_admitted_and_what_is_measured_go_by_the_same_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = cgroup(tmp_path, cpu_max="50000 100000", memory_max=str(MIB), memory_current="0", cpu_stat="usage_usec 9")
    monkeypatch.setattr(Cgroup, "own", lambda: group)
    assert monitor.host() == Host(cpus=0.5, memory=MIB)
    found = HostMeter().measure(0, 0, ())
    assert (found.memory_total, found.of_cgroup) == (MIB, ("cpu", "memory"))
    assert counters().cgroup == 9e-6


def test_this_host_is_measured() -> None:
    before = counters()
    found = HostMeter().measure(0, 0, ())
    assert len(before.cpus) == len(found.per_cpu) == len(psutil.cpu_times(percpu=True))
    assert all(0 <= busy <= whole for busy, whole in before.cpus)
    assert 0 < found.memory_used < found.memory_total
    assert 0 <= found.swap_used <= found.swap_total
    assert before.engine > 0


# -- how often -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "cost", "then"),
    [
        (2.0, 0.0, 2.0),
        (2.0, BUDGET * 2, 2.0),
        (2.0, BUDGET * 2.1, 4.0),
        (16.0, 1.0, 30.0),
        (30.0, 9.0, 30.0),
        (8.0, BUDGET * 5, 8.0),
        (8.0, BUDGET * 4, 4.0),
        (3.0, 0.0, 2.0),
    ],
)
def test_it_backs_off_from_what_costs_too_much_and_comes_back(interval: float, cost: float, then: float) -> None:
    assert next_interval(interval, cost) == then


@pytest.mark.parametrize("cost", [0.001, 0.015, 0.021, 0.1, 0.12])
def test_it_settles_within_the_budget(cost: float) -> None:
    interval = MIN_INTERVAL
    for _ in range(10):
        interval = next_interval(interval, cost)
    assert interval == next_interval(interval, cost)
    assert cost <= BUDGET * interval


# -- for whom --------------------------------------------------------------------------------------------------


class Viewer:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class MeasuredBackend(FakeBackend):
    """Attempts without processes, which use what the test says. A reading takes a thread, as a real one does."""

    def __init__(self, *attempts: tuple[str, int]) -> None:
        super().__init__()
        self.live = dict.fromkeys(attempts, 0.0)
        self.readings = 0
        self.finished = 0
        self.cost = 0.0
        self.fails: Exception | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._limit = trio.CapacityLimiter(1)

    def host_samples(self) -> Mapping[str, HostSample]:
        return {"box": HOST}

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:  # noqa: ARG002
        return await trio.to_thread.run_sync(self._read, abandon_on_cancel=True, limiter=self._limit)

    def _read(self) -> UsageReading:
        self.readings += 1
        self.goes_on.wait(20)
        if self.fails is not None:
            raise self.fails
        self.finished += 1
        return UsageReading([USAGE] if self.live else [], self.cost)


class FakeCollector(Collector):
    """Finds what the test says."""

    def __init__(self) -> None:
        super().__init__(HostMeter(lambda: Counters(())))
        self.measured = 0
        self.warmed = 0

    @property
    def is_warm(self) -> bool:
        return self.warmed > 0

    def warm_up(self) -> None:
        self.warmed += 1

    def measure(self, disks: Sequence[DiskSample]) -> Measurement:  # noqa: ARG002
        self.measured += 1
        return Measurement(HOST, 0.0, 0.0)


HOST = HostSample(
    at=1.0,
    cpu=0.5,
    per_cpu=(0.5,),
    load=(1.0, 1.0, 1.0),
    memory_used=1,
    memory_total=2,
    swap_used=0,
    swap_total=0,
    disks=(),
    disk_read=0.0,
    disk_write=0.0,
    net_in=0.0,
    net_out=0.0,
    pressure={},
)


class Scene:
    def __init__(self, nursery: trio.Nursery, *attempts: tuple[str, int]) -> None:
        self.backend = MeasuredBackend(*attempts)
        self.collector = FakeCollector()
        self.feed = SampleFeed()
        self.notices: list[str] = []
        self.loop = SampleLoop(self.backend, DiskWatch({}), self.feed, self.notices.append, self.collector)
        nursery.start_soon(self.loop.run)


@pytest.mark.trio
async def test_nothing_is_measured_for_nobody(autojump_clock: MockClock, threads: WaitedThreads) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        await trio.sleep(1000)
        assert (scene.backend.readings, scene.collector.measured) == (0, 0)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_while_attempts_live_their_peaks_are_noted_and_the_host_is_left_alone(
    autojump_clock: MockClock,
    threads: WaitedThreads,
) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, ATTEMPT)
        await until(lambda: scene.backend.finished > 2, "three readings")
        assert (scene.feed.line, scene.collector.warmed, scene.collector.measured) == (b"", 0, 0)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_what_uses_disks_is_known_by_the_first_look_at_what_began_since(
    autojump_clock: MockClock, threads: WaitedThreads
) -> None:
    async with trio.open_nursery() as nursery:
        began, adopted = Scene(nursery), Scene(nursery, ATTEMPT)
        await trio.sleep(1)
        began.backend.live = {ATTEMPT: 0.0}
        await until(lambda: began.backend.finished and adopted.backend.finished, "a look at each")
        assert began.loop.disk_use.lately() == {ATTEMPT: USAGE.disk_written}
        assert adopted.loop.disk_use.lately() == {}
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_who_asks_is_told_at_once_and_with_a_rate(autojump_clock: MockClock, threads: WaitedThreads) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery)
        await trio.sleep(1000)
        viewer = Viewer()
        scene.feed.join(viewer)
        began = trio.current_time()
        await until(lambda: viewer.woken, "a sample comes")
        assert scene.collector.warmed == 1
        assert BASELINE <= trio.current_time() - began < 2 * BASELINE, "long enough for a rate, and no longer"
        assert scene.feed.line.startswith(b'{"type":"sampled","host":{"at":1.0,"cpu":0.5')
        assert [*msgspec.json.decode(scene.feed.line, type=Sampled).hosts] == ["box"]
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_host_that_hangs_gets_one_thread_and_holds_up_nobody(
    autojump_clock: MockClock, threads: WaitedThreads
) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, ATTEMPT)
        scene.backend.goes_on.clear()
        threads.hang = True
        await until(lambda: scene.backend.readings, "a thread reads")
        await trio.sleep(1000)
        assert scene.backend.readings == 1
        assert scene.loop.interval == MAX_INTERVAL
        scene.backend.goes_on.set()
        threads.hang = False
        await until(lambda: scene.loop.interval == MIN_INTERVAL, "it is measured as often as at first")
        assert scene.notices == []
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_host_that_cannot_be_measured_is_said_once_and_tried_again(
    autojump_clock: MockClock, threads: WaitedThreads
) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, ATTEMPT)
        scene.backend.fails = ValueError("no such field")
        await until(lambda: scene.notices, "it is said")
        tried = scene.backend.readings
        await until(lambda: scene.backend.readings > tried + 1, "it is tried again")
        scene.backend.fails = None
        await until(lambda: scene.backend.finished, "it is measured")
        assert scene.notices == ["the host cannot be measured: ValueError: no such field"]
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_pass_that_costs_too_much_makes_them_rare(autojump_clock: MockClock, threads: WaitedThreads) -> None:
    async with trio.open_nursery() as nursery:
        scene = Scene(nursery, ATTEMPT)
        scene.backend.cost = 10.0
        await until(lambda: scene.loop.interval == MAX_INTERVAL, "it is measured rarely")
        scene.backend.cost = 0.0
        await until(lambda: scene.loop.interval == MIN_INTERVAL, "it is measured as often as at first")
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_what_nobody_asks_for_any_more_is_not_shown_to_the_next() -> None:
    samples = SampleFeed()
    one, other = Viewer(), Viewer()
    samples.join(one)
    samples.publish(b"first\n")
    samples.join(other)
    samples.leave(one)
    assert samples.line == b"first\n"
    samples.leave(other)
    assert samples.line == b""
    samples.publish(b"late\n")
    assert samples.line == b""
    assert (one.woken, other.woken) == (1, 0)
