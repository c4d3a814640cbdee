"""Limits of attempts: which cgroups can keep them, that these do, and what is done where there are none."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.units import Size
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local import cgroup, controllers
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups
from parexec_tui.engine.backends.local.controllers import Controllers, find_controllers
from parexec_tui.engine.backends.local.io_priority import can_set_io
from parexec_tui.engine.backends.local.kept_limits import how_kept, lowest_nice
from parexec_tui.engine.backends.local.oom import (
    KillCount,
    OtherKills,
    OutOfMemory,
    kill_count,
    own_kills,
    was_killed,
)
from parexec_tui.engine.backends.local.rlimits import can_limit_processes, limiting
from tests.engine.backends.local.test_process import attempts, key, soon, state_of
from tests.engine.engines import PYTHON, exists, stands_still

MIB = 2**20

ALL = Limits(memory=Size(64 * MIB), cpu=0.5, processes=12)


def none() -> Controllers:
    return Controllers(None)


@contextmanager
def places(*wanted: str, unified: bool = True) -> Iterator[Callable[[], Controllers]]:
    """Cgroups that those of a test are made in; the test is skipped where not all of these controllers are."""
    found = find_controllers()
    if missing := [each for each in wanted if not found.version(each)]:
        pytest.skip(f"no cgroup with {', '.join(missing)} can be made here")
    if any(found.version(each) == 2 for each in wanted):
        yield lambda: found if unified else Controllers(None, frozenset(), found.alone)
        return
    made = {each: f"{found.alone[each]}/test-{uuid4().hex[:8]}" for each in wanted}
    for folder in made.values():
        Path(folder).mkdir()
    try:
        yield lambda: Controllers(found.unified if unified else None, frozenset(), made)
        assert not any(inner for folder in made.values() for inner in cgroup.cgroups_in(folder)), "none is left"
    finally:
        for folder in made.values():
            cgroup.remove(folder)


# -- which ones there are ----------------------------------------------------------------------------------------


def host(root: Path, own: str, *mounts: str, **files: str) -> Path:
    """A host whose init is in these cgroups, and that has these mounts: `/sys/fs/cgroup/pids cgroup rw,pids`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    rows = [mount.split(" ") for mount in mounts]
    lines = [f"41 31 0:38 / {at} rw,relatime shared:1 - {type_} none {options}\n" for at, type_, options in rows]
    (root / "proc/self/mountinfo").write_text("".join(lines))
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


V2 = "/sys/fs/cgroup cgroup2 rw"
WITH_ALL = {"a/cgroup.procs": "", "a/cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.procs": ""}


def versions(root: Path) -> dict[str, int]:
    found = find_controllers(root)
    return {each: found.version(each) for each in ("memory", "pids", "cpu")}


def test_those_of_version_1_have_trees_of_their_own(tmp_path: Path) -> None:
    mounts = [f"/sys/fs/cgroup/{each} cgroup rw,{each}" for each in ("memory", "cpu,cpuacct", "freezer")]
    own = "4:freezer:/\n3:memory:/a\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n"
    files = {"memory/a/cgroup.procs": "", "cpu,cpuacct/cgroup.procs": "", "freezer/cgroup.procs": ""}
    root = host(tmp_path, own, *mounts, **files)
    found = find_controllers(root)
    at = root / "sys/fs/cgroup"
    assert found == Controllers(
        None,
        frozenset(),
        {"memory": f"{at}/memory/a", "cpu": f"{at}/cpu,cpuacct", "freezer": f"{at}/freezer"},
    )
    kept = how_kept(found)
    assert kept["memory"] == kept["cpu"] == "by a cgroup (version 1)"
    assert kept["processes"] == (
        "" if os.geteuid() == 0 else "on top of what runs as this user then, and 64 more, by RLIMIT_NPROC"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_the_lowest_niceness_is_what_the_user_may_set() -> None:
    assert lowest_nice() == -20
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        try:
            os.nice(lowest_nice() - os.nice(0))
            os.nice(-1)
        except PermissionError:
            os._exit(0 if lowest_nice() == os.nice(0) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_those_of_version_2_are_there_if_the_cgroup_hands_them_on_or_may_be_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_type = WITH_ALL | {"a/cgroup.type": "domain\n"}
    told = {"a/cgroup.subtree_control": "memory pids cpu\n"}
    none_yet = {"a/cgroup.subtree_control": "\n"}
    assert versions(host(tmp_path / "1", "0::/a\n", V2, **with_type, **told)) == {"memory": 2, "pids": 2, "cpu": 2}
    assert versions(host(tmp_path / "2", "0::/a\n", V2, **with_type, **none_yet)) == {
        "memory": 0,
        "pids": 0,
        "cpu": 0,
    }
    few = with_type | none_yet | {"a/cgroup.controllers": "memory pids\n"}
    monkeypatch.setattr(controllers, "_is_delegated", lambda _: True)
    assert versions(host(tmp_path / "3", "0::/a\n", V2, **few)) == {"memory": 2, "pids": 2, "cpu": 0}


def test_a_process_that_was_moved_down_makes_others_where_it_was(tmp_path: Path) -> None:
    files = WITH_ALL | {"a/cgroup.subtree_control": "memory pids\n", "a/parexec.engines/cgroup.procs": ""}
    root = host(tmp_path, "0::/a/parexec.engines\n", V2, **files)
    assert cgroup.own_cgroup(root) == f"{root}/sys/fs/cgroup/a"


class Kernel:
    """Cgroups of version 2 as files: one with processes hands on nothing, and a process is in one at a time."""

    def write(self, file: str, text: str) -> bool:
        folder, name = Path(file).parent, Path(file).name
        if name == "cgroup.subtree_control":
            if (folder / "cgroup.procs").read_text():
                raise OSError(16, "Device or resource busy")
            (folder / name).write_text(" ".join(sorted(text.replace("+", "").split())))
        elif name == "cgroup.procs":
            before = folder.parent / name
            before.write_text("".join(f"{pid}\n" for pid in before.read_text().split() if pid != text))
            with (folder / name).open("a") as file_:
                file_.write(f"{text}\n")
        return True


def test_a_cgroup_that_was_left_to_us_hands_on_controllers_once_its_processes_have_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "write", Kernel().write)
    (tmp_path / "cgroup.procs").write_text("17\n18\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    with pytest.raises(OSError, match="busy"):
        controllers.hand_on(str(tmp_path), frozenset(("memory", "pids")), moving=False)
    controllers.hand_on(str(tmp_path), frozenset(("memory", "pids")), moving=True)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "memory pids"
    assert (tmp_path / "parexec.engines/cgroup.procs").read_text() == "17\n18\n"
    assert (tmp_path / "cgroup.procs").read_text() == ""
    controllers.hand_on(str(tmp_path), frozenset(("pids",)), moving=True)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "memory pids", "they are handed on already"


def test_what_is_written_in_a_cgroup_of_version_2(tmp_path: Path) -> None:
    made = {"memory.max": "max", "pids.max": "max", "cpu.max": "max 100000"}
    for file, text in made.items():
        (tmp_path / file).write_text(text)
    controllers.limit(str(tmp_path), controllers.unified_settings_of(ALL, frozenset(("memory", "pids", "cpu"))))
    assert {file: (tmp_path / file).read_text() for file in made} == {
        "memory.max": str(64 * MIB).ljust(3),
        "pids.max": "13x"[:2] + "x",
        "cpu.max": "50000 100000",
    }


def test_an_attempt_has_one_in_each_tree_that_it_needs(tmp_path: Path) -> None:
    alone = {"memory": "/m", "pids": "/p", "cpu": "/c", "freezer": "/f"}
    groups = AttemptCgroups("s", tmp_path / "n", lambda: "/u", 0.0, lambda: Controllers("/u", frozenset(), alone))
    assert groups.choose_limited(key(1), Limits(memory=Size(8 * MIB), cpu=1)) == (
        "/u/parexec-s/T.1", "/m/parexec-s/T.1", "/c/parexec-s/T.1",
    )  # fmt: skip
    assert groups.choose_limited(key(1), Limits(nice=5, open_files=99)) == (), "those are no matter of cgroups"
    groups = AttemptCgroups("s", tmp_path / "n", lambda: None, 0.0, lambda: Controllers(None, frozenset(), alone))
    assert groups.choose_limited(key(1), Limits(processes=9)) == ("/f/parexec-s/T.1", "/p/parexec-s/T.1")
    both = Controllers("/u", frozenset(("memory", "pids")), {"cpu": "/c"})
    groups = AttemptCgroups("s", tmp_path / "n", lambda: "/u", 0.0, lambda: both)
    assert groups.choose_limited(key(1), ALL) == ("/u/parexec-s/T.1", "/c/parexec-s/T.1")


def one_that_takes_nobody(session: str) -> None:
    Path(session, "T.2", "cgroup.procs").mkdir(parents=True)
    Path(session, "T.2", "pids.max").touch()


# -- attempts with limits ----------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_a_cgroup_keeps_memory_processes_and_cpu_from_the_first_command_on(tmp_path: Path) -> None:
    with places("memory", "pids", "cpu") as found:
        async with attempts(tmp_path, controllers=found) as t:
            t.limits = ALL
            hog = f"{PYTHON} -c 'bytearray({200 * MIB})'"
            ended = await t.run(hog)
            assert (ended.signal, ended.out_of_memory) == (9, "at 64MiB of 64MiB")
            assert ended.peak_memory > 60 * MIB  # the kernel charges some pages at once
            ended = await t.run(f"{hog}; exit 3")
            assert (ended.code, ended.out_of_memory) == (3, "at 64MiB of 64MiB"), "a part of it was ended"
            ended = await t.run(f"{hog} || true")
            assert (ended.code, ended.out_of_memory) == (0, ""), "it can do without that part"
            ended = await t.run("kill -9 0")
            assert (ended.signal, ended.out_of_memory) == (9, ""), "that was somebody else"
            t.limits = None
            ended = await t.run("kill -9 0")
            assert (ended.signal, ended.out_of_memory) == (9, ""), "what the kernel ended was known to be others"
            t.limits = ALL
            forks = "import os, time\nfor n in range(99):\n    os.fork() or (time.sleep(9), os._exit(0))"
            assert await t.code(f"{PYTHON} -c '{forks}'") == 1
            assert "Resource temporarily unavailable" in t.log()
            busy = t.begin("while :; do :; done")
            await t.identity_of(busy)
            stats = [f"{folder}/cpu.stat" for folder in t.backend._live[key(busy)].cgroups]
            await soon(
                lambda: any(re.search(rb"nr_throttled [1-9]", cgroup.read(file)) for file in stats), "it waits"
            )
            t.backend.stop(key(busy), 0)
            await t.end_of(busy)
            await t.backend.end_strays()
    assert not t.session.cgroups.exists()


@pytest.mark.trio
async def test_the_freezer_of_version_1_stands_in_where_there_is_no_version_2(tmp_path: Path) -> None:
    with places("pids", "freezer", unified=False) as found:
        async with attempts(tmp_path, cgroup_parent=lambda: None, controllers=found) as t:
            t.limits = Limits(processes=50)
            # A signal to those that were seen would miss what it forks all the time.
            number = t.begin("env -i sh -c 'while :; do echo >> ticks; sleep 0.001; done' & wait")
            await soon(t.file("ticks").exists, "it runs")
            await t.identity_of(number)
            t.backend.freeze(key(number))
            [frozen] = [each for each in t.backend._live[key(number)].cgroups if "freezer" in each]
            # It stays FREEZING while a shell waits for what it forked to become a program: nothing runs all the same.
            assert cgroup.read(f"{frozen}/freezer.state") in (b"FREEZING\n", b"FROZEN\n")
            await soon(lambda: all(state_of(pid) == "D" for pid in cgroup.processes_in(frozen)), "all stand still")
            size = t.file("ticks").stat().st_size
            assert cgroup.read(f"{frozen}/freezer.state") != b"THAWED\n"
            t.backend.thaw(key(number))
            await soon(lambda: t.file("ticks").stat().st_size > size, "it goes on")
            t.backend.freeze(key(number))
            t.backend.stop(key(number), 0)
            await t.end_of(number)
            assert not cgroup.processes_in(frozen)


@pytest.mark.trio
async def test_what_is_frozen_by_its_cgroup_is_not_let_go_on_by_others(tmp_path: Path) -> None:
    with places("pids") as found:
        async with attempts(tmp_path, controllers=found) as t:
            if found().unified is None:
                pytest.skip("no cgroup of version 2 can be made here")
            t.limits = Limits(processes=50)
            number = t.begin("while :; do echo >> ticks; sleep 0.01; done")
            await soon(t.file("ticks").exists, "it runs")
            pid = await t.leader()
            t.backend.freeze(key(number))
            await soon(lambda: stands_still(pid), "it is frozen")
            os.killpg(pid, 18)
            assert stands_still(pid)
            t.backend.stop(key(number), 5)
            ended = await t.end_of(number)
            assert isinstance(ended, rq.ProcessEnded)
            assert ended.signal == 15, "it was thawed to obey"


@pytest.mark.trio
async def test_it_does_not_begin_without_its_limits(tmp_path: Path) -> None:
    at = tmp_path / "pids"
    at.mkdir()  # which is no cgroup
    async with attempts(tmp_path, controllers=lambda: Controllers(None, frozenset(), {"pids": str(at)})) as t:
        t.limits = Limits(processes=50)
        ended = await t.run("echo began")
        assert ended.problem.startswith("its limits cannot be set: the kernel cannot limit this")
        assert ended.host_short_of == ""
        one_that_takes_nobody(*cgroup.cgroups_in(str(at)))
        ended = await t.run("echo began")
        assert ended.problem == "it could not move into its cgroup, and does not run without its limits"
        assert not t.session.log(key(2)).read_text()


@pytest.mark.trio
async def test_where_there_are_no_cgroups_each_process_limits_itself(tmp_path: Path) -> None:
    async with attempts(tmp_path, controllers=none) as t:
        t.limits = Limits(memory=Size(64 * MIB), open_files=20, processes=5, cpu=1)
        assert await t.code(f"{PYTHON} -c 'bytearray({200 * MIB})'") == 1
        assert "MemoryError" in t.log()
        files = 'import os; fds = [os.open("/dev/null", 0) for _ in range(40)]'
        assert await t.code(f"ulimit -n; {PYTHON} -c '{files}'") == 1
        assert t.log().startswith("20\n")
        assert "Too many open files" in t.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_processes_of_another_user_than_root_are_limited_without_a_cgroup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert can_limit_processes()
    lines = limiting("/bin/sh", Limits(processes=3), ())
    forks = "for i in $(seq 99); do sleep 1 & done; kill $(jobs -p)"
    done = subprocess.run(
        ["/bin/sh", "-c", lines + forks], user=12345, capture_output=True, text=True, timeout=60, check=False
    )
    assert "fork" in done.stderr
    assert limiting("/bin/sh", Limits(processes=3), ("pids",)) == "", "the cgroup does it"


@pytest.mark.trio
async def test_the_kernel_ends_an_attempt_rather_than_the_engine(tmp_path: Path) -> None:
    ours = int(cgroup.read("/proc/self/oom_score_adj"))
    async with attempts(tmp_path) as t:
        assert await t.code("cat /proc/self/oom_score_adj") == 0
        assert int(t.log()) == min(1000, ours + 200)


@pytest.mark.trio
@pytest.mark.skipif(not can_set_io(), reason="this system has no classes of input and output")
@pytest.mark.parametrize(("io", "told"), [("idle", "3, None"), ("low", "2, 7"), ("normal", "2, 4")])
async def test_the_class_of_its_input_and_output(tmp_path: Path, io: str, told: str) -> None:
    tell = "import psutil; it = psutil.Process().ionice(); print(int(it.ioclass), it.value, sep=', ')"
    async with attempts(tmp_path) as t:
        t.limits = Limits(io=io)  # type: ignore[arg-type]
        assert await t.code(f'{PYTHON} -c "{tell}"') == 0
        assert t.log().strip().replace("3, 0", "3, None") == told
        t.limits = None
        assert await t.code(f'{PYTHON} -c "{tell}"') == 0
        assert t.log().startswith("0,"), "the next one has that of the engine"


# -- out of memory -----------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_the_next_engine_tells_that_an_attempt_ran_out_of_memory_meanwhile(tmp_path: Path) -> None:
    with places("memory") as found:
        async with attempts(tmp_path, controllers=found) as t:
            t.limits = Limits(memory=Size(32 * MIB))
            number = t.begin(f"until [ -e go ]; do sleep 0.01; done; {PYTHON} -c 'bytearray({99 * MIB})'")
            pid = await t.leader()
            async with attempts(tmp_path, controllers=found) as later:
                t.file("go").touch()
                await soon(lambda: not exists(pid), "it is over")
                ended = await later.backend.adopt(key(number), None, boot_id())
                assert isinstance(ended, rq.ProcessEnded)
                assert (ended.signal, ended.out_of_memory) == (9, "at 32MiB of 32MiB")


@pytest.mark.parametrize("is_of_host", [False, True])
def test_without_limits_a_count_and_a_kill_of_nobody_tell_it(tmp_path: Path, is_of_host: bool) -> None:
    file = tmp_path / "count"

    def count(kills: int) -> None:
        file.write_text(f"low 0\noom_kill {kills}\n")

    count(3)
    kills = OtherKills(KillCount(str(file), is_of_host=is_of_host), 0.0)
    assert was_killed(None, 9)
    assert was_killed(137, None)
    assert not was_killed(1, None)
    assert kills.explain(0) is None, "a person killed it"
    count(4)
    assert kills.explain(3 * MIB) == OutOfMemory("of the host, at 3MiB")
    assert (kills.explain(0, others=1) is None) is is_of_host, "if it counts all, that was one with limits"
    for now in (1.0, 6.0, 12.0):
        kills.note(now)
    assert kills.explain(3 * MIB) is None, "that is long ago"
    count(6)
    kills.know(2)
    assert (kills.explain(0) is None) is is_of_host, "if it counts all, those were of one with limits, which is over"


def test_where_the_kernel_counts(tmp_path: Path) -> None:
    bare = host(tmp_path / "1", "0::/a\n", V2, **WITH_ALL)
    (bare / "proc/vmstat").write_text("nr_free_pages 5\noom_kill 7\nswap_ra 0\n")
    assert kill_count(bare) == KillCount(f"{bare}/proc/vmstat", is_of_host=True)
    assert kill_count(bare)() == 7
    second = host(tmp_path / "2", "0::/a\n", V2, **WITH_ALL, **{"a/memory.events.local": "oom 1\noom_kill 2\n"})
    assert kill_count(second)() == 2
    first = host(
        tmp_path / "3",
        "3:memory:/a\n0::/\n",
        "/sys/fs/cgroup/memory cgroup rw,memory",
        **{"memory/a/memory.oom_control": "under_oom 0\noom_kill 5\n"},
    )
    assert kill_count(first) == KillCount(f"{first}/sys/fs/cgroup/memory/a/memory.oom_control")
    assert kill_count(first)() == 5
    assert kill_count(tmp_path / "none")() == 0


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_of_the_cgroup_that_parexec_is_in_is_not_of_the_host(tmp_path: Path, version: int) -> None:
    above, own = (tmp_path / "a", tmp_path / "a/b")
    own.mkdir(parents=True)
    limit, met = (
        ("memory.limit_in_bytes", "memory.failcnt") if version == 1 else ("memory.max", "memory.events.local")
    )
    count = own / ("memory.oom_control" if version == 1 else "memory.events.local")

    def ends(times: int) -> OutOfMemory | None:
        count.write_text("oom_kill 0\n")
        kills = OtherKills(KillCount(str(count)), 0.0)
        count.write_text(f"oom 0\noom_kill {times}\n")
        return kills.explain(3 * MIB)

    assert ends(1) == OutOfMemory("of the host, at 3MiB"), "it has no limit"
    (above / limit).write_text(f"{500 * MIB}\n")
    (own / limit).write_text("max\n" if version == 2 else f"{2**63 - 4096}\n")
    (above / met).write_text("0\n" if version == 1 else "oom 0\noom_kill 0\n")
    assert ends(1) == OutOfMemory("of the host, at 3MiB"), "the limit was not met"
    (above / met).write_text("7\n" if version == 1 else "oom 1\noom_kill 0\n")
    assert ends(1) == OutOfMemory("of parexec's cgroup (500MiB for all in it), at 3MiB")
    assert ends(0) is None


def told(folder: Path) -> OutOfMemory | None:
    own = own_kills([str(folder)], killed=True)
    return own.explain() if own is not None else None


def test_what_a_cgroup_of_version_2_tells(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{64 * MIB}\n")
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert told(tmp_path) is None
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "memory.peak").write_text(f"{60 * MIB}\n")
    assert told(tmp_path) == OutOfMemory("at 60MiB of 64MiB", 60 * MIB)
    (tmp_path / "memory.max").write_text("max\n")
    assert own_kills([str(tmp_path)], killed=True) is None
