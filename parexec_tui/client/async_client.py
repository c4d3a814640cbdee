"""The viewer's end of the socket for the app (asyncio): a connection that is made again whenever it is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from parexec_tui.client.blocking import (
    PIECE,
    TIMEOUT,
    ClientError,
    EngineGone,
    News,
    ProtocolError,
    checked,
    decode,
    encode,
    open_socket,
    place,
    split,
    welcomed,
)
from parexec_tui.core.wire.protocol import (
    VERSION,
    About,
    Answer,
    Farewell,
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

LONGEST_PAUSE = 1.0
_FIRST_PAUSE = 0.02
"""Seconds between two tries to connect; doubled each time."""


class Contact(Struct, frozen=True):
    """Said by an AsyncClient: the connection was lost and is being made again, or is there again."""

    up: bool
    text: str
    welcome: Welcome | None = None
    """What the engine said of itself, when it is up."""


class AsyncClient:
    """A connection for the app (asyncio), which is made again whenever it is lost, and goes on after the last event.

    `async with AsyncClient(session) as client`, then iterate over `follow` or `batches` in one task, and `ask` and
    `question` from any. It tries for as long as it is open; what an engine did that came and went in between two
    tries is in the registry only.
    """

    def __init__(
        self,
        session: str,
        *,
        after: int = 0,
        name: str = "tui",
        read_only: bool = False,
        samples: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self.session = session
        self.last = after
        """The number of the last event that was taken from `follow` or `batches`."""
        self.welcome: Welcome | None = None
        """What the engine said of itself; None while there is no connection."""
        self._name = name
        self._read_only = read_only
        self._samples = samples
        self._timeout = timeout
        self._by = place()
        self._id = 0
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._seen = after
        """The last event that was read from a connection."""
        self._batches: asyncio.Queue[list[News | Contact] | ClientError | None] = asyncio.Queue(16)
        """What was read; a ClientError or None is the end. Bounded: if the app does not read, neither do we."""
        self._writer: asyncio.StreamWriter | None = None
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

    async def ask(self, request: AnyRequest, *, dry_run: bool = False) -> Answer:
        """As `Client.ask`. EngineGone also while the connection is being made again; whether a request was granted
        whose answer was lost is told by the events."""
        return await self._answer(lambda id_: Request(id=id_, request=request, dry_run=dry_run))

    async def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = ()) -> Any:
        """As `Client.question`."""
        asked = Question(id=0, about=about, tickets=tuple(tickets), words=tuple(words))
        return (await self._answer(lambda id_: msgspec.structs.replace(asked, id=id_))).facts

    async def status(self) -> StatusReport:
        return msgspec.convert(await self.question("status"), StatusReport)

    async def batches(self) -> AsyncIterator[list[News | Contact]]:
        """What comes, as many at once as have come: every event after `after` exactly once, samples if wished, and
        when the connection is lost and found. Ends when the engine leaves in good order. Raises ProtocolError."""
        while (batch := await self._batches.get()) is not None:
            if isinstance(batch, ClientError):
                raise batch
            yield batch
            self.last = max([self.last, *(each.seq for each in batch if isinstance(each, Happened))])

    async def follow(self) -> AsyncIterator[News | Contact]:
        """The same one by one."""
        async for batch in self.batches():
            for each in batch:
                yield each

    async def _answer(self, message: Callable[[int], Request | Question]) -> Answer:
        if self.welcome is None or self._writer is None:
            raise EngineGone("there is no connection to the engine")
        self._id += 1
        line = encode(message(self._id))
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[self._id] = answered
        id_ = self._id
        self._writer.write(line)
        try:
            return checked(await asyncio.wait_for(answered, self._timeout))
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        finally:
            self._asked.pop(id_, None)

    # -- the connection --------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        pause = _FIRST_PAUSE
        lost = False
        while True:
            try:
                reader = await self._connect()
                pause = _FIRST_PAUSE
                await self._batches.put([Contact(True, "connected again" if lost else "connected", self.welcome)])
                await self._read(reader)
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
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            else:
                self._lose(EngineGone("the engine left"))
            return

    async def _connect(self) -> asyncio.StreamReader:
        connected = open_socket(self.session, self._timeout)
        connected.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=connected)
        hello = Hello(
            version=VERSION,
            client=self._name,
            by=self._by,
            follow=self._seen,
            read_only=self._read_only,
            samples=self._samples,
        )
        self._writer.write(encode(hello))
        rest, lines = bytearray(), list[bytes]()
        while not lines:
            lines = split(rest, await self._piece(reader, self._timeout))
        self.welcome = welcomed(decode(lines[0]))
        self._early = b"\n".join([*lines[1:], bytes(rest)])
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Until the engine says farewell. Raises EngineGone, ProtocolError."""
        rest = bytearray()
        piece = self._early
        while True:
            lines = split(rest, piece) if piece else []
            if await self._take(lines):
                return
            piece = await self._piece(reader, None)

    async def _take(self, lines: Sequence[bytes]) -> bool:
        """Hand out what came; True if it was a farewell."""
        batch: list[News | Contact] = []
        answers: list[Answer] = []
        left = False
        for message in map(decode, lines):
            match message:
                case Happened() | Notice() | Sampled():
                    batch.append(message)
                    self._seen = message.seq if isinstance(message, Happened) else self._seen
                case Answer():
                    answers.append(message)
                case Trouble():
                    raise ProtocolError(message.message)
                case Farewell():
                    left = True
        if batch:
            await self._batches.put(batch)
        for answer in answers:
            if (answered := self._asked.get(answer.id)) is not None and not answered.done():
                answered.set_result(answer)
        return left

    async def _piece(self, reader: asyncio.StreamReader, within: float | None) -> bytes:
        try:
            async with asyncio.timeout(within):
                piece = await reader.read(PIECE)
        except TimeoutError:
            raise EngineGone(f"the engine does not answer, after {self._timeout:g}s") from None
        except OSError as error:
            raise EngineGone(f"the engine went away: {error.strerror}") from None
        if not piece:
            raise EngineGone("the engine went away")
        return piece

    def _lose(self, why: ClientError) -> None:
        """The connection is no more: say so to all who wait for an answer."""
        self.welcome = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(why)
        self._asked.clear()
