"""Keeps what tickets print within bounds, so that it does not fill the disk.

A log that is longer than the plan's `max_log` is cut in its middle. An attempt whose log would nevertheless bring the
disk below `min_free_disk` is stopped. What it finds tells as well how long a command has printed nothing.

The output of a process goes straight to its file, so all that can be done is to look at sizes, again and again: the
more often, the faster logs grow and the less room there is. What ended is looked at once more. A look costs one
system call for each attempt.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import trio
from msgspec import Struct

from parexec_tui.agents.brief import STREAM_LIMIT
from parexec_tui.core.plan.plan_settings import MIN_LOG
from parexec_tui.core.rules.flood import Disk, Growth, has_filled, is_flood, is_full, worst_flood
from parexec_tui.core.rules.reports.host import RELIEF
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, LogReading, LogSize
from parexec_tui.engine.measure.silence import SilenceWatch

LONGEST, QUIET, SHORTEST = 1.0, 0.2, 0.05
"""Seconds between two looks: at most; at least, while no log grows; at least."""

BUDGET = 0.01
"""Share of a CPU that looks may use."""

OVERSHOOT = 256 * 2**20
"""Bytes that logs may grow between two looks, as far as looks can be that often."""

FASTEST = 4 * 2**30
"""Bytes a second: what a log that does not grow yet could grow by, once it begins."""

WINDOW = 0.9
"""Seconds over which growth is measured: a short burst is no flood."""

_OF_FLOOR = 8
"""Of a log that filled the disk, this part of `min_free_disk` is kept, so that there is room again."""


class _Look(Struct, frozen=True):
    """What a look found."""

    at: float
    sizes: dict[ProcessKey, int]
    free: int | None
    cut: int
    """Bytes that this engine had given back to the disk until then."""


class LogWatch:
    """Looks at the logs of a session for as long as its engine runs."""

    def __init__(
        self,
        backend: Backend,
        state: SessionState,
        submit: Callable[[Sequence[rq.AnyReport]], None],
        now: Callable[[], float],
    ) -> None:
        """What lives already was started by an engine before this one: nobody knows when its log grew.

        `now`: seconds since the epoch, as events have them.
        """
        self._now = now
        self._backend = backend
        self._state = state
        self._submit = submit
        self._one = trio.Lock()
        self._adopted = frozenset(backend.living())
        self._looks = deque([_Look(trio.current_time(), {}, None, 0)])
        """Those of the last moments, and one that is older than the window."""
        self._cut_away = 0
        self._uncut = set[ProcessKey]()
        """What could not be cut."""
        self._killed = set[ProcessKey]()
        self._silence = SilenceWatch(state, now)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        pause = await self.look()
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
            rates, cut_before = self._rates(reading), self._cut_away
            floods = list(self._floods(reading, rates))
            if floods:
                self._submit(floods)
            self._submit(self._silence.look(reading.logs))
            self._submit([report for log in reading.logs if (report := await self._cut(log, reading)) is not None])
            self._remember(reading, cut_before)
            return SHORTEST if floods else self._pause(reading, sum(rates.values()))

    # -- how fast they grow ----------------------------------------------------------------------------------

    def _rates(self, reading: LogReading) -> dict[ProcessKey, float]:
        """Bytes a second by which each log grew in the window."""
        now = trio.current_time()
        while len(self._looks) > 1 and self._looks[1].at <= now - WINDOW:
            self._looks.popleft()
        then = self._looks[0]
        seconds = max(WINDOW, now - then.at)
        return {
            log.key: max(0, log.written - then.sizes.get(log.key, log.written if log.key in self._adopted else 0))
            / seconds
            for log in reading.logs
        }

    def _remember(self, reading: LogReading, cut_before: int) -> None:
        sizes = {log.key: log.written for log in reading.logs}
        self._looks.append(_Look(trio.current_time(), sizes, reading.free, cut_before))

    def _pause(self, reading: LogReading, rate: float) -> float:
        pause = min(LONGEST, OVERSHOOT / rate) if rate else LONGEST
        floor = self._state.plan.settings.min_free_disk
        if floor and reading.free is not None:
            room = max(0, reading.free - floor)
            pause = min(pause, max(QUIET, room / FASTEST))
            if rate:
                pause = min(pause, room / rate / 4)
        return max(pause, SHORTEST, reading.cost / BUDGET)

    # -- floods ----------------------------------------------------------------------------------------------

    def _floods(self, reading: LogReading, rates: dict[ProcessKey, float]) -> Iterator[rq.LogFlooded]:
        """The attempts that are to be stopped now because of what they print."""
        floor, then = self._state.plan.settings.min_free_disk, self._looks[0]
        if not floor or reading.free is None:
            return
        logs = {log.key: log for log in reading.logs}
        stopping = {key for key in logs if (ticket := self._live(key)) and ticket.status is Status.stopping}
        running = {key for key in logs if (ticket := self._live(key)) and ticket.status is not Status.stopping}
        lost = 0.0
        if then.free is not None:
            lost = (then.free + self._cut_away - then.cut - reading.free) / max(WINDOW, trio.current_time() - then.at)
        disk = Disk(reading.free, floor, lost - sum(rates[key] for key in stopping))
        worst = worst_flood({key: Growth(rates[key], self._most(logs[key])) for key in running}, disk)
        if worst is None and is_full(disk):
            filled = [log for key, log in logs.items() if key in running and self._has_filled(log, disk)]
            worst = max(filled, key=lambda log: log.on_disk).key if filled else None
        if worst is not None:
            yield _flooded(logs[worst], now=reading.free < floor / 2)
        for key in stopping - self._killed:
            if reading.free < floor * RELIEF and is_flood(rates[key], disk):
                self._killed.add(key)
                yield _flooded(logs[key], now=True)

    def _live(self, key: ProcessKey) -> TicketState | None:
        """The ticket whose present step the process runs."""
        ticket = self._state.live.get(key.ticket)
        is_its = ticket is not None and ticket.attempts == key.attempt and ticket.live_attempt.step == key.step
        return ticket if is_its else None

    def _most(self, log: LogSize) -> float:
        """Bytes that the disk can lose to a log before it is cut."""
        limit = self._limit(log.key)
        if not limit or log.key in self._uncut:
            return float("inf")
        streams = 0 if log.told is None else max(0, 2 * STREAM_LIMIT - log.told)
        return max(0, limit - log.kept) + streams + OVERSHOOT

    # -- cutting ---------------------------------------------------------------------------------------------

    async def _cut(self, log: LogSize, reading: LogReading) -> rq.LogTooLong | None:
        """Cut a log if it is too long; what there is to say of that."""
        key, limit = log.key, self._kept_of(log, reading)
        if not limit or log.kept <= limit or key in self._uncut:
            return None
        try:
            left_out = await self._backend.cut_log(key, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._uncut.add(key)
            problem = (error.strerror or str(error)).lower()
            return rq.LogTooLong(key.ticket, key.attempt, 0, limit, problem, step=key.step)
        if not left_out:
            return None
        self._cut_away += max(0, log.kept - (log.size - left_out))
        return rq.LogTooLong(key.ticket, key.attempt, left_out, limit, step=key.step)

    def _limit(self, key: ProcessKey) -> int:
        """The `max_log` of a process; 0: none."""
        ticket = self._state.tickets.get(key.ticket)
        own = ticket.spec.max_log if ticket is not None else None
        return self._state.plan.settings.max_log if own is None else own

    def _kept_of(self, log: LogSize, reading: LogReading) -> int:
        """How much of a log is kept; 0: all."""
        limit, floor = self._limit(log.key), self._state.plan.settings.min_free_disk
        if not self._is_flood(log, reading.free):
            return limit
        little = max(MIN_LOG, floor // _OF_FLOOR)
        is_short = reading.free is not None and reading.free < floor * RELIEF
        return min(limit, little) if limit else little if is_short else 0

    def _is_flood(self, log: LogSize, free: int | None) -> bool:
        """Whether an attempt is, or was, stopped for what it printed, or has filled the disk before it ended.

        A service that has is not stopped: others use it.
        """
        disk = Disk(free, self._state.plan.settings.min_free_disk) if free is not None else None
        if (service := self._state.services.get(log.key.service)) is not None:
            return disk is not None and has_filled(log.kept, service.worked(self._now()), disk)
        ticket = self._state.tickets.get(log.key.ticket)
        if ticket is None or ticket.attempt is None or ticket.attempt.number != log.key.attempt:
            return False
        if ticket.attempt.stop_reason == "flooding":
            return True
        return disk is not None and ticket.attempt.ended is not None and self._has_filled(log, disk)

    def _has_filled(self, log: LogSize, disk: Disk) -> bool:
        """Whether the log of the last attempt of a ticket is why the disk is short."""
        attempt = self._state.tickets[log.key.ticket].attempt
        assert attempt is not None
        return has_filled(log.on_disk, attempt.worked(attempt.ended or self._now()), disk)


def _flooded(log: LogSize, *, now: bool) -> rq.LogFlooded:
    return rq.LogFlooded(log.key.ticket, log.key.attempt, log.written, now, step=log.key.step)
