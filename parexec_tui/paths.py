"""Where things live: the state folder of the XDG Base Directory spec, and a folder for each session in it."""

import os
from pathlib import Path

from msgspec import Struct

STATE_HOME = "XDG_STATE_HOME"


class SessionFolder(Struct, frozen=True):
    """The places of one session. Nothing here exists until it is created."""

    path: Path

    @property
    def attempts(self) -> Path:
        """What attempts write: logs and exit records."""
        return self.path / "attempts"

    @property
    def lock(self) -> Path:
        """The file whose flock says that an engine owns the session."""
        return self.path / "lock"

    @property
    def engine_log(self) -> Path:
        return self.path / "engine.log"

    def create(self) -> None:
        """Make the folders, for their owner only. Raises OSError."""
        create_private(self.attempts)


def state_home(*, create: bool = False) -> Path:
    """`$XDG_STATE_HOME/parexec`. As the spec asks, a relative value is ignored. Raises OSError if it creates."""
    value = Path(os.environ.get(STATE_HOME, ""))
    above = value if value.is_absolute() else Path.home() / ".local" / "state"
    home = above / "parexec"
    if create:
        create_private(home)
    return home


def registry_file() -> Path:
    """The SQLite file of every session."""
    return state_home() / "registry.db"


def session_folder(session: str, *, create: bool = False) -> SessionFolder:
    """The folder of a session, by its full id. Raises OSError if it creates."""
    folder = SessionFolder(state_home() / "sessions" / session)
    if create:
        folder.create()
    return folder


def create_private(folder: Path) -> None:
    """Create a folder, and those missing above it, for their owner only. One that exists keeps its mode."""
    if not folder.is_dir():
        create_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
