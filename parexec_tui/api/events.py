"""What happens in a session, event by event, for programs with an event loop of their own and for those without."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import msgspec

from parexec_tui.api.errors import SessionError, session_errors
from parexec_tui.client.following import Following
from parexec_tui.client.mirror import Mirror
from parexec_tui.client.sessions import how_to_take_over
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec

_R = TypeVar("_R")


class Event:
    """One thing that happened in a session."""

    __slots__ = ("_event", "number")

    def __init__(self, number: int | None, event: ev.AnyEvent) -> None:
        self.number = number
        """Counted from 1 in its session; None: of an answer."""
        self._event = event

    @property
    def kind(self) -> str:
        """What happened: `attempt_ended`. The kinds are those that `parexec events --json` prints."""
        return codec.kind_of(self._event)

    @property
    def at(self) -> float:
        """When, in seconds since the epoch."""
        return self._event.at

    @property
    def ticket(self) -> str | None:
        """The ticket that it is about; None: it is about none, or several."""
        ticket: str | None = getattr(self._event, "ticket", None)
        return ticket

    @property
    def data(self) -> dict[str, Any]:
        """All of it as plain values, as `parexec events --json` prints it."""
        data: dict[str, Any] = msgspec.json.decode(codec.encode(self._event))
        return data

    def __repr__(self) -> str:
        about = f" {self.ticket}" if self.ticket else ""
        return f"<Event {self.kind}{about}>"


def numbered(mirror: Mirror, events: list[ev.AnyEvent]) -> Iterator[Event]:
    """The newest events that a mirror has taken, with their numbers."""
    first = mirror.last - len(events) + 1
    return (Event(number, event) for number, event in enumerate(events, first))


class Events:
    """The events of a session, those that were and then each as it happens, until the session is over or its engine
    left in good order: for `for`, and for `async for` under asyncio and trio.

    Each loop begins anew. Raises SessionError if no engine is left that would go on.
    """

    def __init__(self, session: str, after: int, say: Callable[[str], object]) -> None:
        """`after`: begin after the event of this number. `say` is told why an engine does not answer."""
        self._session = session
        self._after = after
        self._say = say

    def __iter__(self) -> Iterator[Event]:
        mirror = self._open()
        batches = iter(Following(mirror, self._say))
        while (batch := _next_of(batches)) is not None:
            yield from self._wanted(mirror, batch)
        check_has_ended(mirror)

    async def __aiter__(self) -> AsyncIterator[Event]:
        mirror = await _in_thread(self._open)
        batches = iter(Following(mirror, self._say))
        while (batch := await _in_thread(partial(_next_of, batches))) is not None:
            for event in self._wanted(mirror, batch):
                yield event
        check_has_ended(mirror)

    def _open(self) -> Mirror:
        with session_errors():
            return Mirror.open(self._session)

    def _wanted(self, mirror: Mirror, batch: list[ev.AnyEvent]) -> Iterator[Event]:
        return (event for event in numbered(mirror, batch) if (event.number or 0) > self._after)


def check_has_ended(mirror: Mirror) -> None:
    """Raises SessionError if a session that was followed to its end has no engine that would go on."""
    if not mirror.outcome:
        raise SessionError(f"the engine of {mirror.session} is gone; {how_to_take_over(mirror.session)}")


def _next_of(batches: Iterator[list[ev.AnyEvent]]) -> list[ev.AnyEvent] | None:
    with session_errors():
        return next(batches, None)


async def _in_thread(work: Callable[[], _R]) -> _R:
    """Wait for work that blocks, whichever event loop runs. Who is cancelled does not wait for its end, which comes
    within a second: a following never blocks for longer unless an engine hangs."""
    trio = sys.modules.get("trio")  # whoever runs it has imported it
    if trio is not None and trio.lowlevel.in_trio_task():
        result: _R = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        return result
    return await asyncio.to_thread(work)
