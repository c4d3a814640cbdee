"""Sessions that were pruned: nothing is left of them but their entry, and what their attempts took.

The mark goes first: from then on, no list has the session. What it leaves is deleted piece by piece, its plan last,
so whatever dies on the way, the next one that prunes finds what is left. An entry stays, so that no other session
gets the id. Attempts stay for estimates, those of the newest sessions of a plan.
"""

from typing import Final

from parexec_tui.registry.database import Database
from parexec_tui.registry.sessions import IMPORTED, PRUNED

REMEMBERED: Final = 100
"""Of each plan, the attempts of so many sessions stay: estimates look at 20 successes of a ticket."""

_ROWS: Final = 2000
"""Rows that are deleted at once: others that write wait for that, some milliseconds."""

# A higher number than any event has: in what a repair finds on old pages, this is the newest entry.
_MARK: Final = "UPDATE sessions SET status = ?, last = coalesce(last, 0) + 1 WHERE number = ? AND status = ?"
_EVENTS: Final = """
    DELETE FROM events WHERE session = ?1 AND seq IN (SELECT seq FROM events WHERE session = ?1 LIMIT ?2)
"""
_ASIDE: Final = "DELETE FROM quarantine WHERE session = ?"
_ATTEMPTS: Final = """
    DELETE FROM attempts WHERE session = ?1 AND (
        SELECT count(*) FROM sessions newer JOIN sessions own ON own.number = ?1
        WHERE newer.number > own.number
            AND (newer.source, newer.name, newer.workdir) = (own.source, own.name, own.workdir)
    ) >= ?2
"""
_ALL_ATTEMPTS: Final = "DELETE FROM attempts WHERE session = ?"
_PLAN: Final = "DELETE FROM plans WHERE session = ?"
_MARKED: Final = """
    SELECT session, number,
           EXISTS (SELECT 1 FROM plans WHERE plans.session = number)
           OR EXISTS (SELECT 1 FROM events WHERE events.session = number)
    FROM sessions WHERE status = ?
"""
_SIZE: Final = """
    SELECT coalesce((SELECT sum(length(data) + 40) FROM events WHERE session = ?1), 0)
           + coalesce((SELECT sum(length(plan)) FROM plans WHERE session = ?1), 0)
"""


def mark(db: Database, number: int, status: str) -> bool:
    """Take a session out of all lists; False if its status is not this one any more."""
    with db.transaction():
        if status == IMPORTED:  # estimates know nothing of another machine, and the mark does not tell any more
            db.execute(_ALL_ATTEMPTS, (number,))
        return bool(db.execute(_MARK, (PRUNED, number, status)).rowcount)


def drop_rows(db: Database, number: int) -> None:
    """Delete what is left of a marked session. It may be broken off and done again."""
    gone = _ROWS
    while gone == _ROWS:
        with db.transaction():
            gone = db.execute(_EVENTS, (number, _ROWS)).rowcount
    with db.transaction():
        db.execute(_ASIDE, (number,))
        db.execute(_ATTEMPTS, (number, REMEMBERED))
        db.execute(_PLAN, (number,))


def marked(db: Database) -> dict[str, bool]:
    """Every session that was pruned, and whether rows of it are left."""
    return {session: bool(is_left) for session, _, is_left in db.rows(_MARKED, PRUNED)}


def size(db: Database, number: int) -> int:
    """Bytes that the events and the plan of a session take in the file, about."""
    found: int = db.rows(_SIZE, number)[0][0]
    return found
