"""A runner that dies, or its engine: nothing of what it ran is lost."""

import os
import signal
from pathlib import Path

import pytest
import trio

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine import session
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.pipe.backend import PipeBackend, runner_command
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.sinks import EventSink
from parexec_tui.paths import session_folder
from tests.engine.backends.worlds import WITHIN, Engine, World, key
from tests.engine.engines import code_of, exists, log_of, ticket

TICKS = "while :; do date +%N > ticks; sleep 0.01; done"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World("pipe", tmp_path)


async def pid_of_runner(engine: Engine) -> int:
    """Wait until there is a runner that answers."""
    assert isinstance(engine.backend, PipeBackend)
    await engine.backend.recorded()
    assert engine.backend.runner_pid is not None
    return engine.backend.runner_pid


async def kill_runner(engine: Engine) -> None:
    """Kill the runner, and wait until another one is there."""
    pid = await pid_of_runner(engine)
    os.kill(pid, signal.SIGKILL)
    with trio.fail_after(WITHIN):
        while engine.backend.runner_pid == pid:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert await pid_of_runner(engine) != pid


@pytest.mark.trio
async def test_what_runs_outlives_its_runner_and_its_end_is_told(world: World) -> None:
    async with world.engine() as engine:
        engine.start("touch up; until [ -e go ]; do sleep 0.01; done; echo done; exit 3")
        ends = engine.start("until [ -e go-first ]; do sleep 0.01; done; exit 4", at=key(2))
        await engine.file("up")
        pids = [(await engine.identity_of(each)).pid for each in (key(), ends)]
        await kill_runner(engine)
        assert all(map(exists, pids))
        assert sorted(engine.backend.living()) == [key(), key(2)]
        (world.work / "go-first").touch()
        assert await engine.ended(ends) == (4, None)
        await kill_runner(engine)
        (world.work / "go").touch()
        assert await engine.ended(key()) == (3, None)
        assert await engine.output() == "done\n"
    assert len(world.notices) == 2
    assert world.notices[0] == "the runner died with -9; starting it again, what it ran goes on"


@pytest.mark.trio
async def test_what_ended_without_a_runner_is_told_by_the_next(world: World) -> None:
    async with world.engine() as engine:
        engine.start("touch up; until [ -e go ]; do sleep 0.01; done; exit 3")
        await engine.file("up")
        told = await engine.identity_of(key())
        os.kill(await pid_of_runner(engine), signal.SIGSTOP)
        (world.work / "go").touch()
        with trio.fail_after(WITHIN):
            while (world.folder.record(key())).read_text().count("\n") < 2:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert engine.backend.living() == [key()]
        os.kill(engine.backend.runner_pid or 0, signal.SIGKILL)  # type: ignore[attr-defined]
        assert await engine.ended(key()) == (3, None)
        assert not exists(told.pid)


@pytest.mark.trio
async def test_the_next_runner_knows_what_is_frozen_and_what_is_to_be_stopped(world: World) -> None:
    async with world.engine() as engine:
        engine.start(f"trap 'echo bye; exit 7' TERM; {TICKS}")
        deaf = engine.start("trap '' TERM; touch deaf; while :; do sleep 0.01; done", at=key(2))
        await engine.file("ticks")
        await engine.file("deaf")
        engine.backend.freeze(key())
        engine.backend.stop(deaf, 3.0)
        await kill_runner(engine)
        pid = (await engine.identity_of(deaf)).pid
        assert isinstance(await engine.end_of(deaf), rq.ProcessLost), "it was killed, and nothing tells by whom"
        assert not exists(pid)
        assert key() not in engine.ends
        engine.backend.stop(key(), 15)
        assert await engine.ended(key()) == (7, None), "a frozen one is let go on, so that it can clean up"


@pytest.mark.trio
async def test_what_is_thawed_while_there_is_no_runner_goes_on(world: World) -> None:
    async with world.engine() as engine:
        engine.start(TICKS)
        ticks = await engine.file("ticks")
        engine.backend.freeze(key())
        pid = await pid_of_runner(engine)
        os.kill(pid, signal.SIGKILL)
        with trio.fail_after(WITHIN):
            while engine.backend.runner_pid == pid:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await trio.sleep(0.001)
        frozen_at = ticks.stat().st_mtime_ns
        engine.backend.thaw(key())
        with trio.fail_after(WITHIN):
            while ticks.stat().st_mtime_ns == frozen_at:  # noqa: ASYNC110
                await trio.sleep(0.01)
        engine.backend.stop(key(), 0)
        await engine.end_of(key())


@pytest.mark.trio
async def test_an_order_may_come_before_the_first_runner_and_between_two(world: World) -> None:
    async with world.engine() as engine:
        engine.start("sleep 60")
        engine.backend.stop(key(), 0)
        assert await engine.ended(key()) == (None, signal.SIGKILL)
        pid = await pid_of_runner(engine)
        os.kill(pid, signal.SIGKILL)
        with trio.fail_after(WITHIN):
            while engine.backend.runner_pid == pid:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await trio.sleep(0.001)
        assert await engine.run("exit 5", at=key(2)) == (5, None)


@pytest.mark.trio
async def test_what_was_asked_of_a_runner_that_died_is_answered_by_the_next(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("echo out") == (0, None)
        pid = await pid_of_runner(engine)
        os.kill(pid, signal.SIGSTOP)
        found: list[str] = []

        async def ask() -> None:
            found.append(await engine.output())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(0.1)
            assert not found
            os.kill(pid, signal.SIGKILL)
        assert found == ["out\n"]


@pytest.mark.trio
async def test_without_its_engine_a_runner_leaves_and_what_it_ran_goes_on(world: World) -> None:
    async with world.engine(dies=True) as engine:
        engine.start("touch up; sleep 60")
        await engine.file("up")
        told = await engine.identity_of(key())
        runner = await pid_of_runner(engine)
    assert not exists(runner)
    assert exists(told.pid)
    async with world.engine() as another:
        assert await another.backend.end_strays() > 0
        assert not exists(told.pid)


@pytest.mark.trio
async def test_a_runner_that_cannot_be_started_is_said_and_tried_again(world: World) -> None:
    notices: list[str] = []
    program = world.work / "runner"
    async with trio.open_nursery() as nursery:
        backend = PipeBackend(nursery, [str(program)], environment=os.environ, notice=notices.append)
        with trio.fail_after(WITHIN):
            while len(notices) < 2:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert "the runner cannot be started: [Errno 2]" in notices[0]
        command = " ".join(f"'{word}'" for word in runner_command("session", world.folder))
        program.write_text(f"#!/bin/sh\nexec {command}\n")
        program.chmod(0o700)
        with trio.fail_after(WITHIN):
            assert list(await backend.recorded()) == []
            await backend.finish()
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("said", ["Welcome to this host!", '{"type":"hello","version":0,"boot":"x"}', "\\377"])
async def test_a_runner_that_cannot_be_understood_is_replaced(world: World, said: str) -> None:
    notices: list[str] = []
    program, second = world.work / "runner", world.work / "second"
    command = " ".join(f"'{word}'" for word in runner_command("session", world.folder))
    program.write_text(
        f"#!/bin/sh\nif [ -e '{second}' ]; then exec {command}; fi\n"
        f": > '{second}'\nprintf '{said}\\n'\nexec sleep 60\n"
    )
    program.chmod(0o700)
    async with trio.open_nursery() as nursery:
        backend = PipeBackend(nursery, [str(program)], environment=os.environ, notice=notices.append)
        with trio.fail_after(WITHIN):
            assert list(await backend.recorded()) == []
            await backend.finish()
        nursery.cancel_scope.cancel()
    (notice,) = notices
    assert notice.startswith("the runner said something that cannot be read: ")


# -- a whole session -------------------------------------------------------------------------------------------


PLAN = """
[tickets.A]
run = "kill -9 $PPID; sleep 0.2; echo out"
[tickets.B]
run = "exit 3"
needs = ["A"]
"""
"""A kills the runner that started it."""


def test_a_session_behind_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notices: list[str] = []

    def open_backend(session: str, nursery: trio.Nursery, orphans: Orphans, *_: object, **__: object) -> Backend:
        command = runner_command(session, session_folder(session))
        return PipeBackend(nursery, command, environment=os.environ, notice=notices.append)

    monkeypatch.setattr(session, "open_backend", open_backend)
    plan = read_plan(PLAN, source="plan.toml", folder=str(tmp_path), format="toml")
    result = session.run_plan(plan, monitor.host(), EventSink(lambda *_: None, notices.append))
    assert result.outcome == "finished"
    assert (ticket("A").status, ticket("A").attempts, log_of("A.1")) == (Status.succeeded, 1, "out\n")
    assert (ticket("B").status, code_of("B")) == (Status.failed, 3)
    assert notices == ["the runner died with -9; starting it again, what it ran goes on"]
