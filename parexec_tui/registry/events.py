"""The table of events, and of those that were moved aside. An event is named by its session's number and its seq."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from parexec_tui.registry import checksums
from parexec_tui.registry.database import Database

_PAGE_OF_EVENTS = 2000

_ADD_EVENT: Final = "INSERT INTO events (session, seq, at, kind, data, checksum) VALUES (?, ?, ?, ?, ?, ?)"
_LAST_SEQ: Final = "SELECT coalesce(max(seq), 0) FROM events WHERE session = ?"
_LAST_OF_SESSION: Final = "SELECT last FROM sessions WHERE number = ?"
# Data that somebody put right by hand is text. Their word counts, and not the checksum from before.
_EVENTS: Final = """
    SELECT seq, at, kind, CAST(data AS BLOB), CASE typeof(data) WHEN 'text' THEN NULL ELSE checksum END
    FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_EVENTS_OF_KINDS: Final = """
    SELECT CAST(data AS BLOB) FROM events
    WHERE session = ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_COPY_TO_QUARANTINE: Final = """
    INSERT INTO quarantine (session, seq, at, kind, data, why)
    SELECT session, seq, at, kind, data, ? FROM events WHERE session = ? AND seq >= ?
"""
_REMOVE_TAIL: Final = "DELETE FROM events WHERE session = ? AND seq >= ?"

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


Entry = tuple[int, float, str, bytes]
"""An event to append: seq, at, kind, data."""


def add(db: Database, number: int, entries: Sequence[Entry]) -> None:
    """Append events with their checksums, in the transaction that is open."""
    of_event = checksums.of_event
    db.connection.executemany(_ADD_EVENT, [(number, *entry, of_event(number, *entry)) for entry in entries])


def last_seq(db: Database, number: int) -> int:
    """The highest seq of a session; 0 if it has no events."""
    seq: int
    ((seq,),) = db.rows(_LAST_SEQ, number)
    return seq


def read(db: Database, number: int, after: int, limit: int | None) -> Iterator[EventRow]:
    """As `Registry.events`."""
    stop = None if limit is None else after + limit
    page = _PAGE_OF_EVENTS
    while stop is None or after < stop:
        size = page if stop is None else min(page, stop - after)
        rows, error = db.readable(_EVENTS, number, after, size)
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


def of_kinds(db: Database, number: int, kinds: Sequence[str]) -> list[bytes]:
    """The data of every event of these kinds, in order, readable or not."""
    return [data for (data,) in db.rows(_EVENTS_OF_KINDS, number, msgspec.json.encode(kinds).decode())]


def damage(db: Database, number: int, after: int) -> Damage | None:
    """Why `read` ended with the event `after`; None if nothing follows it."""
    (known,) = db.rows(_LAST_OF_SESSION, number)[0]  # before the events: more may come meanwhile
    rows, error = db.readable(_EVENTS, number, after, 1)
    if rows:
        why = _fault(number, rows[0], after + 1)
    elif error is not None:
        why = str(error)
    else:
        is_cut = isinstance(known, int) and known > after
        why = f"event {after + 1} is missing; there were {known}" if is_cut else None
    return Damage(after + 1, why) if why else None


def has_checksum(db: Database, number: int, seq: int) -> bool:
    """Whether an event has a checksum. Those of early versions have none."""
    rows, _ = db.readable(_EVENTS, number, seq - 1, 1)
    return bool(rows) and rows[0][4] is not None


def move_aside(db: Database, number: int, from_seq: int, why: str) -> int:
    """Move the events from `from_seq` on to the quarantine, in the transaction that is open. Returns how many."""
    moved = db.execute(_COPY_TO_QUARANTINE, (why, number, from_seq)).rowcount
    db.execute(_REMOVE_TAIL, (number, from_seq))
    return moved


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
