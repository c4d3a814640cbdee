"""A damaged registry is replaced by what can be saved of it, or stays as it was."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parexec_tui.cli.entry import cli
from parexec_tui.paths import registry_file, session_folder, state_home
from parexec_tui.registry import access
from parexec_tui.registry import repair as module
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.repair import check, repair, survey
from tests.engine.small_disk import small_disk
from tests.registry import repairs
from tests.registry.repairs import DAMAGES, Damage, Scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return repairs.write(tmp_path_factory.mktemp("written"))


def doctor(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["doctor", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def files() -> dict[str, bytes]:
    """What is in the state folder; empty lock files and the index of the log left out."""
    return {
        file.name: file.read_bytes()
        for file in state_home().iterdir()
        if file.is_file() and not file.name.endswith((".lock", "-shm"))
    }


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_lies_on_whole_pages_is_saved(scene: Scene, damage: Damage) -> None:
    outcome = repairs.attempt(scene, damage, random.Random(3))
    assert outcome.faults == []
    assert outcome.saved >= outcome.expected


def test_a_whole_registry_is_left_alone(scene: Scene) -> None:
    scene.put()
    before = files()
    for arguments in (("--repair",), ("--repair", "--dry-run")):
        done = doctor(*arguments)
        assert (done.exit_code, done.output) == (
            0,
            "nothing to repair: 12 sessions with 1,140 events, all of them whole\n",
        )
    assert files() == before


def test_without_a_registry_there_is_nothing_to_repair() -> None:
    assert doctor("--repair").exit_code == 2


def test_doctor_says_what_can_be_saved_of_each_session(scene: Scene) -> None:
    file = scene.put()
    (seq, _, _, data) = scene.written[4].events[49]
    file.write_bytes(scene.main.replace(data, b"x" * len(data)))
    session = scene.written[4].session
    attempts = session_folder(session, create=True).attempts
    for name in ("s5t1.1.log", "s5t1.1.exit", "s5t2.1.log"):
        (attempts / name).touch()
    before = files()
    said = doctor()
    assert said.exit_code == 1
    assert (
        f"LOOK  session: session {session}: events 1..{seq - 1} of 102 can be read; its plan is whole; "
        f"logs and exit records of 2 attempts are there; event {seq} is missing"
    ) in said.output
    assert "parexec doctor --repair" in said.output
    dry = doctor("--repair", "--dry-run")
    assert dry.exit_code == 1
    assert f"LOST   session {session}: events 1..{seq - 1} of 102 can be read" in dry.output
    assert f"go on with: parexec resume {session}" in dry.output
    assert dry.output.count("whole  session") == 11
    assert files() == before
    done = doctor("--repair")
    assert done.exit_code == 1
    with Registry.open(registry_file(), read_only=True) as registry:
        assert [row.seq for row in registry.events(session)] == list(range(1, seq))
        assert registry.session(session).status == "running"
    assert doctor("--repair").exit_code == 0


def test_the_file_from_before_is_kept_and_none_is_overwritten(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20260101-000000")
    kept: list[Path] = []
    for number in range(2):
        file = scene.put_over() if number else scene.put()
        repairs.header_zeroed(file, random.Random(1))
        before = (file.read_bytes(), Path(f"{file}-wal").read_bytes())
        done = repair(file)
        assert done.copy is not None
        kept.append(done.copy)
        assert (done.copy.read_bytes(), Path(f"{done.copy}-wal").read_bytes()) == before
        assert done.copy.stat().st_mode & 0o777 == file.stat().st_mode & 0o777 == 0o600
    assert [copy.name for copy in kept] == [
        "registry.db.damaged-20260101-000000",
        "registry.db.damaged-20260101-000000-2",
    ]


def test_a_living_engine_or_guardian_is_named(scene: Scene) -> None:
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    session = scene.written[0].session
    before = files()
    with SessionLock(session_folder(session, create=True).lock):
        done = doctor("--repair")
    assert done.exit_code == 2
    assert f"engine {os.getpid()} of {session} lives; stop it first: parexec stop -s {session}" in done.output
    assert files() == before


def test_whoever_has_it_open_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "WAIT", 0.05)
    file = scene.put()
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "open\n"
        repairs.header_zeroed(file, random.Random(1))
        before = files()
        with pytest.raises(RegistryError, match=f"process {reader.pid} has it open"):
            repair(file)
        assert files() == before
    finally:
        reader.communicate("")
    assert repair(file).check.damage


READER = """
import sys
from pathlib import Path
from parexec_tui.registry.registry import Registry
with Registry.open(Path(sys.argv[1]), read_only=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_an_engine_that_starts_meanwhile_waits_and_finds_the_new_file(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `run` and `resume` do it: by opening the registry."""
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    started: list[subprocess.Popen[str]] = []
    put_in_place = access.put_in_place

    def start_then_go_on(file: Path) -> None:
        command = [sys.executable, "-c", READER, str(file)]
        started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        monkeypatch.setattr(access, "WAIT", 0.0)
        with pytest.raises(RegistryError, match="it is being repaired by another process"):
            Registry.open(file)
        put_in_place(file)

    monkeypatch.setattr(access, "put_in_place", start_then_go_on)
    repair(file)
    out, _ = started[0].communicate(timeout=60)
    assert (out, started[0].returncode) == ("open\n", 0)
    with Registry.open(file) as registry:
        assert len(registry.sessions()) == 12


def killed_at(step: int, file: Path) -> bool:
    """Repair in a process that is killed before it changes a file for the so many-th time; False if it was done."""
    child = os.fork()
    if not child:
        count = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            changes = event in ("os.rename", "os.remove", "sqlite3.connect")
            if event == "open" and isinstance(arguments[2], int):
                changes = bool(arguments[2] & os.O_ACCMODE)
            if changes and "registry.db" in str(arguments[0]) and not str(arguments[0]).endswith(".lock"):
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            repair(file)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_at_each_step_it_is_the_old_or_the_new(scene: Scene) -> None:
    outcomes: list[bool] = []
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    old = files()
    while killed_at(len(outcomes) + 1, file):
        left = {name: data for name, data in files().items() if "damaged" not in name and "repairing" not in name}
        outcomes.append(left == old)
        assert outcomes[-1] or check(file).damage == "", f"step {len(outcomes)}"
        repair(file)
        with Registry.open(file) as registry:
            for written in scene.written:
                assert [row.data for row in registry.events(written.session)] == [e[3] for e in written.events]
        assert {name for name in files() if "damaged" not in name} <= {"registry.db", "registry.db-wal"}
        repairs.header_zeroed(scene.put(), random.Random(1))
    assert outcomes == sorted(outcomes, reverse=True)
    assert {*outcomes} == {True, False}


def test_a_disk_that_is_too_small_is_told_before_anything_is_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    monkeypatch.setattr(module, "_MARGIN", 1 << 60)
    before = files()
    done = doctor("--repair")
    assert done.exit_code == 2
    assert "a repair needs 1048576.0TiB in" in done.output
    assert "nothing was changed" in done.output
    assert files() == before


@pytest.mark.parametrize("kib", [100, 400, 700])
def test_a_disk_that_fills_while_it_is_repaired_leaves_it_as_it_was(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kib: int
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk.path))
        file = scene.put()
        repairs.header_zeroed(file, random.Random(1))
        before = files()

        def leave_less(_: Path) -> None:
            disk.fill()
            disk.leave(kib << 10)

        monkeypatch.setattr(module, "_check_space", leave_less)
        done = doctor("--repair")
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output
        monkeypatch.undo()
        monkeypatch.setenv("XDG_STATE_HOME", str(disk.path))
        disk.make_room()
        left = {name: data for name, data in files().items() if ".damaged-" not in name}
        assert left == before
        assert doctor("--repair").exit_code == 0


def test_a_disk_that_fails_to_read_costs_only_what_it_does_not_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    read, size = os.pread, file.stat().st_size
    bad = range(size // 2, size // 2 + 4096)

    def fail(fd: int, length: int, at: int) -> bytes:
        if os.fstat(fd).st_size == size and at < bad.stop and bad.start < at + length:
            raise OSError(errno.EIO, "Input/output error")
        return read(fd, length, at)

    monkeypatch.setattr(os, "pread", fail)
    done = repair(file)
    whole = sum(found.is_whole for found in done.found)
    assert 9 <= whole < 12
    assert done.copy is not None
    assert done.copy.stat().st_size == size


def test_a_folder_of_somebody_else_is_not_touched(scene: Scene) -> None:
    file = scene.put()
    repairs.header_zeroed(file, random.Random(1))
    file.parent.chmod(0o777)
    before = sorted(file.parent.iterdir())
    for arguments in (("--repair",), ("--repair", "--dry-run")):
        done = doctor(*arguments)
        assert done.exit_code == 2
        assert "may be written to by others" in done.output
    assert sorted(file.parent.iterdir()) == before


def test_an_empty_file_is_not_taken_for_a_new_one(scene: Scene) -> None:
    file = scene.put()
    for each in (file, Path(f"{file}-wal")):
        os.truncate(each, 0)
    session_folder("exec_20250101_000000", create=True)
    assert "it is empty, and there are folders of sessions" in doctor().output
    done = doctor("--repair")
    assert done.exit_code == 1
    assert "LOST   session exec_20250101_000000: nothing but its folder is left" in done.output
    assert doctor("--repair").exit_code == 0
    assert "folders of sessions that the registry does not know: exec_20250101_000000" in doctor().output


def test_what_is_lost_for_good_is_told_and_is_no_damage_afterwards(scene: Scene) -> None:
    file = scene.put()
    repairs.no_database(file, random.Random(1))
    session_folder("exec_20250101_000000", create=True)
    done = doctor("--repair")
    assert done.exit_code == 1
    assert "its plan is lost" in done.output
    assert "LOST   session exec_20250101_000000: nothing but its folder is left" in done.output
    assert check(file).damage == ""
    listed = CliRunner().invoke(cli, ["ls"])
    assert listed.output.count("damaged") == 9
    assert survey(file)
