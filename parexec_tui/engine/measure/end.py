"""When the session will be over, for who asks the engine: simulated in a thread, and not more often than may be."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Final

from parexec_tui.core.predict.foreseen import Foreseen, foresee, is_foreseen, turns
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import Told, comes_to_an_end, eta
from parexec_tui.core.state.copying import copy_to_go_on
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.threads import in_thread

SHARE: Final = 1000
"""What was simulated is told for so many times as long as that took, unless a person did something since: it costs a
thousandth of a core at most. The time that has passed is taken off."""

_AT_LEAST: Final = 1.0
"""And at least for so many seconds."""


class EndKeeper:
    """The ETA of a session, kept for some time."""

    def __init__(self, state: SessionState, now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        self._found: Foreseen | None = None
        self._until = 0.0
        self._of: object = None
        """The `turns` as of which it was found."""
        self._is_busy = False

    async def eta(self, told: Mapping[str, Told]) -> Eta | None:
        """When the session will be over. While it is being simulated for somebody else, while too many tickets are
        left for that, and once it lasts longer than was simulated, it is found in closed form."""
        state, now = self._state, self._now()
        if not comes_to_an_end(state):
            self._until = 0.0
            return None
        of = turns(state)
        is_kept = now < self._until and of == self._of
        if not is_kept and (self._is_busy or not is_foreseen(state)):
            return eta(state, now, told)
        if not is_kept:
            await self._find(now, told)
            self._of = of
        found = self._found.eta(self._now()) if self._found is not None else None
        return found if found is not None and found.p50 else eta(state, now, told)

    async def _find(self, now: float, told: Mapping[str, Told]) -> None:
        self._is_busy = True
        try:
            began = time.thread_time()
            copy = copy_to_go_on(self._state)
            copied = time.thread_time() - began
            self._found, took = await in_thread(_foresee, copy, now, told)
            self._until = now + max(_AT_LEAST, SHARE * (copied + took))
        finally:
            self._is_busy = False


def _foresee(state: SessionState, now: float, told: Mapping[str, Told]) -> tuple[Foreseen | None, float]:
    """What is foreseen, and the seconds of a CPU that it took."""
    began, found = time.thread_time(), None
    with suppress(Exception):  # a forecast is not worth an engine: the end is told in closed form then
        found = foresee(state, now, Random(1).random, told)
    return found, time.thread_time() - began
