"""A backend of several places: each process in its own, and none slower because another place is out of reach."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.placed import PlacedBackend
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.shipping import boot_command
from tests.engine.backends.worlds import Engine, World

pytestmark = pytest.mark.trio


def key(host: str) -> ProcessKey:
    """Of a ticket that is named as its host."""
    return ProcessKey(host or "here", 1)


@asynccontextmanager
async def placed(world: World, hosts: dict[str, str]) -> AsyncIterator[Engine]:
    """This machine and hosts, each with a command that leads there."""
    async with trio.open_nursery() as nursery:
        local = LocalBackend(nursery, "session", world.folder, environment=os.environ, boot=boot_id())

        def open_host(name: str) -> RemoteBackend:
            world.way = ("/bin/sh", "-c", hosts[name])
            return world.open_remote(nursery, name=name, ring=backend.wake)

        backend = PlacedBackend(local, lambda at: "" if at.ticket == "here" else at.ticket, lambda: hosts, open_host)
        backend.reach_new()
        engine = Engine(world, backend)
        nursery.start_soon(engine.listen)
        with trio.fail_after(60):
            yield engine
            await backend.finish()
        nursery.cancel_scope.cancel()


async def test_each_process_is_where_its_agent_is(tmp_path: Path) -> None:
    world = World("node", tmp_path)
    hosts = {name: boot_command(str(tmp_path / name)) for name in ("a", "b")}
    async with placed(world, hosts) as engine:
        for host in ("", "a", "b"):
            engine.start(f"touch up.{host}; until [ -e go ]; do sleep 0.01; done; echo done", at=key(host))
        for host in ("", "a", "b"):
            await engine.identity_of(key(host))
            await engine.file(f"up.{host}")
        assert sorted(engine.backend.living()) == sorted(map(key, ("", "a", "b")))
        usages = {usage.ticket: usage.processes for usage in (await engine.backend.usage()).usages}
        assert usages.keys() == {"here", "a", "b"}
        assert min(usages.values()) > 0
        assert await engine.backend.end_strays() == 0, "what runs on a host that is this machine is no stray here"
        assert sorted(path.name for path in (tmp_path / "a" / "keys").iterdir()) == ["a%201%20run"]
        (world.work / "go").touch()
        for host in ("", "a", "b"):
            assert await engine.ended(key(host)) == (0, None)
            assert await engine.output(key(host)) == "done\n"
        assert sorted(log.key for log in (await engine.backend.log_sizes()).logs) == sorted(map(key, ("", "a", "b")))


async def test_a_host_that_is_dead_slows_nobody(tmp_path: Path) -> None:
    world = World("node", tmp_path)
    hosts = {"a": boot_command(str(tmp_path / "a"))}
    hosts |= {f"dead{number}": "sleep 60" for number in range(9)}
    async with placed(world, hosts) as engine:
        engine.start("true", at=key("dead0"))
        assert await engine.run("exit 3", at=key("a")) == (3, None)
        assert await engine.run("exit 4", at=key("")) == (4, None)
        began = trio.current_time()
        await engine.backend.usage()
        await engine.backend.end_strays()
        await engine.backend.recorded()
        assert trio.current_time() - began < 5
        engine.backend.stop(key("dead0"), 1.0)
        lost = await engine.end_of(key("dead0"))
        assert isinstance(lost, rq.ProcessLost)
        assert not lost.began
        began = trio.current_time()
    assert trio.current_time() - began < 10
