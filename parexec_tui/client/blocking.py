"""The viewer's end of the socket, for commands; `async_client` has the same for the app.

Neither knows what an event means. They give events as they are in the registry, each exactly once and in order;
`core.codec.decode_event` reads them. Imported by every command, so it imports little.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec

from parexec_tui.client.peer import peer_uid
from parexec_tui.core.wire.protocol import (
    MAX_LINE,
    VERSION,
    About,
    Answer,
    Farewell,
    FromEngine,
    Happened,
    Hello,
    Notice,
    Question,
    Request,
    Sampled,
    StatusReport,
    Trouble,
    Welcome,
)
from parexec_tui.core.wire.requests import AnyRequest
from parexec_tui.paths import noted_socket

TIMEOUT = 10.0
"""Seconds that an engine may take to answer: it commits within 50 ms, but hosts can be busy and disks slow."""

PIECE = 64 * 1024
"""Bytes that are read at once."""


def _plain(value: object) -> object:
    from parexec_tui.core.wire.codec import to_builtin  # for the rare request that carries tickets

    return to_builtin(value)


News = Happened | Notice | Sampled
"""What one who follows is told."""

_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder: msgspec.json.Decoder[FromEngine] = msgspec.json.Decoder(FromEngine)


class ClientError(Exception):
    """Something went wrong between a client and an engine; the text is for a person."""


class EngineGone(ClientError):  # noqa: N818
    """No engine runs the session, or it went away, or it does not answer."""


class ProtocolError(ClientError):
    """The other end does not speak as we do, or says that we do not speak as it does. Trying again will not help."""


class Refused(ClientError):  # noqa: N818
    """The engine will not do what was asked. `remedy`: what would make it possible."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason} ({remedy})" if remedy else reason)
        self.reason = reason
        self.remedy = remedy


def place() -> str:
    """Where the person sits: terminal, and host if it is a far one. The engine adds the user."""
    far = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    for number in (0, 1, 2):
        with suppress(OSError):
            tty = os.ttyname(number).removeprefix("/dev/")
            return f"{tty} from {far}" if far else tty
    return far or socket.gethostname()


def encode(message: Hello | Request | Question) -> bytes:
    """A message as a line. Raises ProtocolError if it is too long for the engine."""
    line = _encoder.encode(message) + b"\n"
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a request of {len(line)} bytes is too long, the most is {MAX_LINE}: ask in parts")
    return line


def decode(line: bytes | bytearray) -> FromEngine:
    """Read one line of an engine. Raises ProtocolError."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the engine said something that this parexec cannot read: {error}") from None


def checked(answer: Answer) -> Answer:
    if answer.refusal is not None:
        raise Refused(answer.refusal, answer.remedy)
    return answer


def welcomed(message: FromEngine) -> Welcome:
    if isinstance(message, Trouble):
        raise ProtocolError(message.message)
    if isinstance(message, Farewell):
        raise EngineGone(f"the engine is leaving: {message.reason}")
    if not isinstance(message, Welcome):
        raise ProtocolError(f"the engine did not say welcome but {type(message).__name__.lower()}")
    return message


def open_socket(session: str, timeout: float) -> socket.socket:
    """A connection to the engine of this session, which is known to be ours. Raises EngineGone, ProtocolError."""
    path = noted_socket(session)
    if path is None:
        raise EngineGone(f"no engine runs session {session}")
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(timeout)
        connected.connect(bytes(path))
        uid = peer_uid(connected)
    except OSError as error:
        connected.close()
        raise EngineGone(f"no engine runs session {session}: {path}: {error.strerror or error}") from None
    if uid != os.getuid():
        connected.close()
        raise ProtocolError(f"{path} belongs to a process of user {uid}, not to an engine of yours")
    return connected


class Client:
    """A connection that waits for each answer. Not for several threads."""

    def __init__(self, session: str, hello: Hello, *, timeout: float = TIMEOUT, samples: bool = False) -> None:
        """`samples`: those who `follow` are sent samples too. Raises EngineGone, ProtocolError."""
        self.session = session
        self._timeout = timeout
        self._hello = hello
        self._samples = samples
        self._socket = open_socket(session, timeout)
        self._followers: list[Client] = []
        self._rest = bytearray()
        self._lines: list[bytes] = []
        """Read and not used yet, the next one last."""
        self._id = 0
        try:
            self._send(encode(hello))
            self.welcome = welcomed(self._next())
        except BaseException:
            self.close()
            raise

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
        hello = Hello(version=VERSION, client=name, by=place(), read_only=read_only)
        return cls(session, hello, timeout=timeout, samples=samples)

    def close(self) -> None:
        """Close the connection, and those of what is followed."""
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
        """Make a wish; returns once it is remembered, with the events that it led to (or would lead to).

        Raises Refused, EngineGone, ProtocolError.
        """
        self._id += 1
        return self._answer(encode(Request(id=self._id, request=request, dry_run=dry_run)))

    def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = ()) -> Any:
        """Ask for facts, as plain JSON values. Raises Refused, EngineGone, ProtocolError."""
        self._id += 1
        asked = Question(id=self._id, about=about, tickets=tuple(tickets), words=tuple(words))
        return self._answer(encode(asked)).facts

    def status(self) -> StatusReport:
        """How the session stands."""
        return msgspec.convert(self.question("status"), StatusReport)

    def follow(self, after: int = 0) -> "Following":
        """Every event after this number, and on as they happen, over a connection of its own; samples too, if wished.

        Raises EngineGone, ProtocolError.
        """
        hello = msgspec.structs.replace(self._hello, follow=after, read_only=True, samples=self._samples)
        follower = Client(self.session, hello, timeout=self._timeout)
        self._followers.append(follower)
        follower._socket.settimeout(None)
        return Following(follower)

    def _answer(self, line: bytes) -> Answer:
        self._send(line)
        while True:
            message = self._next()
            if isinstance(message, Answer) and message.id == self._id:
                return checked(message)
            if isinstance(message, Farewell):
                raise EngineGone(f"the engine left before it answered: {message.reason}")

    def _send(self, line: bytes) -> None:
        # What an engine says before it closes on us is worth more than that the line could not be sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            try:
                self._socket.sendall(line)
            except TimeoutError:
                raise EngineGone(f"the engine does not listen, after {self._timeout:g}s") from None

    def _next(self) -> FromEngine:
        while not self._lines:
            self._receive()
        message = decode(self._lines.pop())
        if isinstance(message, Trouble):
            raise ProtocolError(message.message)
        return message

    def _receive(self, flags: int = 0) -> None:
        try:
            piece = self._socket.recv(PIECE, flags)
        except BlockingIOError:
            return
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        except OSError as error:
            raise EngineGone(f"the engine went away: {error.strerror}") from None
        if not piece:
            raise EngineGone("the engine went away")
        self._lines = split(self._rest, piece)
        self._lines.reverse()


class Following(Iterator[News]):
    """What an engine says to one who follows: to be waited for one by one, or taken as it comes.

    Ends when the engine leaves in good order. Raises EngineGone if it does not, ProtocolError.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.is_over = False
        """True once the engine has said farewell."""

    def __next__(self) -> News:
        """Wait for the next one."""
        while not self.is_over:
            if (said := self._read()) is not None:
                return said
        raise StopIteration

    def take(self) -> list[News]:
        """All that has come by now, which may be nothing. `select` tells when there is more."""
        if not self._client._lines:
            self._client._receive(socket.MSG_DONTWAIT)
        found = []
        while self._client._lines and not self.is_over:
            if (said := self._read()) is not None:
                found.append(said)
        return found

    def fileno(self) -> int:
        return self._client._socket.fileno()

    def _read(self) -> News | None:
        message = self._client._next()
        self.is_over = isinstance(message, Farewell)
        return message if isinstance(message, News) else None


def split(rest: bytearray, piece: bytes) -> list[bytes]:
    """The whole lines of what was left over and what came; what is left over now stays in `rest`."""
    if b"\n" not in piece:
        rest += piece
        return []
    whole, _, left = piece.rpartition(b"\n")
    lines = bytes(rest + whole).split(b"\n")
    rest[:] = left
    return lines
