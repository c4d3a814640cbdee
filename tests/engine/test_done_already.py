"""Tickets that are done already, with real processes: by files, by a command, through the death of an engine."""

import signal
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import (
    PAREXEC,
    attempts_folder,
    exists,
    happened,
    log_of,
    number_in,
    resume,
    run,
    start,
    state_of,
    ticket,
    until,
)

BUILD = """
[plan]
parallel = 2
[tickets.files]
if_done = ["out/a", "out/*.txt", "out"]
run = "mkdir -p out; echo x > out/a; echo x > out/b.txt; echo files >> ran"
[tickets.command]
needs = ["files"]
env = { FILE = "done" }
skip_if = "echo asked $PAREXEC_TICKET; test -s $FILE"
run = "echo command >> ran; cp ran done"
"""

ASKS = """
[tickets.T]
skip_if = "echo $$ > pid; until test -e go; do sleep 0.02; done; exit CODE"
run = "echo ran"
"""


def ran(folder: Path) -> list[str]:
    file = folder / "ran"
    return file.read_text().split() if file.exists() else []


def test_the_second_session_finds_all_done(tmp_path: Path) -> None:
    assert run(tmp_path, BUILD)[0] == 0
    assert ran(tmp_path) == ["files", "command"]
    code, state = run(tmp_path, BUILD)
    assert (code, ran(tmp_path)) == (0, ["files", "command"])
    assert {ticket.reason for ticket in state.tickets.values()} == {
        "already done: out/a, out/*.txt and out exist",
        "already done: skip_if succeeded",
    }
    assert state.agents == {}
    assert (attempts_folder() / "command.0.skip-if.log").read_text() == "asked command\n"
    assert "2 of 2 succeeded (2 already done)" in (tmp_path / "output.txt").read_text()
    log = subprocess.run([*PAREXEC, "log", "files"], capture_output=True, text=True, cwd=tmp_path)
    assert log.stderr == "parexec: files was already done: out/a, out/*.txt and out exist\n"


@pytest.mark.parametrize("spoil", ["rm out/a", ": > out/a", "rm out/b.txt", "rm -r out"])
def test_what_is_missing_or_empty_is_made_again(tmp_path: Path, spoil: str) -> None:
    run(tmp_path, BUILD)
    run(tmp_path, f'[tickets.spoil]\nrun = "{spoil}"')
    assert run(tmp_path, BUILD)[0] == 0
    assert ran(tmp_path) == ["files", "command", "files"]


@pytest.mark.parametrize(("code", "log"), [(0, ""), (1, "ran\n"), (127, "ran\n")])
def test_a_command_outlives_its_engine_and_the_next_one_gets_its_answer(tmp_path: Path, code: int, log: str) -> None:
    engine = start(tmp_path, ASKS.replace("CODE", str(code)))
    pid = number_in(tmp_path / "pid")
    engine.kill()
    assert exists(pid)
    (tmp_path / "go").touch()
    result, _ = resume()
    assert (result.outcome, ticket("T").status, log_of("T.1")) == ("finished", Status.succeeded, log)
    assert len(happened(ev.QuestionAsked)) == 1


def test_a_command_whose_answer_died_with_its_engine_is_run_again(tmp_path: Path) -> None:
    engine = start(tmp_path, ASKS.replace("CODE", "0"))
    pid = number_in(tmp_path / "pid")
    engine.kill()
    until(lambda: kill_all(tmp_path, pid), "it is gone")
    (tmp_path / "go").touch()
    resume()
    assert [event.step for event in happened(ev.QuestionAsked)] == ["skip-if", "skip-if-2"]
    assert (ticket("T").status, ticket("T").attempts) == (Status.succeeded, 0)


def kill_all(folder: Path, pid: int) -> bool:
    """Kill what asks, and the shell that would write down its end."""
    import psutil

    try:
        parent = psutil.Process(pid).parent()
        for process in (parent, psutil.Process(pid)):
            if process is not None and str(folder) in process.cwd():
                process.kill()
    except psutil.NoSuchProcess:
        return True
    return not exists(pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_engine_that_leaves_leaves_no_command_behind(tmp_path: Path, how: signal.Signals) -> None:
    engine = start(tmp_path, ASKS.replace("CODE", "0"))
    pid = number_in(tmp_path / "pid")
    engine.signal(how)
    if how is signal.SIGINT:  # a drain lets it finish
        engine.until(lambda: happened(ev.SessionDraining), "it drains")
        (tmp_path / "go").touch()
    engine.wait()
    assert not exists(pid)
    assert state_of().asking == {}
    assert ticket("T").status is (Status.succeeded if how is signal.SIGINT else Status.waiting)


def test_a_command_is_bound_by_the_time_out_of_its_ticket(tmp_path: Path) -> None:
    code, _ = run(tmp_path, ASKS.replace("[tickets.T]", '[tickets.T]\ntimeout = "300ms"'))
    assert (code, log_of("T.1")) == (0, "ran\n")
    (ended,) = happened(ev.QuestionAnswered)
    assert ended.reason == "timed out after 0.30s"
