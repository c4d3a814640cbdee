"""The tables of sessions and of their plans. Every other table names a session by its number."""

import sqlite3
from collections.abc import Container, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from parexec_tui.registry import checksums
from parexec_tui.registry.database import Database
from parexec_tui.registry.errors import SEE_DOCTOR, RegistryDamaged, RegistryError, SessionExists

DAMAGED = "damaged"
"""The status of a session of which a repair could not save the plan, or not even the first event."""

IMPORTED = "imported"
"""The status of a session of another machine: no engine may run it here."""

IMPORTING = "importing"
"""The status of an entry whose session is being imported, or of which the import was broken off. No list has it."""

ENDED = ("finished", "stopped", "not started", DAMAGED, IMPORTED)
"""The status of a session to which no engine will come by itself."""

PRUNED = "pruned"
"""The status of an entry whose session was removed. No list has it; see `pruned`."""

HIDDEN = (PRUNED, IMPORTING)
"""No list has an entry of such a status."""

_ADD_SESSION: Final = """
    INSERT INTO sessions (session, name, source, folder, workdir, started, boot, pid, status)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running')
"""
_SEAL_SESSION: Final = "UPDATE sessions SET checksum = ? WHERE number = ?"
_ADD_PLAN: Final = "INSERT INTO plans (session, plan, checksum) VALUES (?, ?, ?)"
_PLAN: Final = "SELECT plan, checksum FROM plans WHERE session = ?"
_SET_OWNER: Final = "UPDATE sessions SET boot = ?, pid = ? WHERE number = ?"
_SET_STATUS: Final = "UPDATE sessions SET status = ?, ended = ? WHERE number = ?"
_SET_COUNTS: Final = "UPDATE sessions SET total = ?, succeeded = ?, failed = ? WHERE number = ?"
_SET_STANDING: Final = """
    UPDATE sessions SET status = ?, ended = ?, total = ?, succeeded = ?, failed = ?, last = ? WHERE number = ?
"""
_SET_LAST: Final = "UPDATE sessions SET last = ? WHERE number = ?"

_SELECT: Final = """
    SELECT number, checksum,
           session, name, source, folder, workdir, started, boot, pid, status, ended, total, succeeded, failed
    FROM sessions
"""
_SESSION: Final = f"{_SELECT} WHERE session = ?"
_SESSIONS: Final = f"{_SELECT} WHERE status NOT IN {HIDDEN} ORDER BY number DESC"
_OPEN_SESSIONS: Final = f"{_SELECT} WHERE status NOT IN (SELECT value FROM json_each(?)) ORDER BY number DESC"


class Counts(Struct, frozen=True):
    """How many tickets a session has, how many succeeded, and how many ended in any other way."""

    total: int
    succeeded: int
    failed: int


class SessionRow(Struct, frozen=True):
    """A session as lists show it. `status` is what its engine said last; whether that engine still lives, only the
    session's lock knows."""

    session: str
    name: str
    """The name of its plan."""
    source: str
    """The plan file it was started from."""
    folder: str
    workdir: str
    started: float
    boot: str
    """The boot id of the machine when its engine started; with `pid`, it tells engines apart."""
    pid: int
    status: str
    ended: float | None
    total: int
    succeeded: int
    failed: int


_Time = Annotated[float, msgspec.Meta(ge=0, lt=1e11)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_SessionColumns = tuple[
    int, int | None, str, str, str, str, str, _Time, str, int, str, _Time | None, _Count, _Count, _Count
]
"""What SQLite must return, because a wrong bit may change the type of a value as well."""


def new_session_id(now: datetime, taken: Container[str]) -> str:
    """`exec_YYYYMMDD_HHMMSS`, followed by `_2`, `_3` and so on if the id is taken."""
    first = session = f"exec_{now:%Y%m%d_%H%M%S}"
    count = 1
    while session in taken:
        count += 1
        session = f"{first}_{count}"
    return session


def add(db: Database, constant: tuple[str, str, str, str, str, float], boot: str, pid: int) -> int:
    """Add a session, in the transaction that is open, and return its number. Raises SessionExists.

    `constant`: what never changes, as `checksums.of_session` takes it."""
    try:
        number = db.execute(_ADD_SESSION, (*constant, boot, pid)).lastrowid
    except sqlite3.IntegrityError as error:
        raise SessionExists(f"registry {db.file}: there is a session {constant[0]} already") from error
    assert number is not None
    db.execute(_SEAL_SESSION, (checksums.of_session(number, *constant), number))
    return number


def add_plan(db: Database, number: int, plan: bytes) -> None:
    """Add the plan of a session, in the transaction that is open."""
    db.execute(_ADD_PLAN, (number, plan, checksums.of_plan(number, plan)))


def set_owner(db: Database, number: int, boot: str, pid: int) -> None:
    """Note which engine runs the session, in the transaction that is open."""
    db.execute(_SET_OWNER, (boot, pid, number))


def set_last(db: Database, number: int, last: int) -> None:
    """Note the highest seq of its events, in the transaction that is open."""
    db.execute(_SET_LAST, (last, number))


def set_standing(
    db: Database, number: int, last: int, status: str | None, ended: float | None, counts: Counts | None
) -> None:
    """Note where a session stands, in the transaction that is open. As `Registry.append`."""
    if status is not None and counts is not None:  # as engines do: one statement is cheaper than three
        db.execute(_SET_STANDING, (status, ended, *astuple(counts), last, number))
        return
    set_last(db, number, last)
    if status is not None:
        db.execute(_SET_STATUS, (status, ended, number))
    if counts is not None:
        db.execute(_SET_COUNTS, (*astuple(counts), number))


def plan(db: Database, session: str, number: int) -> bytes:
    """As `Registry.plan`."""
    rows = db.rows(_PLAN, number)
    if not rows:
        raise RegistryDamaged(f"the plan of session {session} is missing; {SEE_DOCTOR}")
    plan, checksum = rows[0]
    if not isinstance(plan, bytes) or checksum not in (None, checksums.of_plan(number, plan)):
        raise RegistryDamaged(
            f"the plan in the registry cannot be read: its checksum is wrong, so nothing of {session} is run; "
            f"events and logs can be read: parexec events {session} --json; {SEE_DOCTOR}"
        )
    return plan


def entry(db: Database, session: str) -> tuple[int, SessionRow]:
    """The number of a session, and what lists show of it. Raises RegistryError, also if it was pruned."""
    rows = db.rows(_SESSION, session)
    if not rows:
        raise RegistryError(f"no session {session!r} in {db.file}")
    found = _read_entry(rows[0])
    if found[1].status == PRUNED:
        raise RegistryError(f"session {session} was pruned: only what its attempts took is remembered")
    if found[1].status == IMPORTING:
        raise RegistryError(f"session {session} is not imported yet, or its import was broken off: import it again")
    return found


def number_of(db: Database, session: str) -> int:
    """The number of a session, also of one that was pruned. Raises RegistryError."""
    rows = db.rows(_SESSION, session)
    if not rows:
        raise RegistryError(f"no session {session!r} in {db.file}")
    return _read_entry(rows[0])[0]


def listed(db: Database) -> tuple[list[SessionRow], list[str]]:
    """Every session, newest first, and what is wrong with those that cannot be read."""
    return _list(db, _SESSIONS)


def not_ended(db: Database) -> list[SessionRow]:
    """Those that can be read and have not ENDED, newest first."""
    return _list(db, _OPEN_SESSIONS, msgspec.json.encode((*ENDED, *HIDDEN)).decode())[0]


def resolve(db: Database, text: str) -> SessionRow:
    """As `Registry.resolve`."""
    sessions, unreadable = listed(db)
    exact = [row for row in sessions if row.session == text]
    if not exact and db.rows(f"{_SESSION} AND status IN {HIDDEN}", text):
        entry(db, text)  # it says what became of it; others may begin with the same
    meant = exact or [row for row in sessions if _is_meant(text, row)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise RegistryError(f"{text!r} may be any of {len(meant)} sessions: {_listing(meant)}")
    if unreadable:
        raise RegistryDamaged(f"no session {text!r} among those that can be read: {'; '.join(unreadable)}")
    if not sessions:
        raise RegistryError("no sessions yet")
    raise RegistryError(f"no session {text!r}; the latest are {_listing(sessions)}")


def _list(db: Database, query: str, *values: str) -> tuple[list[SessionRow], list[str]]:
    found, unreadable = [], []
    rows, error = db.readable(query, *values)
    for row in rows:
        try:
            found.append(_read_entry(row)[1])
        except RegistryDamaged as damaged:
            unreadable.append(str(damaged))
    if error is not None:
        unreadable.append(str(error))
    return found, unreadable


def _read_entry(row: tuple[Any, ...]) -> tuple[int, SessionRow]:
    """The number of a session, and what lists show of it. Raises RegistryDamaged."""
    with suppress(msgspec.ValidationError):
        number, checksum, *columns = msgspec.convert(row, _SessionColumns)
        if checksum is None or checksum == checksums.of_session(number, *columns[:6]):
            return number, SessionRow(*columns)
    raise RegistryDamaged(f"the entry of session {row[2]!r} (number {row[0]}) is damaged; {SEE_DOCTOR}")


def _is_meant(text: str, row: SessionRow) -> bool:
    if not text:
        return False
    starts = row.session.startswith((text, f"exec_{text}"))
    return starts or row.session.endswith(text) or row.name == text


def _listing(sessions: Sequence[SessionRow], limit: int = 5) -> str:
    names = [f"{row.session} ({row.name})" for row in sessions[:limit]]
    return ", ".join(names) + (", ..." if len(sessions) > limit else "")
