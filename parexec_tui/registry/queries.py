"""Every SQL statement. Sessions are named by their number, except where only the id is known."""

from typing import Final

ADD_SESSION: Final = """
    INSERT INTO sessions (session, name, source, folder, workdir, started, boot, pid, status)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running')
"""
SEAL_SESSION: Final = "UPDATE sessions SET checksum = ? WHERE number = ?"
ADD_PLAN: Final = "INSERT INTO plans (session, plan, checksum) VALUES (?, ?, ?)"
SET_OWNER: Final = "UPDATE sessions SET boot = ?, pid = ? WHERE number = ?"
SET_STATUS: Final = "UPDATE sessions SET status = ?, ended = ? WHERE number = ?"
SET_COUNTS: Final = "UPDATE sessions SET total = ?, succeeded = ?, failed = ? WHERE number = ?"
SET_STANDING: Final = """
    UPDATE sessions SET status = ?, ended = ?, total = ?, succeeded = ?, failed = ?, last = ? WHERE number = ?
"""
SET_LAST: Final = "UPDATE sessions SET last = ? WHERE number = ?"

ADD_EVENT: Final = "INSERT INTO events (session, seq, at, kind, data, checksum) VALUES (?, ?, ?, ?, ?, ?)"
PUT_ATTEMPT: Final = """
    INSERT OR REPLACE INTO attempts
        (session, ticket, attempt, agent, started, ended, "end", code, signal, reason, log,
         peak_memory, cpu_seconds)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

LAST_SEQ: Final = "SELECT coalesce(max(seq), 0) FROM events WHERE session = ?"
LAST_OF_SESSION: Final = "SELECT last FROM sessions WHERE number = ?"
PLAN: Final = "SELECT plan, checksum FROM plans WHERE session = ?"
# Data that somebody put right by hand is text. Their word counts, and not the checksum from before.
EVENTS: Final = """
    SELECT seq, at, kind, CAST(data AS BLOB), CASE typeof(data) WHEN 'text' THEN NULL ELSE checksum END
    FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?
"""
EVENTS_OF_KINDS: Final = """
    SELECT CAST(data AS BLOB) FROM events
    WHERE session = ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq
"""

_SESSIONS: Final = """
    SELECT number, checksum,
           session, name, source, folder, workdir, started, boot, pid, status, ended, total, succeeded, failed
    FROM sessions
"""
SESSION: Final = f"{_SESSIONS} WHERE session = ?"
SESSIONS: Final = f"{_SESSIONS} ORDER BY number DESC"
OPEN_SESSIONS: Final = f"{_SESSIONS} WHERE status NOT IN (SELECT value FROM json_each(?)) ORDER BY number DESC"

_ATTEMPTS: Final = """
    SELECT ticket, attempt, agent, started, ended, "end", code, signal, reason, log, peak_memory, cpu_seconds
    FROM attempts
"""
ATTEMPTS: Final = f"{_ATTEMPTS} WHERE session = ? ORDER BY started, ticket, attempt"
ATTEMPTS_OF_TICKET: Final = f"{_ATTEMPTS} WHERE session = ? AND ticket = ? ORDER BY attempt"

# The seconds of every success in the newest sessions of a plan that have one.
HISTORY: Final = """
    SELECT ticket, ended - started FROM attempts
    WHERE "end" = 'succeeded' AND ended - started BETWEEN 0 AND 1e9 AND session IN (
        SELECT number FROM sessions
        WHERE name = ? AND session <> ?
          AND EXISTS (SELECT 1 FROM attempts WHERE session = number AND "end" = 'succeeded')
        ORDER BY number DESC LIMIT ?
    )
"""

COPY_TO_QUARANTINE: Final = """
    INSERT INTO quarantine (session, seq, at, kind, data, why)
    SELECT session, seq, at, kind, data, ? FROM events WHERE session = ? AND seq >= ?
"""
REMOVE_TAIL: Final = "DELETE FROM events WHERE session = ? AND seq >= ?"
