"""A damaged registry is looked through, and replaced by what can be saved of it."""

import os
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path

from msgspec import Struct

from parexec_tui.core.plan.units import format_size
from parexec_tui.paths import SessionFolder
from parexec_tui.registry import access, pages
from parexec_tui.registry.database import check_owners
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, RegistryMissing, in_plain_words
from parexec_tui.registry.lock import has_guardian, is_owned, owner_of
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.salvage import Found, Salvage, Settle, empty_registry, settle_nothing
from parexec_tui.registry.sessions import DAMAGED, SessionRow

_MARGIN = 1 << 20
"""Bytes that are left free beside what a repair needs."""


class Check(Struct, frozen=True):
    """How a registry is."""

    sessions: int = 0
    events: int = 0
    """How many could be read, until something was found."""
    damage: str = ""
    """What is wrong; empty if all is well."""


class Repair(Struct, frozen=True):
    """What a repair did, or would do."""

    check: Check
    found: list[Found] = []
    copy: Path | None = None
    """Where the file from before is kept."""
    unknown: list[str] = []
    """Sessions that have a folder, and of which nothing else is left."""


def check(file: Path) -> Check:
    """Read all of a registry. Raises RegistryMissing, RegistryError if it cannot be looked at, OSError."""
    sessions = events = 0
    check_owners(file)
    access.finish_repair(file)
    try:
        if said := _emptied(file) or _log_damage(file):  # before SQLite opens it, and may begin a new one
            return Check(damage=said)
        with Registry.open(file, read_only=True) as registry:
            if said := registry.integrity():
                return Check(damage=said)
            found, unreadable = registry.list_sessions()
            if unreadable:
                return Check(len(found), damage=unreadable[0])
            for row in found:
                count, said = _check_session(registry, row)
                if said:
                    return Check(sessions, events, said)
                sessions, events = sessions + 1, events + count
    except RegistryError as error:
        if not isinstance(error, RegistryDamaged) and not _is_from_disk(error):
            raise
        return Check(sessions, events, str(error))
    return Check(sessions, events)


def _is_from_disk(error: RegistryError) -> bool:
    """Whether a disk failed to read."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_IOERR


def _check_session(registry: Registry, row: SessionRow) -> tuple[int, str]:
    """How many events a session has, and what is wrong. Raises RegistryError."""
    if row.status != DAMAGED:
        registry.plan(row.session)
    count = 0
    for event in registry.events(row.session):
        count = event.seq
    damage = registry.damage(row.session, count)
    return count, f"session {row.session}: {damage.why}" if damage else ""


def _emptied(file: Path) -> str:
    """SQLite takes an empty file for a new one."""
    is_empty = file.exists() and not _size(file) and next(_folders(file), None) is not None
    return f"registry {file}: it is empty, and there are folders of sessions" if is_empty else ""


def _log_damage(file: Path) -> str:
    """What is wrong with the write-ahead log. Read again, because somebody may be writing."""
    log = _log(file)
    for _ in range(3):
        said = pages.log_damage(pages.read_all(log))
        if not said:
            return ""
    return f"registry {file}: {said}"


def survey(file: Path) -> list[Found]:
    """What could be saved of a registry. Changes nothing. Raises RegistryError, OSError."""
    return _salvaged(file, None, settle_nothing)


def repair(file: Path, *, dry_run: bool = False, settle: Settle = settle_nothing) -> Repair:
    """Replace a damaged registry by what can be saved of it; keep a copy. Does nothing if nothing is damaged.

    `settle` is called for each session that lost events.

    Raises RegistryMissing, RegistryError if an engine lives, if there is no space, or if it fails: then the registry
    is as it was. OSError.
    """
    if not file.exists():
        raise RegistryMissing(f"no registry at {file}")
    if dry_run:
        return _what_is_there(file, settle)
    refuse_while_engines_live(file)
    checked = check(file)
    if not checked.damage:
        return Repair(checked)
    with access.alone(file):
        refuse_while_engines_live(file)
        _check_space(file)
        try:
            copy = _keep_copy(file)
            found = _replace(file, settle)
        except sqlite3.Error as error:
            raise in_plain_words(error, file) from error
        finally:
            _new(file).unlink(missing_ok=True)
    return Repair(checked, found, copy, unknown_sessions(file, {each.session for each in found}))


def _what_is_there(file: Path, settle: Settle) -> Repair:
    checked = check(file)
    if not checked.damage:
        return Repair(checked)
    found = _salvaged(file, None, settle)
    return Repair(checked, found, None, unknown_sessions(file, {each.session for each in found}))


def refuse_while_engines_live(file: Path) -> None:
    """Raise RegistryError if a session has an engine, or a guardian that would start one."""
    for folder in _folders(file):
        session = folder.path.name
        remedy = f"stop it first: parexec stop -s {session}"
        if is_owned(folder.lock):
            pid = owner_of(folder.lock)
            raise RegistryError(f"engine {pid or ''} of {session} lives; {remedy}".replace("  ", " "))
        if has_guardian(folder):
            raise RegistryError(f"the guardian of {session} lives, and would start an engine; {remedy}")


def _folders(file: Path) -> Iterator[SessionFolder]:
    with suppress(OSError):
        for path in sorted((file.parent / "sessions").iterdir()):
            if path.is_dir():
                yield SessionFolder(path)


def unknown_sessions(file: Path, known: Collection[str]) -> list[str]:
    """Sessions that have a folder and are not among these."""
    return [folder.path.name for folder in _folders(file) if folder.path.name not in known]


def _size(file: Path) -> int:
    return sum(path.stat().st_size for path in (file, _log(file)) if path.exists())


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _new(file: Path) -> Path:
    return file.with_name(f"{file.name}.repairing")


def _check_space(file: Path) -> None:
    """Raise RegistryError if there is no room for a copy and for a new file."""
    needed = 2 * _size(file) + _MARGIN
    disk = shutil.disk_usage(file.parent)
    if disk.total and disk.free < needed:
        raise RegistryError(
            f"a repair needs {format_size(needed)} in {file.parent}, and {format_size(disk.free)} are free; "
            "make room; nothing was changed"
        )


def _keep_copy(file: Path) -> Path:
    """Copy the file and its write-ahead log; the names have the time in them. Raises OSError."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    copy, count = file.with_name(f"{file.name}.damaged-{stamp}"), 1
    while copy.exists() or _log(copy).exists():
        count += 1
        copy = file.with_name(f"{file.name}.damaged-{stamp}-{count}")
    made: list[Path] = []
    try:
        for source, target in ((file, copy), (_log(file), _log(copy))):
            if source.exists():
                made.append(target)
                _copy(source, target)
    except BaseException:
        for target in made:
            target.unlink(missing_ok=True)
        raise
    access.sync_folder(file.parent)
    return copy


def _copy(source: Path, target: Path) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(pages.read_all(source))
        file.flush()
        os.fsync(file.fileno())


def _replace(file: Path, settle: Settle) -> list[Found]:
    """Make the new file, and put it in the place of the old one."""
    new = _new(file)
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    found = _salvaged(file, new, settle)
    fd = os.open(new, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(access.repaired_file(file))  # from now on it counts
    access.sync_folder(file.parent)
    access.put_in_place(file)
    access.sync_folder(file.parent)
    return found


def _salvaged(file: Path, new: Path | None, settle: Settle) -> list[Found]:
    try:
        registry, db = empty_registry(new)
        with closing(registry):
            found = Salvage(registry, db, settle).take(file)
            if new is not None:
                db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise in_plain_words(error, new or file) from error
    return found
