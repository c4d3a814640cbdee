"""The viewer's end of the socket for the app (asyncio): a connection that is made again whenever it is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from parexec_tui.client.framing import (
    PIECE,
    ClientEnd,
    ClientError,
    EngineGone,
    News,
    ProtocolError,
    check_answer,
    encode,
    facts_of,
)
from parexec_tui.client.sockets import TIMEOUT, client_origin, connect
from parexec_tui.core.wire.protocol import VERSION, About, Answer, Happened, Hello, StatusReport, Welcome
from parexec_tui.core.wire.requests import AnyRequest

MAX_PAUSE = 1.0
_FIRST_PAUSE = 0.02
"""Seconds between two attempts to connect; doubled each time."""


class Contact(Struct, frozen=True):
    """An AsyncClient says that it is connected, or that the connection was lost and is being made again."""

    up: bool
    text: str
    welcome: Welcome | None = None
    """What the engine said of itself, when it is up."""


class AsyncClient:
    """A connection for the app (asyncio), which is made again whenever it is lost, and goes on after the last event.

    `async with AsyncClient(session) as client`, then iterate over `follow` or `batches` in one task, and call `ask`
    and `question` from any. It tries to connect for as long as it is open. If an engine comes and goes between two of
    these attempts, what it did is in the registry only.
    """

    def __init__(
        self,
        session: str,
        *,
        after: int = 0,
        name: str = "tui",
        read_only: bool = False,
        samples: bool = False,
        viewers: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self.session = session
        self.last = after
        """The number of the last event that was taken from `follow` or `batches`."""
        self._name = name
        self._read_only = read_only
        self._samples = samples
        self._viewers = viewers
        self._timeout = timeout
        self._by = client_origin()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._seen = after
        """The last event that was read from a connection."""
        self._batches: asyncio.Queue[list[News | Contact] | ClientError | None] = asyncio.Queue(16)
        """What was read; a ClientError or None is the end. Bounded: if the app does not read, neither do we."""
        self._connection: tuple[ClientEnd, asyncio.StreamWriter] | None = None
        """None until the engine has said welcome, and from when the connection is lost."""
        self._runs: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._runs = asyncio.create_task(self._stay_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runs is not None
        self._runs.cancel()
        await asyncio.gather(self._runs, return_exceptions=True)
        self._lose(EngineGone("the connection was closed"))

    # -- what the app calls ----------------------------------------------------------------------------------

    @property
    def welcome(self) -> Welcome | None:
        """What the engine said of itself; None while there is no connection."""
        return self._connection[0].welcome if self._connection is not None else None

    async def ask(self, request: AnyRequest, *, dry_run: bool = False) -> Answer:
        """As `Client.ask`. Raises EngineGone also while the connection is being made again; if an answer is lost, the
        events tell whether the request was granted."""
        end, writer = self._connected()
        return await self._answer(writer, *end.request(request, dry_run=dry_run))

    async def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = ()) -> Any:
        """As `Client.question`."""
        end, writer = self._connected()
        return (await self._answer(writer, *end.question(about, tickets, words))).facts

    async def status(self) -> StatusReport:
        """As `Client.status`."""
        return facts_of(await self.question("status"), StatusReport)

    async def batches(self) -> AsyncIterator[list[News | Contact]]:
        """What comes, as many items at once as have come: every event after `after` exactly once, samples and
        viewers if asked for, and when the connection is lost and made again. Ends when the engine leaves in good
        order.

        Raises ProtocolError.
        """
        while (batch := await self._batches.get()) is not None:
            if isinstance(batch, ClientError):
                raise batch
            yield batch
            self.last = max([self.last, *(each.seq for each in batch if isinstance(each, Happened))])

    async def follow(self) -> AsyncIterator[News | Contact]:
        """The same, item by item."""
        async for batch in self.batches():
            for each in batch:
                yield each

    def _connected(self) -> tuple[ClientEnd, asyncio.StreamWriter]:
        if self._connection is None:
            raise EngineGone("there is no connection to the engine")
        return self._connection

    async def _answer(self, writer: asyncio.StreamWriter, id_: int, line: bytes) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[id_] = answered
        writer.write(line)
        try:
            return check_answer(await asyncio.wait_for(answered, self._timeout))
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        finally:
            if self._asked.get(id_) is answered:  # ids begin anew with each connection
                del self._asked[id_]

    # -- the connection --------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        pause = _FIRST_PAUSE
        lost = False
        while True:
            try:
                end, reader = await self._connect()
                pause = _FIRST_PAUSE
                await self._batches.put([Contact(True, "connected again" if lost else "connected", end.welcome)])
                await self._read(end, reader)
                await self._batches.put(None)
            except ProtocolError as error:
                self._lose(error)
                await self._batches.put(error)
            except EngineGone as gone:
                self._lose(gone)
                if not lost or pause == _FIRST_PAUSE:
                    await self._batches.put([Contact(False, f"{gone}; connecting again")])
                lost = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
                continue
            else:
                self._lose(EngineGone("the engine left"))
            return

    async def _connect(self) -> tuple[ClientEnd, asyncio.StreamReader]:
        """Connect and wait for the welcome. Raises EngineGone, ProtocolError."""
        connected = connect(self.session, self._timeout)
        connected.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        hello = Hello(
            version=VERSION,
            client=self._name,
            by=self._by,
            follow=self._seen,
            read_only=self._read_only,
            samples=self._samples,
            viewers=self._viewers,
        )
        end = ClientEnd()
        try:
            writer.write(encode(hello))
            while end.next() is None:
                end.receive(await self._piece(reader, self._timeout))
        except BaseException:
            writer.transport.abort()
            raise
        self._connection = end, writer
        return end, reader

    async def _read(self, end: ClientEnd, reader: asyncio.StreamReader) -> None:
        """Until the engine says farewell. Raises EngineGone, ProtocolError."""
        await self._hand_out(end)
        while not end.is_over:
            end.receive(await self._piece(reader, None))
            await self._hand_out(end)

    async def _hand_out(self, end: ClientEnd) -> None:
        """Pass on what was received, and then raise what was wrong with it: EngineGone, ProtocolError."""
        batch: list[News | Contact] = []
        answers: list[Answer] = []
        error: ClientError | None = None
        try:
            while (message := end.next()) is not None:
                if isinstance(message, News):
                    batch.append(message)
                    self._seen = message.seq if isinstance(message, Happened) else self._seen
                elif isinstance(message, Answer):
                    answers.append(message)
        except ClientError as found:
            error = found
        if batch:
            await self._batches.put(batch)
        for answer in answers:
            if (answered := self._asked.get(answer.id)) is not None and not answered.done():
                answered.set_result(answer)
        if error is not None:
            raise error

    async def _piece(self, reader: asyncio.StreamReader, within: float | None) -> bytes:
        """What comes next, empty at the end. Raises EngineGone."""
        try:
            async with asyncio.timeout(within):
                return await reader.read(PIECE)
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        except OSError as error:
            raise EngineGone(f"the engine went away: {error.strerror}") from None

    def _lose(self, why: ClientError) -> None:
        """The connection is no more: tell all who wait for an answer."""
        if self._connection is not None:
            # `close` would wait until the engine has read what is unsent, and keep the socket if it never does.
            self._connection[1].transport.abort()
            self._connection = None
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(why)
        self._asked.clear()
