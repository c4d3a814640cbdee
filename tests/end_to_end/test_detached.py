"""Work that outlives everything: the terminal it was started from, its engine, its guardian, both. Real processes."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import is_owned
from tests.end_to_end.terminal import Terminal
from tests.engine.engines import (
    exists,
    happened,
    journal,
    log_of,
    pid_of,
    session,
    sessions,
    state_of,
    until,
    write_plan,
)
from tests.engine.lifecycle.detached import (
    all_gone,
    engine_pid,
    guardian_pid,
    kill,
    parexec,
    run_detached,
    stop_everything,
    the_engine,
    the_guardian,
)

UNTIL_GO = "until [ -e go ]; do sleep 0.01; done"

PLAN = f"""
[plan]
parallel = 3
[tickets.slow]
run = "echo before; {UNTIL_GO}; echo after"
[tickets.fails]
run = "{UNTIL_GO}; exit 7"
[tickets.quick]
run = "true"
[tickets.last]
needs = ["slow", "quick"]
run = "echo last"
"""


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for name in sessions():
        stop_everything(name)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path)
    yield found
    found.close()


def is_over() -> bool:
    return state_of().finished_at is not None


def both_run() -> bool:
    """Whether the plan of this page is as far as it comes by itself."""
    return (
        bool(happened(ev.AttemptStarted) and pid_of("slow") and pid_of("fails"))
        and state_of().counts[Status.succeeded] == 1
    )


def assert_complete(folder: Path, engines: int = 1) -> None:
    """Let the plan of this page end, and see that every ticket is accounted for, and nothing left."""
    (folder / "go").touch()
    until(is_over, "the session is over")
    state = state_of()
    assert {id_: ticket.status for id_, ticket in state.tickets.items()} == {
        "slow": Status.succeeded,
        "fails": Status.failed,
        "quick": Status.succeeded,
        "last": Status.succeeded,
    }
    assert happened(ev.AttemptEnded, ticket="fails")[-1].code == 7
    assert {ticket.attempts for ticket in state.tickets.values()} == {1}
    assert log_of("slow.1") == "before\nafter\n"
    assert log_of("last.1") == "last\n"
    assert len(happened(ev.MonitoringStarted)) == engines
    times = [event.at for event in journal()]
    assert times == sorted(times)
    until(all_gone, "every process is gone")
    assert not is_owned(session_folder(session()).lock)


# -- the terminal goes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["--detach", ""])
@pytest.mark.parametrize("end", ["hang_up", "kill"])
def test_the_terminal_goes_and_the_work_goes_on(tmp_path: Path, terminal: Terminal, end: str, options: str) -> None:
    write_plan(tmp_path, PLAN)
    terminal.parexec(f"run plan.toml {options}")
    until(both_run, "it runs")
    if options:
        terminal.until("ended=0")
        terminal.until(f"parexec attach {session()}")
    getattr(terminal, end)()
    assert exists(the_engine())
    assert_complete(tmp_path)


# -- leaving and coming back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["\x03", "q\n"])
def test_leaving_and_coming_back(tmp_path: Path, terminal: Terminal, keys: str) -> None:
    write_plan(tmp_path, PLAN)
    terminal.parexec("run plan.toml")
    terminal.until("the engine stays")
    until(both_run, "it runs")
    terminal.type(keys)
    terminal.until("ended=0")
    terminal.until(f"the engine goes on; come back: parexec attach {session()}")
    engine = the_engine()
    terminal.parexec("attach")
    terminal.until(f"attached to {session()}: 1 of 4 succeeded")
    (tmp_path / "go").touch()
    terminal.until("ended=1")
    assert "3 of 4 succeeded, 1 failed" in terminal.text()
    until(lambda: not exists(engine), "the same engine as ever leaves")
    assert_complete(tmp_path)


def test_attach_without_a_terminal(tmp_path: Path) -> None:
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    (tmp_path / "go").touch()
    assert "3 of 4 succeeded" in parexec("attach", cwd=tmp_path, code=1)
    assert "3 of 4 succeeded" in parexec("attach", cwd=tmp_path, code=1)
    assert_complete(tmp_path)


def test_detach_prints_what_a_script_wants(tmp_path: Path) -> None:
    write_plan(tmp_path, '[tickets.a]\nrun = "true"\n')
    said = parexec("run", "plan.toml", "--detach", "--json", cwd=tmp_path)
    assert said == f'{{"session": "{session()}"}}\n'
    until(all_gone, "it is over")


# -- engines and guardians go ----------------------------------------------------------------------------------


def test_the_engine_is_killed_and_another_follows(tmp_path: Path) -> None:
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    guardian, engine = the_guardian(), the_engine()
    kill(engine)
    the_engine(besides=engine)
    assert guardian_pid() == guardian
    assert_complete(tmp_path, engines=2)


def test_a_viewer_stays_when_the_engine_is_killed(tmp_path: Path, terminal: Terminal) -> None:
    write_plan(tmp_path, PLAN)
    terminal.parexec("run plan.toml")
    until(both_run, "it runs")
    kill(the_engine())
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "another follows")
    (tmp_path / "go").touch()
    terminal.until("ended=1")
    assert "3 of 4 succeeded, 1 failed" in terminal.text()
    assert_complete(tmp_path, engines=2)


def test_the_guardian_is_killed_and_the_engine_goes_on(tmp_path: Path) -> None:
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    kill(the_guardian())
    assert exists(the_engine())
    assert_complete(tmp_path)


@pytest.mark.parametrize("command", ["resume", "resume --detach"])
def test_both_are_killed_and_resume_takes_over(tmp_path: Path, command: str) -> None:
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    kill(the_guardian(), the_engine())
    assert "interrupted" in parexec("ls", cwd=tmp_path)
    (tmp_path / "go").touch()
    parexec(*command.split(), cwd=tmp_path, code=0 if "--detach" in command else 1)
    assert_complete(tmp_path, engines=2)


def test_both_are_killed_and_attach_offers_to_take_over(tmp_path: Path, terminal: Terminal) -> None:
    write_plan(tmp_path, PLAN)
    terminal.parexec("run plan.toml")
    until(both_run, "it runs")
    kill(the_guardian(), the_engine())
    terminal.until("is gone; take over? [Y/n]")
    terminal.type("n\n")
    terminal.until("ended=1")
    terminal.parexec("attach")
    terminal.until("is gone; take over? [Y/n]", times=2)
    terminal.type("\n")
    terminal.until("2 running; ctrl-c")
    (tmp_path / "go").touch()
    terminal.until("3 of 4 succeeded, 1 failed")
    assert_complete(tmp_path, engines=2)


# -- ending it -------------------------------------------------------------------------------------------------


def test_a_signal_to_the_guardian_is_one_to_the_engine(tmp_path: Path) -> None:
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    os.kill(the_guardian(), signal.SIGTERM)
    until(all_gone, "it stops, with all that ran")
    state = state_of()
    assert state.status == "stopped"
    assert state.tickets["slow"].status is Status.waiting
    (tmp_path / "go").touch()
    parexec("resume", cwd=tmp_path, code=1)
    assert state_of().counts[Status.succeeded] == 3


def test_a_signal_before_the_engine_listens(tmp_path: Path) -> None:
    """SIGTERM right after the engine was killed: the next one is not killed by it, it obeys."""
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    guardian, engine = the_guardian(), the_engine()
    os.kill(engine, signal.SIGKILL)
    until(lambda: guardian_child(guardian) not in (None, engine), "the next one is born")
    os.kill(guardian, signal.SIGTERM)
    until(all_gone, "it stops, with all that ran")
    assert state_of().status == "stopped"
    assert len(happened(ev.MonitoringStarted)) == 2


def guardian_child(guardian: int) -> int | None:
    children = psutil.Process(guardian).children()
    return children[0].pid if children else None


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Engines may die while they take over, too."""
    run_detached(tmp_path, PLAN)
    until(both_run, "it runs")
    guardian = the_guardian()
    for pause in (0.05, 0.2, 0.35, 0.5):
        child = until(lambda: guardian_child(guardian), "there is an engine")
        assert child is not None
        time.sleep(pause)  # not waiting for anything: a moment of its life
        kill(child)
    the_engine()
    until(lambda: engine_pid() and state_of().engine_pid == engine_pid(), "one takes over")
    assert_complete(tmp_path, engines=len(happened(ev.MonitoringStarted)))


def test_python_finds_nothing_in_the_folder_of_the_plan(tmp_path: Path) -> None:
    """A plan's folder may have files of any name: the engine imports none of them."""
    for name in ("trio", "parexec_tui", "msgspec", "signal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    write_plan(tmp_path, '[tickets.a]\nrun = "true"\n')
    script = Path(sys.executable).with_name("parexec")
    if script.exists():
        import subprocess

        subprocess.run([script, "run", "plan.toml", "--detach", "-q"], cwd=tmp_path, check=True, capture_output=True)
        until(is_over, "it is over")
