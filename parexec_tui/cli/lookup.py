"""Which session of the registry is meant: by name, or by where a person is."""

from pathlib import Path
from typing import TYPE_CHECKING

from parexec_tui.cli.exits import BAD_USAGE, fail
from parexec_tui.paths import registry_file

if TYPE_CHECKING:
    from parexec_tui.registry.registry import Registry, SessionRow

NO_SESSIONS = "no sessions yet: parexec run PLAN starts one"


def opened() -> "Registry":
    """The registry, to be read. Raises RegistryMissing."""
    from parexec_tui.registry.registry import Registry

    return Registry.open(registry_file(), read_only=True)


def the_registry() -> "Registry":
    """The registry, to be read. Does not return if there is none."""
    from parexec_tui.registry.errors import RegistryMissing

    try:
        return opened()
    except RegistryMissing:
        fail(NO_SESSIONS, BAD_USAGE)


def session_row(registry: "Registry", text: str | None) -> "SessionRow":
    """The session that is meant: as named, else the newest of this directory, else the newest of all.

    Does not return if there is none. Raises RegistryError for a name that means none.
    """
    if text is not None:
        return registry.resolve(text)
    rows = registry.sessions()
    if not rows:
        fail(NO_SESSIONS, BAD_USAGE)
    here = str(Path.cwd())
    return next((row for row in rows if here in (row.workdir, str(Path(row.source).parent.absolute()))), rows[0])
