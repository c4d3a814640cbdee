"""Checks of real processes: a runaway is stopped early, and an engine that dies goes on with the checks."""

from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Flag
from tests.engine.engines import Engine, happened, run, start, ticket, until

RUNAWAY = """
[tickets.T]
run = "echo fine; until [ -e go ]; do sleep 0.02; done; echo loss = nan; sleep 600"
grace = "0.1s"
checks = [{ name = "loss", forbid = "loss*nan", every = "0.1s", then = "stop" }]
"""

SHORT = """
[tickets.T]
run = "echo nan; exit 0"
checks = [{ name = "quiet", forbid = "nan", then = "stop" }]
"""

LATE = """
[tickets.T]
run = "touch begun; until [ -e go ]; do sleep 0.02; done; echo Traceback"
checks = [{ name = "quiet", forbid = "Traceback", then = "stop" }]
"""

SILENT = """
[tickets.T]
run = "echo begin > model.log; until [ -e go ]; do sleep 0.02; done"
checks = [{ grows = "model.log", every = "0.2s", then = "freeze" }]
"""


def test_what_prints_what_it_must_not_is_stopped_early(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    code, state = run(tmp_path, RUNAWAY)
    assert code == 1
    found = state.tickets["T"]
    assert (found.end, found.reason) == (End.failed, "check loss: it printed loss = nan")


def test_what_a_short_command_prints_is_looked_at_when_it_has_ended(tmp_path: Path) -> None:
    code, state = run(tmp_path, SHORT)
    found = state.tickets["T"]
    assert (code, found.end, found.reason) == (1, End.failed, "check quiet: it printed nan")


def test_what_is_printed_while_no_engine_is_there_is_looked_at(tmp_path: Path) -> None:
    engine = start(tmp_path, LATE)
    engine.until(lambda: (tmp_path / "begun").exists(), "it runs")
    engine.kill()
    (tmp_path / "go").touch()
    second = Engine("resume", cwd=tmp_path)
    assert second.wait() == 1
    assert ticket("T").reason == "check quiet: it printed Traceback"


def test_the_next_engine_goes_on_with_the_checks(tmp_path: Path) -> None:
    engine = start(tmp_path, RUNAWAY)
    engine.until(lambda: happened(ev.AttemptSpawned), "it runs")
    engine.kill()
    (tmp_path / "go").touch()
    second = Engine("resume", cwd=tmp_path)
    assert second.wait() == 1
    assert ticket("T").reason == "check loss: it printed loss = nan"


def test_what_writes_nothing_any_more_is_frozen_for_a_person(tmp_path: Path) -> None:
    engine = start(tmp_path, SILENT)
    engine.until(lambda: happened(ev.AttemptFrozen), "it is frozen")
    until(lambda: ticket("T").shown_status is Flag.frozen, "that is remembered")
    assert happened(ev.CheckFailed)[0].check == "model.log grows"
