"""Cgroups of attempts: where they may be made, what is in them, and that none stays."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local import attempt_cgroups, cgroup
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups, Budget
from tests.cgroups import cgroup2
from tests.engine.backends.local.test_process import attempts, key
from tests.engine.backends.local.test_strays import soon_there
from tests.engine.engines import PYTHON


@pytest.fixture
def place() -> Iterator[str]:
    """A cgroup in which those of sessions are made."""
    with cgroup2() as folder:
        yield str(folder)


# -- where they may be made ------------------------------------------------------------------------------------


def host(root: Path, own: str, *mounts: tuple[str, str, str], kind: str = "domain") -> Path:
    """A host whose init is in this cgroup, and that has these mounts: (root, where, type)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    lines = [f"41 31 0:38 {top} {at} rw,relatime shared:1 - {type_} none rw\n" for top, at, type_ in mounts]
    (root / "proc/self/mountinfo").write_text("".join(lines))
    for folder in ("sys/fs/cgroup/user/app", "sys/fs/cgroup/unified", "odd place"):
        (root / folder).mkdir(parents=True)
        (root / folder / "cgroup.procs").touch()
        if kind:
            (root / folder / "cgroup.type").write_text(f"{kind}\n")
    return root


def found(root: Path) -> str | None:
    return (cgroup.own_cgroup(root) or "").removeprefix(f"{root}/") or None


def test_our_own_cgroup_is_where_the_mounts_show_it(tmp_path: Path) -> None:
    v2 = ("/", "/sys/fs/cgroup", "cgroup2")
    assert found(host(tmp_path / "1", "0::/user/app\n", v2)) == "sys/fs/cgroup/user/app"
    assert found(host(tmp_path / "2", "0::/x/user/app\n", ("/x", *v2[1:]))) == "sys/fs/cgroup/user/app"
    assert found(host(tmp_path / "3", "0::/\n", ("/", "/odd\\040place", "cgroup2"))) == "odd place"
    hybrid = [("/", "/sys/fs/cgroup/pids", "cgroup"), ("/", "/sys/fs/cgroup/unified", "cgroup2")]
    assert found(host(tmp_path / "4", "8:pids:/a\n0::/\n", *hybrid)) == "sys/fs/cgroup/unified"
    assert found(host(tmp_path / "5", "0::/\n", v2, kind="")) is None, "there is no such cgroup"
    assert found(host(tmp_path / "6", "0::/user/app\n", v2, kind="")) == "sys/fs/cgroup/user/app"


def test_there_can_be_none_with_version_1_elsewhere_or_among_threads(tmp_path: Path) -> None:
    v2 = ("/", "/sys/fs/cgroup", "cgroup2")
    assert found(host(tmp_path / "1", "8:pids:/user/app\n", ("/", "/sys/fs/cgroup", "cgroup"))) is None
    assert found(host(tmp_path / "2", "0::/user/app\n")) is None
    assert found(host(tmp_path / "3", "0::/user/app\n", ("/x", *v2[1:]))) is None
    assert found(host(tmp_path / "4", "0::/../user/app\n", v2)) is None
    assert found(host(tmp_path / "5", "0::/user/app\n", v2, kind="threaded")) is None
    assert found(tmp_path / "nothing") is None


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_there_can_be_none_in_what_is_not_ours(tmp_path: Path) -> None:
    root = host(tmp_path / "1", "0::/user/app\n", ("/", "/sys/fs/cgroup", "cgroup2"))
    (root / "sys/fs/cgroup/user/app").chmod(0o555)
    assert found(root) == "sys/fs/cgroup/user/app", "root may"
    os.setresuid(12345, 0, 0)  # whether one may write is asked for this one
    try:
        assert found(root) is None
    finally:
        os.setresuid(0, 0, 0)


# -- which attempts have one -----------------------------------------------------------------------------------


def test_long_attempts_have_one_each_however_many() -> None:
    budget = Budget(0.0)
    assert all(budget.spend(1.0) for _ in range(50)), "all at once"
    for now in range(2, 100):
        budget.lasted(0.6, had_one=True)
        assert budget.spend(now)


def test_short_ones_one_after_the_other_do_not_wait_for_it_for_long() -> None:
    budget, spent = Budget(0.0), 0
    for step in range(10_000):
        has_one = budget.spend(step * 0.02)
        budget.lasted(0.005, has_one)
        spent += has_one
    assert 5 <= spent <= 7 + 200 * 0.02 / 0.01


def test_thousands_of_short_ones_have_few() -> None:
    budget, spent, live = Budget(0.0), 0, []
    for step in range(10_000):
        live.append(budget.spend(step * 0.001))
        spent += live[-1]
        if len(live) == 8:
            budget.lasted(0.008, live.pop(0))
    assert 8 <= spent <= 40


def test_an_attempt_without_one_runs_all_the_same(tmp_path: Path) -> None:
    note = tmp_path / "note"
    groups = AttemptCgroups("s@1", note, lambda: str(tmp_path / "nowhere"), 0.0)
    chosen = groups.choose(key(1), 0.0)
    assert chosen == (f"{tmp_path}/nowhere/parexec-s@1/T.1",)
    assert not groups.make(chosen)
    assert not groups.choose(key(2), 0.0), "it is not tried again"
    groups.close()
    assert AttemptCgroups("s@1", note, lambda: None, 0.0).choose(key(1), 0.0) == ()


def test_what_starts_while_the_first_is_made_has_one_too(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = AttemptCgroups("s@1", tmp_path / "note", lambda: place, 0.0)
    make_and_lock = attempt_cgroups._make_and_lock

    def meanwhile(folder: str) -> int:
        assert groups.choose(key(2), 0.0) == (f"{folder}/T.2",)
        return make_and_lock(folder)

    monkeypatch.setattr(attempt_cgroups, "_make_and_lock", meanwhile)
    assert groups.make(groups.choose(key(1), 0.0))
    groups.close()


# -- attempts in them ------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_it_is_in_its_own_from_its_first_command_on_and_none_stays(tmp_path: Path, place: str) -> None:
    async with attempts(tmp_path, cgroup_parent=lambda: place) as t:
        await t.run("cat /proc/self/cgroup")
        await t.run("cat /proc/self/cgroup")
        own = [next(line for line in t.log(n).splitlines() if line.startswith("0::")) for n in (1, 2)]
        assert [name.rpartition("/")[2] for name in own] == ["T.1", "T.2"]
        [session] = cgroup.cgroups_in(place)
        assert own[0].rpartition("/")[0].endswith(Path(session).name)
        assert t.session.cgroups.read_text() == f"{session}\n"
    assert list(cgroup.cgroups_in(place)) == []
    assert not t.session.cgroups.exists()


@pytest.mark.trio
async def test_what_could_not_be_started_leaves_none(tmp_path: Path, place: str) -> None:
    async with attempts(tmp_path, cgroup_parent=lambda: place) as t:
        t.session.log(key(1)).mkdir()
        ended = await t.end_of(t.begin("true"))
        assert isinstance(ended, rq.ProcessEnded)
        assert "Is a directory" in ended.problem
        await t.backend.end_strays()
        assert [list(cgroup.cgroups_in(session)) for session in cgroup.cgroups_in(place)] == [[]]


@pytest.mark.trio
async def test_what_cannot_be_moved_runs_where_the_engine_is(tmp_path: Path, place: str) -> None:
    async with attempts(tmp_path, cgroup_parent=lambda: place) as t:
        await t.run("true")
        [session] = cgroup.cgroups_in(place)
        cgroup.remove(session)
        await t.run("cat /proc/self/cgroup")
        assert "parexec" not in t.log()


@pytest.mark.trio
async def test_groups_that_an_attempt_makes_in_its_own_are_looked_at_and_removed(tmp_path: Path, place: str) -> None:
    run = f"own={place}/$(ls {place} | grep parexec)/T.1; mkdir -p $own/a/b; echo 0 > $own/a/b/cgroup.procs"
    async with attempts(tmp_path, cgroup_parent=lambda: place) as t:
        await t.run(f"{run}; cat /proc/self/cgroup; sleep 60 &")
        assert "T.1/a/b\n" in t.log()
        assert [stray.commands for stray in t.strays] == [("sleep 60",)]


@pytest.mark.trio
async def test_a_fork_bomb_is_killed_at_once(tmp_path: Path, place: str) -> None:
    bomb = "import os, time, signal\nsignal.signal(15, signal.SIG_IGN)\nos.setsid()\n"
    bomb += "while time.sleep(0.0005) is None:\n    if os.fork(): os._exit(0)\n"
    (tmp_path / "bomb.py").write_text(bomb)
    async with attempts(tmp_path, cgroup_parent=lambda: place) as t:
        number = t.begin(f"for i in 1 2 3 4; do env -i {PYTHON} bomb.py & done; echo 1 > pid; wait; sleep 60")
        await soon_there(t)
        t.backend.stop(key(number), 0)
        await t.end_of(number)
        assert not any(map(cgroup.is_populated, cgroup.cgroups_in(place)))
