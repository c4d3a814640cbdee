"""The state folder, the registry or the lock is removed or replaced under a living engine."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.paths import registry_file, session_folder, state_home
from tests.engine.engines import Engine, happened, marked, session, start, state_of, ticket, until
from tests.engine.lifecycle.detached import all_gone, engine_log, parexec, run_detached, stop_everything, the_engine

PLAN = """
[plan]
parallel = 1
on_engine_loss = "POLICY"
[tickets.A]
run = '''
trap 'echo bye > bye.txt; exit 5' TERM
echo begin >> A.txt
until [ -e go ]; do sleep 0.02; done
echo end >> A.txt
'''
[tickets.B]
run = "echo begin >> B.txt"
"""


def remove_everything(_: str) -> None:
    # The engine may be writing while it is removed.
    shutil.rmtree(state_home(), ignore_errors=True)
    shutil.rmtree(state_home(), ignore_errors=True)


def remove_session(id_: str) -> None:
    shutil.rmtree(session_folder(id_).path)


def remove_attempts(id_: str) -> None:
    shutil.rmtree(session_folder(id_).attempts)


def remove_lock(id_: str) -> None:
    session_folder(id_).lock.unlink()


def replace_lock(id_: str) -> None:
    lock = session_folder(id_).lock
    lock.with_name("new").write_text("1\n")
    lock.with_name("new").replace(lock)


def remove_registry(_: str) -> None:
    registry_file().unlink()


def remove_log_of_registry(_: str) -> None:
    registry_file().with_name("registry.db-wal").unlink()


def replace_everything(_: str) -> None:
    old = state_home().with_name("old")
    state_home().rename(old)
    shutil.copytree(old, state_home(), ignore=shutil.ignore_patterns("*.sock"))


Harm = Callable[[str], None]
HARMS: list[Harm] = [
    remove_everything,
    remove_session,
    remove_attempts,
    remove_lock,
    replace_lock,
    remove_registry,
    remove_log_of_registry,
    replace_everything,
]


def begun(folder: Path, policy: str) -> Engine:
    engine = start(folder, PLAN.replace("POLICY", policy))
    engine.until(lambda: happened(ev.AttemptSpawned), "A is noted")
    engine.until((folder / "A.txt").exists, "A begins")
    return engine


@pytest.mark.parametrize("harm", HARMS)
def test_the_engine_leaves_and_says_why(tmp_path: Path, harm: Harm) -> None:
    engine = begun(tmp_path, "leave")
    harm(session())
    before = time.monotonic()
    (tmp_path / "go").touch()  # A ends, and B could start now
    assert engine.wait(30) == 1
    assert time.monotonic() - before < 10
    assert "while the session ran: nothing new is started or remembered" in engine.text()
    assert "Traceback" not in engine.text()
    until(lambda: not list(marked("/A.1")), "A ends")


@pytest.mark.parametrize("harm", HARMS)
def test_nothing_new_is_started(tmp_path: Path, harm: Harm) -> None:
    engine = begun(tmp_path, "leave")
    harm(session())
    assert engine.wait(30) == 1
    assert "what runs goes on without it: A.1" in engine.text()
    assert len(list(marked("/A.1"))) >= 1
    (tmp_path / "go").touch()
    until(lambda: not list(marked("/A.1")), "A ends by itself")
    assert not (tmp_path / "B.txt").exists()


def test_what_runs_is_ended_if_the_plan_says_so(tmp_path: Path) -> None:
    engine = begun(tmp_path, "kill")
    remove_everything(session())
    assert engine.wait(30) == 1
    assert not list(marked())
    assert (tmp_path / "bye.txt").exists()


@pytest.mark.parametrize("harm", [remove_lock, replace_lock, remove_log_of_registry])
def test_a_session_whose_lock_was_removed_can_be_resumed(tmp_path: Path, harm: Harm) -> None:
    engine = begun(tmp_path, "leave")
    harm(session())
    assert engine.wait(30) == 1
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert state_of().counts[Status.succeeded] == 2
    assert (tmp_path / "A.txt").read_text().split() == ["begin", "end"]
    assert ticket("A").attempts == 1


@pytest.mark.parametrize("harm", [remove_lock, replace_lock, remove_session, replace_everything])
def test_there_are_never_two_engines(tmp_path: Path, harm: Harm) -> None:
    engine = begun(tmp_path, "leave")
    id_ = session()
    engine.signal(signal.SIGSTOP)  # so it does not notice
    try:
        harm(id_)
        second = Engine("resume", id_, cwd=tmp_path)
        assert second.wait(30) == 2
        assert "watch it: parexec attach" in second.text()
    finally:
        engine.signal(signal.SIGCONT)
    assert engine.wait(30) == 1
    (tmp_path / "go").touch()


def test_a_guardian_does_not_start_another(tmp_path: Path) -> None:
    id_ = run_detached(tmp_path, PLAN.replace("POLICY", "kill"))
    engine = the_engine(id_)
    until((tmp_path / "A.txt").exists, "A begins")
    try:
        remove_lock(id_)
        until(lambda: all_gone(id_), "engine, guardian and attempt are gone", within=30)
    finally:
        stop_everything(id_)
    assert f"engine {engine} leaves" in engine_log(id_)
    assert "was removed while the session ran" in engine_log(id_)
    assert "interrupted" in parexec("ls", cwd=tmp_path)


def test_a_removed_folder_is_not_made_again(tmp_path: Path) -> None:
    id_ = run_detached(tmp_path, PLAN.replace("POLICY", "kill"))
    until((tmp_path / "A.txt").exists, "A begins")
    try:
        remove_everything(id_)
        until(lambda: all_gone(id_), "engine, guardian and attempt are gone", within=30)
    finally:
        stop_everything(id_)
    assert not state_home().exists()
