"""No engine can run now, because the machine is short of something: the guardian waits, and then it goes on."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.core.state.status import Status
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import guardian_waits
from tests.cgroups import pids_group
from tests.engine.engines import PAREXEC, pid_of, sessions, state_of, until, write_plan
from tests.engine.lifecycle.detached import (
    all_gone,
    engine_pid,
    kill,
    parexec,
    run_detached,
    sick_python,
    stop_everything,
    the_engine,
)
from tests.engine.small_disk import SmallDisk, small_disk

PLAN = """
[plan]
min_free_disk = 0
on_engine_loss = "POLICY"
[tickets.A]
run = "echo begin >> A.txt; until [ -e go ]; do sleep 0.02; done; echo end >> A.txt"
[tickets.B]
run = "echo begin >> B.txt"
needs = ["A"]
"""


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for session in sessions():
        stop_everything(session)


@pytest.fixture
def disk(own_state_home: Path, nothing_is_left: None) -> Iterator[SmallDisk]:
    with small_disk(own_state_home) as found:
        yield found


def begun(folder: Path, policy: str = "leave") -> str:
    """A session whose ticket A runs and is noted."""
    session = run_detached(folder, PLAN.replace("POLICY", policy))
    until(lambda: (folder / "A.txt").exists() and pid_of("A"), "A runs")
    return session


def finish(folder: Path, session: str) -> None:
    """Let A end, and see that nothing was lost, nothing ran twice, and the session ends by itself."""
    (folder / "go").touch()
    until(all_gone, "the session ends by itself")
    state = state_of(session)
    assert state.finished_at is not None
    assert state.counts[Status.succeeded] == 2
    assert (folder / "A.txt").read_text() == "begin\nend\n"
    assert (folder / "B.txt").read_text() == "begin\n"


@pytest.mark.parametrize("policy", ["leave", "kill"])
def test_a_full_disk(tmp_path: Path, disk: SmallDisk, policy: str) -> None:
    session = begun(tmp_path, policy)
    folder = session_folder(session)
    disk.fill()
    kill(the_engine(session))

    # An engine that cannot begin moves the log into the registry, which makes some room.
    waits = disk.full_until(lambda: guardian_waits(folder), "the guardian waits")
    assert "the disk is full" in waits.why
    assert engine_pid(session) is None
    assert (tmp_path / "A.txt").read_text() == "begin\n", "nobody ended what runs"
    for command, code in {"status": 0, "ls": 0, "doctor": 1, "resume": 2, "stop --yes": 1}.items():
        disk.fill()
        assert "no engine can run now: " in parexec(*command.split(), cwd=tmp_path, code=code), command
    disk.make_room()
    the_engine(session)
    finish(tmp_path, session)


def test_no_process_can_be_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    run = "echo begin >> A.txt; read _ < go; echo end >> A.txt"  # it needs no process
    write_plan(tmp_path, re.sub(r"echo begin >> A.*A.txt", run, PLAN).replace("POLICY", "leave"))
    with pids_group(60) as group:
        command = group.command(*PAREXEC, "run", "plan.toml", "--detach", "--quiet")
        session = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
        until(lambda: (tmp_path / "A.txt").exists() and pid_of("A"), "A runs")
        group.limit(1)
        kill(the_engine(session))
        waits = until(lambda: guardian_waits(session_folder(session)), "the guardian waits")
        assert waits is not None
        assert "Resource temporarily unavailable" in waits.why
        group.limit(60)
        the_engine(session)
        (tmp_path / "go").write_text("\n")
        until(all_gone, "the session ends by itself")
        assert state_of(session).counts[Status.succeeded] == 2
        assert (tmp_path / "A.txt").read_text() == "begin\nend\n"


def test_too_few_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healed = tmp_path / "healed"
    sick = f"import resource; ('--restarted' not in sys.orig_argv or os.path.exists({str(healed)!r})"
    code = f"{sick} or resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10)))"
    monkeypatch.setenv("PYTHONPATH", sick_python(tmp_path, code))
    session = begun(tmp_path)
    kill(the_engine(session))
    waits = until(lambda: guardian_waits(session_folder(session)), "the guardian waits")
    assert waits is not None
    assert "Too many open files" in waits.why
    healed.touch()
    the_engine(session)
    finish(tmp_path, session)
