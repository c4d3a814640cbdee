"""Searches for a better order of dispatch in a thread, when the plan is loaded and when it or the pool changes.

The loop goes on meanwhile by the longest path. What is found too late for what has started since is judged again.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Final

import trio

from parexec_tui.core.schedule.order import Found, Search, is_searched, judged, passes_for
from parexec_tui.core.schedule.problem import Problem, problem_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.threads import in_thread

_CALLS_FOR_SEARCH: Final = (ev.PlanAmended, ev.DurationsLearned, ev.ParallelChanged, ev.TypeScaled)

_SEED: Final = 1
"""The same plan is searched in the same way each time."""


_QUICK: Final = 1_000
"""With more tickets a search takes longer than a start should wait: they start meanwhile."""

_LATER: Final = 0.1
"""Seconds that they have first for themselves."""

_SWITCH: Final = 0.0002
"""Seconds until a thread that computes lets the loop go on; the 5 ms of Python would be lost whenever it waits."""


@contextmanager
def _in_the_background() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class OrderSearch:
    """Searches for the order of one session."""

    def __init__(
        self, state: SessionState, now: Callable[[], float], report: Callable[[Sequence[rq.AnyReport]], None]
    ) -> None:
        self._state = state
        self._now = now
        self._report = report
        self._asked = 0
        """How often a search was called for."""
        self._wake = trio.Event()
        self.first = trio.Event()
        """Set when the first search is over, there was nothing to search, or it takes too long to wait for."""

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:  # noqa: ARG002
        """Hear what happened: some of it calls for another search."""
        if any(isinstance(event, _CALLS_FOR_SEARCH) for event in events):
            self._asked += 1
            self._wake.set()

    async def run(self) -> None:
        """Search now, and whenever that is called for."""
        while True:
            try:
                with suppress(OSError):  # the system has no thread left: it goes on by the longest path
                    await self._search(self._asked)
            finally:
                self._asked += 1  # so that a thread that goes on alone ends
            self.first.set()
            await self._wake.wait()
            self._wake = trio.Event()

    async def _search(self, asked: int) -> None:
        if self._state.found_order is not None or not is_searched(self._state):
            return
        if self._state.unfinished > _QUICK:
            self.first.set()
            await trio.sleep(_LATER)
        if (problem := problem_of(self._state, self._now())) is None:
            return
        stood = self._stands()
        with _in_the_background():
            found = await in_thread(self._find, problem, asked, may_hang=True)
            if found is not None and self._stands() != stood and (problem := problem_of(self._state, self._now())):
                found = await in_thread(judged, problem, found.tickets, may_hang=True)
        if found is not None and asked == self._asked:
            self._report([rq.OrderSearched(found.tickets, found.seconds, found.before)])

    def _find(self, problem: Problem, asked: int) -> Found | None:
        search = Search(problem, Random(_SEED))
        passes = passes_for(len(problem.ids))
        for _ in search.steps():
            if search.passes >= passes or not self._is_wanted(asked):
                break
        return search.found() if self._is_wanted(asked) else None

    def _is_wanted(self, asked: int) -> bool:
        """Whether nothing has come between: another search, or ends that show that estimates are wrong."""
        return asked == self._asked and not self._state.estimate_errors.are_large

    def _stands(self) -> tuple[int, tuple[str, ...]]:
        """How far the session is: an order was found for that."""
        return self._state.over, tuple(self._state.live)
