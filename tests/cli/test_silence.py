"""An engine lives and does not answer: all commands say so, in the same words, and none of them hangs."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from parexec_tui.cli import troubles
from parexec_tui.cli.entry import cli
from parexec_tui.client import connecting, silence
from parexec_tui.paths import noted_socket
from tests.cli.test_steer import Answer
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import pid_of, until
from tests.engine.lifecycle.detached import run_detached, the_engine
from tests.engine.small_disk import choke, small_disk

PLAN = """
[plan]
min_free_disk = 0
[tickets.a]
run = "until test -e go; do sleep 0.05; done"
[tickets.b]
needs = ["a"]
run = "true"
"""

COMMANDS = {
    "status": 0,
    "show": 0,
    "ls": 0,
    "doctor": 1,
    "why": 1,
    "stop --yes": 1,
    "drain --yes": 1,
    "hold a": 1,
    "freeze a": 1,
    "cancel a --yes": 1,
    "retry a --yes": 1,
    "priority b high": 1,
    "scale 2": 1,
    "undo": 1,
    "edit b title=x --yes": 1,
    "attach --lines": 1,
    "resume": 2,
    "resume --detach": 2,
    "resume --headless": 2,
    "wait --timeout 0.5": 124,
    "wait b --timeout 0.5": 124,
}
"""Commands, and their exit codes while the engine does not answer."""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    found = run_detached(tmp_path, PLAN)
    until(lambda: pid_of("a"), "a is noted")
    return found


def call(line: str, capfd: pytest.CaptureFixture[str]) -> Answer:
    """Run a command in this process."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.main(line.split(), prog_name="parexec")
    said = capfd.readouterr()
    assert isinstance(left.value.code, int), left.value.code
    return Answer(left.value.code, said.out, said.err)


def test_a_stopped_engine(session: str, capfd: pytest.CaptureFixture[str]) -> None:
    engine = the_engine(session)
    os.kill(engine, signal.SIGSTOP)
    until(lambda: silence.is_stopped(engine), "it is stopped")
    said, remedy = f"engine {engine} is stopped and does not answer", f"kill -CONT {engine}"
    assert len(f"{said}; {remedy}") <= 66, "the banner has room for it at 80 columns, beside another piece"
    for line, code in COMMANDS.items():
        began = time.monotonic()
        answer = call(line, capfd)
        assert said in answer.out + answer.err, line
        assert remedy in answer.out + answer.err, line
        assert answer.code == code, (line, answer)
        assert time.monotonic() - began < 10, line
    for line in ("status --json", "show --json", "ls --json", "stop --json --yes", "wait --timeout 0.5 --json"):
        found = json.loads(call(line, capfd).out)
        assert said in found["trouble"], line
        assert found.get("state", "running") == found.get("status", "running") == "running", line
    os.kill(engine, signal.SIGCONT)
    answer = call("status --json", capfd)
    assert (json.loads(answer.out)["trouble"], answer.err) == ("", "")
    assert call("ls", capfd).err == ""


def test_a_socket_that_is_missing(
    session: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the engine makes a new one, and if that takes long."""
    engine = the_engine(session)
    socket = noted_socket(session)
    assert socket is not None
    monkeypatch.setattr(troubles, "_LISTEN_WITHIN", 0.2)
    monkeypatch.setattr(connecting, "_NEXT_ENGINE", 0.2)
    os.kill(engine, signal.SIGSTOP)
    socket.unlink()
    monkeypatch.setattr(silence, "is_stopped", lambda _: False)
    for line in ("status", "show", "ls", "stop --yes"):
        said = call(line, capfd).err
        assert f"engine {engine} is alive and does not answer: its socket is missing" in said, line
    os.kill(engine, signal.SIGCONT)
    until(lambda: not call("status", capfd).err, "it made a new one")


def test_an_engine_with_a_full_disk_says_so(
    tmp_path: Path, own_state_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with small_disk(own_state_home) as disk:
        session = run_detached(tmp_path, PLAN)
        until(lambda: pid_of("a"), "a is noted")
        choke(session, disk, "b")
        assert "the disk is full" in call("status", capfd).err
        assert "the disk is full" in json.loads(call("status --json", capfd).out)["trouble"]
        os.kill(the_engine(session), signal.SIGSTOP)
        assert "is stopped" in call("status", capfd).err
        monkeypatch.setattr(silence, "is_stopped", lambda _: False)
        assert "does not answer: the disk is full" in str(silence.listen(session, 0.1))
        os.kill(the_engine(session), signal.SIGKILL)
