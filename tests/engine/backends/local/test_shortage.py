"""Starts that the host has too little for."""

import errno
import os
import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.backends.local import shortage, starter
from parexec_tui.engine.backends.local.shortage import PROCESSES, ROOM, ShortageWatch, pids_limits
from tests.cgroups import pids_group
from tests.engine.backends.local.test_watch import descriptors_left
from tests.engine.backends.worlds import WITHIN, World, key
from tests.engine.small_disk import small_disk
from tests.engine.virtual_time import until

RECORDED = """
import os, sys
from pathlib import Path
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.local.record import report_of
from parexec_tui.engine.backends.local.spawn import Spawn, spawn
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.paths import SessionFolder

group, command, *argv = sys.argv[1:]
folder, key = SessionFolder(Path("session")), ProcessKey("T", 1)
folder.create()
log, record = folder.log_and_record(key)
# This process, and the shell that it starts.
(Path(group) / "pids.max").write_text("2")
pid = spawn(Spawn(command, tuple(argv), os.getcwd(), os.environ, log, record))
_, status = os.waitpid(pid, 0)
report = report_of(key, Exit(pid, os.waitstatus_to_exitcode(status)), folder)
print(report.host_short_of, "|", report.problem, "|", report.code)
again = report_of(key, Exit(pid), folder)
print(again == report, "as it is told after the death of the engine")
"""


@pytest.mark.parametrize("command", [("touch it",), ("touch it; true",), ("", "touch", "it")])
def test_a_shell_that_cannot_fork_says_so(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pids_group(20) as group:
        said = group.python(RECORDED, *command, cwd=tmp_path)
    assert said.splitlines()[0] == "processes | its shell could not fork | None"
    assert said.splitlines()[1].startswith("True")
    assert not (tmp_path / "it").exists()


THREADS = """
import sys, trio
from pathlib import Path
from parexec_tui.engine.threads import in_thread

async def main():
    (Path(sys.argv[1]) / "pids.max").write_text("1")
    print(await in_thread(lambda: "here"))
    try:
        await in_thread(lambda: "there", may_hang=True)
    except OSError as error:
        print(error)
    (Path(sys.argv[1]) / "pids.max").write_text("9")
    print(await in_thread(lambda: "there", may_hang=True))

trio.run(main)
"""


def test_work_is_done_without_a_thread_where_there_can_be_none(tmp_path: Path) -> None:
    with pids_group(20) as group:
        said = group.python(THREADS, cwd=tmp_path).splitlines()
    assert said == ["here", "[Errno 11] the system has no thread left", "there"]


@pytest.mark.trio
async def test_what_cannot_be_started_for_want_of_files_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a table of files of the whole system that is full does this: `spawn` needs no descriptor of ours."""

    def refuse(_: object) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(starter, "spawn", refuse)
    world = World("local", tmp_path)
    async with trio.open_nursery() as nursery:
        backend = world.open(nursery)
        with descriptors_left(0):
            backend.start(key(1), world.launch("true"))
            (put_back,) = await next_reports(backend)
            assert isinstance(put_back, rq.ProcessEnded)
            assert (put_back.host_short_of, put_back.ticket_at_fault) == ("open files", False)
            assert put_back.problem == "could not start a process: Too many open files in system"
            with trio.move_on_after(1.5):
                await backend.wait()
            assert not backend.take(), "there are none yet"
        assert await next_reports(backend) == [rq.HostShort("open files", "")]
        await backend.finish()
        nursery.cancel_scope.cancel()


async def next_reports(backend: Backend) -> Sequence[rq.AnyReport]:
    with trio.fail_after(WITHIN):
        while not (reports := backend.take()):
            await backend.wait()
    return reports


def fake_cgroup(root: Path, **limits: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("8:pids:/a/b\n3:cpuset:/\n0::/x\n")
    for name, text in limits.items():
        folder = root / "sys/fs/cgroup" / name.replace("__", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pids.max").write_text(text.split()[0])
        (folder / "pids.current").write_text(text.split()[1])


def test_the_limits_of_cgroups_of_both_versions_and_of_those_above(tmp_path: Path) -> None:
    fake_cgroup(tmp_path, pids__a__b__="max 5", pids__a__="100 90", pids__="50 20", x__="30 1")
    limits = pids_limits(tmp_path)
    assert sorted((limit.max, limit.left) for limit in limits) == [(30, 29), (50, 30), (100, 10)]
    for limit in limits:
        limit.current.close()
    assert pids_limits(tmp_path / "elsewhere") == []


@pytest.mark.trio
async def test_starts_wait_before_the_last_process_is_taken(tmp_path: Path, autojump_clock: MockClock) -> None:
    fake_cgroup(tmp_path, x__="100 80")
    current = tmp_path / "sys/fs/cgroup/x/pids.current"
    told: list[rq.HostShort] = []
    watch = ShortageWatch(told.append, pids_limits(tmp_path), tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(10)
        for _ in range(4):
            watch.check()
        with pytest.raises(OSError, match="the cgroup has 80 of the 100 processes that it may have"):
            watch.check()  # those four will need some as well
        assert told == []
        current.write_text("91")
        await trio.sleep(4)
        assert told == [rq.HostShort(PROCESSES, "the cgroup has 91 of the 100 processes that it may have")]
        current.write_text("85")
        await trio.sleep(60)
        assert len(told) == 1, "it does not go back and forth"
        current.write_text("79")
        await trio.sleep(40)
        assert told[1:] == [rq.HostShort(PROCESSES, "")]
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("limit", ["200", "max"])
async def test_a_limit_may_be_raised(tmp_path: Path, autojump_clock: MockClock, limit: str) -> None:
    fake_cgroup(tmp_path, x__="100 95")
    told: list[rq.HostShort] = []
    watch = ShortageWatch(told.append, pids_limits(tmp_path), tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(4)
        assert [each.text for each in told] == ["the cgroup has 95 of the 100 processes that it may have"]
        (tmp_path / "sys/fs/cgroup/x/pids.max").write_text(limit)
        await trio.sleep(31)
        assert told[1:] == [rq.HostShort(PROCESSES, "")]
        watch.check()
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_it_tries_less_often_while_nothing_can_be_started(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortage, "_files_can_be_had", lambda: True)
    over: list[float] = []
    watch = ShortageWatch(lambda _: over.append(trio.current_time()), [], tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        pauses = []
        for has_started in (False, False, False, False, False, False, False, True, False):
            watch.has_started = watch.has_started or has_started
            began = trio.current_time()
            watch.met("open files")
            await wait_all_tasks_blocked()
            await trio.sleep(31)
            pauses.append(over[-1] - began)
        nursery.cancel_scope.cancel()
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 1, 2]


def test_what_the_errors_of_a_start_mean() -> None:
    for number, resource_ in ((24, "open files"), (23, "open files"), (11, "processes"), (12, "memory"), (2, "")):
        assert shortage.short_of(OSError(number, "")) == resource_
    assert shortage.short_of(ValueError("embedded null byte")) == ""


@pytest.mark.trio
async def test_what_cannot_be_recorded_on_a_full_disk_is_put_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "session") as disk:
        world = World("local", tmp_path)
        async with world.engine() as engine:
            disk.fill()
            ended = await engine.end_of(engine.start("touch it"))
            assert isinstance(ended, rq.ProcessEnded)
            assert (ended.host_short_of, ended.code) == (ROOM, None)
            disk.make_room()
    assert not (world.work / "it").exists()


def test_a_disk_has_room_again_once_something_can_be_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        disk.fill()
        assert not shortage.has_room(disk.path)
        disk.make_room()
        assert shortage.has_room(disk.path)
        assert list(disk.path.iterdir()) == []


def commands(processes: Iterable[psutil.Process]) -> Iterator[list[str]]:
    """What they run; those that ended meanwhile are left out."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            yield each.cmdline()


@pytest.mark.trio
async def test_a_shell_waits_for_space_to_record_how_its_command_ended(tmp_path: Path) -> None:
    with small_disk(tmp_path / "session") as disk:
        world = World("local", tmp_path)
        async with world.engine() as engine:
            at = engine.start("until [ -e go ]; do sleep 0.02; done; exit 3")
            record = world.folder.record(at)
            await until(lambda: record.exists() and record.stat().st_size, "it has begun")
            shell = psutil.Process((await engine.identity_of(at)).pid)
            with record.open("ab") as file:  # a short line always has a place in the block of its file
                file.write(b"\n" * (resource.getpagesize() - record.stat().st_size))
            disk.fill()
            (world.work / "go").touch()
            await until(lambda: ["sleep", "1"] in commands(shell.children()), "it waits")
            disk.make_room()
            assert await engine.ended(at) == (3, None)
