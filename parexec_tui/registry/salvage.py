"""What can be saved of a damaged registry: its rows, as `pages` finds them, are put into a new one.

A row counts if its checksum is right; if it has none, because an early version wrote it, if it can be what it should
be. Events are never changed, so where they are found does not matter. What follows from events is made anew.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.paths import SessionFolder, session_folder
from parexec_tui.registry import checksums, migrations, pages
from parexec_tui.registry.database import Database
from parexec_tui.registry.errors import RegistryDamaged, RegistryError
from parexec_tui.registry.events import Damage
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.registry.sessions import DAMAGED, HIDDEN, IMPORTED, SessionRow
from parexec_tui.registry.standing import counts_of, ended_of, fact_of

_ID = re.compile(r"exec_\d{8}_\d{6}(_\d+)?")

_PUT_EVENT = "INSERT OR IGNORE INTO events (session, seq, at, kind, data, checksum) VALUES (?, ?, ?, ?, ?, ?)"
_PUT_NEWER = """
    UPDATE events SET at = ?3, kind = ?4, data = ?5, checksum = ?6
    WHERE session = ?1 AND seq = ?2 AND (checksum IS NULL AND ?6 IS NOT NULL OR at < ?3)
"""
_PUT_PLAN = "INSERT OR IGNORE INTO plans (session, plan, checksum) VALUES (?, ?, ?)"
_PUT_ASIDE = "INSERT INTO quarantine (session, seq, at, kind, data, why) VALUES (?, ?, ?, ?, ?, ?)"
_PUT_SESSION = """
    INSERT OR IGNORE INTO sessions (number, session, name, source, folder, workdir, started, boot, pid, status, ended,
                                    total, succeeded, failed, checksum, last)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# They were set aside before, and are found on pages that are free now.
_DROP_KNOWN_TO_BE_ASIDE = """
    DELETE FROM events WHERE EXISTS (
        SELECT 1 FROM quarantine q
        WHERE q.session = events.session AND q.seq = events.seq AND q.at = events.at AND q.data = events.data
    )
"""
# What a session had before it was pruned is found on pages that are free now; and an import was broken off.
_DROP_PRUNED = tuple(
    f"DELETE FROM {table} WHERE session IN (SELECT number FROM sessions WHERE status IN {HIDDEN})"
    for table in ("events", "plans", "quarantine")
)
_NUMBERS = "SELECT session FROM events UNION SELECT session FROM plans"
_FIRST = "SELECT data FROM events WHERE session = ? AND seq = 1"
_HIGHEST = "SELECT coalesce(max(seq), 0) FROM events WHERE session = ?"
_STEPS_BACK = """
    SELECT min(e.seq) FROM events e JOIN events before ON before.session = e.session AND before.seq = e.seq - 1
    WHERE e.session = ? AND e.at < before.at
"""


class Settled(Struct, frozen=True):
    """What exit records told of attempts that the registry lost."""

    count: int = 0
    """How many of them ended, so that they need not run again."""
    again: tuple[str, ...] = ()
    """Tickets with other such attempts: nothing tells how these ended, so the tickets will run again."""


Settle = Callable[[Registry, str], Settled]
"""Settles a session by its exit records, and remembers that in the registry. See `engine.lifecycle.settle`."""


def settle_nothing(_: Registry, __: str) -> Settled:
    return Settled()


class Found(Struct, frozen=True):
    """What could be saved of one session."""

    session: str
    """Its id; if that is lost, `number 7`."""
    readable: int
    """How many events from the first on."""
    known: int
    """How many events there were, as far as anything tells."""
    has_plan: bool
    has_entry: bool
    """Whether its entry in the list of sessions was whole; if not, it was made anew from plan and events."""
    attempts: int = 0
    """How many attempts have logs or exit records."""
    status: str = ""
    why: str = ""
    """Why later events could not be saved."""
    source: str = ""
    """The plan file."""
    settled: Settled = Settled()

    @property
    def is_whole(self) -> bool:
        return self.has_plan and self.has_entry and not self.why


class Salvage:
    """Fills an empty registry from the damaged file."""

    def __init__(self, target: Registry, db: sqlite3.Connection, settle: Settle) -> None:
        self._target = target
        self._settle_by_records = settle
        self._db = db
        """The connection of `target`."""
        self._rows: dict[int, tuple[pages.Value, ...]] = {}
        """{number: the newest entry of a session}"""
        self._ids: dict[int, str] = {}
        """The same as the index has them, without a checksum."""

    def take(self, file: Path) -> list[Found]:
        """Take all that can be read in the file, and settle what follows from it. Raises RegistryError, OSError."""
        self._db.execute("BEGIN")
        for row in pages.rows(file):
            self._take(row)
        self._db.execute(_DROP_KNOWN_TO_BE_ASIDE)
        lost = list(self._put_sessions())
        for statement in _DROP_PRUNED:
            self._db.execute(statement)
        self._db.execute("COMMIT")
        return [self._settle(row) for row in reversed(self._target.sessions())] + lost

    # -- rows ------------------------------------------------------------------------------------------------------

    def _take(self, row: pages.Row) -> None:
        match row.rowid, row.values:
            case None, [int() as number, int() as seq, at, str() as kind, data, *rest] if len(rest) < 2:
                self._take_event(number, seq, at, kind, data, rest[0] if rest else None)
            case None, [str() as session, int() as number] if _ID.fullmatch(session):
                self._ids[number] = session
            case int() as number, [None, bytes() as plan, *rest] if len(rest) < 2:
                checksum = rest[0] if rest else None
                if checksum == checksums.of_plan(number, plan) or (checksum is None and _is_plan(plan)):
                    self._db.execute(_PUT_PLAN, (number, plan, checksum))
            case int() as number, [None, *columns] if len(columns) in (13, 15):
                self._take_session(number, columns)
            case int(), [int(), int(), float() | int(), str(), bytes() | str(), str()]:
                self._db.execute(_PUT_ASIDE, row.values)
            case _:
                pass  # of the schema, of attempts, or of another index

    def _take_event(
        self, number: int, seq: int, at: pages.Value, kind: str, data: pages.Value, checksum: pages.Value
    ) -> None:
        if not isinstance(at, float | int) or not isinstance(data, bytes | str) or not 0 < number < 1 << 40:
            return
        row = (number, seq, float(at), kind, data, checksum)
        if isinstance(data, str) or checksum is None:  # put right by hand, or of an early version
            if not _is_event(data):
                return
        elif checksum != checksums.of_event(number, seq, float(at), kind, data):
            return
        if not self._db.execute(_PUT_EVENT, row).rowcount:
            self._db.execute(_PUT_NEWER, row)

    def _take_session(self, number: int, columns: list[pages.Value]) -> None:
        values = tuple(columns) + (None,) * (15 - len(columns))
        session, name, source, folder, workdir, started, boot, pid, status, _, *counts, checksum, _ = values
        if isinstance(started, int):
            started = float(started)
        texts = (session, name, source, folder, workdir, boot, status)
        if not (isinstance(started, float) and all(isinstance(text, str) for text in texts)):
            return
        sealed = (str(session), str(name), str(source), str(folder), str(workdir), started)
        if checksum not in (None, checksums.of_session(number, *sealed)) or not _ID.fullmatch(str(session)):
            return
        if not isinstance(pid, int) or not all(isinstance(count, int) and count >= 0 for count in counts):
            return
        before = self._rows.get(number)
        if before is None or _age(values) >= _age(before):
            self._rows[number] = (session, name, source, folder, workdir, started, *values[6:])

    # -- sessions --------------------------------------------------------------------------------------------------

    def _put_sessions(self) -> Iterator[Found]:
        """Put the entries of sessions; those that are lost are made anew, or are told."""
        for number, row in sorted(self._rows.items()):
            self._db.execute(_PUT_SESSION, (number, *row))
        known = {number for (number,) in self._db.execute("SELECT number FROM sessions")}
        for (number,) in self._db.execute(_NUMBERS).fetchall():
            if number in known or self._make_entry(number):
                continue
            (highest,) = self._db.execute(_HIGHEST, (number,)).fetchone()
            self._db.execute(
                "INSERT INTO quarantine SELECT session, seq, at, kind, data, 'its session is lost' "
                "FROM events WHERE session = ?",
                (number,),
            )
            self._db.execute("DELETE FROM events WHERE session = ?", (number,))
            has_plan = bool(self._db.execute("SELECT 1 FROM plans WHERE session = ?", (number,)).fetchone())
            yield Found(f"number {number}", 0, highest, has_plan, has_entry=False, why="its id is lost")

    def _make_entry(self, number: int) -> bool:
        """Make the entry of a session from its first event and its plan. False if its id is lost."""
        first = self._db.execute(_FIRST, (number,)).fetchone()
        plan = self._db.execute("SELECT plan FROM plans WHERE session = ?", (number,)).fetchone()
        opened = None
        with suppress(msgspec.MsgspecError):
            opened = codec.decode_event(first[0]) if first else None
        session, name, started = self._ids.get(number, ""), "", 0.0
        if isinstance(opened, ev.SessionOpened):
            session, name, started = opened.session, opened.plan, opened.at
        if not session:
            return False
        source = workdir = ""
        with suppress(Exception):  # of an early version, without a checksum
            known = codec.decode_plan(plan[0])
            name, source, workdir = known.settings.name, known.source, known.workdir
        sealed = (session, name, source, str(session_folder(session).path), workdir, started)
        row = (number, *sealed, "", 0, "running", None, 0, 0, 0, checksums.of_session(number, *sealed), None)
        return bool(self._db.execute(_PUT_SESSION, row).rowcount)

    def _settle(self, row: SessionRow) -> Found:
        """Set events aside that follow a gap, and make anew what follows from the others."""
        target, session = self._target, row.session
        number, last = self._db.execute("SELECT number, last FROM sessions WHERE session = ?", (session,)).fetchone()
        (highest,) = self._db.execute(_HIGHEST, (number,)).fetchone()
        readable, damage = self._prefix(number, session)
        if damage is not None:
            target.quarantine_tail(session, damage.seq, damage.why)
        has_plan, status, settled = True, row.status, Settled()
        try:
            past = replay(target, session)
        except RegistryError as error:
            has_plan = _has_plan(target, session)
            if highest or not has_plan:
                status = DAMAGED
                target.append(session, (), status=DAMAGED)
            damage = damage or (Damage(1, str(error)) if not readable and not has_plan else None)
        else:
            if past.fault:
                damage = Damage(past.last + 1, past.fault)
                target.quarantine_tail(session, damage.seq, damage.why)
            readable, status = past.last, past.state.status
            ends = (event for event in _events(target, session) if isinstance(event, ev.AttemptEnded))
            facts = [fact_of(event) for event in ends if not event.ended_before]
            if session_folder(session).imported.exists():  # also if its entry was made anew
                status = IMPORTED
            standing = (status, ended_of(past.state), counts_of(past.state))
            if readable:
                target.append(session, (), status=standing[0], ended=standing[1], counts=standing[2], attempts=facts)
            if damage is not None and status != IMPORTED:
                settled = self._settle_by_records(target, session)
                status = target.session(session).status
        return Found(
            session,
            readable,
            max(highest, last if isinstance(last, int) else 0),
            has_plan,
            number in self._rows,
            attempts_with_files(session_folder(session)),
            status,
            damage.why if damage is not None else "",
            row.source,
            settled,
        )

    def _prefix(self, number: int, session: str) -> tuple[int, Damage | None]:
        """How many events there are from the first on, and why not more."""
        readable = 0
        with suppress(RegistryDamaged):
            for event in self._target.events(session):
                readable = event.seq
        damage = self._target.damage(session, readable)
        if self._db.execute("SELECT 1 FROM quarantine WHERE session = ? LIMIT 1", (number,)).fetchone():
            (back,) = self._db.execute(_STEPS_BACK, (number,)).fetchone()
            if back is not None and back <= readable:
                return back - 1, Damage(back, f"event {back} was set aside before")
        return readable, damage


def empty_registry(file: Path | None) -> tuple[Registry, sqlite3.Connection]:
    """A registry without sessions, in a file that does not count yet, or in memory. Raises sqlite3.Error."""
    db = sqlite3.connect(":memory:" if file is None else file, isolation_level=None)
    try:
        for pragma in ("page_size = 2048", "journal_mode = OFF", "synchronous = OFF"):
            db.execute(f"PRAGMA {pragma}")
        migrations.migrate(db)
    except BaseException:
        db.close()
        raise
    return Registry(Database(db, file or Path("memory"))), db


def attempts_with_files(folder: SessionFolder) -> int:
    """How many attempts have a log or an exit record."""
    with suppress(OSError):
        return len({(key.ticket, key.attempt) for key in folder.recorded()})
    return 0


def _age(row: tuple[pages.Value, ...]) -> int:
    """The last event that an entry knows."""
    return row[-1] if isinstance(row[-1], int) else 0


def _is_event(data: bytes | str) -> bool:
    try:
        codec.decode_event(data)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def _is_plan(data: bytes) -> bool:
    try:
        codec.decode_plan(data)
    except Exception:  # in a plan of an early version, anything may be wrong
        return False
    return True


def _has_plan(target: Registry, session: str) -> bool:
    try:
        target.plan(session)
    except RegistryError:
        return False
    return True


def _events(target: Registry, session: str) -> Iterator[ev.AnyEvent]:
    for row in target.events(session):
        yield codec.decode_event(row.data)
