"""The flock of a session, held against real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parexec_tui.registry.errors import RegistryError, SessionOwned
from parexec_tui.registry.lock import SessionLock, is_owned

ROOT = Path(__file__).parents[2]

OWNER = """
import subprocess, sys
from pathlib import Path
from parexec_tui.registry.lock import SessionLock

lock = SessionLock(Path(sys.argv[1]))
lock.acquire()
# A child that outlives its parent, as attempts do; it must not keep the lock.
child = subprocess.Popen(["sleep", "60"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def an_owner(lock: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lock, and the pid of a child it has."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(lock)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        try:
            yield owner, child
        finally:
            os.kill(child, 9)
            owner.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_session_has_one_owner_at_a_time(path: Path) -> None:
    with an_owner(path) as (owner, _):
        with pytest.raises(SessionOwned, match=str(owner.pid)) as refused:
            SessionLock(path).acquire()
        assert refused.value.pid == owner.pid
        assert is_owned(path)


def test_kill_9_frees_the_session_even_if_children_live_on(path: Path) -> None:
    with an_owner(path) as (owner, child):
        owner.kill()
        owner.wait()
        os.kill(child, 0)
        assert not is_owned(path)
        with SessionLock(path) as lock:
            assert lock.is_held
            assert path.read_text() == f"{os.getpid()}\n"


def test_release_frees_it_and_the_file_stays(path: Path) -> None:
    first = SessionLock(path)
    with first, pytest.raises(SessionOwned):
        SessionLock(path).acquire()
    assert not first.is_held
    assert path.exists()
    with SessionLock(path):
        assert is_owned(path)
    assert not is_owned(path)


def test_acquire_and_release_twice_is_harmless(path: Path) -> None:
    lock = SessionLock(path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert not is_owned(path)


def test_a_refused_lock_can_be_tried_again(path: Path) -> None:
    second = SessionLock(path)
    with SessionLock(path), pytest.raises(SessionOwned):
        second.acquire()
    with second:
        assert is_owned(path)


@pytest.mark.parametrize("inside", [b"", b"soon", b"\xff\xfe"])
def test_what_is_in_the_file_does_not_matter(path: Path, inside: bytes) -> None:
    with SessionLock(path):
        path.write_bytes(inside)
        with pytest.raises(SessionOwned, match="another process owns this session") as refused:
            SessionLock(path).acquire()
        assert refused.value.pid is None
    path.write_bytes(inside)
    with SessionLock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_nobody_owns_a_session_without_a_lock_file(path: Path) -> None:
    assert not is_owned(path)
    assert not path.exists()


def test_a_folder_that_is_missing_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"cannot lock the session: .*nowhere/lock"):
        SessionLock(tmp_path / "nowhere" / "lock").acquire()


def test_asking_who_owns_it_never_gets_in_the_way_of_an_owner(path: Path) -> None:
    """A viewer that asks all the time, as fast as it can."""
    ask = "import sys; from pathlib import Path; from parexec_tui.registry.lock import is_owned\n"
    ask += "print(flush=True)\nwhile True: is_owned(Path(sys.argv[1]))"
    path.touch()
    command = [sys.executable, "-c", ask, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as viewer:
        try:
            assert viewer.stdout is not None
            viewer.stdout.readline()
            for _ in range(200):
                with SessionLock(path):
                    pass
        finally:
            viewer.kill()
