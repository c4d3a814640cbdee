"""What the host has is told to the rules every second, and what of it counts: also below cgroups of version 1."""

import os
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.engine.measure.activity import ActivityMeter
from parexec_tui.engine.measure.cgroup import Cgroup
from parexec_tui.engine.measure.pressure_watch import PressureWatch
from tests.core.sessions import Session, plan

MIB = 2**20


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n", encoding="ascii")
    return folder


def test_a_limit_of_version_1_counts_also_one_of_a_group_above(tmp_path: Path) -> None:
    memory, cpu = tmp_path / "memory", tmp_path / "cpu"
    write(memory, memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=900 * MIB)
    write(memory / "box", memory__limit_in_bytes=100 * MIB, memory__usage_in_bytes=70 * MIB)
    write(memory / "box", memory__stat=f"cache 5\ntotal_inactive_file {20 * MIB}")
    write(memory / "box" / "job", memory__limit_in_bytes=200 * MIB, memory__usage_in_bytes=60 * MIB)
    write(cpu / "box" / "job", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000, cpuacct__usage=5 * 10**9)
    write(cpu / "box", cpu__cfs_quota_us=150_000, cpu__cfs_period_us=100_000, cpuacct__usage=7 * 10**9)
    group = Cgroup.named_in(["9:memory:/box/job", "4:cpu,cpuacct:/box/job", "0::/"], tmp_path)
    assert (group.memory, group.memory_used) == (100 * MIB, 50 * MIB)
    assert (group.cpus, group.cpu_seconds) == (1.5, 7.0)


def test_version_2_and_a_name_that_only_the_host_knows(tmp_path: Path) -> None:
    write(tmp_path, memory__max=64 * MIB, memory__current=40 * MIB, memory__stat=f"inactive_file {8 * MIB}")
    write(tmp_path, cpu__max="50000 100000", cpu__stat="usage_usec 3000000")
    group = Cgroup.named_in(["0::/docker/0123"], tmp_path)
    assert (group.memory, group.memory_used, group.cpus, group.cpu_seconds) == (64 * MIB, 32 * MIB, 0.5, 3.0)
    assert Cgroup.named_in(["9:pids:/x"], tmp_path / "none").memory is None


@pytest.mark.trio
async def test_the_host_is_told_every_second_with_what_the_live_attempts_use(
    autojump_clock: MockClock, tmp_path: Path, threads: object
) -> None:
    session = Session(plan("A:\nB:"))
    session.dispatch()
    told: list[rq.AnyReport] = []

    def submit(reports: Sequence[rq.AnyReport]) -> None:
        told.extend(reports)

    used = {("A", 1): 7 * MIB, ("B", 9): MIB, ("gone", 1): MIB}
    group = Cgroup(write(tmp_path, memory__max=64 * MIB, memory__current=40 * MIB))
    disks = [DiskSample("disk of the workdir", "/w", 9 * MIB, 10 * MIB), DiskSample("other", "/o", 3 * MIB, 10 * MIB)]
    write(tmp_path / "pressure", io="some avg10=12.50 avg60=9.00 avg300=1.00 total=5")
    disk_used = {("B", 1): 5 * MIB, ("A", 9): MIB, ("gone", 1): MIB}
    watch = PressureWatch(
        session.state,
        lambda: used,
        submit,
        group,
        disks=lambda: disks,
        disk_used=lambda: disk_used,
        proc=tmp_path,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        assert len(told) == 1, "before it has started"
        await trio.sleep(3.5)
        nursery.cancel_scope.cancel()
    assert len(told) == 4
    assert isinstance(first := told[0], rq.HostMeasured)
    assert first.load is not None
    assert first == rq.HostMeasured(
        24 * MIB, 64 * MIB, {"A": 7 * MIB}, 3 * MIB, 0.125, first.load, None, {"B": 5 * MIB}
    )
    free = PressureWatch(session.state, dict, submit, Cgroup(tmp_path / "none"))
    available, total = free.memory()
    assert 0 < available <= total == psutil.virtual_memory().total


def test_how_busy_it_was_is_counted_within_the_limits_of_the_cgroup(tmp_path: Path) -> None:
    now = [10.0]
    proc = write(tmp_path / "proc", loadavg="0.50 0.40 0.30 4/200 999")
    group = write(tmp_path / "group", cpu__max="50000 100000", cpu__stat="usage_usec 3000000")

    def pressed(cpu: int, memory: int) -> None:
        for name, total in (("cpu", cpu), ("memory", memory)):
            text = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 total=7"
            write(proc / "pressure", **{name: text})

    pressed(1_000_000, 0)
    meter = ActivityMeter(proc, Cgroup(group), lambda: now[0])
    assert meter.look(9) is None, "a share needs two looks"
    now[0] = 12.0
    write(group, cpu__stat="usage_usec 3900000")
    pressed(2_500_000, 500_000)
    found = meter.look(5)
    assert found is not None
    assert found.memory_low == 5
    assert found.cpu >= 0.9, "0.9 of the second that it may use"
    assert (found.cpu_wait, found.memory_wait) == (0.75, 0.25)
    assert found.runnable == pytest.approx(4 / len(os.sched_getaffinity(0)), abs=0.01)


def test_the_last_second_counts_for_cpu_and_the_last_three_for_what_is_waited_for(tmp_path: Path) -> None:
    now = [0.0]
    proc = tmp_path / "proc"
    meter = ActivityMeter(proc, Cgroup(tmp_path / "none"), lambda: now[0])
    for second in range(8):
        now[0] = float(second)
        busy = min(second, 4) * 1_000_000
        write(proc / "pressure", cpu=f"some avg10=0.00 total={busy}")
        found = meter.look(100 + second)
    assert found is not None
    assert found.cpu_wait == 0.0
    assert found.memory_wait is None, "the kernel does not tell"
    assert found.runnable is None
    assert found.memory_low == 104


@pytest.mark.trio
async def test_how_busy_it_is_is_looked_at_only_for_who_wants_to_know(
    autojump_clock: MockClock, tmp_path: Path, threads: object
) -> None:
    session = Session(plan("A:\nB:"))
    session.dispatch()
    told: list[rq.AnyReport] = []
    watch = PressureWatch(session.state, dict, told.extend, Cgroup(tmp_path / "none"))
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        await trio.sleep(2.5)
        assert len(told) == 3
        assert not any(isinstance(each, rq.HostMeasured) and each.activity for each in told)
        session.act(rq.Scale(most=None, auto=True, by="ann"))
        await trio.sleep(3)
        session.act(rq.Scale(most=2, by="ann"))
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    seen = [isinstance(each, rq.HostMeasured) and each.activity is not None for each in told]
    assert sum(seen) >= 8, "four times a second, from the second look on"
    assert not seen[-1]
