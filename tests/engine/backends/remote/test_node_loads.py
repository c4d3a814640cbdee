"""The node program under load, at rest, on a full disk and after a reboot."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import which

import psutil
import pytest

from parexec_tui.engine.backends.remote.node import MAX_READ, Header
from tests.engine.backends.remote.nodes import Node, RemoteError, guards_of, key, sleeps, spool_in
from tests.engine.engines import exists, until

MIB = 1 << 20

needs_mounts = pytest.mark.skipif(
    which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="no mount namespace may be made here",
)


def test_two_hundred_megabytes_are_read_exactly(node: Node) -> None:
    size = 200 * MIB
    pattern = bytes(range(251)) * (MAX_READ // 251 + 2)
    write = f"for _ in range({size} // len(p) + 1): sys.stdout.buffer.write(p)"
    program = f"import sys; p = bytes(range(251)) * 4096\n{write}"
    node.start("", argv=[sys.executable, "-c", program])
    node.end()
    offset, numbers = 0, list[tuple[int, int]]()
    while True:
        while len(numbers) < 16:  # several on their way at once, as on a line with a long delay
            numbers.append((offset, node.send("read", key=key(), name="log", offset=offset)))
            offset += MAX_READ
        at, number = numbers.pop(0)
        found, blob = node.reply(number)
        assert found["over"]
        assert blob == pattern[at % 251 : at % 251 + len(blob)]
        if len(blob) < MAX_READ:
            break
    assert at + len(blob) == found["size"] >= size


def test_many_at_once_are_all_ended(node: Node) -> None:
    keys = [key(number) for number in range(1, 101)]
    numbers = [node.send_start(f"echo {at[1]}; exit {at[1] % 3}", at) for at in keys]
    assert all(node.reply(number)[0]["new"] for number in numbers)
    assert [node.end(at)["code"] for at in keys] == [at[1] % 3 for at in keys]
    assert len(node.events) == len(keys)
    assert b"".join(map(node.output, keys[:10])) == b"".join(b"%d\n" % at[1] for at in keys[:10])


def test_what_waits_uses_no_cpu(node: Node) -> None:
    for number in range(3):
        node.start(sleeps(), key(number))
    processes = list(map(psutil.Process, guards_of(node.spool)))
    assert len(processes) == 5, "a node, its guard, three supervisors"
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    node.pump(1.0)
    after = sum(sum(process.cpu_times()[:2]) for process in processes)
    assert after - before <= 0.2


@needs_mounts
def test_the_end_is_recorded_on_a_full_disk(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.mkdir()
        script = 'mount -t tmpfs -o size=256k tmpfs "$1" && shift && exec "$@"'
        node = Node(spool, "unshare", "-m", "sh", "-c", script, "sh", str(spool))
        go = tmp_path / "go"
        node.start(sleeps(), key(4))
        pid = node.start(sleeps(), key(5))["pid"]
        record = node.reply(node.send("read", key=key(5), name="run.json"))[1]
        os.kill(json.loads(record)["supervisor"], signal.SIGKILL)
        node.start(f"until [ -e {go} ]; do sleep 0.01; done; exit 3", key(1))
        node.start(f"cat /dev/zero; touch {go}; exit 4", key(2))
        assert [node.end(key(number))["code"] for number in (1, 2)] == [3, 4]
        with pytest.raises(RemoteError) as refused:
            node.start("true", key(3))
        assert refused.value.errno == errno.ENOSPC
        node.ask("freeze", key=key(4))
        node.ask("stop", key=key(4), grace=5.0)
        assert node.end(key(4))["signal"] == signal.SIGTERM
        assert node.ask("stop", key=key(5), grace=5.0)["state"] == "running"
        assert (node.end(key(5))["state"], exists(pid)) == ("lost", False)
        node.close()


@needs_mounts
def test_a_rebooted_host_knows_that_its_processes_are_gone(node: Node) -> None:
    pid = node.start(sleeps(), key(1))["pid"]
    node.start("exit 3", key(2))
    node.end(key(2))
    node.kill()
    boot = node.spool.parent / "boot_id"
    boot.write_text("another-boot\n")
    script = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"'
    second = Node(node.spool, "unshare", "-m", "sh", "-c", script, "sh", str(boot))
    assert second.hello["boot"] != node.hello["boot"]
    assert second.hello["boot"].startswith("another-boot")
    assert [second.state(key(number))["state"] for number in (1, 2)] == ["rebooted", "ended"]
    assert exists(pid)  # that it is another process now is what the id says
    assert not second.start("echo again", key(1))["new"]
    second.close()


def test_metrics_and_usage(node: Node) -> None:
    node.start(f"{sys.executable} -c 'x = bytearray(b\"x\") * 50_000_000\nwhile True: pass'")
    usage = until(lambda: busy(node), "usage")[0]
    assert usage["memory"] > 40_000_000
    assert usage["processes"] in (1, 2)
    node.ask("stop", key=key(), grace=0.0)
    end = node.end()
    assert end["usage"]["cpu"] >= usage["cpu"] - 0.1
    assert end["usage"]["memory"] > 40_000_000
    first = node.ask("metrics")
    assert first["cpus"] == len(os.sched_getaffinity(0))
    assert 0 < first["disk_free"] < first["disk_total"]
    assert 0 < first["memory_available"] <= first["memory"]
    second = node.ask("metrics")
    assert second["cpu_total"] >= first["cpu_total"] > 0
    assert second["net_received"] >= first["net_received"]


def busy(node: Node) -> list[Header]:
    return [each for each in node.ask("usage", keys=[key()])["usages"] if each["cpu"] > 0.2]
