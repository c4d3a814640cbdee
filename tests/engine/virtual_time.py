"""Virtual time for what runs partly in threads.

trio's own clock that jumps does not see threads: a task that waits for one counts as waiting for time, so virtual
time flies while the thread works: the slower the machine, the further.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock


class WaitedThreads:
    """Stops a clock that jumps while a task waits for a thread."""

    def __init__(self, clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hang = False
        """Threads do not come back, so time passes."""
        self._clock = clock
        self._waiting = 0
        self._run_sync = trio.to_thread.run_sync
        monkeypatch.setattr(trio.to_thread, "run_sync", self._run_in_thread)

    async def _run_in_thread(self, *arguments: Any, **options: Any) -> Any:
        self._waiting += 1
        self._set_clock()
        try:
            return await self._run_sync(*arguments, **options)
        finally:
            self._waiting -= 1
            self._set_clock()

    def _set_clock(self) -> None:
        self._clock.autojump_threshold = math.inf if self._waiting and not self.hang else 0


async def until(condition: Callable[[], object], what: str, within: float = 20.0) -> None:
    """Let virtual time go on until it is so, for at most so many seconds of real time."""
    give_up = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up, f"waited {within:g}s in vain: {what}"
        await trio.sleep(0.1)
