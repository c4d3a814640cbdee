"""What is wanted of processes on a host is done, and what became of them is told, also if the way there is lost.

With a real node program, without ssh: what is killed is the process that leads there, with its group.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import structs

from parexec_tui.core.plan.requirements import Requirements
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Identity, OutOfReachError
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.channel import Facts
from parexec_tui.engine.backends.remote.ssh import Problem
from tests.engine.backends.remote.test_node_loads import needs_mounts
from tests.engine.backends.worlds import WITHIN, Engine, World, key
from tests.engine.engines import exists
from tests.engine.virtual_time import until

pytestmark = pytest.mark.trio

WAIT = "echo before; touch up; until [ -e go ]; do sleep 0.01; done; echo after; exit 3"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World("node", tmp_path)
    yield made
    made.close()


def remote(engine: Engine) -> RemoteBackend:
    assert isinstance(engine.backend, RemoteBackend)
    return engine.backend


async def lose(engine: Engine) -> None:
    """Kill what leads to the host."""
    channel = remote(engine).channel
    with trio.fail_after(WITHIN):
        await channel.until_up()
        assert channel.pid is not None
        os.killpg(channel.pid, signal.SIGKILL)
        while channel.is_up:
            await channel.changed.wait()
    channel.retry()


async def test_what_runs_outlives_the_way_there_and_its_end_is_told(world: World) -> None:
    async with world.engine() as engine:
        engine.start(WAIT)
        await engine.file("up")
        for _ in range(2):
            await lose(engine)
        (world.work / "go").touch()
        assert await engine.ended(key()) == (3, None)
        assert await engine.output() == "before\nafter\n"
    reached = [told for told in world.told if isinstance(told, Facts)]
    assert len(reached) == 3
    assert all(told.boot and told.cpus and told.memory and abs(told.skew) < 5 for told in reached)
    assert [told for told in world.told if isinstance(told, Problem)]


async def test_what_ended_while_the_host_was_out_of_reach_is_told(world: World) -> None:
    async with world.engine() as engine:
        engine.start(WAIT)
        await engine.file("up")
        await lose(engine)
        (world.work / "go").touch()
        assert await engine.ended(key()) == (3, None)
        assert await engine.output() == "before\nafter\n"


async def test_what_is_asked_meanwhile_is_done_when_the_host_is_back(world: World) -> None:
    async with world.engine() as engine:
        engine.start("trap 'exit 7' TERM; touch up; while :; do sleep 0.01; done", at=key(1))
        await engine.file("up")
        await lose(engine)
        engine.start("echo new; exit 4", at=key(2))
        engine.start("touch never", at=key(3))
        engine.backend.freeze(key(1))
        engine.backend.stop(key(1), 20)
        engine.backend.stop(key(3), 20)
        lost = await engine.end_of(key(3))
        assert isinstance(lost, rq.ProcessLost)
        assert not lost.began
        assert await engine.ended(key(1)) == (7, None)
        assert await engine.ended(key(2)) == (4, None)
        assert not (world.work / "never").exists()


async def test_a_start_whose_answer_is_lost_is_one_start(world: World) -> None:
    async with world.engine() as engine:
        for number in range(1, 5):
            engine.start(f"echo x >> ran.{number}; sleep 0.3", at=key(number))
            await trio.sleep(0.015 * (number - 1))
            await lose(engine)
            await engine.ended(key(number))
            assert (world.work / f"ran.{number}").read_text() == "x\n"


async def test_while_the_host_is_out_of_reach_an_engine_goes_on(world: World) -> None:
    async with world.engine(dies=True) as engine:
        engine.start(WAIT)
        await engine.file("up")
        told = await engine.identity_of(key())
    way = world.way
    world.way = ("/bin/sh", "-c", "echo no way >&2; exit 255")
    async with world.engine(dies=True) as engine:
        began = trio.current_time()
        assert await engine.backend.adopt(key(), Identity(told.pid, told.birth), boot_id()) == told
        unnoted = await engine.backend.adopt(key(2), None, boot_id())
        assert isinstance(unnoted, rq.ProcessStarted)
        assert await engine.backend.end_strays() == 0
        assert (await engine.backend.usage()).usages == []
        assert trio.current_time() - began < 2
        assert sorted(engine.backend.living()) == [key(1), key(2)]
    world.way = way
    async with world.engine() as engine:
        assert await engine.backend.adopt(key(), Identity(told.pid, told.birth), boot_id()) == told
        (world.work / "go").touch()
        assert await engine.ended(key()) == (3, None)


async def test_of_what_is_only_to_be_ended_nothing_is_guessed(world: World) -> None:
    world.way = ("/bin/sh", "-c", "echo no way >&2; exit 255")
    async with trio.open_nursery() as nursery:
        backend = world.open_remote(nursery, must_reach=True)
        with pytest.raises(OutOfReachError, match="no way"):
            await backend.adopt(key(), Identity(1, 1.0), boot_id())
        nursery.cancel_scope.cancel()


async def test_what_an_engine_did_not_adopt_is_ended_and_cannot_be_started_again(world: World) -> None:
    async with world.engine(dies=True) as engine:
        engine.start("touch up; sleep 60")
        await engine.file("up")
        told = await engine.identity_of(key())
    async with world.engine() as engine:
        engine.start("touch again")
        lost = await engine.end_of(key())
        assert isinstance(lost, rq.ProcessLost)
        assert not lost.began
        assert await engine.backend.end_strays() == 1
        assert not exists(told.pid)
        assert not (world.work / "again").exists()


async def test_a_login_shell_may_say_something_first(world: World) -> None:
    shell, *rest = world.way
    world.way = (shell, rest[0], f"printf 'Welcome\\0\\n%0100000d' 7; echo to stderr >&2; {rest[1]}")
    async with world.engine() as engine:
        assert await engine.run("echo hi") == (0, None)
        assert await engine.output() == "hi\n"


async def test_what_cannot_run_on_a_host_says_why(world: World) -> None:
    async with world.engine() as engine:
        engine.backend.start(key(), structs.replace(world.launch("true"), secrets={"TOKEN": "x"}))
        report = await engine.end_of(key())
        assert isinstance(report, rq.ProcessEnded)
        assert "secrets stay on this machine" in report.problem
        assert report.ticket_at_fault


async def test_the_middle_of_a_long_log_is_read_on_the_host(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("head -c 60000000 /dev/zero | tr '\\0' x; echo end") == (0, None)
        backend, at = engine.backend, key()
        file = world.folder.log(at)
        assert file.stat().st_size == 60_000_004
        assert file.stat().st_blocks * 512 < 36 << 20
        assert await backend.past_gap(at, 30_000_000) > 30_000_000
        assert await backend.read_output(at, 30_000_000, 5) == b"xxxxx"
        assert (await backend.read_output(at, 59_999_990, 100)).endswith(b"xend\n")
        assert await engine.run("echo short", at=key(2)) == (0, None)
    with file.open("rb") as log:
        note = next(line for line in iter(lambda: log.readline(1 << 20), b"") if line.startswith(b"[parexec]"))
    assert note.split() == b"[parexec] 25MiB left out here: they are on the host host".split()
    spool = world.folder.path.parent / "spool"
    assert [path.stat().st_size for path in spool.glob("keys/*/log")] == [60_000_004], "only what is not here stays"


async def test_a_host_keeps_nothing_of_what_is_here(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("echo short") == (0, None)
    async with world.engine() as engine:
        assert await engine.output(key()) == "short\n"
        assert isinstance(await engine.backend.prove_end(key()), rq.ProcessEnded)
    assert not (world.folder.path.parent / "spool").exists()


async def test_what_is_required_is_looked_for_there(world: World) -> None:
    tools = world.work.parent / "tools"
    tools.mkdir()
    for name, says in (("onlythere", "onlythere 1.2.3"), ("mute", "what?")):
        (tools / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tools / name).chmod(0o755)
    shell, option, boot = world.way
    world.way = (shell, option, f"export PATH={tools}:$PATH THERE=x EMPTY=; {boot}")
    wanted = Requirements(("onlythere >= 1.2", "sh"), (), ("THERE", "MINE"))
    async with world.engine() as engine:
        launch = structs.replace(world.launch("onlythere", MINE="x"), requires=wanted, root=str(world.work))
        engine.backend.start(key(1), launch)
        assert await engine.ended(key(1)) == (0, None)
        wanted = Requirements(("onlythere >= 1.3", "mute >= 1", "nowhere"), ("file",), ("EMPTY", "NOT"))
        engine.backend.start(key(2), structs.replace(launch, requires=wanted))
        report = await engine.end_of(key(2))
        assert isinstance(report, rq.ProcessEnded)
        assert report.problem.split("; ") == [
            f"onlythere >= 1.3 is required, and {tools}/onlythere is 1.2.3",
            f"mute >= 1 is required, and the version of {tools}/mute is not known: "
            "it tells no number with `--version`",
            "required command nowhere is not found",
            "required file file does not exist",
            "required variable EMPTY is empty",
            "required variable NOT is not set",
        ]
        assert report.ticket_at_fault


async def test_an_end_is_told_and_the_node_program_is_at_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.engine() as engine:
        backend = remote(engine)
        on_event, told = backend.on_event, list[object]()

        def count(header: Mapping[str, Any], blob: bytes) -> None:
            told.append(header)
            on_event(header, blob)

        monkeypatch.setattr(backend, "on_event", count)
        for number in range(1, 61):
            engine.start("true", at=key(number))
        for number in range(1, 61):
            assert await engine.ended(key(number)) == (0, None)
        assert len(told) <= 120, "some are told twice: by the end of their supervisor, and after the start"


async def test_how_busy_the_host_is_is_told_without_waiting_and_as_it_was_last_while_it_is_lost(world: World) -> None:
    async with world.engine() as engine:
        backend = remote(engine)
        assert backend.host_samples() == {}
        await backend.channel.until_up()
        await until(backend.host_samples, "a sample")
        first = backend.host_samples()["host"]
        await until(lambda: backend.host_samples()["host"].at > first.at, "the next one")
        second = backend.host_samples()["host"]
        assert 0 <= second.cpu <= 1
        assert 0 < second.memory_used < second.memory_total
        assert 0 < second.disks[0].free < second.disks[0].total
        await lose(engine)
        assert backend.host_samples()["host"].at >= second.at


@needs_mounts
async def test_a_host_with_a_full_disk_is_let_be_for_a_while_and_stays_connected(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parexec_tui.engine.backends.remote.backend._PAUSE", 0.3)
    script = 'mount -t tmpfs -o size=256k tmpfs "$1" && shift && exec "$@"'
    (tmp_path / "spool").mkdir()
    world.way = ("unshare", "-m", "sh", "-c", script, "sh", str(tmp_path / "spool"), *world.way)
    async with world.engine() as engine:
        engine.start("cat /dev/zero; touch full; until [ -e go ]; do sleep 0.01; done; exit 4")
        await engine.file("full")
        for number in (2, 3):
            engine.start("true", at=key(number))
            lost = await engine.end_of(key(number))
            assert isinstance(lost, rq.ProcessLost)
            assert not lost.began
        (problem,) = [told for told in world.told if isinstance(told, Problem)]
        assert problem.text == "it cannot start processes: No space left on device; it is tried again in 0 s"
        assert problem.is_of_host
        with trio.fail_after(WITHIN):
            while not isinstance(world.told[-1], Facts):  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert remote(engine).channel.is_up
        (engine.world.work / "go").touch()
        assert await engine.ended(key(1)) == (4, None)


async def test_a_process_that_ended_out_of_reach_is_told_with_its_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "away"
    world.way = ("/bin/sh", "-c", f'while [ -e {away} ]; do sleep 0.01; done; exec "$@"', "sh", *world.way)
    async with world.engine() as engine:
        engine.start("exit 5", at=key(2))
        at_once = await engine.end_of(key(2))
        assert isinstance(at_once, rq.ProcessEnded)
        assert at_once.ended is None
        monkeypatch.setattr("parexec_tui.engine.backends.remote.backend._LATE", 0.2)
        engine.start(WAIT)
        await engine.file("up")
        away.touch()
        await lose(engine)
        (engine.world.work / "go").touch()
        began = time.time()
        await trio.sleep(1.0)
        away.unlink()
        late = await engine.end_of(key(1))
        assert isinstance(late, rq.ProcessEnded)
        assert late.ended is not None
        assert -0.1 <= late.ended - began < 0.7
