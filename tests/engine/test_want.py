"""What only looks is tried again while this process has no descriptor left; and nothing crashes an engine for it."""

import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parexec_tui.engine.backends.local import cookie, orphans, process, record, remains
from parexec_tui.engine.passing import is_passing
from parexec_tui.engine.threads import in_thread
from parexec_tui.registry.errors import RegistryError

FOR = 0.2
"""Seconds."""


@contextmanager
def no_descriptor() -> Iterator[None]:
    """No file can be opened for a moment."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    later = threading.Timer(FOR, resource.setrlimit, (resource.RLIMIT_NOFILE, before))
    later.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        later.join()


LOOKS: dict[str, Callable[[Path], object]] = {
    "pids": lambda _: process.all_pids(),
    "birth": lambda _: process.birth_of(os.getpid()),
    "zombie": lambda _: not process.is_zombie(os.getpid()),
    "members": lambda _: process.members(os.getsid(0)) or True,
    "cookie": lambda _: cookie.cookie_in(os.getpid()) is None,
    "bearers": lambda _: cookie.bearers(["x"]) == {},
    "descendants": lambda _: list(orphans.with_descendants([os.getpid()])),
    "record": lambda file: record.read_record(file) == record.ExitRecord(pid=7),
    "void": lambda file: record.void_record(file.with_name("new")),
    "written": lambda file: remains.is_written(str(file)) is not True,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_it_is_tried_again(tmp_path: Path, look: Callable[[Path], object]) -> None:
    file = tmp_path / "a.1.exit"
    file.write_text("start 7\n")
    with no_descriptor():
        assert look(file)


@pytest.mark.trio
async def test_a_thread_tries_again(tmp_path: Path) -> None:
    with no_descriptor():
        assert await in_thread(os.listdir, str(tmp_path)) == []


def test_what_passes_and_what_does_not() -> None:
    full = OSError(28, "No space left on device")
    assert is_passing(full)
    assert is_passing(ExceptionGroup("", [full, MemoryError()]))
    assert not is_passing(ExceptionGroup("", [full, ValueError()]))
    assert not is_passing(FileNotFoundError(2, "No such file or directory"))
    assert not is_passing(RegistryError("no"))
    assert is_passing(ImportError("libx.so: cannot open shared object file: Too many open files"))
    assert not is_passing(ImportError("No module named x"))
    assert is_passing(RuntimeError("can't start new thread"))
