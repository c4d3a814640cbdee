"""What tickets merged: whether it is in its branches still, and for certain before the session ends."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire.requests import MergesLost
from parexec_tui.engine.backends.backend import Backend

_EVERY = 15.0
"""Seconds between two looks."""


class LossWatch:
    """Looks every few seconds once something is merged; before that it costs nothing."""

    def __init__(
        self,
        backend: Backend,
        state: SessionState,
        submit: Callable[[Sequence[MergesLost]], None],
        every: float = _EVERY,
    ) -> None:
        self._backend = backend
        self._state = state
        self._submit = submit
        self._every = every
        self._looked_at: float | None = None
        """The time of the newest event when the last look began."""
        self._something_is_merged = trio.Event()
        self._is_asked = trio.Event()

    def tell(self, _: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Hear what happened."""
        if any(isinstance(event, ev.WorkMerged) for event in events):
            self._something_is_merged.set()

    def may_finish(self) -> bool:
        """Whether all that is merged was there when the last event had happened. If that is not known, it is looked
        for, and then the backend wakes the coordinator."""
        if self._looked_at == self._state.now or not self._merged():
            return True
        self._is_asked.set()
        return False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if not self._merged():
                self._something_is_merged = trio.Event()
                await self._something_is_merged.wait()
            with trio.move_on_after(self._every):
                await self._is_asked.wait()
            self._is_asked = trio.Event()
            now, merged = self._state.now, self._merged()
            with suppress(OSError):  # the repository may be gone: the next ticket that works there says so
                if merged and (lost := await self._backend.find_lost(self._state.plan.workdir, merged)):
                    self._submit([MergesLost(lost)])
            self._looked_at = now
            self._backend.wake()

    def _merged(self) -> dict[str, tuple[str, ...]]:
        """{branch: what tickets merged into it that have succeeded}"""
        merged: defaultdict[str, list[str]] = defaultdict(list)
        for id_, found in self._state.worktrees.items():
            ticket = self._state.tickets.get(id_)
            if found.landed is None or not found.landed.commit or ticket is None:
                continue
            if ticket.status is Status.succeeded and ticket.attempts == found.made.attempt:
                merged[found.made.target].append(found.landed.commit)
        return {target: tuple(commits) for target, commits in merged.items()}
