"""When no engine can be kept alive: what happens to the tickets that run, as their plan says."""

import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.opening import open_backend
from parexec_tui.engine.lifecycle.abandon import abandon
from parexec_tui.engine.lifecycle.watcher import REASON
from parexec_tui.engine.sinks import EventSink
from parexec_tui.paths import ends_with_engine, registry_file, session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import guardian_waits
from tests.engine.engines import (
    Engine,
    append,
    exists,
    happened,
    pid_of,
    session,
    state_of,
    ticket,
    until,
    write_plan,
)
from tests.engine.lifecycle.detached import (
    all_gone,
    engine_log,
    kill,
    parexec,
    run_detached,
    the_engine,
    the_guardian,
)
from tests.engine.small_disk import small_disk

PLAN = """
[plan]
min_free_disk = 0
on_engine_loss = "POLICY"
[tickets.runs]
run = "trap 'echo bye > cleaned-up; exit 5' TERM; touch up; while :; do sleep 0.01; done"
[tickets.ended]
run = "until [ -e go ]; do sleep 0.01; done; exit 7"
retries = 3
"""


def begin(folder: Path, policy: str) -> Engine:
    """Run the plan until both tickets run and are noted."""
    engine = Engine("run", write_plan(folder, PLAN.replace("POLICY", policy)), cwd=folder)
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (folder / "up").exists(), "both run")
    return engine


def watcher_of(engine: int) -> psutil.Process | None:
    """The watcher that an engine has, by its pid."""
    own = psutil.Process(engine).children()
    return next((child for child in own if "PAREXEC_WATCHER_SESSION" in child.environ()), None)


def die(folder: Path, policy: str) -> None:
    """Run the plan, and kill its engine when both tickets run and are noted; then one of them ends."""
    engine = begin(folder, policy)
    if policy == "kill":
        watcher = watcher_of(engine.process.pid)
        assert watcher is not None
        watcher.kill()
    engine.kill()
    pid = pid_of("ended")
    assert pid is not None
    (folder / "go").touch()
    until(lambda: not exists(pid), "one has ended")


def give_up() -> None:
    abandon(
        session(),
        "no luck",
        EventSink(lambda *_: None, lambda _: None),
        partial(open_backend, session(), orphans=Orphans()),
    )


@pytest.mark.parametrize("frozen", [False, True])
def test_what_runs_can_clean_up_and_is_ended(tmp_path: Path, frozen: bool) -> None:
    die(tmp_path, "kill")
    pid = pid_of("runs")
    assert pid is not None
    if frozen:
        freeze(pid)
    give_up()
    assert (tmp_path / "cleaned-up").read_text() == "bye\n"
    assert not exists(pid)
    ends = {event.ticket: (event.end, event.then, event.code) for event in happened(ev.AttemptEnded)}
    assert ends == {"runs": (End.stopped, Status.waiting, 5), "ended": (End.stopped, Status.waiting, 7)}
    assert state_of().status == "interrupted"
    assert [event.reason for event in happened(ev.SessionInterrupted)] == ["no luck"]


def freeze(pid: int) -> None:
    """As an engine does for a person, who asked just before it died."""
    now = state_of().now
    append(ev.AttemptFrozen(at=now, ticket="runs", attempt=1, by="ann"))
    os.killpg(pid, signal.SIGSTOP)


def test_what_runs_is_left_if_the_plan_says_so(tmp_path: Path) -> None:
    die(tmp_path, "leave")
    pid = pid_of("runs")
    assert pid is not None
    give_up()
    assert exists(pid)
    assert ticket("runs").status is Status.running
    assert state_of().status == "interrupted"
    assert happened(ev.AttemptEnded) == []


# -- when the registry cannot be read or written ---------------------------------------------------------------


@pytest.mark.parametrize("policy", ["leave", "kill"])
def test_the_policy_is_followed_though_the_registry_is_damaged(tmp_path: Path, policy: str) -> None:
    id_ = run_detached(tmp_path, PLAN.replace("POLICY", policy))
    until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (tmp_path / "up").exists(), "both run")
    pid, guardian = pid_of("runs"), the_guardian(id_)
    assert pid is not None
    with registry_file().open("r+b") as file:
        file.write(b"damaged")
    os.kill(the_engine(id_), signal.SIGKILL)
    until(lambda: not exists(guardian), "the guardian gives up")
    assert "giving up" in engine_log(id_)
    assert exists(pid) == (policy == "leave")


def test_what_runs_is_ended_on_a_full_disk_and_remembered_later(tmp_path: Path, own_state_home: Path) -> None:
    with small_disk(own_state_home) as disk:
        die(tmp_path, "kill")
        pid = pid_of("runs")
        assert pid is not None
        disk.fill()
        with pytest.raises(RegistryError, match="disk is full"):
            give_up()
        assert (tmp_path / "cleaned-up").exists()
        assert not exists(pid)
        disk.make_room()
        give_up()
        assert is_interrupted()
        ends = {event.ticket: (event.end, event.then) for event in happened(ev.AttemptEnded)}
        assert ends["runs"] == (End.stopped, Status.waiting)


def test_what_runs_is_ended_if_the_guardian_is_told_to(tmp_path: Path, own_state_home: Path) -> None:
    with small_disk(own_state_home) as disk:
        id_ = run_detached(tmp_path, PLAN.replace("POLICY", "leave"))
        until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (tmp_path / "up").exists(), "both run")
        pid, guardian, folder = pid_of("runs"), the_guardian(id_), session_folder(id_)
        assert pid is not None
        disk.fill()
        kill(the_engine(id_))
        waits = disk.full_until(lambda: guardian_waits(folder), "the guardian waits")
        os.kill(waits.pid, signal.SIGTERM)
        disk.full_until(lambda: not exists(guardian), "the guardian leaves")
        assert (tmp_path / "cleaned-up").exists()
        assert not exists(pid)
        disk.make_room()
        (tmp_path / "go").touch()
        Engine("resume", cwd=tmp_path).until(lambda: ticket("runs").attempts == 2, "it runs again")
        assert happened(ev.AttemptEnded, ticket="runs")[0].end is End.stopped, "a stop is no failure"


# -- when guardian and engine are killed -----------------------------------------------------------------------


def is_interrupted() -> bool:
    return state_of().status == "interrupted"


def test_a_watcher_ends_what_runs(tmp_path: Path) -> None:
    engine = begin(tmp_path, "kill")
    pid = pid_of("runs")
    assert pid is not None
    engine.kill()
    until(is_interrupted, "the watcher sees to it")
    assert (tmp_path / "cleaned-up").read_text() == "bye\n"
    assert not exists(pid)
    assert happened(ev.SessionInterrupted)[0].reason == REASON
    assert not (ends_with_engine() / session()).exists()


def test_guardian_and_engine_are_killed(tmp_path: Path) -> None:
    id_ = run_detached(tmp_path, PLAN.replace("POLICY", "kill"))
    until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (tmp_path / "up").exists(), "both run")
    os.kill(the_guardian(id_), signal.SIGKILL)
    os.kill(the_engine(id_), signal.SIGKILL)
    until(is_interrupted, "the watcher sees to it")
    until(lambda: all_gone(id_), "nothing is left")


def test_the_watcher_leaves_it_to_a_guardian_that_lives(tmp_path: Path) -> None:
    id_ = run_detached(tmp_path, PLAN.replace("POLICY", "kill"))
    until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (tmp_path / "up").exists(), "both run")
    first = the_engine(id_)
    watcher = watcher_of(first)
    assert watcher is not None
    kill(first)
    second = the_engine(id_, besides=first)
    until(lambda: not exists(watcher.pid), "the first watcher leaves")
    until(lambda: watcher_of(second), "the second engine has one of its own")
    assert ticket("runs").status is Status.running
    parexec("stop", "--yes", cwd=tmp_path)
    until(lambda: all_gone(id_), "nothing is left")


def test_the_next_command_ends_what_runs_if_all_was_killed(tmp_path: Path) -> None:
    die(tmp_path, "kill")
    pid = pid_of("runs")
    assert pid is not None
    assert exists(pid)
    assert "lost its engine: ending what runs" in parexec("ls", cwd=tmp_path)
    until(is_interrupted, "it is seen to")
    assert not exists(pid)
    assert "lost its engine" not in parexec("ls", cwd=tmp_path)


def test_a_watcher_leaves_with_its_engine_and_is_small(tmp_path: Path) -> None:
    engine = begin(tmp_path, "kill")
    watcher = watcher_of(engine.process.pid)
    assert watcher is not None
    assert watcher.memory_info().rss < 2 << 20
    assert "parexec" not in " ".join(watcher.cmdline())
    engine.signal(signal.SIGTERM)
    engine.wait()
    assert not watcher.is_running()
    assert not (ends_with_engine() / session()).exists()


def test_no_watcher_for_plans_that_leave_what_runs(tmp_path: Path) -> None:
    engine = begin(tmp_path, "leave")
    assert watcher_of(engine.process.pid) is None
    assert not ends_with_engine().exists()
    engine.signal(signal.SIGTERM)
    engine.wait()
