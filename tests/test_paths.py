import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui import paths
from parexec_tui.core.state.process_key import ProcessKey


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return tmp_path


def test_state_is_where_xdg_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "elsewhere"))
    assert paths.state_home() == home / "elsewhere" / "parexec"
    assert paths.registry_file() == home / "elsewhere" / "parexec" / "registry.db"


@pytest.mark.parametrize("value", [None, "", "relative/path"])
def test_without_an_absolute_value_state_is_below_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("XDG_STATE_HOME", value)
    assert paths.state_home() == home / ".local" / "state" / "parexec"


def test_asking_creates_nothing_unless_told(home: Path) -> None:
    paths.state_home()
    paths.registry_file()
    paths.session_folder("exec_20260102_030405")
    assert list(home.iterdir()) == []


def test_what_is_created_is_for_its_owner_only(home: Path) -> None:
    old_mask = os.umask(0)
    try:
        folder = paths.session_folder("exec_20260102_030405", create=True)
    finally:
        os.umask(old_mask)
    for made in (folder.attempts, folder.path, paths.state_home(), home / ".local"):
        assert made.stat().st_mode & 0o777 == 0o700, made


def test_a_folder_that_exists_keeps_its_mode(home: Path) -> None:
    above = home / ".local" / "state"
    above.mkdir(parents=True)
    above.chmod(0o755)
    assert paths.state_home(create=True) == above / "parexec"
    paths.state_home(create=True)
    assert above.stat().st_mode & 0o777 == 0o755


def test_a_session_keeps_its_things_together(home: Path) -> None:
    folder = paths.session_folder("exec_20260102_030405")
    assert folder.path == paths.state_home() / "sessions" / "exec_20260102_030405"
    assert folder.attempts == folder.path / "attempts"
    assert folder.lock == folder.path / "lock"
    assert folder.engine_log == folder.path / "engine.log"


def test_the_files_of_a_process_are_named_by_its_key(home: Path) -> None:
    folder = paths.session_folder("exec_20260102_030405")
    assert folder.log(ProcessKey("A.b", 2)) == folder.attempts / "A.b.2.log", "as it was before there were steps"
    assert folder.record(ProcessKey("A.b", 2)) == folder.attempts / "A.b.2.exit"
    assert folder.record(ProcessKey("A.b", 2, "check")) == folder.attempts / "A.b.2.check.exit"


def test_the_files_of_a_long_id_have_short_names_of_their_own(home: Path) -> None:
    folder = paths.session_folder("exec_20260102_030405", create=True)
    ids = ["x" * 100, "x" * 101, "x" * 199 + "y", "x" * 200, "x." * 90 + "x"]
    keys = [ProcessKey(id_, 1_000_000, step) for id_ in ids for step in ("run", "check")]
    names = {folder.log(key).name for key in keys} | {folder.record(key).name for key in keys}
    assert len(names) == 2 * len(keys)
    assert f"{'x' * 100}.1000000.log" in names, "short ones keep the names that they had"
    assert max(map(len, names)) < 143 - len(".unknown"), "eCryptfs takes 143"
    for key in keys:
        folder.log(key).touch()
    as_files_name_it = {ProcessKey(paths.id_in_names(key.ticket), key.attempt, key.step) for key in keys}
    assert set(folder.recorded()) == as_files_name_it
    assert {folder.log(key) for key in as_files_name_it} == {folder.log(key) for key in keys}


def test_what_is_recorded_is_read_from_the_names_of_files(home: Path) -> None:
    folder = paths.session_folder("exec_20260102_030405", create=True)
    run, check = ProcessKey("A.b", 2), ProcessKey("A.b", 2, "check")
    for file in (folder.log(run), folder.record(run), folder.record(check), folder.attempts / "notes.txt"):
        file.touch()
    assert set(folder.recorded()) == {run, check}
    folder.set_aside(run)
    assert set(folder.recorded()) == {check}
    assert (folder.attempts / "A.b.2.log.unknown").exists()
    folder.set_aside(run)


def test_sessions_are_laid_far_apart_on_disk(short: Path) -> None:
    try:
        paths.spread_apart(short)
        flags = flags_of(short)
    except OSError:
        pytest.skip("this file system has no attributes")
    if not flags & paths.TOP_OF_TREE:
        pytest.skip("this file system does not know this one")
    folder = paths.session_folder(SESSION, create=True).path
    assert flags_of(folder.parent) & paths.TOP_OF_TREE
    assert not flags_of(folder) & paths.TOP_OF_TREE, "what is in a session belongs together"


def flags_of(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return paths.flags_of(fd)
    finally:
        os.close(fd)


# -- sockets ---------------------------------------------------------------------------------------------------

SESSION = "exec_20260102_030405"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is short enough for sockets, in the place of /tmp; and a state folder in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(paths, "SHORT_PLACE", Path(folder))
        monkeypatch.setenv(paths.STATE_HOME, folder)
        monkeypatch.delenv(paths.RUNTIME_DIR, raising=False)
        yield Path(folder)


def test_a_socket_is_in_the_runtime_folder_if_that_is_ours_alone(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = short / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv(paths.RUNTIME_DIR, str(runtime))
    file = paths.socket_file(SESSION)
    assert file.parent == runtime / "parexec"
    assert file.name.startswith(SESSION)
    assert file.parent.stat().st_mode & 0o777 == 0o700
    runtime.chmod(0o755)
    assert paths.socket_file(SESSION) == paths.session_folder(SESSION).path / "engine.sock"


def test_sessions_of_two_registries_may_have_the_same_id(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "run").mkdir(mode=0o700)
    monkeypatch.setenv(paths.RUNTIME_DIR, str(short / "run"))
    one = paths.socket_file(SESSION)
    monkeypatch.setenv(paths.STATE_HOME, str(short / "other"))
    assert paths.socket_file(SESSION) != one


def test_without_a_runtime_folder_the_socket_is_with_the_session(short: Path) -> None:
    file = paths.socket_file(SESSION)
    assert file == paths.session_folder(SESSION).path / "engine.sock"
    assert paths.is_private(file.parent)


def test_a_path_that_is_too_long_for_a_socket_is_made_short(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.STATE_HOME, str(short / ("x" * 100)))
    file = paths.socket_file(SESSION)
    assert file.parent == short / f"parexec-{os.getuid()}"
    assert len(bytes(file)) <= paths.MAX_SOCKET_PATH
    assert paths.is_private(file.parent)
    assert paths.socket_file(SESSION) == file
    assert paths.socket_file(SESSION + "_2") != file


@pytest.mark.parametrize("how", ["open to others", "a link", "of somebody else"])
def test_a_short_place_that_is_not_ours_alone_is_refused(
    short: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv(paths.STATE_HOME, str(short / ("x" * 100)))
    place = short / f"parexec-{os.getuid()}"
    if how == "a link":
        (short / "real").mkdir(mode=0o700)
        place.symlink_to(short / "real")
    else:
        place.mkdir(mode=0o700)
    if how == "open to others":
        place.chmod(0o711)
    if how == "of somebody else":
        if os.getuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(place, 12345, -1)
    with pytest.raises(PermissionError, match="belongs to somebody else or is open to others"):
        paths.socket_file(SESSION)


def test_where_the_socket_is_is_written_down(short: Path) -> None:
    assert paths.noted_socket(SESSION) is None
    paths.session_folder(SESSION, create=True)
    for file in (Path("/run/one"), Path("/run/t\udcffwo with spaces")):
        paths.note_socket(SESSION, file)
        assert paths.noted_socket(SESSION) == file
    assert [each.name for each in paths.session_folder(SESSION).path.iterdir() if each.is_file()] == ["socket"]
