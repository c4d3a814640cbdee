"""Waiting for processes to end, with and without a descriptor for each."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from parexec_tui.engine.backends.local.watch import Exit, PidfdWatch

pytestmark = pytest.mark.trio


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """As long as this lasts, so many descriptors of this process are free; 8 count as few."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    with ExitStack() as gaps:
        while (fd := os.open(os.devnull, os.O_RDONLY)) <= highest:
            gaps.callback(os.close, fd)
        os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd + count, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def next_end(watch: PidfdWatch[str]) -> tuple[str, Exit]:
    with trio.fail_after(30):
        while not (ended := watch.take()):
            await watch.wait()
    ((name, exit_),) = ended
    return name, exit_


def started(command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True)


@contextmanager
def reaped_by_the_watch(process: subprocess.Popen[str]) -> Iterator[int]:
    """The pid of a process that nobody else waits for."""
    assert process.stdout is not None
    yield process.pid
    process.returncode = 0
    process.stdout.close()


@pytest.mark.parametrize(("free", "takes"), [(1_000, 1), (8, 0), (0, 0)])
async def test_the_end_of_a_child(free: int, takes: int) -> None:
    watch: PidfdWatch[str] = PidfdWatch()
    with reaped_by_the_watch(started("sleep 0.2; exit 3")) as pid:
        before = psutil.Process().num_fds()
        with descriptors_left(free):
            watch.add("child", pid)
        assert psutil.Process().num_fds() == before + takes
        name, found = await next_end(watch)
    assert (name, found.pid, found.code) == ("child", pid, 3)
    watch.close()


@pytest.mark.parametrize("free", [1_000, 8])
async def test_the_end_of_a_process_of_somebody_else(free: int) -> None:
    watch: PidfdWatch[str] = PidfdWatch()
    with started("sleep 0.3 & echo $!; exec sleep 60") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        with descriptors_left(free):
            watch.add("other", pid)
        assert await next_end(watch) == ("other", Exit(pid))
        parent.kill()
    watch.close()


async def test_a_wait_that_has_begun_hears_of_a_process_without_a_descriptor() -> None:
    watch: PidfdWatch[str] = PidfdWatch()

    async def add(pid: int) -> None:
        await trio.testing.wait_all_tasks_blocked()
        with descriptors_left(0):
            watch.add("late", pid)

    with reaped_by_the_watch(started("sleep 0.3")) as pid:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(add, pid)
            assert (await next_end(watch))[0] == "late"
    watch.close()


@pytest.mark.parametrize("free", [1_000, 8])
async def test_what_does_not_exist_is_refused(free: int) -> None:
    watch: PidfdWatch[str] = PidfdWatch()
    with started("true") as process:
        process.wait()
        with descriptors_left(free), pytest.raises(ProcessLookupError):
            watch.add("gone", process.pid)
    watch.close()
