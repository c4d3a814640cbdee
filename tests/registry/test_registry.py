"""The registry against real files and real processes."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parexec_tui.registry import registry as module
from parexec_tui.registry.access import lock_file
from parexec_tui.registry.errors import RegistryError, RegistryMissing, SessionExists
from parexec_tui.registry.registry import AttemptFact, Counts, Damage, Entry, EventRow, Registry, new_session_id

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(file: Path) -> Iterator[Registry]:
    with Registry.open(file) as registry:
        yield registry


def start(registry: Registry, *, name: str = "Build", now: datetime = NOW) -> str:
    return registry.start_session(
        now,
        name=name,
        plan=b'{"name":"Build"}',
        source="/w/plan.toml",
        folder=lambda session: f"/state/{session}",
        workdir="/w",
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
from parexec_tui.registry.registry import AttemptFact, Counts, Registry

file, session = sys.argv[1:]
registry = Registry.open(Path(file))
for seq in count(1, 3):
    entries = [(s, float(s), "Noted", b'{"seq":%d}' % s) for s in range(seq, seq + 3)]
    facts = [AttemptFact("T", seq, "a", 0.0)]
    registry.append(session, entries, counts=Counts(0, seq + 2, 0), attempts=facts)
    print(seq + 2, flush=True)
"""


# What is written can be read.


def test_events_come_back_in_order(registry: Registry) -> None:
    session = start(registry)
    registry.append(session, entries(1, 2))
    registry.append(session, entries(3, 5))
    assert list(registry.events(session))[1:3] == [
        EventRow(2, AT + 2, "Noted", b'{"seq":2}'),
        EventRow(3, AT + 3, "Noted", b'{"seq":3}'),
    ]
    assert seqs(registry, session) == [1, 2, 3, 4, 5]
    assert seqs(registry, session, after=3) == [4, 5]
    assert seqs(registry, session, after=5) == []
    assert registry.last_seq(session) == 5
    assert registry.damage(session, 5) is None


@pytest.mark.parametrize("page", [1, 2, 7, 100])
@pytest.mark.parametrize("limit", [None, 0, 1, 6, 7, 8, 99])
def test_reading_by_pages_is_not_seen(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, page: int, limit: int | None
) -> None:
    monkeypatch.setattr(module, "_PAGE_OF_EVENTS", page)
    session = start(registry)
    registry.append(session, entries(1, 14))
    expected = list(range(3, 15))[:limit]
    assert [row.seq for row in registry.events(session, after=2, limit=limit)] == expected


def test_whoever_reads_slowly_sees_what_is_appended_meanwhile(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE_OF_EVENTS", 2)
    session = start(registry)
    registry.append(session, entries(1, 2))
    reader = registry.events(session)
    next(reader)
    registry.append(session, entries(3, 4))
    assert [row.seq for row in reader] == [2, 3, 4]


def test_a_session_and_its_plan_come_back(registry: Registry) -> None:
    session = start(registry)
    row = registry.session(session)
    assert (row.session, row.name, row.source) == ("exec_20260102_030405", "Build", "/w/plan.toml")
    assert (row.folder, row.workdir) == ("/state/exec_20260102_030405", "/w")
    assert (row.started, row.boot, row.pid) == (AT, "b00t", 42)
    assert (row.status, row.ended, row.total, row.succeeded, row.failed) == ("running", None, 0, 0, 0)
    assert registry.plan(session) == b'{"name":"Build"}'


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


def test_another_engine_takes_over(registry: Registry) -> None:
    session = start(registry)
    registry.take_over(session, boot="other", pid=77)
    row = registry.session(session)
    assert (row.boot, row.pid) == ("other", 77)


def test_history_is_the_median_of_the_latest_successes(registry: Registry) -> None:
    def run(name: str, *ends: tuple[str, float, str]) -> str:
        session = start(registry, name=name)
        facts = [AttemptFact(t, n, "a", AT, AT + seconds, end) for n, (t, seconds, end) in enumerate(ends)]
        registry.append(session, [], attempts=facts)
        return session

    run("Build", ("A", 1000, "succeeded"))  # too long ago
    for seconds in (1, 2, 3, 4):
        run("Build", ("A", seconds, "succeeded"), ("A", 500, "failed"))
    newest = run("Build", ("A", 9, "succeeded"), ("B", 7, "succeeded"))
    run("Build", ("A", 800, "failed"))  # tells nothing
    start(registry)
    run("Other", ("A", 600, "succeeded"))
    assert registry.history("Build") == {"A": 3, "B": 7}
    assert registry.history("Build", sessions=1) == {"A": 9, "B": 7}
    assert registry.history("Build", besides=newest) == {"A": 3}
    assert registry.history("Never run") == {}


# Sessions have ids that people can type.


def test_ids_say_when_and_count_on() -> None:
    assert new_session_id(NOW, ()) == "exec_20260102_030405"
    assert new_session_id(NOW, {"exec_20260102_030405"}) == "exec_20260102_030405_2"
    assert new_session_id(NOW, {"exec_20260102_030405", "exec_20260102_030405_2"}) == "exec_20260102_030405_3"


def test_an_id_is_taken_once(registry: Registry) -> None:
    session = start(registry)
    with pytest.raises(SessionExists, match=session):
        registry.create_session(session, name="", plan=b"", source="", folder="", workdir="", at=AT, boot="", pid=1)
    assert [start(registry), start(registry)] == [f"{session}_2", f"{session}_3"]
    assert registry.session(f"{session}_3").folder == f"/state/{session}_3"
    assert [row.session for row in registry.sessions()] == [f"{session}_3", f"{session}_2", session]


@pytest.mark.parametrize(
    "text",
    [
        "exec_20260102_030405",
        "exec_20260102",
        "20260102",
        "030405",
        "5",
        "Build",
    ],
)
def test_a_session_is_found_by_what_people_type(registry: Registry, text: str) -> None:
    session = start(registry)
    start(registry, name="Docs", now=NOW.replace(day=3, second=6))
    assert registry.resolve(text).session == session


def test_an_exact_id_wins_over_longer_ones(registry: Registry) -> None:
    session = start(registry)
    start(registry)
    assert registry.resolve(session).session == session


def test_what_is_not_one_session_lists_candidates(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="no sessions yet"):
        registry.resolve("exec")
    for _ in range(7):
        start(registry)
    with pytest.raises(RegistryError, match=r"'exec' may be any of 7 sessions: .*_7 \(Build\), .*, \.\.\."):
        registry.resolve("exec")
    for text in ("nothing", ""):
        with pytest.raises(RegistryError, match=f"no session '{text}'; the latest are .*_7"):
            registry.resolve(text)


def test_a_session_that_is_unknown_is_said(registry: Registry) -> None:
    for ask in (registry.session, registry.plan, registry.attempts, registry.last_seq):
        with pytest.raises(RegistryError, match="no session 'nope'"):
            ask("nope")
    with pytest.raises(RegistryError, match="no session 'nope'"):
        registry.append("nope", entries(1, 1))


# All or nothing.


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


# Files that are not as they should be.


def test_a_registry_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "state" / "parexec" / "registry.db"
    with Registry.open(file) as registry:
        start(registry)
        made = sorted(file.parent.iterdir())
        assert [path.name for path in made] == [
            "registry.db",
            "registry.db-shm",
            "registry.db-wal",
            "registry.db.lock",
        ]
        assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_missing_file_cannot_be_read_and_is_not_made(file: Path) -> None:
    with pytest.raises(RegistryMissing):
        Registry.open(file, read_only=True)
    assert not file.exists()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("garbage", [b"garbage " * 1000, b"?", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_not_a_registry_is_left_untouched(file: Path, garbage: bytes, read_only: bool) -> None:
    file.write_bytes(garbage)
    with pytest.raises(RegistryError, match="left untouched") as refused:
        Registry.open(file, read_only=read_only)
    assert str(file) in str(refused.value)
    assert file.read_bytes() == garbage
    assert sorted(file.parent.iterdir()) == [file, lock_file(file)]


def test_damage_inside_the_file_is_said_when_it_is_met(file: Path) -> None:
    with Registry.open(file) as registry:
        session = start(registry)
        registry.append(session, entries(1, 5000))
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size // 2)
        raw.write(b"\xff" * 20_000)
    before = file.read_bytes()
    with Registry.open(file) as registry, pytest.raises(RegistryError, match=f"{file}: it is damaged"):
        list(registry.events(session))
    assert file.read_bytes() == before


def test_a_folder_in_the_place_of_the_file_is_said(file: Path) -> None:
    file.mkdir()
    with pytest.raises(RegistryError, match=f"{file}: it cannot be opened"):
        Registry.open(file)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RegistryError, match="cannot be created"):
        Registry.open(tmp_path / "state" / "registry.db")


def test_writing_what_may_only_be_read_is_said(file: Path) -> None:
    with Registry.open(file) as registry:
        session = start(registry)
    with Registry.open(file, read_only=True) as reader:
        with pytest.raises(RegistryError, match=f"{file}: it may not be written to"):
            reader.append(session, entries(1, 1))
        assert seqs(reader, session) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not stop root")
def test_a_folder_without_write_permission_is_said(file: Path) -> None:
    file.parent.chmod(0o500)
    try:
        with pytest.raises(RegistryError, match="cannot be created: Permission denied"):
            Registry.open(file)
    finally:
        file.parent.chmod(0o700)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM events WHERE seq = 3", "event 3 is missing; the next is 4"),
        ("UPDATE events SET data = '{\"cut' WHERE seq = 3", "event 3 (Noted) is not valid JSON"),
        ("UPDATE events SET data = X'FF00' WHERE seq = 3", "event 3 (Noted) is not valid JSON"),
        ("UPDATE events SET data = '' WHERE seq = 3", "event 3 (Noted) is not valid JSON"),
        ("UPDATE events SET data = '{}{}' WHERE seq = 3", "event 3 (Noted) is not valid JSON"),
    ],
)
def test_events_end_before_one_that_is_bad_and_the_session_goes_on_from_there(
    registry: Registry, file: Path, statement: str, why: str
) -> None:
    session, other = start(registry), start(registry)
    registry.append(session, entries(1, 6))
    registry.append(other, entries(1, 2))
    spoil(file, statement)

    assert seqs(registry, session) == [1, 2]
    damage = registry.damage(session, 2)
    assert damage is not None
    assert damage.seq == 3
    assert damage.why.startswith(why)

    moved = registry.quarantine_tail(session, damage.seq, damage.why)
    kept = registry._db.execute("SELECT seq, why FROM quarantine ORDER BY seq").fetchall()
    assert kept == [(seq, damage.why) for seq in range(7 - moved, 7)]
    assert registry.damage(session, 2) is None
    registry.append(session, entries(3, 4))
    assert seqs(registry, session) == [1, 2, 3, 4]
    assert seqs(registry, other) == [1, 2]


def test_a_session_whose_first_event_is_bad_starts_over(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 2))
    spoil(file, "DELETE FROM events WHERE seq = 1")
    assert seqs(registry, session) == []
    assert registry.damage(session, 0) == Damage(1, "event 1 is missing; the next is 2")
    assert registry.quarantine_tail(session, 1, "gap") == 1
    registry.append(session, entries(1, 1))


def test_data_that_somebody_put_right_by_hand_is_read(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 1))
    spoil(file, 'UPDATE events SET data = \'{"by": "hand"}\'')
    assert [row.data for row in registry.events(session)] == [b'{"by": "hand"}']


def test_every_prefix_of_what_reached_the_disk_is_a_valid_session(file: Path, tmp_path: Path) -> None:
    """Power fails: the write-ahead log ends anywhere."""
    with Registry.open(file) as registry:
        session = start(registry)
        registry.checkpoint()
        for seq in range(1, 40, 2):
            registry.append(session, entries(seq, seq + 1), counts=Counts(0, seq + 1, 0))
        log = file.with_name("registry.db-wal").read_bytes()
        copy = tmp_path / "copy"
        lengths = set()
        for size in [*range(64), *range(64, len(log), 509), len(log)]:
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            shutil.copy(file, copy)
            (copy / "registry.db-wal").write_bytes(log[:size])
            with Registry.open(copy / "registry.db") as reopened:
                found = seqs(reopened, session)
                assert found == list(range(1, len(found) + 1))
                assert reopened.session(session).succeeded == len(found)
                reopened.append(session, entries(len(found) + 1, len(found) + 1))
            lengths.add(len(found))
    assert lengths == set(range(0, 41, 2))


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


# The write-ahead log.


def log_size(file: Path) -> int:
    return file.with_name("registry.db-wal").stat().st_size


def test_the_log_starts_over_after_a_checkpoint(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 2000))
    size = log_size(file)
    for first in range(2001, 20_000, 2000):
        registry.checkpoint()
        registry.append(session, entries(first, first + 1999))
    assert log_size(file) < 2 * size
    assert len(seqs(registry, session)) == 20_000


def test_writers_are_made_to_wait_only_once_the_log_is_large(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def modes() -> list[str]:
        said: list[str] = []
        db = sqlite3.connect(file, isolation_level=None)
        db.set_trace_callback(said.append)
        module._checkpoint(db)
        db.close()
        return [line.partition("wal_checkpoint")[2] for line in said if "wal_checkpoint" in line]

    session = start(registry)
    registry.append(session, entries(1, 100))
    assert modes() == ["(PASSIVE)"]
    monkeypatch.setattr(module, "LARGE_WAL", log_size(file) // 2)
    assert modes() == ["(PASSIVE)", "(RESTART)"]
    registry.append(session, entries(101, 101))
    assert modes() == ["(PASSIVE)"]


def test_a_checkpoint_in_a_thread_gets_in_nobodys_way(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE_WAL", 64 * 1024)
    session = start(registry)
    done = 0
    enough = threading.Event()

    def keep_small() -> None:
        nonlocal done
        while not enough.is_set():
            registry.checkpoint()
            done += 1

    thread = threading.Thread(target=keep_small)
    thread.start()
    last = 0
    try:
        while done < 50 and thread.is_alive():
            last += 1
            registry.append(session, entries(last, last))
    finally:
        enough.set()
        thread.join()
    assert done >= 50
    assert len(seqs(registry, session)) == last


def test_a_checkpoint_leaves_no_log_unread(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 10))
    registry.checkpoint()
    with Registry.open(file, read_only=True) as reader:
        assert seqs(reader, session) == list(range(1, 11))


def test_a_reader_finds_all_after_the_writer_closed(file: Path) -> None:
    with Registry.open(file) as registry:
        session = start(registry)
        registry.append(session, entries(1, 3))
    assert sorted(file.parent.iterdir()) == [file, lock_file(file)]
    with Registry.open(file, read_only=True) as reader:
        assert seqs(reader, session) == [1, 2, 3]
        assert reader.sessions()[0].session == session
