"""The table of fingerprints: what tickets were after their last success, by plan file and ticket."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from parexec_tui.registry.database import Database

_BEGIN: Final = """
    INSERT OR REPLACE INTO fingerprints (source, ticket, session, attempt, fingerprint)
    SELECT source, ?, number, ?, NULL FROM sessions WHERE number = ?
"""
_PUT: Final = """
    UPDATE fingerprints SET fingerprint = ?, told = ?
    WHERE source = (SELECT source FROM sessions WHERE number = ?) AND ticket = ? AND session = ? AND attempt = ?
"""
_RENEW: Final = "UPDATE fingerprints SET fingerprint = ? WHERE source = ? AND ticket = ? AND fingerprint = ?"
_FORGET: Final = "DELETE FROM fingerprints WHERE source = ? AND ticket = ? AND fingerprint IS NOT NULL"
"""An attempt that runs now may still succeed: its row stays."""
_ALL: Final = """
    SELECT ticket, CASE
        WHEN fingerprint IS NOT NULL THEN fingerprint
        WHEN attempt = 0 THEN 0
        ELSE (SELECT "end" FROM attempts AS a
              WHERE a.session = f.session AND a.ticket = f.ticket AND a.attempt = f.attempt)
    END FROM fingerprints AS f WHERE source = ?
"""
_TOLD: Final = "SELECT ticket, told FROM fingerprints WHERE source = ? AND told IS NOT NULL"
_SUCCESSES: Final = """
    SELECT ticket, (SELECT session FROM sessions WHERE number = f.session), attempt
    FROM fingerprints AS f WHERE source = ?
"""
UNTAKEN: Final = b"?"
"""Stands for the fingerprint of a success after which nobody looked at the files."""
TOO_BIG: Final = b"!"
"""Is remembered in the place of a fingerprint of a success whose files take too long to read."""
TAKEN_BACK: Final = b"-"
"""Stands for that of a ticket whose last attempt was taken back by a person."""
_AT_ONCE: Final = 500
"""Tickets that one query names."""


_UNTAKEN: Final = """
    SELECT ticket, f.attempt FROM fingerprints AS f JOIN attempts AS a USING (session, ticket, attempt)
    WHERE source = (SELECT source FROM sessions WHERE number = ?1) AND session = ?1 AND fingerprint IS NULL
        AND a."end" = 'succeeded'
"""


class TakenFingerprint(NamedTuple):
    """The fingerprint of an attempt that succeeded."""

    ticket: str
    attempt: int
    fingerprint: bytes
    told: bytes | None = None
    """The values that it told, as JSON; None: none."""


class Renewed(NamedTuple):
    """A fingerprint that says the same, and that is found out faster by it."""

    ticket: str
    before: bytes
    after: bytes


def begin(db: Database, number: int, attempts: Iterable[tuple[str, int]]) -> None:
    """Note, in the transaction that is open, that attempts begin: what was known of these tickets holds no more."""
    db.connection.executemany(_BEGIN, [(ticket, attempt, number) for ticket, attempt in attempts])


def put(db: Database, number: int, taken: Iterable[TakenFingerprint]) -> None:
    """Remember fingerprints, in the transaction that is open; not of an attempt after which another one began."""
    rows = [(found.fingerprint, found.told, number, found.ticket, number, found.attempt) for found in taken]
    db.connection.executemany(_PUT, rows)


def renew(db: Database, source: str, renewed: Iterable[Renewed]) -> None:
    """Replace fingerprints, in the transaction that is open; not those that are others by now."""
    db.connection.executemany(_RENEW, [(each.after, source, each.ticket, each.before) for each in renewed])


def forget(db: Database, source: str, tickets: Iterable[str]) -> None:
    """Forget, in the transaction that is open, what is known of these tickets."""
    db.connection.executemany(_FORGET, [(source, ticket) for ticket in tickets])


def untaken(db: Database, number: int) -> dict[str, int]:
    """{ticket: attempt} of the attempts of a session that succeeded, and whose fingerprints nobody took."""
    return dict(db.rows(_UNTAKEN, number))


def read(db: Database, source: str, tickets: Sequence[str]) -> Mapping[str, bytes]:
    """What is known of these tickets. Empty: an attempt began, and has not succeeded as far as is known; or UNTAKEN,
    TOO_BIG, TAKEN_BACK."""
    return {
        ticket: known if isinstance(known, bytes) else _WITHOUT.get(known, b"")
        for ticket, known in _of_tickets(db, _ALL, source, tickets)
    }


def told(db: Database, source: str, tickets: Sequence[str]) -> dict[str, bytes]:
    """The values that these tickets told when they succeeded, as JSON, of those that told any."""
    return dict(_of_tickets(db, _TOLD, source, tickets))


def successes(db: Database, source: str, tickets: Sequence[str]) -> dict[str, tuple[str, int]]:
    """{ticket: the session and the attempt that its fingerprint is of}"""
    return {ticket: (session, attempt) for ticket, session, attempt in _of_tickets(db, _SUCCESSES, source, tickets)}


def _of_tickets(db: Database, query: str, source: str, tickets: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(tickets), _AT_ONCE):
        some = tickets[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        yield from db.rows(f"{query} AND ticket IN ({marks})", source, *some)


_WITHOUT: Final[Mapping[object, bytes]] = {"succeeded": UNTAKEN, 0: TAKEN_BACK}
"""What is known of a ticket without a fingerprint, by the end of its attempt."""
