"""Every step of a ticket obeys as its command does: freeze and thaw, cancel, timeout, the death of its engine."""

import subprocess
import time
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import (
    PAREXEC,
    Engine,
    attempts_folder,
    exists,
    happened,
    stands_still,
    start,
    ticket,
    until,
)

WAITS = "echo $$ > pid.new; mv pid.new pid; until [ -e go ]; do sleep 0.02; done"
"""A command that says who it is, and ends when it may."""

STEPS = {
    "run": 'run = "WAITS"',
    "gate-1": 'run = "true"\ngates = ["WAITS"]',
    "skip-if": 'run = "true"\nskip_if = "WAITS"',
    "rollback": 'run = "exit 3"\non_fail = "rollback"\nrollback = "WAITS"',
}
"""{step: a ticket that is long at it}"""

ENDS = {"run": "succeeded", "gate-1": "succeeded", "skip-if": "succeeded", "rollback": "failed"}
"""{step: how the ticket ends when its step ends well}"""

TIMED_OUT = {
    "run": ("timed out", "after 0.40s"),
    "gate-1": ("timed out", "gate slow: after 0.40s"),
    "skip-if": ("succeeded", ""),
    "rollback": ("failed", "rollback failed: timed out after 0.40s; it had ended: exit 3"),
}
"""{step: the end of its ticket and the reason, if the step takes too long}"""

each_step = pytest.mark.parametrize("step", STEPS)


def at(step: str, folder: Path, more: str = "", timeout: str = "") -> tuple[Engine, int]:
    """An engine whose ticket is at a step, which has a timeout if that is given; and the process of the step."""
    plan = f"[tickets.A]\n{STEPS[step]}\n{more}\n"
    if timeout and step == "gate-1":
        plan = plan.replace('"WAITS"', f'{{ name = "slow", run = "WAITS", timeout = "{timeout}" }}')
    elif timeout:
        plan += f'timeout = "{timeout}"\n'
    engine = start(folder, plan.replace("WAITS", WAITS))
    pid = int(engine.until(lambda: (folder / "pid").exists() and (folder / "pid").read_text(), f"{step} begins"))
    engine.until(lambda: step_of() == step, f"the registry knows that it is at {step}")
    return engine, pid


def step_of() -> str:
    """The step that the ticket is at, as the registry says."""
    a = ticket("A")
    return a.asking or (a.live_attempt.step if a.is_live else "")


def ask(folder: Path, *words: str) -> None:
    subprocess.run([*PAREXEC, *words], cwd=folder, check=True, capture_output=True)


@each_step
@pytest.mark.parametrize("scope", [["A"], []], ids=["ticket", "session"])
def test_freeze_and_thaw(tmp_path: Path, step: str, scope: list[str]) -> None:
    engine, pid = at(step, tmp_path)
    ask(tmp_path, "freeze", *scope)
    engine.until(lambda: stands_still(pid), "it stands still")
    (tmp_path / "go").touch()
    ask(tmp_path, "thaw", *scope)
    engine.wait()
    assert str(ticket("A").status) == ENDS[step]
    assert not exists(pid)


@each_step
def test_an_engine_after_the_next_thaws_what_was_frozen(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path)
    ask(tmp_path, "freeze", "A")
    engine.until(lambda: stands_still(pid), "it stands still")
    engine.kill()
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert stands_still(pid)
    (tmp_path / "go").touch()
    ask(tmp_path, "thaw", "A")
    second.wait()
    assert str(ticket("A").status) == ENDS[step]


@each_step
def test_what_outlives_its_engine_is_adopted_and_not_started_again(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path)
    engine.kill()
    assert exists(pid)
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert exists(pid)
    (tmp_path / "go").touch()
    second.wait()
    assert str(ticket("A").status) == ENDS[step]
    assert sorted(file.stem for file in attempts_folder().glob(f"A.*{step}*.log")) in ([], [f"A.{number(step)}"])


def number(step: str) -> str:
    return "1" if step == "run" else f"0.{step}" if step == "skip-if" else f"1.{step}"


@each_step
def test_what_ended_while_there_was_no_engine_is_proved_by_its_record(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path)
    engine.kill()
    (tmp_path / "go").touch()
    until(lambda: not exists(pid), "it ends")
    Engine("resume", cwd=tmp_path).wait()
    assert str(ticket("A").status) == ENDS[step]


@each_step
def test_cancel(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path)
    ask(tmp_path, "cancel", "A", "--yes", *(["--now"] if step == "rollback" else []))
    engine.wait()
    assert not exists(pid)
    assert ticket("A").status is (Status.failed if step == "rollback" else Status.cancelled)


@each_step
def test_timeout(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path, 'grace = "0s"', timeout="400ms")
    engine.wait()
    assert not exists(pid)
    a = ticket("A")
    assert (str(a.end), a.reason) == TIMED_OUT[step]
    if step == "skip-if":
        assert [event.reason for event in happened(ev.QuestionAnswered)] == ["timed out after 0.40s"]


@each_step
def test_the_clock_of_a_timeout_stands_still_while_it_is_frozen(tmp_path: Path, step: str) -> None:
    engine, pid = at(step, tmp_path, timeout="1.5s")
    ask(tmp_path, "freeze", "A")
    frozen = time.monotonic()
    until(lambda: time.monotonic() > frozen + 2, "it would have timed out")
    until(lambda: stands_still(pid), "it stands still")
    (tmp_path / "go").touch()
    ask(tmp_path, "thaw", "A")
    engine.wait()
    assert str(ticket("A").status) == ENDS[step]
