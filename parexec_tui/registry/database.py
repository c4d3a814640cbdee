"""The file of the registry: who may write it, how it is opened, its transactions, its write-ahead log."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from parexec_tui.paths import STATE_HOME, create_private
from parexec_tui.registry import access, migrations
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, RegistryMissing, in_plain_words
from parexec_tui.trust import check_folder, check_inside

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that is writing; its transactions take well under a millisecond."""

LARGE_WAL = 64 * 1024 * 1024
"""Bytes. With a larger write-ahead log, a checkpoint makes the writer wait, so that the log stops growing."""

_WRITER_MAY_WAIT = 50
"""Milliseconds that such a checkpoint waits for readers, and the writer for the checkpoint."""

_PAGE_SIZE = 2048
"""Bytes. A commit writes several whole pages, so pages smaller than SQLite's 4096 cost less: measured, a fifth less
CPU and a third fewer bytes per append. With 1024, common events would not fit their page."""

_SMALLEST_PAGE = 512
_CACHE_KIB = 16 * 1024


class Database:
    """An open registry file. Only the thread that opened it may use it.

    Every method raises RegistryError, in words for a person; what it was about to change is then as it was before.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path, lock: int | None = None) -> None:
        """`lock`: a descriptor to be closed with the file; see `access`."""
        self.file = file
        self.connection = connection
        self._lock = lock

    @classmethod
    def open(cls, file: Path, *, read_only: bool = False, create: bool = True) -> Self:
        """Open the registry; unless `read_only` or not `create`, create what is missing, for its owner only.

        Reading works while an engine writes and after it died. Raises RegistryMissing if there is no file to
        read, or nothing in it yet, RegistryError if it is damaged (it is left as it is), was written by a newer
        parexec, or others could have written to it.
        """
        file = file.absolute()
        check_owners(file)
        if create and not read_only:
            _create(file)
        elif not file.exists():
            raise RegistryMissing(f"no registry at {file}")
        lock = access.share(file)
        try:
            with registry_errors(file):
                return cls(connect_to_read(file) if read_only else _connect(file), file, lock)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    def close(self) -> None:
        self.connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def execute(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises what SQLite raises: it belongs into a `transaction`."""
        return self.connection.execute(query, values)

    def rows(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """All rows."""
        with registry_errors(self.file):
            return self.connection.execute(query, values).fetchall()

    def readable(self, query: str, *values: str | int) -> tuple[list[tuple[Any, ...]], RegistryDamaged | None]:
        """The rows up to the first that SQLite cannot read, and why it cannot."""
        rows: list[tuple[Any, ...]] = []
        try:
            with registry_errors(self.file):
                rows.extend(self.connection.execute(query, values))
        except RegistryDamaged as error:
            return rows, error
        return rows, None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read in the block is of one moment, whatever others write meanwhile."""
        with registry_errors(self.file):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none."""
        with registry_errors(self.file):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise


def checkpoint(file: Path) -> None:
    """Move the content of the write-ahead log into the file, so that the log starts over instead of growing.

    A thread calls it every second or so: it has a connection of its own, and waits for the disk. Writers do not wait
    for it unless the log is larger than LARGE_WAL: then they wait while what came during the first pass is moved.
    Raises RegistryError.
    """
    with registry_errors(file):
        db = _connect(file)
        try:
            _checkpoint(db)
        finally:
            db.close()


def _checkpoint(db: sqlite3.Connection) -> None:
    # After this pass the log starts over only if nothing was committed meanwhile, so never under a steady load.
    _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages * db.execute("PRAGMA page_size").fetchone()[0] > LARGE_WAL:
        db.execute(f"PRAGMA busy_timeout = {_WRITER_MAY_WAIT}")
        db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def check_owners(file: Path) -> None:
    """Refuse a registry that others could have written: its plans are executed."""
    try:
        check_folder(file.parent)
        check_inside(
            file, *(file.with_name(f"{file.name}{ending}") for ending in ("-wal", "-shm", "-journal", ".lock"))
        )
    except OSError as error:
        raise RegistryError(f"registry {file}: {error}; {STATE_HOME} says where the state of parexec is") from error


def _create(file: Path) -> None:
    """Create an empty file with mode 0600. SQLite gives the same mode to the files beside it."""
    try:
        create_private(file.parent)
        # Only if it is missing: closing a file drops the locks that SQLite holds on it in this process.
        if not file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            check_owners(file)  # somebody may have been faster
    except OSError as error:
        raise RegistryError(f"registry {file}: cannot be created: {error.strerror}") from error


def _connect(file: Path) -> sqlite3.Connection:
    db = _connection(file, "rw")
    try:
        migrations.version(db)  # reads the file, so that nothing is written to one that is not ours
        db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")  # takes effect in a new file only
        _use_write_ahead_log(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        migrations.migrate(db)
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(file: Path) -> sqlite3.Connection:
    """A connection that changes nothing, without the lock that says who uses the file. Raises sqlite3.Error,
    RegistryError."""
    try:
        return _reader(file, "ro")
    except sqlite3.OperationalError as error:
        # SQLite wants to make an index of the log, for which a full or read-only disk has no room. Without a log, all
        # is in the file itself, and on such a disk nobody changes it.
        log = file.with_name(f"{file.name}-wal")
        if error.sqlite_errorcode & 0xFF not in _NO_INDEX or (log.exists() and log.stat().st_size):
            raise
        return _reader(file, "ro&immutable=1")


_NO_INDEX = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def _reader(file: Path, mode: str) -> sqlite3.Connection:
    db = _connection(file, mode)
    try:
        if migrations.version(db) < migrations.LATEST:
            _check_that_it_has_tables(db, file)
            _connect(file).close()
        db.execute("SELECT 1 FROM sessions").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _check_that_it_has_tables(db: sqlite3.Connection, file: Path) -> None:
    """Raise RegistryMissing if its maker died, or had no room, before it made any. It is not for readers to do so."""
    if db.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        raise RegistryMissing(f"no registry at {file}: the file is empty")


def _connection(file: Path, mode: str) -> sqlite3.Connection:
    # SQLite takes a file that is shorter than a page for an empty one, and would overwrite it.
    if file.is_file() and 0 < file.stat().st_size < _SMALLEST_PAGE:
        raise RegistryDamaged(
            f"registry {file}: it is not a parexec registry, or it is damaged; it was left untouched"
        )
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def _use_write_ahead_log(db: sqlite3.Connection) -> None:
    """Switch the file to WAL. SQLite does not apply the busy timeout here, so processes that start together have to
    try again."""
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.005)
        else:
            return


@contextmanager
def registry_errors(file: Path) -> Iterator[None]:
    """Turn the errors of SQLite into RegistryError."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise in_plain_words(error, file) from error
