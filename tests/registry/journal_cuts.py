"""A journal cut at every byte: it opens, resumes, and the invariants hold.

    python -m tests.registry.journal_cuts [--step 1]

A session is written through the real registry, a commit for each step; then its write-ahead log is cut after every
byte (or every STEP bytes), as a crash of the host may leave it. Each copy must open, replay to a state that was true
at a commit, and go on to its end. Prints a table; exits 1 if anything did not hold.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from parexec_tui.core import codec
from parexec_tui.core import requests as rq
from parexec_tui.core.decide import digest
from parexec_tui.core.scheduler import Dispatcher
from parexec_tui.core.state import SessionState
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from tests.core.sessions import Session, check

PLAN = """
A:
B: A  retries=2 retry_delay=1s
C: A  locks=db
D: A  locks=db writes=out/**
E: B C
F: D E
"""
SESSION = "exec_20260101_000000"


def write(folder: Path) -> tuple[bytes, bytes, set[int]]:
    """A session that ran to its end: the file, its write-ahead log, and the numbers of events that ended a commit."""
    file = folder / "registry.db"
    with Registry.open(file) as registry:
        session = Session(PLAN)
        registry.create_session(
            SESSION,
            name="cuts",
            plan=codec.encode(session.plan),
            source="",
            folder="",
            workdir="",
            at=0.0,
            boot="",
            pid=1,
        )
        commits = {0}
        written = 0

        def commit() -> None:
            nonlocal written
            new = session.journal[written:]
            entries = [(written + n, e.at, codec.kind_of(e), codec.encode(e)) for n, e in enumerate(new, 1)]
            registry.append(SESSION, entries, status=session.state.status)
            written += len(new)
            commits.add(written)

        commit()
        failed = False
        while session.state.unfinished:
            session.dispatch()
            commit()
            for id_ in session.live():
                session.spawned(id_)
                if id_ == "B" and not failed:
                    session.fail(id_)
                    session.wait(3)
                    session.back_off(id_)
                    failed = True
                else:
                    session.succeed(id_)
                commit()
        session.close()
        commit()
        return file.read_bytes(), file.with_name("registry.db-wal").read_bytes(), commits


def open_cut(folder: Path, main: bytes, wal: bytes, commits: set[int]) -> str:
    """What becomes of a session whose log was cut; raises AssertionError where that is wrong."""
    file = folder / "registry.db"
    for ending in ("-wal", "-shm"):
        file.with_name(f"registry.db{ending}").unlink(missing_ok=True)
    file.write_bytes(main)
    file.with_name("registry.db-wal").write_bytes(wal)
    with Registry.open(file) as registry:
        if SESSION not in [row.session for row in registry.sessions()]:
            return "before the session"
        try:
            past = replay(registry, SESSION)
        except RegistryError:
            return "before the first event"
    assert not past.fault, past.fault
    assert past.last in commits, f"event {past.last} is in the middle of a commit"
    check(past.state)
    if past.state.finished_at is not None:
        return "finished"
    finish(past.state)
    return "resumed"


def finish(state: SessionState) -> None:
    """Resume: what was in flight is lost without a charge, and everything runs to its end."""
    dispatcher = Dispatcher(state)
    now = state.now
    for ticket in list(state.live.values()):
        for event in digest(state, rq.ProcessLost(ticket.id, ticket.attempt, "gone", began=False), now):
            state.apply(event)
    for _ in range(100):
        if not state.unfinished:
            break
        now += 10
        for ticket in [ticket for ticket in state.tickets.values() if ticket.retry_at is not None]:
            for event in digest(state, rq.BackoffElapsed(ticket.id), now):
                state.apply(event)
        dispatcher.dispatch(now, state.apply)
        for ticket in list(state.live.values()):
            for event in digest(state, rq.ProcessEnded(ticket.id, ticket.attempt, 0), now):
                state.apply(event)
        check(state)
    assert not state.unfinished, "it did not come to its end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, wal, commits = write(folder)
        cut = folder / "cut"
        cut.mkdir()
        for length in range(0, len(wal) + 1, options.step):
            try:
                seen[open_cut(cut, file, wal[:length], commits)] += 1
            except (AssertionError, RegistryError) as error:
                seen[f"VIOLATION: {error}"] += 1
        shutil.rmtree(cut)
    print(f"{sum(seen.values())} cuts of a log of {len(wal)} bytes, {len(commits)} commits")
    for what, count in seen.most_common():
        print(f"{count:>8}  {what}")
    sys.exit(any(what.startswith("VIOLATION") for what in seen))


if __name__ == "__main__":
    main()
