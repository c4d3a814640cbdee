"""What holds the session up, as the screen says it. No screen in here.

It is simulated, which costs about a hundredth of a millisecond for each ticket that is left: now and then, and only
while the state changes.
"""

import time
from collections.abc import Callable

from parexec_tui.core.schedule.bottlenecks import Bottleneck, is_asked_live, live_bottlenecks
from parexec_tui.core.schedule.simulation import Rest
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.bottlenecks import bottleneck_text

_EVERY = 5.0
_SHARE = 300
"""It is looked at most this often: in seconds, and in multiples of the time that the last look took."""

_IS_LONG = 30.0
_IS_MUCH = 0.1
"""One more has to save so many seconds, and such a part of what is left, to be said to who did not ask."""


class Bottlenecks:
    """The bottlenecks as of the last look, in words, worst first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: SessionState | None = None
        self._look_at = 0.0
        self.lines: tuple[str, ...] = ()
        """Those of which more would save much."""

    def update(self, state: SessionState, now: float) -> bool:
        """Look again if it is time to; whether something else is said now. `now`: in seconds since the epoch."""
        at = self._clock()
        is_asked = is_asked_live(state)
        if is_asked and state is self._of and at < self._look_at:
            return False
        self._of = state if is_asked else None
        began = time.perf_counter()
        found, rest = live_bottlenecks(state, now)
        self._look_at = at + max(_EVERY, _SHARE * (time.perf_counter() - began))
        before = self.lines
        much = (each for each in found if rest is not None and _is_much(each, rest))
        self.lines = tuple(map(bottleneck_text, much))
        return before != self.lines

    @property
    def worst(self) -> str:
        """The worst one; empty if there is none."""
        return self.lines[0] if self.lines else ""


def _is_much(found: Bottleneck, rest: Rest) -> bool:
    return found.saves is not None and found.saves >= max(_IS_LONG, _IS_MUCH * rest.seconds)
