"""Folders of their own for attempts: made, removed, and kept within a budget after a failure."""

import os
from pathlib import Path

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.local.temporary import Temporary
from parexec_tui.paths import SessionFolder

KIB = 1024


def key(ticket: str, attempt: int = 1) -> ProcessKey:
    return ProcessKey(ticket, attempt)


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    return SessionFolder(tmp_path)


@pytest.fixture
def temporary(folder: SessionFolder) -> Temporary:
    return Temporary(folder)


def write(folder: SessionFolder, at: ProcessKey, size: int, order: int) -> Path:
    tmp = folder.tmp(at.ticket, at.attempt)
    (tmp / "file").write_bytes(b"x" * size)
    os.utime(tmp, (order, order))
    return tmp


def test_what_succeeded_leaves_nothing_of_thousands_of_files(folder: SessionFolder, temporary: Temporary) -> None:
    temporary.make(key("T"))
    tmp, scratch = folder.tmp("T", 1), folder.scratch("T")
    assert temporary.variables(key("T")) == {"TMPDIR": str(tmp), "PAREXEC_SCRATCH": str(scratch)}
    assert tmp.stat().st_mode & 0o777 == scratch.stat().st_mode & 0o777 == 0o700
    for number in range(3000):
        os.close(os.open(tmp / str(number), os.O_CREAT))
    (tmp / "outside").symlink_to(folder.path)
    temporary.leave(key("T"), None)
    assert not tmp.exists()
    assert not scratch.exists()
    assert folder.path.exists(), "no link is followed"


def test_what_failed_is_kept_the_newest_within_the_budget(folder: SessionFolder, temporary: Temporary) -> None:
    kept = []
    for order, ticket in enumerate("ABC"):
        temporary.make(key(ticket))
        kept.append(write(folder, key(ticket), 40 * KIB, order))
        temporary.leave(key(ticket), 100 * KIB)
    assert [tmp.exists() for tmp in kept] == [False, True, True]
    assert folder.scratch("C").exists(), "its next attempt goes on there"
    temporary.make(key("D"))
    runs = write(folder, key("D"), 90 * KIB, 0)
    temporary.make(key("E"))
    last = write(folder, key("E"), 60 * KIB, 9)
    temporary.leave(key("E"), 100 * KIB)
    assert [tmp.exists() for tmp in (*kept, runs, last)] == [False, False, False, True, True], "one that runs stays"
    temporary.leave(key("D"), 0)
    assert not runs.exists()


def test_what_is_empty_or_gone_or_another_thing_is_no_trouble(folder: SessionFolder, temporary: Temporary) -> None:
    for number in (1, 2, 3):
        temporary.make(key("T", number))
    temporary.leave(key("T", 1), KIB)
    assert not folder.tmp("T", 1).exists(), "there was nothing to keep"
    folder.tmp("T", 2).rmdir()
    temporary.leave(key("T", 2), KIB)
    folder.tmp("T", 3).rmdir()
    folder.tmp("T", 3).symlink_to(folder.path)
    temporary.leave(key("T", 3), 0)
    assert not folder.tmp("T", 3).is_symlink()
    assert folder.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_what_an_attempt_made_unwritable_is_removed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for above in tmp_path.parents:
        if above.stat().st_uid == 0 and "pytest" in str(above):
            above.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    temporary, folder = Temporary(SessionFolder(home)), SessionFolder(home)
    os.seteuid(12345)
    try:
        temporary.make(key("T"))
        inner = folder.tmp("T", 1) / "a" / "b"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        inner.chmod(0o500)
        inner.parent.chmod(0o000)
        temporary.leave(key("T"), 0)
        assert not folder.tmp("T", 1).exists()
    finally:
        os.seteuid(0)
