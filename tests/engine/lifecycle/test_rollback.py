"""Engines that die while what an attempt did is taken back: it is completed by the next one, never left half done."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from tests.engine.engines import (
    PAREXEC,
    Engine,
    exists,
    happened,
    resume,
    run,
    sessions,
    start,
    state_of,
    ticket,
    until,
    write_plan,
)

PLAN = """
[tickets.A]
run = "echo run; echo ruined > out/file; rm out/gone; mkdir out/sub; echo new > out/sub/new; exit 3"
writes = ["out"]
on_fail = "rollback"
snapshot = true
rollback = '''
echo "$PAREXEC_END: $(cat $PAREXEC_LOG)" >> evidence
WAIT
'''
[tickets.B]
run = "true"
needs = ["A"]
"""

SLOW = PLAN.replace("WAIT", "until [ -e go ]; do sleep 0.02; done")
QUICK = PLAN.replace("WAIT", "")


def fill(folder: Path) -> None:
    (folder / "out").mkdir()
    for name in ("file", "gone"):
        (folder / "out" / name).write_text(name)


def is_as_before(folder: Path) -> bool:
    found = {
        str(file.relative_to(folder)): file.read_text() for file in (folder / "out").rglob("*") if file.is_file()
    }
    return found == {"out/file": "file", "out/gone": "gone"} and not (folder / "out" / "sub").exists()


def evidence(folder: Path) -> list[str]:
    file = folder / "evidence"
    return file.read_text().splitlines() if file.exists() else []


def in_rollback(folder: Path) -> tuple[Engine, int]:
    """An engine whose ticket is at its rollback, and the pid of that."""
    fill(folder)
    engine = start(folder, SLOW)
    noted = engine.until(
        lambda: [e for e in happened(ev.AttemptSpawned, ticket="A") if e.step == "rollback"], "noted"
    )
    engine.until(lambda: evidence(folder), "the rollback begins")
    return engine, noted[-1].pid


def test_a_failed_attempt_is_rolled_back(tmp_path: Path) -> None:
    fill(tmp_path)
    code, state = run(tmp_path, QUICK)
    assert code == 1
    assert is_as_before(tmp_path)
    assert evidence(tmp_path) == ["failed: run"]
    assert (state.tickets["A"].status, state.tickets["A"].reason) == (Status.failed, "exit 3, rolled back")
    assert state.file_snapshots["A"].files == 2


def test_a_rollback_that_still_runs_is_adopted(tmp_path: Path) -> None:
    engine, pid = in_rollback(tmp_path)
    engine.kill()
    assert exists(pid)
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert ticket("A").status is Status.rolling_back
    (tmp_path / "go").touch()
    assert second.wait() == 1
    assert evidence(tmp_path) == ["failed: run"]
    assert is_as_before(tmp_path)


def test_a_rollback_that_was_killed_with_its_engine_is_repeated(tmp_path: Path) -> None:
    engine, pid = in_rollback(tmp_path)
    engine.kill()
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "the rollback is gone")
    (tmp_path / "go").touch()
    resume()
    assert evidence(tmp_path) == ["failed: run"] * 2
    assert is_as_before(tmp_path)
    assert ticket("A").reason == "exit 3, rolled back"


def test_a_rollback_that_is_killed_by_hand_holds_the_session(tmp_path: Path) -> None:
    engine, _ = in_rollback(tmp_path)
    subprocess.run([*PAREXEC, "cancel", "A", "--now", "--yes"], cwd=tmp_path, check=True, capture_output=True)
    assert engine.wait() == 1
    assert ticket("A").reason == "rollback failed: it was killed; it had ended: exit 3"
    held = state_of().held
    assert held is not None
    assert held.reason == "rollback of A failed: it was killed"
    assert is_as_before(tmp_path), "the files are restored all the same"


def test_an_attempt_that_is_cancelled_is_rolled_back(tmp_path: Path) -> None:
    fill(tmp_path)
    engine = start(tmp_path, QUICK.replace("exit 3", "touch ready; sleep 600"))
    engine.until((tmp_path / "ready").exists, "the attempt has done what it does")
    subprocess.run([*PAREXEC, "cancel", "A", "--yes"], cwd=tmp_path, check=True, capture_output=True)
    assert engine.wait() == 1
    assert (ticket("A").status, ticket("A").end) == (Status.cancelled, End.cancelled)
    assert evidence(tmp_path)[0] == "cancelled: run"
    assert is_as_before(tmp_path)


def test_a_retry_begins_with_the_files_as_they_were(tmp_path: Path) -> None:
    fill(tmp_path)
    plan = QUICK.replace("snapshot = true", 'snapshot = true\nretries = 2\nretry_delay = "0s"')
    plan = plan.replace("echo run;", "cat out/file >> seen;")
    run(tmp_path, plan)
    assert (tmp_path / "seen").read_text() == "file" * 3
    assert is_as_before(tmp_path)


def test_a_snapshot_that_would_be_too_big_keeps_the_ticket_from_starting(tmp_path: Path) -> None:
    fill(tmp_path)
    code, state = run(tmp_path, QUICK.replace("snapshot = true", 'snapshot = true\nsnapshot_limit = "4B"'))
    assert code == 1
    assert state.tickets["A"].end is End.could_not_start
    assert state.tickets["A"].reason.startswith("its snapshot would be too big: 2 files with 8B")
    assert (tmp_path / "out" / "file").read_text() == "file"
    assert evidence(tmp_path) == []


KILLED = """
import json, os, signal, sys
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.backends.local import snapshot
from parexec_tui.engine.backends.local.snapshot import content, copies, restoring
left = int(sys.argv.pop(1))
def counted(call):
    def wrapper(*args, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **more)
    return wrapper
class Os:
    def __getattr__(self, name):
        found = getattr(os, name)
        return counted(found) if name in CALLS else found
for module in (snapshot, content, copies, restoring):
    module.os = Os()
append = Journal.append
def remember(self, state, events):
    counted(lambda: None)()
    return append(self, state, events)
Journal.append = remember
from parexec_tui.cli import main
main()
"""
CALLS = ("replace", "unlink", "mkdir", "rmdir", "chmod", "fsync", "scandir", "utime")


def killed_at(number: int, folder: Path) -> bool:
    """Run the plan with an engine that is killed at its so-manieth step; returns whether it was."""
    plan = write_plan(folder, QUICK)
    command = [
        sys.executable,
        "-c",
        f"CALLS = {json.dumps(CALLS)}\n{KILLED}",
        str(number),
        "run",
        str(plan),
        "--headless",
    ]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True)
    assert done.returncode in (1, -signal.SIGKILL), done.stderr
    return done.returncode != 1


@pytest.mark.timeout(600)
def test_an_engine_that_is_killed_at_any_step_leaves_nothing_half_done(tmp_path: Path) -> None:
    number = 1
    while True:
        folder = tmp_path / str(number)
        folder.mkdir()
        fill(folder)
        known = len(sessions())
        was_killed = killed_at(number, folder)
        if was_killed and len(sessions()) > known:
            resume()
            assert ticket("A").status is Status.failed, number
        if not was_killed or len(sessions()) > known:
            assert is_as_before(folder), number
        if not was_killed:
            break
        number += 1
    assert number > 15


LED_ASTRAY = """
[tickets.A]
run = "echo ruined > d/file; mv d e; ln -s e d; exit 3"
writes = ["d/file"]
on_fail = "rollback"
snapshot = true
[tickets.B]
run = "touch b"
after = ["A"]
"""


def led_astray(folder: Path) -> None:
    """A session whose restore failed: the way to the file leads through a link now."""
    (folder / "d").mkdir()
    (folder / "d" / "file").write_text("good")
    code, state = run(folder, LED_ASTRAY)
    assert code == 1
    assert state.held is not None
    assert state.tickets["A"].reason.startswith("rollback failed: its files cannot be restored: ")
    assert (folder / "e" / "file").read_text() == "ruined\n"


def repair(folder: Path) -> None:
    (folder / "d").unlink()
    (folder / "e").rename(folder / "d")


@pytest.mark.parametrize("options", [(), ("--retry-failed",)])
def test_a_restore_that_failed_is_done_again_when_the_session_is_resumed(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    led_astray(tmp_path)
    Engine("resume", *options, cwd=tmp_path).wait()
    assert ticket("A").reason.startswith("rollback failed: "), "its cause is still there"
    assert not (tmp_path / "b").exists(), "nothing starts on files that are neither old nor new"
    repair(tmp_path)
    (tmp_path / "d" / "file").chmod(0o600)
    Engine("resume", *options, cwd=tmp_path).wait()
    restored = happened(ev.AttemptEnded, ticket="A", attempt=1)[-1]
    assert (restored.end, restored.half_done) == (End.rolled_back, False)
    if options:
        assert ticket("A").attempts == 2
    else:
        assert (tmp_path / "d" / "file").read_text() == "good"
        assert ticket("A").status is Status.rolled_back
        assert (tmp_path / "b").exists()


def test_a_rollback_that_a_stop_had_killed_is_done_again_when_the_session_is_resumed(tmp_path: Path) -> None:
    engine, _ = in_rollback(tmp_path)
    subprocess.run([*PAREXEC, "stop", "--now", "--yes"], cwd=tmp_path, check=True, capture_output=True)
    engine.wait()
    assert ticket("A").reason == "rollback failed: it was killed; it had ended: exit 3"
    (tmp_path / "go").touch()
    resume()
    assert ticket("A").status is Status.rolled_back
    assert evidence(tmp_path) == ["failed: run"] * 2
    assert is_as_before(tmp_path)


def facts() -> list[AttemptFact]:
    with Registry.open(registry_file(), read_only=True) as registry:
        return registry.attempts(sessions()[0])


CHAIN = """
[tickets.A]
run = "true"
rollback = "echo A >> undone"
[tickets.B]
run = "true"
needs = ["A"]
rollback = "echo B >> undone; until [ -e go ]; do sleep 0.02; done"
"""


def test_a_stop_in_the_middle_of_a_rollback_by_hand_leaves_the_rest_to_the_next_engine(tmp_path: Path) -> None:
    assert run(tmp_path, CHAIN)[0] == 0
    before = facts()
    subprocess.run(
        [*PAREXEC, "rollback", "A", "--downstream", "--yes"], cwd=tmp_path, check=True, capture_output=True
    )
    until((tmp_path / "undone").exists, "B is being rolled back")
    subprocess.run([*PAREXEC, "stop", "--yes"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "go").touch()
    until(lambda: happened(ev.EngineLeft), "the engine leaves")
    assert [ticket(id_).status for id_ in "AB"] == [Status.succeeded, Status.rolled_back]
    state = state_of()
    assert state.finished_at is None
    assert state.rollback is not None
    Engine("resume", cwd=tmp_path).wait()
    assert (tmp_path / "undone").read_text().split() == ["B", "A"]
    state = state_of()
    assert (state.tickets["A"].status, state.rollback) == (Status.rolled_back, None)
    assert state.finished_at is not None
    assert facts() == before, "what is known of the attempts is how they ended, not when they were taken back"


BOUNDED = """
[plan]
keep_snapshots = "10KiB"
[tickets.A]
run = "true"
writes = ["many"]
snapshot = true
[tickets.B]
run = "true"
needs = ["A"]
writes = ["one"]
snapshot = true
"""


def test_an_engine_does_not_leave_before_the_snapshots_are_deleted_that_were_dropped(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(4000):
        (tmp_path / "many" / str(number)).write_text("x" * 10)
    (tmp_path / "one").write_text("one")
    assert run(tmp_path, BOUNDED)[0] == 0
    assert [event.ticket for event in happened(ev.SnapshotDropped)] == ["A"]
    assert [each.name for each in session_folder(sessions()[0]).snapshots.iterdir()] == ["B.1"]


def test_a_snapshot_whose_deletion_was_lost_with_its_engine_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(4):
        (tmp_path / "many" / str(number)).write_text("x" * 4000)
    (tmp_path / "one").write_text("one")
    wait = 'run = "touch began; until [ -e go ]; do sleep 0.02; done"\nneeds'
    engine = start(tmp_path, BOUNDED.replace('run = "true"\nneeds', wait))
    engine.until((tmp_path / "began").exists, "B runs")
    engine.until(lambda: happened(ev.SnapshotDropped, ticket="A"), "the snapshot of A is dropped")
    snapshots = session_folder(sessions()[0]).snapshots
    engine.until(lambda: not (snapshots / "A.1").exists(), "it is deleted")
    engine.kill()
    shutil.copytree(snapshots / "B.1", snapshots / "A.1")  # as if it had not been
    (tmp_path / "go").touch()
    resume()
    assert [each.name for each in snapshots.iterdir()] == ["B.1"]


def by_hand(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PAREXEC, *words], check=False, capture_output=True, text=True)


OVER = """
[tickets.A]
run = "mkdir -p out; echo A >> out/f; echo A > out/g"
writes = ["out/**"]
snapshot = true
[tickets.B]
run = "echo B >> out/f; rm out/g"
needs = ["A"]
writes = ["out/**"]
snapshot = true
[tickets.C]
run = "true"
"""


def test_a_rollback_by_hand_names_what_a_person_changed_since_and_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(tmp_path, OVER)[0] == 0
    session = sessions()[0]
    (out / "notes.txt").write_text("mine")
    (out / "f").write_text("mine")
    for words in (
        ("rollback", "B", "-n"),
        ("rollback", "B", "C", "--yes"),
        ("rollback", "B", "--yes"),
        ("restart", "--from", "B", "--rollback"),
    ):
        refused = by_hand(*words, "-s", session)
        assert refused.returncode == 1, refused
        assert refused.stderr == (
            "parexec: refused: changed since: out/f and out/notes.txt: a restore takes that away "
            "(do it all the same: --force)\n"
        )
    looked = by_hand("rollback", "B", "-n", "--force", "-s", session)
    assert looked.stdout.splitlines()[0] == "changed since: out/f and out/notes.txt; that is overwritten"
    assert (out / "notes.txt").read_text() == "mine"
    assert by_hand("rollback", "B", "--yes", "--force", "-s", session).returncode == 0
    until(lambda: ticket("B").status is Status.rolled_back, "it is rolled back")
    assert {each.name: each.read_text() for each in out.iterdir()} == {"f": "A\n", "g": "A\n"}


def test_a_rollback_by_hand_names_what_a_later_session_wrote(tmp_path: Path) -> None:
    assert run(tmp_path, OVER)[0] == 0
    first = sessions()[0]
    run(tmp_path, OVER)
    refused = by_hand("rollback", "A", "--downstream", "--yes", "-s", first)
    assert refused.returncode == 1
    assert "changed since: out/f: a restore takes that away" in refused.stderr


def test_what_attempts_left_of_each_other_is_no_change_by_others(tmp_path: Path) -> None:
    assert run(tmp_path, OVER)[0] == 0
    assert by_hand("rollback", "B", "--yes", "-s", sessions()[0]).returncode == 0
    until(lambda: ticket("B").status is Status.rolled_back, "B is rolled back")
    assert by_hand("rollback", "A", "--yes", "-s", sessions()[0]).returncode == 0
    until(lambda: ticket("A").status is Status.rolled_back, "A is rolled back")
    assert not (tmp_path / "out").exists()
