"""Gates of a group and of the plan with real processes, and engines that die while they run."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import (
    PAREXEC,
    Engine,
    exists,
    happened,
    log_of,
    resume,
    run,
    stands_still,
    start,
    ticket,
    until,
)

PLAN = """
[GATES]
gates = [{ name = "slow", run = '''
echo gate >> evidence
echo "by $PAREXEC_TICKET of ${PAREXEC_GROUP-all}"
until [ -e go ]; do sleep 0.02; done
exit $(cat go)
''' }]
[tickets.A]
run = "echo A >> evidence"
[tickets.B]
run = "echo B >> evidence"
[tickets.C]
run = "echo C >> evidence"
needs = ["A", "B"]
"""
OF_GROUP, OF_PLAN = PLAN.replace("GATES", "groups.1"), PLAN.replace("GATES", "plan")


def evidence(folder: Path) -> list[str]:
    return (folder / "evidence").read_text().split()


def let_go(folder: Path, code: int = 0) -> None:
    (folder / "new").write_text(f"{code}\n")
    (folder / "new").rename(folder / "go")


def in_gate(folder: Path, plan: str, id_: str) -> tuple[Engine, int]:
    """An engine that runs the gate of a group or of the plan, and the pid of the gate."""
    engine = start(folder, plan)
    noted = engine.until(lambda: list(happened(ev.AttemptSpawned, ticket=id_)), "the gate is noted")
    engine.until(lambda: "gate" in evidence(folder), "the gate begins")
    return engine, noted[-1].pid


def test_nothing_that_needs_a_ticket_of_the_group_starts_before_its_gates_hold(tmp_path: Path) -> None:
    engine, _ = in_gate(tmp_path, OF_GROUP, "@1")
    assert sorted(evidence(tmp_path)) == ["A", "B", "gate"]
    assert ticket("C").status is Status.waiting
    let_go(tmp_path)
    assert engine.wait() == 0
    assert evidence(tmp_path)[2:] == ["gate", "C"]
    assert log_of("@1.1.gate-1") == "by @1 of 1\n"


@pytest.mark.parametrize(("plan", "id_"), [(OF_GROUP, "@1"), (OF_PLAN, "@plan")])
def test_gates_that_still_run_are_adopted_and_nothing_is_run_twice(tmp_path: Path, plan: str, id_: str) -> None:
    engine, pid = in_gate(tmp_path, plan, id_)
    engine.kill()
    assert exists(pid)
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert ticket(id_).status is Status.validating
    let_go(tmp_path)
    assert second.wait() == 0
    assert sorted(evidence(tmp_path)) == ["A", "B", "C", "gate"]
    assert ticket(id_).attempts == 1


def test_gates_that_ended_meanwhile_are_proved_by_their_record(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path, OF_GROUP, "@1")
    engine.kill()
    let_go(tmp_path, code=3)
    until(lambda: not exists(pid), "the gate ends")
    resume()
    assert (ticket("@1").status, ticket("@1").reason) == (Status.failed, "gate slow: exit 3")
    assert ticket("C").status is Status.skipped
    assert "C" not in evidence(tmp_path)


def test_gates_that_were_killed_meanwhile_are_lost(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path, OF_PLAN, "@plan")
    engine.kill()
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "the gate is gone")
    resume()
    assert (ticket("@plan").status, ticket("@plan").end) == (Status.failed, End.lost)


def test_gates_are_frozen_thawed_and_cancelled_like_any_step(tmp_path: Path) -> None:
    engine, pid = in_gate(tmp_path, OF_GROUP, "@1")
    ask(tmp_path, "freeze")
    engine.until(lambda: stands_still(pid), "the gate stands still")
    ask(tmp_path, "thaw")
    engine.until(lambda: not stands_still(pid), "the gate goes on")
    ask(tmp_path, "cancel", "--yes")
    assert engine.wait() == 1
    assert ticket("@1").status is Status.cancelled
    assert not exists(pid)


def test_a_gate_of_the_plan_that_takes_too_long_fails_the_session(tmp_path: Path) -> None:
    plan = '[plan]\ngates = [{ run = "sleep 60", timeout = "0.2s" }]\n[tickets.A]\nrun = "true"\n'
    code, state = run(tmp_path, plan)
    assert code == 1
    assert state.tickets["@plan"].end is End.timed_out
    assert state.tickets["A"].status is Status.succeeded


def ask(folder: Path, verb: str, *options: str) -> None:
    subprocess.run([*PAREXEC, verb, "@1", *options], cwd=folder, check=True, capture_output=True)
