"""The file of the registry: what is wrong with it is said, and its log does not grow for ever."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from parexec_tui.registry import database as module
from parexec_tui.registry.access import lock_file
from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.registry import Registry
from tests.registry.registries import entries, seqs, start


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
