"""The table of fingerprints: what tickets were after their last success, by plan file and ticket."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from parexec_tui.registry.database import Database

_BEGIN: Final = """
    INSERT OR REPLACE INTO fingerprints (source, ticket, session, attempt, fingerprint)
    SELECT source, ?, number, ?, NULL FROM sessions WHERE number = ?
"""
_PUT: Final = """
    UPDATE fingerprints SET fingerprint = ?
    WHERE source = (SELECT source FROM sessions WHERE number = ?) AND ticket = ? AND session = ? AND attempt = ?
"""
_RENEW: Final = "UPDATE fingerprints SET fingerprint = ? WHERE source = ? AND ticket = ? AND fingerprint = ?"
_FORGET: Final = "DELETE FROM fingerprints WHERE source = ? AND ticket = ? AND fingerprint IS NOT NULL"
"""An attempt that runs now may still succeed: its row stays."""
_ALL: Final = "SELECT ticket, fingerprint FROM fingerprints WHERE source = ?"
_AT_ONCE: Final = 500
"""Tickets that one query names."""


class Taken(NamedTuple):
    """The fingerprint of an attempt that succeeded."""

    ticket: str
    attempt: int
    fingerprint: bytes


class Renewed(NamedTuple):
    """A fingerprint that says the same, and that is found out faster by it."""

    ticket: str
    before: bytes
    after: bytes


def begin(db: Database, number: int, attempts: Iterable[tuple[str, int]]) -> None:
    """Note, in the transaction that is open, that attempts begin: what was known of these tickets holds no more."""
    db.connection.executemany(_BEGIN, [(ticket, attempt, number) for ticket, attempt in attempts])


def put(db: Database, number: int, taken: Iterable[Taken]) -> None:
    """Remember fingerprints, in the transaction that is open; not of an attempt after which another one began."""
    rows = [(found.fingerprint, number, found.ticket, number, found.attempt) for found in taken]
    db.connection.executemany(_PUT, rows)


def renew(db: Database, source: str, renewed: Iterable[Renewed]) -> None:
    """Replace fingerprints, in the transaction that is open; not those that are others by now."""
    db.connection.executemany(_RENEW, [(each.after, source, each.ticket, each.before) for each in renewed])


def forget(db: Database, source: str, tickets: Iterable[str]) -> None:
    """Forget, in the transaction that is open, what is known of these tickets."""
    db.connection.executemany(_FORGET, [(source, ticket) for ticket in tickets])


def read(db: Database, source: str, tickets: Sequence[str]) -> Mapping[str, bytes]:
    """What is known of these tickets. Empty: an attempt began, and has not succeeded as far as is known."""
    found: dict[str, bytes] = {}
    for start in range(0, len(tickets), _AT_ONCE):
        some = tickets[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        found.update(db.rows(f"{_ALL} AND ticket IN ({marks})", source, *some))
    return {ticket: known if isinstance(known, bytes) else b"" for ticket, known in found.items()}
