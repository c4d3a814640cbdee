"""Who may start beside living sessions, with real processes."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import pytest

from parexec_tui.client.blocking import Client
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.engine.lifecycle import admission, launch
from parexec_tui.engine.lifecycle.admission import NeighboursLive, StartLock
from parexec_tui.paths import registry_file
from tests.engine.engines import PAREXEC, WITHIN, journal, sessions, state_of, until, write_plan
from tests.engine.lifecycle.detached import kill, parexec, stop_everything, the_engine, the_guardian
from tests.engine.lifecycle.living import living, plan_in, remember

UNTIL_GO = "until [ -e go ]; do sleep 0.02; done"
WRITES = f'[tickets.T3]\nrun = "{UNTIL_GO}"\nwrites = ["out/**"]\n'
WRITES_TOO = '[tickets.b]\nrun = "true"\nwrites = ["out/b"]\n'


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for session in sessions():
        stop_everything(session)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def detached(folder: Path, text: str, *options: str, name: str = "plan.toml") -> str:
    return parexec("run", write_plan(folder, text, name), "--detach", "--json", *options, cwd=folder)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """A session that lives, and writes out/**."""
    with living(remember(plan_in(tmp_path, WRITES, "other.toml"))) as session:
        yield session


def test_a_forced_run_that_may_not_start_forgets_nothing(tmp_path: Path) -> None:
    builds = '[tickets.b]\nrun = "echo x > out/b"\noutputs = ["out/b"]\nup_to_date = true\n'
    (tmp_path / "out").mkdir()
    parexec("run", write_plan(tmp_path, builds), "--headless", cwd=tmp_path)
    with living(remember(plan_in(tmp_path, WRITES, "other.toml"))):
        parexec("run", "plan.toml", "--force", "--headless", cwd=tmp_path, code=2)
        parexec("run", "plan.toml", "--force", "--detach", cwd=tmp_path, code=2)
    assert "up to date" in parexec("run", "plan.toml", "-n", cwd=tmp_path)
    assert "would run 1" in parexec("run", "plan.toml", "-n", "--force", cwd=tmp_path)


def engine_beside(folder: Path) -> str:
    """As `other`, with an engine of its own, until there is a file `go`."""
    detached(folder, WRITES, name="other.toml")
    return sessions()[0]


def newest() -> str:
    return max(sessions())


def start_beside(folder: Path, text: str = WRITES_TOO) -> str:
    said = detached(folder, text, "--beside")
    session: str = json.loads(said.splitlines()[-1] if said.startswith("parexec") else said.splitlines()[0])[
        "session"
    ]
    return session


SLOW = """
import time
from parexec_tui.engine.lifecycle import launch
new_session = launch.new_session
launch.new_session = lambda plan, **options: time.sleep(2) or new_session(plan, **options)
from parexec_tui.cli import main
main()
"""
"""A `parexec` that takes its time between the look at others and the start, so that all of them look first."""


def test_of_several_that_start_at_once_exactly_one_runs(tmp_path: Path) -> None:
    texts = [WRITES, WRITES.replace("T3", "x"), WRITES.replace("out/**", "out/a*")]
    files = [write_plan(tmp_path, text, f"{number}.toml") for number, text in enumerate(texts)]
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", SLOW, "run", file, *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for file, options in zip(files, (["--headless"], ["--headless"], ["--detach"]), strict=True)
    ]
    until(lambda: sum(process.poll() == 2 for process in racing) == 2, "two of them are refused")
    assert len(sessions()) == 1
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=WITHIN)[0] for process in racing]
    assert sorted(process.returncode for process in racing) == [0, 2, 2]
    assert sum(f"{sessions()[0]} is not over, and claims the same" in text for text in said) == 2


def test_a_frozen_engine_counts_and_a_killed_one_does_not(tmp_path: Path) -> None:
    other = engine_beside(tmp_path)
    engine = the_engine(other)
    os.kill(engine, signal.SIGSTOP)
    said = parexec("run", write_plan(tmp_path, WRITES_TOO), "--headless", cwd=tmp_path, code=2)
    assert f"{other} is not over, and claims the same (other, since " in said
    assert f", engine {engine})" in said
    kill(the_guardian(other), engine)
    parexec("run", "plan.toml", "--headless", cwd=tmp_path)


def test_beside_is_remembered_until_the_other_is_over(tmp_path: Path) -> None:
    other = engine_beside(tmp_path)
    session = start_beside(tmp_path, f'{WRITES_TOO}[tickets.long]\nrun = "until [ -e end ]; do sleep 0.02; done"\n')
    expected = ev.Neighbour(other, "other", "b writes out/b, its T3 writes out/**")
    assert state_of(session).neighbours == (expected,)
    with Client.connect(session) as client:
        assert [fact.session for fact in client.status().beside] == [other]
    assert f"beside   {other}: b writes out/b" in parexec("status", "-s", session, cwd=tmp_path)
    (tmp_path / "go").touch()
    until(lambda: state_of(session).neighbours == (), "the other is over")
    (tmp_path / "end").touch()
    until(lambda: state_of(session).finished_at, "it is over")


def test_a_guardian_that_starts_the_next_engine_asks_nobody(tmp_path: Path, other: str) -> None:
    session = start_beside(tmp_path, WRITES.replace("T3", "b"))
    first = the_engine(session)
    kill(first)
    assert the_engine(session, besides=first) != first
    assert [each.session for each in state_of(session).neighbours] == [other]
    assert len([event for event in journal(session) if isinstance(event, ev.NeighboursSeen)]) == 1


def test_what_was_left_is_refused_while_a_neighbour_lives(tmp_path: Path, stack: ExitStack) -> None:
    left = engine_beside(tmp_path)
    kill(the_guardian(left), the_engine(left))
    other = stack.enter_context(living(remember(plan_in(tmp_path, WRITES.replace("T3", "b")))))
    assert f"{other} is not over" in parexec("resume", left, "--detach", cwd=tmp_path, code=2)
    assert f"{other} is not over" in parexec("resume", left, "--headless", cwd=tmp_path, code=2)
    said = parexec("resume", left, "--detach", "--beside", cwd=tmp_path)
    assert f"warning: {other} lives and claims the same: " in said


def test_a_retry_of_a_finished_session_is_refused_while_a_neighbour_lives(tmp_path: Path, stack: ExitStack) -> None:
    detached(tmp_path, WRITES_TOO)
    finished = sessions()[0]
    until(lambda: state_of(finished).finished_at, "it is over")
    parexec("wait", finished, cwd=tmp_path)
    other = stack.enter_context(living(remember(plan_in(tmp_path, WRITES, "other.toml"))))
    said = parexec("retry", "b", "-s", finished, "--json", cwd=tmp_path, code=2)
    assert json.loads(said.splitlines()[0])["neighbours"][0]["session"] == other
    assert "parexec retry --beside" in said
    with pytest.raises(NeighboursLive, match=f"{other} lives and claims the same: b .*--beside"):
        launch.take_over(finished, resume=True, awaits=True)  # as the screen does
    assert state_of(finished).tickets["b"].attempts == 1
    parexec("retry", "b", "-s", finished, "--beside", "--wait", cwd=tmp_path)
    assert state_of(finished).tickets["b"].attempts == 2
    assert [each.session for each in state_of(finished).neighbours] == [other]


def test_what_is_added_later_and_claims_the_same_is_said(tmp_path: Path, other: str) -> None:
    detached(tmp_path, '[tickets.long]\nrun = "until [ -e end ]; do sleep 0.02; done"\n')
    session = newest()
    parexec("add", write_plan(tmp_path, WRITES_TOO, "more.toml"), "-s", session, cwd=tmp_path)
    seen = until(lambda: state_of(session).neighbours, "the neighbour is seen")
    assert [(each.session, each.conflict) for each in seen] == [(other, "b writes out/b, its T3 writes out/**")]
    (tmp_path / "end").touch()


def test_wait_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    other = engine_beside(tmp_path)
    write_plan(tmp_path, WRITES_TOO)
    command = [*PAREXEC, "run", "plan.toml", "--wait", "--headless", "--quiet"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        assert f"waiting until {other} is over: b writes out/b" in waiting.stderr.readline()
        assert sessions() == [other]
        kill(the_guardian(other), the_engine(other))
        assert waiting.wait(WITHIN) == 0
    assert state_of(newest()).counts[Status.succeeded] == 1


def test_ctrl_c_ends_the_wait(tmp_path: Path, other: str) -> None:
    write_plan(tmp_path, WRITES_TOO)
    command = [*PAREXEC, "run", "plan.toml", "--wait", "--detach"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(WITHIN) == 130
        assert "nothing was started" in waiting.stderr.read()
    assert sessions() == [other]


def test_json_says_which_and_why(tmp_path: Path, other: str) -> None:
    file = write_plan(tmp_path, WRITES_TOO)
    ran = subprocess.run([*PAREXEC, "run", file, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    said = json.loads(ran.stdout)
    assert said["kind"] == "refused"
    (neighbour,) = said["neighbours"]
    assert (neighbour["session"], neighbour["engine_pid"]) == (other, os.getpid())
    (conflict,) = neighbour["conflicts"]
    assert (conflict["ticket"], conflict["path"], conflict["their_ticket"]) == ("b", "out/b", "T3")
    assert f"parexec run {file} --beside" in ran.stderr


def test_wait_and_beside_together_make_no_sense(tmp_path: Path) -> None:
    said = parexec("run", write_plan(tmp_path, WRITES_TOO), "--wait", "--beside", cwd=tmp_path, code=2)
    assert "--wait waits for the other session, --beside does not" in said
    assert not registry_file().exists()


# -- the lock of those who start ---------------------------------------------------------------------------------


def holding() -> "subprocess.Popen[str]":
    """Another process that holds the lock until the end of its input."""
    code = (
        "from parexec_tui.engine.lifecycle.admission import StartLock\nwith StartLock(): print(flush=True); input()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture
def holder() -> "Iterator[subprocess.Popen[str]]":
    with holding() as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_who_starts_waits_for_another_until_it_dies(holder: "subprocess.Popen[str]") -> None:
    began = time.monotonic()
    Timer(0.3, holder.kill).start()
    with StartLock() as lock:
        assert 0.3 <= time.monotonic() - began < admission._PATIENCE
        lock.release()
        lock.release()


def test_one_that_is_stopped_does_not_keep_others_from_starting(
    holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_PATIENCE", 0.2)
    holder.send_signal(signal.SIGSTOP)
    with StartLock():
        assert holder.poll() is None


def test_a_fork_does_not_keep_the_lock() -> None:
    """As the screen that is opened while an engine starts."""
    with StartLock():
        child = os.fork()
        if not child:
            time.sleep(WITHIN)
            os._exit(0)
    try:
        with holding() as process:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], admission._PATIENCE * 0.9)[0]
            process.kill()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
