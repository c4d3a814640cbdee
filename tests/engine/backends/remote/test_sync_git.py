"""sync = "git": exactly the commit of a worktree gets to the host, and what is done there is then in the worktree."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.remote.sync_git import GitSync
from tests.engine.backends.remote.apart import Apart
from tests.engine.backends.worlds import Engine, key

pytestmark = pytest.mark.trio


class Repository(Apart):
    """With a repository, and a worktree of it in `work`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda world, channel: GitSync(channel, world.folder, str(world.there)))
        self.repository = folder / "repository"
        self.git("init", "--quiet", "-b", "main", str(self.repository), folder=folder)
        (self.repository / "a").write_text("a\n")
        (self.repository / "b").write_text("b\n")
        (self.repository / ".gitignore").write_text("ignored\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "first")
        self.work.rmdir()
        self.git("worktree", "add", "--quiet", "-b", "ticket", str(self.work))

    def git(self, *words: str, folder: Path | None = None) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@t"]
        done = subprocess.run(
            ["git", *who, *words], cwd=folder or self.repository, check=True, capture_output=True, text=True
        )
        return done.stdout.rstrip("\n")

    def status(self) -> list[str]:
        return self.git("status", "--porcelain", "--untracked-files=all", folder=self.work).splitlines()

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD", folder=self.work)


@pytest.fixture
def world(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


async def run(engine: Engine, command: str, number: int = 1, **carried: Any) -> rq.ProcessEnded:
    world = engine.world
    assert isinstance(world, Repository)
    carried = {"in_worktree": True, **carried}
    engine.backend.start(key(number), world.carrying(command, **carried))
    report = await engine.end_of(key(number))
    assert isinstance(report, rq.ProcessEnded)
    return report


async def test_what_is_done_there_is_in_the_worktree(world: Repository) -> None:
    head = world.head
    async with world.engine() as engine:
        command = "echo changed > a; git rm -q b; mkdir c; echo new > c/d; echo x > ignored; pwd; git log --format=%s"
        end = await run(engine, command)
        assert (end.code, end.problem) == (0, "")
        lines = (await engine.output()).splitlines()
        assert lines[0].startswith(str(world.there))
        assert lines[1:] == ["first"]
    assert not Path(lines[0]).exists()  # noqa: ASYNC240 - a test
    assert world.head == head
    assert world.status() == [" M a", " D b", "?? c/d"]
    assert (world.work / "c" / "d").read_text() == "new\n"
    assert not (world.work / "ignored").exists()
    assert world.git("for-each-ref", "--format=%(refname)") == "refs/heads/main\nrefs/heads/ticket"


async def test_commits_that_are_made_there_come_back(world: Repository) -> None:
    head = world.head
    async with world.engine() as engine:
        commit = "git -c user.name=w -c user.email=w@w commit -q -a -m there"
        end = await run(engine, f"echo one > a; {commit}; echo two >> a; echo three > e")
        assert end.code == 0
    assert world.git("log", "--format=%s %an", "ticket") == "there w\nfirst t"
    assert world.git("rev-parse", "ticket^") == head
    assert world.status() == [" M a", "?? e"]
    assert (world.work / "a").read_text() == "one\ntwo\n"
    assert world.git("symbolic-ref", "HEAD", folder=world.work) == "refs/heads/ticket"


async def test_it_begins_with_all_that_is_in_the_worktree(world: Repository) -> None:
    (world.work / "a").write_text("not committed\n")
    (world.work / "new").write_text("new\n")
    (world.work / ".env").write_text("copied\n")
    (world.work / "ignored").write_text("ignored\n")
    async with world.engine() as engine:
        await run(engine, "cat a new .env; ls -A; rm new; echo more >> a", copy=(".env",))
        lines = (await engine.output()).splitlines()
        assert lines == ["not committed", "new", "copied", ".env", ".git", ".gitignore", "a", "b", "new"]
        assert world.status() == [" M a", "?? .env"]
        assert (world.work / "a").read_text() == "not committed\nmore\n"
        assert (world.work / "ignored").exists()
        await run(engine, "cat a; [ ! -e new ] && echo gone; echo built > ignored", 2, copy=(".env",))
        assert await engine.output(key(2)) == "not committed\nmore\ngone\n"
        await run(engine, "cat ignored", 3, copy=(".env",), is_first=False)
        assert await engine.output(key(3)) == "built\n"
        await run(engine, "[ ! -e ignored ] && echo clean", 4, copy=(".env",))
        assert await engine.output(key(4)) == "clean\n"


async def test_it_needs_a_worktree_and_no_links(world: Repository) -> None:
    async with world.engine() as engine:
        end = await run(engine, "true", 1, in_worktree=False)
        assert 'isolation = "worktree"' in end.problem
        end = await run(engine, "true", 2, link=("node_modules",))
        assert "a link to node_modules" in end.problem


async def test_an_engine_after_it_takes_the_work_over(world: Repository) -> None:
    launch = world.carrying("until [ -e ../../../../go ]; do sleep 0.01; done; echo done > a", in_worktree=True)
    async with world.engine(dies=True) as engine:
        engine.backend.start(key(), launch)
        await engine.identity_of(key())
    (world.there.parent / "go").touch()
    async with world.engine() as engine:
        adopted = await engine.backend.adopt(key(), None, "")
        if isinstance(adopted, rq.ProcessStarted):
            assert await engine.ended(key()) == (0, None)
    assert world.status() == [" M a"]
