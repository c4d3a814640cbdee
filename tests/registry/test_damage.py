"""Damage is found, named and never executed, and what is not damaged can still be read."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.paths import registry_file
from parexec_tui.registry import checksums
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.errors import RegistryDamaged, RegistryError
from parexec_tui.registry.registry import Registry
from tests.registry import bit_flips
from tests.registry.registries import entries, seqs, spoil, start


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(file: Path) -> Iterator[Registry]:
    with Registry.open(file) as registry:
        yield registry


@pytest.mark.timeout(300)
def test_no_wrong_bit_ends_in_a_traceback_or_in_a_damaged_command(tmp_path: Path) -> None:
    scene = bit_flips.prepare(tmp_path / "scene")
    bits = bit_flips.used_bits(registry_file())
    for bit in random.Random(10).sample(bits, 14):  # many: python -m tests.registry.bit_flips
        assert bit_flips.attempt(scene, bit).faults == [], f"bit {bit}"


@pytest.mark.parametrize(
    "change",
    [
        "data = CAST(replace(CAST(data AS TEXT), '3', '4') AS BLOB)",
        "at = at + 1",
        "kind = 'Noticed'",
        "checksum = checksum + 1",
    ],
)
def test_an_event_that_is_not_what_was_written_ends_the_journal(registry: Registry, file: Path, change: str) -> None:
    session = start(registry)
    registry.append(session, entries(1, 6))
    spoil(file, f"UPDATE events SET {change} WHERE seq = 3")
    assert seqs(registry, session) == [1, 2]
    damage = registry.damage(session, 2)
    assert damage is not None
    assert damage.why.endswith("is damaged: its checksum is wrong")


def test_an_event_of_another_session_is_noticed(registry: Registry, file: Path) -> None:
    one, other = start(registry), start(registry)
    registry.append(one, entries(1, 3))
    registry.append(other, entries(1, 2))
    spoil(file, "DELETE FROM events WHERE session = 1 AND seq = 3")
    spoil(file, "UPDATE events SET session = 1, seq = 3 WHERE session = 2 AND seq = 2")
    assert seqs(registry, one) == [1, 2]


def test_the_loss_of_the_last_events_is_noticed_and_the_session_goes_on(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 6))
    spoil(file, "DELETE FROM events WHERE seq > 4")
    damage = registry.damage(session, 4)
    assert damage is not None
    assert (damage.seq, damage.why) == (5, "event 5 is missing; there were 6")
    assert registry.quarantine_tail(session, 5, damage.why) == 0
    assert registry.damage(session, 4) is None


@pytest.mark.parametrize("change", ["plan = X'7B7D'", "plan = 'text'", "plan = 5", "checksum = 1"])
def test_a_damaged_plan_is_refused(registry: Registry, file: Path, change: str) -> None:
    session, other = start(registry), start(registry)
    spoil(file, f"UPDATE plans SET {change} WHERE session = 1")
    with pytest.raises(RegistryDamaged, match=f"nothing of {session} is run"):
        registry.plan(session)
    assert registry.plan(other)


@pytest.mark.parametrize(
    "change",
    ["workdir = '/elsewhere'", "name = X'FF'", "started = 1e300", "total = 'many'", "session = session || 'x'"],
)
def test_a_damaged_entry_hides_no_other(registry: Registry, file: Path, change: str) -> None:
    session, other = start(registry), start(registry)
    spoil(file, f"UPDATE sessions SET {change} WHERE number = 1")
    found, unreadable = registry.list_sessions()
    assert [row.session for row in found] == [other]
    (said,) = unreadable
    assert "(number 1) is damaged" in said
    with pytest.raises(RegistryError):
        registry.plan(session)
    with pytest.raises(RegistryDamaged, match="among those that can be read"):
        registry.resolve("something")


def test_an_index_that_leads_to_another_session_runs_nothing_of_it(registry: Registry, file: Path) -> None:
    """As a wrong bit in the index of ids does."""
    one, other = start(registry), start(registry)
    spoil(file, "UPDATE sessions SET session = 'x' WHERE number = 1")
    spoil(file, f"UPDATE sessions SET session = '{one}' WHERE number = 2")
    with pytest.raises(RegistryDamaged, match="number 2"):
        registry.plan(one)
    assert other


def test_rows_without_checksums_are_read_as_before(registry: Registry, file: Path) -> None:
    session = start(registry)
    registry.append(session, entries(1, 3))
    for table in ("sessions", "plans", "events"):
        spoil(file, f"UPDATE {table} SET checksum = NULL")
    registry.append(session, entries(4, 5))
    assert seqs(registry, session) == [1, 2, 3, 4, 5]
    assert registry.plan(session)
    assert [registry.has_checksum(session, seq) for seq in (3, 4)] == [False, True]


@pytest.mark.parametrize("change", ["'cpu_seconds', 'cpu_seconda'", "'attempts', 'attemptz'"])
def test_tables_that_are_not_what_they_were_are_damage(file: Path, change: str) -> None:
    """A wrong bit in a name: SQLite calls it an error like any other, and trying again would not help."""
    with Registry.open(file) as registry:
        session = start(registry)
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(f"UPDATE sqlite_master SET sql = replace(sql, {change}) WHERE name = 'attempts'")
    db.close()
    fact = AttemptFact("a", 1, "agent-1", 1.0, 2.0, "failed", 1, None, "exit 1", "a.1.log", 5, 0.1)
    with pytest.raises(RegistryDamaged), Registry.open(file) as registry:
        registry.append(session, entries(1, 2), attempts=[fact])


def test_a_checksum_depends_on_every_part() -> None:
    event = (1, 2, 3.0, "kind", b"data")
    for place, other in enumerate((2, 3, 3.5, "kinds", b"date")):
        changed = (*event[:place], other, *event[place + 1 :])
        assert checksums.of_event(*changed) != checksums.of_event(*event)  # type: ignore[arg-type]


def test_what_sqlite_cannot_read_hides_nothing_before_it(file: Path) -> None:
    with Registry.open(file) as registry:
        session = start(registry)
        registry.append(session, entries(1, 5000))
    db = sqlite3.connect(file)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size * 3 // 4)
        raw.write(b"\xff" * 20_000)
    found: list[int] = []
    with Registry.open(file) as registry:
        with pytest.raises(RegistryDamaged):
            found.extend(row.seq for row in registry.events(session))
        damage = registry.damage(session, len(found))
    assert found == list(range(1, len(found) + 1))
    assert found
    assert damage is not None
    assert "it is damaged" in damage.why
