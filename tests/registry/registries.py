"""Registries with some sessions, and other processes that use them."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from parexec_tui.registry.events import Entry
from parexec_tui.registry.registry import Registry

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = NOW.timestamp()


def start(
    registry: Registry,
    *,
    name: str = "Build",
    now: datetime = NOW,
    plan: bytes = b'{"name":"Build"}',
    source: str = "/w/plan.toml",
    workdir: str = "/w",
) -> str:
    return registry.start_session(
        now,
        name=name,
        plan=plan,
        source=source,
        folder=lambda session: f"/state/{session}",
        workdir=workdir,
        boot="b00t",
        pid=42,
    )


def entries(first: int, last: int) -> list[Entry]:
    return [(seq, AT + seq, "Noted", b'{"seq":%d}' % seq) for seq in range(first, last + 1)]


def seqs(registry: Registry, session: str, after: int = 0) -> list[int]:
    return [row.seq for row in registry.events(session, after)]


def spoil(file: Path, statement: str) -> None:
    db = sqlite3.connect(file)
    with db:
        db.execute(statement)
    db.close()


def child(script: str, *args: object) -> subprocess.Popen[str]:
    """Another process. What it prints comes through a pipe; its input stays open until we close it."""
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


APPEND_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import Counts

file, session = sys.argv[1:]
registry = Registry.open(Path(file))
for seq in count(1, 3):
    entries = [(s, float(s), "Noted", b'{"seq":%d}' % s) for s in range(seq, seq + 3)]
    facts = [AttemptFact("T", seq, "a", 0.0)]
    registry.append(session, entries, counts=Counts(0, seq + 2, 0), attempts=facts)
    print(seq + 2, flush=True)
"""
