"""The hosts that tests make are machines of their own, and nothing is left of them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.engine.engines import until
from tests.hosts.networks import Host, Network, network

_MAKES_ONE = """
import os, sys
from pathlib import Path
from tests.hosts.networks import network
with network(Path(sys.argv[1])) as made:
    made.add("h1")
    print(made.number, flush=True)
    os.kill(os.getpid(), 9)
"""


def _ssh(network: Network, host: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            "ssh",
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "ServerAliveInterval=1",
            "-o",
            "ServerAliveCountMax=1",
            host,
            *words,
        ],
        env={**os.environ, "PATH": network.path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _boot(host: Host) -> str:
    return host.run("cat", "/proc/sys/kernel/random/boot_id").strip()


def test_a_host_has_its_own_name_boot_home_and_processes(network: Network) -> None:
    first, second = network.add("h1", "h2")
    looks = "hostname; cat /proc/sys/kernel/random/boot_id; ls -d /proc/[0-9]*; touch ~/here"
    said, _ = _ssh(network, "h1", f"{looks}; (setsid sleep 600 >/dev/null 2>&1 &)").communicate(timeout=30)
    name, boot, *processes = said.split()
    assert (name, boot) == ("h1", first.boot)
    assert boot != second.boot == _boot(second) != Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert "/proc/1" in processes
    assert len(processes) < 20
    assert (first.home / "here").exists()
    assert not (second.home / "here").exists()
    orphan = int(first.run("pgrep", "sleep"))
    first.run("kill", str(orphan))
    until(lambda: str(orphan) not in first.run("ps", "-eo", "pid").split(), "an orphan is buried")


def test_who_talks_to_a_host_that_loses_power_hears_nothing(network: Network) -> None:
    (host,) = network.add("h1")
    boot = host.boot
    with _ssh(network, "h1", "echo hello; exec cat") as talk:
        assert talk.stdout is not None
        assert talk.stdout.readline() == "hello\n"
        (host.home / "kept").touch()
        host.power_off()
        assert host.pids() == []
        _, problem = talk.communicate(timeout=30)
        assert f"Timeout, server {host.address} not responding" in problem
    host.power_on()
    assert boot != host.boot == _boot(host)
    assert float(host.run("cat", "/proc/uptime").split()[0]) < 60, "its clock began anew"
    assert (host.home / "kept").exists()


def test_what_was_said_in_a_partition_arrives_after_it(network: Network) -> None:
    (host,) = network.add("h1")
    heard = host.home / "heard"
    with _ssh(network, "h1", "tee ~/heard") as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        talk.stdin.write("before\n")
        talk.stdin.flush()
        assert talk.stdout.readline() == "before\n"
        until(lambda: heard.read_text() == "before\n", "tee has written its file, too")
        with host.partition():
            talk.stdin.write("meanwhile\n")
            talk.stdin.flush()
            assert heard.read_text() == "before\n"
        assert talk.stdout.readline() == "meanwhile\n"
        talk.communicate(timeout=30)


def test_what_a_killed_run_left_behind_goes_with_the_next_network(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _MAKES_ONE, str(tmp_path / "killed")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == -9, ran.stderr
    left = Path("/run/netns", f"pxh{ran.stdout.strip()}-h1")
    with network(tmp_path / "next"):
        assert not left.exists() or str(tmp_path) not in _commands_in(left)


def _commands_in(space: Path) -> str:
    """The commands of the processes in a namespace; another run of tests may have taken its name meanwhile."""
    pids = subprocess.run(["ip", "netns", "pids", space.name], capture_output=True, text=True, check=False).stdout
    return subprocess.run(
        ["ps", "-o", "args=", "-p", ",".join(pids.split()) or "0"], capture_output=True, text=True, check=False
    ).stdout
