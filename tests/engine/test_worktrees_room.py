"""A session whose repository is on a disk that is full: it waits, says so, and goes on by itself."""

import subprocess
from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import PAREXEC, Engine, happened, session, start, state_of, ticket
from tests.engine.small_disk import small_disk
from tests.repositories import git, new_repository

PLAN = """
[plan]
workdir = "repository"
min_free_disk = 0
parallel = 3
[agents.coder]
isolation = "worktree"
[tickets.big]
run = "head -c 6000000 /dev/urandom > big"
[tickets.huge]
run = "head -c 6000000 /dev/urandom > huge"
[tickets.small]
run = "echo s > small"
"""


def said(*words: str) -> str:
    return subprocess.run((*PAREXEC, *words), check=True, capture_output=True, text=True).stdout


def test_what_does_not_fit_fails_nobody_and_outlives_the_engine(tmp_path: Path) -> None:
    with small_disk(tmp_path / "repository") as disk:
        new_repository(disk.path)
        engine = start(tmp_path, PLAN)

        def told(id_: str) -> str:
            found = happened(ev.RoomAwaited, ticket=id_)
            return found[-1].text if found else ""

        engine.until(lambda: "does not fit" in told("big") and told("huge"), "both wait")
        engine.until(lambda: happened(ev.WorkMerged, ticket="small"), "what fits is merged")
        [reason] = [line for line in said("why", "big").splitlines() if "does not fit" in line]
        assert f"what it did (5.7MiB) does not fit in {disk.path}/.git/objects" in reason
        said("cancel", "huge")
        engine.until(lambda: ticket("huge").status is Status.cancelled, "it is cancelled")
        engine.kill()
        objects = disk.path / ".git" / "objects"
        (objects / "pack" / "tmp_pack_left").touch()  # by a git that died with its engine, on a disk that may be full
        again = Engine("resume", cwd=tmp_path)
        again.until(lambda: len(happened(ev.RoomAwaited, ticket="big")) > 2, "it is tried again")
        again.until(lambda: not list(objects.rglob("tmp_*")), "what git left is removed")
        disk.remount("size=32M")
        assert again.wait() == 1, "one was cancelled"
        assert ticket("big").status is Status.succeeded
        assert ticket("big").attempts == 1
        tree = f"parexec/{session()}/@merged"
        assert git(disk.path, "ls-tree", "-r", "--name-only", tree).split() == ["big", "file", "small"]
        assert not state_of().live


def test_no_worktree_is_made_on_a_full_disk_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "repository") as disk:
        new_repository(disk.path)
        disk.fill()
        engine = start(tmp_path, PLAN.partition("[tickets.big]")[0] + '[tickets.A]\nrun = "echo A > A"\n')
        where = f"room in {disk.path}/.git/objects"
        engine.until(lambda: happened(ev.HostPressed, resource=where), "it is told")
        disk.make_room()
        assert engine.wait() == 0, engine.text()
        assert ticket("A").charged == 0
