"""Checks that are commands, as real processes: what they find, when they do not run, and that none is left behind."""

import subprocess
from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Flag, Status
from tests.engine.engines import PAREXEC, Engine, exists, happened, log_of, number_in, run, start, ticket, until

PLAN = """
[tickets.T]
run = "echo out; until [ -e go ]; do sleep 0.02; done"
env = { WORD = "hello" }
grace = "0.1s"
checks = [{ CHECK }]
[tickets.U]
run = "touch after"
needs = ["T"]
"""

HANGS = 'run = "echo $$ > pid; sleep 600", every = "0.1s"'


def plan(check: str) -> str:
    return PLAN.replace("CHECK", check)


def in_check(folder: Path) -> tuple[Engine, int]:
    """An engine whose ticket runs with a check that does not end, and the pid of that."""
    engine = start(folder, plan(HANGS))
    engine.until(lambda: (folder / "pid").exists() and number_in(folder / "pid"), "the check runs")
    return engine, number_in(folder / "pid")


def ask(folder: Path, verb: str, *options: str) -> None:
    subprocess.run([*PAREXEC, verb, "T", *options], cwd=folder, check=True, capture_output=True)


def test_a_check_that_fails_stops_the_ticket_with_what_it_said(tmp_path: Path) -> None:
    check = """name = "sane", run = 'grep -q out "$PAREXEC_LOG"; echo error: $WORD $PAREXEC_CHECK; exit 3', """
    code, state = run(tmp_path, plan(f'{check} every = "0.1s", then = "stop"'))
    assert code == 1
    found = state.tickets["T"]
    assert (found.end, found.reason) == (End.failed, "check sane: exit 3: error: hello sane")
    assert log_of("T.1.check-1") == "error: hello sane\n"


def test_a_check_that_holds_again_is_said_and_no_run_of_it_meets_another(tmp_path: Path) -> None:
    check = 'run = "mkdir one; sleep 0.2; rmdir one; test ! -e bad", every = "0.1s"'
    engine = start(tmp_path, plan(check))
    (tmp_path / "bad").touch()
    engine.until(lambda: happened(ev.CheckFailed, ticket="T"), "it fails")
    (tmp_path / "bad").unlink()
    engine.until(lambda: happened(ev.CheckHeld, ticket="T"), "it holds again")
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert [each.reason for each in happened(ev.CheckFailed, ticket="T")] == ["exit 1"]


def test_a_check_that_takes_too_long_is_ended_and_has_failed(tmp_path: Path) -> None:
    code, state = run(tmp_path, plan(HANGS + ', timeout = "0.2s", then = "stop"'))
    assert code == 1
    assert state.tickets["T"].reason == "check echo $$ > pid; sleep 600: it took longer than 0.20s"
    assert not exists(number_in(tmp_path / "pid"))


def test_nothing_of_a_check_lives_when_what_needs_the_ticket_starts(tmp_path: Path) -> None:
    plan_ = plan(HANGS).replace("touch after", "if kill -0 $(cat pid); then exit 9; fi")
    engine = start(tmp_path, plan_)
    engine.until(lambda: (tmp_path / "pid").exists() and number_in(tmp_path / "pid"), "the check runs")
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert ticket("U").status is Status.succeeded
    assert not happened(ev.CheckFailed)


def test_what_a_check_leaves_behind_is_said_of_the_check_and_once(tmp_path: Path) -> None:
    check = 'name = "leaky", run = "setsid sleep 617 & echo x >> looks", every = "0.1s"'
    engine = start(tmp_path, plan(check))
    looks = tmp_path / "looks"
    engine.until(lambda: looks.exists() and len(looks.read_text()) >= 6, "it has looked three times")
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    (strays,) = happened(ev.StraysEnded, ticket="T")
    assert (strays.check, strays.commands) == ("leaky", ("sleep 617",))


def test_no_check_runs_while_its_ticket_is_frozen(tmp_path: Path) -> None:
    engine, pid = in_check(tmp_path)
    ask(tmp_path, "freeze")
    engine.until(lambda: not exists(pid), "the check is ended")
    assert ticket("T").shown_status is Flag.frozen
    (tmp_path / "pid").unlink()
    ask(tmp_path, "thaw")
    engine.until(lambda: (tmp_path / "pid").exists() and number_in(tmp_path / "pid"), "it runs again")
    ask(tmp_path, "cancel", "--yes")
    assert engine.wait() == 1
    assert not exists(number_in(tmp_path / "pid"))
    assert not happened(ev.CheckFailed)


def test_the_next_engine_ends_a_check_that_was_left_and_goes_on_with_it(tmp_path: Path) -> None:
    engine, pid = in_check(tmp_path)
    engine.kill()
    assert exists(pid)
    (tmp_path / "pid").unlink()
    second = Engine("resume", cwd=tmp_path)
    until(lambda: (tmp_path / "pid").exists() and number_in(tmp_path / "pid"), "the check runs again")
    assert not exists(pid)
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert not exists(number_in(tmp_path / "pid"))
    assert ticket("T").attempts == 1
    assert not happened(ev.StraysEnded, ticket="T")
