"""Worktrees of a repository whose disk is full: what is done in them waits, and git leaves nothing behind."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from msgspec import structs

from parexec_tui.core.state.process_key import COMMIT, MERGE, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import CommitWork, KeepWorktree, MergeWork, Worktree
from parexec_tui.engine.backends.local.worktrees import making, merging, rooms
from parexec_tui.engine.backends.local.worktrees.git import NoRoomError
from parexec_tui.engine.backends.local.worktrees.leftovers import remove_left
from parexec_tui.engine.backends.local.worktrees.rooms import Rooms, in_room
from parexec_tui.engine.backends.local.worktrees.tending import Worktrees
from tests.engine.backends.local.test_worktrees import wanted
from tests.engine.small_disk import MIB, SmallDisk, small_disk
from tests.repositories import git, new_repository


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as found:
        yield found


def worked(disk: SmallDisk, ticket: str, size: int) -> Worktree:
    """A worktree on another disk than its repository, with so many bytes that cannot be compressed."""
    repository = disk.path / "repository"
    if not repository.exists():
        new_repository(repository)
    tree = structs.replace(wanted(repository, ticket), path=str(disk.path.parent / ticket))
    making.make(tree, 1)
    Path(tree.path, ticket).write_bytes(os.urandom(size))
    return tree


def unfinished(disk: SmallDisk) -> list[Path]:
    return list((disk.path / "repository" / ".git" / "objects").rglob("tmp_*"))


def put(tree: Worktree, data: bytes) -> None:
    Path(tree.path, "big").write_bytes(data)


class Tries:
    """The steps of tickets, as the engine has them tried."""

    def __init__(self, disk: SmallDisk) -> None:
        self.disk = disk
        self.rooms = Rooms()
        self.count = 0

    def commit(self, tree: Worktree, ticket: str, since: float = 0.0) -> rq.WorkTried:
        def work() -> rq.WorkTried:
            self.count += 1
            found = merging.commit(tree, "", is_gated=False)
            assert isinstance(found, rq.Work)
            return rq.WorkTried(ticket, 1, found, step=COMMIT)

        task = CommitWork(tree, "", is_gated=False, since=since)
        return self.rooms.tried(ProcessKey(ticket, 1, COMMIT), task, work)

    def merge(self, tree: Worktree, ticket: str, done: rq.Work) -> rq.WorkTried:
        def work() -> rq.WorkTried:
            found = merging.merge(tree, done, is_gated=False)
            assert isinstance(found, rq.Work)
            return rq.WorkTried(ticket, 1, found, step=MERGE)

        return self.rooms.tried(ProcessKey(ticket, 1, MERGE), MergeWork(tree, done, is_gated=False), work)


def test_what_does_not_fit_waits_and_takes_no_room_from_what_does(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.0)
    big, small, tries = worked(disk, "big", 5 * MIB), worked(disk, "small", 10), Tries(disk)
    objects, free = disk.path / "repository" / ".git" / "objects", disk.free()
    said = tries.commit(big, "big")
    assert (said.work, said.problem) == (None, "")
    assert said.lacks.startswith(f"waits for room in {objects}, where 3.")
    assert said.lacks.endswith(" are free, for what it did (5MiB)")
    assert unfinished(disk) == []
    assert disk.free() > free - MIB / 10
    assert tries.commit(small, "small").work is not None
    again = tries.commit(big, "big").lacks
    assert again.startswith(f"waits for room: what it did (5MiB) does not fit in {objects}, where 3.")
    assert again.endswith("are free; make room there, or parexec cancel big")
    count = tries.count
    assert tries.commit(big, "big").lacks == again
    assert tries.count == count, "there is no more room than before"
    disk.remount("size=16M")
    work = tries.commit(big, "big").work
    assert work is not None
    assert tries.merge(big, "big", work).work == work
    assert len(git(disk.path / "repository", "ls-tree", "-r", "--name-only", big.target).split()) == 2


def test_a_merge_waits_for_room_and_moves_nothing_before(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.0)
    one, other, tries = worked(disk, "one", 10), worked(disk, "other", 10), Tries(disk)
    done = [tries.commit(tree, Path(tree.path).name).work for tree in (one, other)]
    assert done[0] is not None
    assert done[1] is not None
    tries.merge(one, "one", done[0])
    before = git(disk.path / "repository", "rev-parse", one.target)
    disk.fill()
    assert tries.merge(other, "other", done[1]).lacks.startswith("waits for room in ")
    assert git(disk.path / "repository", "rev-parse", one.target) == before
    disk.make_room()
    assert tries.merge(other, "other", done[1]).work is not None


def test_where_a_worktree_cannot_be_made_it_is_said_on_which_disk(disk: SmallDisk) -> None:
    tree = worked(disk, "one", 10)
    disk.fill()
    with (
        pytest.raises(NoRoomError, match=f"make room in {disk.path}/repository/.git/objects") as raised,
        in_room(tree),
    ):
        making.make(structs.replace(tree, path=f"{tree.path}-2", branch="parexec/s/two"), 1)
    assert raised.value.folder == f"{disk.path}/repository/.git/objects"


HOLDS = """
import sys, time
file = open(sys.argv[1], "wb")
print("open", flush=True)
sys.stdin.read()
"""


def test_only_what_a_dead_git_left_meanwhile_is_removed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "pack").mkdir()
    old, left, pack, alive, other = (
        tmp_path / name for name in ("ab/tmp_obj_1", "ab/tmp_obj_2", "pack/tmp_pack_3", "ab/tmp_obj_4", "ab/5")
    )
    old.touch()
    os.utime(old, (time.time() - 60, time.time() - 60))
    since = time.time()
    for each in (left, pack, other):
        each.touch()
    with subprocess.Popen(
        (sys.executable, "-c", HOLDS, str(alive)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as git_of_a_person:
        assert git_of_a_person.stdout is not None
        git_of_a_person.stdout.readline()
        remove_left(str(tmp_path), since)
        assert [each.exists() for each in (old, left, pack, alive, other)] == [True, False, False, True, True]
        git_of_a_person.communicate()
    remove_left(str(tmp_path), since)
    assert not alive.exists(), "of a git that died"


def test_what_the_git_of_a_dead_engine_left_in_the_step_is_removed_when_it_begins_again(disk: SmallDisk) -> None:
    tree = worked(disk, "one", 2 * MIB)
    left = disk.path / "repository" / ".git" / "objects" / "ab" / "tmp_obj_x"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(bytes(3 * MIB))
    assert Tries(disk).commit(tree, "one", since=time.time() - 10).work is not None
    assert not left.exists()


@pytest.mark.trio
async def test_what_the_git_of_a_dead_engine_left_is_removed_also_if_the_ticket_was_given_up(disk: SmallDisk) -> None:
    tree = worked(disk, "one", 100)
    left = disk.path / "repository" / ".git" / "objects" / "ab" / "tmp_obj_x"
    left.parent.mkdir(exist_ok=True)
    left.touch()
    async with trio.open_nursery() as nursery:
        worktrees = Worktrees(nursery, lambda _: None)
        await worktrees.tended(ProcessKey("one", 1), KeepWorktree(tree))
        assert left.exists(), "nobody says that it is ours"
        await worktrees.tended(ProcessKey("one", 1), KeepWorktree(tree, since=time.time() - 10))
    assert not left.exists()


@pytest.mark.trio
async def test_what_git_writes_is_ended_and_removed_when_the_engine_leaves(tmp_path: Path) -> None:
    new_repository(tmp_path / "repository")
    tree = structs.replace(wanted(tmp_path / "repository", "one"), path=str(tmp_path / "one"))
    making.make(tree, 1)
    put(tree, os.urandom(60 * MIB))
    objects = tmp_path / "repository" / ".git" / "objects"
    async with trio.open_nursery() as nursery:
        worktrees = Worktrees(nursery, lambda _: None)
        worktrees.tend(ProcessKey("one", 1), KeepWorktree(tree))
        with trio.fail_after(20):
            while not (writes := list(objects.rglob("tmp_obj_*"))):  # noqa: ASYNC110 - git tells nobody
                await trio.sleep(0.01)
            await worktrees.finish()
        assert not writes[0].exists(), "it would be there for ever"
        assert git(tmp_path / "repository", "count-objects").startswith("3 objects"), "nothing was written to its end"
        nursery.cancel_scope.cancel()
