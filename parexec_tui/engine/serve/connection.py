"""One client of the engine: a task reads what it says, another sends what it is told."""

import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from parexec_tui.client.framing import (
    PIECE,
    EngineEnd,
    RemoteProtocolError,
    Unreadable,
    encode,
    encode_event,
)
from parexec_tui.client.peer import peer_uid, signature
from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.wire import codec, protocol
from parexec_tui.core.wire.protocol import MAX_LINE, VERSION, Answer, FromClient, Hello, Trouble, Welcome
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.engine.serve.hub import Hub
from parexec_tui.engine.threads import in_thread
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry

MAX_CLIENTS = 200
"""Connections at once. Each costs a file descriptor, of which many systems give 1024."""

_PAGE = 500
"""Events that are read from the registry at once."""

_REMEDY = "see parexec help protocol"
"""The remedy for a client that the engine does not understand."""

_COMMANDS = frozenset({"cli", "wait"})
"""Clients that may follow and are no viewers: nobody looks at what they are sent."""

_NOBODY = encode(protocol.Viewers())

_LAST_ANSWER = 0.2
"""Seconds that a leaving engine waits for the last answer before it says farewell without it."""


class _Dropped(Exception):  # noqa: N818
    """The connection ends here; the text, if any, is sent to the client as trouble."""


class Connection:
    """One client: a task that reads from it, a task that writes to it."""

    def __init__(self, hub: Hub, stream: trio.SocketStream) -> None:
        self._hub = hub
        self._stream = stream
        self._end = EngineEnd()
        self._replies: deque[tuple[int, bytes]] = deque()
        """Each with the number of the event before it, which a follower is sent first."""
        self._woken = trio.Event()
        self._sent = trio.Event()
        """Set when all replies were sent."""
        self._owes_answer = False
        """True while the client waits for an answer that is not among the replies yet."""
        self._cursor: int | None = None
        """The last event that was sent; None: it does not follow."""
        self._sample: bytes | None = None
        """The last sample that was sent; None: it does not want any."""
        self._others: bytes | None = None
        """What was said last of who else follows; None: it does not want to know."""
        self._arrivals = 0
        """Those that are accounted for in that."""
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
        """From hello to the end. Whatever a client does, nothing is raised."""
        hub = self._hub
        hub.connections += 1
        try:
            await self._converse()
        except (_Dropped, RemoteProtocolError) as error:
            if str(error):
                await self._say_trouble(str(error))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except Exception as error:
            hub.log_bug(error)
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
        hub = self._hub
        hub.connections -= 1
        if self._cursor is not None:
            hub.followers -= 1
            self._cursor = None
        hub.samples.leave(self)
        hub.leave(self)

    # -- hello -----------------------------------------------------------------------------------------------

    async def _greet(self) -> None:
        hub = self._hub
        self._check_peer()
        with trio.move_on_after(hub.client_timeout) as waited:
            hello = await self._next()
        if waited.cancelled_caught:
            raise _Dropped(f"no hello within {hub.client_timeout:g}s")
        if not isinstance(hello, Hello):  # it closed the connection
            raise _Dropped
        last = hub.last_seq()
        if hello.follow is not None and hello.follow > last:
            raise _Dropped(f"there is no event {hello.follow} yet, the newest is {last}: follow from the start")
        self._by = signature(hello.by)
        self._read_only = hello.read_only
        welcome = Welcome(
            version=VERSION, session=hub.session, engine_pid=os.getpid(), last=last, read_only=hello.read_only
        )
        await self._send(encode(welcome))
        hub.clients.add(self)
        if hello.follow is not None:
            self._cursor = hello.follow
            hub.followers += 1
            self._others = _NOBODY if hello.viewers else None
            if hello.client not in _COMMANDS:
                hub.view(self, protocol.Viewer(by=self._by, read_only=self._read_only))
        if hello.samples:
            self._sample = b""
            hub.samples.join(self)

    def _check_peer(self) -> None:
        try:
            uid = peer_uid(self._stream.socket)  # type: ignore[arg-type]
        except OSError as error:
            raise _Dropped(f"it cannot be told who you are: {error.strerror}") from None
        if uid != os.getuid():
            raise _Dropped("this engine belongs to another user")
        if self._hub.connections > MAX_CLIENTS:
            raise _Dropped(f"{MAX_CLIENTS} clients are connected already")

    # -- reading ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while (message := await self._next()) is not None:
            self._owes_answer = True
            await self._reply(await self._answer(message))
        # It closed its side, and has every answer: each was sent before the next message was read.

    async def _next(self) -> FromClient | Unreadable | None:
        """The next message; None when the client has closed its side."""
        while (message := self._end.next()) is None and not self._end.is_closed:
            self._end.receive(bytes(await self._stream.receive_some(MAX_LINE)))
        return message

    async def _answer(self, message: FromClient | Unreadable) -> Answer:
        hub = self._hub
        match message:
            case Unreadable(id=id_, error=error):
                return Answer(id=id_, refusal=error, remedy=_REMEDY)
            case protocol.Question():
                found = await hub.throttled(lambda: hub.question(message))
                if isinstance(found, Refusal):
                    return Answer(id=message.id, refusal=found.reason, remedy=found.remedy)
                if isinstance(found, protocol.StatusReport):
                    if hub.with_progress is not None:
                        found = await hub.with_progress(found)
                    found = msgspec.structs.replace(
                        found,
                        viewers=[*hub.viewers.values()],
                        gpus=[*hub.samples.gpus(time.time())],
                        usage=[*hub.samples.usages],
                    )
                return Answer(id=message.id, facts=found)
            case protocol.Request(dry_run=True):
                request = self._signed(message.request)
                lost = await hub.look(request) if hub.look is not None else ""
                return await hub.throttled(lambda: self._previewed(message.id, hub.dry_run(request), lost))
            case protocol.Request():
                if self._read_only:
                    return Answer(
                        id=message.id, refusal="this connection only reads", remedy="connect without read_only"
                    )
                answer = self._decided(message.id, await hub.ask(self._signed(message.request)))
                return answer if answer.events is None else msgspec.structs.replace(answer, notice=hub.warning_text)
            case Hello():
                raise AssertionError("the framing lets no second hello through")

    def _signed(self, request: AnyRequest) -> AnyRequest:
        return msgspec.structs.replace(request, by=self._by)

    def _previewed(self, id_: int, decision: Decision, lost: Refusal | str) -> Answer:
        answer = self._decided(id_, lost if isinstance(lost, Refusal) else decision)
        if isinstance(decision, Refusal) or isinstance(lost, Refusal):
            return answer
        return msgspec.structs.replace(
            answer, preview=(*((lost,) if lost else ()), *self._hub.preview_lines(decision))
        )

    @staticmethod
    def _decided(id_: int, decision: Decision) -> Answer:
        if isinstance(decision, Refusal):
            return Answer(id=id_, refusal=decision.reason, remedy=decision.remedy)
        return Answer(id=id_, events=[msgspec.Raw(codec.encode(event)) for event in decision])

    async def _reply(self, answer: Answer) -> None:
        """Hand an answer to the writer, and wait until it is sent: a client that does not read is not read from."""
        self._replies.append((self._hub.backlog.last, encode(answer)))
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
            await self._send_others()
            await self._send_warning()
            if woken.is_set() or self._has_news():
                continue
            if self._hub.leaving and self._owes_answer and may_wait:
                # A stop may end the engine at once; the client must still be told that it was granted.
                with trio.move_on_after(_LAST_ANSWER) as waited:
                    await woken.wait()
                may_wait = not waited.cancelled_caught
                continue
            if self._hub.leaving:
                return await self._send(encode(protocol.Farewell(reason=self._hub.leaving)))
            await woken.wait()

    def _has_news(self) -> bool:
        return self._cursor is not None and self._cursor < self._hub.backlog.last

    async def _send_events(self) -> bool:
        """Send the events so far, from the registry or the backlog. False: there are more."""
        backlog = self._hub.backlog
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
        hub, after = self._hub, self._cursor
        try:
            lines, last = await in_thread(_page, hub.registry_file, hub.session, after, limiter=hub.reads)
        except RegistryError as error:
            raise _Dropped(f"what happened cannot be read: {error}") from None
        if last == after:
            raise _Dropped(f"what happened after event {after} cannot be read")
        await self._send(lines)
        self._cursor = last
        return False

    async def _send_replies(self) -> None:
        """Send answers, except one whose events are still to be sent before it."""
        while self._replies and not self._is_behind(self._replies[0][0]):
            await self._send(self._replies.popleft()[1])
        if not self._replies:
            self._sent.set()

    async def _send_sample(self) -> None:
        line = self._hub.samples.line
        if self._sample is not None and line and line is not self._sample:
            await self._send(line)
            self._sample = line

    async def _send_others(self) -> None:
        """Send who else follows, if that is not what was said last."""
        hub = self._hub
        if self._others is None or self._arrivals == hub.arrivals:
            return
        self._arrivals = hub.arrivals
        line = encode(hub.others(self))
        if line != self._others:
            self._others = line
            await self._send(line)

    async def _send_warning(self) -> None:
        """Send the notice that stands, after the last event, as it is about what comes next."""
        line = self._hub.warning
        if self.follows and not self._has_news() and line is not self._warning:
            self._warning = line
            await self._send(line)

    def _is_behind(self, seq: int) -> bool:
        return self._cursor is not None and self._hub.backlog.start <= self._cursor < seq

    async def _send(self, data: bytes) -> None:
        """Send, piece by piece; a client that takes none of a piece for too long is dropped."""
        view = memoryview(data)
        self._is_cut = True
        for at in range(0, len(data), PIECE):
            with trio.move_on_after(self._hub.client_timeout) as waited:
                await self._stream.send_all(view[at : at + PIECE])
            if waited.cancelled_caught:
                raise trio.BrokenResourceError("it does not read")
        self._is_cut = False

    async def _say_trouble(self, text: str) -> None:
        """Send the last line; then read on for a moment, or a client that is still sending would never see it."""
        if self._is_cut:
            return
        with trio.move_on_after(min(1.0, self._hub.client_timeout)), suppress(trio.BrokenResourceError):
            await self._stream.send_all(encode(Trouble(message=text)))
            await self._stream.send_eof()
            for _ in range(64):
                if not await self._stream.receive_some(PIECE):
                    break


def _page(file: Path, session: str, after: int) -> tuple[bytes, int]:
    """The lines of the events after `after`, and the number of the last of them. Runs in a thread."""
    with Registry.open(file, read_only=True) as registry:
        rows = list(registry.events(session, after, limit=_PAGE))
    return b"".join(encode_event(row.seq, row.data) for row in rows), rows[-1].seq if rows else after
