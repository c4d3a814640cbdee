"""What every backend keeps to, with real processes. See `engine/backends/backend.py`."""

import errno
import os
import signal
import socket
import sys
import time
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import trio
from msgspec import structs

from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.requirements import Requirements
from parexec_tui.core.plan.unclaimed import Writer
from parexec_tui.core.plan.units import Size
from parexec_tui.core.state.process_key import CLAIMS, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Progress
from parexec_tui.engine.backends.backend import (
    FreshnessWanted,
    Identity,
    Launch,
    ProgressWanted,
    Success,
    WritesWanted,
)
from parexec_tui.engine.backends.boot import boot_id
from tests.engine.backends.worlds import Engine, World, key
from tests.engine.engines import PYTHON, WITHIN, exists

pytestmark = pytest.mark.trio

MIB = 1 << 20

ESCAPE = "import os, time; os.setsid(); open('escaped', 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
"""A program that leaves its process group and session."""

ESCAPED = f'{PYTHON} -c "{ESCAPE}" & until [ -s escaped ]; do sleep 0.01; done'

WAIT = "echo before; until [ -e go ]; do sleep 0.01; done; echo after; "
"""Runs until the test creates `go`."""


def skip_on_hosts(world: World, reason: str) -> None:
    """Skip what is not so where a node program keeps the processes."""
    if world.is_remote:
        pytest.skip(reason)


# -- start and end ---------------------------------------------------------------------------------------------


async def test_how_it_ended(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("true", at=key(1)) == (0, None)
        assert await engine.run("exit 3", at=key(2)) == (3, None)
        assert await engine.run("sh -c 'kill -9 $$'", at=key(3)) == (None, signal.SIGKILL)
        assert await engine.run("kill -9 $$; sleep 60", at=key(4)) == (None, signal.SIGKILL)
        assert await engine.run("", "sh", "-c", "exit 4", at=key(5)) == (4, None)
        assert await engine.run("no-such-command-at-all", at=key(6)) == (127, None)
        assert engine.backend.living() == []


async def test_a_key_is_started_once(world: World) -> None:
    async with world.engine() as engine:
        for _ in range(3):
            engine.start("echo once; until [ -e go ]; do sleep 0.01; done")
        await engine.identity_of(key())
        engine.start("echo again")
        (world.work / "go").touch()
        assert await engine.ended(key()) == (0, None)
        del engine.ends[key()]
        engine.start("echo again")
        lost = await engine.end_of(key())
        assert isinstance(lost, rq.ProcessLost)
        assert not lost.began
        assert await engine.output() == "once\n"


async def test_a_missing_folder_is_a_problem(world: World) -> None:
    async with world.engine() as engine:
        report = await engine.end_of(engine.start("true", cwd=world.work / "nowhere"))
        assert isinstance(report, rq.ProcessEnded)
        assert report.problem == "its working directory does not exist"


async def test_what_cannot_be_started_says_why(world: World) -> None:
    async with world.engine() as engine:
        report = await engine.end_of(engine.start("true", X="x" * (4 * MIB)))
        assert isinstance(report, rq.ProcessEnded)
        assert report.problem == "its command and environment are too long for the system: put the text into a file"
        assert report.ticket_at_fault


async def test_what_it_inherits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_on_hosts(world, "what processes inherit there is that of a login")
    monkeypatch.setenv("INHERITED", "from the engine")
    monkeypatch.setenv("PAREXEC_TICKET", "the ticket around this engine")
    async with world.engine() as engine:
        engine.start('echo "$INHERITED,$MINE,$PAREXEC_TICKET,$PWD"; pwd', MINE="from the launch")
        await engine.ended(key())
        assert await engine.output() == f"from the engine,from the launch,,{world.work}\n{world.work}\n"


_PRINT_NAMES = "import os; print([n for n in sorted(os.environ) if n in ('a.b', 'my-var')])"


@pytest.mark.skipif(which("bash") is None, reason="without bash there may be no shell that passes such names on")
@pytest.mark.parametrize("inherited", [False, True])
async def test_variables_of_any_name_arrive(world: World, monkeypatch: pytest.MonkeyPatch, inherited: bool) -> None:
    env: dict[str, Any] = {"my-var": "1", "a.b": "2"}
    if inherited:
        skip_on_hosts(world, "what processes inherit there is that of a login")
        for name in env:
            monkeypatch.setenv(name, env[name])
        env = {}
    async with world.engine() as engine:
        shell = engine.start(f'{PYTHON} -c "{_PRINT_NAMES}"; exit 7', at=key(1), **env)
        program = engine.start("", sys.executable, "-c", _PRINT_NAMES, at=key(2), **env)
        nice = key(3)
        run = f'{PYTHON} -c "{_PRINT_NAMES}"; nice; ulimit -n; echo "$0"; false; echo no'
        launch = structs.replace(
            world.launch(run, **env), limits=Limits(nice=1, open_files=99, memory=Size(2**28)), stops_at_failure=True
        )
        engine.backend.start(nice, launch)
        assert [await engine.ended(at) for at in (shell, program, nice)] == [(7, None), (0, None), (1, None)]
        assert await engine.output(shell) == await engine.output(program) == "['a.b', 'my-var']\n"
        nice_of_engine = 0 if world.is_remote else os.nice(0)
        assert await engine.output(nice) == f"['a.b', 'my-var']\n{nice_of_engine + 1}\n99\n/bin/sh\n"


async def test_an_attempt_may_have_folders_of_its_own(world: World) -> None:
    run = "echo $TMPDIR $PAREXEC_SCRATCH; echo 1 >> $TMPDIR/x; echo 2 >> $PAREXEC_SCRATCH/y; exit 1"
    async with world.engine() as engine:
        for at in (key(1), key(1, "gate-1"), key(2)):
            engine.backend.start(at, structs.replace(world.launch(run), own_tmp=True))
            await engine.ended(at)
        tmp, scratch = map(Path, (await engine.output(key(1))).split())
        assert ((tmp / "x").read_text(), (scratch / "y").read_text()) == ("1\n" * 2, "2\n" * 3)
        other = Path((await engine.output(key(2))).split()[0])
        for kept in (1 << 20, 1):
            engine.backend.leave_tmp(key(2), kept)
        await engine.until_gone(other)
        engine.backend.leave_tmp(key(1), 0)
        await engine.until_gone(tmp)
        assert scratch.exists()
        engine.backend.leave_tmp(key(1), None)
        await engine.until_gone(scratch)


async def test_words_of_the_shell_mean_the_same_with_such_names(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASH_FUNC_kill%%", "() { echo taken; }")
    odd: dict[str, Any] = {"my-var": "1"}
    run = "echo 'a\\tb'; kill -0 $$; sh -c 'kill -9 $$'; echo $?"
    async with world.engine() as engine:
        plain, other = engine.start(run, at=key(1)), engine.start(run, at=key(2), **odd)
        assert await engine.ended(plain) == await engine.ended(other) == (0, None)
        first = (await engine.output(plain)).splitlines()
        second = (await engine.output(other)).splitlines()
        assert (first[0], first[-1]) == (second[0], second[-1])
        assert "taken" not in second


async def test_two_steps_of_an_attempt_side_by_side(world: World) -> None:
    async with world.engine() as engine:
        run = engine.start("echo run; touch up; sleep 60", at=key())
        check = engine.start("echo check; until [ -e go ]; do sleep 0.01; done; exit 5", at=key(1, "check"))
        pids = [(await engine.identity_of(each)).pid for each in (run, check)]
        assert len(set(pids)) == 2
        await engine.file("up")
        assert sorted(engine.backend.living()) == [check, run]
        assert {(each.ticket, each.step) for each in (await engine.backend.usage()).usages} == {
            ("T", "run"),
            ("T", "check"),
        }
        engine.backend.stop(run, 0)
        assert await engine.ended(run) == (None, signal.SIGKILL)
        assert exists(pids[1])
        (world.work / "go").touch()
        assert await engine.ended(check) == (5, None)
        assert [await engine.output(each) for each in (run, check)] == ["run\n", "check\n"]
        assert set(await engine.backend.recorded()) == {run, check}


async def test_many_at_once_and_each_is_told_once(world: World) -> None:
    async with world.engine() as engine:
        for number in range(1, 41):
            engine.start(f"sleep 0.0{number % 7}; exit {number}", at=key(number))
        for number in range(1, 41):
            assert await engine.ended(key(number)) == (number, None)


# -- who it is -------------------------------------------------------------------------------------------------


async def test_its_identity_is_told_while_it_lives(world: World) -> None:
    async with world.engine() as engine:
        engine.start("sleep 60")
        told = await engine.identity_of(key())
        assert exists(told.pid)
        assert told.birth > 0
        engine.backend.stop(key(), 0)
        await engine.end_of(key())
        engine.backend.identify(key())
        await trio.sleep(0.1)  # `listen` would complain


# -- stop ------------------------------------------------------------------------------------------------------


async def test_term_comes_first_and_leaves_time_to_clean_up(world: World) -> None:
    async with world.engine() as engine:
        engine.start("trap 'sleep 0.3; echo bye; exit 0' TERM; touch up; while :; do sleep 0.01; done")
        await engine.file("up")
        engine.backend.stop(key(), 10)
        assert await engine.ended(key()) == (0, None)
        assert (await engine.output()).endswith("bye\n")


@pytest.mark.parametrize("again", [False, True])
async def test_kill_comes_after_the_grace_or_when_asked_again(world: World, again: bool) -> None:
    async with world.engine() as engine:
        engine.start("trap '' TERM; touch up; while :; do sleep 0.01; done")
        await engine.file("up")
        asked = trio.current_time()
        engine.backend.stop(key(), 30 if again else 0.3)
        if again:
            engine.backend.stop(key(), 0)
        assert await engine.ended(key()) == (None, signal.SIGKILL)
        assert trio.current_time() - asked < 10


@pytest.mark.parametrize("grace", [5, 0])
async def test_its_whole_group_and_what_escaped_go_with_it(world: World, grace: float) -> None:
    async with world.engine() as engine:
        engine.start(f"sleep 60 & echo $! > child; {ESCAPED}; sleep 60")
        pids = [await engine.number_in("child"), await engine.number_in("escaped")]
        engine.backend.stop(key(), grace)
        await engine.end_of(key())
        assert not any(map(exists, pids))


async def test_what_a_command_leaves_in_its_group_ends_with_it(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("sleep 60 & echo $! > child") == (0, None)
        assert not exists(await engine.number_in("child"))


async def test_nothing_that_escaped_lives_once_its_end_is_told(world: World) -> None:
    async with world.engine() as engine:
        living = engine.start(f"{ESCAPED}; sleep 60", at=key(2))
        pids = [(await engine.identity_of(living)).pid, await engine.number_in("escaped")]
        (world.work / "escaped").unlink()
        assert await engine.run(ESCAPED) == (0, None)
        assert not exists(await engine.number_in("escaped"))
        assert all(map(exists, pids)), "they are no strays"
        assert [(stray.key, stray.count) for stray in world.strays] == [(key(), 1)]
        assert "os.setsid()" in world.strays[0].commands[0]
        assert await engine.backend.end_strays() == 0
        engine.backend.stop(living, 0)
        await engine.end_of(living)


async def test_a_stop_at_once(world: World) -> None:
    async with world.engine() as engine:
        for number in range(1, 11):
            engine.start("sleep 60", at=key(number))
            engine.backend.stop(key(number), 0 if number % 2 else 5)
        for number in range(1, 11):
            await engine.end_of(key(number))


async def test_to_ask_something_of_an_unknown_key_does_nothing(world: World) -> None:
    async with world.engine() as engine:
        await engine.run("true")
        for over in (key(), ProcessKey("X", 1)):
            engine.backend.stop(over, 1)
            engine.backend.freeze(over)
            engine.backend.thaw(over)
            engine.backend.identify(over)
        assert await engine.run("true", at=key(2)) == (0, None)


# -- freeze ----------------------------------------------------------------------------------------------------


async def ticks(world: World) -> bool:
    """Whether the process goes on."""
    before = (world.work / "ticks").stat().st_mtime_ns
    await trio.sleep(0.3)
    return (world.work / "ticks").stat().st_mtime_ns > before


async def test_frozen_it_stands_still_until_it_is_thawed(world: World) -> None:
    async with world.engine() as engine:
        engine.start("while :; do date +%N > ticks; sleep 0.01; done")
        await engine.file("ticks")
        engine.backend.freeze(key())
        with trio.fail_after(WITHIN):
            while await ticks(world):
                pass
        assert not await ticks(world)
        engine.backend.thaw(key())
        with trio.fail_after(WITHIN):
            while not await ticks(world):
                pass
        engine.backend.stop(key(), 0)
        await engine.end_of(key())


async def test_frozen_it_can_clean_up_when_it_is_stopped(world: World) -> None:
    async with world.engine() as engine:
        engine.start("trap 'echo bye; exit 0' TERM; touch up; while :; do sleep 0.01; done")
        await engine.file("up")
        engine.backend.freeze(key())
        engine.backend.stop(key(), 15)
        assert await engine.ended(key()) == (0, None)
        assert (await engine.output()).endswith("bye\n")


async def test_frozen_it_can_be_killed(world: World) -> None:
    async with world.engine() as engine:
        engine.start("touch up; sleep 60")
        await engine.file("up")
        engine.backend.freeze(key())
        engine.backend.stop(key(), 0)
        assert await engine.ended(key()) == (None, signal.SIGKILL)


# -- another engine --------------------------------------------------------------------------------------------


async def begin(world: World, run: str) -> rq.ProcessStarted:
    """Start a process in an engine that then dies."""
    async with world.engine(dies=True) as engine:
        engine.start(f"touch up; {run}")
        await engine.file("up")
        return await engine.identity_of(key())


@pytest.mark.parametrize("is_noted", [True, False])
@pytest.mark.parametrize(
    ("run", "ended"), [("exit 0", (0, None)), ("exit 3", (3, None)), ("sh -c 'kill -9 $$'", (None, 9))]
)
async def test_what_runs_is_adopted(
    world: World, run: str, ended: tuple[int | None, int | None], is_noted: bool
) -> None:
    told = await begin(world, WAIT + run)
    assert exists(told.pid), "it outlives its engine"
    async with world.engine() as engine:
        identity = Identity(told.pid, told.birth) if is_noted else None
        assert await engine.backend.adopt(key(), identity, boot_id()) == told
        assert await engine.backend.adopt(key(), identity, boot_id()) == told
        assert engine.backend.living() == [key()]
        (world.work / "go").touch()
        assert await engine.ended(key()) == ended
        assert (await engine.output()).startswith("before\nafter\n")


async def test_what_is_adopted_can_be_frozen_and_stopped(world: World) -> None:
    told = await begin(world, "trap 'echo bye; exit 7' TERM; while :; do date +%N > ticks; sleep 0.01; done")
    async with world.engine() as engine:
        await engine.backend.adopt(key(), Identity(told.pid, told.birth), boot_id())
        await engine.file("ticks")
        engine.backend.freeze(key())
        with trio.fail_after(WITHIN):
            while await ticks(world):
                pass
        engine.backend.stop(key(), 15)
        assert await engine.ended(key()) == (7, None)
        assert not exists(told.pid)


async def test_what_ended_meanwhile_is_proved_by_its_record(world: World) -> None:
    told = await begin(world, WAIT + "exit 3")
    let_go = time.time()
    (world.work / "go").touch()
    await until_gone(told.pid)
    async with world.engine() as engine:
        await engine.backend.recorded()  # the host is reached, and has noted it
        asked = time.time()
        proved = await engine.backend.prove_end(key())
        assert isinstance(proved, rq.ProcessEnded)
        used = proved.used.fields()  # known only where somebody outlives the engine who sees it
        assert proved == rq.ProcessEnded("T", 1, 3, error_line="after", ended=proved.ended, **used)
        assert let_go - 0.1 <= (proved.ended or 0) <= asked, "as its record says"
        assert await engine.backend.adopt(key(), Identity(told.pid, told.birth), boot_id()) == proved
        assert await engine.backend.adopt(key(), None, boot_id()) == proved
        assert engine.backend.living() == []


async def test_killed_meanwhile_it_is_lost(world: World) -> None:
    skip_on_hosts(world, "there, a supervisor of another group knows how it ended")
    told = await begin(world, "sleep 60")
    os.killpg(told.pid, signal.SIGKILL)
    await until_gone(told.pid)
    async with world.engine() as engine:
        lost = rq.ProcessLost("T", 1, "it vanished without an exit record")
        assert await engine.backend.adopt(key(), Identity(told.pid, told.birth), boot_id()) == lost
        assert await engine.backend.prove_end(key()) == lost


async def test_after_a_reboot_its_pid_means_nothing(world: World) -> None:
    skip_on_hosts(world, "it is the boot of the host that counts, and that is of the node program")
    told = await begin(world, "sleep 60")
    async with world.engine() as engine:
        lost = await engine.backend.adopt(key(), Identity(told.pid, told.birth), "another boot")
        assert lost == rq.ProcessLost("T", 1, "the host was restarted while it ran")
        assert exists(told.pid), "it may be anybody's"
        assert await engine.backend.end_strays() > 0
        assert not exists(told.pid)


@pytest.mark.parametrize("how", ["adopt", "prove_end"])
async def test_what_never_began_cannot_begin_any_more(world: World, how: str) -> None:
    async with world.engine() as engine:
        if how == "adopt":
            found = await engine.backend.adopt(key(), None, boot_id())
        else:
            found = await engine.backend.prove_end(key())
        assert found == rq.ProcessLost("T", 1, "it never began", began=False)
        lost = await engine.end_of(engine.start("touch began"))
        assert isinstance(lost, rq.ProcessLost)
        assert not lost.began
        assert not (world.work / "began").exists()


async def test_what_is_set_aside_makes_room_for_a_new_process(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("echo old; exit 3") == (3, None)
        assert await engine.run("true", at=key(2)) == (0, None)
        await engine.backend.set_aside([key()])
        assert set(await engine.backend.recorded()) == {key(2)}
        del engine.ends[key()]
        assert await engine.run("echo new") == (0, None)
        assert await engine.output() == "new\n"


async def until_gone(pid: int) -> None:
    with trio.fail_after(WITHIN):
        while exists(pid):  # noqa: ASYNC110
            await trio.sleep(0.01)


# -- usage and output ------------------------------------------------------------------------------------------


async def test_what_it_uses_and_the_most_of_it_at_its_end(world: World) -> None:
    holds = 'x = bytearray(96 << 20); open("held", "w").write("1\\n"); import time; time.sleep(60)'
    async with world.engine() as engine:
        assert (await engine.backend.usage()).usages == []
        engine.start(f"echo begun; {PYTHON} -c '{holds}'; exit 3")
        await engine.number_in("held")
        await engine.identity_of(key())
        reading = await engine.backend.usage()
        [usage] = reading.usages
        assert (usage.ticket, usage.attempt) == ("T", 1)
        assert 96 * MIB < usage.memory < 300 * MIB
        assert usage.processes >= 2
        assert usage.log_size == len("begun\n")
        assert usage.silence is not None
        assert 0 <= reading.cost < 5
        engine.backend.stop(key(), 0)
        ended = await engine.end_of(key())
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.peak_memory >= usage.memory
        assert ended.peak_processes >= usage.processes
        assert ended.cpu_seconds >= usage.cpu_seconds
        assert ended.disk_written >= usage.disk_written


async def test_how_far_it_is_by_what_it_printed(world: World) -> None:
    async with world.engine() as engine:
        engine.start("echo '[1/4] first'; until [ -e go ]; do sleep 0.01; done; echo 'now 2 of 3: more'; sleep 60")
        await engine.identity_of(key())
        asked = [ProgressWanted(key(), "")]

        async def told(wanted: list[ProgressWanted]) -> Progress | None:
            return next(iter((await engine.backend.usage(wanted)).usages)).progress

        with trio.fail_after(WITHIN):
            while await told(asked) != Progress(25, 1, 4, "first"):  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert await told([]) is None
        (world.work / "go").touch()
        with trio.fail_after(WITHIN):
            wanted = [ProgressWanted(key(), "{n} of {m}: {step}")]
            while await told(wanted) != Progress(66, 2, 3, "more"):  # noqa: ASYNC110
                await trio.sleep(0.01)
        engine.backend.stop(key(), 0)
        await engine.end_of(key())


async def test_output_is_read_from_an_offset_and_as_it_grows(world: World) -> None:
    async with world.engine() as engine:
        with pytest.raises(FileNotFoundError):
            await engine.backend.read_output(key(), 0, 10)
        engine.start("printf 0123456789; echo E >&2; until [ -e go ]; do sleep 0.01; done; printf more")
        with trio.fail_after(WITHIN):
            while await output_at(engine, 10) != b"E\n":  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert await engine.backend.read_output(key(), 3, 4) == b"3456"
        assert await engine.backend.read_output(key(), 12, 100) == b""
        assert await engine.backend.read_output(key(), 999, 100) == b""
        (world.work / "go").touch()
        await engine.end_of(key())
        assert await engine.backend.read_output(key(), 12, 100) == b"more"
    async with world.engine() as another:
        assert await another.backend.read_output(key(), 8, 3) == b"89E"


async def output_at(engine: Engine, offset: int) -> bytes:
    try:
        return await engine.backend.read_output(key(), offset, 100)
    except FileNotFoundError:
        return b""


async def test_output_may_be_any_bytes_and_much_of_it(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("head -c 3000000 /dev/zero; printf '\\377\\n\\001'") == (0, None)
        assert await engine.backend.read_output(key(), 0, 4 * MIB) == bytes(3_000_000) + b"\xff\n\x01"


async def test_a_file_that_grows_or_is_written_anew_is_told_from_one_that_does_not(world: World) -> None:
    async with world.engine() as engine:
        root, file = str(world.work), world.work / "logs" / "model.log"
        assert await engine.backend.written(root, "logs/*.log") == ""
        file.parent.mkdir()
        seen = []
        for text in ("a", "ab"):
            file.write_text(text, encoding="utf-8")
            seen.append(await engine.backend.written(root, "logs/*.log"))
            assert await engine.backend.written(root, "logs/*.log") == seen[-1]
        assert "" not in seen
        assert seen[0] != seen[1]


async def test_how_much_was_written_is_told_while_it_lives_and_once_when_it_is_over(world: World) -> None:
    async with world.engine() as engine:
        assert await sizes(engine) == {}
        engine.start("printf 0123456789; until [ -e go ]; do sleep 0.01; done; printf more")
        with trio.fail_after(WITHIN):
            while await sizes(engine) != {key(): 10}:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert ((await engine.backend.log_sizes()).free or 0) > 0
        assert await engine.backend.cut_log(key(), 100) == 0
        with pytest.raises(FileNotFoundError):
            await engine.backend.cut_log(key(9), 100)
        (world.work / "go").touch()
        await engine.end_of(key())
        assert await sizes(engine) == {key(): 14}
        assert await sizes(engine) == {}


async def sizes(engine: Engine) -> dict[ProcessKey, int]:
    return {log.key: log.size for log in (await engine.backend.log_sizes()).logs}


async def test_the_middle_of_an_output_is_left_out(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.run("printf begin; head -c 3000000 /dev/zero | tr '\\0' x; printf end") == (0, None)
        try:
            left_out = await engine.backend.cut_log(key(), 1 << 20)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            pytest.skip("no parts of files can be freed here")
        assert 2_000_000 < left_out < 3_000_000
        (log,) = (await engine.backend.log_sizes()).logs
        assert (log.size, log.kept <= 1 << 20) == (3_000_008, True)
        assert (await engine.backend.read_output(key(), 0, 4 * MIB)).startswith(b"beginxxx")
        assert (await engine.backend.read_output(key(), 2_900_000, 4 * MIB)).endswith(b"xxxend")
        assert await engine.backend.read_output(key(), 1_500_000, 4 * MIB) == b""
        after = await engine.backend.past_gap(key(), 1_500_000)
        assert after > 1_500_000
        assert (await engine.backend.read_output(key(), after, 4 * MIB)).endswith(b"xxxend")
        assert await engine.backend.past_gap(key(), 5) == 5


# -- waiting ---------------------------------------------------------------------------------------------------


# -- outputs ---------------------------------------------------------------------------------------------------


def writing(world: World, run: str, *outputs: str) -> Launch:
    return structs.replace(world.launch(run), outputs=outputs, root=str(world.work))


async def test_outputs_count_if_this_attempt_wrote_them_and_they_are_not_empty(world: World) -> None:
    for name in ("old", "same", "filled"):
        (world.work / name).write_text("before")
    outputs = ("new", "old", "same", "empty", "none", "optional?", "report/*.html", "folder", "filled")
    links = ("dangling", "circle", "link")
    run = "echo x > new; echo before > same; : > empty; : > filled; mkdir -p report folder/in; "
    run += "echo x > report/a.html; echo x > folder/in/b; ln -s nowhere dangling; ln -s circle circle; ln -s new link"
    async with world.engine() as engine:
        engine.backend.start(key(), writing(world, run, *outputs, *links))
        assert await engine.ended(key()) == (0, None)
        assert await engine.missing_of(*outputs, *links) == (
            "output not written by this attempt: old",
            "output empty: empty",
            "output missing: none",
            "output empty: filled",
            "output missing: dangling, a link that leads nowhere",
            "output missing: circle, a link that leads nowhere",
        )


async def test_what_is_there_and_not_empty_is_done_already(world: World) -> None:
    (world.work / "report").mkdir()
    (world.work / "report/a.html").write_text("x")
    (world.work / "empty").touch()
    (world.work / "dangling").symlink_to("nowhere")
    at = ProcessKey("T", 0, "if-done")
    async with world.engine() as engine:
        assert await engine.is_done("report/a.html", "report", "report/*.html", at=at)
        for missing in ("none", "empty", "report/*.txt", "dangling"):
            assert not await engine.is_done("report", missing, at=at)


async def test_without_what_is_required_nothing_is_started(world: World) -> None:
    wanted = Requirements(("sh", "no-such-command"), ("file",), ("VARIABLE",))
    async with world.engine() as engine:
        launch = structs.replace(world.launch("touch ran"), requires=wanted, root=str(world.work))
        engine.backend.start(key(), launch)
        ended = await engine.end_of(key())
        assert isinstance(ended, rq.ProcessEnded)
        assert (ended.ticket_at_fault, ended.code, ended.problem.split("; ")) == (
            True,
            None,
            [
                "required command no-such-command is not found",
                "required file file does not exist",
                "required variable VARIABLE is not set",
            ],
        )
        assert not (world.work / "ran").exists()
        (world.work / "file").touch()
        wanted = Requirements(("sh",), ("file",), ("VARIABLE",))
        launch = structs.replace(world.launch("touch ran", VARIABLE="x"), requires=wanted, root=str(world.work))
        engine.backend.start(key(2), launch)
        assert await engine.ended(key(2)) == (0, None)


async def test_what_was_written_and_is_not_claimed_is_told_also_to_the_next_engine(world: World) -> None:
    (world.work / "old").write_text("before")
    await trio.sleep(0.02)  # a tick of the clock of the disk
    async with world.engine(dies=True) as engine:
        run = "echo x > out; echo x > db; echo x > $(printf 'a\\377b')"
        engine.backend.start(key(), structs.replace(world.launch(run), notes_begin=True))
        assert await engine.ended(key()) == (0, None)
    await trio.sleep(0.02)
    (world.work / "later").write_text("by a person")
    async with world.engine() as engine:
        far = 1e6  # the clock of the engine is no use
        wanted = WritesWanted(str(world.work), (), ("out",), far, far + 1, far + 2)
        found = await engine.unclaimed_of(wanted)
        assert (sorted(found.files), found.count, found.unseen) == (["a\\udcffb", "db"], 2, "")
        found = await engine.unclaimed_of(structs.replace(wanted, others=(Writer("A", far, None, ("db",)),)))
        assert (found.count, found.shared, found.others) == (0, ("a\\udcffb",), ("A",))


SLOW_DISK = """
import os, time
scandir = os.scandir
def scan(path="."):
    if "deep" in os.fspath(path):
        time.sleep(0.05)
    return scandir(path)
os.scandir = scan
"""
"""A file system on which each folder takes a while."""


async def test_a_stop_ends_the_look_at_what_was_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.work.joinpath("deep", *["d"] * 100).mkdir(parents=True)
    injected = world.work.parent / "injected"
    injected.mkdir()
    (injected / "sitecustomize.py").write_text(SLOW_DISK)
    monkeypatch.setenv("PYTHONPATH", str(injected))
    monkeypatch.setattr(os, "scandir", os.scandir)
    exec(SLOW_DISK, {})
    async with world.engine() as engine:
        assert await engine.run("true") == (0, None)
        looked: list[str] = []

        async def look() -> None:
            wanted = WritesWanted(str(world.work), (), ("out",), 1.0, time.time(), time.time())
            looked.append((await engine.unclaimed_of(wanted)).unseen)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.sleep(0.3)
            assert not looked
            engine.backend.stop(key(1, CLAIMS), 10)
        assert looked == ["it was stopped"]


async def test_what_was_there_before_is_known_to_the_next_engine(world: World) -> None:
    (world.work / "old").write_text("before")
    async with world.engine(dies=True) as engine:
        engine.backend.start(key(), writing(world, "echo x > new", "old", "new"))
        await engine.end_of(key())
    async with world.engine() as engine:
        assert await engine.missing_of("old", "new") == ("output not written by this attempt: old",)


async def test_a_clock_that_is_set_back_hides_no_output(world: World) -> None:
    (world.work / "old").write_text("before")
    async with world.engine() as engine:
        engine.backend.start(key(), writing(world, "echo x > old; touch -d 1990-01-01 old", "old"))
        await engine.end_of(key())
        assert await engine.missing_of("old") == ()


# -- snapshots -------------------------------------------------------------------------------------------------


def changing(world: World, run: str, *snapshot: str, limit: int = 1 << 20) -> Launch:
    return structs.replace(
        world.launch(run), snapshot=snapshot, snapshot_limit=limit, root=str(world.work), outputs=()
    )


async def test_files_are_what_they_were_before_the_attempt(world: World) -> None:
    (world.work / "out").mkdir()
    (world.work / "out" / "old").write_text("before")
    async with world.engine() as engine:
        engine.backend.start(key(), changing(world, "echo after > out/old; echo x > out/new; exit 1", "out"))
        assert await engine.ended(key()) == (1, None)
        made = await engine.snapshot_of(key())
        assert (made.files, made.size) == (1, 6)
        for _ in range(2):
            assert await engine.restore() == ()
        assert [file.name for file in (world.work / "out").iterdir()] == ["old"]
        assert (world.work / "out" / "old").read_text() == "before"


async def test_the_next_engine_finds_and_restores_a_snapshot(world: World) -> None:
    async with world.engine(dies=True) as engine:
        engine.backend.start(key(), changing(world, "echo x > new", "new"))
        await engine.end_of(key())
    async with world.engine() as engine:
        engine.backend.find_snapshot(key(2))
        engine.backend.find_snapshot(key())
        assert (await engine.snapshot_of(key())).files == 0
        assert key(2) not in engine.snapshots
        assert await engine.restore() == ()
        assert not (world.work / "new").exists()


async def test_nothing_is_started_if_its_files_cannot_be_kept(world: World) -> None:
    (world.work / "big").write_bytes(b"x" * 5000)
    async with world.engine() as engine:
        engine.backend.start(key(), changing(world, "echo x > ran", "big", limit=1000))
        ended = await engine.end_of(key())
        assert isinstance(ended, rq.ProcessEnded)
        assert ended.problem == "its snapshot would be too big: 1 file with 4.9KiB, snapshot_limit is 1000B"
        assert ended.ticket_at_fault
        assert not (world.work / "ran").exists()


async def test_a_snapshot_that_was_dropped_cannot_be_restored(world: World) -> None:
    async with world.engine() as engine:
        engine.backend.start(key(), changing(world, "echo x > new", "new"))
        await engine.end_of(key())
        engine.backend.drop_snapshot(key())
        engine.backend.drop_snapshot(key(9))
        with trio.fail_after(30):
            while world.folder.snapshot("T", 1).exists():  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert await engine.restore() == ("its files cannot be restored: the snapshot is gone",)
        assert (world.work / "new").exists()


async def test_a_process_is_told_where_the_output_of_another_one_is(world: World) -> None:
    async with world.engine() as engine:
        await engine.run("echo hello")
        at = key(1, "rollback")
        engine.backend.start(at, structs.replace(world.launch('cat "$PAREXEC_LOG"'), log_of=key()))
        assert await engine.ended(at) == (0, None)
        assert await engine.output(at) == "hello\n"


async def test_waking_lets_the_wait_return(world: World) -> None:
    async with trio.open_nursery() as nursery:
        backend = world.open(nursery)
        for from_thread in (False, True):
            with trio.fail_after(WITHIN):
                async with trio.open_nursery() as waiting:
                    waiting.start_soon(backend.wait)
                    if from_thread:
                        await trio.to_thread.run_sync(backend.wake)
                    else:
                        backend.wake()
            assert backend.take() == []
        began = time.monotonic()
        assert backend.take() == []
        assert time.monotonic() - began < 1
        with trio.move_on_after(0.05) as waited:
            await backend.wait()
        assert waited.cancelled_caught
        with trio.fail_after(WITHIN):
            await backend.finish()
        backend.wake()  # after the end: for instance by a signal that came late
        nursery.cancel_scope.cancel()


SLOW = """#!/bin/sh
until [ -e go ]; do sleep 0.01; done
echo slow 2.0
"""


def slow_launch(world: World) -> Launch:
    """A launch for which a command is asked first that answers when the test wants it."""
    tool = world.work / "slow"
    tool.write_text(SLOW)
    tool.chmod(0o755)
    requires = Requirements(commands=("./slow >= 1.0",), files=(), env=())
    return structs.replace(world.launch("echo slow"), requires=requires, root=str(world.work))


async def test_what_is_looked_at_before_a_start_keeps_no_other_from_starting(world: World) -> None:
    async with world.engine() as engine:
        for number in range(2, 6):
            engine.backend.start(key(number), slow_launch(world))
        assert await engine.run("true") == (0, None)
        (world.work / "go").touch()
        for number in range(2, 6):
            assert await engine.ended(key(number)) == (0, None)


async def test_a_stop_does_not_wait_for_what_is_looked_at_before_a_start(world: World) -> None:
    async with world.engine() as engine:
        engine.backend.start(key(), slow_launch(world))
        engine.backend.stop(key(), 10.0)
        end = await engine.end_of(key())
        assert isinstance(end, rq.ProcessLost)
        assert not end.began
        assert list(engine.backend.living()) == []
        (world.work / "go").touch()
        assert await engine.run("true", at=key(2)) == (0, None)
        with pytest.raises(FileNotFoundError):
            await engine.output(key())


# -- up to date --------------------------------------------------------------------------------------------------


async def is_stale(world: World, engine: Engine, fingerprint: bytes | None, command: bytes = b"one") -> str:
    """Why a ticket is not up to date that reads `in` and writes `out`; empty if it is."""
    wanted = FreshnessWanted(fingerprint, {"shell": command}, str(world.work), ("in",), (), ("out",))
    (found,) = await engine.backend.freshness((wanted,), anew=True)
    return found.stale


async def fingerprint_of(world: World, engine: Engine) -> bytes:
    """Let an attempt read `in` and write `out`; what the ticket is after that."""
    launch = world.launch("cat in > out")
    engine.backend.start(
        key(), structs.replace(launch, reads=("in",), outputs=("out",), root=str(world.work), cwd=str(world.work))
    )
    assert await engine.ended(key()) == (0, None)
    success = Success(b"one", "shell", str(world.work), ("in",), ("out",), time.time_ns())
    (taken,) = await engine.backend.fingerprints(((key(), success),))
    return taken


async def test_what_is_as_after_its_last_success_is_fresh(world: World) -> None:
    (world.work / "in").write_text("one")
    async with world.engine() as engine:
        assert await is_stale(world, engine, None) == "never ran"
        taken = await fingerprint_of(world, engine)
        assert await is_stale(world, engine, taken) == ""
        (world.work / "in").touch()
        assert await is_stale(world, engine, taken) == ""
        assert await is_stale(world, engine, taken, b"two") == "the command or its settings changed"
        assert await is_stale(world, engine, b"") == "the last attempt did not succeed"
        (world.work / "in").write_text("two")
        assert await is_stale(world, engine, taken) == "reads in changed"
        (world.work / "in").write_text("one")
        (world.work / "out").unlink()
        assert await is_stale(world, engine, taken) == "outputs out is missing"


async def test_the_next_engine_takes_the_fingerprint_of_an_attempt_before_it(world: World) -> None:
    (world.work / "in").write_text("one")
    async with world.engine(dies=True) as engine:
        launch = world.launch("cat in > out")
        engine.backend.start(
            key(), structs.replace(launch, reads=("in",), outputs=("out",), root=str(world.work), cwd=str(world.work))
        )
        assert await engine.ended(key()) == (0, None)
    async with world.engine() as engine:
        success = Success(b"one", "shell", str(world.work), ("in",), ("out",), time.time_ns())
        (taken,) = await engine.backend.fingerprints(((key(), success),))
        assert await is_stale(world, engine, taken) == ""


async def test_a_process_is_not_started_while_others_have_a_port_of_it(world: World) -> None:
    skip_on_hosts(world, "no ports are given out there: it is refused")
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = str(server.getsockname()[1])
        async with world.engine() as engine:
            assert await engine.backend.taken_ports((port,)) == (port,)
            launch = structs.replace(world.launch("echo never"), ports={"port": (port,)})
            engine.backend.start(key(), launch)
            report = await engine.end_of(key())
            assert isinstance(report, rq.ProcessEnded)
            assert report.taken == {"port": (port,)}
            server.close()
            assert await engine.backend.taken_ports((port,)) == ()
