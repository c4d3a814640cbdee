"""What an engine that died left in its cgroups: found by the next engine, and removed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.engine.backends.local.record import read_record
from parexec_tui.paths import session_folder
from tests.cgroups import JOIN, cgroup2
from tests.engine.backends.local.test_strays import DAEMON, STRAY
from tests.engine.engines import (
    PYTHON,
    Engine,
    attempts_folder,
    exists,
    happened,
    number_in,
    session,
    ticket,
    until,
    write_plan,
)

PLAN = f"""
[tickets.A]
run = '''
if [ -e again ]; then grep -q '^State:.[RSDT]' /proc/$(cat hidden)/status && touch twice; exit 0; fi
{PYTHON} daemon.py hidden mark env
until [ -s hidden ]; do sleep 0.01; done
touch again
until [ -e go ]; do sleep 0.01; done
'''
retries = 1
retry_delay = "10ms"
[tickets.B]
run = "until [ -e go ]; do sleep 0.01; done"
"""


@pytest.fixture
def places() -> Iterator[list[Path]]:
    """Two cgroups that an engine can be started in."""
    with cgroup2() as one, cgroup2() as another:
        yield [one, another]


def in_group(group: Path, folder: Path, *arguments: str) -> Engine:
    """Start `parexec` in a cgroup."""
    return Engine(*arguments, cwd=folder, through=("sh", "-c", JOIN, str(group)))


def die(folder: Path, group: Path) -> int:
    """Run the plan in a cgroup, and kill the engine when both tickets run; the pid of A."""
    (folder / "daemon.py").write_text(DAEMON)
    (folder / "stray.py").write_text(STRAY)
    write_plan(folder, PLAN)
    engine = in_group(group, folder, "run", "plan.toml")
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2, "both run")
    engine.until((folder / "again").exists, "the daemon is there")
    engine.kill()
    return happened(ev.AttemptSpawned, ticket="A")[0].pid


def groups(place: Path) -> list[str]:
    return [folder.name for folder in place.iterdir() if folder.is_dir()]


@pytest.mark.parametrize(("shell", "elsewhere"), [("killed", False), ("ended", True), ("runs", True)])
def test_what_hides_from_all_else_is_ended_by_the_next_engine(
    tmp_path: Path, places: list[Path], shell: str, elsewhere: bool
) -> None:
    pid = die(tmp_path, places[0])
    hidden = number_in(tmp_path / "hidden")
    if shell == "killed":
        os.kill(pid, signal.SIGKILL)
    if shell == "ended":
        (tmp_path / "go").touch()
    if shell != "runs":
        until(lambda: not exists(pid), "the shell is gone")
    assert exists(hidden)
    engine = in_group(places[elsewhere], tmp_path, "resume")
    engine.until(lambda: len(happened(ev.MonitoringStarted)) == 2, "it goes on")
    (tmp_path / "go").touch()
    assert engine.wait() == 0, engine.text()
    assert not exists(hidden)
    assert not (tmp_path / "twice").exists()
    assert (ticket("A").status, ticket("A").attempts) == (Status.succeeded, 2 if shell == "killed" else 1)
    [told] = happened(ev.StraysEnded)
    assert (told.ticket, told.attempt) == ("A", 1)
    assert any("hidden" in command for command in told.commands)
    assert groups(places[0]) == groups(places[1]) == []
    assert not session_folder(session()).cgroups.exists()


def test_what_a_dead_engine_left_is_removed_by_that_of_another_session(tmp_path: Path, places: list[Path]) -> None:
    die(tmp_path, places[0])
    dead = session()
    (tmp_path / "go").touch()
    until(lambda: read_record(attempts_folder() / "B.1.exit"), "B ends")
    os.kill(number_in(tmp_path / "hidden"), signal.SIGKILL)
    [left] = groups(places[0])
    until(lambda: "populated 0" in (places[0] / left / "cgroup.events").read_text(), "nothing runs any more")
    other = tmp_path / "other"
    other.mkdir()
    write_plan(other, "[tickets.C]\nrun = 'until [ -e go ]; do sleep 0.01; done'")
    engine = in_group(places[0], other, "run", "plan.toml")
    engine.until(lambda: session() != dead and happened(ev.AttemptSpawned, ticket="C"), "C runs")
    [its] = groups(places[0])
    assert its != left
    assert in_group(places[0], tmp_path, "resume", dead).wait() == 0
    assert groups(places[0]) == [its], "that of a living one stays"
    (other / "go").touch()
    assert engine.wait() == 0
    assert groups(places[0]) == []
