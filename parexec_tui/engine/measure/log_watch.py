"""Keeps what tickets print within bounds: a log that is longer than the plan's `max_log` is cut in its middle.

The output of a process goes straight to its file, so all that can be done is to look at sizes, again and again. What
ended is looked at once more. A look costs one system call for each attempt.
"""

from collections.abc import Callable, Sequence

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, LogReading

LONGEST, SHORTEST = 1.0, 0.05
"""Seconds between two looks: fewer while logs grow fast."""

BUDGET = 0.01
"""Share of a CPU that looks may use."""

OVERSHOOT = 256 * 2**20
"""Bytes that logs may grow between two looks, as far as looks can be that often."""


class LogWatch:
    """Looks at the logs of a session for as long as its engine runs."""

    def __init__(
        self, backend: Backend, state: SessionState, submit: Callable[[Sequence[rq.AnyReport]], None]
    ) -> None:
        self._backend = backend
        self._state = state
        self._submit = submit
        self._one = trio.Lock()
        self._sizes: dict[ProcessKey, int] = {}
        """As the last look found them."""
        self._at = trio.current_time()
        """When that was."""
        self._uncut = set[ProcessKey]()
        """What could not be cut."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        pause = LONGEST
        while True:
            await trio.sleep(pause)
            pause = await self.look()

    async def look(self) -> float:
        """Look once; returns the seconds until the next look should follow."""
        async with self._one:
            try:
                reading = await self._backend.log_sizes()
            except OSError:  # no thread can be had
                return LONGEST
            reports = [report for log in reading.logs if (report := await self._cut(log.key, log.kept)) is not None]
            self._submit(reports)
            return self._pause(reading)

    async def _cut(self, key: ProcessKey, kept: int) -> rq.LogTooLong | None:
        """Cut a log if it is too long; what there is to say of that."""
        limit = self._limit(key)
        if not limit or kept <= limit or key in self._uncut:
            return None
        try:
            left_out = await self._backend.cut_log(key, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._uncut.add(key)
            problem = (error.strerror or str(error)).lower()
            return rq.LogTooLong(key.ticket, key.attempt, 0, limit, problem, step=key.step)
        return rq.LogTooLong(key.ticket, key.attempt, left_out, limit, step=key.step) if left_out else None

    def _limit(self, key: ProcessKey) -> int:
        """The `max_log` of a process; 0: none."""
        ticket = self._state.tickets.get(key.ticket)
        own = ticket.spec.max_log if ticket is not None else None
        return self._state.plan.settings.max_log if own is None else own

    def _pause(self, reading: LogReading) -> float:
        now, before = trio.current_time(), self._sizes
        self._sizes = {log.key: log.size for log in reading.logs}
        grown = sum(max(0, log.size - before.get(log.key, 0)) for log in reading.logs)
        rate = grown / max(now - self._at, SHORTEST)
        self._at = now
        pause = min(LONGEST, OVERSHOOT / rate) if rate else LONGEST
        return max(pause, SHORTEST, reading.cost / BUDGET)
