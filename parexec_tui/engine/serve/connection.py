"""One client of the engine: what it says is read with every bound, what it is told waits for nobody else."""

import os
import pwd
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import trio
from msgspec import Struct

from parexec_tui.client.peer import peer_uid
from parexec_tui.core.wire import codec, protocol
from parexec_tui.core.wire.protocol import (
    MAX_LINE,
    MOST_WAITING,
    VERSION,
    Answer,
    FromClient,
    Hello,
    Trouble,
    Welcome,
)
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.engine.coordinator import Decision
from parexec_tui.engine.serve.backlog import PIECE, happened
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry

if TYPE_CHECKING:
    from parexec_tui.engine.serve.server import Server

MOST_CLIENTS = 200
"""Connections at once. Each costs a file descriptor, of which many systems give 1024."""

LONGEST_BY = 64

_PAGE = 500
"""Events that are read from the registry at once."""

_LAST_ANSWER = 0.2
"""Seconds that a leaving engine waits for an answer to come, before it says farewell without it."""

_decoder: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient, dec_hook=codec.from_builtin)


class _Envelope(Struct, tag_field="type", tag="request"):
    """As much of a request as it takes to refuse it."""

    id: protocol.Id


class _QuestionEnvelope(_Envelope, tag="question"):
    pass


_envelope: msgspec.json.Decoder[_Envelope | _QuestionEnvelope] = msgspec.json.Decoder(_Envelope | _QuestionEnvelope)


class _Dropped(Exception):  # noqa: N818
    """The connection ends here; the text, if any, is said to the client as trouble."""


class Connection:
    """One client: a task that reads from it, a task that writes to it."""

    def __init__(self, server: "Server", stream: trio.SocketStream) -> None:
        self._server = server
        self._stream = stream
        self._lines = _Lines(stream)
        self._replies: deque[tuple[int, bytes]] = deque()
        """Each with the last event before it: who follows gets that first."""
        self._woken = trio.Event()
        self._sent = trio.Event()
        """Set when all replies were sent."""
        self._owes_answer = False
        """True while the client waits for an answer that is not among the replies yet."""
        self._cursor: int | None = None
        """The last event that was sent; None: it does not follow."""
        self._sample: bytes | None = None
        """The last sample that was sent; None: it does not want any."""
        self._warning = b""
        """The notice that was sent, while it stands."""
        self._read_only = False
        self._by = ""
        self._is_cut = False
        """True while a line may be sent in part."""

    @property
    def follows(self) -> bool:
        return self._cursor is not None

    def wake(self) -> None:
        """There may be something new to send."""
        self._woken.set()

    async def serve(self) -> None:
        """From hello to the end. Nothing that a client does gets out of here."""
        server = self._server
        server.connections += 1
        try:
            await self._converse()
        except _Dropped as dropped:
            if str(dropped):
                await self._say_trouble(str(dropped))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except Exception as error:
            server.log_bug(error)
            await self._say_trouble("the engine made a mistake; the session goes on")
        finally:
            self._leave()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)

    async def _converse(self) -> None:
        await self._greet()
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:

            async def until_it_ends(half: Callable[[], Awaitable[None]]) -> None:
                nonlocal failure
                try:
                    await half()
                except Exception as error:
                    failure = failure or error
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_it_ends, self._read)
            nursery.start_soon(until_it_ends, self._write)
        if failure is not None:
            raise failure

    def _leave(self) -> None:
        server = self._server
        server.connections -= 1
        if self._cursor is not None:
            server.followers -= 1
            self._cursor = None
        server.samples.leave(self)
        server.leave(self)

    # -- hello -----------------------------------------------------------------------------------------------

    async def _greet(self) -> None:
        server = self._server
        self._check_peer()
        with trio.move_on_after(server.patience) as waited:
            line = await self._lines.next()
        if waited.cancelled_caught:
            raise _Dropped(f"no hello within {server.patience:g}s")
        if line is None:
            raise _Dropped
        hello = self._message(line)
        if not isinstance(hello, Hello):
            raise _Dropped("a client says hello first")
        if hello.version != VERSION:
            raise _Dropped(
                f"this engine speaks version {VERSION} of the protocol, the client {hello.version}: "
                "use the parexec that started the session"
            )
        last = server.last_seq()
        if hello.follow is not None and hello.follow > last:
            raise _Dropped(f"there is no event {hello.follow} yet, the newest is {last}: follow from the start")
        self._by = signature(hello.by)
        self._read_only = hello.read_only
        welcome = Welcome(
            version=VERSION, session=server.session, engine_pid=os.getpid(), last=last, read_only=hello.read_only
        )
        await self._send(codec.encode(welcome) + b"\n")
        server.clients.add(self)
        if hello.follow is not None:
            self._cursor = hello.follow
            server.followers += 1
        if hello.samples:
            self._sample = b""
            server.samples.join(self)

    def _check_peer(self) -> None:
        try:
            uid = peer_uid(self._stream.socket)  # type: ignore[arg-type]
        except OSError as error:
            raise _Dropped(f"it cannot be told who you are: {error.strerror}") from None
        if uid != os.getuid():
            raise _Dropped("this engine belongs to another user")
        if self._server.connections > MOST_CLIENTS:
            raise _Dropped(f"{MOST_CLIENTS} clients are connected already")

    # -- reading ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while (line := await self._lines.next()) is not None:
            self._owes_answer = True
            await self._reply(await self._answer(line))
        # It closed its side, and has every answer: none is awaited without waiting for the one before.

    async def _answer(self, line: bytes) -> Answer:
        server = self._server
        try:
            message = self._message(line)
        except _Dropped as unreadable:
            return self._refuse_unknown(line, unreadable)
        match message:
            case protocol.Question():
                found = await server.throttled(lambda: server.question(message))
                if isinstance(found, Refusal):
                    return Answer(id=message.id, refusal=found.reason, remedy=found.remedy)
                return Answer(id=message.id, facts=found)
            case protocol.Request(dry_run=True):
                request = self._signed(message.request)
                return await server.throttled(lambda: self._previewed(message.id, server.preview(request)))
            case protocol.Request():
                if self._read_only:
                    return Answer(
                        id=message.id, refusal="this connection only reads", remedy="connect without read_only"
                    )
                return self._decided(message.id, await server.ask(self._signed(message.request)))
            case _:
                raise _Dropped("a client says hello once")

    def _message(self, line: bytes) -> FromClient:
        try:
            return _decoder.decode(line)
        except Exception as error:
            raise _Dropped(f"a message that cannot be read: {error}") from None

    def _refuse_unknown(self, line: bytes, unreadable: _Dropped) -> Answer:
        """The answer to a request or question that this engine does not know; what is neither, ends it."""
        try:
            envelope = _envelope.decode(line)
        except Exception:
            raise unreadable from None
        return Answer(id=envelope.id, refusal=str(unreadable), remedy="see parexec help protocol")

    def _signed(self, request: AnyRequest) -> AnyRequest:
        return msgspec.structs.replace(request, by=self._by)

    def _previewed(self, id_: int, decision: Decision) -> Answer:
        answer = self._decided(id_, decision)
        if isinstance(decision, Refusal):
            return answer
        return msgspec.structs.replace(answer, preview=tuple(self._server.foresee(decision)))

    @staticmethod
    def _decided(id_: int, decision: Decision) -> Answer:
        if isinstance(decision, Refusal):
            return Answer(id=id_, refusal=decision.reason, remedy=decision.remedy)
        return Answer(id=id_, events=[msgspec.Raw(codec.encode(event)) for event in decision])

    async def _reply(self, answer: Answer) -> None:
        """Hand an answer to the writer; returns when it is on its way, so who does not read is not read from."""
        self._replies.append((self._server.backlog.last, codec.encode(answer) + b"\n"))
        self._owes_answer = False
        self._sent = trio.Event()
        self.wake()
        await self._sent.wait()

    # -- writing ---------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Events as they come, replies and the newest sample in between, until the end."""
        may_wait = True
        while True:
            woken = self._woken = trio.Event()
            if not await self._send_events():
                woken.set()
            await self._send_replies()
            await self._send_sample()
            await self._send_warning()
            if woken.is_set() or self._has_news():
                continue
            if self._server.leaving and self._owes_answer and may_wait:
                # A stop of what does not run ends the engine at once: that it was granted is said all the same.
                with trio.move_on_after(_LAST_ANSWER) as waited:
                    await woken.wait()
                may_wait = not waited.cancelled_caught
                continue
            if self._server.leaving:
                return await self._send(codec.encode(protocol.Farewell(reason=self._server.leaving)) + b"\n")
            await woken.wait()

    def _has_news(self) -> bool:
        return self._cursor is not None and self._cursor < self._server.backlog.last

    async def _send_events(self) -> bool:
        """Send what has happened so far, from the registry or the backlog. False: there is more to be read."""
        backlog = self._server.backlog
        newest = backlog.last
        while self._cursor is not None and self._cursor < newest:
            if self._cursor < backlog.start:
                return await self._send_page()
            lines, last = backlog.after(self._cursor)
            await self._send(lines)
            self._cursor = last
        return True

    async def _send_page(self) -> bool:
        assert self._cursor is not None
        server, after = self._server, self._cursor
        try:
            lines, last = await trio.to_thread.run_sync(
                _page, server.registry_file, server.session, after, limiter=server.reads
            )
        except RegistryError as error:
            raise _Dropped(f"what happened cannot be read: {error}") from None
        if last == after:
            raise _Dropped(f"what happened after event {after} cannot be read")
        await self._send(lines)
        self._cursor = last
        return False

    async def _send_replies(self) -> None:
        """Send what is answered, unless an event that it follows from is about to be sent."""
        while self._replies and not self._is_behind(self._replies[0][0]):
            await self._send(self._replies.popleft()[1])
        if not self._replies:
            self._sent.set()

    async def _send_sample(self) -> None:
        line = self._server.samples.line
        if self._sample is not None and line and line is not self._sample:
            await self._send(line)
            self._sample = line

    async def _send_warning(self) -> None:
        """Send the notice that stands. It is about what comes after the last event, so it comes after that."""
        line = self._server.warning
        if self.follows and not self._has_news() and line is not self._warning:
            self._warning = line
            await self._send(line)

    def _is_behind(self, seq: int) -> bool:
        return self._cursor is not None and self._server.backlog.start <= self._cursor < seq

    async def _send(self, data: bytes) -> None:
        """Send, piece by piece; a client that takes none of a piece for too long is dropped."""
        view = memoryview(data)
        self._is_cut = True
        for at in range(0, len(data), PIECE):
            with trio.move_on_after(self._server.patience) as waited:
                await self._stream.send_all(view[at : at + PIECE])
            if waited.cancelled_caught:
                raise trio.BrokenResourceError("it does not read")
        self._is_cut = False

    async def _say_trouble(self, text: str) -> None:
        """The last line; then read on for a moment, as a client that is still sending would never see it."""
        if self._is_cut:
            return
        with trio.move_on_after(min(1.0, self._server.patience)), suppress(trio.BrokenResourceError):
            await self._stream.send_all(codec.encode(Trouble(message=text)) + b"\n")
            await self._stream.send_eof()
            for _ in range(64):
                if not await self._stream.receive_some(PIECE):
                    break


class _Lines:
    """Lines of a client, with every bound that it takes to read what may be anything."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._rest = bytearray()
        self._waiting: deque[bytes] = deque()

    async def next(self) -> bytes | None:
        """The next line; None when there is none and will be none."""
        while not self._waiting:
            piece = await self._stream.receive_some(MAX_LINE)
            if not piece:
                if self._rest:
                    self._drop("the last line has no end")
                return None
            self._take(bytes(piece))
        return self._waiting.popleft()

    def _take(self, piece: bytes) -> None:
        head, newline, tail = piece.partition(b"\n")
        self._rest += head
        if len(self._rest) >= MAX_LINE:
            self._drop(f"a line of more than {MAX_LINE} bytes")
        if not newline:
            return
        self._waiting.append(bytes(self._rest))
        *lines, left = tail.split(b"\n")
        if len(lines) >= MOST_WAITING:
            self._drop(f"more than {MOST_WAITING} messages at once: wait for answers")
        self._waiting.extend(lines)
        self._rest[:] = left

    def _drop(self, why: str) -> NoReturn:
        raise _Dropped(why)


def _page(file: Path, session: str, after: int) -> tuple[bytes, int]:
    """The lines of the events after `after`, and the number of the last of them. Runs in a thread."""
    with Registry.open(file, read_only=True) as registry:
        rows = list(registry.events(session, after, limit=_PAGE))
    return b"".join(happened(row.seq, row.data) for row in rows), rows[-1].seq if rows else after


def signature(place: str) -> str:
    """`user@place`: how a request is signed. The user is the one whose processes alone may connect."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may have no name for its user
        user = str(os.getuid())
    plain = "".join(letter for letter in place if letter.isprintable()).strip()
    return (f"{user}@{plain}" if plain else user)[:LONGEST_BY]
