"""What the connections of one session share: what they are told, and whom they ask.

`publish` is all that the coordinator does for viewers: it appends lines to one backlog that all of them share, and
never waits. Each connection has a cursor, and sends what is newer from the backlog in its own time. A connection that
fell behind the backlog sends pages from the registry until it has caught up. So there is no gap and no overlap, and
nothing grows with a viewer that does not read: after a while it is dropped, and may come back.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from parexec_tui.client.framing import encode, encode_event
from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.state.events import AnyEvent
from parexec_tui.core.wire import protocol
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.engine.measure.sampling import SampleFeed
from parexec_tui.engine.serve.backlog import Backlog

_CLIENT_TIMEOUT = 10.0
"""Seconds in which a client has to say hello, and has to take what is sent to it, before it is dropped."""

_PAUSE, _PAUSE_PER_FOLLOWER = 0.005, 0.004
"""Seconds between two rounds of news, and more for each follower. To wake one and send costs about 60 us, so all of
them together cost at most a fiftieth of the engine's time. What comes after a pause is sent at once."""

_PAUSE_FACTOR = 4
"""After an answer that changes nothing there is a pause of this many times the seconds that the answer took."""

MAX_VIEWERS = 20
"""The most viewers that one viewer is told of by name."""

T = TypeVar("T")

AskEngine = Callable[[AnyRequest], Awaitable[Decision]]
DryRun = Callable[[AnyRequest], Decision]
Look = Callable[[AnyRequest], Awaitable[Refusal | str]]
"""What a request would overwrite of the work of others: a refusal, or what it says; empty: nothing."""
PreviewLines = Callable[[Sequence[AnyEvent]], Sequence[str]]
"""What events would mean, a line each."""
Facts = Callable[[protocol.Question], object | Refusal]
AddProgress = Callable[[protocol.StatusReport], Awaitable[protocol.StatusReport]]


class HubClient(Protocol):
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
        ask: AskEngine,
        dry_run: DryRun,
        question: Facts,
        last_seq: Callable[[], int],
        preview_lines: PreviewLines = lambda _: (),
        look: Look | None = None,
        notice: Callable[[str], None] = lambda _: None,
        client_timeout: float = _CLIENT_TIMEOUT,
        with_progress: AddProgress | None = None,
    ) -> None:
        """`notice`: tells the engine's owner. `client_timeout`: seconds, see `_CLIENT_TIMEOUT`."""
        self.session = session
        self.registry_file = registry_file
        self.ask = ask
        self.dry_run = dry_run
        self.look = look
        self.question = question
        self.preview_lines = preview_lines
        self.last_seq = last_seq
        self.notice = notice
        self.client_timeout = client_timeout
        self.with_progress = with_progress
        """Adds to the facts of `status` how far what runs is."""
        self.backlog = Backlog(last_seq())
        self.followers = 0
        self.clients: set[HubClient] = set()
        """Those that said hello."""
        self.viewers: dict[HubClient, protocol.Viewer] = {}
        """Who follows, the first to come first; without commands."""
        self.arrivals = 0
        """How often a viewer has come or gone."""
        self.samples = SampleFeed()
        self.warning = b""
        """A notice that stands: each follower is told it once. Empty: there is none."""
        self.warning_text = ""
        """The text of that notice."""
        self.connections = 0
        self.reads = trio.CapacityLimiter(1)
        """Of the registry: viewers that arrive together must not start a crowd of threads."""
        self.leaving = ""
        """Why the engine is about to go, once it is."""
        self._throttle = trio.Lock()
        self._pause_until = -math.inf
        self._news = trio.Event()
        self._gone = trio.Event()

    # -- what the engine calls -------------------------------------------------------------------------------

    def publish(self, first: int, events: Sequence[bytes]) -> None:
        """Tell followers of remembered events, encoded as in the registry. `first`: the number of the first event."""
        self.warning, self.warning_text = b"", ""
        if not self.followers:
            self.backlog.skip_to(first + len(events) - 1)
            return
        if first != self.backlog.last + 1:  # pragma: no cover - our bug; followers read on from the registry
            self.backlog.skip_to(first - 1)
        self.backlog.append([encode_event(seq, event) for seq, event in enumerate(events, first)])
        self._news.set()

    def warn(self, text: str) -> None:
        """Send followers a notice, which is no event. Clients that come before the next event get it too."""
        self.warning, self.warning_text = encode(protocol.Notice(text=text)), text
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

    def leave(self, client: HubClient) -> None:
        """A client is gone."""
        self.clients.discard(client)
        self._gone.set()
        if self.viewers.pop(client, None) is not None:
            self._viewers_changed()

    def view(self, client: HubClient, viewer: protocol.Viewer) -> None:
        """A client follows as a viewer, until it leaves."""
        self.viewers[client] = viewer
        self._viewers_changed()

    def others(self, client: HubClient) -> protocol.Viewers:
        """Who follows besides this client."""
        others = [viewer for each, viewer in self.viewers.items() if each is not client]
        return protocol.Viewers(others=tuple(others[:MAX_VIEWERS]), more=max(0, len(others) - MAX_VIEWERS))

    def _viewers_changed(self) -> None:
        self.arrivals += 1
        self._news.set()

    async def throttled(self, answer: Callable[[], T]) -> T:
        """Give an answer that may take long and changes nothing: one at a time, with pauses for other work."""
        async with self._throttle:
            await trio.sleep_until(self._pause_until)
            started = trio.current_time()
            found = answer()
            self._pause_until = trio.current_time() + _PAUSE_FACTOR * (trio.current_time() - started)
        return found

    def log_bug(self, error: Exception) -> None:
        """Say that a client met a mistake in parexec."""
        self.notice(f"a client met a mistake of ours, and was dropped: {type(error).__name__}: {error}")
