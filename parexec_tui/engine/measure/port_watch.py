"""Ports that were set aside, because another program had them: whether they are free again."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import PortsTried
from parexec_tui.engine.backends.backend import Backend

_EVERY = 5.0
"""Seconds between two tries."""


class PortWatch:
    """Tries the ports that are set aside every few seconds; while there is none, it costs nothing."""

    def __init__(self, backend: Backend, state: SessionState, submit: Callable[[Sequence[PortsTried]], None]) -> None:
        self._backend = backend
        self._state = state
        self._submit = submit
        self._wake = trio.Event()

    def tell(self, _: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Hear what happened."""
        if any(isinstance(event, ev.UnitsSetAside) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Try them until cancelled."""
        while True:
            if not self._state.holdings.all_aside():
                self._wake = trio.Event()
                await self._wake.wait()
            await trio.sleep(_EVERY)
            with suppress(OSError):  # no thread can be had: they are tried once more
                await self._look()

    async def _look(self) -> None:
        found = []
        for resource, units in self._state.holdings.all_aside().items():
            taken = await self._backend.taken_ports(units)
            if taken != units:
                found.append(PortsTried(resource, taken))
        if found:
            self._submit(found)
