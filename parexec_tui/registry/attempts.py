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
         peak_memory, cpu_seconds, peak_processes, disk_read, disk_written, seconds)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT: Final = """
    SELECT ticket, attempt, agent, started, ended, "end", code, signal, reason, log,
           peak_memory, cpu_seconds, peak_processes, disk_read, disk_written, seconds
    FROM attempts
"""
_ATTEMPTS: Final = f"{_SELECT} WHERE session = ? ORDER BY started, ticket, attempt"
_ATTEMPTS_OF_TICKET: Final = f"{_SELECT} WHERE session = ? AND ticket = ? ORDER BY attempt"


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
    seconds: float | None = None
    """How long it ran, as in AttemptEnded: by the clock it may be more, or less. None while it runs, and where no
    event tells."""


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
    float | None,
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
