"""Which session a command is about: the one that is named, else the newest living one that seems to be meant."""

from pathlib import Path
from typing import TYPE_CHECKING

from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.lock import is_owned
from parexec_tui.registry.registry import Registry

if TYPE_CHECKING:
    from parexec_tui.core.state.apply import SessionState
    from parexec_tui.registry.registry import SessionRow


NONE = "no sessions yet: parexec run PLAN starts one"


class NoSuchSession(RegistryError):  # noqa: N818
    """No session is meant, or none that an engine runs; the text says what to do."""


def has_engine(session: str) -> bool:
    """Whether an engine owns the session."""
    return is_owned(session_folder(session).lock)


def is_living(session: str) -> bool:
    """Whether an engine owns the session, or a guardian is about to start one."""
    return has_engine(session) or is_owned(session_folder(session).guardian_lock)


def open_registry() -> Registry:
    """The registry, to be read. Raises NoSuchSession if there is none yet, RegistryError."""
    try:
        return Registry.open(registry_file(), read_only=True)
    except RegistryMissing:
        raise NoSuchSession(NONE) from None


def living(text: str | None) -> str:
    """The session that a person means, of those that an engine runs. Raises NoSuchSession, RegistryError."""
    row = meant(text)
    if not is_living(row.session):
        raise NoSuchSession(_how_to_go_on(row, is_named=text is not None))
    return row.session


def meant(text: str | None) -> "SessionRow":
    """The session that a person means who wants to see or steer one: as named; else the newest living one of this
    folder, else the newest living one, else as `newest`. Raises NoSuchSession, RegistryError.
    """
    with open_registry() as registry:
        if text is not None:
            return registry.resolve(text)
        rows = _nearest(registry)
    # What ended in good order is not asked after: a lock is a file, and sessions pile up.
    open_ = (row for row in rows if row.status not in _OVER)
    return next((row for row in open_ if is_living(row.session)), rows[0])


def newest(registry: Registry, text: str | None) -> "SessionRow":
    """The session that a person means who asks what was: as named; else the newest of this folder, else the newest.
    Raises NoSuchSession, RegistryError.
    """
    return registry.resolve(text) if text is not None else _nearest(registry)[0]


def status_of(row: "SessionRow") -> str:
    """How a session stands: what its engine said last, if that is there or left in good order."""
    if row.status in _OVER or has_engine(row.session):
        return row.status
    return "restarting" if is_living(row.session) else "interrupted"


def remembered(session: str) -> "SessionState":
    """The state of a session as the registry tells it. Raises RegistryError."""
    from parexec_tui.registry.replay import replay

    with Registry.open(registry_file(), read_only=True) as registry:
        return replay(registry, session).state


def rows() -> "list[SessionRow]":
    """Every session, newest first. Raises RegistryError."""
    try:
        with open_registry() as registry:
            return registry.sessions()
    except NoSuchSession:
        return []


_OVER = ("finished", "stopped", "not started")
"""What an engine said last that left in good order."""


def _nearest(registry: Registry) -> "list[SessionRow]":
    """Every session: those of this folder first, of these and of the others the newest. Raises NoSuchSession."""
    found = registry.sessions()
    if not found:
        raise NoSuchSession(NONE)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder was removed under whoever stands in it
        return found
    return sorted(found, key=lambda row: not _is_of(row, here))


def _is_of(row: "SessionRow", folder: Path) -> bool:
    """Whether a session works in a folder, or its plan lies there."""
    source = Path(row.source)
    return Path(row.workdir) == folder or (source.is_absolute() and source.parent == folder)


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
