"""Whether something answers at an address of this machine, where services run."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec import structs

from parexec_tui.core.plan.services import TcpReady
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.answers import answers
from tests.engine.backends.worlds import World, key

pytestmark = pytest.mark.trio

AT_MOST = 10.0
"""Seconds that an answer takes at most, which is to come within a few."""

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World("local", tmp_path)
    yield made
    made.close()


@asynccontextmanager
async def server(*says: bytes, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server that says this, piece by piece, once it was asked something, and hangs up. Its port is given.

    One that says nothing never hangs up.
    """

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.receive_some(1000)
            for piece in says:
                await stream.send_all(piece)
                await trio.sleep(0.01)
            if not says:
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host=host))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def test_a_port_answers_if_somebody_accepts_connections_there(world: World) -> None:
    async with world.engine() as engine, server() as port:
        assert await engine.backend.answers(f"tcp:{port}")
        assert await engine.backend.answers(f"tcp:127.0.0.1:{port}")
        assert not await engine.backend.answers(f"tcp:{free_port()}")
        assert not await engine.backend.answers(f"http://127.0.0.1:{free_port()}/")


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
async def test_an_address_may_be_of_ipv6(world: World) -> None:
    async with world.engine() as engine, server(OK, host="::1") as port:
        for address in (f"tcp:[::1]:{port}", f"http://[::1]:{port}/health"):
            assert await engine.backend.answers(address), address
        assert not await engine.backend.answers(f"tcp:127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ((OK,), True),
        ((b"HTTP/1.0 204 No Content\r\n\r\n",), True),
        ((b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n",), True),
        (tuple(OK[at : at + 1] for at in range(len(OK))), True),
        ((b"HTTP/1.1 404 Not Found\r\n\r\n",), False),
        ((b"HTTP/1.1 503 Service Unavailable\r\n\r\n",), False),
        ((b"220 mail.example.org ESMTP\r\n",), False),
        ((b"HTTP/1.1 2",), False),
        ((b"x" * 100_000,), False),
    ],
    ids=["200", "204", "302", "in pieces", "404", "503", "mail", "cut short", "endless"],
)
async def test_a_server_answers_if_its_status_says_so(world: World, says: tuple[bytes, ...], expected: bool) -> None:
    async with world.engine() as engine, server(*says) as port:
        assert await engine.backend.answers(f"http://127.0.0.1:{port}/health?full=1") is expected


async def test_what_does_not_answer_in_time_or_has_no_address_does_not_answer(world: World) -> None:
    async with world.engine() as engine, server() as silent, server(OK) as plain, trio.open_nursery() as nursery:

        async def does_not(address: str) -> None:
            with trio.fail_after(AT_MOST):
                assert not await engine.backend.answers(address), address

        for address in (
            f"http://127.0.0.1:{silent}/",
            f"https://127.0.0.1:{silent}/",
            f"https://127.0.0.1:{plain}/",
            "tcp:no-such-host.invalid:80",
            "http://no-such-host.invalid/",
        ):
            nursery.start_soon(does_not, address)


async def test_a_service_is_not_started_where_somebody_answers(world: World) -> None:
    async with world.engine() as engine, server() as taken:
        launch = world.launch("echo never")
        engine.backend.start(key(1), structs.replace(launch, ready=f"http://localhost:{taken}/health"))
        report = await engine.end_of(key(1))
        assert isinstance(report, rq.ProcessEnded)
        assert report.problem == f"port {taken} is in use by another program"
        engine.backend.start(key(2), structs.replace(launch, ready=f"tcp:{free_port()}"))
        assert await engine.ended(key(2)) == (0, None)


async def test_a_port_that_is_connected_to_itself_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux now and then gives a socket the very port that it connects to."""
    with trio.socket.socket() as itself:
        await itself.bind(("127.0.0.1", 0))
        host, port = itself.getsockname()
        await itself.connect((host, port))

        async def connected(*_: object) -> trio.SocketStream:
            return trio.SocketStream(itself)

        monkeypatch.setattr(trio, "open_tcp_stream", connected)
        assert not await answers(TcpReady(host, port))
