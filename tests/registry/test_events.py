"""Events come back in order, up to the first that is bad."""

import shutil
from pathlib import Path

import pytest

from parexec_tui.registry import events as module
from parexec_tui.registry.events import Damage, EventRow
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import Counts
from tests.registry.registries import AT, entries, seqs, spoil, start


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
