"""Which session a command is about: the one that is named, else the newest living one that seems to be meant."""

from pathlib import Path
from typing import TYPE_CHECKING

from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryMissing
from parexec_tui.registry.lock import is_owned
from parexec_tui.registry.registry import Registry

if TYPE_CHECKING:
    from parexec_tui.core.state import SessionState
    from parexec_tui.registry.registry import SessionRow


class NoSuchSession(Exception):  # noqa: N818
    """No session is meant, or none that an engine runs; the text says what to do."""


def is_living(session: str) -> bool:
    """Whether an engine owns the session, or a guardian is about to start one."""
    folder = session_folder(session)
    return is_owned(folder.lock) or is_owned(folder.guardian_lock)


def living(text: str | None) -> str:
    """The session that a person means, of those that an engine runs. Raises NoSuchSession, RegistryError."""
    row = meant(text)
    if not is_living(row.session):
        raise NoSuchSession(_how_to_go_on(row, is_named=text is not None))
    return row.session


def meant(text: str | None) -> "SessionRow":
    """The session that a person means: as named; else the newest living one of this folder, else the newest living
    one; else the newest of this folder, else the newest. Raises NoSuchSession, RegistryError.
    """
    try:
        with Registry.open(registry_file(), read_only=True) as registry:
            if text is not None:
                return registry.resolve(text)
            rows = registry.sessions()
    except RegistryMissing:
        rows = []
    if not rows:
        raise NoSuchSession("no sessions yet: parexec run PLAN starts one")
    here = str(Path.cwd())
    ours = [row for row in rows if here in (row.workdir, str(Path(row.source).parent.absolute()))]
    for found in (ours, rows):
        for row in found:
            # What ended in good order is not asked after: a lock is a file, and sessions pile up.
            if row.status not in ("finished", "stopped", "not started") and is_living(row.session):
                return row
    return (ours or rows)[0]


def remembered(session: str) -> "SessionState":
    """The state of a session as the registry tells it. Raises RegistryError."""
    from parexec_tui.registry.replay import replay

    with Registry.open(registry_file(), read_only=True) as registry:
        return replay(registry, session).state


def rows() -> "list[SessionRow]":
    """Every session, newest first. Raises RegistryError."""
    try:
        with Registry.open(registry_file(), read_only=True) as registry:
            return registry.sessions()
    except RegistryMissing:
        return []


def _how_to_go_on(row: "SessionRow", *, is_named: bool) -> str:
    what = f"no engine runs {row.session}" if is_named else f"no session is running; the newest here is {row.session}"
    match row.status:
        case "finished":
            return f"{what}, which has finished; run its plan again, or: parexec resume --retry-failed {row.session}"
        case "not started":
            return f"{what}, whose engine never started; run its plan again: parexec run {row.source}"
        case "stopped":
            return f"{what}, which was stopped; go on with: parexec resume {row.session}"
    return f"{what}, whose engine is gone; take over: parexec resume {row.session}"
