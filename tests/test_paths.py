import os
from pathlib import Path

import pytest

from parexec_tui import paths


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
