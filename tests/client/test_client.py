"""Both clients, against real engines: `parexec run` in a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from parexec_tui import paths
from parexec_tui.client.async_client import AsyncClient, Contact
from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import EngineGone, News, ProtocolError, Refused, encode
from parexec_tui.client.sockets import own_signature
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import VERSION, Happened, Hello, Request, Sampled, StatusReport, Viewers
from parexec_tui.registry.registry import Registry
from parexec_tui.text.dashboard import dashboard
from tests.engine import engines
from tests.engine.engines import PYTHON, WITHIN, Engine, happened, journal, session, until
from tests.engine.measure.test_gpus import BIG, SEEN, Driver

BUSY = """
[plan]
name = "busy"
parallel = 4
[tickets.first]
run = "until test -e go; do sleep 0.01; done"
""" + "".join(f'[tickets.T{number}]\nrun = "sleep 0.01"\n' for number in range(150))

SLOW = """
[plan]
name = "slow"
parallel = 1
[tickets.A]
run = "until test -e go; do sleep 0.01; done"
[tickets.B]
run = "true"
needs = ["A"]
"""


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path, tmp_path: Path) -> Iterator[None]:
    yield
    for engine in started:
        if engine.process.poll() is None:
            engine.process.kill()
            engine.process.wait(WITHIN)
    started.clear()
    for process in list(engines.marked()):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    (tmp_path / "go").touch()  # what an engine was about to start when it was killed has no mark yet: it ends by this


started: list[Engine] = []


def start(folder: Path, plan: str) -> tuple[Engine, str]:
    """An engine that can be connected to, and its session."""
    engine = engines.start(folder, plan, "--headless")
    started.append(engine)
    id_ = session()
    until(lambda: paths.noted_socket(id_), "the engine listens")
    return engine, id_


def start_slow(folder: Path) -> tuple[Engine, str]:
    """SLOW, once nothing more happens by itself: its first attempt runs and is noted."""
    engine, id_ = start(folder, SLOW)
    until(lambda: happened(ev.AttemptSpawned), "the first attempt is noted")
    return engine, id_


def last_of(id_: str) -> int:
    """The number of the newest event, as an engine says it."""
    with Client.connect(id_) as client:
        return client.welcome.last


TWO_HOLD = f"""
[plan]
name = "two"
[tickets.A]
run = '''
hold() {{ {PYTHON} -c 'import pathlib, time; kept = bytearray(64 << 20)
while not pathlib.Path("go").exists(): time.sleep(0.01)'; }}
hold & hold & wait
'''
"""
"""Two processes that hold 64 MiB each."""


def holds_both(message: object) -> bool:
    return isinstance(message, Sampled) and any(usage.memory > 128 << 20 for usage in message.attempts)


def running(client: Client) -> StatusReport | None:
    status = client.status()
    return status if status.counts.get("running") else None


def numbers(seen: Iterable[object]) -> list[int]:
    return [each.seq for each in seen if isinstance(each, Happened)]


# -- the client that waits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 30])
def test_a_follower_sees_every_event_once_while_the_run_goes_on(tmp_path: Path, after: int) -> None:
    engine, id_ = start(tmp_path, BUSY)
    with Client.connect(id_) as client:
        until(lambda: last_of(id_) > after, "some events")
        events = client.follow(after)
        seen = [next(events)]
        (tmp_path / "go").touch()
        seen += events
    assert engine.wait() == 0
    told = [each for each in seen if isinstance(each, Happened)]
    assert [each.seq for each in told] == list(range(after + 1, len(journal()) + 1))
    assert [codec.decode_event(bytes(each.event)) for each in told] == journal()[after:]


def test_two_clients_steer_the_same_session_and_both_see_it(tmp_path: Path) -> None:
    engine, id_ = start_slow(tmp_path)
    with Client.connect(id_) as one, Client.connect(id_) as other:
        seen = one.follow(one.welcome.last)
        held = one.ask(rq.Hold(tickets=("B",)))
        assert [hold.name for hold in other.status().holds] == ["B"]
        released = other.ask(rq.Release(tickets=("B",)))
        asked = [*(held.events or ()), *(released.events or ())]
        told = [each for _, each in zip(asked, seen, strict=False) if isinstance(each, Happened)]
        assert [bytes(each.event) for each in told] == [bytes(event) for event in asked]
        assert any(b'"by":"' in bytes(event) for event in asked)
        assert other.status().holds == []
        (tmp_path / "go").touch()
        assert engine.wait() == 0


def test_status_has_what_scripts_rely_on(tmp_path: Path) -> None:
    engine, id_ = start(tmp_path, SLOW)
    with Client.connect(id_) as client:
        status = until(lambda: running(client), "it runs")
    assert status is not None
    assert (status.session, status.plan, status.state) == (id_, "slow", "running")
    assert status.engine_pid == engine.process.pid == client.welcome.engine_pid
    assert status.counts == {"running": 1, "waiting": 1}
    assert (status.group, status.groups, status.eta) == (1, 2, None)
    assert [(agent.status, agent.ticket) for agent in status.agents] == [("busy", "A")]


def test_a_refusal_is_raised_and_a_dry_run_does_nothing(tmp_path: Path) -> None:
    _, id_ = start_slow(tmp_path)
    with Client.connect(id_) as client:
        with pytest.raises(Refused, match="no ticket"):
            client.ask(rq.Hold(tickets=("nowhere",)))
        last = last_of(id_)
        assert client.ask(rq.Hold(tickets=("B",)), dry_run=True).events
        assert client.status().holds == []
        assert last_of(id_) == last
        assert client.question("why", ["B"])["B"]


def test_a_read_only_client_is_refused(tmp_path: Path) -> None:
    _, id_ = start(tmp_path, SLOW)
    with Client.connect(id_, read_only=True) as client, pytest.raises(Refused, match="only reads"):
        client.ask(rq.Hold())


def test_an_engine_that_is_killed_is_gone(tmp_path: Path) -> None:
    # Until its first attempt has begun, a child of the engine may hold the socket a moment longer than the engine.
    engine, id_ = start_slow(tmp_path)
    with Client.connect(id_) as client:
        events = client.follow(client.welcome.last)
        client.status()
        engine.kill()
        with pytest.raises(EngineGone, match="went away"):
            list(events)
        with pytest.raises(EngineGone, match="went away"):
            client.status()
    with pytest.raises(EngineGone, match="no engine runs"):
        Client.connect(id_)


def test_an_engine_that_leaves_says_farewell(tmp_path: Path) -> None:
    engine, id_ = start(tmp_path, SLOW)
    with Client.connect(id_) as client:
        events = client.follow(0)
        next(events)
        (tmp_path / "go").touch()
        told = numbers(events)
        with pytest.raises(EngineGone):
            client.status()
    assert engine.wait() == 0
    assert told == list(range(2, len(journal()) + 1))


def test_no_session_no_engine() -> None:
    with pytest.raises(EngineGone, match="no engine runs session exec_1"):
        Client.connect("exec_1")


def test_an_engine_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    engine, id_ = start(tmp_path, SLOW)
    with Client.connect(id_, timeout=0.2) as client:
        engine.signal(signal.SIGSTOP)
        with pytest.raises(EngineGone, match=r"does not answer, after 0\.2s"):
            client.status()
        engine.signal(signal.SIGCONT)


def test_another_version_is_said_in_plain_words(tmp_path: Path) -> None:
    _, id_ = start(tmp_path, SLOW)
    with pytest.raises(ProtocolError, match="use the parexec that started the session"):
        Client(id_, Hello(version=VERSION + 1))


def test_a_request_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="ask in parts"):
        encode(Request(id=1, request=rq.Hold(tickets=("T" * 70_000,))))


def test_an_engine_started_elsewhere_is_found_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, id_ = start(tmp_path, SLOW)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv(paths.RUNTIME_DIR, str(runtime))
    with Client.connect(id_) as client:
        assert client.status().session == id_


def test_it_imports_neither_trio_nor_textual_nor_much_else() -> None:
    code = "import sys, parexec_tui.client.blocking; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"trio", "textual", "networkx", "asyncio", "sqlite3", "psutil", "rich", "ssl"} & set(loaded)


def test_who_wishes_is_sent_samples_and_the_peak_of_the_whole_tree_is_remembered(tmp_path: Path) -> None:
    engine, id_ = start(tmp_path, TWO_HOLD)
    with Client.connect(id_, samples=True) as client:
        seen = client.follow(0)
        held = next(each for each in seen if holds_both(each))
        with Client.connect(id_) as other:
            assert [(each.ticket, each.step) for each in other.status().usage] == [("A", "run")]
        (tmp_path / "go").touch()
        numbers(seen)
    assert engine.wait() == 0
    assert isinstance(held, Sampled)
    (usage,) = held.attempts
    assert (usage.ticket, usage.attempt, usage.log_size) == ("A", 1, 0)
    assert held.host.memory_used > usage.memory
    assert [disk.name for disk in held.host.disks]
    (ended,) = happened(ev.AttemptEnded)
    with Registry.open(paths.registry_file(), read_only=True) as registry:
        (fact,) = registry.attempts(id_)
    assert fact.peak_memory == ended.peak_memory >= usage.memory
    assert fact.peak_processes == ended.peak_processes >= usage.processes
    assert (fact.cpu_seconds, fact.disk_written) == (ended.cpu_seconds, ended.disk_written)
    assert ended.disk_written >= usage.disk_written > 0, "its exit record"


def test_who_is_sent_samples_learns_how_busy_gpus_are_and_status_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    Driver(tmp_path).says(BIG)
    _, id_ = start(tmp_path, SLOW)
    with Client.connect(id_, samples=True) as client:
        sampled = next(each for each in client.follow(0) if isinstance(each, Sampled))
        assert sampled.host.gpus == (SEEN,)
        with Client.connect(id_) as other:
            assert other.status().gpus == [SEEN]


# -- the client that never gives up ----------------------------------------------------------------------------


async def _collect(client: AsyncClient, seen: list[News | Contact]) -> None:
    async for batch in client.batches():
        seen += batch


async def _until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < give_up, what
        await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_the_app_asks_and_follows_over_one_connection(tmp_path: Path) -> None:
    engine, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    seen: list[News | Contact] = []
    async with AsyncClient(id_) as client:
        follows = asyncio.create_task(_collect(client, seen))
        await _until(lambda: client.welcome, "connected")
        answer = await client.ask(rq.Hold(tickets=("B",)))
        assert answer.events
        assert [hold.name for hold in (await client.status()).holds] == ["B"]
        with pytest.raises(Refused):
            await client.ask(rq.Hold(tickets=("nowhere",)))
        await client.ask(rq.Release(tickets=("B",)))
        (tmp_path / "go").touch()
        await asyncio.wait_for(follows, WITHIN)
        with pytest.raises(EngineGone):
            await client.status()
    assert await asyncio.to_thread(engine.wait) == 0
    assert numbers(seen) == list(range(1, len(journal()) + 1))
    assert isinstance(seen[0], Contact)
    assert client.last == len(journal())


@pytest.mark.asyncio
async def test_the_app_goes_on_after_the_engine_was_killed_and_resumed(tmp_path: Path) -> None:
    engine, id_ = await asyncio.to_thread(start, tmp_path, BUSY)
    seen: list[News | Contact] = []
    async with AsyncClient(id_) as client:
        follows = asyncio.create_task(_collect(client, seen))
        await _until(lambda: len(numbers(seen)) > 20, "some events")
        await asyncio.to_thread(engine.kill)
        await _until(lambda: isinstance(seen[-1], Contact) and not seen[-1].up, "told that it is lost")
        with pytest.raises(EngineGone, match="no connection"):
            await client.ask(rq.Hold())
        second = Engine("resume", id_, "--headless", cwd=tmp_path)
        started.append(second)
        await _until(lambda: client.welcome, "connected again")
        assert client.welcome is not None
        assert client.welcome.engine_pid == second.process.pid
        (tmp_path / "go").touch()
        await asyncio.wait_for(follows, WITHIN)
    assert await asyncio.to_thread(second.wait) == 0
    assert numbers(seen) == list(range(1, len(journal()) + 1))
    contacts = [each.up for each in seen if isinstance(each, Contact)]
    assert contacts[:3] == [True, False, True]
    assert all(before != after for before, after in pairwise(contacts))


@pytest.mark.asyncio
async def test_the_app_leaves_no_socket_behind_though_the_engine_reads_nothing(tmp_path: Path) -> None:
    engine, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    async with AsyncClient(id_) as client:
        await _until(lambda: client.welcome, "connected")
        assert client._connection is not None
        transport = client._connection[1].transport
        engine.signal(signal.SIGSTOP)
        hold = rq.Hold(tickets=("T" * 50_000,))
        asked = [asyncio.create_task(client.ask(hold)) for _ in range(20)]  # more than a socket takes
        await _until(transport.get_write_buffer_size, "the socket is full")
    await asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0)
    is_closed = transport.get_extra_info("socket").fileno() == -1
    engine.signal(signal.SIGCONT)
    assert is_closed


@pytest.mark.asyncio
@pytest.mark.parametrize("samples", [True, False])
async def test_the_app_is_sent_samples_among_the_events_if_it_wishes(tmp_path: Path, samples: bool) -> None:
    _, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    seen: list[News | Contact] = []
    async with AsyncClient(id_, samples=samples) as client, AsyncClient(id_, samples=True) as other:
        follows = asyncio.create_task(_collect(client, seen))
        async for each in other.follow():
            if isinstance(each, Sampled):
                break
        if samples:
            await _until(lambda: any(isinstance(each, Sampled) for each in seen), "a sample")
        (tmp_path / "go").touch()
        await asyncio.wait_for(follows, WITHIN)
    assert any(isinstance(each, Sampled) for each in seen) is samples
    assert numbers(seen) == list(range(1, len(journal()) + 1))


@pytest.mark.asyncio
async def test_the_app_may_begin_before_there_is_an_engine(tmp_path: Path) -> None:
    engine, id_ = await asyncio.to_thread(start_slow, tmp_path)  # before that, the journal may have no event 3 yet
    engine.kill()
    seen: list[News | Contact] = []
    async with AsyncClient(id_, after=3) as client:
        follows = asyncio.create_task(_collect(client, seen))
        await _until(lambda: seen, "told that there is none")
        started.append(Engine("resume", id_, "--headless", cwd=tmp_path))
        await _until(lambda: client.welcome, "connected")
        (tmp_path / "go").touch()
        await asyncio.wait_for(follows, WITHIN)
    assert numbers(seen) == list(range(4, len(journal()) + 1))


@pytest.mark.asyncio
async def test_trying_again_is_no_cure_for_a_number_that_is_not_there(tmp_path: Path) -> None:
    _, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    async with AsyncClient(id_, after=10_000) as client:
        with pytest.raises(ProtocolError, match="no event 10000 yet"):
            await asyncio.wait_for(_collect(client, []), 10)


@pytest.mark.asyncio
async def test_events_come_one_by_one_as_well(tmp_path: Path) -> None:
    _, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    async with AsyncClient(id_) as client:
        (tmp_path / "go").touch()
        seen = [each async for each in client.follow()]
    assert numbers(seen) == list(range(1, len(journal()) + 1))


@pytest.mark.asyncio
async def test_two_viewers_learn_of_each_other_and_status_tells_of_both(tmp_path: Path) -> None:
    _, id_ = await asyncio.to_thread(start, tmp_path, SLOW)
    seen: list[News | Contact] = []

    def told() -> list[Viewers]:
        return [each for each in seen if isinstance(each, Viewers)]

    async with AsyncClient(id_, viewers=True) as client:
        follows = asyncio.create_task(_collect(client, seen))
        await _until(lambda: client.welcome, "connected")
        async with AsyncClient(id_, read_only=True) as other:
            await _until(told, "told of the other")
            assert [each.read_only for each in told()[0].others] == [True]
            first, second = (await client.status()).viewers
            assert (first.read_only, second.read_only) == (False, True)
            assert first.by == second.by == own_signature()
            lines = dashboard(await client.status())
            assert f"viewers  2: {first.by}, {first.by} (read-only)" in lines
            assert other.welcome
        await _until(lambda: told()[-1] == Viewers(), "told that it is gone")
        assert len(told()) == 2
        (tmp_path / "go").touch()
        await asyncio.wait_for(follows, WITHIN)
