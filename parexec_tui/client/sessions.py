"""Finds the session that a command is about: the one that is named, else the most likely one."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, RegistryMissing
from parexec_tui.registry.lock import has_guardian, is_owned
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import DAMAGED, ENDED, IMPORTED

if TYPE_CHECKING:
    from parexec_tui.registry.replay import Replay
    from parexec_tui.registry.sessions import SessionRow


OVER = ("finished", "not started", DAMAGED, IMPORTED)
"""The status of a session with which nobody goes on, unless it is asked for."""

NO_SESSIONS = "no sessions yet: parexec run PLAN starts one"


class NoSuchSession(RegistryError):  # noqa: N818
    """There is no session, or no engine runs the one that is meant; the text says what to do."""


def has_engine(session: str) -> bool:
    """Whether an engine owns the session."""
    return is_owned(session_folder(session).lock)


def is_living(session: str) -> bool:
    """Whether an engine owns the session, or a guardian is about to start one."""
    return has_engine(session) or has_guardian(session_folder(session))


def open_registry() -> Registry:
    """The registry, read-only. Raises NoSuchSession if there is none yet, RegistryError."""
    try:
        return Registry.open(registry_file(), read_only=True)
    except RegistryMissing:
        raise NoSuchSession(NO_SESSIONS) from None


def resolve_living(text: str) -> str:
    """The id of the session that is named, which an engine must run. Raises NoSuchSession, RegistryError."""
    return living_id(resolve_here(text), is_named=True)


def living_id(row: "SessionRow", *, is_named: bool) -> str:
    """The id of a session, which an engine must run. `is_named`: a person named it. Raises NoSuchSession."""
    if not is_living(row.session):
        raise NoSuchSession(_how_to_go_on(row, is_named=is_named))
    return row.session


def resolve_here(text: str | None) -> "SessionRow":
    """The session that is meant: the one that `text` names; else the newest living one of this folder, else the
    newest of this folder, else the newest living one of all, else the newest of all. Tickets elsewhere may have the
    same names, so they are only meant where this folder has none. Raises NoSuchSession, RegistryError.
    """
    return _resolve(text)[0]


def resolve_to_change(text: str | None) -> "SessionRow":
    """The session to change: as `resolve_here`, but one of another folder that does not live has to be named. Raises
    NoSuchSession, RegistryError."""
    row = resolve_here(text)
    if text is None:
        check_is_meant(row)
    return row


def check_is_meant(row: "SessionRow") -> None:
    """Raises NoSuchSession if a session that nobody named is of another folder, and does not live."""
    if is_elsewhere(row) and not is_living(row.session):
        raise NoSuchSession(
            f"there is no session of this folder; {row.session} is of {row.workdir}: name it if it is meant"
        )


def resolve_living_first(text: str | None) -> "SessionRow":
    """The session to look at as it runs: the same, but a living one elsewhere rather than one of this folder that is
    over."""
    row, living_elsewhere = _resolve(text)
    return living_elsewhere if living_elsewhere is not None and row.status in OVER else row


def _resolve(text: str | None) -> "tuple[SessionRow, SessionRow | None]":
    """The session that is meant; and, if that does not live, the newest that lives."""
    with open_registry() as registry:
        if text is not None:
            return registry.resolve(text), None
        here, others = _by_folder(registry)
    if found := next(living(here), None):
        return found, None
    elsewhere = next(living(others), None)
    return (here[0] if here else elsewhere or others[0]), elsewhere


def is_elsewhere(row: "SessionRow") -> bool:
    """Whether a session is of another folder than the current one."""
    try:
        return not _is_of(row, Path.cwd())
    except FileNotFoundError:
        return True


def living(rows: "Iterable[SessionRow]") -> "Iterator[SessionRow]":
    """Those of these sessions that have an engine, or a guardian that is about to start one."""
    # Sessions pile up, and each check opens a lock file: skip those that have ended in good order.
    return (row for row in rows if row.status not in ENDED and is_living(row.session))


def others_living(registry: Registry, session: str = "") -> "list[SessionRow]":
    """The sessions besides this one that are not over and that `living` finds, newest first. Raises RegistryError."""
    return [row for row in living(registry.open_sessions()) if row.session != session]


def standing() -> "SessionRow | None":
    """The newest living session that stays, of this folder, else of all; None: none does. Raises RegistryError."""
    try:
        with open_registry() as registry:
            rows = [row for row in others_living(registry) if _stays(registry, row)]
    except NoSuchSession:
        return None
    return next((row for row in rows if not is_elsewhere(row)), rows[0] if rows else None)


def _stays(registry: Registry, row: "SessionRow") -> bool:
    import msgspec

    return bool(msgspec.json.decode(registry.plan(row.session)).get("is_standing"))


def resolve_past(registry: Registry, text: str | None) -> "SessionRow":
    """The session to look back at: the one that `text` names; else the newest of this folder, else the newest of all.
    Raises NoSuchSession, RegistryError.
    """
    if text is not None:
        return registry.resolve(text)
    here, others = _by_folder(registry)
    return (here or others)[0]


def status_of(row: "SessionRow") -> str:
    """How a session stands: what its engine said last, unless that engine is gone without an end."""
    if row.status in ENDED or has_engine(row.session):
        return row.status
    return "restarting" if is_living(row.session) else "interrupted"


def replay_of(session: str) -> "Replay":
    """The state of a session as the registry tells it. Raises RegistryError."""
    from parexec_tui.registry.replay import replay

    with Registry.open(registry_file(), read_only=True) as registry:
        return replay(registry, session)


def all_sessions() -> "tuple[list[SessionRow], list[str]]":
    """Every session, newest first, and what is wrong with those that cannot be read. Raises RegistryError."""
    try:
        with open_registry() as registry:
            return registry.list_sessions()
    except NoSuchSession:
        return [], []


def _by_folder(registry: Registry) -> "tuple[list[SessionRow], list[SessionRow]]":
    """The sessions of this folder, and the others, newest first; there is one. Raises NoSuchSession.

    Those that were imported come last among the others, whatever their folder is called: it is another one.
    """
    found, unreadable = registry.list_sessions()
    if unreadable:  # the session that is meant may be among these: do not steer or resume another one
        raise RegistryDamaged(f"name the session, because the list is damaged: {'; '.join(unreadable)}")
    if not found:
        raise NoSuchSession(NO_SESSIONS)
    here: list[SessionRow] = []
    others: list[SessionRow] = []
    imported: list[SessionRow] = []
    for row in found:
        (imported if row.status == IMPORTED else others if is_elsewhere(row) else here).append(row)
    return here, others + imported


def _is_of(row: "SessionRow", folder: Path) -> bool:
    """Whether a session works in this folder, or its plan file is in it."""
    source = Path(row.source)
    return Path(row.workdir) == folder or (source.is_absolute() and source.parent == folder)


def _none_runs(row: "SessionRow") -> str:
    with open_registry() as registry:
        other = next(iter(others_living(registry)), None)
    if other is None:
        return f"no session is running; the newest here is {row.session}"
    runs = f"{other.session} of {other.workdir} does: -s {other.session}"
    return f"no session of this folder is running ({runs}); the newest here is {row.session}"


def _how_to_go_on(row: "SessionRow", *, is_named: bool) -> str:
    what = f"no engine runs {row.session}" if is_named else _none_runs(row)
    match row.status:
        case "finished":
            again = f"what failed runs once more with: parexec resume {row.session} --retry-failed"
            return f"{what}, which has finished, so there is nothing to steer; {again}"
        case "not started":
            again = "run its plan again" if row.source == "-" else f"run its plan again: parexec run {row.source}"
            return f"{what}, whose engine never started; {again}"
        case "imported":
            from parexec_tui.registry.imports import why_not_own  # few sessions are

            return why_not_own(row.session)
        case "damaged":
            return f"{what}, and a repair could not save its plan or its events; run its plan again"
        case "stopped":
            return f"{what}, which was stopped; go on with: parexec resume {row.session}{_and_failed(row)}"
        case _:
            return f"{what}, whose engine is gone; take over: parexec resume {row.session}{_and_failed(row)}"


def how_to_take_over(session: str) -> str:
    """What to do about a session whose engine is gone."""
    if session_folder(session).imported.exists():
        return "it was imported, and is only looked at here"
    return f"take over: parexec resume {session}"


def _and_failed(row: "SessionRow") -> str:
    """How what failed runs again, too: `resume` alone goes on with the rest."""
    return " (with --retry-failed what failed runs again, too)" if row.failed else ""
