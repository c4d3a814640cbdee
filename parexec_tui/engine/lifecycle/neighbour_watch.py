"""What an engine knows of its neighbours: when those beside which it was started are over, and who became one later.

A ticket that is added, changed or retried may claim what a living session claims. Nobody is refused then, but the
session says so. An engine that has no neighbours, and whose plan stays as it is, does nothing here.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec
import trio

from parexec_tui.client.sessions import is_living, others_living
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import registry_file
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry

_LOOK_EVERY = 1.0
"""Seconds between two looks whether neighbours still live."""


class NeighbourWatch:
    def __init__(self, session: str, known: Iterable[ev.Neighbour], submit: Callable[[list[rq.AnyReport]], None]):
        self._session = session
        self._known = {each.session for each in known}
        self._submit = submit
        self._changed: set[str] = set()
        """Tickets that may claim something new."""
        self._woken = trio.Event()

    def tell(self, _: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Take notice of events, once they are remembered."""
        for event in events:
            match event:
                case ev.PlanAmended(added=added, changed=changed, restored=restored):
                    self._changed.update(added, changed, restored)
                case ev.TicketRetried(ticket=ticket, rerun=rerun, restored=restored):
                    self._changed.update((ticket, *rerun, *restored))
                case ev.TicketRejected(ticket=ticket):
                    self._changed.add(ticket)
                case _:
                    continue
            self._woken.set()

    async def run(self) -> None:
        while True:
            if self._known:
                with trio.move_on_after(_LOOK_EVERY):
                    await self._woken.wait()
            else:
                await self._woken.wait()
            self._woken = trio.Event()
            changed, self._changed = tuple(self._changed), set()
            found, left = await in_thread(self._look, changed)
            if found or left:
                self._submit([rq.NeighboursChanged(found, left)])
                self._known.update(each.session for each in found)
                self._known.difference_update(left)

    def _look(self, changed: tuple[str, ...]) -> tuple[tuple[ev.Neighbour, ...], tuple[str, ...]]:
        """The neighbours that changed tickets bring, and those that are over. In a thread: disks wait."""
        found: tuple[ev.Neighbour, ...] = ()
        if changed:
            with suppress(RegistryError, msgspec.MsgspecError, OSError):
                found = self._find(changed)
        return found, tuple(each for each in self._known if not is_living(each))

    def _find(self, changed: tuple[str, ...]) -> tuple[ev.Neighbour, ...]:
        with Registry.open(registry_file(), read_only=True) as registry:
            if not (living := others_living(registry, self._session)):
                return ()
            from parexec_tui.engine.lifecycle.neighbours import find_neighbours_of

            findings = find_neighbours_of(registry, self._session, living, changed)
        return tuple(each.fact for each in findings.neighbours if each.clashes)
