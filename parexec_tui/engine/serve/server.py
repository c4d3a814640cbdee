"""The engine's end of the socket: it tells clients what happened, and passes on what they ask.

`publish` is all that the coordinator does for viewers: it appends lines to one backlog that all of them share, and
never waits. Each connection has a cursor: from the backlog it is sent what is newer, in its own time; one that fell
behind the backlog is sent pages from the registry until it has caught up. So there is no gap, no overlap, and nothing
that grows with a viewer that does not read; after a while such a one is dropped, and may come back.
"""

import errno
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import trio

from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state.events import AnyEvent
from parexec_tui.core.wire import codec, protocol
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.engine.coordinator import Coordinator, Decision
from parexec_tui.engine.measure.sampling import SampleFeed
from parexec_tui.engine.serve.backlog import Backlog, happened
from parexec_tui.engine.serve.connection import Connection
from parexec_tui.engine.serve.questions import answer
from parexec_tui.engine.serve.sockets import open_socket
from parexec_tui.paths import note_socket, session_folder, socket_files

_PATIENCE = 10.0
"""Seconds in which a client has to say hello, and has to take what is sent to it, before it is dropped."""

_PAUSE, _PAUSE_PER_FOLLOWER = 0.005, 0.004
"""Seconds between two rounds of news, and more for each who gets them. To wake one and send costs some 60 us, so all
of them together cost a fiftieth of the engine's time at most. What comes after a pause is sent at once."""

_QUIET = 4
"""After an answer that is not recorded, the next one waits for so many times what this one took."""

_LOOK_AFTER_SOCKET = 2.0
"""Seconds between two looks whether the socket is still there: logout removes the runtime folder of a user."""

T = TypeVar("T")

Ask = Callable[[AnyRequest], Awaitable[Decision]]
Preview = Callable[[AnyRequest], Decision]
Foresee = Callable[[Sequence[AnyEvent]], Sequence[str]]
"""What events would mean, a line each."""
Facts = Callable[[protocol.Question], object | Refusal]


class Server:
    """Serves one session to its clients."""

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
        self.session = session
        self.registry_file = registry_file
        self.ask = ask
        self.preview = preview
        self.question = question
        self.foresee = foresee
        self.last_seq = last_seq
        self.patience = patience
        self.backlog = Backlog(last_seq())
        self.followers = 0
        self.clients: set[Connection] = set()
        """Those that said hello."""
        self.samples = SampleFeed()
        self.warning = b""
        """A notice that stands: those who follow are told it once. Empty: there is none."""
        self.connections = 0
        self.reads = trio.CapacityLimiter(1)
        """Of the registry: many viewers that arrive at once shall not make a crowd of threads."""
        self._notice = notice
        self.leaving = ""
        """Why the engine is about to go, once it is."""
        self._quiet = trio.Lock()
        self._quiet_until = -math.inf
        self._news = trio.Event()
        self._gone = trio.Event()
        self._socket: tuple[Path, int] | None = None
        """Path and inode."""

    # -- what the engine calls -------------------------------------------------------------------------------

    def publish(self, first: int, events: Sequence[bytes]) -> None:
        """Tell those who follow of events that are remembered, as they are encoded there; `first` is a number."""
        self.warning = b""
        if not self.followers:
            self.backlog.skip_to(first + len(events) - 1)
            return
        if first != self.backlog.last + 1:  # pragma: no cover - our bug; those who follow read on from the registry
            self.backlog.skip_to(first - 1)
        self.backlog.append([happened(seq, event) for seq, event in enumerate(events, first)])
        self._news.set()

    def warn(self, text: str) -> None:
        """Tell those who follow, and who come to follow before the next event, what is no event."""
        self.warning = codec.encode(protocol.Notice(text=text)) + b"\n"
        for client in self.clients:
            client.wake()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. If there can be no socket, say so, and let the engine go on without."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._spread_news)
            try:
                listener = self._listen()
            except OSError as error:
                self._notice(f"no other shell can watch or steer this session: {error}")
                task_status.started()
                return
            task_status.started()
            try:
                while True:
                    await self._accept_until_gone(nursery, listener)
                    listener = await self._listen_again()
            finally:
                listener.close()
                self._remove_socket()

    async def finish(self, reason: str, within: float = 1.0) -> None:
        """Let clients have what is left to tell them, and say farewell. Those who do not read are left."""
        self.leaving = reason
        for client in self.clients:
            client.wake()
        with trio.move_on_after(within):
            while self.clients:
                await self._gone.wait()
                self._gone = trio.Event()

    def leave(self, client: Connection) -> None:
        """A client is gone."""
        self.clients.discard(client)
        self._gone.set()

    # -- news ------------------------------------------------------------------------------------------------

    async def _spread_news(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            for client in self.clients:
                if client.follows:
                    client.wake()
            await trio.sleep(_PAUSE + _PAUSE_PER_FOLLOWER * self.followers)

    async def throttled(self, answer: Callable[[], T]) -> T:
        """Answer what may cost time and changes nothing: one at a time, with pauses for the engine's own work."""
        async with self._quiet:
            await trio.sleep_until(self._quiet_until)
            started = trio.current_time()
            found = answer()
            self._quiet_until = trio.current_time() + _QUIET * (trio.current_time() - started)
        return found

    # -- the socket ------------------------------------------------------------------------------------------

    def _listen(self) -> trio.socket.SocketType:
        trouble: OSError | None = None
        for path in socket_files(self.session):
            try:
                listener = open_socket(path)
                note_socket(self.session, path)
            except OSError as error:
                trouble = trouble or error
                continue
            self._socket = path, path.stat().st_ino
            return trio.socket.from_stdlib_socket(listener)
        raise trouble or FileNotFoundError(errno.ENOENT, "there is no place for a socket")

    async def _listen_again(self) -> trio.socket.SocketType:
        while True:
            with suppress(OSError):
                return self._listen()
            await trio.sleep(_LOOK_AFTER_SOCKET)

    def _is_there(self) -> bool:
        assert self._socket is not None
        path, inode = self._socket
        try:
            return path.stat().st_ino == inode and session_folder(self.session).socket_note.exists()
        except OSError:
            return False

    def _remove_socket(self) -> None:
        if self._socket is not None and self._is_there():
            with suppress(OSError):
                session_folder(self.session).socket_note.unlink()
                self._socket[0].unlink()

    async def _accept_until_gone(self, nursery: trio.Nursery, listener: trio.socket.SocketType) -> None:
        """Take clients until somebody removed the socket."""
        async with trio.open_nursery() as accepting:
            accepting.start_soon(self._accept, nursery, listener)
            while self._is_there():  # noqa: ASYNC110 - nothing tells us
                await trio.sleep(_LOOK_AFTER_SOCKET)
            accepting.cancel_scope.cancel()
        listener.close()

    async def _accept(self, nursery: trio.Nursery, listener: trio.socket.SocketType) -> None:
        while True:
            try:
                accepted, _ = await listener.accept()
            except OSError:  # out of descriptors or memory, or the client is gone already
                await trio.sleep(0.1)
                continue
            connection = Connection(self, trio.SocketStream(accepted))
            nursery.start_soon(connection.serve)

    def log_bug(self, error: Exception) -> None:
        """Say that a client met a mistake in parexec."""
        self._notice(f"a client met a mistake of ours, and was dropped: {type(error).__name__}: {error}")


async def open_server(
    nursery: trio.Nursery,
    coordinator: Coordinator,
    session: str,
    registry_file: Path,
    notice: Callable[[str], None],
    history: Mapping[str, float] | None = None,
) -> Server:
    """Serve what this coordinator runs, from now on and until the nursery ends. `history`: as `answer` has it."""
    server = Server(
        session,
        registry_file,
        ask=coordinator.ask,
        preview=coordinator.preview,
        question=lambda asked: answer(coordinator.state, asked, coordinator.clock.now(), history),
        last_seq=lambda: coordinator.last,
        foresee=lambda events: tuple(preview(coordinator.state, events).lines()),
        notice=notice,
    )
    coordinator.publish, coordinator.warn = server.publish, server.warn
    await nursery.start(server.serve)
    return server
