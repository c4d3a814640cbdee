"""Settings of a person: missing means defaults, wrong is said with the file."""

from pathlib import Path

import pytest

from parexec_tui.core.plan import Hooks
from parexec_tui.settings import Settings, SettingsError, read_settings, settings_file


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def write(text: str) -> None:
    settings_file().parent.mkdir(parents=True, exist_ok=True)
    settings_file().write_text(text, encoding="utf-8")


def test_a_missing_file_means_the_defaults() -> None:
    assert read_settings() == Settings()


def test_hooks_are_read() -> None:
    write('[hooks]\non_failure = "notify"\n')

    assert read_settings().hooks == Hooks(on_failure="notify")


@pytest.mark.parametrize("text", ['[hooks]\non_falure = "x"\n', "[hooks\n", "hooks = 3\n"])
def test_what_is_wrong_is_said_with_the_file(text: str) -> None:
    write(text)

    with pytest.raises(SettingsError, match=str(settings_file())):
        read_settings()


def test_a_relative_config_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")

    assert settings_file() == Path.home() / ".config" / "parexec" / "settings.toml"
