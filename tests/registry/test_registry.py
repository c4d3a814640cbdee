"""The registry against real files and real processes: all or nothing, and many at once."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.events import Entry
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import Counts
from tests.registry.registries import APPEND_FOR_EVER, AT, child, entries, seqs, start


def test_status_counts_and_attempts_go_with_the_events(registry: Registry) -> None:
    session = start(registry)
    running = AttemptFact("T1", 1, "builder-1", AT, log="attempts/T1.1.log")
    registry.append(session, entries(1, 1), counts=Counts(2, 0, 0), attempts=[running])
    assert registry.attempts(session) == [running]

    ended = AttemptFact("T1", 1, "builder-1", AT, AT + 9, "failed", 3, None, "exit 3", "attempts/T1.1.log", 9, 0.1)
    again = AttemptFact("T1", 2, "builder-2", AT + 10)
    other = AttemptFact("T2", 1, "builder-1", AT + 5)
    registry.append(session, entries(2, 3), counts=Counts(2, 0, 1), attempts=[ended, again, other])
    assert registry.attempts(session) == [ended, other, again]
    assert registry.attempts(session, "T1") == [ended, again]
    assert registry.attempts(session, "T9") == []

    registry.append(session, entries(4, 4), status="finished", ended=AT + 20)
    row = registry.session(session)
    assert (row.status, row.ended, row.total, row.succeeded, row.failed) == ("finished", AT + 20, 2, 0, 1)

    registry.append(session, [], status="running")
    assert registry.session(session).ended is None


@pytest.mark.parametrize("wrong", [entries(2, 2), entries(4, 4), [*entries(3, 3), *entries(5, 5)], entries(1, 3)])
def test_a_gap_or_a_duplicate_is_refused_whole(registry: Registry, wrong: list[Entry]) -> None:
    session = start(registry)
    registry.append(session, entries(1, 2))
    with pytest.raises(RegistryError, match="cannot follow event"):
        registry.append(session, wrong, status="finished")
    assert seqs(registry, session) == [1, 2]
    assert registry.session(session).status == "running"
    registry.append(session, entries(3, 3))


def test_what_another_connection_appended_is_not_overwritten(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 1))
    with Registry.open(file) as other:
        other.append(session, entries(2, 2))
    with pytest.raises(RegistryError):
        registry.append(session, entries(2, 2), status="finished")
    assert registry.session(session).status == "running"
    registry.append(session, entries(3, 3))
    assert seqs(registry, session) == [1, 2, 3]


def test_a_full_disk_loses_nothing_and_can_be_tried_again(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 1))
    pages = registry._db.execute("PRAGMA page_count").fetchone()[0]
    registry._db.execute(f"PRAGMA max_page_count = {pages}")
    large: list[Entry] = [(2, AT, "Noted", b'"%s"' % (b"x" * 100_000))]
    fact = AttemptFact("T", 1, "a", AT)
    for _ in range(2):
        with pytest.raises(RegistryError, match=f"{file}: the disk is full"):
            registry.append(session, large, status="finished", attempts=[fact])
        assert seqs(registry, session) == [1]
        assert registry.session(session).status == "running"
        assert registry.attempts(session) == []

    registry._db.execute("PRAGMA max_page_count = 1000000")
    registry.append(session, large, status="finished", attempts=[fact])
    assert seqs(registry, session) == [1, 2]
    assert registry.session(session).status == "finished"
    assert registry.attempts(session) == [fact]


def test_a_writer_that_never_ends_is_said_and_can_be_outlived(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RegistryError, match="another process kept it locked"):
        registry.append(session, entries(1, 1))
    other.execute("ROLLBACK")
    other.close()
    registry.append(session, entries(1, 1))


def test_an_interrupt_in_the_middle_leaves_nothing_half_done(registry: Registry) -> None:
    session = start(registry)

    class Interrupting(list[Entry]):
        """Entries that pass the check, and then raise KeyboardInterrupt while rows are written."""

        passes = 0

        def __iter__(self) -> Iterator[Entry]:
            self.passes += 1
            for entry in super().__iter__():
                if self.passes > 1 and entry[0] == 2:
                    raise KeyboardInterrupt
                yield entry

    with pytest.raises(KeyboardInterrupt):
        registry.append(session, Interrupting(entries(1, 3)))
    assert seqs(registry, session) == []
    registry.append(session, entries(1, 3))


# Many processes, and the end of some.


def test_a_reader_sees_what_is_committed_while_another_process_writes(registry: Registry, file: Path) -> None:
    session = start(registry)
    with child(APPEND_FOR_EVER, file, session) as writer:
        try:
            assert writer.stdout is not None
            with Registry.open(file, read_only=True) as reader:
                for _ in range(100):
                    committed = int(writer.stdout.readline())
                    found = seqs(reader, session)
                    assert found == list(range(1, len(found) + 1))
                    assert len(found) >= committed
                    assert len(found) % 3 == 0
        finally:
            writer.kill()


@pytest.mark.parametrize("read_only", [True, False])
def test_kill_9_loses_nothing_that_was_committed(file: Path, read_only: bool) -> None:
    with Registry.open(file) as registry:
        session = start(registry)
    with child(APPEND_FOR_EVER, file, session) as writer:
        assert writer.stdout is not None
        printed = [int(writer.stdout.readline()) for _ in range(200)]
        writer.kill()
        printed += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    assert file.with_name("registry.db-wal").stat().st_size > 0

    with Registry.open(file, read_only=read_only) as registry:
        found = seqs(registry, session)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= printed[-1]
        assert registry.session(session).succeeded == len(found)
        assert len(registry.attempts(session)) == len(found) // 3
        assert registry.damage(session, len(found)) is None


def test_two_processes_append_to_two_sessions_at_once(registry: Registry, file: Path) -> None:
    sessions = [start(registry), start(registry)]
    writers = [child(APPEND_FOR_EVER, file, session) for session in sessions]
    try:
        for _ in range(300):
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    for session in sessions:
        found = seqs(registry, session)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= 900


def test_processes_that_start_together_make_one_registry_and_get_an_id_each(file: Path) -> None:
    script = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from parexec_tui.registry.registry import Registry

print(flush=True)
sys.stdin.readline()
with Registry.open(Path(sys.argv[1])) as registry:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    what = {"name": "Build", "plan": b"{}", "source": "", "workdir": "", "boot": "", "pid": 1}
    print(registry.start_session(now, folder=str, **what))
"""
    starters = [child(script, file) for _ in range(6)]
    for starter in starters:
        assert starter.stdout is not None
        starter.stdout.readline()
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
        starter.stdin.flush()
    ids = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert ids == {"exec_20260102_030405", *(f"exec_20260102_030405_{n}" for n in range(2, 7))}
