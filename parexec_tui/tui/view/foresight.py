"""How the session on the screen will probably go on: simulated now and then, where that takes long in a thread.

The header tells its end, the timeline its course. No screen in here.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from threading import Thread
from typing import Final

from parexec_tui.core.predict.foreseen import Foreseen, foresee, is_foreseen, turns
from parexec_tui.core.schedule.forecast import Told
from parexec_tui.core.state.copying import copy_to_go_on
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.tui.drawing.predict import PredictedSpan

_EVERY: Final = 2.0
_SHARE: Final = 200
"""It is simulated at most this often: in seconds, and in multiples of the CPU time that it took. What a person did
counts at once."""

_AT_ONCE: Final = 30
"""Tickets that are left at most for it to be simulated while the screen waits: 10 ms."""


class Foresight:
    """What is foreseen of one session, as of the last look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: SessionState | None = None
        self._turns: object = None
        """Those as of which it was simulated last."""
        self._found: Foreseen | None = None
        self._look_at = 0.0
        self._thread: _Simulating | None = None

    def look(self, state: SessionState, now: float, told: Callable[[], Mapping[str, Told]]) -> Foreseen | None:
        """What is foreseen, simulated again if it is time to. None: too many tickets are left, or nothing is yet.

        It never waits for what takes long: the answer is then what was foreseen before, until the next one is there.
        """
        if not is_foreseen(state):
            self._of, self._found = None, None
            return None
        if state is not self._of:
            self._of, self._found, self._thread, self._look_at = state, None, None, 0.0
        self._take()
        at = self._clock()
        of = turns(state)
        if self._thread is None and (at >= self._look_at or of != self._turns):
            self._turns, self._look_at = of, at + _EVERY
            self._thread = _Simulating(copy_to_go_on(state), now, told())
            if state.unfinished <= _AT_ONCE:
                self._thread.run()
                self._take()
            else:
                self._thread.start()
        return self._found

    def _take(self) -> None:
        """Take what was simulated, if it is there."""
        thread = self._thread
        if thread is not None and thread.is_over:
            self._found = thread.found or self._found
            self._look_at = max(self._look_at, self._clock() + _SHARE * thread.took)
            self._thread = None


class _Simulating(Thread):
    """Simulates a copy of a session."""

    def __init__(self, state: SessionState, now: float, told: Mapping[str, Told]) -> None:
        super().__init__(daemon=True, name="foresight")
        self._given = state, now, told
        self.found: Foreseen | None = None
        self.is_over = False
        self.took = 0.0
        """Seconds of a CPU."""

    def run(self) -> None:
        state, now, told = self._given
        began = time.thread_time()
        with suppress(Exception):  # a forecast is not worth a screen: the end is told in closed form then
            self.found = foresee(state, now, Random(1).random, told)
        self.took = time.thread_time() - began
        self.is_over = True


def spans_of(foreseen: Foreseen, state: SessionState, now: float) -> list[PredictedSpan]:
    """What is foreseen of the tickets that are not over and come to an end, in the order of their starts: what should
    have begun since begins now."""
    found, left = [], frozenset(foreseen.course.left)
    for span in foreseen.course.spans:
        ticket = state.tickets.get(span.ticket)
        if ticket is None or ticket.status in TERMINAL or span.ticket in left:
            continue
        late = 0.0 if ticket.is_live else max(0.0, now - span.start)
        agent = span.agent if not span.agent or span.agent in state.agents else None
        found.append(PredictedSpan(span.ticket, agent, span.start + late, span.end + late))
    return sorted(found, key=lambda span: span.start)
