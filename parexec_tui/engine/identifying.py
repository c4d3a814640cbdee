"""Which processes are to be noted in the registry, and when."""

import math
from collections import deque
from collections.abc import Callable

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.backend import Backend

IDENTIFY_AFTER = 0.05
"""Seconds after which a process is noted in the registry. Until then its exit record, which has its pid as well,
is enough to find it; most short attempts are over by then, and need neither an event nor a look at the process."""


class Identifying:
    """Has the backend tell of each process that is not over soon."""

    def __init__(self, state: SessionState, backend: Backend, now: Callable[[], float]) -> None:
        self._state = state
        self._backend = backend
        self._now = now
        self._began: deque[tuple[float, ProcessKey]] = deque()
        """(when to note it, process), in order"""

    def began(self, key: ProcessKey) -> None:
        """A process was started."""
        self._began.append((self._now() + IDENTIFY_AFTER, key))

    @property
    def next(self) -> float:
        """When the next one is due; infinity if there is none."""
        return self._began[0][0] if self._began else math.inf

    def fire(self, now: float) -> None:
        """Ask who the processes are that are due, and still of interest."""
        while self._began and self._began[0][0] <= now:
            _, key = self._began.popleft()
            if key.service or self._is_unknown(key):
                self._backend.identify(key)

    def _is_unknown(self, key: ProcessKey) -> bool:
        ticket = self._state.live.get(key.ticket)
        if ticket is None or ticket.attempts != key.attempt:
            return False
        return ticket.live_attempt.step == key.step and ticket.live_attempt.pid is None
