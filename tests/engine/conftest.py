"""After every test of the engine, whatever it left running is ended. And a clock that knows of threads."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from trio.testing import MockClock

from tests.engine.engines import Engine
from tests.engine.virtual_time import WaitedThreads


@pytest.fixture(autouse=True)
def nothing_runs_on(own_state_home: Path) -> Iterator[None]:
    yield
    while Engine.running:
        Engine.running.pop().kill()
    mine = f"XDG_STATE_HOME={own_state_home}".encode()
    for pid in psutil.pids():
        with suppress(OSError):
            if pid != os.getpid() and mine in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def threads(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> WaitedThreads:
    """For a test that asks for `autojump_clock` as well, and whose tasks wait for threads."""
    return WaitedThreads(autojump_clock, monkeypatch)
