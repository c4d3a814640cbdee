"""A person's own settings: `$XDG_CONFIG_HOME/parexec/settings.toml`. A missing file means the defaults."""

import os
from pathlib import Path

import msgspec
import tomli
from msgspec import Struct

from parexec_tui.core.plan import Hooks


class SettingsError(Exception):
    """The settings file cannot be read; the message says where and why."""


class Screen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[screen]` table; what is absent is worked out from the terminal."""

    theme: str | None = None
    ascii: bool | None = None
    mouse: bool | None = None
    bell: bool = True
    notify: bool = True


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may stand in the settings file."""

    hooks: Hooks = Hooks()
    """Run for every session, after the plan's own."""
    screen: Screen = Screen()
    keys: dict[str, list[str]] = {}
    """action: the keys it is on"""


def settings_file() -> Path:
    """Where the settings are. As the XDG spec asks, a relative value is ignored."""
    value = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (value if value.is_absolute() else Path.home() / ".config") / "parexec" / "settings.toml"


def read_settings() -> Settings:
    """The settings of this person. Raises SettingsError."""
    file = settings_file()
    try:
        return msgspec.convert(tomli.loads(file.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}") from error
