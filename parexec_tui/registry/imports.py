"""Sessions that are imported: written piece by piece under an entry that no list has, and then shown at once.

Who imports holds the lock of `paths.import_lock`. If that is free, an entry that is not shown was broken off.
"""

from collections.abc import Sequence
from typing import Final, Self

from msgspec.structs import astuple

from parexec_tui.paths import session_folder
from parexec_tui.registry import attempts, checksums, events, sessions
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.database import Database
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.events import Entry
from parexec_tui.registry.sessions import IMPORTED, IMPORTING, PRUNED, Counts, SessionRow

_ROWS: Final = 2000
"""Rows that are deleted at once: others that write wait for that, some milliseconds."""

_HIDE: Final = "UPDATE sessions SET status = ? WHERE number = ?"
_SHOW: Final = """
    UPDATE sessions SET status = ?, ended = ?, total = ?, succeeded = ?, failed = ?, last = ? WHERE number = ?
"""
_UNFINISHED: Final = "SELECT session, number FROM sessions WHERE status = ?"
_EVENTS: Final = """
    DELETE FROM events WHERE session = ?1 AND seq IN (SELECT seq FROM events WHERE session = ?1 LIMIT ?2)
"""
_ATTEMPTS: Final = "DELETE FROM attempts WHERE session = ?"
_PLAN: Final = "DELETE FROM plans WHERE session = ?"
_CONSTANT: Final = "SELECT name, source, folder, workdir, started FROM sessions WHERE number = ?"
_RENAME: Final = """
    UPDATE sessions SET session = ?, checksum = ?, status = ?, last = coalesce(last, 0) + 1 WHERE number = ?
"""


class Import:
    """The rows of a session that is being imported. Every method raises RegistryError."""

    def __init__(self, db: Database, number: int) -> None:
        self._db = db
        self._number = number
        self._last = 0

    @classmethod
    def begin(cls, db: Database, constant: tuple[str, str, str, str, str, float]) -> Self:
        """As `Registry.begin_import`; `constant` as `sessions.add` takes it."""
        with db.transaction():
            number = sessions.add(db, constant, "", 0)
            db.execute(_HIDE, (IMPORTING, number))
        return cls(db, number)

    def add_plan(self, plan: bytes) -> None:
        with self._db.transaction():
            sessions.add_plan(self._db, self._number, plan)

    def add_events(self, entries: Sequence[Entry]) -> None:
        """Append events, which go on without a gap."""
        with self._db.transaction():
            events.add(self._db, self._number, entries)
        self._last = entries[-1][0]

    def add_attempts(self, facts: Sequence[AttemptFact]) -> None:
        with self._db.transaction():
            attempts.put(self._db, self._number, facts)

    def finish(self, ended: float | None, counts: Counts) -> None:
        """Show the session in lists."""
        with self._db.transaction():
            self._db.execute(_SHOW, (IMPORTED, ended, *astuple(counts), self._last, self._number))

    def drop(self) -> None:
        """Remove what was written, and give the id back. It may be broken off and done again."""
        gone = _ROWS
        while gone == _ROWS:
            with self._db.transaction():
                gone = self._db.execute(_EVENTS, (self._number, _ROWS)).rowcount
        with self._db.transaction():
            self._db.execute(_ATTEMPTS, (self._number,))
            self._db.execute(_PLAN, (self._number,))
            # Its number is not given again: a repair finds rows of it on pages that are free now.
            constant = self._db.execute(_CONSTANT, (self._number,)).fetchone()
            unused = f"exec_00000000_000000_{self._number}"
            seal = checksums.of_session(self._number, unused, *constant)
            self._db.execute(_RENAME, (unused, seal, PRUNED, self._number))


def unfinished(db: Database) -> dict[str, Import]:
    """{session: its rows} of every entry that is not shown yet."""
    return {session: Import(db, number) for session, number in db.rows(_UNFINISHED, IMPORTING)}


def check_is_own(row: SessionRow) -> None:
    """Before a session is run or changed. Raises RegistryError if it was imported."""
    if row.status == IMPORTED or session_folder(row.session).imported.exists():
        raise RegistryError(why_not_own(row.session))


def why_not_own(session: str) -> str:
    """Why an imported session is not run."""
    looks = f"parexec show {session}, log, report, attach"
    return f"{session} was imported: it belongs to another machine, so here it is only looked at: {looks}"
