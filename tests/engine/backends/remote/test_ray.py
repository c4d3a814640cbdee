"""The bridge to a Ray cluster, on a real one: what is promised of attempts holds whatever of Ray dies."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.engine.backends.remote.ray import bridge_program
from tests.engine.backends.remote.nodes import Node, RemoteError, Wire, key
from tests.engine.engines import Engine, until
from tests.hosts import clusters
from tests.hosts.clusters import RAY_PYTHON, Cluster
from tests.hosts.networks import Host

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


class Bridge(Node):
    """A bridge that runs on the head of a cluster, and an engine's side of the pipe to it."""

    def __init__(self, cluster: Cluster, session: str, placed_within: int = 60) -> None:
        text = bridge_program().text
        assert text.count(b"_PLACED_WITHIN = 60.0") == 1
        program = cluster.head.folder / "bridge.py"
        program.write_bytes(text.replace(b"_PLACED_WITHIN = 60.0", b"_PLACED_WITHIN = %d" % placed_within))
        # Its folder is on the head, not here.
        spool = cluster.head.home / session
        self.work = cluster.network.folder
        super().__init__(
            spool, *cluster.head.command(), python=RAY_PYTHON, program=str(program), options=[cluster.address]
        )

    def run(self, run: str, at: Wire, agent: str = "a1", **more: Any) -> dict[str, Any]:
        """Start a shell command by an agent."""
        return self.start(run, at, env={"PAREXEC_AGENT": agent}, **{"cwd": str(self.work), **more})

    def output_so_far(self) -> bytes:
        return self.reply(self.send("read", key=key(), name="log", offset=0))[1]

    def can_read(self) -> bool:
        try:
            self.output_so_far()
        except RemoteError:
            return False
        return True

    def say(self) -> None:
        """Let it know that the engine is there, as pings do."""
        self.ask("ping")

    def first_event(self, within: float = 150.0) -> dict[str, Any]:
        """Wait for an event, as an engine does."""

        def told() -> list[dict[str, Any]]:
            self.say()
            self.pump(0.2)
            return self.events

        return until(told, "an event", within)[0]

    def until_reached(self) -> None:
        """Wait until the first key can be read again."""

        def is_reached() -> bool:
            self.say()
            return self.can_read()

        until(is_reached, "it is reached again", within=120)

    def keep_saying(self, seconds: float) -> None:
        """The same, for so long."""
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            self.say()
            self.pump(0.2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clusters.cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def bridge(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Bridge]:
    made = Bridge(cluster, request.node.name.removeprefix("test_")[:30])
    until(lambda: _has_all_nodes(made, cluster), "the cluster is whole", within=120)
    yield made
    if made.process.poll() is None:
        for each in made.ask("list")["keys"]:
            made.ask("stop", key=each["key"], grace=0.0)
        made.close()


def _has_all_nodes(bridge: Bridge, cluster: Cluster) -> bool:
    """Whether the cluster is whole again after what another test did to it."""
    for node in cluster.nodes:
        if not any("/raylet/raylet" in command for _, _, command in _processes([node])):
            cluster.join(node)
    bridge.keep_saying(0.5)
    return bool(bridge.ask("hello")["nodes"] == 3)


def _processes(nodes: list[Host]) -> Iterator[tuple[Host, int, str]]:
    for node in nodes:
        for pid in node.pids():
            try:
                yield node, pid, Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue


def _where(cluster: Cluster, words: str) -> list[tuple[Host, int]]:
    """The nodes that run something, and its pid here."""
    return [(node, pid) for node, pid, command in _processes(cluster.nodes) if words in command]


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in found for word in path.read_text().split()]


def _node_that_runs(cluster: Cluster, words: str) -> Host:
    return until(lambda: _where(cluster, words), f"a node runs {words}")[0][0]


def test_a_command_runs_as_if_ray_were_not_there(bridge: Bridge) -> None:
    looks = "env; echo nice $(nice); grep SigIgn /proc/self/status; echo err >&2; exit 3"
    assert bridge.run(looks, key())["new"]
    end = bridge.end()
    assert (end["state"], end["code"], end["signal"]) == ("ended", 3, None)
    lines = bridge.output().decode().splitlines()
    assert "nice 0" in lines
    assert "SigIgn:\t0000000000000000" in lines
    assert lines[-1] == "err"
    assert not [line for line in lines if line.startswith(("RAY_", "OMP_NUM_THREADS", "LD_PRELOAD"))]
    assert "HOME=/root" in lines
    with pytest.raises(RemoteError):
        bridge.ask("put", path="x")


def test_agents_are_where_they_find_what_they_need(bridge: Bridge, cluster: Cluster) -> None:
    bridge.run("hostname", key(1), "a1", place={"cpu": 1, "labels": {"disk": "fast"}})
    bridge.run("hostname", key(2), "a2", place={"cpu": 1, "resources": {"licence": 1, "counted by us": 3}})
    sent = [bridge.send_start("hostname", key(n), env={"PAREXEC_AGENT": f"b{n}"}, place={"cpu": 2}) for n in (3, 4)]
    for number in sent:
        bridge.reply(number)
    for number in (1, 2, 3, 4):
        bridge.end(key(number))
    at = [bridge.output(key(number)).decode().strip() for number in (1, 2, 3, 4)]
    assert at[:2] == ["n2", "n2"]
    assert "n1" in at
    # What nothing runs on is given back for an agent that needs something else.
    bridge.run("hostname", key(5), "a1", place={"cpu": 2})
    bridge.end(key(5))
    assert bridge.output(key(1)) == b"n2\n", "what it said before is still there"


def test_what_ray_has_no_room_for_is_said(cluster: Cluster) -> None:
    bridge = Bridge(cluster, "room", placed_within=3)
    with pytest.raises(RemoteError, match="found no node with 1 cpu, 2 gpu free") as raised:
        bridge.run("true", key(), place={"cpu": 1, "gpu": 2})
    assert raised.value.errno == errno.EAGAIN
    bridge.close()


def test_neither_keeper_nor_bridge_is_needed_by_what_runs(bridge: Bridge, cluster: Cluster) -> None:
    until_told = f"echo up; while [ ! -e {bridge.work}/go ]; do sleep 0.05; done; echo done; exit 7"
    bridge.run(until_told, key())
    until(lambda: bridge.output_so_far().startswith(b"up"), "it runs")
    ((_, keeper),) = _where(cluster, "ray::Keeper")
    (node,) = _children(keeper)
    for pid in (node, None):
        os.kill(pid or _where(cluster, "ray::Keeper")[0][1], signal.SIGKILL)
        bridge.until_reached()
        assert bridge.state()["state"] == "running"
        again = bridge.run(until_told, key())
        assert not again["new"]
    bridge.kill()
    with_new = Bridge(cluster, bridge.spool.name)
    with_new.say()
    assert with_new.state()["state"] == "running"
    assert not with_new.run(until_told, key())["new"]
    (bridge.work / "go").touch()
    end = with_new.end()
    assert (end["state"], end["code"]) == ("ended", 7)
    assert with_new.output() == b"up\ndone\n"
    with_new.keep_saying(1)
    assert len(with_new.events) == 1
    assert with_new.ask("forget", keys=[key()])["forgotten"] == 1
    until(lambda: not _where(cluster, "ray::Keeper"), "keepers that nobody needs give back what they occupy")
    with_new.close()


def _counts(bridge: Bridge, name: str) -> str:
    """A command with side effects that can be counted: it writes a line each time that it is alive."""
    return f"trap '' TERM; while :; do date +%s.%N >> {bridge.work}/{name}; sleep 0.05; done"


def _lines(bridge: Bridge, name: str) -> int:
    path = bridge.work / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def _is_quiet(bridge: Bridge, name: str) -> bool:
    before = _lines(bridge, name)
    bridge.keep_saying(1.5)
    return _lines(bridge, name) == before


def test_a_partition_shorter_than_the_lease_changes_nothing(bridge: Bridge, cluster: Cluster) -> None:
    bridge.run(_counts(bridge, "short"), key(), lease=120.0)
    node = _node_that_runs(cluster, "short; sleep")
    until(lambda: _lines(bridge, "short") > 3, "it runs")
    with node.partition():
        bridge.keep_saying(16)
        assert bridge.state()["state"] == "running"
        with pytest.raises(RemoteError, match="cannot be reached"):
            bridge.ask("read", key=key(), name="log", offset=0)
        assert bridge.ask("stop", key=key(), grace=0.0)["state"] == "running"
        assert not _is_quiet(bridge, "short")
    end = bridge.first_event()
    assert (end["state"], end["signal"]) == ("ended", signal.SIGKILL), "what was asked meanwhile is done"
    assert len(bridge.events) == 1


def test_a_partition_longer_than_the_lease_ends_it_there_before_it_is_lost_here(
    bridge: Bridge, cluster: Cluster
) -> None:
    bridge.run(_counts(bridge, "long"), key(), lease=6.0, grace=1.0)
    node = _node_that_runs(cluster, "long; sleep")
    bridge.keep_saying(8)
    assert not _is_quiet(bridge, "long"), (
        "while it is reached, its lease does not end",
        bridge.state(),
        bridge.events,
    )
    with node.partition():
        began = time.monotonic()
        while not bridge.events:
            bridge.keep_saying(1)
            assert time.monotonic() - began < 60
        assert bridge.events[0]["state"] == "lost"
        assert _is_quiet(bridge, "long"), "nothing of it lives any more"
        bridge.run("hostname", key(2), lease=60.0)
        assert bridge.end(key(2))["code"] == 0
        assert bridge.output(key(2)).decode().strip() != node.name
    bridge.keep_saying(5)
    assert [tuple(event["key"]) for event in bridge.events] == [key(), key(2)], "nothing is told twice"
    assert _is_quiet(bridge, "long")


def test_a_node_that_joins_again_has_what_it_had(bridge: Bridge, cluster: Cluster) -> None:
    bridge.run(_counts(bridge, "joins"), key(), lease=300.0)
    node = _node_that_runs(cluster, "joins; sleep")
    cluster.leave(node)
    bridge.keep_saying(2)
    assert not _is_quiet(bridge, "joins")
    cluster.join(node)
    bridge.until_reached()
    assert bridge.state()["state"] == "running"
    bridge.ask("stop", key=key(), grace=0.0)
    assert bridge.end()["signal"] == signal.SIGKILL


def test_what_ran_on_a_node_that_lost_power_is_told_when_it_is_back(bridge: Bridge, cluster: Cluster) -> None:
    bridge.run(_counts(bridge, "power"), key(), lease=300.0)
    node = _node_that_runs(cluster, "power; sleep")
    node.power_off()
    bridge.keep_saying(2)
    assert bridge.state()["state"] == "running", "nobody knows"
    node.power_on()
    cluster.join(node)
    assert bridge.first_event()["state"] == "rebooted"


def test_the_control_plane_may_go_and_come_back(bridge: Bridge, cluster: Cluster) -> None:
    bridge.run(_counts(bridge, "plane"), key(), lease=300.0)
    for host in (cluster.head, *cluster.nodes):
        cluster.leave(host)
    with pytest.raises(EOFError):
        bridge.keep_saying(100)
    assert bridge.close() in (1, -signal.SIGKILL)
    before = _lines(bridge, "plane")
    until(lambda: _lines(bridge, "plane") > before, "it goes on without Ray")
    cluster.start_head()
    for node in cluster.nodes:
        cluster.join(node)
    later = Bridge(cluster, bridge.spool.name)
    later.say()
    later.until_reached()
    assert later.state()["state"] == "running"
    later.ask("stop", key=key(), grace=0.0)
    assert later.end()["signal"] == signal.SIGKILL
    later.close()


_PLAN = """
[hosts.cluster]
ray = {{ address = "{address}", python = "{python}", via = "head" }}
[agents.there]
on = ["cluster"]
[tickets.FIRST]
agent = "there"
run = "echo ran >> first; hostname; while [ ! -e go ]; do sleep 0.05; done; echo went on"
[tickets.SECOND]
agent = "there"
needs = ["FIRST"]
run = "cat first; exit 3"
"""


def test_a_session_whose_engine_is_killed_runs_each_ticket_once(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", cluster.network.path)
    (tmp_path / "plan.toml").write_text(_PLAN.format(address=cluster.address, python=RAY_PYTHON))
    first = Engine("run", "plan.toml", cwd=tmp_path)
    until((tmp_path / "first").exists, "the first ticket runs")
    first.kill()
    (tmp_path / "go").touch()
    second = Engine("resume", cwd=tmp_path)
    assert second.process.wait(60) == 1
    assert "SECOND  failed: exit 3: ran" in second.output.read_text()
    assert (tmp_path / "first").read_text() == "ran\n"
    until(lambda: not _where(cluster, "ray::Keeper"), "nothing occupies the cluster any more")
