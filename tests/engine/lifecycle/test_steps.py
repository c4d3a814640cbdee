"""Engines that die while an attempt is at a gate or at the look for its outputs, with real processes."""

import os
import signal
import subprocess
from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import (
    PAREXEC,
    Engine,
    exists,
    happened,
    resume,
    stands_still,
    start,
    ticket,
    until,
)

PLAN = """
[tickets.A]
run = "echo run >> evidence; echo out > out"
outputs = ["out"]
gates = [{ name = "slow", run = '''
echo gate >> evidence
until [ -e go ]; do sleep 0.02; done
exit CODE
''' }, "echo last >> evidence"]
grace = "0.1s"
[tickets.B]
run = "echo B >> evidence"
needs = ["A"]
"""


def evidence(folder: Path) -> list[str]:
    return (folder / "evidence").read_text().split()


def in_gate(folder: Path, code: int = 0) -> tuple[Engine, int]:
    """An engine whose ticket is at its first gate, and the pid of that gate."""
    engine = start(folder, PLAN.replace("CODE", str(code)))
    noted = engine.until(lambda: [e for e in happened(ev.AttemptSpawned, ticket="A") if e.step == "gate-1"], "noted")
    engine.until(lambda: "gate" in evidence(folder), "the gate begins")
    return engine, noted[-1].pid


def test_a_gate_that_still_runs_is_adopted_and_nothing_is_run_twice(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path)
    engine.kill()
    assert exists(pid)
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert ticket("A").status is Status.validating
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert evidence(tmp_path) == ["run", "gate", "last", "B"]


def test_a_gate_that_ended_meanwhile_is_proved_by_its_record(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path, code=3)
    engine.kill()
    (tmp_path / "go").touch()
    until(lambda: not exists(pid), "the gate ends")
    resume()
    assert (ticket("A").status, ticket("A").reason) == (Status.failed, "gate slow: exit 3")
    assert ticket("B").status is Status.skipped
    assert evidence(tmp_path) == ["run", "gate"]


def test_what_a_gate_removed_proves_nothing_also_for_the_next_engine(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path)
    engine.kill()
    (tmp_path / "out").unlink()
    (tmp_path / "go").touch()
    until(lambda: not exists(pid), "the gate ends")
    resume()
    assert ticket("A").status is Status.failed
    assert ticket("A").reason == "output missing: out, gone since gates slow and echo last >> evidence"
    assert evidence(tmp_path) == ["run", "gate", "last"]


def test_a_gate_that_was_killed_meanwhile_is_lost(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path)
    engine.kill()
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "the gate is gone")
    resume()
    assert (ticket("A").status, ticket("A").end) == (Status.failed, End.lost)


def test_a_gate_can_be_frozen_thawed_and_cancelled(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path)
    ask(tmp_path, "freeze")
    engine.until(lambda: stands_still(pid), "the gate stands still")
    ask(tmp_path, "thaw")
    engine.until(lambda: not stands_still(pid), "the gate goes on")
    ask(tmp_path, "cancel", "--yes")
    assert engine.wait() == 1
    assert ticket("A").status is Status.cancelled
    assert not exists(pid)


def ask(folder: Path, verb: str, *options: str) -> None:
    subprocess.run([*PAREXEC, verb, "A", *options], cwd=folder, check=True, capture_output=True)
