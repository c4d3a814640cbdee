"""Services that start, until they are ready: those whose port or server answers, or that print a text.

What a command finds out is a process of its own, and none of this. Nothing is looked at once a service is ready.
"""

from collections.abc import Callable, Iterable, Sequence

import trio

from parexec_tui.core.plan.checks import find_forbidden, without_colours
from parexec_tui.core.plan.services import HttpReady, LogReady, TcpReady, parse_ready
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend

FIRST, LONGEST = 0.1, 1.0
"""Seconds before the first look, and at most between two; they grow by half each time."""

MOST_READ = 1 << 20
"""Bytes of output that one look reads."""

LONGEST_LINE = 4096
"""Bytes of an unfinished line in which the text can still begin."""


class ReadyWatch:
    def __init__(
        self, backend: Backend, state: SessionState, submit: Callable[[Sequence[rq.AnyReport]], None]
    ) -> None:
        self._backend = backend
        self._state = state
        self._submit = submit
        self._new: list[ServiceState] = []
        self._woken = trio.Event()
        self._begin(service for service in state.services.values() if service.status is ServiceStatus.starting)

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Take notice of what started, once that is remembered."""
        if state.services:
            self._begin(state.services[event.service] for event in events if isinstance(event, ev.ServiceStarted))

    def _begin(self, services: Iterable[ServiceState]) -> None:
        for service in services:
            if isinstance(parse_ready(service.spec.ready), TcpReady | HttpReady | LogReady):
                self._new.append(service)
                self._woken.set()

    async def run(self) -> None:
        """Look, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._woken.wait()
                self._woken = trio.Event()
                services, self._new = self._new, []
                for service in services:
                    nursery.start_soon(self._watch, service, service.key)

    async def _watch(self, service: ServiceState, key: ProcessKey) -> None:
        ready = parse_ready(service.spec.ready)
        printed = _Printed(ready.pattern) if isinstance(ready, LogReady) else None
        pause = FIRST
        while True:
            await trio.sleep(pause)
            if not _starts(service, key):
                return
            if not service.is_frozen and await self._is_ready(service, key, printed) and _starts(service, key):
                self._submit([rq.ServiceAnswered(key.ticket, key.attempt, step=key.step)])
                if not _starts(service, key):
                    return
            pause = min(pause * 1.5, LONGEST)

    async def _is_ready(self, service: ServiceState, key: ProcessKey, printed: "_Printed | None") -> bool:
        try:
            if printed is not None:
                return await printed.look(self._backend, key)
            return await self._backend.answers(service.spec.ready)
        except OSError:  # nothing can be said now
            return False


def _starts(service: ServiceState, key: ProcessKey) -> bool:
    return service.status is ServiceStatus.starting and service.key == key


class _Printed:
    """Whether a process has printed a text. What it printed is read once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._offset = 0
        self._rest = b""
        """Of the line that was not finished."""
        self._is_found = False

    async def look(self, backend: Backend, key: ProcessKey) -> bool:
        while not self._is_found:
            try:
                new = await backend.read_output(key, self._offset, MOST_READ)
            except FileNotFoundError:
                return False
            if not new and (after := await backend.past_gap(key, self._offset)) != self._offset:
                self._offset, self._rest = after, b""  # what is not kept cannot be searched
                continue
            self._offset += len(new)
            text = self._rest + new
            self._rest = text[text.rfind(b"\n") + 1 :][-LONGEST_LINE:]
            self._is_found = find_forbidden(self._pattern, without_colours(text)) is not None
            if len(new) < MOST_READ:
                break
        return self._is_found
