"""A host that is cut off, loses its power, or is booted again: each a machine of its own, reached by a real ssh."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from msgspec import structs

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.channel import Facts
from parexec_tui.engine.backends.remote.ssh import Problem, ssh_command
from tests.engine.backends.worlds import Engine, World, key
from tests.hosts.networks import Network

pytestmark = pytest.mark.trio

TICKS = "for n in $(seq 1 1000); do [ -e stop ] && exit 3; echo $n; date +%s.%N > {file}; sleep 0.1; done"


@pytest.fixture
def world(tmp_path: Path, network: Network) -> Iterator[World]:
    made = World("node", tmp_path)
    made.path = network.path
    made.way = ssh_command("h1", "spool")
    yield made
    made.close()


def start(engine: Engine, number: int, lease: float) -> None:
    launch = engine.world.launch(TICKS.format(file=f"ticks.{number}"))
    engine.backend.start(key(number), structs.replace(launch, lease=lease, grace=1.0))


async def until_told(engine: Engine, kind: type) -> float:
    """Wait until the last that was told of the host is of this kind. Returns how long that took."""
    began = trio.current_time()
    with trio.fail_after(60):
        while not isinstance(engine.world.told[-1], kind):  # noqa: ASYNC110
            await trio.sleep(0.01)
    return trio.current_time() - began


def last_tick(world: World, number: int) -> float:
    return float((world.work / f"ticks.{number}").read_text() or 0)


async def test_a_partition_ends_what_has_a_lease_that_is_shorter_and_nothing_else(
    world: World, network: Network
) -> None:
    (host,) = network.add("h1")
    async with world.engine() as engine:
        assert isinstance(engine.backend, RemoteBackend)
        start(engine, 1, 300.0)
        start(engine, 2, 6.0)
        for number in (1, 2):
            await engine.file(f"ticks.{number}")
        with host.partition():
            cut = time.time()
            took = await until_told(engine, Problem)
            assert took <= 20, "a dead host is known as such soon"
            since = time.time() - (trio.current_time() - engine.backend.channel.since)
            assert cut - 10 < since < cut + 1, "leases count from when the host may have heard us last"
            assert not engine.ends
            assert time.time() - last_tick(world, 1) < 5, "it goes on"
            fenced = last_tick(world, 2)
            assert fenced < since + 6 + 3, "its lease ended it there, before anybody may begin it elsewhere"
        await until_told(engine, Facts)
        lost = await engine.end_of(key(2))
        assert isinstance(lost, rq.ProcessLost)
        assert lost.reason == "its host ended it: it was out of reach for longer than its lease"
        assert lost.host_at_fault
        assert last_tick(world, 2) == fenced
        (world.work / "stop").touch()
        assert await engine.ended(key(1)) == (3, None)
        said = (await engine.output(key(1))).split()
        assert said == [str(number) for number in range(1, len(said) + 1)], "nothing is lost or doubled"


async def test_a_host_that_is_booted_again_has_lost_what_ran_there(world: World, network: Network) -> None:
    (host,) = network.add("h1")
    async with world.engine() as engine:
        start(engine, 1, 300.0)
        await engine.file("ticks.1")
        host.reboot()
        lost = await engine.end_of(key(1))
        assert isinstance(lost, rq.ProcessLost)
        assert (lost.reason, lost.began) == ("the host was restarted while it ran", True)
        assert lost.host_at_fault
        assert await engine.run("exit 4", at=key(2)) == (4, None)
