"""The table of attempts: what lists, reports and forecasts need of them without a replay."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from parexec_tui.registry.database import Database
from parexec_tui.registry.errors import SEE_DOCTOR, RegistryDamaged

_PUT_ATTEMPT: Final = """
    INSERT OR REPLACE INTO attempts
        (session, ticket, attempt, agent, started, ended, "end", code, signal, reason, log,
         peak_memory, cpu_seconds, peak_processes, disk_read, disk_written)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT: Final = """
    SELECT ticket, attempt, agent, started, ended, "end", code, signal, reason, log,
           peak_memory, cpu_seconds, peak_processes, disk_read, disk_written
    FROM attempts
"""
_ATTEMPTS: Final = f"{_SELECT} WHERE session = ? ORDER BY started, ticket, attempt"
_ATTEMPTS_OF_TICKET: Final = f"{_SELECT} WHERE session = ? AND ticket = ? ORDER BY attempt"
# The newest sessions of a plan that have a success.
_NEWEST: Final = """
        SELECT number FROM sessions
        WHERE name = ? AND session <> ?
          AND EXISTS (SELECT 1 FROM attempts WHERE session = number AND "end" = 'succeeded')
        ORDER BY number DESC LIMIT ?
"""
# The seconds of every success in them.
_HISTORY: Final = f"""
    SELECT ticket, ended - started FROM attempts
    WHERE "end" = 'succeeded' AND ended - started BETWEEN 0 AND 1e9 AND session IN ({_NEWEST})
"""
# The memory of every success in them.
_PEAKS: Final = f"""
    SELECT ticket, peak_memory FROM attempts
    WHERE "end" = 'succeeded' AND peak_memory > 0 AND session IN ({_NEWEST})
"""


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
    peak_processes: int | None = None
    """As in AttemptEnded, like the next two."""
    disk_read: int | None = None
    disk_written: int | None = None


_Time = Annotated[float, msgspec.Meta(ge=0, lt=1e11)]
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
    int | None,
    int | None,
    int | None,
]
"""What SQLite must return, because a wrong bit may change the type of a value as well."""


def put(db: Database, number: int, facts: Sequence[AttemptFact]) -> None:
    """Remember facts, in the transaction that is open. A later one of the same attempt replaces an earlier one."""
    db.connection.executemany(_PUT_ATTEMPT, [(number, *astuple(fact)) for fact in facts])


def read(db: Database, session: str, number: int, ticket: str | None) -> list[AttemptFact]:
    """Attempts of a session by start, or of one of its tickets by number."""
    rows = db.rows(_ATTEMPTS, number) if ticket is None else db.rows(_ATTEMPTS_OF_TICKET, number, ticket)
    try:
        return [AttemptFact(*msgspec.convert(row, _AttemptColumns)) for row in rows]
    except msgspec.ValidationError as error:
        raise RegistryDamaged(f"what is known of the attempts of {session} is damaged; {SEE_DOCTOR}") from error


def history(db: Database, plan_name: str, besides: str, sessions: int) -> dict[str, float]:
    """As `Registry.history`."""
    seconds: dict[str, list[float]] = {}
    for ticket, taken in db.rows(_HISTORY, plan_name, besides, sessions):
        seconds.setdefault(str(ticket), []).append(taken)
    return {ticket: _median(taken) for ticket, taken in seconds.items()}


def peaks(db: Database, plan_name: str, besides: str, sessions: int) -> dict[str, int]:
    """As `Registry.peaks`."""
    found: dict[str, list[int]] = {}
    for ticket, peak in db.rows(_PEAKS, plan_name, besides, sessions):
        found.setdefault(str(ticket), []).append(int(peak))
    return {ticket: sorted(sizes)[-(-9 * len(sizes) // 10) - 1] for ticket, sizes in found.items()}


def _median(numbers: list[float]) -> float:
    """As `statistics.median`, which is slow to import."""
    ordered, half = sorted(numbers), len(numbers) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
