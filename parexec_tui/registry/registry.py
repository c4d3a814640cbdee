"""The registry: one SQLite file that remembers the events of every session, and what follows from them.

Events are the truth. The status and counts of a session and the facts of its attempts are kept beside them, in
the same transaction, so that lists, reports and history need no replay. This module does not know what an event
means: its data is JSON, and that is all.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from parexec_tui.paths import STATE_HOME, create_private
from parexec_tui.registry import access, checksums, migrations, queries
from parexec_tui.registry.errors import (
    RegistryDamaged,
    RegistryError,
    RegistryMissing,
    SessionExists,
    in_plain_words,
)
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

DAMAGED = "damaged"
"""The status of a session of which a repair could not save the plan, or not even the first event."""

ENDED = ("finished", "stopped", "not started", DAMAGED)
"""The status of a session to which no engine will come by itself."""

_SMALLEST_PAGE = 512
_PAGE_OF_EVENTS = 2000
_CACHE_KIB = 16 * 1024

_is_json = msgspec.json.Decoder(msgspec.Raw)


class EventRow(Struct, frozen=True, gc=False):
    """One remembered event. `seq` counts from 1 without a gap; `at` is in seconds since the epoch."""

    seq: int
    at: float
    kind: str
    data: bytes


class Damage(Struct, frozen=True):
    """Why the events of a session cannot be read from `seq` on."""

    seq: int
    why: str


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


class AttemptFact(Struct, frozen=True):
    """What is known of one attempt so far. A later fact of the same ticket and attempt replaces this one."""

    ticket: str
    attempt: int
    agent: str
    started: float
    ended: float | None = None
    end: str | None = None
    """None while it runs; then "succeeded", "failed", and so on."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    log: str = ""
    peak_memory: int | None = None
    """Bytes, as in AttemptEnded."""
    cpu_seconds: float | None = None


Entry = tuple[int, float, str, bytes]
"""An event to append: seq, at, kind, data."""

_Time = Annotated[float, msgspec.Meta(ge=0, lt=1e11)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_SessionColumns = tuple[
    int, int | None, str, str, str, str, str, _Time, str, int, str, _Time | None, _Count, _Count, _Count
]
_AttemptColumns = tuple[
    str,
    int,
    str,
    _Time,
    _Time | None,
    str | None,
    int | None,
    int | None,
    str,
    str,
    int | None,
    float | None,
]
"""What SQLite must return, because a wrong bit may change the type of a value as well."""


class Registry:
    """An open registry. Only the thread that opened it may use it.

    Every method raises RegistryError, in words for a person. Its transaction is then rolled back, the registry can
    still be used, and the same call may be tried again.
    """

    def __init__(self, db: sqlite3.Connection, file: Path, lock: int | None = None) -> None:
        """`lock`: a descriptor to be closed with the registry; see `access`."""
        self.file = file
        self._db = db
        self._lock = lock
        self._numbers: dict[str, int] = {}
        self._last: dict[str, int] = {}

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
            with _registry_errors(file):
                return cls(_connect_to_read(file) if read_only else _connect(file), file, lock)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start_session(
        self,
        now: datetime,
        *,
        name: str,
        plan: bytes,
        source: str,
        folder: Callable[[str], str],
        workdir: str,
        boot: str,
        pid: int,
    ) -> str:
        """Create a session under the next free id of this second, and return the id.

        `folder` gives the session's folder for an id. The insert decides whether an id is free, so any number of
        processes may do this at once.
        """
        taken: set[str] = set()
        while True:
            session = new_session_id(now, taken)
            with suppress(SessionExists):
                self.create_session(
                    session,
                    name=name,
                    plan=plan,
                    source=source,
                    folder=folder(session),
                    workdir=workdir,
                    at=now.timestamp(),
                    boot=boot,
                    pid=pid,
                )
                return session
            taken.add(session)

    def create_session(
        self,
        session: str,
        *,
        name: str,
        plan: bytes,
        source: str,
        folder: str,
        workdir: str,
        at: float,
        boot: str,
        pid: int,
    ) -> None:
        """Remember a new session with its plan. Raises SessionExists if the id is taken."""
        row = (session, name, source, folder, workdir, at, boot, pid)
        with self._transaction():
            try:
                number = self._db.execute(queries.ADD_SESSION, row).lastrowid
            except sqlite3.IntegrityError as error:
                raise SessionExists(f"registry {self.file}: there is a session {session} already") from error
            assert number is not None
            self._db.execute(queries.SEAL_SESSION, (checksums.of_session(number, *row[:6]), number))
            self._db.execute(queries.ADD_PLAN, (number, plan, checksums.of_plan(number, plan)))

    def take_over(self, session: str, *, boot: str, pid: int) -> None:
        """Note which engine runs the session from now on."""
        with self._transaction():
            self._db.execute(queries.SET_OWNER, (boot, pid, self._number(session)))

    def append(
        self,
        session: str,
        entries: Sequence[Entry],
        *,
        status: str | None = None,
        ended: float | None = None,
        counts: Counts | None = None,
        attempts: Sequence[AttemptFact] = (),
    ) -> None:
        """Remember events, and what follows from them, in one transaction: all of it, or nothing.

        `entries` continue from the last seq without a gap. An argument that is None changes nothing, except that
        `ended` is written together with `status`: a session that runs again has not ended.
        """
        number = self._number(session)
        last = self._check_goes_on(session, entries)
        # Until the commit has succeeded we do not know what the file has; after a failure, the next call reads it.
        self._last.pop(session, None)
        with self._transaction():
            db = self._db
            if entries:
                of_event = checksums.of_event
                db.executemany(queries.ADD_EVENT, [(number, *entry, of_event(number, *entry)) for entry in entries])
            if status is not None and counts is not None:  # as engines do: one statement is cheaper than three
                db.execute(queries.SET_STANDING, (status, ended, *astuple(counts), last, number))
            else:
                db.execute(queries.SET_LAST, (last, number))
                if status is not None:
                    db.execute(queries.SET_STATUS, (status, ended, number))
                if counts is not None:
                    db.execute(queries.SET_COUNTS, (*astuple(counts), number))
            if attempts:
                db.executemany(queries.PUT_ATTEMPT, [(number, *astuple(fact)) for fact in attempts])
        self._last[session] = last

    def last_seq(self, session: str) -> int:
        """The highest seq of a session; 0 if it has no events."""
        if session not in self._last:
            with _registry_errors(self.file):
                row = self._db.execute(queries.LAST_SEQ, (self._number(session),)).fetchone()
            self._last[session] = row[0]
        return self._last[session]

    def events(self, session: str, after: int = 0, limit: int | None = None) -> Iterator[EventRow]:
        """Events in order, from `after` + 1, up to the first that is missing, damaged or not JSON: see `damage`.

        They are read page by page, so that a slow reader blocks nobody; what is appended meanwhile is read as well.
        Raises RegistryDamaged after the last event that SQLite can read.
        """
        number = self._number(session)
        stop = None if limit is None else after + limit
        page = _PAGE_OF_EVENTS
        while stop is None or after < stop:
            size = page if stop is None else min(page, stop - after)
            rows, error = self._readable(queries.EVENTS, number, after, size)
            for row in rows:
                if _fault(number, row, after + 1):
                    return
                after = row[0]
                yield EventRow(*row[:4])
            if error is not None:
                if page == 1:
                    raise error
                page = 1  # the module sqlite3 drops the row before the error
            elif len(rows) < size:
                return

    def events_of_kinds(self, session: str, *kinds: str) -> list[bytes]:
        """The data of every event of these kinds, in order, readable or not."""
        encoded = msgspec.json.encode(kinds).decode()
        return [data for (data,) in self._rows(queries.EVENTS_OF_KINDS, self._number(session), encoded)]

    def damage(self, session: str, after: int) -> Damage | None:
        """Why `events` ended with the event `after`; None if nothing follows it."""
        number = self._number(session)
        (known,) = self._rows(queries.LAST_OF_SESSION, number)[0]  # before the events: more may come meanwhile
        rows, error = self._readable(queries.EVENTS, number, after, 1)
        if rows:
            why = _fault(number, rows[0], after + 1)
        elif error is not None:
            why = str(error)
        else:
            is_cut = isinstance(known, int) and known > after
            why = f"event {after + 1} is missing; there were {known}" if is_cut else None
        return Damage(after + 1, why) if why else None

    def integrity(self) -> str:
        """What SQLite finds wrong with the structure of the file; empty if nothing is. It reads the whole file."""
        (said,) = self._rows("PRAGMA integrity_check(1)")[0]
        return "" if said == "ok" else f"registry {self.file}: {said}"

    def has_checksum(self, session: str, seq: int) -> bool:
        """Whether an event has a checksum. Those of early versions have none."""
        rows, _ = self._readable(queries.EVENTS, self._number(session), seq - 1, 1)
        return bool(rows) and rows[0][4] is not None

    def quarantine_tail(self, session: str, from_seq: int, why: str) -> int:
        """Move the events from `from_seq` on to a table for people to look at, and return how many there were.

        The session goes on after `from_seq` - 1. For events that cannot be read, or that the engine does not know.
        """
        number = self._number(session)
        self._last.pop(session, None)
        with self._transaction():
            moved = self._db.execute(queries.COPY_TO_QUARANTINE, (why, number, from_seq)).rowcount
            self._db.execute(queries.REMOVE_TAIL, (number, from_seq))
            self._db.execute(queries.SET_LAST, (from_seq - 1, number))
        return moved

    def plan(self, session: str) -> bytes:
        """The plan, as it was given to `create_session`. Raises RegistryDamaged if it is not that any more."""
        number = self._number(session)
        rows = self._rows(queries.PLAN, number)
        if not rows:
            raise RegistryDamaged(f"the plan of session {session} is missing; {_SEE_DOCTOR}")
        plan, checksum = rows[0]
        if not isinstance(plan, bytes) or checksum not in (None, checksums.of_plan(number, plan)):
            raise RegistryDamaged(
                f"the plan in the registry cannot be read: its checksum is wrong, so nothing of {session} is run; "
                f"events and logs can be read: parexec events {session} --json; {_SEE_DOCTOR}"
            )
        return plan

    def session(self, session: str) -> SessionRow:
        """A session by its full id."""
        return self._entry(session)[1]

    def sessions(self) -> list[SessionRow]:
        """Every session that can be read, newest first."""
        return self.list_sessions()[0]

    def open_sessions(self) -> list[SessionRow]:
        """Those of `sessions` that have not ENDED. Costs little, however many there are of the others."""
        return self._list(queries.OPEN_SESSIONS, msgspec.json.encode(ENDED).decode())[0]

    def list_sessions(self) -> tuple[list[SessionRow], list[str]]:
        """Every session, newest first, and what is wrong with those that cannot be read."""
        return self._list(queries.SESSIONS)

    def _list(self, query: str, *values: str) -> tuple[list[SessionRow], list[str]]:
        found, unreadable = [], []
        rows, error = self._readable(query, *values)
        for row in rows:
            try:
                found.append(_read_entry(row)[1])
            except RegistryDamaged as damaged:
                unreadable.append(str(damaged))
        if error is not None:
            unreadable.append(str(error))
        return found, unreadable

    def resolve(self, text: str) -> SessionRow:
        """The session that a text names: by its id, the start or end of its id, or the name of its plan.

        Raises RegistryError, with candidates, unless there is exactly one.
        """
        sessions, unreadable = self.list_sessions()
        exact = [row for row in sessions if row.session == text]
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

    def attempts(self, session: str, ticket: str | None = None) -> list[AttemptFact]:
        """Attempts of a session by start, or of one of its tickets by number."""
        number = self._number(session)
        if ticket is None:
            rows = self._rows(queries.ATTEMPTS, number)
        else:
            rows = self._rows(queries.ATTEMPTS_OF_TICKET, number, ticket)
        try:
            return [AttemptFact(*msgspec.convert(row, _AttemptColumns)) for row in rows]
        except msgspec.ValidationError as error:
            raise RegistryDamaged(f"what is known of the attempts of {session} is damaged; {_SEE_DOCTOR}") from error

    def history(self, plan_name: str, *, besides: str = "", sessions: int = 5) -> dict[str, float]:
        """The median seconds that each ticket took to succeed, over the latest sessions of plans of this name.

        `besides`: a session that does not count, because it is the one that asks.
        """
        seconds: dict[str, list[float]] = {}
        for ticket, taken in self._rows(queries.HISTORY, plan_name, besides, sessions):
            seconds.setdefault(str(ticket), []).append(taken)
        return {ticket: _median(taken) for ticket, taken in seconds.items()}

    def checkpoint(self) -> None:
        """As the function `checkpoint`, for this file. Any thread may call this method, and no other."""
        checkpoint(self.file)

    def _number(self, session: str) -> int:
        number = self._numbers.get(session)
        if number is None:
            number = self._numbers[session] = self._entry(session)[0]
        return number

    def _entry(self, session: str) -> tuple[int, SessionRow]:
        """The number of a session, and what lists show of it."""
        rows = self._rows(queries.SESSION, session)
        if not rows:
            raise RegistryError(f"no session {session!r} in {self.file}")
        return _read_entry(rows[0])

    def _check_goes_on(self, session: str, entries: Sequence[Entry]) -> int:
        """The last seq once `entries` are appended. Raises RegistryError if there is a gap."""
        last = self.last_seq(session)
        for entry in entries:
            if entry[0] != last + 1:
                raise RegistryError(f"session {session}: event {entry[0]} cannot follow event {last}")
            last += 1
        return last

    def _rows(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        with _registry_errors(self.file):
            return self._db.execute(query, values).fetchall()

    def _readable(self, query: str, *values: str | int) -> tuple[list[tuple[Any, ...]], RegistryDamaged | None]:
        """The rows up to the first that SQLite cannot read, and why it cannot."""
        rows: list[tuple[Any, ...]] = []
        try:
            with _registry_errors(self.file):
                rows.extend(self._db.execute(query, values))
        except RegistryDamaged as error:
            return rows, error
        return rows, None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All changes of the block, or none."""
        with _registry_errors(self.file):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def new_session_id(now: datetime, taken: Container[str]) -> str:
    """`exec_YYYYMMDD_HHMMSS`, followed by `_2`, `_3` and so on if the id is taken."""
    first = session = f"exec_{now:%Y%m%d_%H%M%S}"
    count = 1
    while session in taken:
        count += 1
        session = f"{first}_{count}"
    return session


def checkpoint(file: Path) -> None:
    """Move the content of the write-ahead log into the file, so that the log starts over instead of growing.

    A thread calls it every second or so: it has a connection of its own, and waits for the disk. Writers do not wait
    for it unless the log is larger than LARGE_WAL: then they wait while what came during the first pass is moved.
    Raises RegistryError.
    """
    with _registry_errors(file):
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


def _connect_to_read(file: Path) -> sqlite3.Connection:
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
def _registry_errors(file: Path) -> Iterator[None]:
    """Turn the errors of SQLite into RegistryError."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise in_plain_words(error, file) from error


def _median(numbers: list[float]) -> float:
    """As `statistics.median`, which is slow to import."""
    ordered, half = sorted(numbers), len(numbers) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _fault(number: int, row: tuple[Any, ...], expected: int) -> str | None:
    """What is wrong with a row of EVENTS that should be event `expected`; None if nothing is."""
    seq, at, kind, data, checksum = row
    if seq != expected:
        return f"event {expected} is missing; the next is {seq}"
    if not (isinstance(at, float) and isinstance(kind, str) and isinstance(data, bytes)):
        return f"event {expected} is damaged: a value is of another type"
    if checksum is not None and checksum == checksums.of_event(number, seq, at, kind, data):
        return None
    try:
        _is_json.decode(data)
    except msgspec.DecodeError as error:
        return f"event {expected} ({kind}) is not valid JSON: {error}"
    return f"event {expected} ({kind}) is damaged: its checksum is wrong" if checksum is not None else None


_SEE_DOCTOR = "see what can be saved: parexec doctor"


def _read_entry(row: tuple[Any, ...]) -> tuple[int, SessionRow]:
    """The number of a session, and what lists show of it. Raises RegistryDamaged."""
    with suppress(msgspec.ValidationError):
        number, checksum, *columns = msgspec.convert(row, _SessionColumns)
        if checksum is None or checksum == checksums.of_session(number, *columns[:6]):
            return number, SessionRow(*columns)
    raise RegistryDamaged(f"the entry of session {row[2]!r} (number {row[0]}) is damaged; {_SEE_DOCTOR}")


def _is_meant(text: str, row: SessionRow) -> bool:
    if not text:
        return False
    starts = row.session.startswith((text, f"exec_{text}"))
    return starts or row.session.endswith(text) or row.name == text


def _listing(sessions: Sequence[SessionRow], limit: int = 5) -> str:
    names = [f"{row.session} ({row.name})" for row in sessions[:limit]]
    return ", ".join(names) + (", ..." if len(sessions) > limit else "")
