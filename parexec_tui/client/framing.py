"""The protocol without a socket: bytes in, messages out; messages in, bytes out.

`ClientEnd` and `EngineEnd` are the two ends of one connection. They have no socket and no clock, so the blocking
client, the asyncio client and the server share them. The owner of the socket passes what it read to `receive`, then
calls `next` until that returns None. Messages come in order, however the bytes were split; an error is raised after
the messages before it.
"""

from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import Struct

from parexec_tui.core.wire.protocol import (
    MAX_LINE,
    MAX_WAITING,
    VERSION,
    About,
    Answer,
    Farewell,
    FromClient,
    FromEngine,
    Happened,
    Hello,
    Id,
    Notice,
    Question,
    Request,
    Sampled,
    Trouble,
    Viewers,
    Welcome,
)
from parexec_tui.core.wire.requests import AnyRequest

PIECE = 64 * 1024
"""Bytes to read or write at once."""

News = Happened | Notice | Sampled | Viewers
"""What a follower is sent."""

_Facts = TypeVar("_Facts")


class ClientError(Exception):
    """Something went wrong between a client and an engine; the text is for a person."""


class EngineGone(ClientError):  # noqa: N818
    """No engine runs the session, or it went away, or it does not answer."""


class Refused(ClientError):  # noqa: N818
    """The engine will not do what was asked. `remedy`: what would make it possible."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason} ({remedy})" if remedy else reason)
        self.reason = reason
        self.remedy = remedy


class ProtocolError(ClientError):
    """The two ends do not understand each other. Trying again will not help."""


class LocalProtocolError(ProtocolError):
    """This end would have broken the protocol: nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other end broke the protocol."""


# -- messages as lines -----------------------------------------------------------------------------------------


def _to_builtin(value: object) -> object:
    from parexec_tui.core.wire.codec import to_builtin  # slow to import, and only tickets in a request need it

    return to_builtin(value)


_encoder = msgspec.json.Encoder(enc_hook=_to_builtin)
_from_engine: msgspec.json.Decoder[FromEngine] = msgspec.json.Decoder(FromEngine)


def encode(message: FromClient | FromEngine) -> bytes:
    """A message as a line. Raises LocalProtocolError for a client's message that is too long for an engine."""
    line = _encoder.encode(message) + b"\n"
    if len(line) > MAX_LINE and isinstance(message, FromClient):
        raise LocalProtocolError(
            f"a request of {len(line)} bytes is too long, the maximum is {MAX_LINE}: ask in parts"
        )
    return line


def encode_event(seq: int, event: bytes) -> bytes:
    """The line of `Happened`, around an event that is encoded already."""
    return b'{"type":"happened","seq":%d,"event":%b}\n' % (seq, event)


def decode(line: bytes) -> FromEngine:
    """Read one line of an engine. Raises RemoteProtocolError."""
    try:
        return _from_engine.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> RemoteProtocolError:
    return RemoteProtocolError(f"the engine said something that this parexec cannot read: {error}")


class Lines:
    """Splits a stream of bytes into lines."""

    def __init__(self, max_line: int | None = None) -> None:
        """`max_line`: bytes of a line, newline included. None: no limit."""
        self.waiting: deque[bytes] = deque()
        """Whole lines that `next` has not returned yet."""
        self.rest = bytearray()
        """The beginning of the line that is not whole yet."""
        self.is_closed = False
        """Whether the other end has said that nothing follows."""
        self._max_line = max_line

    def receive(self, data: bytes) -> None:
        """Take in what was read; empty: nothing follows."""
        if not data:
            self.is_closed = True
            return
        head, newline, tail = data.partition(b"\n")
        self.rest += head
        if newline:
            self.waiting.append(bytes(self.rest))
            *lines, left = tail.split(b"\n")
            self.waiting.extend(lines)
            self.rest[:] = left

    def next(self) -> bytes | None:
        """The next whole line, or None. Raises RemoteProtocolError if it is too long, whole or not."""
        next_line = self.waiting[0] if self.waiting else self.rest
        if self._max_line is not None and len(next_line) >= self._max_line:
            raise RemoteProtocolError(f"a line of more than {self._max_line} bytes")
        return self.waiting.popleft() if self.waiting else None


# -- the client's end ------------------------------------------------------------------------------------------


class ClientEnd:
    """One connection as its client sees it. Send `encode(hello)` first."""

    def __init__(self) -> None:
        self.welcome: Welcome | None = None
        """What the engine said of itself; None until then."""
        self.is_over = False
        """Whether the engine has said farewell."""
        self._lines = Lines()
        self._id = 0

    def request(self, request: AnyRequest, *, dry_run: bool = False) -> tuple[int, bytes]:
        """The id of a new request, and its line. Raises LocalProtocolError if it is too long."""
        self._id += 1
        return self._id, encode(Request(id=self._id, request=request, dry_run=dry_run))

    def question(
        self, about: About, tickets: Sequence[str] = (), words: Sequence[str] = (), me: str = ""
    ) -> tuple[int, bytes]:
        """The id of a new question, and its line. Raises LocalProtocolError if it is too long."""
        self._id += 1
        return self._id, encode(Question(id=self._id, about=about, tickets=tuple(tickets), words=tuple(words), me=me))

    def receive(self, data: bytes) -> None:
        """Take in what was read; empty: the engine closed the connection."""
        self._lines.receive(data)

    def next(self) -> FromEngine | None:
        """The next message; None until more is received. The first is a welcome.

        Raises EngineGone if the connection ended without a farewell, or a farewell came instead of a welcome;
        ProtocolError if the engine says trouble; RemoteProtocolError.
        """
        line = self._lines.next()
        if line is None:
            if self._lines.is_closed and not self.is_over:
                raise EngineGone("the engine went away")
            return None
        message = decode(line)
        if isinstance(message, Trouble):
            raise ProtocolError(message.message)
        if self.welcome is None:
            self.welcome = _check_welcome(message)
        self.is_over = self.is_over or isinstance(message, Farewell)
        return message


def _check_welcome(message: FromEngine) -> Welcome:
    if isinstance(message, Farewell):
        raise EngineGone(f"the engine is leaving: {message.reason}")
    if not isinstance(message, Welcome):
        raise RemoteProtocolError(f"the engine did not say welcome but {type(message).__name__.lower()}")
    return message


def facts_of(facts: object, type_: type[_Facts]) -> _Facts:
    """The facts of an answer, read as this type. Raises RemoteProtocolError if they cannot be."""
    try:
        return msgspec.convert(facts, type_)
    except msgspec.ValidationError as error:
        raise _unreadable(error) from None


def check_answer(answer: Answer) -> Answer:
    """The answer, if it grants what was asked. Raises Refused."""
    if answer.refusal is not None:
        raise Refused(answer.refusal, answer.remedy)
    return answer


# -- the engine's end ------------------------------------------------------------------------------------------


class Unreadable(Struct, frozen=True):
    """A request or question that this engine does not understand: one of a later version, or a wrong one."""

    id: int
    """The id that its answer must carry."""
    error: str


class EngineEnd:
    """One connection as the engine sees it. Its memory is bounded, whatever a client sends."""

    def __init__(self) -> None:
        self._lines = Lines(MAX_LINE)
        self._is_greeted = False

    @property
    def is_closed(self) -> bool:
        """Whether the client has said that nothing follows."""
        return self._lines.is_closed

    def receive(self, data: bytes) -> None:
        """Take in what was read, at most MAX_LINE bytes at once; empty: the client closed its side.

        Raises RemoteProtocolError if too many messages wait for their answers.
        """
        self._lines.receive(data)
        if len(self._lines.waiting) > MAX_WAITING:
            raise RemoteProtocolError(f"more than {MAX_WAITING} messages at once: wait for answers")

    def next(self) -> FromClient | Unreadable | None:
        """The next message; None until more is received. The first is a hello of our version, and no other is.

        Raises RemoteProtocolError; its text is for the client.
        """
        line = self._lines.next()
        if line is None:
            if self._lines.is_closed and self._lines.rest:
                raise RemoteProtocolError("the last line has no end")
            return None
        message = _read_message(line)
        if not self._is_greeted:
            _check_hello(message)
            self._is_greeted = True
        elif isinstance(message, Hello):
            raise RemoteProtocolError("a client says hello once")
        return message


class _Envelope(Struct, tag_field="type", tag="request"):
    """The part of a request that is needed to refuse it."""

    id: Id


class _QuestionEnvelope(_Envelope, tag="question"):
    pass


@cache  # commands import this module, and need no decoder of clients' messages
def _decoders() -> tuple[msgspec.json.Decoder[FromClient], msgspec.json.Decoder[_Envelope | _QuestionEnvelope]]:
    from parexec_tui.core.wire.codec import from_builtin

    return (
        msgspec.json.Decoder(FromClient, dec_hook=from_builtin),
        msgspec.json.Decoder(_Envelope | _QuestionEnvelope),
    )


def _read_message(line: bytes) -> FromClient | Unreadable:
    whole, envelope = _decoders()
    try:
        return whole.decode(line)
    except Exception as error:  # a client may send anything, and a decoder may raise anything for it
        text = f"a message that cannot be read: {error}"
    try:
        return Unreadable(envelope.decode(line).id, text)
    except Exception:
        raise RemoteProtocolError(text) from None


def _check_hello(message: FromClient | Unreadable) -> None:
    if isinstance(message, Unreadable):
        raise RemoteProtocolError(message.error)
    if not isinstance(message, Hello):
        raise RemoteProtocolError("a client says hello first")
    if message.version != VERSION:
        raise RemoteProtocolError(
            f"this engine speaks version {VERSION} of the protocol, the client {message.version}: "
            "use the parexec that started the session"
        )
