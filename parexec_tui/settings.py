"""A person's own settings: `$XDG_CONFIG_HOME/parexec/settings.toml`. A missing file means the defaults.

[hooks]                      # as in a plan
on_needs_you = "notify"

[pressure]                   # as in a plan, for what a plan does not say
memory = "512MiB"

[otel]                       # as in a plan, for what a plan does not say
endpoint = "http://localhost:4318"

[screen]
theme = "nord"               # absent: what suits the terminal
ascii = true                 # absent: what suits the terminal
mouse = false
bell = true                  # when something needs a person
notify = true                # the same as a notification of the terminal (OSC 9)

[prune]                      # what `parexec prune` leaves
keep = 20                    # the newest of each plan
older = "30d"                # and what ended later
automatic = false            # true: also when a session ends
compress = true              # the logs of sessions that are finished

[keys]                       # action = a key, several, or none at all: []
hold = "h"
left = ["left"]
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct

from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.core.plan.reading.fields import convert, kind, read_fields
from parexec_tui.core.plan.reading.problems import Problem, located
from parexec_tui.core.plan.units import Count, Duration
from parexec_tui.trust import UntrustedError, check_file


class SettingsError(Exception):
    """The settings file cannot be read; the message says where, why and what to do, a line for each mistake."""


class ScreenSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the screen looks and behaves, unless the command line says otherwise."""

    theme: str | None = None
    """None: what suits the terminal."""
    ascii: bool | None = None
    """Draw lines and signs with ASCII only. None: what suits the terminal."""
    mouse: bool = False
    """Whether the screen uses the mouse; if not, the terminal can select text with it."""
    bell: bool = True
    """Ring when something needs a person."""
    notify: bool = True
    """Also ask the terminal to notify them (OSC 9)."""


class PruneSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of sessions that are over."""

    keep: Count = 20
    """The newest of each plan stay, so many."""
    older: Duration = Duration(30 * 86400)
    """What ended less than this ago stays."""
    automatic: bool = False
    """Prune when a session ends, too."""
    compress: bool = True
    """Compress the logs of a session that is finished."""


class Settings(Struct, frozen=True, kw_only=True):
    """The content of the settings file."""

    hooks: Hooks = Hooks()
    """Run for every session, after the plan's own."""
    pressure: Pressure = Pressure()
    """When the host counts as pressed, in sessions that this person starts, where the plan does not say it."""
    otel: Otel = Otel()
    """Whether and where they are told to OpenTelemetry, where the plan does not say it."""
    hosts: dict[str, HostSpec] = {}
    """Other machines, for plans whose agent types name them and that have none of that name."""
    screen: ScreenSettings = ScreenSettings()
    prune: PruneSettings = PruneSettings()
    keys: dict[str, tuple[str, ...]] = {}
    """action: its keys, instead of the default ones. The keymap checks that actions and keys exist."""


_TABLES: dict[str, type[Struct]] = {
    "hooks": Hooks,
    "pressure": Pressure,
    "otel": Otel,
    "screen": ScreenSettings,
    "prune": PruneSettings,
}


def settings_file() -> Path:
    """The path of the settings file. As the XDG spec asks, a relative XDG_CONFIG_HOME is ignored."""
    value = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (value if value.is_absolute() else Path.home() / ".config") / "parexec" / "settings.toml"


def read_settings() -> Settings:
    """Read the settings of this person. Raises SettingsError with everything that is wrong in them."""
    text = _text()
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem(str(settings_file()), error.lineno, error.colno, "", error.msg)
        raise SettingsError(str(problem)) from error
    if faults := list(_faults(document)):
        raise _located(faults, text)
    keys = document.get("keys", {})
    return Settings(
        hooks=convert(Hooks, document.get("hooks", {})),
        pressure=convert(Pressure, document.get("pressure", {})),
        otel=convert(Otel, document.get("otel", {})),
        hosts={name: convert(HostSpec, each) for name, each in document.get("hosts", {}).items()},
        screen=convert(ScreenSettings, document.get("screen", {})),
        prune=convert(PruneSettings, document.get("prune", {})),
        keys={action: (names,) if isinstance(names, str) else tuple(names) for action, names in keys.items()},
    )


def refused(faults: Iterable[Fault]) -> SettingsError:
    """The error for settings that are well formed but cannot be used."""
    return _located(faults, _text())


def _located(faults: Iterable[Fault], text: str) -> SettingsError:
    return SettingsError("\n".join(map(str, located(faults, text, str(settings_file()), "toml"))))


def _text() -> str:
    file = settings_file()
    try:
        check_file(file)  # hooks in it are executed
        return file.read_text(encoding="utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        return ""
    except UntrustedError as error:
        raise SettingsError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error


def _faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    hints = Hints(Settings.__struct_fields__)
    for table, value in document.items():
        if table not in Settings.__struct_fields__:
            yield Fault((table,), "unknown table", hints.of(table))
        elif table == "keys":
            yield from _key_faults(value)
        elif table == "hosts":
            yield from _host_faults(value)
        else:
            good, faults = read_fields(_TABLES[table], value, (table,))
            yield from faults
            if table == "otel":
                from parexec_tui.core.plan.reading.rules.otel import faults_of

                yield from faults_of(convert(Otel, good))


def _host_faults(tables: object) -> Iterator[Fault]:
    if not isinstance(tables, dict):
        yield Fault(("hosts",), f"expected a table of tables, got {kind(tables)}")
        return
    from parexec_tui.core.plan.reading.rules.hosts import faults_of_host
    from parexec_tui.core.plan.reading.rules.names import PLAIN_NAME, is_plain

    for name, table in tables.items():
        good, faults = read_fields(HostSpec, table, ("hosts", name))
        yield from faults
        if not faults:
            yield from faults_of_host(convert(HostSpec, good), ("hosts", name))
        if not is_plain(name):
            yield Fault(("hosts", name), f"{name!r} is not a plain name", PLAIN_NAME)


def _key_faults(value: object) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(("keys",), f"expected a table, got {kind(value)}")
        return
    for action, names in value.items():
        if not (isinstance(names, str) or (isinstance(names, list) and all(isinstance(it, str) for it in names))):
            yield Fault(("keys", action), f"expected a key or a list of keys, got {kind(names)}", 'write "x" or []')
