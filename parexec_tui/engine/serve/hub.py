"""What the connections of one session share: what they are told, and whom they ask.

`publish` is all that the coordinator does for viewers: it appends lines to one backlog that all of them share, and
never waits. Each connection has a cursor: from the backlog it is sent what is newer, in its own time; one that fell
behind the backlog is sent pages from the registry until it has caught up. So there is no gap, no overlap, and nothing
that grows with a viewer that does not read; after a while such a one is dropped, and may come back.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from parexec_tui.client.framing import encode, encode_event
from parexec_tui.core.state.events import AnyEvent
from parexec_tui.core.wire import protocol
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.engine.coordinator import Decision
from parexec_tui.engine.measure.sampling import SampleFeed
from parexec_tui.engine.serve.backlog import Backlog

_PATIENCE = 10.0
"""Seconds in which a client has to say hello, and has to take what is sent to it, before it is dropped."""

_PAUSE, _PAUSE_PER_FOLLOWER = 0.005, 0.004
"""Seconds between two rounds of news, and more for each follower. To wake one and send costs about 60 us, so all of
them together cost at most a fiftieth of the engine's time. What comes after a pause is sent at once."""

_QUIET = 4
"""After an answer that is not recorded, the next one waits this many times as long as that one took."""

T = TypeVar("T")

Ask = Callable[[AnyRequest], Awaitable[Decision]]
Preview = Callable[[AnyRequest], Decision]
Foresee = Callable[[Sequence[AnyEvent]], Sequence[str]]
"""What events would mean, a line each."""
Facts = Callable[[protocol.Question], object | Refusal]


class Viewer(Protocol):
    """A connection, as the hub sees it."""

    @property
    def follows(self) -> bool:
        """Whether it is sent events."""

    def wake(self) -> None:
        """There may be something new to send."""


class Hub:
    """The middle between one session and all its connections."""

    def __init__(
        self,
        session: str,
        registry_file: Path,
        *,
        ask: Ask,
        preview: Preview,
        question: Facts,
        last_seq: Callable[[], int],
        foresee: Foresee = lambda _: (),
        notice: Callable[[str], None] = lambda _: None,
        patience: float = _PATIENCE,
    ) -> None:
        """`notice`: tells the engine's owner. `patience`: seconds, see `_PATIENCE`."""
        self.session = session
        self.registry_file = registry_file
        self.ask = ask
        self.preview = preview
        self.question = question
        self.foresee = foresee
        self.last_seq = last_seq
        self.notice = notice
        self.patience = patience
        self.backlog = Backlog(last_seq())
        self.followers = 0
        self.clients: set[Viewer] = set()
        """Those that said hello."""
        self.samples = SampleFeed()
        self.warning = b""
        """A notice that stands: each follower is told it once. Empty: there is none."""
        self.connections = 0
        self.reads = trio.CapacityLimiter(1)
        """Of the registry: viewers that arrive together must not start a crowd of threads."""
        self.leaving = ""
        """Why the engine is about to go, once it is."""
        self._quiet = trio.Lock()
        self._quiet_until = -math.inf
        self._news = trio.Event()
        self._gone = trio.Event()

    # -- what the engine calls -------------------------------------------------------------------------------

    def publish(self, first: int, events: Sequence[bytes]) -> None:
        """Tell followers of events that are remembered, encoded as they are there; `first`: the first one's seq."""
        self.warning = b""
        if not self.followers:
            self.backlog.skip_to(first + len(events) - 1)
            return
        if first != self.backlog.last + 1:  # pragma: no cover - our bug; followers read on from the registry
            self.backlog.skip_to(first - 1)
        self.backlog.append([encode_event(seq, event) for seq, event in enumerate(events, first)])
        self._news.set()

    def warn(self, text: str) -> None:
        """Tell something that is no event to followers, and to those who come to follow before the next event."""
        self.warning = encode(protocol.Notice(text=text))
        for client in self.clients:
            client.wake()

    async def finish(self, reason: str, within: float = 1.0) -> None:
        """Send clients what is left to tell them, and a farewell. Those who do not read get `within` seconds."""
        self.leaving = reason
        for client in self.clients:
            client.wake()
        with trio.move_on_after(within):
            while self.clients:
                await self._gone.wait()
                self._gone = trio.Event()

    async def spread_news(self) -> None:
        """Wake followers when there is news, with pauses, until cancelled."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            for client in self.clients:
                if client.follows:
                    client.wake()
            await trio.sleep(_PAUSE + _PAUSE_PER_FOLLOWER * self.followers)

    # -- what a connection calls -----------------------------------------------------------------------------

    def leave(self, client: Viewer) -> None:
        """A client is gone."""
        self.clients.discard(client)
        self._gone.set()

    async def throttled(self, answer: Callable[[], T]) -> T:
        """Answer what may cost time and changes nothing: one at a time, with pauses for the engine's own work."""
        async with self._quiet:
            await trio.sleep_until(self._quiet_until)
            started = trio.current_time()
            found = answer()
            self._quiet_until = trio.current_time() + _QUIET * (trio.current_time() - started)
        return found

    def log_bug(self, error: Exception) -> None:
        """Say that a client met a mistake in parexec."""
        self.notice(f"a client met a mistake of ours, and was dropped: {type(error).__name__}: {error}")
