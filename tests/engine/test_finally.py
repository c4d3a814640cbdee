"""`finally` tickets of real engines: after failures, a drain, a stop, and the death of an engine."""

import signal
import time
from pathlib import Path

import pytest

from parexec_tui.cli.exits import SUCCEEDED, UNSUCCESSFUL
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.lifecycle.signals import SAME_WITHIN
from tests.engine.engines import Engine, happened, run, start, state_of, ticket, until

PLAN = """
[plan]
parallel = 1
[tickets.END]
finally = true
run = "echo END >> ran; until [ -e end ]; do sleep 0.02; done"
[tickets.A]
run = "echo A >> ran; until [ -e go ]; do sleep 0.02; done"
[tickets.B]
needs = ["A"]
run = "echo B >> ran"
"""


def ran(folder: Path) -> list[str]:
    file = folder / "ran"
    return file.read_text().split() if file.exists() else []


def begun(folder: Path, plan: str = PLAN) -> Engine:
    engine = start(folder, plan)
    engine.until(lambda: ran(folder) == ["A"], "A begins")
    return engine


@pytest.mark.parametrize(
    ("a", "end", "code"),
    [("true", "true", SUCCEEDED), ("false", "true", UNSUCCESSFUL), ("true", "false", UNSUCCESSFUL)],
)
def test_it_runs_last_and_its_own_failure_counts(tmp_path: Path, a: str, end: str, code: int) -> None:
    plan = f"""
        [tickets.END]
        finally = true
        run = "echo END >> ran; {end}"
        [tickets.A]
        run = "sleep 0.1; echo A >> ran; {a}"
    """
    assert run(tmp_path, plan)[0] == code
    assert ran(tmp_path) == ["A", "END"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drain_and_a_stop_run_it_and_a_resume_does_so_again(tmp_path: Path, number: signal.Signals) -> None:
    engine = begun(tmp_path)
    engine.signal(number)
    if number is signal.SIGINT:
        until(lambda: happened(ev.SessionDraining), "it drains")
        (tmp_path / "go").touch()
    engine.until(lambda: ran(tmp_path) == ["A", "END"], "the end begins")
    (tmp_path / "end").touch()
    assert engine.wait() == 3
    assert ticket("END").status is Status.succeeded
    assert ticket("B").status is Status.waiting
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == SUCCEEDED
    again = ["B"] if number is signal.SIGINT else ["A", "B"]
    assert ran(tmp_path) == ["A", "END", *again, "END"]


def test_a_second_stop_skips_it_and_says_so(tmp_path: Path) -> None:
    engine = begun(tmp_path)
    engine.signal(signal.SIGTERM)
    engine.until(lambda: ran(tmp_path) == ["A", "END"], "the end begins")
    time.sleep(SAME_WITHIN[signal.SIGTERM])
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert ticket("END").status is Status.waiting
    assert "skipped at the end: END" in engine.text()
    for name in ("go", "end"):
        (tmp_path / name).touch()
    assert Engine("resume", cwd=tmp_path).wait() == SUCCEEDED
    assert ran(tmp_path) == ["A", "END", "A", "B", "END"]


def test_its_time_is_limited(tmp_path: Path) -> None:
    engine = begun(tmp_path, PLAN.replace("[plan]", '[plan]\nfinally_timeout = "300ms"'))
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert (ticket("END").status, ticket("END").end) == (Status.failed, End.timed_out)


def test_a_failure_that_stops_the_session_runs_it_too(tmp_path: Path) -> None:
    (tmp_path / "end").touch()
    plan = PLAN.replace("[plan]", '[plan]\non_failure = "stop"').replace(
        'done"\n[tickets.B]', 'done; false"\n[tickets.B]'
    )
    engine = begun(tmp_path, plan)
    (tmp_path / "go").touch()
    assert engine.wait() != SUCCEEDED
    assert ran(tmp_path) == ["A", "END"]


@pytest.mark.parametrize("is_stopping", [False, True])
def test_killed_in_it_the_next_engine_takes_it_over(tmp_path: Path, *, is_stopping: bool) -> None:
    engine = begun(tmp_path)
    if is_stopping:
        engine.signal(signal.SIGTERM)
    else:
        (tmp_path / "go").touch()
    engine.until(lambda: ran(tmp_path)[-1] == "END", "the end begins")
    engine.until(lambda: happened(ev.AttemptSpawned, ticket="END"), "its process is noted")
    engine.kill()
    (tmp_path / "go").touch()
    again = Engine("resume", cwd=tmp_path)
    again.until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the next engine begins")
    (tmp_path / "end").touch()
    assert again.wait() == SUCCEEDED
    assert state_of().counts[Status.succeeded] == 3
    assert ran(tmp_path) == (["A", "END", "A", "B", "END"] if is_stopping else ["A", "B", "END"])
    assert happened(ev.AttemptEnded, ticket="END", attempt=1)[0].end is End.succeeded
