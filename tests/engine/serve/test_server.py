"""The server with real sockets and a real registry, and a coordinator that does what the test says."""

import json
import os
import resource
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from parexec_tui import paths
from parexec_tui.client.framing import encode_event
from parexec_tui.client.peer import signature
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec, protocol
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import MAX_LINE, MAX_WAITING, VERSION
from parexec_tui.engine.serve import backlog as backlog_module
from parexec_tui.engine.serve import connection as connection_module
from parexec_tui.engine.serve import hub as hub_module
from parexec_tui.engine.serve import server as server_module
from parexec_tui.engine.serve.backlog import Backlog
from parexec_tui.engine.serve.hub import Hub
from parexec_tui.engine.serve.server import Server
from parexec_tui.engine.serve.sockets import open_socket
from parexec_tui.registry.registry import Registry
from tests.engine.engines import WITHIN
from tests.engine.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.trio

SESSION = "exec_20260102_030405"
HELLO = {"type": "hello", "version": VERSION, "by": "pts/3"}


@pytest.fixture(autouse=True)
def short_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Paths of tests are too long for sockets: they go where such ones go, but not where real ones are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(paths, "SHORT_PLACE", Path(folder))
        monkeypatch.delenv(paths.RUNTIME_DIR, raising=False)
        yield Path(folder)


class Scene:
    """A session in a registry, a server for it, and what was asked of it."""

    def __init__(self, *, client_timeout: float = 5.0) -> None:
        self.registry = Registry.open(paths.registry_file())
        self.registry.create_session(
            SESSION, name="p", plan=b"{}", source="", folder="", workdir="", at=0.0, boot="", pid=1
        )
        paths.session_folder(SESSION, create=True)
        self.asked: list[rq.AnyRequest] = []
        self.previewed: list[rq.AnyRequest] = []
        self.notices: list[str] = []
        self.until_answered: trio.Event | None = None
        """Set by a test: what `ask` waits for."""
        self.hub = Hub(
            SESSION,
            self.registry.file,
            ask=self._ask,
            dry_run=self._dry_run,
            question=self._facts,
            last_seq=lambda: self.registry.last_seq(SESSION),
            notice=self.notices.append,
            client_timeout=client_timeout,
        )
        self.server = Server(self.hub)

    def happen(self, count: int = 1, size: int = 0) -> None:
        """Remember events and publish them, as the coordinator does."""
        first = self.registry.last_seq(SESSION) + 1
        seqs = range(first, first + count)
        encoded = [codec.encode(ev.TicketHeld(at=float(seq), ticket=f"T{seq}", by="x" * size)) for seq in seqs]
        rows = [(seq, float(seq), "ticket_held", data) for seq, data in zip(seqs, encoded, strict=True)]
        self.registry.append(SESSION, rows)
        self.hub.publish(first, encoded)

    async def _ask(self, request: rq.AnyRequest) -> list[ev.AnyEvent] | rq.Refusal:
        self.asked.append(request)
        if self.until_answered is not None:
            await self.until_answered.wait()
        if isinstance(request, rq.Undo):
            return rq.Refusal("nothing to undo", "do something")
        if isinstance(request, rq.Stop):
            raise ZeroDivisionError("a mistake")
        self.happen()
        return [ev.TicketHeld(at=1.0, ticket="T", by=request.by)]

    def _dry_run(self, request: rq.AnyRequest) -> list[ev.AnyEvent] | rq.Refusal:
        self.previewed.append(request)
        return [ev.SessionHeld(at=1.0)]

    def _facts(self, question: protocol.Question) -> object | rq.Refusal:
        return rq.Refusal("no such ticket") if question.tickets else {"about": question.about}


@asynccontextmanager
async def serving(scene: Scene, server: Server | None = None) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        await nursery.start((server or scene.server).serve)
        yield scene
        nursery.cancel_scope.cancel()
    while Peer.all:
        await trio.aclose_forcefully(Peer.all.pop().stream)
    scene.registry.close()


class Peer:
    """A client by hand."""

    all: ClassVar[list["Peer"]] = []

    def __init__(self, stream: trio.SocketStream) -> None:
        self.all.append(self)
        self.stream = stream
        self._rest = b""

    async def send(self, *messages: object) -> None:
        await self.stream.send_all(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def line(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        with trio.fail_after(WITHIN):
            while b"\n" not in self._rest:
                try:
                    piece = await self.stream.receive_some(65536)
                except trio.BrokenResourceError:
                    piece = b""
                if not piece:
                    assert not self._rest, "a line that was cut"
                    return None
                self._rest += bytes(piece)
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    async def seqs(self, until: int) -> list[int]:
        """The numbers of events as they come, up to this one."""
        found: list[int] = []
        while not found or found[-1] < until:
            message = await self.line()
            assert message is not None
            assert message["type"] == "happened", message
            assert message["event"]["ticket"] == f"T{message['seq']}"
            found.append(message["seq"])
        return found

    async def rest(self) -> list[dict[str, Any]]:
        found = []
        while (message := await self.line()) is not None:
            found.append(message)
        return found


async def connect() -> Peer:
    path = paths.noted_socket(SESSION)
    assert path is not None
    return Peer(await trio.open_unix_socket(bytes(path)))


async def greet(**hello: object) -> Peer:
    peer = await connect()
    await peer.send(HELLO | hello)
    welcome = await peer.line()
    assert welcome is not None
    assert welcome["type"] == "welcome", welcome
    return peer


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(WITHIN):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.002)


async def is_served(scene: Scene) -> None:
    """A good client gets what it asks for."""
    peer = await greet()
    await peer.send({"type": "question", "id": 7, "about": "status"})
    assert await peer.line() == {"type": "answer", "id": 7, "facts": {"about": "status"}}
    await peer.stream.aclose()


# -- following -------------------------------------------------------------------------------------------------


async def test_a_follower_gets_history_then_what_happens() -> None:
    async with serving(Scene()) as scene:
        scene.happen(1200)
        peer = await greet(follow=0)
        assert await peer.seqs(1200) == list(range(1, 1201))
        scene.happen(3)
        assert await peer.seqs(1203) == [1201, 1202, 1203]


@pytest.mark.parametrize("after", [0, 1, 499, 500, 501, 1499, 1500])
async def test_it_may_begin_anywhere_while_events_go_on(after: int) -> None:
    async with serving(Scene()) as scene:
        scene.happen(1500)
        peer = await greet(follow=after)

        async def go_on() -> None:
            for _ in range(200):
                scene.happen(3)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_on)
            assert await peer.seqs(2100) == list(range(after + 1, 2101))


async def test_who_falls_behind_the_backlog_goes_on_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "MAX_EVENTS", 100)
    async with serving(Scene()) as scene:
        peer = await greet(follow=0)
        for _ in range(50):
            scene.happen(200, size=500)  # 5 MB: far more than a socket takes
            await trio.lowlevel.checkpoint()
        assert scene.hub.backlog.last - scene.hub.backlog.start <= 200
        assert await peer.seqs(10_000) == list(range(1, 10_001))


async def test_a_viewer_that_does_not_read_is_dropped_and_may_come_back() -> None:
    async with serving(Scene(client_timeout=0.2)) as scene:
        deaf = await greet(follow=0)
        for _ in range(20):
            scene.happen(500, size=500)
            await trio.lowlevel.checkpoint()
        await until(lambda: not scene.hub.clients)
        assert scene.hub.followers == 0
        again = await greet(follow=9_000)
        assert await again.seqs(10_000) == list(range(9_001, 10_001))
        await deaf.stream.aclose()


async def test_a_warning_stands_until_the_next_event_for_all_who_follow() -> None:
    warning = {"type": "notice", "text": "the disk is full"}
    async with serving(Scene()) as scene:
        follower, asker = await greet(follow=0), await greet()
        scene.happen()
        assert await follower.seqs(1) == [1]
        scene.hub.warn("the disk is full")
        newcomer = await greet(follow=0)
        assert await newcomer.seqs(1) == [1]
        for peer in (follower, newcomer):
            assert await peer.line() == warning
        scene.happen()
        scene.hub.warn("the disk is full")  # the same words, but something happened in between
        for peer in (follower, newcomer):
            assert await peer.seqs(2) == [2]
            assert await peer.line() == warning
        scene.happen()
        late = await greet(follow=2)
        scene.happen()
        assert await late.seqs(4) == [3, 4]
        await asker.send({"type": "question", "id": 1, "about": "status"})
        answer = await asker.line()
        assert answer is not None
        assert answer["type"] == "answer"


async def test_events_are_not_kept_for_nobody() -> None:
    async with serving(Scene()) as scene:
        peer = await greet()
        scene.happen(50)
        assert scene.hub.backlog.start == scene.hub.backlog.last == 50
        await peer.stream.aclose()


async def test_a_number_that_is_not_there_yet_is_trouble() -> None:
    async with serving(Scene()) as scene:
        scene.happen(3)
        peer = await connect()
        await peer.send(HELLO | {"follow": 4})
        [trouble] = await peer.rest()
        assert "no event 4 yet, the newest is 3" in trouble["message"]


async def test_at_the_end_followers_get_the_last_events_and_a_farewell() -> None:
    async with serving(Scene()) as scene:
        scene.happen(700)
        follower, other = await greet(follow=0), await greet()
        scene.happen(1)
        await scene.hub.finish("finished")
        assert await follower.seqs(701) == list(range(1, 702))
        assert await follower.rest() == [{"type": "farewell", "reason": "finished"}]
        assert await other.rest() == [{"type": "farewell", "reason": "finished"}]


async def test_the_end_does_not_wait_for_who_does_not_read() -> None:
    async with serving(Scene()) as scene:
        deaf = await greet(follow=0)
        scene.happen(5000, size=500)
        with trio.fail_after(5):
            await scene.hub.finish("finished", within=0.05)
        await deaf.stream.aclose()


# -- samples ---------------------------------------------------------------------------------------------------


def sample(number: int, size: int = 0) -> bytes:
    return b'{"type":"sampled","number":%d,"more":"%b"}\n' % (number, b"x" * size)


async def ask_for_samples(scene: Scene, **hello: object) -> Peer:
    already = len(scene.hub.samples.subscribers)
    peer = await greet(samples=True, **hello)
    await until(lambda: len(scene.hub.samples.subscribers) > already)
    return peer


async def numbers(peer: Peer, count: int) -> list[int]:
    lines = [await peer.line() for _ in range(count)]
    return [line["number"] for line in lines if line is not None]


async def test_who_asks_is_sent_the_latest_sample_at_once_and_each_as_it_comes() -> None:
    async with serving(Scene()) as scene:
        first = await ask_for_samples(scene)
        scene.hub.samples.publish(sample(1))
        assert await numbers(first, 1) == [1]
        second = await ask_for_samples(scene, read_only=True)
        assert await numbers(second, 1) == [1]
        scene.hub.samples.publish(sample(2))
        assert await numbers(first, 1) == await numbers(second, 1) == [2]
        await is_served(scene)


async def test_who_does_not_ask_is_sent_none() -> None:
    async with serving(Scene()) as scene:
        asks, follows = await ask_for_samples(scene), await greet(follow=0)
        scene.hub.samples.publish(sample(1))
        assert await numbers(asks, 1) == [1]
        scene.happen(1)
        assert await follows.seqs(1) == [1]
        await asks.stream.aclose()
        await until(lambda: not scene.hub.samples.subscribers)


async def test_history_and_samples_come_over_one_connection() -> None:
    async with serving(Scene()) as scene:
        await ask_for_samples(scene)
        scene.hub.samples.publish(sample(1))
        scene.happen(1200)
        peer = await greet(follow=0, samples=True)
        lines = [await peer.line() for _ in range(1201)]
        types = [line["type"] for line in lines if line is not None]
        assert (types.count("happened"), types.count("sampled")) == (1200, 1)


async def test_samples_are_replaced_for_who_does_not_take_them() -> None:
    async with serving(Scene()) as scene:
        slow = await ask_for_samples(scene)
        published = 300
        for number in range(1, published + 1):
            scene.hub.samples.publish(sample(number, size=50_000))  # more in all than a socket takes
            await wait_all_tasks_blocked()
        taken = await numbers(slow, 1)
        while taken[-1] < published:
            taken += await numbers(slow, 1)
        assert taken == sorted(set(taken))
        assert len(taken) < published / 2
        scene.hub.samples.publish(sample(published + 1))
        assert await numbers(slow, 1) == [published + 1]


async def test_a_sample_does_not_come_between_the_parts_of_a_long_answer() -> None:
    async with serving(Scene()) as scene:
        scene.happen(1, size=5_000_000)
        peer = await ask_for_samples(scene, follow=0)
        for number in range(5):
            await wait_all_tasks_blocked()
            scene.hub.samples.publish(sample(number))
        line = await peer.line()
        assert line is not None
        assert line["seq"] == 1
        assert await numbers(peer, 1) == [4]


# -- viewers ---------------------------------------------------------------------------------------------------


async def look(by: str, **hello: object) -> Peer:
    """Somebody who follows, and wants to know who else does."""
    return await greet(**{"follow": 0, "viewers": True, "client": "tui", "by": by} | hello)


def who(place: str, **more: object) -> dict[str, object]:
    return {"by": signature(place), **more}


async def test_viewers_are_told_of_each_other_as_they_come_and_go() -> None:
    async with serving(Scene()) as scene:
        first = await look("pts/1")
        second = await look("pts/2", read_only=True)
        assert await first.line() == {"type": "viewers", "others": [who("pts/2", read_only=True)]}
        assert await second.line() == {"type": "viewers", "others": [who("pts/1")]}
        third = await look("pts/3")
        both = [who("pts/2", read_only=True), who("pts/3")]
        assert await first.line() == {"type": "viewers", "others": both}
        assert (await second.line() or {})["others"] == [who("pts/1"), who("pts/3")]
        await second.stream.aclose()
        assert await first.line() == {"type": "viewers", "others": [who("pts/3")]}
        await third.stream.aclose()
        assert await first.line() == {"type": "viewers"}
        assert [*scene.hub.viewers.values()] == [protocol.Viewer(by=signature("pts/1"))]


async def test_who_is_alone_or_does_not_ask_is_told_nothing() -> None:
    async with serving(Scene()) as scene:
        of_before = await greet(follow=0, client="tui")  # a client of a version that does not know the message
        for client in ("cli", "wait"):
            await look("pts/4", client=client)
        asks = await look("pts/2")
        assert await asks.line() == {"type": "viewers", "others": [who("pts/3")]}
        assert len(scene.hub.viewers) == 2
        for seq in (1, 2):
            scene.happen()
            assert await of_before.seqs(seq) == await asks.seqs(seq) == [seq]


async def test_a_command_that_asks_is_no_viewer() -> None:
    async with serving(Scene()) as scene:
        viewer = await look("pts/1")
        await greet(client="cli", viewers=True)
        await is_served(scene)
        for seq in (1, 2):
            scene.happen()
            assert await viewer.seqs(seq) == [seq]
        assert len(scene.hub.viewers) == 1


async def test_a_crowd_is_counted() -> None:
    async with serving(Scene()) as scene:
        for number in range(hub_module.MAX_VIEWERS + 3):
            await look(f"pts/{number + 10}")
        await until(lambda: len(scene.hub.viewers) == hub_module.MAX_VIEWERS + 3)
        last = await look("pts/1")
        told = await last.line()
        assert told is not None
        assert (len(told["others"]), told["more"]) == (hub_module.MAX_VIEWERS, 3)


# -- asking ----------------------------------------------------------------------------------------------------


async def test_a_request_is_signed_by_the_server_and_answered_after_its_events() -> None:
    async with serving(Scene()) as scene:
        peer = await greet(follow=0, by="pts/3\x1b[31m\n" + "x" * 100)
        await peer.send({"type": "request", "id": 1, "request": {"verb": "hold", "tickets": ["T"], "by": "the boss"}})
        first, second = await peer.line(), await peer.line()
        assert first is not None
        assert first["type"] == "happened"
        assert second is not None
        assert second["id"] == 1
        [asked] = scene.asked
        assert asked.by == second["events"][0]["by"] == signature("pts/3[31m" + "x" * 100)
        assert "@pts/3[31mx" in asked.by
        assert len(asked.by) == 64


async def test_a_refusal_comes_with_its_remedy() -> None:
    async with serving(Scene()):
        peer = await greet()
        await peer.send({"type": "request", "id": 2, "request": {"verb": "undo"}})
        assert await peer.line() == {
            "type": "answer",
            "id": 2,
            "refusal": "nothing to undo",
            "remedy": "do something",
        }


async def test_a_dry_run_asks_for_nothing() -> None:
    async with serving(Scene()) as scene:
        peer = await greet(read_only=True)
        await peer.send({"type": "request", "id": 1, "request": {"verb": "hold"}, "dry_run": True})
        assert await peer.line() == {"type": "answer", "id": 1, "events": [{"kind": "session_held", "at": 1.0}]}
        assert scene.asked == []


async def test_who_only_reads_is_refused() -> None:
    async with serving(Scene()) as scene:
        peer = await greet(read_only=True)
        await peer.send({"type": "request", "id": 1, "request": {"verb": "hold"}})
        answer = await peer.line()
        assert answer is not None
        assert answer["refusal"] == "this connection only reads"
        assert scene.asked == []


async def test_a_question_may_be_refused() -> None:
    async with serving(Scene()):
        peer = await greet()
        await peer.send({"type": "question", "id": 1, "about": "why", "tickets": ["Z"]})
        assert await peer.line() == {"type": "answer", "id": 1, "refusal": "no such ticket"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "request", "id": 5, "request": {"verb": "launch"}},
        {"type": "request", "id": 5, "request": {"verb": "retry"}},
        {"type": "request", "id": 5},
        {"type": "question", "id": 5, "about": "the weather"},
        {"type": "request", "id": 5, "request": {"verb": "edit", "ticket": "T", "changes": []}},
    ],
)
async def test_what_is_not_known_is_refused_and_the_connection_stays(message: dict[str, object]) -> None:
    async with serving(Scene()) as scene:
        peer = await greet()
        await peer.send(message, {"type": "question", "id": 6, "about": "report"})
        refused, answered = await peer.line(), await peer.line()
        assert refused is not None
        assert refused["id"] == 5
        assert refused["refusal"]
        assert answered == {"type": "answer", "id": 6, "facts": {"about": "report"}}
        assert scene.asked == []


async def test_a_client_that_vanishes_mid_request_harms_nothing() -> None:
    async with serving(Scene()) as scene:
        scene.until_answered = trio.Event()
        peer = await greet(follow=0)
        await peer.send({"type": "request", "id": 1, "request": {"verb": "hold"}})
        await until(lambda: scene.asked)
        await peer.stream.aclose()
        scene.until_answered.set()
        await until(lambda: not scene.hub.clients)
        assert scene.registry.last_seq(SESSION) == 1
        await is_served(scene)


async def test_a_client_may_close_its_side_and_still_gets_its_answers() -> None:
    async with serving(Scene()):
        peer = await connect()
        await peer.send(HELLO, *({"type": "question", "id": number, "about": "status"} for number in range(9)))
        await peer.stream.send_eof()
        assert [message.get("id") for message in await peer.rest()] == [None, *range(9)]


async def test_a_mistake_of_ours_ends_one_connection_only() -> None:
    async with serving(Scene()) as scene:
        peer, other = await greet(), await greet()
        await peer.send({"type": "request", "id": 1, "request": {"verb": "stop"}})
        [trouble] = await peer.rest()
        assert "the session goes on" in trouble["message"]
        assert "a mistake" in scene.notices[0]
        await other.send({"type": "question", "id": 6, "about": "report"})
        assert await other.line() == {"type": "answer", "id": 6, "facts": {"about": "report"}}


# -- what is not as it should be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b'{"type":"hello","version":99}\n', "version 1 of the protocol, the client 99"),
        (b'{"type":"question","id":1,"about":"status"}\n', "says hello first"),
        (b"GET / HTTP/1.1\r\n\r\n", "cannot be read"),
        (b"\n", "cannot be read"),
        (b"\x00\xff\xfe\n", "cannot be read"),
        (b'{"type":"hello","version":1,"by":"\xff"}\n', "cannot be read"),
        (b'{"type":"hello","version":1,"follow":-1}\n', "cannot be read"),
        (b'{"type":"hello","version":1', "has no end"),
        (b"x" * (MAX_LINE + 1), "a line of more than 65536 bytes"),
        (b"x" * (4 * MAX_LINE) + b"\n", "a line of more than 65536 bytes"),
    ],
)
async def test_before_hello_it_is_trouble(sent: bytes, said: str) -> None:
    async with serving(Scene()) as scene:
        peer = await connect()
        await peer.stream.send_all(sent)
        if not sent.endswith(b"\n") and len(sent) < MAX_LINE:
            await peer.stream.send_eof()
        [trouble] = await peer.rest()
        assert trouble["type"] == "trouble"
        assert said in trouble["message"]
        await is_served(scene)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"garbage\n", "cannot be read"),
        (b'{"type":"hello","version":1}\n', "says hello once"),
        (b'{"type":"farewell","reason":"no"}\n', "cannot be read"),
        (b'{"id":' + b"[" * 60_000 + b"\n", "cannot be read"),
        (b" " * MAX_LINE + b"\n", "a line of more than"),
        (b'{"type":"question","id":1,"about":"status"}\n' * (MAX_WAITING + 300), "more than 256 messages at once"),
    ],
)
async def test_after_hello_it_is_trouble(sent: bytes, said: str) -> None:
    async with serving(Scene()) as scene:
        peer = await greet(follow=0)
        await peer.stream.send_all(sent)
        *_, trouble = await peer.rest()
        assert trouble["type"] == "trouble"
        assert said in trouble["message"]
        assert scene.asked == []
        await is_served(scene)


async def test_the_longest_line_is_taken_in_pieces() -> None:
    async with serving(Scene()) as scene:
        peer = await greet()
        head, tail = b'{"type":"request","id":1,"request":{"verb":"hold","tickets":["', b'"]}}\n'
        line = head + b"T" * (MAX_LINE - len(head) - len(tail)) + tail
        for at in range(0, len(line), 1000):
            await peer.stream.send_all(line[at : at + 1000])
        answer = await peer.line()
        assert answer is not None
        assert answer["id"] == 1
        assert len(scene.asked) == 1


async def test_who_says_nothing_is_dropped() -> None:
    async with serving(Scene(client_timeout=0.05)):
        peer = await connect()
        [trouble] = await peer.rest()
        assert trouble["message"] == "no hello within 0.05s"


async def test_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Scene()):
        monkeypatch.setattr(connection_module, "peer_uid", lambda _: os.getuid() + 1)
        peer = await connect()
        [trouble] = await peer.rest()
        assert trouble["message"] == "this engine belongs to another user"


async def test_too_many_clients_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_CLIENTS", 2)
    async with serving(Scene()) as scene:
        first, _second = await greet(), await greet()
        third = await connect()
        [trouble] = await third.rest()
        assert trouble["message"] == "2 clients are connected already"
        await first.stream.aclose()
        await until(lambda: scene.hub.connections == 1)
        await greet()


# -- the socket ------------------------------------------------------------------------------------------------


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(bytes(path))
        except OSError:
            return False
        return True


async def test_the_socket_is_for_its_owner_only_and_goes_with_the_engine() -> None:
    async with serving(Scene()):
        path = paths.noted_socket(SESSION)
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()
    assert paths.noted_socket(SESSION) is None


async def test_the_socket_of_a_dead_engine_is_replaced() -> None:
    scene = Scene()
    path = paths.socket_file(SESSION)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(bytes(path))
        dead.listen()
    assert path.exists()
    async with serving(scene):
        await is_served(scene)


async def test_a_living_engine_keeps_its_socket() -> None:
    scene = Scene()
    async with serving(scene):
        with pytest.raises(OSError, match="another engine listens there"):
            open_socket(paths.socket_file(SESSION))
        await is_served(scene)


async def test_what_is_no_socket_is_left_alone_and_the_next_place_taken(
    short_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = short_place / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv(paths.RUNTIME_DIR, str(runtime))
    scene = Scene()
    first, *others = paths.socket_files(SESSION)
    assert first.is_relative_to(runtime)
    first.write_text("precious")
    async with serving(scene):
        await is_served(scene)
        assert paths.noted_socket(SESSION) in others
    assert first.read_text() == "precious"


async def test_a_socket_that_was_removed_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LOOK_AFTER_SOCKET", 0.01)
    async with serving(Scene()) as scene:
        peer = await greet(follow=0)
        path = paths.noted_socket(SESSION)
        assert path is not None
        path.unlink()
        await until(lambda: path.exists() and is_listening(path))
        await is_served(scene)
        scene.happen()
        assert await peer.seqs(1) == [1]


async def test_with_no_place_for_a_socket_the_engine_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: str) -> Sequence[Path]:
        raise PermissionError(13, "there is no place")

    monkeypatch.setattr(server_module, "socket_files", nowhere)
    async with serving(Scene()) as scene:
        scene.happen()
    assert "no other shell can watch or steer" in scene.notices[0]


@contextmanager
def full_disk(home: Path) -> Iterator[None]:
    disk = SmallDisk(home)
    disk.fill()
    try:
        yield
    finally:
        disk.make_room()


@contextmanager
def no_descriptor(_: Path) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def no_folder(home: Path) -> Iterator[None]:
    folder = paths.session_folder(SESSION).path
    folder.rename(home / "elsewhere")
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        (home / "elsewhere").rename(folder)


@pytest.mark.parametrize("trouble", [full_disk, no_descriptor, no_folder])
async def test_a_socket_that_could_not_be_made_is_made_later(
    monkeypatch: pytest.MonkeyPatch, own_state_home: Path, trouble: Callable[[Path], AbstractContextManager[None]]
) -> None:
    monkeypatch.setattr(server_module, "_LOOK_AFTER_SOCKET", 0.01)
    with small_disk(own_state_home), nullcontext(Scene()) as scene:
        hardly = ExitStack()
        hardly.enter_context(trouble(own_state_home))
        async with serving(scene):
            assert "no other shell can watch or steer" in scene.notices[0]
            await trio.sleep(0.05)  # it tries, in vain
            hardly.close()
            await until(lambda: len(scene.notices) == 2)
            assert "can watch and steer this session now" in scene.notices[1]
            await is_served(scene)


# -- small parts -----------------------------------------------------------------------------------------------


async def test_a_line_of_happened_is_what_its_type_says() -> None:
    event = codec.encode(ev.TicketHeld(at=1.0, ticket="T"))
    line = encode_event(12, event)
    message = codec.encode(protocol.Happened(seq=12, event=msgspec.Raw(event)))
    assert line == message + b"\n"


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(0, 50))
async def test_the_backlog_has_no_gap_wherever_it_is_read_from(sizes: list[int], last: int) -> None:
    backlog = Backlog(last)
    count = 0
    for size in sizes:
        backlog.append([b"%d\n" % (last + count + n) for n in range(1, size + 1)])
        count += size
    assert backlog.last == last + count
    seen, at = b"", backlog.start
    while at < backlog.last:
        piece, at = backlog.after(at)
        seen += piece
    assert seen.split() == [b"%d" % seq for seq in range(backlog.start + 1, backlog.last + 1)]


LINES = [
    json.dumps(HELLO).encode(),
    json.dumps(HELLO | {"follow": 0}).encode(),
    b'{"type":"request","id":1,"request":{"verb":"hold","tickets":["T"]}}',
    b'{"type":"request","id":2,"request":{"verb":"amend","added":{"T":{"run":"true","timeout":"3m"}}},"dry_run":true}',
    b'{"type":"question","id":3,"about":"status"}',
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(line) - 1))
        line[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        line = line or bytearray(b"x")
    return bytes(line)


noise = st.lists(st.one_of(st.sampled_from(LINES), mutated(), st.binary(max_size=50)), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(conversations=st.lists(st.tuples(noise, st.booleans()), min_size=1, max_size=4))
async def test_noise_harms_nobody_else(conversations: list[tuple[list[bytes], bool]]) -> None:
    for file in paths.state_home().glob("registry.db*"):
        file.unlink()
    scene = Scene(client_timeout=1.0)
    async with serving(scene):
        good = await greet(follow=0)
        for lines, ends in conversations:
            peer = await connect()
            with trio.move_on_after(5) as took:
                try:
                    await peer.stream.send_all(b"\n".join(lines) + (b"\n" if ends else b""))
                    await peer.stream.send_eof()
                except trio.BrokenResourceError:
                    pass
                await peer.rest()
            assert not took.cancelled_caught
        assert scene.notices == []
        await is_served(scene)
        scene.happen()
        last = scene.registry.last_seq(SESSION)
        assert await good.seqs(last) == list(range(1, last + 1))
