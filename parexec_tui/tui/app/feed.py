"""Brings the session to the screen: first from the registry, then from the engine; and sends requests to the engine.

A thread reads the session from the registry and replays it; then the engine sends what happens next. While no engine
is there, the registry is read now and then: an engine may have come and gone.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from parexec_tui.client.async_client import AsyncClient, Contact
from parexec_tui.client.framing import ClientError, News, Refused
from parexec_tui.client.mirror import Mirror
from parexec_tui.client.sessions import is_living
from parexec_tui.client.silence import Silence, is_hopeless, why_silent
from parexec_tui.client.sockets import TIMEOUT
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.protocol import Happened, HostSample, Notice, Sampled, Viewers
from parexec_tui.core.wire.requests import AnyRequest
from parexec_tui.gc_control import gc_frozen
from parexec_tui.outputs.curve import kept_samples
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.registry import Registry
from parexec_tui.tui.view.event_history import EventHistory
from parexec_tui.tui.view.view_state import NO_ENGINE, RECONNECTING

_LOOK_EVERY = 1.0
"""Seconds between two reads of the registry while there is no engine."""

_PIECE = 2000
"""Events that are applied before keys get their turn again."""


class OpenedSession(NamedTuple):
    """A session as it was read."""

    mirror: Mirror
    event_history: EventHistory


class Feed:
    """Follows one session. It calls all callbacks in the event loop of the app."""

    def __init__(
        self,
        session: str,
        *,
        read_only: bool,
        opened: Callable[[OpenedSession], None],
        happened: Callable[[Sequence[ev.AnyEvent]], None],
        sampled: Callable[[Sampled], None],
        contact: Callable[[str, bool], None],
        notice: Callable[[str], None],
        viewers: Callable[[Viewers], None],
    ) -> None:
        self.session = session
        self.read_only = read_only
        self._opened, self._happened, self._sampled = opened, happened, sampled
        self._contact, self._notice, self._viewers = contact, notice, viewers
        self._mirror: Mirror | None = None
        self._client: AsyncClient | None = None
        self._is_up = False
        self._look_now = asyncio.Event()

    async def run(self) -> None:
        """Follow the session for ever: a finished one may be taken up again."""
        opened = await asyncio.to_thread(_read, self.session)
        self._mirror = mirror = opened.mirror
        self._opened(opened)
        while True:
            trouble = ""
            if await asyncio.to_thread(is_living, self.session):
                trouble = await self._follow(mirror)
            await self._read_registry(mirror)
            self._say_where_it_stands(mirror, trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._look_now.wait()
            self._look_now.clear()

    async def find_engine(self) -> None:
        """Wait until there is a connection to an engine that was just started. Raises TimeoutError."""
        self._look_now.set()
        async with asyncio.timeout(TIMEOUT):
            while not self._is_up:  # noqa: ASYNC110 - it is up in a moment, once in a session
                await asyncio.sleep(0.02)

    async def ask(self, request: AnyRequest) -> Sequence[ev.AnyEvent] | str:
        """Ask the engine. Returns the events, or in words why there are none."""
        if self._client is None:
            return "no engine runs this session"
        try:
            answer = await self._client.ask(request)
        except Refused as refused:
            return str(refused)
        except ClientError as error:
            return str(error)
        return [codec.decode_event(bytes(raw)) for raw in answer.events or ()]

    @property
    def outcome(self) -> str:
        """Why the session is over; empty while it is not."""
        return self._mirror.outcome if self._mirror is not None else ""

    async def past(self, seq: int) -> SessionState:
        """The session as it was after an event. Raises RegistryError."""
        return await asyncio.to_thread(_past, self.session, seq)

    async def kept_samples(self) -> list[HostSample]:
        """What the engine kept of how busy the host was, the oldest first."""
        return await asyncio.to_thread(kept_samples, session_folder(self.session).curve)

    # -- following -------------------------------------------------------------------------------------------

    async def _follow(self, mirror: Mirror) -> str:
        """Follow the engine until it leaves, or is gone together with its guardian.

        Returns why a running engine cannot be followed; empty if it could be, or if there is none.
        """
        client = AsyncClient(self.session, after=mirror.last, read_only=self.read_only, samples=True, viewers=True)
        async with client:
            self._client = client
            watch = asyncio.create_task(self._until_gone())
            batches = asyncio.create_task(self._take_all(client, mirror))
            try:
                await asyncio.wait({watch, batches}, return_when=asyncio.FIRST_COMPLETED)
                if batches.done():
                    batches.result()
            except ClientError as error:
                return str(error)
            finally:
                self._client = None
                watch.cancel()
                batches.cancel()
                await asyncio.gather(watch, batches, return_exceptions=True)
        return ""

    async def _until_gone(self) -> None:
        """Return once the connection is down and no guardian is about to restart the engine."""
        is_said = False
        while self._is_up or await asyncio.to_thread(is_living, self.session):
            await asyncio.sleep(_LOOK_EVERY)
            was_up = self._is_up
            silence = await asyncio.to_thread(_silence, self.session, was_up)
            if silence is not None and self._is_up == was_up:
                self._contact(str(silence), False)
                is_said = True
            elif is_said and self._is_up:
                self._contact(self._connected, True)
                is_said = False

    @property
    def _connected(self) -> str:
        return "read-only" if self.read_only else "connected"

    async def _take_all(self, client: AsyncClient, mirror: Mirror) -> None:
        async for batch in client.batches():
            await self._take(batch, mirror)

    async def _take(self, batch: Sequence[News | Contact], mirror: Mirror) -> None:
        events: list[ev.AnyEvent] = []
        for number, each in enumerate(batch, 1):
            match each:
                case Happened():
                    event = mirror.take(each.seq, bytes(each.event))
                    if event is not None:
                        events.append(event)
                case Sampled():
                    self._sampled(each)
                case Notice():
                    self._notice(each.text)
                case Viewers():
                    self._viewers(each)
                case Contact():
                    self._is_up = each.up
                    self._viewers(Viewers())  # an engine tells of them anew
                    self._contact(self._connected if each.up else RECONNECTING, each.up)
            if number % _PIECE == 0:
                await asyncio.sleep(0)
        if events:
            self._happened(events)

    async def _read_registry(self, mirror: Mirror) -> None:
        """Take the events of the registry that are not known yet."""
        self._is_up = False
        rows = await asyncio.to_thread(_rows, self.session, mirror.last)
        if events := [event for row in rows if (event := mirror.take(row.seq, row.data)) is not None]:
            self._happened(events)

    def _say_where_it_stands(self, mirror: Mirror, trouble: str) -> None:
        if trouble:
            self._contact(trouble, False)
        elif mirror.outcome:
            self._contact(mirror.outcome, False)
        else:
            self._contact(NO_ENGINE, False)


def _silence(session: str, is_up: bool) -> Silence | None:
    """Why nobody answers. `is_up`: there is a connection, so only what cannot answer is silent."""
    return why_silent(session) if not is_up or is_hopeless(session) else None


def _read(session: str) -> OpenedSession:
    """The session as the registry has it. Raises RegistryError."""
    with gc_frozen():
        mirror, event_history = Mirror.open(session), EventHistory()
        for event in mirror.news():
            event_history.take(event)
    return OpenedSession(mirror, event_history)


def _rows(session: str, after: int) -> list[EventRow]:
    with Registry.open(registry_file(), read_only=True) as registry:
        return list(registry.events(session, after))


def _past(session: str, seq: int) -> SessionState:
    with gc_frozen():
        mirror = Mirror.open(session)
        for _ in mirror.news(until=seq):
            pass
    return mirror.state
