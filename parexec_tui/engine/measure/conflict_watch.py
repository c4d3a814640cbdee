"""Worktrees in which tickets work now: whether what two of them did so far will conflict."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import ConflictsForeseen
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.pool import Pool

_EVERY = 15.0
"""Seconds between two looks."""


class ConflictWatch:
    """Looks every few seconds while two or more tickets work in worktrees; else it costs nothing."""

    def __init__(
        self,
        backend: Backend,
        state: SessionState,
        pool: Pool,
        submit: Callable[[Sequence[ConflictsForeseen]], None],
        every: float = _EVERY,
    ) -> None:
        self._backend = backend
        self._state = state
        self._pool = pool
        self._submit = submit
        self._every = every
        self._wake = trio.Event()

    def tell(self, _: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Hear what happened."""
        if any(isinstance(event, ev.WorktreeMade) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if len(self._working()) < 2:
                self._wake = trio.Event()
                await self._wake.wait()
            await trio.sleep(self._every)
            with suppress(OSError):  # git was cut short by an end: the next look is soon
                await self._look()

    def _working(self) -> list[TicketState]:
        """The tickets whose commands run in worktrees now."""
        live = (self._state.live.get(id_) for id_ in self._state.worktrees)
        return [each for each in live if each is not None and each.live_attempt.step == RUN]

    async def _look(self) -> None:
        wanted = {
            ticket.id: worktree for ticket in self._working() if (worktree := self._pool.worktree(ticket)) is not None
        }
        if len(wanted) > 1 or self._state.foreseen:
            found = await self._backend.foresee(wanted)
            self._submit([ConflictsForeseen(tuple(wanted), found)])
