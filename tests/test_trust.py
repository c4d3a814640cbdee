"""What others could have written is not trusted, whichever way it is reached."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui import trust
from parexec_tui.paths import STATE_HOME, session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.settings import SettingsError, read_settings
from parexec_tui.trust import UntrustedError, check_file, check_folder
from tests.engine.engines import PAREXEC

STRANGER = 54321
"""A uid that nobody has."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in /tmp, which is sticky."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def make(folder: Path, mode: int = 0o700, owner: int | None = None) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    if owner is not None:
        os.chown(folder, owner, owner)
    return folder


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o500])
def test_what_is_ours_is_trusted(place: Path, mode: int) -> None:
    check_folder(make(place / "ours", mode))
    check_file(place / "ours" / "missing" / "file")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_what_others_may_write_is_not(place: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_is_private_group", lambda _: False)
    folder = make(place / "open", mode)
    with pytest.raises(
        UntrustedError, match=rf"{folder} may be written to by others \(mode {mode:04o}\).*chmod go-w"
    ):
        check_folder(folder)
    file = place / "file"
    file.touch()
    file.chmod(mode)
    with pytest.raises(UntrustedError):
        check_file(file)


@pytest.mark.parametrize(("mode", "is_fine"), [(0o755, True), (0o1777, True), (0o777, False), (0o770, False)])
def test_a_folder_on_the_way_must_be_sticky_if_others_may_write_there(
    place: Path, mode: int, is_fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_is_private_group", lambda _: False)
    above = make(place / "above", mode)
    ours = make(above / "ours")
    if is_fine:
        check_folder(ours)
        check_folder(above / "not there yet")
    else:
        with pytest.raises(UntrustedError, match=f"{above} may be written to by others"):
            check_folder(ours)


def test_the_private_group_of_a_user_may_write(place: Path) -> None:
    folder = make(place / "ours", 0o770)
    if trust._is_private_group(folder.stat()):
        check_folder(folder)
    else:
        with pytest.raises(UntrustedError):
            check_folder(folder)


@as_root
def test_what_belongs_to_somebody_else_is_not_trusted(place: Path) -> None:
    theirs = make(place / "theirs", owner=STRANGER)
    for path in (theirs, theirs / "inside"):
        with pytest.raises(UntrustedError, match=rf"{theirs} belongs to uid {STRANGER} and not to root"):
            check_folder(path)
    file = place / "file"
    file.touch()
    os.chown(file, STRANGER, STRANGER)
    with pytest.raises(UntrustedError):
        check_file(file)


def test_a_link_is_followed_and_each_step_looked_at(place: Path) -> None:
    ours = make(place / "ours")
    (place / "link").symlink_to("ours/../ours")
    check_folder(place / "link")
    make(place / "open", 0o777)
    make(place / "open" / "inner")
    (place / "bad").symlink_to(place / "open" / "inner")
    with pytest.raises(UntrustedError, match=f"{place}/open may be written to"):
        check_folder(place / "bad")
    (place / "loop").symlink_to("loop")
    with pytest.raises(UntrustedError, match="too many links"):
        check_folder(place / "loop")
    assert ours.exists()


@as_root
def test_a_link_of_somebody_else_is_not_followed(place: Path) -> None:
    place.chmod(0o1777)
    make(place / "ours")
    (place / "link").symlink_to("ours")
    os.chown(place / "link", STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(UntrustedError, match=f"{place}/link belongs to uid {STRANGER}"):
        check_folder(place / "link")


# -- where it matters ------------------------------------------------------------------------------------------

PLAN = "[tickets.a]\nrun = 'true'\n"


def parexec(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {STATE_HOME: str(place)}
    return subprocess.run([*PAREXEC, *arguments], cwd=place, env=env, capture_output=True, text=True, timeout=60)


@as_root
def test_a_state_folder_that_somebody_else_made_is_refused_by_every_command(place: Path) -> None:
    """Another user made /shared/parexec before we did, with a plan of theirs in it."""
    place.chmod(0o1777)
    (place / "plan.toml").write_text("[tickets.a]\nrun = 'id -u > who'\n")
    assert parexec(place, "run", "plan.toml", "--headless").returncode == 0
    (place / "who").unlink()
    for path in (place / "parexec", *(place / "parexec").rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    for arguments in (
        ["ls"], ["show"], ["status"], ["log", "a"], ["events"], ["attach"], ["hold"],
        ["resume", "--headless"], ["run", "plan.toml", "--headless"], ["run", "plan.toml", "--detach"],
    ):  # fmt: skip
        answer = parexec(place, *arguments)
        assert answer.returncode == 2, arguments
        assert f"{place}/parexec belongs to uid {STRANGER} and not to root (uid 0)" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
    assert not (place / "who").exists()
    answer = parexec(place, "doctor")
    assert f"{place}/parexec belongs to uid {STRANGER}" in answer.stdout
    assert "Traceback" not in answer.stderr


@as_root
@pytest.mark.parametrize("name", ["registry.db", "registry.db-wal"])
def test_a_registry_of_somebody_else_is_refused(place: Path, name: str) -> None:
    file = place / "registry.db"
    with Registry.open(file):
        os.chown(place / name, STRANGER, STRANGER)
        with pytest.raises(RegistryError, match=f"{place / name} belongs to uid {STRANGER}"):
            Registry.open(file, read_only=True)


def test_a_session_folder_that_others_may_write_to_is_refused() -> None:
    folder = session_folder("s1", create=True)
    for path in (folder.path, folder.attempts):
        path.chmod(0o707)
        with pytest.raises(UntrustedError, match=f"{path} may be written to"):
            session_folder("s1", create=True)
        path.chmod(0o700)
    session_folder("s1", create=True)


@pytest.mark.parametrize("what", ["settings.toml", "."])
def test_settings_that_others_may_write_are_refused(place: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place))
    folder = make(place / "parexec")
    (folder / "settings.toml").write_text("[hooks]\non_needs_you = 'true'\n")
    read_settings()
    (folder / what).chmod(0o707)
    with pytest.raises(SettingsError, match="may be written to by others"):
        read_settings()


def test_a_plan_that_others_may_write_is_warned_of(place: Path) -> None:
    plan = place / "plan.toml"
    plan.write_text(PLAN)
    for arguments in (["validate", "plan.toml"], ["run", "plan.toml", "--headless"]):
        plan.chmod(0o644)
        assert parexec(place, *arguments).stderr == ""
        plan.chmod(stat.S_IMODE(plan.stat().st_mode) | 0o002)
        answer = parexec(place, *arguments)
        assert answer.returncode == 0
        assert answer.stderr == (
            "parexec: warning: others can change plan.toml, and so what is executed: "
            f"{plan} may be written to by others (mode 0646)\n"
        )
