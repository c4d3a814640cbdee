"""Settings of a person: missing means defaults, wrong is said with the file."""

from pathlib import Path

import pytest

from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.units import Duration, Size
from parexec_tui.settings import PruneSettings, ScreenSettings, Settings, SettingsError, read_settings, settings_file
from parexec_tui.tui.actions.table import keymap_of


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def write(text: str) -> None:
    settings_file().parent.mkdir(parents=True, exist_ok=True)
    settings_file().write_text(text, encoding="utf-8")


def test_a_missing_file_means_the_defaults() -> None:
    assert read_settings() == Settings()


def test_a_file_of_an_editor_that_marks_its_beginning_is_read() -> None:
    write("\ufeff[screen]\nmouse = true\n")

    assert read_settings().screen.mouse


def test_hooks_are_read() -> None:
    write('[hooks]\non_failure = "notify"\n')

    assert read_settings().hooks == Hooks(on_failure="notify")


def test_the_screen_and_its_keys_are_read() -> None:
    write('[screen]\ntheme = "nord"\nascii = true\nbell = false\n[keys]\nhold = "H"\nleft = ["left"]\nmouse = []\n')

    settings = read_settings()
    assert settings.screen == ScreenSettings(theme="nord", ascii=True, bell=False)
    assert settings.keys == {"hold": ("H",), "left": ("left",), "mouse": ()}
    assert keymap_of(settings).of("hold").keys == ("H",)


def test_what_is_pruned_is_read() -> None:
    write('[prune]\nkeep = 3\nolder = "2d"\nautomatic = true\n')

    assert read_settings().prune == PruneSettings(keep=3, older=Duration(172800), automatic=True)


def test_the_old_name_of_an_action_is_understood_and_a_mistake_is_said_of_what_is_written() -> None:
    write('[keys]\nskip = "H"\n')
    assert keymap_of(read_settings()).of("waive").keys == ("H",)

    write('[keys]\nstop = "H"\n')
    assert keymap_of(read_settings()).of("cancel").keys == ("H",)

    write('[keys]\nskip = "1"\n')
    with pytest.raises(SettingsError, match=r"2:1: keys\.skip: '1' is on panel"):
        keymap_of(read_settings())

    write('[keys]\nskip = "h"\nwaive = "H"\n')
    assert keymap_of(read_settings()).of("waive").keys == ("H",), "the new name counts"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[screem]\n", "1:2: screem: unknown table (did you mean `screen`?)"),
        ('[screen]\ntheem = "x"\n', "2:1: screen.theem: unknown key (did you mean `theme`?)"),
        ('[screen]\nbell = "no"\n', "2:1: screen.bell: expected true or false, got a string"),
        ("keys = 3\n", "1:1: keys: expected a table, got 3"),
        ("[keys]\nhold = 3\n", '2:1: keys.hold: expected a key or a list of keys, got 3 (write "x" or [])'),
        ("[keys]\nhold = [3]\n", '2:1: keys.hold: expected a key or a list of keys, got a list (write "x" or [])'),
        ("[keys\n", "1:6: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_said_with_its_place_and_a_hint(text: str, message: str) -> None:
    write(text)

    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value) == f"{settings_file()}:{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('hodl = "H"', "2:1: keys.hodl: there is no such action (did you mean `hold`?)"),
        ('hold = "pgup"', "2:1: keys.hold: no key is called 'pgup' (did you mean `pageup`?)"),
        ('hold = "1"', "2:1: keys.hold: '1' is on panel (give panel other keys)"),
        ('panel = "a"', "2:1: keys.panel: the panels keep their numbers (1 to 9 are free for nothing else)"),
    ],
)
def test_a_key_that_cannot_be_is_said_with_its_place(text: str, message: str) -> None:
    write(f"[keys]\n{text}\n")

    with pytest.raises(SettingsError) as caught:
        keymap_of(read_settings())
    assert str(caught.value) == f"{settings_file()}:{message}"


@pytest.mark.parametrize("text", ['[hooks]\non_falure = "x"\n', "[hooks\n", "hooks = 3\n"])
def test_what_is_wrong_is_said_with_the_file(text: str) -> None:
    write(text)

    with pytest.raises(SettingsError, match=str(settings_file())):
        read_settings()


def test_a_relative_config_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")

    assert settings_file() == Path.home() / ".config" / "parexec" / "settings.toml"


def test_pressure_is_read_and_what_is_wrong_in_it_is_said() -> None:
    write('[pressure]\nmemory = "512MiB"\ncpu = 4\nio = 0.5\nio_up_to = "freeze"\nstep_after = "5s"\n')

    assert read_settings().pressure == Pressure(
        memory=Size(512 * 2**20), cpu=4, io=0.5, io_up_to="freeze", step_after=Duration(5)
    )
    write('[pressure]\nio = 2\ncpu = "much"\nmemory_up_to = "kill"\n')
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert [line.split("settings.toml:")[1][:2] for line in str(refused.value).splitlines()] == ["2:", "3:", "4:"]


def test_otel_is_read_and_what_is_wrong_in_it_is_said() -> None:
    write('[otel]\nendpoint = "http://localhost:4318"\nattributes = { team = "ours" }\n')

    assert read_settings().otel == Otel(endpoint="http://localhost:4318", attributes={"team": "ours"})
    write('[otel]\nendpoint = "localhost:4318"\n')
    with pytest.raises(SettingsError, match=r"settings.toml:2:\d+: otel.endpoint: .* is no URL of a collector"):
        read_settings()
