"""The tables, as numbered steps that create them.

A step and the note that it ran (`PRAGMA user_version`) share one transaction, so a step that fails stays pending.
A released step is never edited. Steps only add, because an engine of the version before may still be writing.
"""

import sqlite3
from typing import Final

from parexec_tui.registry.errors import RegistryError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `number` stands for the session in every other table: short keys, and it sorts by age.
        """
        CREATE TABLE sessions (
            number    INTEGER PRIMARY KEY,
            session   TEXT NOT NULL UNIQUE,
            name      TEXT NOT NULL,
            source    TEXT NOT NULL,
            folder    TEXT NOT NULL,
            workdir   TEXT NOT NULL,
            started   REAL NOT NULL,
            boot      TEXT NOT NULL,
            pid       INTEGER NOT NULL,
            status    TEXT NOT NULL,
            ended     REAL,
            total     INTEGER NOT NULL DEFAULT 0,
            succeeded INTEGER NOT NULL DEFAULT 0,
            failed    INTEGER NOT NULL DEFAULT 0
        )
        """,
        "CREATE INDEX sessions_by_name ON sessions (name, number)",
        # Apart from `sessions`, whose rows change at every append: SQLite writes a row as a whole.
        """
        CREATE TABLE plans (
            session INTEGER PRIMARY KEY REFERENCES sessions (number),
            plan    BLOB NOT NULL
        )
        """,
        """
        CREATE TABLE events (
            session INTEGER NOT NULL REFERENCES sessions (number),
            seq     INTEGER NOT NULL,
            at      REAL NOT NULL,
            kind    TEXT NOT NULL,
            data    BLOB NOT NULL,
            PRIMARY KEY (session, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE attempts (
            session     INTEGER NOT NULL REFERENCES sessions (number),
            ticket      TEXT NOT NULL,
            attempt     INTEGER NOT NULL,
            agent       TEXT NOT NULL,
            started     REAL NOT NULL,
            ended       REAL,
            "end"       TEXT,
            code        INTEGER,
            signal      INTEGER,
            reason      TEXT NOT NULL,
            log         TEXT NOT NULL,
            peak_memory INTEGER,
            cpu_seconds REAL,
            PRIMARY KEY (session, ticket, attempt)
        ) WITHOUT ROWID
        """,
        # No constraints: these rows are known to be faulty.
        "CREATE TABLE quarantine (session INTEGER, seq INTEGER, at REAL, kind TEXT, data BLOB, why TEXT)",
    ),
    (
        # See `checksums`. NULL: the row was written before there were checksums.
        "ALTER TABLE sessions ADD COLUMN checksum INTEGER",
        "ALTER TABLE plans ADD COLUMN checksum INTEGER",
        "ALTER TABLE events ADD COLUMN checksum INTEGER",
        # The highest seq of the session, to know when its last events were lost.
        "ALTER TABLE sessions ADD COLUMN last INTEGER",
    ),
    (
        # By plan file, not by session: a later session of the plan asks. `fingerprint` is NULL from the start of the
        # attempt until it is known after its success.
        """
        CREATE TABLE fingerprints (
            source      TEXT NOT NULL,
            ticket      TEXT NOT NULL,
            session     INTEGER NOT NULL,
            attempt     INTEGER NOT NULL,
            fingerprint BLOB,
            PRIMARY KEY (source, ticket)
        ) WITHOUT ROWID
        """,
    ),
    (
        # NULL: it is not known, as of every attempt before.
        "ALTER TABLE attempts ADD COLUMN peak_processes INTEGER",
        "ALTER TABLE attempts ADD COLUMN disk_read INTEGER",
        "ALTER TABLE attempts ADD COLUMN disk_written INTEGER",
    ),
    (
        # NULL: it runs, or no event tells. See `filling`.
        "ALTER TABLE attempts ADD COLUMN seconds REAL",
    ),
    (
        # The values that the ticket told when it succeeded, as JSON; NULL: none, or it succeeded before.
        "ALTER TABLE fingerprints ADD COLUMN told BLOB",
    ),
)

LATEST = len(MIGRATIONS)

_SECONDS: Final = 5
"""The step after which the rows that are there get their `seconds`, as far as their events can be read."""


def version(db: sqlite3.Connection) -> int:
    """How many steps this file has seen. Raises RegistryError if a newer parexec wrote it."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found > LATEST:
        file = db.execute("PRAGMA database_list").fetchone()[2]
        raise RegistryError(
            f"registry {file}: written by a newer parexec: its format is {found}, this one knows up to {LATEST}; "
            "upgrade parexec"
        )
    return found


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file up to date. The connection must be in autocommit mode. Raises sqlite3.Error."""
    for number in range(version(db) + 1, LATEST + 1):
        _run(db, number)


def _run(db: sqlite3.Connection, number: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        if version(db) < number:  # else another process was faster
            for statement in MIGRATIONS[number - 1]:
                db.execute(statement)
            if number == _SECONDS:
                from parexec_tui.registry.filling import fill_seconds  # few who open a registry need it

                fill_seconds(db)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
