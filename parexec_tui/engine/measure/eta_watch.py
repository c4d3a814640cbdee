"""Notes now and then what the ETA says, so that a report can tell how good it was."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

import trio

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.measure.progress import told_now

FIRST: Final = 5.0
"""Seconds until it is asked for the first time."""

GROWTH: Final = 1.25
"""Then it is asked whenever so many times as long has passed: about 40 times in ten hours."""

_SHARE: Final = 1000
"""Between two times passes at least so many times what the first took."""


class EtaWatch:
    """Asks for the ETA of a session while it runs."""

    def __init__(
        self,
        state: SessionState,
        submit: Callable[[Sequence[rq.AnyReport]], None],
        end: EndKeeper,
    ) -> None:
        self._state = state
        self._submit = submit
        self._end = end

    async def run(self) -> None:
        began = trio.current_time()
        next_ = FIRST
        while True:
            await trio.sleep_until(began + next_)
            cost = 0.0
            if self._state.finished_at is None and self._state.live:
                told = await told_now(self._state)
                before = perf_counter()
                found = await self._end.eta(told)
                cost = perf_counter() - before
                if found is not None:
                    self._submit([rq.EtaFound(found.p50, found.p90)])
            passed = trio.current_time() - began
            next_ = max(next_ * GROWTH, passed + cost * _SHARE)
