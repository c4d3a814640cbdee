"""When the machine is short of descriptors or processes: starts wait, the engine lives, and nothing fails for it."""

import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.cgroups import pids_group
from tests.engine.engines import PAREXEC, WITHIN, happened, journal, session, state_of, until, write_plan

ALL_RUN = '[tickets.Z]\nrun = "until [ $(ls began | wc -l) = 60 ]; do sleep 0.1; done; touch go"\n'


@pytest.mark.parametrize("which", ["-Sn", "-n"])
def test_sixty_at_once_with_64_descriptors(tmp_path: Path, which: str) -> None:
    run = "until [ -e go ]; do sleep 0.1; done; ulimit -Sn >> limits"
    tickets = "".join(f'[tickets.T{number}]\nrun = "touch began/{number}; {run}"\n' for number in range(60))
    write_plan(tmp_path, f"[plan]\nparallel = 61\n{tickets}{ALL_RUN}")
    (tmp_path / "began").mkdir()
    command = 'ulimit "$0" 64 && exec "$@" run plan.toml --headless'
    done = subprocess.run(
        ["sh", "-c", command, which, *PAREXEC],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert state_of(session()).counts[Status.succeeded] == 61
    limits = (tmp_path / "limits").read_text().split()
    assert limits == ["64"] * 60, "what it runs has the limit that the engine was given"


def test_sixty_are_taken_over_with_64_descriptors(tmp_path: Path) -> None:
    run = "echo x >> began/N; until [ -e go ]; do sleep 0.2; done; echo x >> ended/N"
    tickets = "".join(f"[tickets.T{number}]\nrun = '{run.replace('N', str(number))}'\n" for number in range(60))
    write_plan(tmp_path, f"[plan]\nparallel = 60\n{tickets}")
    (tmp_path / "began").mkdir()
    (tmp_path / "ended").mkdir()

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", 'ulimit -n 64 && exec "$@" --headless', "sh", *PAREXEC, *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    first = start("run", "plan.toml")
    until(lambda: len(list((tmp_path / "began").iterdir())) == 60, "all run")
    first.kill()
    first.communicate()
    second = start("resume")
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "another engine takes over")
    (tmp_path / "go").touch()
    said, _ = second.communicate(timeout=WITHIN)
    assert second.returncode == 0, said
    assert state_of(session()).counts[Status.succeeded] == 60
    for folder in ("began", "ended"):
        assert {file.read_text() for file in (tmp_path / folder).iterdir()} == {"x\n"}, "none ran twice"


FLOODS = "bomb() { bomb | bomb & }; bomb; sleep 60"
"""A fork bomb: it takes every process that it can get."""
FILLS = "for i in $(seq 200); do sleep 60 & done; wait"
"""It takes every process but the last ones, and fails when it gets no more."""


@pytest.mark.parametrize("bomb", [FLOODS, FILLS], ids=["floods", "fills"])
def test_a_fork_bomb_ends_neither_the_engine_nor_the_innocent(tmp_path: Path, bomb: str) -> None:
    innocent = "".join(f'[tickets.T{number}]\nrun = "touch done/{number}"\n' for number in range(30))
    plan = f'[plan]\nparallel = 8\n{innocent}[tickets.bomb]\nrun = "{bomb}"\npriority = "critical"\ntimeout = "3s"\n'
    write_plan(tmp_path, plan)
    (tmp_path / "done").mkdir()
    with pids_group(60) as group:
        done = subprocess.run(
            group.command(*PAREXEC, "run", "plan.toml", "--headless"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
    state = state_of(session())
    assert "Traceback" not in done.stdout + done.stderr
    assert state.finished_at is not None, done.stdout + done.stderr
    unsuccessful = [(each.id, each.reason) for each in state.tickets.values() if each.end is not End.succeeded]
    assert [each for each in unsuccessful if each[0] != "bomb"] == []
    assert len(list((tmp_path / "done").iterdir())) == 30
    assert any(isinstance(event, ev.HostPressed) and event.resource == "processes" for event in journal())
    assert not state.pressed, "and then there was room again"
