"""sync = "rsync": what is declared gets to the host and back, whole or not at all, and nothing is deleted."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.remote.sync_files import FileSync
from tests.engine.backends.remote.apart import Apart
from tests.engine.backends.worlds import Engine, key

pytestmark = pytest.mark.trio

needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="no mount namespace may be made here",
)


@pytest.fixture
def world(tmp_path: Path) -> Apart:
    return Apart(tmp_path, lambda world, channel: FileSync(channel, world.folder, str(world.work), str(world.there)))


async def run(engine: Engine, command: str, number: int = 1, **carried: Any) -> rq.ProcessEnded:
    world = engine.world
    assert isinstance(world, Apart)
    engine.backend.start(key(number), world.carrying(command, **carried))
    report = await engine.end_of(key(number))
    assert isinstance(report, rq.ProcessEnded)
    return report


async def test_what_is_read_gets_there_and_what_is_written_gets_back(world: Apart) -> None:
    (world.work / "src" / "sub").mkdir(parents=True)
    (world.work / "src" / "a.txt").write_text("a\n")
    (world.work / "src" / "sub" / "run.sh").write_text("echo ran $(cat src/a.txt)\n")
    (world.work / "src" / "sub" / "run.sh").chmod(0o750)
    (world.work / "src" / "link").symlink_to("a.txt")
    (world.work / "secret").write_text("not declared\n")
    (world.work / "out").mkdir()
    big = os.urandom(3 << 20)
    (world.work / "src" / "big").write_bytes(big)
    async with world.engine() as engine:
        command = (
            "src/sub/run.sh > out/log; cp src/big out/big2; ln -s big2 out/to; echo no > other; cat src/link; "
            "[ ! -e secret ] && echo apart; pwd; echo $PAREXEC_WORKDIR"
        )
        end = await run(engine, command, reads=("src/**",), writes=("out/*",), outputs=("out/big2",))
        assert (end.code, end.problem) == (0, "")
        assert await engine.output() == f"a\napart\n{world.there}\n{world.there}\n"
    assert (world.work / "out" / "log").read_text() == "ran a\n"
    assert (world.work / "out" / "big2").read_bytes() == big
    assert (world.work / "out" / "to").readlink() == Path("big2")
    assert not (world.work / "other").exists()
    assert [path.name for path in (world.work / "out").iterdir() if path.name.startswith(".")] == []


async def test_what_is_the_same_is_not_sent_and_nothing_is_deleted(world: Apart) -> None:
    (world.work / "in").write_text("one\n")
    (world.work / "out").write_text("before\n")
    async with world.engine() as engine:
        await run(engine, "rm -f out; cat in", 1, reads=("in",), writes=("out", "new"))
        inode = (world.there / "in").stat().st_ino
        end = await run(engine, "cat in out; echo new > new", 2, reads=("in",), writes=("out", "new"))
        assert (end.code, await engine.output(key(2))) == (0, "one\nbefore\n")
        assert (world.there / "in").stat().st_ino == inode
        (world.work / "in").write_text("two\n")
        await run(engine, "cat in; rm in", 3, reads=("in",), writes=("out", "new"))
        assert await engine.output(key(3)) == "two\n"
    assert (world.work / "in").read_text() == "two\n"
    assert (world.work / "out").read_text() == "before\n"
    assert (world.work / "new").read_text() == "new\n"


async def test_what_another_run_left_there_does_not_come_back(world: Apart) -> None:
    world.there.mkdir()
    (world.there / "out").mkdir()
    (world.there / "out" / "stale").write_text("of another session\n")
    async with world.engine() as engine:
        await run(engine, "echo new > out/fresh", writes=("out/**",))
    assert [path.name for path in (world.work / "out").iterdir()] == ["fresh"]


async def test_a_change_that_size_and_time_do_not_tell_is_brought_both_ways(world: Apart) -> None:
    old = "touch -d 2001-01-01"
    async with world.engine() as engine:
        await run(engine, f"echo 1 > file; {old} file", 1, writes=("file",))
        await run(engine, f"echo 2 > file; {old} file", 2, writes=("file",))
        assert (world.work / "file").read_text() == "2\n"
        (world.work / "file").write_text("3\n")
        os.utime(world.work / "file", ns=((world.there / "file").stat().st_mtime_ns,) * 2)
        await run(engine, "cat file", 3, reads=("file",))
        assert await engine.output(key(3)) == "3\n"
    async with world.engine() as engine:
        inode = (world.there / "file").stat().st_ino
        await run(engine, "cat file", 4, reads=("file",))
        assert (world.there / "file").stat().st_ino == inode, "its digest tells an engine that knows nothing of it"


async def test_nothing_is_written_through_a_link_that_came_from_there(world: Apart, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with world.engine() as engine:
        await run(engine, f"mkdir o; ln -s {outside} o/evil; ln -s nothing fine", 1, writes=("o/**", "fine"))
        assert (world.work / "o" / "evil").readlink() == outside
        assert (world.work / "fine").readlink() == Path("nothing")
        command = "rm o/evil; mkdir o/evil; echo x > o/evil/f; echo x > o/set; chmod 6755 o/set"
        await run(engine, command, 2, writes=("o/**",))
        assert not list(outside.iterdir())
        assert (world.work / "o" / "evil" / "f").read_text() == "x\n"
        assert (world.work / "o" / "set").stat().st_mode & 0o7777 == 0o755
        end = await run(engine, f"ln -s {outside}/f p", 3, writes=("p",))
        assert "would become a link out of the workdir" in end.error_line
        end = await run(engine, "true", 4, reads=("../in",))
        assert "../in is outside of the workdir" in end.problem


async def test_an_engine_after_it_brings_back_what_was_written(world: Apart) -> None:
    (world.work / "in").write_text("in\n")
    launch = world.carrying("until [ -e go ]; do sleep 0.01; done; cp in out", reads=("in",), writes=("out",))
    async with world.engine(dies=True) as engine:
        engine.backend.start(key(), launch)
        identity = await engine.identity_of(key())
    (world.there / "go").touch()
    async with world.engine() as engine:
        adopted = await engine.backend.adopt(key(), None, "")
        if not isinstance(adopted, rq.ProcessEnded):
            assert isinstance(adopted, rq.ProcessStarted)
            assert adopted.pid == identity.pid
            assert await engine.ended(key()) == (0, None)
        assert (world.work / "out").read_text() == "in\n"
    assert not Path(world.folder.carried(key())).exists()  # noqa: ASYNC240 - a test


async def test_what_cannot_be_brought_says_why(world: Apart, tmp_path: Path) -> None:
    (world.work / "in").write_text("in\n")
    world.there.write_text("not a folder\n")
    async with world.engine() as engine:
        end = await run(engine, "true", reads=("in",))
        assert "its host says: " in end.problem
        assert not end.host_short_of
    world.there.unlink()
    async with world.engine() as engine:
        end_in_the_way = "until [ -e ../go ]; do sleep 0.01; done; echo y > out; echo said"
        engine.backend.start(key(2), world.carrying(end_in_the_way, writes=("out",)))
        await engine.identity_of(key(2))
        (world.work / "out").mkdir()
        (world.work / "out" / "full").touch()
        (tmp_path / "go").touch()
        report = await engine.end_of(key(2))
        assert isinstance(report, rq.ProcessEnded)
        assert report.problem == "what it wrote was not brought back from its host"
        assert "Is a directory" in report.error_line
        assert (world.work / "out" / "full").exists()


async def test_a_stopped_process_leaves_its_files_there(world: Apart) -> None:
    async with world.engine() as engine:
        engine.backend.start(key(), world.carrying("echo half > out; : > up; sleep 600", writes=("out",)))
        await engine.file("../there/up")
        engine.backend.stop(key(), 5.0)
        await engine.end_of(key())
    assert not (world.work / "out").exists()
    assert (world.there / "out").read_text() == "half\n"


@needs_mounts
async def test_a_full_disk_there_harms_no_file(tmp_path: Path) -> None:
    script = tmp_path / "way"
    there = tmp_path / "there"
    there.mkdir()
    script.write_text(
        f'#!/bin/sh\nexec unshare -m sh -c \'mount -t tmpfs -o size=1m t {there} && exec "$@"\' sh "$@"\n'
    )
    script.chmod(0o755)
    world = Apart(
        tmp_path,
        lambda world, channel: FileSync(channel, world.folder, str(world.work), str(world.there)),
        str(script),
    )
    (world.work / "in").write_bytes(b"x" * 1000)
    async with world.engine() as engine:
        await run(engine, "true", 1, reads=("in",))
        (world.work / "in").write_bytes(b"y" * (2 << 20))
        end = await run(engine, "true", 2, reads=("in",))
        assert "No space left" in end.problem
        (world.work / "in").write_bytes(b"z" * 10)
        end = await run(engine, "cat in; ls -A", 3, reads=("in",))
        assert (await engine.output(key(3))) == "z" * 10 + "in\n"
