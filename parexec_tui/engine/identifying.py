"""Which processes are to be noted in the registry, and when."""

import math
from collections.abc import Callable
from heapq import heappop, heappush

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.backend import Backend

IDENTIFY_AFTER = 0.05
"""Seconds after which a process is noted in the registry. Until then its exit record, which has its pid as well,
is enough to find it; most short attempts are over by then, and need neither an event nor a look at the process."""

_AFTER_ON_HOST = 1.0
"""The same of a process on a host: it is found there by its key alone, and takes longer to begin and to end."""


class Identifying:
    """Has the backend tell of each process that is not over soon."""

    def __init__(self, state: SessionState, backend: Backend, now: Callable[[], float]) -> None:
        self._state = state
        self._backend = backend
        self._now = now
        self._began: list[tuple[float, ProcessKey]] = []
        """A heap of (when to note it, process)."""

    def began(self, key: ProcessKey) -> None:
        """A process was started."""
        after = _AFTER_ON_HOST if key.ticket in self._state.live_on else IDENTIFY_AFTER
        heappush(self._began, (self._now() + after, key))

    @property
    def next(self) -> float:
        """When the next one is due; infinity if there is none."""
        return self._began[0][0] if self._began else math.inf

    def fire(self, now: float) -> None:
        """Ask who the processes are that are due, and still of interest."""
        while self._began and self._began[0][0] <= now:
            _, key = heappop(self._began)
            if key.service or self._is_unknown(key):
                self._backend.identify(key)

    def _is_unknown(self, key: ProcessKey) -> bool:
        ticket = self._state.live.get(key.ticket)
        if ticket is None or ticket.attempts != key.attempt:
            return False
        return ticket.live_attempt.step == key.step and ticket.live_attempt.pid is None
