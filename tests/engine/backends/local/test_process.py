"""Attempts as real processes: how they begin, what they inherit, how they end, and that nothing of them stays."""

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio

from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Identity, Launch
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.attempt_cgroups import Parent
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.local.cgroup import own_cgroup
from parexec_tui.engine.backends.local.controllers import Controllers, find_controllers
from parexec_tui.engine.backends.local.cookie import (
    COOKIE,
    bearers,
    cookie_in,
    cookie_of,
    cookie_prefix,
    nested_cookie,
)
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.local.record import ExitRecord, read_record, void_record
from parexec_tui.engine.backends.local.spawn import _FINISH, _RECORD_FD, _RECORD_WITHIN, Spawn, spawn
from parexec_tui.engine.backends.local.watch import PidfdWatch, ThreadWatch, Watch
from parexec_tui.paths import SessionFolder
from tests.engine.engines import PYTHON, WITHIN, exists, number_in, stands_still, until
from tests.engine.small_disk import small_disk

Watches = Callable[[], Watch[ProcessKey]]

WATCHES = [
    pytest.param(
        PidfdWatch, id="pidfd", marks=pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
    ),
    pytest.param(ThreadWatch, id="thread"),
]

ESCAPE = "import os, time; os.setsid(); open('escaped', 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
"""A program that leaves its process group and session."""

KILL_LEADER = "kill -9 $(cut -d' ' -f6 /proc/self/stat)"
"""A command that kills the shell that records how it ends, the leader of its session."""

DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); open('deaf', 'w').write('1\\n'); time.sleep(60)"
"""A program that ignores TERM."""


def key(number: int) -> ProcessKey:
    return ProcessKey("T", number)


class Attempts:
    """A backend and its attempts, all of ticket T, in one folder."""

    def __init__(
        self,
        nursery: trio.Nursery,
        folder: Path,
        watch: Watch[ProcessKey],
        cgroup_parent: Parent,
        controllers: Callable[[], Controllers],
    ) -> None:
        self.folder = folder
        """In which they run."""
        self.session = SessionFolder(folder)
        self.session.create()
        self.prefix = cookie_prefix("session", self.session.attempts)
        self.orphans = Orphans() if isinstance(watch, PidfdWatch) else None
        self.backend = LocalBackend(
            nursery,
            "session",
            self.session,
            environment={"PATH": os.environ["PATH"]},
            boot=boot_id(),
            watch=watch,
            orphans=self.orphans,
            cgroup_parent=cgroup_parent,
            controllers=controllers,
        )
        self.limits: Limits | None = None
        """Of what begins from now on."""
        self.number = 0
        self.heard: dict[int, rq.AnyReport] = {}
        self.identities: dict[int, rq.ProcessStarted] = {}
        self.strays: list[rq.StraysFound] = []
        self.news = trio.Event()
        self.reader: int | None = None
        """The end to read from, of a log that is a pipe."""

    def launch(self, run: str = "", *argv: str, cwd: Path | None = None, **env: str) -> Launch:
        return Launch(run, argv, str(cwd or self.folder), env, limits=self.limits)

    def spawn(self, number: int, run: str) -> Spawn:
        """What the backend would start."""
        return self.backend.prepare(key(number), self.launch(run)).spawn

    def cookie(self, number: int) -> str:
        return cookie_of(self.prefix, key(number))

    def begin(self, run: str = "", *argv: str, cwd: Path | None = None, **env: str) -> int:
        """Start an attempt; returns its number."""
        self.number += 1
        self.backend.start(key(self.number), self.launch(run, *argv, cwd=cwd, **env))
        return self.number

    async def listen(self) -> None:
        """Take what the backend reports, as the coordinator does."""
        while True:
            await self.backend.wait()
            for report in self.backend.take():
                if isinstance(report, rq.ProcessStarted):
                    self.identities[report.attempt] = report
                elif isinstance(report, rq.StraysFound):
                    self.strays.append(report)
                else:
                    assert isinstance(report, rq.ProcessEnded | rq.ProcessLost)
                    assert report.attempt not in self.heard, "two ends of one attempt"
                    self.heard[report.attempt] = report
            self.news.set()
            self.news = trio.Event()

    async def end_of(self, number: int) -> rq.AnyReport:
        with trio.fail_after(WITHIN):
            while number not in self.heard:
                await self.news.wait()
        return self.heard[number]

    async def identity_of(self, number: int) -> rq.ProcessStarted:
        self.backend.identify(key(number))
        self.backend.wake()
        with trio.fail_after(WITHIN):
            while number not in self.identities:
                await self.news.wait()
        return self.identities[number]

    async def run(self, run: str = "", *argv: str, cwd: Path | None = None, **env: str) -> rq.ProcessEnded:
        """Run an attempt to its end."""
        report = await self.end_of(self.begin(run, *argv, cwd=cwd, **env))
        assert isinstance(report, rq.ProcessEnded)
        return report

    async def code(self, run: str) -> int | None:
        return (await self.run(run)).code

    def log(self, number: int = 0) -> str:
        return self.session.log(key(number or self.number)).read_text(encoding="utf-8")

    def record(self, number: int = 0) -> ExitRecord:
        """What is in a record; nothing, before there is one."""
        return read_record(self.session.record(key(number or self.number))) or ExitRecord()

    def file(self, name: str) -> Path:
        return self.folder / name

    def close(self) -> None:
        """Have orphans no longer come to this process."""
        if self.orphans is not None:
            self.orphans.close()

    async def leader(self) -> int:
        """The pid of the shell of the newest attempt, once it has begun."""
        await soon(lambda: self.record().pid, "it begins")
        pid = self.record().pid
        assert pid is not None
        return pid


async def soon(condition: Callable[[], object], what: str) -> None:
    await trio.to_thread.run_sync(lambda: until(condition, what))


@asynccontextmanager
async def attempts(
    folder: Path,
    watch: Watches = PidfdWatch,
    *,
    listens: bool = True,
    cgroup_parent: Parent = own_cgroup,
    controllers: Callable[[], Controllers] = find_controllers,
) -> AsyncIterator[Attempts]:
    async with trio.open_nursery() as nursery:
        made = Attempts(nursery, folder, watch(), cgroup_parent, controllers)
        if listens:
            nursery.start_soon(made.listen)
        try:
            yield made
        except BaseException:  # a test that failed leaves nothing behind either
            for identity, _ in bearers(prefix=made.prefix).values():
                process.signal_process(identity, signal.SIGKILL)
            raise
        finally:
            made.close()
        await made.backend.finish()
        if made.reader is not None:
            os.close(made.reader)
        nursery.cancel_scope.cancel()


def state_of(pid: int) -> str:
    """The letter by which /proc tells what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# -- how it ends -----------------------------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_exit_codes_and_signals(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        for code in (0, 1, 2, 3, 125, 126, 127, 128, 200, 255):
            ended = await t.run(f"exit {code}")
            assert (ended.code, ended.signal, ended.problem) == (code, None, "")
            assert t.record().code == code
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSEGV, signal.SIGUSR1):
            ended = await t.run(f"sh -c 'kill -{int(number)} $$'")
            assert (ended.code, ended.signal) == (None, number)


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_the_same_for_a_program(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        assert (await t.run("", "sh", "-c", "exit 3")).code == 3
        assert (await t.run("", "sh", "-c", "kill -9 $$")).signal == 9
        assert (await t.run("", "printf", "%s|", "a b", "$HOME", "'\"", "")).code == 0
        assert t.log() == "a b|$HOME|'\"||"


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_the_recording_shell_itself_killed(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        ended = await t.run(f"{KILL_LEADER}; sleep 60")
        assert (ended.code, ended.signal) == (None, 9)
        assert t.record().code is None


@pytest.mark.trio
async def test_a_command_that_cannot_start(tmp_path: Path) -> None:
    file = tmp_path / "plain"
    file.write_text("true\n")
    async with attempts(tmp_path) as t:
        assert await t.code("no-such-command-at-all") == 127
        assert await t.code("./plain") == 126
        assert (await t.run("", "no-such-command-at-all")).code == 127
        assert "not found" in t.log()
        assert (await t.run("", "./plain")).code == 126
        assert t.record().code == 126


@pytest.mark.trio
async def test_a_name_of_the_shell_is_not_a_program(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        for word in ("exit", "exec", "eval", "set", "return"):
            assert (await t.run("", word, "3")).code == 127
            assert t.record().code == 127


@pytest.mark.trio
async def test_a_missing_folder_is_a_problem_of_its_own(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        ended = await t.run("true", cwd=tmp_path / "nowhere")
        assert (ended.code, ended.problem) == (126, "its working directory does not exist")
        assert t.record() == ExitRecord(pid=t.record().pid, no_cwd=True)


@pytest.mark.trio
async def test_what_cannot_be_spawned_says_why(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        for run, why in (("a\0b", "null byte"), ("x" * 3_000_000, "too long")):
            ended = await t.end_of(t.begin(run))
            assert isinstance(ended, rq.ProcessEnded)
            assert why in ended.problem
            assert not t.file(f"T.{t.number}.exit").exists()
        t.session.log(key(3)).mkdir()
        ended = await t.end_of(t.begin("true"))
        assert isinstance(ended, rq.ProcessEnded)
        assert "Is a directory" in ended.problem


def more_than_ours() -> int:
    """Bytes that a process must use to be told: more than this process ever did, which it began as a copy of."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (128 << 20)


@pytest.mark.trio
async def test_cpu_time_and_memory_are_told(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        used = more_than_ours()
        ended = await t.run(f"{PYTHON} -c 'x = b\"x\" * {used}\nfor _ in range(1000000): pass'")
        assert ended.cpu_seconds > 0.02
        assert used < ended.peak_memory < used + (300 << 20)


WRITES = "dd if=/dev/zero of=big bs=1M count=6 conv=fsync 2>/dev/null"

needs_storage = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@needs_storage
@pytest.mark.trio
async def test_what_is_written_is_told_of_a_child(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        small = (await t.run("true")).disk_written
        assert small < 1 << 20
        assert 6 << 20 <= (await t.run(f"sh -c '{WRITES}'; true")).disk_written - small < 9 << 20


@needs_storage
@pytest.mark.trio
@pytest.mark.parametrize("leave", ["", "setsid "])
async def test_what_an_orphan_used_is_told_though_its_attempt_never_waited_for_it(tmp_path: Path, leave: str) -> None:
    async with attempts(tmp_path) as t:
        run = f"({leave}sh -c '{WRITES}; touch done' &); until test -e done; do sleep 0.01; done; sleep 0.1"
        ended = await t.run(run)
        assert ended.disk_written >= 6 << 20


@needs_storage
@pytest.mark.trio
async def test_whose_an_orphan_was_is_known_among_several_if_it_was_looked_at(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        other = t.begin("until test -e over; do sleep 0.01; done")
        late = f"touch left; until test -e go; do sleep 0.01; done; {WRITES}; touch done"
        number = t.begin(f"(setsid sh -c '{late}' &); until test -e done; do sleep 0.01; done; sleep 0.1")
        await soon(t.file("left").exists, "there is an orphan")
        await t.identity_of(number)
        await t.backend.usage()
        t.file("go").touch()
        ended = await t.end_of(number)
        t.file("over").touch()
        beside = await t.end_of(other)
        assert isinstance(ended, rq.ProcessEnded)
        assert isinstance(beside, rq.ProcessEnded)
        assert ended.disk_written >= 6 << 20 > beside.disk_written


@pytest.mark.trio
async def test_our_own_memory_is_not_taken_for_that_of_a_ticket(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        assert (await t.run("true")).peak_memory == 0


# -- what it is given ------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_where_and_with_what_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with 'quotes'"
    folder.mkdir()
    async with attempts(tmp_path) as t:
        await t.run("pwd; pwd -P; echo $PWD; readlink /proc/self/fd/0; echo $COLOUR; cat", cwd=folder, COLOUR="red")
        assert t.log().splitlines() == [str(folder)] * 3 + ["/dev/null", "red"]


@pytest.mark.trio
async def test_the_pwd_is_the_path_as_given_not_where_links_lead(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    async with attempts(tmp_path) as t:
        await t.run("echo $PWD", cwd=tmp_path / "link")
        assert t.log() == f"{tmp_path}/link\n"


@pytest.mark.trio
async def test_both_streams_go_to_the_log_in_order(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        await t.run("echo one; echo two >&2; echo three; echo four >&2")
        assert t.log() == "one\ntwo\nthree\nfour\n"
        assert t.session.log(key(1)).stat().st_mode & 0o777 == 0o600


@pytest.mark.trio
async def test_it_leads_a_group_and_a_session_of_its_own(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin("sleep 60")
        leader = await t.leader()
        assert os.getpgid(leader) == os.getsid(leader) == leader
        assert os.getsid(0) != leader
        t.backend.stop(key(number), 0)
        await t.end_of(number)


@pytest.mark.trio
@pytest.mark.parametrize("argv", [(), ("ls", "/proc/self/fd")], ids=["shell", "program"])
async def test_it_inherits_no_descriptor_of_ours(tmp_path: Path, argv: tuple[str, ...]) -> None:
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)  # as one that whoever started the engine left open
        async with attempts(tmp_path) as t:
            other = t.begin("sleep 60")
            await t.run("" if argv else "ls /proc/self/fd", *argv)
            assert t.log().split() == ["0", "1", "2", "3"], "3 is the folder that ls reads"
            t.backend.stop(key(other), 0)
            await t.end_of(other)


@pytest.mark.trio
async def test_signals_are_the_defaults_whatever_ours_are(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        async with attempts(tmp_path) as t:
            for argv in ((), ("cat", "/proc/self/status")):
                await t.run("" if argv else "cat /proc/self/status", *argv)
                masks = dict(re.findall(r"(Sig\w+):\s+(\w+)", t.log()))
                realtime = ~((1 << 31) - 1)  # those are left alone: nobody ignores them by accident
                assert int(masks["SigBlk"], 16) == 0
                assert int(masks["SigIgn"], 16) & ~realtime == 0
                assert int(masks["SigCgt"], 16) == 0
            for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
                ended = await t.run(f"{PYTHON} -c 'import os; os.kill(os.getpid(), {int(number)})'")
                if number not in (signal.SIGINT, signal.SIGPIPE):  # these two Python takes for itself
                    assert ended.signal == number
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


@pytest.mark.trio
async def test_niceness(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        await t.run("", "nice", "-n", "5", "nice")
        assert int(t.log()) == os.nice(0) + 5


# -- the text of a command -------------------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize(
    ("run", "code", "output"),
    [
        ("echo 'it''s \"so\"' \"$(echo \\$HOME)\"", 0, 'its "so" $HOME\n'),
        ("echo one\necho two\n\n", 0, "one\ntwo\n"),
        ("cat <<END\nhello\nEND", 0, "hello\n"),
        ("exit 3; echo never", 3, ""),
        ("exec sh -c 'exit 4'", 4, ""),
        ("set -e; false; echo never", 1, ""),
        ("set -eu; echo $nothing_of_this_name", 2, None),
        ("trap 'echo bye' EXIT; exit 5", 5, "bye\n"),
        ("trap 'echo caught; exit 6' TERM; kill -TERM $(sh -c 'echo $PPID'); sleep 9", 6, "caught\n"),
        ("echo hello # a comment", 0, "hello\n"),
        ("-n", 127, None),
        ("if true; then", 2, None),
        ("echo $# \"$*\"", 0, "0 \n"),
        ("echo >&9", 2, None),
        ("exec 9>mine; echo words >&9; cat mine", 0, "words\n"),
        ("cd /; pwd", 0, "/\n"),
        ("false | true", 0, ""),
        ("false || true", 0, ""),
        ("! true", 1, ""),
        ("return 7", 7, ""),
        ("echo ümläut €", 0, "ümläut €\n"),
        (" ", 0, ""),
    ],
)  # fmt: skip
async def test_what_a_command_may_say(tmp_path: Path, run: str, code: int, output: str | None) -> None:
    async with attempts(tmp_path) as t:
        assert await t.code(run) == code
        assert t.record().code == code
        if output is not None:
            assert t.log() == output


@pytest.mark.trio
async def test_a_flood_of_output_blocks_nobody(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        assert await t.code("head -c 100000000 /dev/zero; echo done >&2") == 0
        assert t.session.log(key(1)).stat().st_size == 100_000_005


# -- its record ------------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_what_the_record_says(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin("until [ -e go ]; do sleep 0.01; done; exit 3")
        leader = await t.leader()
        assert t.session.record(key(1)).read_text() == f"start {leader}\n"
        assert t.record() == ExitRecord(pid=leader)
        t.file("go").touch()
        await t.end_of(number)
        assert t.session.record(key(1)).read_text() == f"start {leader}\nexit 3\n"


@pytest.mark.trio
async def test_an_attempt_begins_at_most_once(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        assert await t.code("echo once") == 0
        with pytest.raises(FileExistsError):
            spawn(t.spawn(1, "echo twice"))
        del t.heard[1]
        t.backend.start(key(1), t.launch("echo twice"))
        assert await t.end_of(1) == rq.ProcessLost("T", 1, "this attempt has a record already", began=False)
        assert t.log(1) == "once\n"
        assert t.record(1).code == 0


# -- what is asked while its process is not there yet ----------------------------------------------------------


@asynccontextmanager
async def slow_start(t: Attempts, run: str) -> AsyncIterator[int]:
    """An attempt whose start takes as long as this context: nobody reads from the pipe that is its log."""
    os.mkfifo(t.session.log(key(t.number + 1)))
    number = t.begin(run)
    await soon(lambda: t.session.record(key(number)).exists(), "it is being started")
    yield number
    t.reader = os.open(t.session.log(key(number)), os.O_RDONLY | os.O_NONBLOCK)


@pytest.mark.trio
async def test_others_run_while_one_is_being_started(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        async with slow_start(t, "true") as slow:
            for _ in range(10):
                assert await t.code("true") == 0
            assert slow not in t.heard
        assert isinstance(await t.end_of(slow), rq.ProcessEnded)


@pytest.mark.trio
@pytest.mark.parametrize(("run", "grace", "signal_"), [("sleep 60", 20, 15), ("trap '' TERM; sleep 60", 0, 9)])
async def test_a_stop_asked_before_its_process_is_there(tmp_path: Path, run: str, grace: int, signal_: int) -> None:
    async with attempts(tmp_path) as t:
        async with slow_start(t, run) as slow:
            t.backend.stop(key(slow), 20)
            if not grace:
                t.backend.stop(key(slow), 0)
        ended = await t.end_of(slow)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.signal == signal_


@pytest.mark.trio
async def test_a_freeze_asked_before_its_process_is_there(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        async with slow_start(t, "sleep 60") as slow:
            t.backend.freeze(key(slow))
        cookie = [t.cookie(slow)]

        def is_frozen() -> bool:
            # A shell whose child was stopped before it could become its program waits for that in the kernel.
            others = [pid for pid in bearers(cookie) if not stands_still(pid)]
            return len(others) < len(bearers(cookie)) and all(state_of(pid) == "D" for pid in others)

        await soon(is_frozen, "it is frozen")
        t.backend.thaw(key(slow))
        await soon(lambda: not any(map(stands_still, bearers(cookie))), "it goes on")
        t.backend.stop(key(slow), 0)
        await t.end_of(slow)


@pytest.mark.trio
async def test_its_identity_asked_before_its_process_is_there(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        async with slow_start(t, "sleep 60") as slow:
            t.backend.identify(key(slow))
        leader = await t.leader()
        identity = await t.identity_of(slow)
        assert (identity.pid, identity.birth) == (leader, process.birth_of(leader))
        t.backend.stop(key(slow), 0)
        await t.end_of(slow)


@pytest.mark.trio
async def test_one_that_is_being_started_is_no_stray(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        async with slow_start(t, "true") as slow:
            assert await t.backend.end_strays() == 0
        ended = await t.end_of(slow)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.code == 0


@pytest.mark.trio
async def test_an_attempt_that_was_ruled_out_cannot_begin(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        assert void_record(t.session.record(key(1)))
        assert t.record(1).void
        assert not void_record(t.session.record(key(1)))
        assert isinstance(await t.end_of(t.begin("touch began")), rq.ProcessLost)
        assert not t.file("began").exists()
        await t.run("true")
        assert not void_record(t.session.record(key(2)))
        assert t.record(2).code == 0


@pytest.mark.trio
async def test_an_attempt_is_ruled_out_on_a_full_disk_as_well(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with attempts(tmp_path / "disk") as t:
            disk.fill()
            assert void_record(t.session.record(key(1)))
            assert t.session.record(key(1)).read_bytes() == b""
            disk.make_room()
            assert isinstance(await t.end_of(t.begin("touch began")), rq.ProcessLost)
            assert not t.file("began").exists()
            adopted = await t.backend.adopt(key(1), None, boot_id())
            assert isinstance(adopted, rq.ProcessLost)
            assert not adopted.began


@pytest.mark.trio
async def test_nothing_is_settled_on_a_disk_that_takes_no_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with attempts(tmp_path / "disk") as t:
            disk.remount("ro")
            with pytest.raises(OSError, match="Read-only file system"):
                await t.backend.adopt(key(1), None, boot_id())
            disk.remount("rw")


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("", ExitRecord()),
        ("start 1", ExitRecord()),
        ("start 17\n", ExitRecord(pid=17)),
        ("start 17\nexit 1", ExitRecord(pid=17)),
        ("start 17\nexit 12\n", ExitRecord(pid=17, code=12)),
        ("start 17\nnocwd\n", ExitRecord(pid=17, no_cwd=True)),
        ("void\n", ExitRecord(void=True)),
        ("start x\nexit \xff\n\0\0\0\n", ExitRecord()),
    ],
)
def test_a_line_counts_only_when_it_is_whole(tmp_path: Path, text: str, record: ExitRecord) -> None:
    file = tmp_path / "T.1.exit"
    assert read_record(file) is None
    file.write_text(text)
    assert read_record(file) == record


@pytest.mark.trio
async def test_an_end_that_could_not_be_recorded_is_no_success(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        # A limit on the size of files stands for a disk that is full when the shell wants to write the end.
        ended = await t.run("", "sh", "-c", "prlimit --fsize=0 --pid $PPID && exit 0")
        assert ended.code is None
        assert ended.signal in (signal.SIGXFSZ, signal.SIGKILL)


def test_the_shell_that_cannot_write_the_end_dies_of_it(tmp_path: Path) -> None:
    """Its code alone would be taken for proof by the engine whose child it is, and be missed by the next one."""
    script = f"exec {_RECORD_FD}>/dev/full; true\n{_FINISH.replace(f' {_RECORD_WITHIN} ', ' 2 ')}"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL


# -- what it leaves behind -------------------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_background_children_end_with_the_command(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        ended = await t.run("sleep 60 & echo $! > child; exit 3")
        assert ended.code == 3
        assert not exists(number_in(t.file("child")))


@pytest.mark.trio
async def test_background_children_that_ignore_term_are_killed(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        ended = await t.run(f'{PYTHON} -c "{DEAF}" & echo $! > child; until [ -e deaf ]; do sleep 0.01; done')
        assert ended.code == 0
        assert not exists(number_in(t.file("child")))


@pytest.mark.trio
async def test_stopped_while_its_children_are_being_ended(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        run = f'{PYTHON} -c "{DEAF}" & echo $! > child; until [ -e deaf ]; do sleep 0.01; done'
        number = t.begin(run)
        await soon(lambda: t.record().code is not None, "the command ends")
        with trio.move_on_after(0.2):
            await t.end_of(number)
        assert number not in t.heard, "it is over when its children are"
        t.backend.stop(key(number), 10.0)
        t.backend.stop(key(number), 0.0)
        asked = trio.current_time()
        ended = await t.end_of(number)
        assert trio.current_time() - asked < 1.0
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.code == 0
        assert not exists(number_in(t.file("child")))


@pytest.mark.trio
async def test_a_sweep_spares_attempts_that_live_and_other_sessions(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with attempts(tmp_path) as t, attempts(tmp_path / "other") as other:
        mine, theirs = t.begin("sleep 60"), other.begin("sleep 60")
        leaders = await t.leader(), await other.leader()
        assert await t.backend.end_strays() == 0
        assert all(map(exists, leaders))
        t.backend.stop(key(mine), 0)
        await t.end_of(mine)
        assert exists(leaders[1]), "the same session id and ticket, in another registry"
        other.backend.stop(key(theirs), 0)
        await other.end_of(theirs)


# -- stopping --------------------------------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_stop_is_term_first(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        number = t.begin("trap 'echo bye; exit 0' TERM; touch up; while :; do sleep 0.01; done")
        await soon(t.file("up").exists, "it is up")
        t.backend.stop(key(number), 10.0)
        ended = await t.end_of(number)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.code == 0
        assert t.log().endswith("bye\n")


@pytest.mark.trio
@pytest.mark.parametrize("form", ["shell", "program", "script"])
async def test_the_grace_is_for_every_process_of_the_group(tmp_path: Path, form: str) -> None:
    """The shell around a command ends at once when it gets TERM; the command itself may take its time."""
    careful = (
        "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.3), print('clean'), sys.exit())); "
    )
    careful += "open('up', 'w').close(); time.sleep(60)"
    (tmp_path / "careful.py").write_text(careful)
    async with attempts(tmp_path) as t:
        if form == "program":
            number = t.begin("", sys.executable, "careful.py")
        else:
            run = f"{PYTHON} careful.py"
            number = t.begin(run if form == "shell" else f"true; sh -c {shlex.quote(f'{run}; true')}; true")
        await soon(t.file("up").exists, "it is up")
        t.backend.stop(key(number), 10.0)
        await t.end_of(number)
        assert t.log().endswith("clean\n")


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_kill_after_the_grace(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        number = t.begin("", sys.executable, "-c", DEAF)
        await soon(t.file("deaf").exists, "it is up")
        asked = trio.current_time()
        t.backend.stop(key(number), 0.4)
        ended = await t.end_of(number)
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.signal == signal.SIGKILL
        assert 0.4 <= trio.current_time() - asked < 3


@pytest.mark.trio
async def test_escaped_and_deaf_is_killed_in_the_end(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin(f'{PYTHON} -c "import os; os.setsid(); {DEAF}" & echo $! > child; sleep 60')
        await soon(t.file("deaf").exists, "it is up")
        t.backend.stop(key(number), 5.0)
        await t.end_of(number)
        assert not exists(number_in(t.file("child")))


@pytest.mark.trio
async def test_stopped_at_the_moment_it_starts(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        for step in range(40):
            number = t.begin("sleep 60")
            await trio.sleep(step % 10 / 5000)
            t.backend.stop(key(number), 0.0 if step % 4 == 0 else 0.5)
            assert isinstance(await t.end_of(number), rq.ProcessEnded | rq.ProcessLost)
            assert not bearers(prefix=t.prefix)


# -- freezing --------------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_freezing_stops_group_and_escaped_children(tmp_path: Path) -> None:
    ticker = "i=0; while :; do i=$((i+1)); echo $i > ticks; sleep 0.01; done"
    async with attempts(tmp_path) as t:
        number = t.begin(f'{PYTHON} -c "{ESCAPE}" & {ticker}')
        await soon(t.file("escaped").exists, "it escaped")
        await soon(t.file("ticks").exists, "it ticks")
        pids = [await t.leader(), number_in(t.file("escaped"))]
        t.backend.freeze(key(number))
        await soon(lambda: all(map(stands_still, pids)), "all stop")
        with trio.move_on_after(0.2):
            await t.end_of(number)
        frozen_at = t.file("ticks").stat().st_mtime_ns
        assert time.time_ns() - frozen_at > 0.15e9
        t.backend.thaw(key(number))
        await soon(lambda: t.file("ticks").stat().st_mtime_ns > frozen_at, "it ticks again")
        await soon(lambda: not any(map(stands_still, pids)), "they go on")
        t.backend.stop(key(number), 0)
        await t.end_of(number)


@pytest.mark.trio
async def test_a_frozen_attempt_can_clean_up_when_it_is_stopped(tmp_path: Path) -> None:
    careful = "import os, signal, sys, time; os.setsid(); "
    careful += "signal.signal(15, lambda *_: (open('clean', 'w').close(), sys.exit())); open('up', 'w').close(); "
    careful += "time.sleep(60)"
    async with attempts(tmp_path) as t:
        number = t.begin(f"trap 'kill $child; wait $child; exit' TERM; {PYTHON} -c \"{careful}\" & child=$!; wait")
        await soon(t.file("up").exists, "it is up")
        t.backend.freeze(key(number))
        await soon(lambda: stands_still(t.record().pid or 0), "it is frozen")
        asked = trio.current_time()
        t.backend.stop(key(number), 10.0)
        await t.end_of(number)
        assert t.file("clean").exists()
        assert trio.current_time() - asked < 5


# -- who is who ------------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_an_identity_is_more_than_a_pid(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin("sleep 60")
        pid = await t.leader()
        started = await t.identity_of(number)
        assert started.pid == pid
        identity = Identity(pid, started.birth)
        assert process.is_alive(identity)
        another = Identity(pid, started.birth - 1)
        assert not process.is_alive(another)
        process.signal_process(another, signal.SIGKILL)
        assert exists(pid)
        process.signal_process(identity, signal.SIGKILL)
        await t.end_of(number)
        del t.identities[number]
        t.backend.identify(key(number))
        assert not t.backend.take()
        process.signal_process(identity, signal.SIGKILL)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as child:
        until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "it is a zombie")
        birth = process.birth_of(child.pid)
        assert birth is not None
        assert not process.is_alive(Identity(child.pid, birth))


def test_births_of_processes_with_odd_names(tmp_path: Path) -> None:
    odd = tmp_path / "a ) b (c"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([str(odd), "60"]) as child:
        try:
            known = psutil.Process(child.pid).create_time()
            birth = process.birth_of(child.pid)
            assert birth is not None
            assert birth / os.sysconf("SC_CLK_TCK") + psutil.boot_time() == pytest.approx(known, abs=1.1)
        finally:
            child.kill()


def test_cookies_nest() -> None:
    assert nested_cookie(None, "inner@1/B.1") == "inner@1/B.1"
    cookie = nested_cookie("outer@1/A.1", "inner@1/B.1")
    with subprocess.Popen(["sleep", "60"], env={COOKIE: cookie, "PATH": os.environ["PATH"]}) as child:
        try:
            until(lambda: bearers(["inner@1/B.1"]), "it has its environment")
            for found in (
                bearers(["outer@1/A.1"]),
                bearers(prefix="outer@1"),
                bearers(prefix="inner@1"),
            ):
                assert list(found) == [child.pid]
            assert not bearers(["outer@1/A.11", "outer@1/A", "A.1"], prefix="outer@")
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("env", "cookie"),
    [
        ({"A": f"see {COOKIE}=y", COOKIE: "mine@1/A.1"}, "mine@1/A.1"),
        ({f"MY_{COOKIE}": "other@1/A.1", COOKIE: "mine@1/A.1"}, "mine@1/A.1"),
        ({f"{COOKIE}_TOO": "other@1/A.1"}, None),
        ({f"MY_{COOKIE}": "other@1/A.1"}, None),
    ],
)
def test_only_a_variable_of_that_very_name_is_the_cookie(env: dict[str, str], cookie: str | None) -> None:
    with subprocess.Popen(["sleep", "60"], env={**env, "PATH": os.environ["PATH"]}) as child:
        try:
            until(lambda: b"PATH=" in Path(f"/proc/{child.pid}/environ").read_bytes(), "it has its environment")
            assert cookie_in(child.pid) == cookie
        finally:
            child.kill()


def test_each_cookie_of_an_environment_counts(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "environ").write_bytes(b"X=1\0PAREXEC_COOKIE=a@1/A.1\0PAREXEC_COOKIE=b@1/B.1:c@1/C.1\0")
    assert cookie_in(7, str(tmp_path)) == "a@1/A.1:b@1/B.1:c@1/C.1"


# -- adopting --------------------------------------------------------------------------------------------------

PARENT = """
import os, sys
from parexec_tui.engine.backends.local.spawn import Spawn, spawn
import msgspec
print(spawn(msgspec.json.decode(sys.argv[1], type=Spawn)), flush=True)
"""


def spawn_elsewhere(wanted: Spawn) -> int:
    """Start an attempt from another process, which then ends: it is not our child."""
    import msgspec

    text = msgspec.json.encode(wanted).decode()
    parent = subprocess.run([sys.executable, "-c", PARENT, text], check=True, capture_output=True, text=True)
    return int(parent.stdout)


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
@pytest.mark.parametrize(
    ("run", "ended"),
    [
        ("exit 0", rq.ProcessEnded("T", 1, 0)),
        ("exit 3", rq.ProcessEnded("T", 1, 3, error_line="after")),
        ("sh -c 'kill -9 $$'", rq.ProcessEnded("T", 1, None, 9, error_line="after")),
        (KILL_LEADER, rq.ProcessLost("T", 1, "it vanished without an exit record", error_line="after")),
    ],
)
async def test_what_is_adopted_ends_by_its_record(
    tmp_path: Path, watch: Watches, run: str, ended: rq.AnyReport
) -> None:
    async with attempts(tmp_path, watch) as t:
        t.close()  # it would come to us
        wanted = t.spawn(1, f"echo before; until [ -e go ]; do sleep 0.01; done; echo after; {run}")
        pid = await trio.to_thread.run_sync(spawn_elsewhere, wanted)
        birth = process.birth_of(pid)
        assert birth is not None
        assert await t.backend.adopt(key(1), Identity(pid, birth), boot_id()) == rq.ProcessStarted("T", 1, pid, birth)
        t.file("go").touch()
        assert await t.end_of(1) == ended
        assert t.log(1).startswith("before\nafter\n")


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_what_is_gone_cannot_be_adopted(tmp_path: Path, watch: Watches) -> None:
    child = await trio.to_thread.run_sync(subprocess.Popen, ["true"])
    await trio.to_thread.run_sync(child.wait)
    async with attempts(tmp_path, watch) as t:
        record = t.session.record(key(1))
        record.write_text(f"start {child.pid}\nexit 3\n")
        ended = rq.ProcessEnded("T", 1, 3, ended=record.stat().st_mtime)
        assert await t.backend.adopt(key(1), Identity(child.pid, 1.0), boot_id()) == ended


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_many_at_once_and_each_is_told_once(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch) as t:
        numbers = [t.begin(f"sleep 0.0{n % 7}; exit {n}") for n in range(40)]
        for code, number in enumerate(numbers):
            ended = await t.end_of(number)
            assert isinstance(ended, rq.ProcessEnded)
            assert ended.code == code


@pytest.mark.trio
@pytest.mark.parametrize("watch", WATCHES)
async def test_waking_lets_the_wait_return(tmp_path: Path, watch: Watches) -> None:
    async with attempts(tmp_path, watch, listens=False) as t:
        for _ in range(3):
            with trio.fail_after(5):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(t.backend.wait)
                    await trio.testing.wait_all_tasks_blocked()
                    t.backend.wake()
            assert t.backend.take() == []
            with trio.move_on_after(0.05) as waited:
                await t.backend.wait()
            assert waited.cancelled_caught
    t.backend.wake()  # after the end: for instance by a signal that came late
