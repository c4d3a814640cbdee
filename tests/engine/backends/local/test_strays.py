"""What an attempt leaves behind, in every way that it can: the table in `parexec help running`, row by row."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import parexec_tui
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local.attempt_cgroups import Parent
from parexec_tui.engine.backends.local.mark import can_mark, mark_in, mark_of
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.local.process import birth_of, is_zombie
from tests.cgroups import cgroup2
from tests.engine.backends.local.test_process import Attempts, attempts, key, soon, spawn_elsewhere
from tests.engine.engines import PAREXEC, PYTHON, exists, number_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux do orphans come to us")

marks = pytest.mark.skipif(not can_mark("/bin/sh"), reason="this shell cannot set the limit that is the mark")

STRAY = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
"""A program that says its pid in a file, and stays."""

DAEMON = """
import os, resource, sys
name, clean = sys.argv[1], sys.argv[2:]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
if "mark" in clean:
    resource.setrlimit(10, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if "cgroup" in clean and os.path.exists("cgroup"):
    open(open("cgroup").read(), "w").write("0")
env = {} if "env" in clean else os.environ
os.execve(sys.executable, [sys.executable, "-S", "stray.py", name], env)
"""
"""A program that becomes a daemon, as of old: two forks, a session of its own, no output; and with what it cleans."""


@pytest.fixture(autouse=True)
def programs(tmp_path: Path) -> None:
    (tmp_path / "stray.py").write_text(STRAY)
    (tmp_path / "daemon.py").write_text(DAEMON)
    (tmp_path / "inner.toml").write_text(f'[tickets.A]\nrun = """{PYTHON} stray.py pid"""')


TABLE = {
    "a background process": [
        f"{PYTHON} stray.py pid &",
        f"{PYTHON} -c 'import os; os.setpgid(0, 0); exec(open(\"stray.py\").read())' pid &",
    ],
    "one in a session of its own": [f"setsid {PYTHON} stray.py pid &"],
    "one with a cleaned environment": [f"env -i {PYTHON} stray.py pid &", f"env -i setsid {PYTHON} stray.py pid &"],
    "a daemon: two forks": [f"{PYTHON} daemon.py pid", f"{PYTHON} daemon.py pid env"],
    "one that ignores TERM": [f"trap '' TERM; {PYTHON} daemon.py pid env"],
    "another engine and its tickets": [
        f"XDG_STATE_HOME=$PWD/state {shlex.join(PAREXEC)} run inner.toml --detach --quiet"
    ],
    "a daemon that also sets its limits anew": [f"{PYTHON} daemon.py pid env mark"],
    "and moves itself to another cgroup": [f"{PYTHON} daemon.py pid env mark cgroup"],
    "what another program starts when it is asked to": ["touch ask"],
}
"""{how a row of the table begins: commands that leave such a process behind}"""

ROWS = [pytest.param(what, run, id=f"{what} {n}") for what, runs in TABLE.items() for n, run in enumerate(runs, 1)]

YES, LATER, NO = "yes", "with the last attempt that it may be of", "no"
"""What the table says of whether something is ended."""


@pytest.fixture(params=["with cgroups", "without"])
def parent(request: pytest.FixtureRequest) -> Iterator[Parent]:
    """Where the cgroups of attempts are made, if anywhere."""
    if request.param == "without":
        yield no_cgroup
    else:
        with cgroup2() as folder:
            yield lambda: str(folder)


def no_cgroup() -> None:
    """There can be no cgroups."""


def said() -> dict[str, tuple[str, str]]:
    """{what lives on: whether it is ended with cgroups, and without}, as the table says."""
    page = Path(parexec_tui.__file__).with_name("docs") / "running.md"
    table = page.read_text(encoding="utf-8").split("| what lives on |")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {what: (ended, ended_without) for what, ended, ended_without in rows}


def row_of(what: str) -> str:
    """The row that begins so."""
    [row] = [row for row in said() if row.startswith(what)]
    return row


def begin(*command: str, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    """A process that is no attempt."""
    return subprocess.Popen(command, cwd=cwd)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def waits(run: str) -> str:
    """The command, which goes on until the process that it leaves behind is there."""
    return f"{run}\nuntil [ -s pid ]; do sleep 0.01; done"


async def left(t: Attempts, run: str) -> tuple[int, rq.ProcessEnded]:
    """Run a command that leaves something behind: the pid of that, and the end that is told."""
    number = t.begin(waits(run))
    await soon_there(t)
    ended = await t.end_of(number)
    assert isinstance(ended, rq.ProcessEnded)
    return number_in(t.file("pid")), ended


async def soon_there(t: Attempts) -> None:
    await soon(lambda: t.file("pid").exists() and t.file("pid").read_text().endswith("\n"), "the stray is there")


def test_each_row_of_the_table_has_its_test() -> None:
    assert sorted(map(row_of, TABLE)) == sorted(said())


@pytest.mark.trio
@marks
@pytest.mark.parametrize(("what", "run"), ROWS)
async def test_what_the_table_says_is_so(tmp_path: Path, parent: Parent, what: str, run: str) -> None:
    ended = said()[row_of(what)][parent is no_cgroup]
    if (elsewhere := parent()) is not None:
        (tmp_path / "cgroup").write_text(f"{elsewhere}/cgroup.procs")
    async with another_program(tmp_path):
        async with attempts(tmp_path, cgroup_parent=parent) as t:
            other = t.begin(f"{PYTHON} daemon.py other env; until [ -s other ] && [ -e go ]; do sleep 0.01; done")
            others = await trio.to_thread.run_sync(number_in, t.file("other"))
            pid, end = await left(t, run)
            assert end.code == 0
            assert exists(pid) == (ended != YES)
            assert [stray.key for stray in t.strays] == ([key(2)] if ended == YES else [])
            assert exists(others), "what the other attempt started is left alone"
            t.file("go").touch()
            await t.end_of(other)
            assert exists(pid) == (ended == NO)
            assert not exists(others)
        assert exists(pid) == (ended == NO)


@asynccontextmanager
async def another_program(folder: Path) -> AsyncIterator[None]:
    """A service that was there before, and starts what it is asked for."""
    serve = f"until [ -e ask ]; do sleep 0.01; done; exec {PYTHON} stray.py pid"
    with begin("sh", "-c", serve, cwd=folder) as service:
        try:
            yield
        finally:
            service.kill()


@pytest.mark.trio
async def test_children_of_strays_are_ended_with_them(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        run = f"env -i setsid sh -c '{PYTHON} stray.py pid & {PYTHON} stray.py second & wait' &"
        run += "\nuntil [ -s second ]; do sleep 0.01; done"
        pid, _ = await left(t, run)
        assert not exists(pid)
        assert not exists(number_in(t.file("second")))
        assert [stray.count for stray in t.strays] == [3]


@pytest.mark.trio
async def test_what_runs_under_an_inner_engine_is_left_to_it_while_it_lives(tmp_path: Path) -> None:
    says = "setsid sh -c 'trap \"{}echo $0 >> order; exit\" TERM; touch $0; while :; do sleep 0.01; done' {} &\n"
    run = says.format("sleep 0.3; ", "engine") + "PAREXEC_COOKIE=$PAREXEC_COOKIE:inner@1/B.1 "
    run += says.format("", "ticket") + "until [ -e engine ] && [ -e ticket ]; do sleep 0.01; done"
    async with attempts(tmp_path) as t:
        assert (await t.run(run)).code == 0
        assert t.file("order").read_text() == "engine\nticket\n"


@pytest.mark.trio
async def test_what_ends_by_itself_is_not_told(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        await t.run("setsid sh -c 'sleep 0.03; echo late' &")
        assert t.log() == "late\n"
        assert t.strays == []


@pytest.mark.trio
async def test_orphans_that_ended_are_no_zombies(tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    async with attempts(tmp_path) as t:
        await left(t, f"{PYTHON} daemon.py pid env; for i in 1 2 3; do (setsid true &); done")
        await t.run("true")
        assert t.orphans is not None
        assert t.orphans.ownerless() == []
        assert not {pid for pid in children_of(os.getpid()) if is_zombie(pid)} - before


@pytest.mark.trio
async def test_what_others_start_in_this_process_is_none_of_our_business(tmp_path: Path) -> None:
    with begin("sleep", "60") as before:
        async with attempts(tmp_path) as t:
            with begin("sh", "-c", "exit 3") as spared:
                assert t.orphans is not None
                t.orphans.spare(spared.pid)
                for _ in range(3):
                    await t.run("true")
                assert await t.backend.end_strays() == 0
                assert exists(before.pid)
                assert spared.wait() == 3, "its exit code was not taken from whoever waits for it"
        before.kill()


@pytest.mark.trio
@marks
async def test_the_mark_is_inherited_whatever_becomes_of_the_environment(tmp_path: Path) -> None:
    async with attempts(tmp_path) as t:
        number = t.begin("env -i sleep 60")
        leader = await t.leader()
        await soon(lambda: children_of(leader), "the sleep is there")
        [child] = children_of(leader)
        assert mark_in(leader) == mark_in(child) == mark_of(t.cookie(number))
        assert mark_in(os.getpid()) == 0
        t.backend.stop(key(number), 0)
        await t.end_of(number)


def test_two_attempts_and_two_sessions_have_different_marks() -> None:
    cookies = [f"{session}@1/T{ticket}.1" for session in "ab" for ticket in range(1000)]
    assert len(set(map(mark_of, cookies))) == 2000


@pytest.mark.trio
async def test_orphans_go_to_init_again_when_they_are_let_go() -> None:
    orphans = Orphans()
    assert orphans.come
    orphans.close()
    done = await trio.run_process(["sh", "-c", "sleep 1 & echo $!"], capture_stdout=True)
    assert int(done.stdout) not in children_of(os.getpid())


# -- after the death of an engine ------------------------------------------------------------------------------

HIDES = f"{PYTHON} hide.py"
"""Runs a program without the cookie and the mark of the attempt."""

HIDE = """
import os, resource, sys
resource.setrlimit(10, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if "elsewhere" in sys.argv[1]:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
if "setsid" in sys.argv[1]:
    os.setsid()
os.execve(sys.executable, [sys.executable, "-S", "stray.py", "pid"], {})
"""

REMAINS = {
    "a clean environment": f"env -i {PYTHON} stray.py pid",
    "and a session of its own": f"env -i setsid {PYTHON} stray.py pid",
    "a daemon": f"{PYTHON} daemon.py pid env",
    "no sign but its group": f"{HIDES} elsewhere",
    "no sign but its log": f"{HIDES} setsid",
}


async def abandoned(t: Attempts, run: str, *, kills_shell: bool) -> Identity:
    """Have another process run a command as the first attempt, and die. Returns who its shell is."""
    t.close()  # what is orphaned now is not ours
    t.file("hide.py").write_text(HIDE)
    command = f"({run}) & until [ -s pid ]; do sleep 0.01; done; until [ -e go ]; do sleep 0.01; done"
    shell = await trio.to_thread.run_sync(spawn_elsewhere, t.spawn(1, command))
    birth = birth_of(shell)
    assert birth is not None
    await soon_there(t)
    if kills_shell:
        os.kill(shell, signal.SIGKILL)
        await soon(lambda: not exists(shell), "the shell is dead")
    return Identity(shell, birth)


@pytest.mark.trio
@marks
@pytest.mark.parametrize("run", REMAINS.values(), ids=REMAINS)
async def test_what_a_dead_shell_left_ends_before_anything_starts(tmp_path: Path, run: str) -> None:
    async with attempts(tmp_path) as t:
        shell = await abandoned(t, run, kills_shell=True)
        pid = number_in(t.file("pid"))
        assert exists(pid)
        assert isinstance(await t.backend.adopt(key(1), shell, boot_id()), rq.ProcessLost)
        assert await t.backend.end_strays() >= 1
        assert not exists(pid)
        await soon(lambda: [stray.key for stray in t.strays] == [key(1)], "it is told")


@pytest.mark.trio
@marks
@pytest.mark.parametrize("run", REMAINS.values(), ids=REMAINS)
async def test_what_an_adopted_attempt_left_ends_before_its_end_is_told(tmp_path: Path, run: str) -> None:
    async with attempts(tmp_path) as t:
        shell = await abandoned(t, run, kills_shell=False)
        assert isinstance(await t.backend.adopt(key(1), shell, boot_id()), rq.ProcessStarted)
        t.file("go").touch()
        assert await t.end_of(1) == rq.ProcessEnded("T", 1, 0)
        assert not exists(number_in(t.file("pid")))
        assert [stray.key for stray in t.strays] == [key(1)]


@pytest.mark.trio
async def test_a_group_that_may_be_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """The number of the group was given to somebody else, long after the shell of the attempt was born."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"], start_new_session=True) as other:  # noqa: ASYNC220
        await soon(lambda: len(children_of(other.pid)) == 2, "its children are there")
        birth = birth_of(other.pid)
        assert birth is not None
        children = children_of(other.pid)
        other.kill()
        other.wait()
        async with attempts(tmp_path) as t:
            t.session.record(key(1)).write_text(f"start {other.pid}\n")
            await t.backend.adopt(key(1), Identity(other.pid, birth - 1000), boot_id())
            assert await t.backend.end_strays() == 0
            assert all(map(exists, children))
        os.killpg(other.pid, signal.SIGKILL)


@pytest.mark.trio
@pytest.mark.parametrize("is_noted", [True, False])
@pytest.mark.parametrize("lives", [True, False])
async def test_an_attempt_that_deleted_its_record_did_begin(tmp_path: Path, is_noted: bool, lives: bool) -> None:
    async with attempts(tmp_path) as t:
        run = f"rm {t.session.record(key(1))}; echo 1 > pid"
        shell = await abandoned(t, run, kills_shell=not lives)
        found = await t.backend.adopt(key(1), shell if is_noted else None, boot_id())
        if lives:
            assert found == rq.ProcessStarted("T", 1, shell.pid, shell.birth)
            t.file("go").touch()
            assert await t.end_of(1) == rq.ProcessLost("T", 1, "it vanished without an exit record")
        else:
            assert found == rq.ProcessLost("T", 1, "its exit record was deleted while it ran")
