"""The viewer's end of the socket for commands: it waits for each answer. `async_client` is for the app.

Neither knows what an event means. They give events as they are in the registry, each exactly once and in order;
`core.wire.codec.decode_event` reads them. Every command imports this, so it imports little.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from parexec_tui.client.framing import PIECE, ClientEnd, EngineGone, News, Refused, check_answer, encode, facts_of
from parexec_tui.client.sockets import TIMEOUT, client_origin, connect
from parexec_tui.core.wire.protocol import VERSION, About, Answer, Farewell, FromEngine, Hello, Roots, StatusReport
from parexec_tui.core.wire.requests import AnyRequest


class Client:
    """A connection that waits for each answer. Not for several threads."""

    has_engine: Final = True
    """Whether an engine goes on with what is granted: others that answer as this one does have none."""

    def __init__(self, session: str, hello: Hello, *, timeout: float = TIMEOUT, samples: bool = False) -> None:
        """`samples`: send samples to `follow` as well. Raises EngineGone, ProtocolError."""
        self.session = session
        self._timeout = timeout
        self._hello = hello
        self._samples = samples
        self._end = ClientEnd()
        self._socket = connect(session, timeout)
        self._followers: list[Client] = []
        try:
            self._send(encode(hello))
            self._next()
        except BaseException:
            self.close()
            raise
        assert self._end.welcome is not None
        self.welcome = self._end.welcome

    @classmethod
    def connect(
        cls,
        session: str,
        *,
        timeout: float = TIMEOUT,
        name: str = "cli",
        read_only: bool = False,
        samples: bool = False,
    ) -> "Client":
        """Connect to the engine of a session, by its full id. Raises EngineGone, ProtocolError."""
        hello = Hello(version=VERSION, client=name, by=client_origin(), read_only=read_only)
        return cls(session, hello, timeout=timeout, samples=samples)

    def close(self) -> None:
        """Close the connection, and those that `follow` opened."""
        self._socket.close()
        for follower in self._followers:
            follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: AnyRequest, *, dry_run: bool = False) -> Answer:
        """Make a request; returns once it is remembered, with the events that it led to (or would lead to).

        Raises Refused, EngineGone, ProtocolError.
        """
        return self._answer(*self._end.request(request, dry_run=dry_run))

    def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = (), me: str = "") -> Any:
        """Ask for facts, as plain JSON values; see `Question`. Raises Refused, EngineGone, ProtocolError."""
        return self._answer(*self._end.question(about, tickets, words, me)).facts

    def status(self) -> StatusReport:
        """The facts of the question `status`. Raises as `question` does."""
        return facts_of(self.question("status"), StatusReport)

    def roots(self, tickets: Sequence[str] = ()) -> Roots:
        """What these tickets, or all that wait, wait for in the end. Nothing, if the engine is of an earlier version.
        Raises EngineGone, ProtocolError."""
        try:
            return facts_of(self.question("roots", tickets), Roots)
        except Refused:
            return Roots([], {})

    def follow(self, after: int = 0) -> "Following":
        """Every event after this number, then each as it happens, over a connection of its own; samples too, if the
        client was made for them. Raises EngineGone, ProtocolError.
        """
        hello = msgspec.structs.replace(self._hello, follow=after, read_only=True, samples=self._samples)
        follower = Client(self.session, hello, timeout=self._timeout)
        self._followers.append(follower)
        follower._socket.settimeout(None)
        return Following(follower)

    def _answer(self, id_: int, line: bytes) -> Answer:
        self._send(line)
        while True:
            message = self._next()
            if isinstance(message, Answer) and message.id == id_:
                return check_answer(message)
            if isinstance(message, Farewell):
                raise EngineGone(f"the engine left before it answered: {message.reason}")

    def _send(self, line: bytes) -> None:
        # If the engine has closed the connection, its last words say more than our error would: `_next` reads them.
        with suppress(BrokenPipeError, ConnectionResetError):
            try:
                self._socket.sendall(line)
            except TimeoutError:
                raise EngineGone(f"the engine does not listen, after {self._timeout:g}s") from None

    def _next(self) -> FromEngine:
        while (message := self._end.next()) is None:
            self._receive()
        return message

    def _receive(self, flags: int = 0) -> None:
        try:
            self._end.receive(self._socket.recv(PIECE, flags))
        except BlockingIOError:
            return
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        except OSError as error:
            raise EngineGone(f"the engine went away: {error.strerror}") from None


class Following(Iterator[News]):
    """What an engine tells a follower: wait for it item by item, or take what has come.

    Ends when the engine leaves in good order. Raises EngineGone if it does not, ProtocolError.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def is_over(self) -> bool:
        """Whether the engine has said farewell."""
        return self._client._end.is_over

    def __next__(self) -> News:
        """Wait for the next item."""
        while not self.is_over:
            if isinstance(message := self._client._next(), News):
                return message
        raise StopIteration

    def take(self) -> list[News]:
        """What has come by now, which may be nothing. `select` tells when there is more."""
        self._client._receive(socket.MSG_DONTWAIT)
        found = []
        while (message := self._client._end.next()) is not None:
            if isinstance(message, News):
                found.append(message)
        return found

    def fileno(self) -> int:
        return self._client._socket.fileno()
