"""What a step of `migrations` writes into a new column of the rows that are there already."""

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

_MOST_EVENTS: Final = 400_000
"""The newest sessions that have so many together are looked at: about a second, and more than `history` asks of."""

_SESSIONS: Final = """
    SELECT number, coalesce(last, 0) FROM sessions WHERE status NOT IN ('imported', 'importing', 'pruned')
    ORDER BY number DESC
"""
_ENDS: Final = "SELECT data FROM events WHERE session = ? AND kind = 'attempt_ended'"
_FILL: Final = "UPDATE attempts SET seconds = ? WHERE session = ? AND ticket = ? AND attempt = ?"


class _Ended(Struct):
    """The part of AttemptEnded that tells how long it took."""

    ticket: str
    attempt: int
    seconds: float
    ended_before: bool = False


_decode = msgspec.json.Decoder(_Ended).decode


def fill_seconds(db: sqlite3.Connection) -> None:
    """Write what the events tell of how long attempts ran, in the transaction that is open. A registry that is
    damaged opens all the same: what cannot be read stays unknown."""
    db.execute("SAVEPOINT fill")
    try:
        left = _MOST_EVENTS
        for number, events in db.execute(_SESSIONS).fetchall():
            if (left := left - events) < 0:
                break
            db.executemany(_FILL, list(_ends(db, number)))
    except sqlite3.DatabaseError:
        if not db.in_transaction:  # there is no room, or no memory
            raise
        db.execute("ROLLBACK TO fill")
    db.execute("RELEASE fill")


def _ends(db: sqlite3.Connection, number: int) -> Iterator[tuple[float, int, str, int]]:
    """(seconds, session, ticket, attempt) of the ends of a session; of one that went on afterwards, the first."""
    for (data,) in db.execute(_ENDS, (number,)):
        try:
            ended = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
            continue
        if not ended.ended_before:
            yield ended.seconds, number, ended.ticket, ended.attempt
