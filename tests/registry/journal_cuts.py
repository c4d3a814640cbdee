"""A journal cut at every byte: it opens, resumes, and the invariants hold.

    python -m tests.registry.journal_cuts [--step 1] [--no-engines]

A session is written through the real registry, a commit for each step; then its write-ahead log is cut after every
byte (or every STEP bytes), as a crash of the host may leave it. Each copy must open, replay to a state that was true
at a commit, and go on to its end by the rules of the core. Where a frame of the log ends, and a byte before, a real
engine resumes the copy as well. Prints a table; exits 1 if anything did not hold.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import STATE_HOME, registry_file, state_home
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from tests.core.sessions import Session, check, plan
from tests.engine import engines
from tests.engine.engines import Engine, marked

PLAN = """
A:
B: A  retries=2 retry_delay=1s
C: A  locks=db
D: A  locks=db writes=out/**
E: B C
F: D E
"""
SESSION = "exec_20260101_000000"

RUN = "echo $PAREXEC_TICKET >> ran"

MEMORY = Path("/dev/shm")
"""Where nothing waits for a disk. SQLite sees the same bytes there."""


def _plan(workdir: Path) -> Plan:
    """The plan of this page, whose tickets tell that they ran in a file of this folder."""
    found = plan(PLAN)
    tickets = {id_: replace(ticket, run=RUN) for id_, ticket in found.tickets.items()}
    return replace(found, tickets=tickets, workdir=str(workdir))


def write(folder: Path) -> tuple[bytes, bytes, set[int]]:
    """A session that ran to its end: the file, its write-ahead log, and the numbers of events that ended a commit."""
    file = folder / "registry.db"
    with Registry.open(file) as registry:
        session = Session(_plan(folder))
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


def edges(wal: bytes) -> list[int]:
    """Where a frame of the log ends; 32 bytes stand before the first."""
    frame = 24 + int.from_bytes(wal[8:12], "big")  # the header of a frame, and a page
    return list(range(32, len(wal) + 1, frame))


def _put(file: Path, main: bytes, wal: bytes) -> None:
    """A registry as it is found after a crash."""
    for ending in ("-wal", "-shm"):
        file.with_name(f"{file.name}{ending}").unlink(missing_ok=True)
    file.write_bytes(main)
    file.with_name(f"{file.name}-wal").write_bytes(wal)


# -- by the rules of the core ----------------------------------------------------------------------------------


def open_cut(folder: Path, main: bytes, wal: bytes, commits: set[int]) -> str:
    """What becomes of a session whose log was cut; raises AssertionError where that is wrong."""
    file = folder / "registry.db"
    _put(file, main, wal)
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
        for event in on_report(state, rq.ProcessLost(ticket.id, ticket.attempts, "gone", began=False), now):
            apply(state, event)
    for _ in range(100):
        if not state.unfinished:
            break
        now += 10
        for ticket in [ticket for ticket in state.tickets.values() if ticket.retry_at is not None]:
            for event in on_report(state, rq.BackoffElapsed(ticket.id), now):
                apply(state, event)
        dispatcher.dispatch(now, lambda event: apply(state, event))
        for ticket in list(state.live.values()):
            for event in on_report(state, rq.ProcessEnded(ticket.id, ticket.attempts, 0), now):
                apply(state, event)
        check(state)
    assert not state.unfinished, "it did not come to its end"


# -- by a real engine ------------------------------------------------------------------------------------------


def resume_cut(folder: Path, main: bytes, wal: bytes) -> str:
    """What a real engine makes of it, in the state folder of the environment, which is emptied first.

    `folder` is where the plan runs. Raises AssertionError.
    """
    shutil.rmtree(state_home(), ignore_errors=True)
    state_home(create=True)
    ran = folder / "ran"
    for left in (ran, folder / "output.txt"):
        left.unlink(missing_ok=True)
    _put(registry_file(), main, wal)
    is_known = SESSION in engines.sessions()
    before = engines.journal(SESSION) if is_known else []
    engine = Engine("resume", SESSION, "--quiet", cwd=folder)
    code = engine.wait()
    assert "Traceback" not in engine.text(), engine.text()
    if not is_known:
        assert code == 2, f"resume of what is not there ended with {code}: {engine.text()}"
        return "before the session"
    _check_resumed(before, ran.read_text().split() if ran.exists() else [], code)
    return "resumed" if before else "before the first event"


def _check_resumed(before: list[ev.AnyEvent], ran: list[str], code: int) -> None:
    """It went on from what was remembered to the end, and did nothing again that it knew was done."""
    after, state = engines.journal(SESSION), engines.state_of(SESSION)
    assert after[: len(before)] == before, "the past was changed"
    check(state)
    assert (code, state.status, state.counts[Status.succeeded]) == (0, "finished", len(state.tickets))
    succeeded = Counter(e.ticket for e in after if isinstance(e, ev.AttemptEnded) and e.end is End.succeeded)
    assert succeeded == dict.fromkeys(state.tickets, 1)
    done = {e.ticket for e in before if isinstance(e, ev.AttemptEnded) and e.end is End.succeeded}
    assert Counter(ran) == dict.fromkeys(state.tickets.keys() - done, 1), f"{done} were done, {ran} ran"
    assert not list(marked()), "a process is left"


# -- the script ------------------------------------------------------------------------------------------------


def _tried(lengths: Iterable[int], outcome: Callable[[int], str]) -> Iterator[str]:
    for length in lengths:
        try:
            yield outcome(length)
        except (AssertionError, RegistryError) as error:
            yield f"VIOLATION at byte {length}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--step", type=int, default=1, help="cut after every so many bytes")
    parser.add_argument("--no-engines", action="store_true", help="only by the rules of the core")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        folder = Path(name)
        os.environ[STATE_HOME] = str(folder / "state-home")
        file, wal, commits = write(folder)
        print(f"a log of {len(wal)} bytes in {len(edges(wal)) - 1} frames, {len(commits)} commits", flush=True)
        cut = folder / "cut"
        cut.mkdir()
        seen = Counter(_tried(range(0, len(wal) + 1, wanted.step), lambda to: open_cut(cut, file, wal[:to], commits)))
        _print(f"{seen.total()} cuts, by the rules of the core", seen)
        if not wanted.no_engines:
            near = [edge - before for edge in edges(wal) for before in (1, 0)]
            resumed = Counter(_tried(near, lambda to: resume_cut(folder, file, wal[:to])))
            _print(f"{resumed.total()} of them, by a real engine", resumed)
            seen += resumed
    return 1 if any(what.startswith("VIOLATION") for what in seen) else 0


def _print(title: str, seen: Counter[str]) -> None:
    print(title)
    for what, count in seen.most_common():
        print(f"{count:>8}  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
