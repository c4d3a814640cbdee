"""A host that is short of disk: nothing new is started until there is room again."""

import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.core.wire.requests import DiskMeasured
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.measure.disk_watch import DiskWatch
from tests.core.sessions import Session
from tests.engine.test_coordinator import lasting, running
from tests.engine.virtual_time import WaitedThreads, until

MIB = 1024 * 1024
PLAN = '[plan]\nmin_free_disk = "100MiB"\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n'


def free(mib: float | None) -> list[DiskMeasured]:
    return [DiskMeasured("disk", "/state", None if mib is None else int(mib * MIB))]


@pytest.mark.trio
async def test_dispatch_is_held_until_there_is_room_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, PLAN, lasting(10, "A", "B")) as run:
        run.coordinator.submit_reports(free(99))
        await run.until(lambda: run.ends("A"), "what runs goes on")
        await wait_all_tasks_blocked()
        assert [ticket for _, ticket, _ in run.backend.starts] == ["A"]
        (reason,) = why(run.state, run.state.tickets["B"])
        assert reason.kind == "host"
        assert reason.text == "host short of disk: 99MiB free in /state, the plan wants 100MiB"
        run.coordinator.submit_reports(free(104))
        await wait_all_tasks_blocked()
        assert run.kinds(ev.HostPressed, ev.HostRelieved) == ["host_pressed"]
        run.coordinator.submit_reports(free(105))
    assert run.kinds(ev.HostPressed, ev.HostRelieved) == ["host_pressed", "host_relieved"]
    assert run.outcome == "finished"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("measures", "told"),
    [
        ((100, 104, 101), []),
        ((99, 98, 104, 99), ["pressed"]),
        ((99, 105, 101, 99), ["pressed", "relieved", "pressed"]),
        ((99, None), ["pressed", "relieved"]),
        ((99, 49, 30, 24, 36), ["pressed"] * 3),
        ((None, None), []),
    ],
)
async def test_it_does_not_go_back_and_forth(
    tmp_path: Path, autojump_clock: MockClock, measures: list[float | None], told: list[str]
) -> None:
    async with running(tmp_path, PLAN) as run:
        for measure in measures:
            run.coordinator.submit_reports(free(measure))
            await wait_all_tasks_blocked()
        assert run.kinds(ev.HostPressed, ev.HostRelieved) == [f"host_{word}" for word in told]
        run.coordinator.submit_reports(free(None))
        run.backend.end("A")
        await run.until(lambda: "B" in run.backend.running, "B starts")
        run.backend.end("B")


@pytest.mark.trio
async def test_a_plan_may_do_without_a_floor(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, PLAN.replace("100MiB", "0"), lasting(1, "A", "B")) as run:
        run.coordinator.submit_reports(free(0))
    assert run.kinds(ev.HostPressed) == []


def test_a_press_outlives_its_engine() -> None:
    session = Session("A:")
    session.apply(ev.HostPressed(at=session.now, resource="disk", text="none"))
    session.resume()
    assert session.dispatch() == []
    session.apply(ev.HostRelieved(at=session.now, resource="disk"))
    assert session.dispatch() == ["A"]


@pytest.mark.trio
async def test_events_do_not_go_back_in_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, PLAN, lasting(0.1, "A", "B")) as run:
        pass
    times = [event.at for event in run.journal()]
    assert times == sorted(times)


def test_disks_are_measured(tmp_path: Path) -> None:
    (measure,) = monitor.measure_disks(monitor.disks(str(tmp_path), tmp_path))
    assert measure.name == "disk"
    assert 0 < measure.free <= measure.total
    assert monitor.measure_disks({"disk": tmp_path / "missing"}) == []
    assert list(monitor.disks(str(tmp_path), tmp_path, tmp_path)) == ["disk"]
    if Path("/proc").stat().st_dev != tmp_path.stat().st_dev:
        assert monitor.disks(str(tmp_path), tmp_path, Path("/proc"))["disk of the repository"] == Path("/proc")
        assert list(monitor.disks("/proc", tmp_path)) == ["disk of the workdir", "disk of the state folder"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system at hand that counts no blocks")
def test_a_file_system_that_counts_no_blocks_says_nothing_of_its_room() -> None:
    assert monitor.measure_disks({"disk": Path("/proc")}) == []


@pytest.mark.trio
async def test_a_disk_that_does_not_answer_is_told_as_unknown_and_shown_to_nobody(tmp_path: Path) -> None:
    watch = DiskWatch({"disk": tmp_path, "disk of the workdir": tmp_path / "missing"})
    heard: list[DiskMeasured] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run, heard.extend)
        nursery.cancel_scope.cancel()
    (seen,) = watch.latest
    assert heard == [
        DiskMeasured("disk", str(tmp_path), seen.free),
        DiskMeasured("disk of the workdir", str(tmp_path / "missing"), None),
    ]


@pytest.mark.trio
async def test_a_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, threads: WaitedThreads
) -> None:
    answers = threading.Event()
    hung: list[bool] = []

    def hang(disks: object) -> list[DiskSample]:
        hung.append(True)
        answers.wait(20)
        return []

    monkeypatch.setattr(monitor, "measure_disks", hang)
    watch = DiskWatch({"disk": tmp_path})
    watch.latest = [DiskSample("disk", str(tmp_path), 1, 2)]
    threads.hang = True
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run, lambda _: None)
        assert not watch.latest, "what is old is not shown"
        await until(lambda: hung, "a thread looks at the disk")
        await trio.sleep(100)
        assert len(hung) == 1, "no second thread while the first one hangs"
        answers.set()
        threads.hang = False
        await until(lambda: len(hung) == 3, "it is looked at again and again")
        nursery.cancel_scope.cancel()
