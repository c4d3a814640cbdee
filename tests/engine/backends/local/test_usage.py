"""What attempts use: the rules with a made-up /proc, and the point of it with real processes."""

import os
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Usage
from parexec_tui.engine.backends.local.cookie import COOKIE
from parexec_tui.engine.backends.local.processes import Processes, ProcFolder, PsutilProcesses
from parexec_tui.engine.backends.local.usage import LiveProcess, UsageMeter
from tests.engine.backends.local.test_process import ESCAPE, attempts, key, more_than_ours, soon
from tests.engine.engines import PYTHON, number_in

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
UP = 1000.0
"""Seconds since the made-up host was started."""


class Host:
    """A folder that looks like /proc, and two attempts on it: A leads session 100, B leads 200."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        (self.proc / "uptime").write_text(f"{UP} 1.0\n")
        (self.proc / "meminfo").write_text("MemTotal: 1 kB\n")
        self.log = folder / "A.1.log"
        self.attempts = [
            LiveProcess(ProcessKey("A", 1), 100, "s@1/A.1", str(self.log)),
            LiveProcess(ProcessKey("B", 3), 200, "s@1/B.3", str(folder / "B.3.log")),
        ]
        self._now = 0.0
        self.asked: list[int] = []
        """Whose cookies were asked for."""
        self.meter = UsageMeter(_Asked(str(self.proc), self.asked))

    def has(
        self,
        pid: int,
        session: int,
        *,
        cookie: str = "",
        own: float = 0.0,
        reaped: float = 0.0,
        pages: int = 1,
        age: float = 10.0,
        name: str = "sh",
        state: str = "S",
        disk: tuple[int, int] | None = None,
    ) -> None:
        """There is such a process, or it has changed."""
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        birth = round((UP - age) * TICKS)
        times = f"{round(own * TICKS)} 0 {round(reaped * TICKS)} 0"
        (folder / "stat").write_text(
            f"{pid} ({name}) {state} 1 {session} {session} 0 -1 0 0 0 0 0 {times} 20 0 1 0 {birth} 9999 {pages} 0 0\n"
        )
        if disk is not None:
            (folder / "io").write_text(
                f"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: {disk[0]}\nwrite_bytes: {disk[1]}\n"
                "cancelled_write_bytes: 5\n"
            )
        (folder / "environ").write_text(f"A=1\0{COOKIE}={cookie}\0Z=2\0" if cookie else "A=1\0")

    def loses(self, pid: int) -> None:
        shutil.rmtree(self.proc / str(pid))

    def measure(self, now: float | None = None, wall: float = 0.0) -> dict[str, Usage]:
        """What they use by now; a second later than before, if the test does not say."""
        self._now = self._now + 1.0 if now is None else now
        return {usage.ticket: usage for usage in self.meter.measure(self.attempts, wall, self._now)}


class _Asked(ProcFolder):
    def __init__(self, root: str, asked: list[int]) -> None:
        super().__init__(root)
        self._asked = asked

    def cookie(self, pid: int) -> str | None:
        self._asked.append(pid)
        return super().cookie(pid)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# -- whose a process is ----------------------------------------------------------------------------------------


def test_an_attempt_is_its_session_and_those_that_left_it_with_its_cookie(host: Host) -> None:
    host.has(100, 100, pages=2)
    host.has(101, 100, pages=30)
    host.has(102, 102, pages=400, cookie="s@1/A.1")
    host.has(200, 200, pages=5)
    host.has(300, 300, pages=6000, cookie="s@2/A.1")
    host.has(301, 300, pages=7000)
    found = host.measure()
    assert (found["A"].memory, found["A"].processes) == (432 * PAGE, 3)
    assert (found["B"].memory, found["B"].processes) == (5 * PAGE, 1)
    assert (found["B"].ticket, found["B"].attempt) == ("B", 3)


def test_a_session_decides_before_a_cookie(host: Host) -> None:
    host.has(200, 200, cookie="s@1/A.1")
    assert (host.measure()["A"].processes, host.measure()["B"].processes) == (0, 1)


def test_an_engine_within_an_attempt_adds_its_mark_and_both_find_it(host: Host) -> None:
    host.has(150, 150, cookie="s@1/A.1:inner@9/X.1")
    assert host.measure()["A"].processes == 1


@pytest.mark.parametrize("name", ["a) S 1 200 (b", "x y", ")", "\n"])
def test_a_process_may_have_any_name(host: Host, name: str) -> None:
    host.has(100, 100, name=name, pages=7)
    assert host.measure()["A"].memory == 7 * PAGE


def test_a_zombie_is_none_of_its_processes_but_its_time_counts(host: Host) -> None:
    host.has(100, 100, age=10)
    host.has(101, 100, age=10, own=5, pages=0, state="Z")
    usage = host.measure()["A"]
    assert (usage.processes, usage.cpu) == (1, 0.5)


def test_a_process_that_goes_while_it_is_looked_at_is_left_out(host: Host) -> None:
    host.has(100, 100)
    host.has(101, 100)
    (host.proc / "101" / "stat").unlink()
    assert host.measure()["A"].processes == 1


def test_nothing_is_looked_at_for_no_attempts(host: Host) -> None:
    shutil.rmtree(host.proc)
    assert host.meter.measure([], 0.0, 0.0) == []
    with pytest.raises(FileNotFoundError):
        host.measure()


def test_who_is_settled_is_asked_for_its_cookie_once(host: Host) -> None:
    host.has(100, 100)
    host.has(301, 301)
    host.has(302, 302, cookie="s@1/A.1")
    for _ in range(3):
        assert host.measure()["A"].processes == 2
    assert sorted(host.asked) == [301, 302]


def test_who_is_young_may_still_get_its_cookie(host: Host) -> None:
    host.has(301, 301, age=0.1)
    assert host.measure()["A"].processes == 0
    host.has(301, 301, age=0.1, cookie="s@1/A.1")
    assert host.measure()["A"].processes == 1


def test_a_pid_that_came_back_is_somebody_else(host: Host) -> None:
    host.has(301, 301, age=50, cookie="s@1/A.1")
    assert host.measure()["A"].processes == 1
    host.has(301, 301, age=20)
    assert host.measure()["A"].processes == 0
    assert host.asked == [301, 301]


# -- how busy it is --------------------------------------------------------------------------------------------


def cpu(host: Host, now: float) -> float:
    return host.measure(now)["A"].cpu


@pytest.fixture
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parexec_tui.engine.backends.local.usage._CPUS", 64)


@pytest.mark.usefixtures("many_cpus")
def test_cpu_is_of_the_time_since_the_look_before(host: Host) -> None:
    host.has(100, 100, own=1, age=10)
    host.has(101, 100, own=4, age=5)
    assert cpu(host, 0) == 0.5, "at first since it began"
    host.has(100, 100, own=2)
    host.has(101, 100, own=6, age=5)
    assert cpu(host, 2) == 1.5
    assert cpu(host, 4) == 0


@pytest.mark.usefixtures("many_cpus")
def test_what_a_child_used_is_told_once(host: Host) -> None:
    host.has(100, 100)
    host.has(101, 100, own=6)
    cpu(host, 0)
    host.loses(101)
    host.has(100, 100, reaped=7)
    assert cpu(host, 2) == 0.5
    host.has(100, 100, reaped=9)  # a child that came and went between two looks
    assert cpu(host, 4) == 1


@pytest.mark.usefixtures("many_cpus")
def test_a_child_that_somebody_else_waited_for_takes_nothing_from_the_others(host: Host) -> None:
    host.has(100, 100, own=1)
    host.has(101, 101, own=50, cookie="s@1/A.1")
    cpu(host, 0)
    host.loses(101)
    host.has(100, 100, own=2)
    assert cpu(host, 2) == 0.5


def test_it_is_not_told_to_use_more_than_there_is(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parexec_tui.engine.backends.local.usage._CPUS", 2)
    host.has(100, 100)
    cpu(host, 0)
    host.has(100, 100, reaped=500)  # of a child that had left with neither session nor cookie
    assert cpu(host, 1) == 2


# -- in total --------------------------------------------------------------------------------------------------


def totals(host: Host) -> tuple[float, int, int]:
    found = host.measure()["A"]
    return found.cpu_seconds, found.disk_read, found.disk_written


def test_what_they_used_so_far_with_those_that_ended(host: Host) -> None:
    host.has(100, 100, own=1, disk=(10, 100))
    host.has(101, 100, own=2, disk=(20, 200))
    host.has(102, 100)  # of another user: what it reads is not told
    assert totals(host) == (3, 30, 300)
    host.loses(101)
    host.has(100, 100, own=1, reaped=3, disk=(50, 350))  # it waited for one that had used a little more by then
    assert totals(host) == (4, 50, 350)


def test_what_somebody_else_waited_for_is_kept_as_it_was_seen(host: Host) -> None:
    host.has(100, 100, own=1, disk=(10, 100))
    host.has(101, 101, own=50, cookie="s@1/A.1", disk=(2000, 9000))
    assert totals(host) == (51, 2010, 9100)
    host.loses(101)
    host.has(100, 100, own=2, disk=(15, 100))
    assert totals(host) == (52, 2010, 9100), "what was lost may be more than what came since"
    host.has(100, 100, own=4, disk=(45, 130))
    assert totals(host) == (54, 2040, 9130)


# -- its log ---------------------------------------------------------------------------------------------------


def test_silence_counts_from_when_the_log_grew(host: Host) -> None:
    host.log.write_text("one\n")
    os.utime(host.log, (1000.0, 1000.0))
    first = host.measure(now=50, wall=1030)["A"]
    assert (first.log_size, first.silence) == (4, 30)
    again = host.measure(now=60, wall=99_999)["A"]  # the clock on the wall was set
    assert again.silence == 40
    host.log.write_text("one\ntwo\n")
    grown = host.measure(now=70, wall=0)["A"]
    assert (grown.log_size, grown.silence) == (8, 0)


def test_without_a_log_silence_is_not_known(host: Host) -> None:
    found = host.measure()["B"]
    assert (found.silence, found.log_size) == (None, 0)


# -- real processes --------------------------------------------------------------------------------------------

MEMORY = f'{PYTHON} -c \'x = bytearray(96 << 20); open("held", "w").write("1\\n"); import time; time.sleep(60)\''
BUSY = f"{PYTHON} -c 'while True: pass'"

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
SCANNERS = [pytest.param(ProcFolder, id="proc", marks=needs_proc), pytest.param(PsutilProcesses, id="psutil")]

OpenProcesses = Callable[[], Processes]


@pytest.mark.trio
@pytest.mark.parametrize("open_scanner", SCANNERS)
async def test_a_tree_and_what_escaped_from_it(tmp_path: Path, open_scanner: OpenProcesses) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin(f'{MEMORY} & {PYTHON} -c "{ESCAPE}" & echo begun; wait')
        await t.identity_of(number)
        await soon(t.file("held").exists, "it holds its memory")
        number_in(t.file("escaped"))
        meter = UsageMeter(open_scanner())
        [usage] = meter.measure(t.backend.live_processes(), time.time(), time.monotonic())
        # The shell that records, the subshell, and the two that it started.
        assert (usage.ticket, usage.attempt, usage.processes) == ("T", 1, 4)
        assert 96 * MIB < usage.memory < 300 * MIB
        assert usage.log_size == len("begun\n")
        assert usage.silence is not None
        t.backend.stop(key(number), 0.0)
        await t.end_of(number)
        assert t.backend.living() == []


@pytest.mark.trio
@pytest.mark.parametrize("open_scanner", SCANNERS)
async def test_who_computes_is_busy_and_who_writes_is_not_silent(tmp_path: Path, open_scanner: OpenProcesses) -> None:
    async with attempts(tmp_path) as t:
        computes = t.begin(BUSY)
        writes = t.begin("while sleep 0.02; do echo more; done")
        for number in (computes, writes):
            await t.identity_of(number)
        meter = UsageMeter(open_scanner())
        clock = (float(seconds) for seconds in count())
        seen: list[list[Usage]] = []

        def look() -> bool:
            living = sorted(t.backend.live_processes(), key=lambda live: live.key)  # as they began to live, otherwise
            seen.append(meter.measure(living, time.time(), next(clock)))
            return len(seen) > 2 and seen[-1][0].cpu > 0 and seen[-1][1].log_size > seen[-2][1].log_size

        await soon(look, "a look at which both had done something")
        assert seen[-1][1].silence == 0
        assert seen[-1][0].silence == len(seen) - 1 + (seen[0][0].silence or 0)
        for number in (computes, writes):
            t.backend.stop(key(number), 0.0)
            await t.end_of(number)


def usage_of(memory: int, processes: int, cpu_seconds: float = 0.0, disk_read: int = 0) -> Usage:
    return Usage("T", 1, 0.0, memory, processes, None, 0, cpu_seconds=cpu_seconds, disk_read=disk_read)


@pytest.mark.trio
async def test_the_most_that_was_seen_is_told_at_the_end(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin("until test -e go; do sleep 0.01; done")
        await t.identity_of(number)
        for memory, processes in ((5 * MIB, 3), (900 * MIB, 7), (7 * MIB, 2)):
            t.backend.note_usage(key(number), usage_of(memory, processes, cpu_seconds=70.0, disk_read=5 * MIB))
        t.backend.note_usage(key(number + 1), usage_of(999 * MIB, 99))
        t.file("go").touch()
        ended = await t.end_of(number)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.used == Used(70.0, 900 * MIB, 7, 5 * MIB, ended.disk_written)


@pytest.mark.trio
async def test_what_its_largest_process_used_is_told_if_it_was_never_seen(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        used = more_than_ours()
        number = t.begin(f"{PYTHON} -c 'b\"x\" * {used}'")
        t.backend.note_usage(key(number), usage_of(1, 1))
        ended = await t.end_of(number)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.peak_memory > used
