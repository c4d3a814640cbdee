"""What hosts cost: `python -m tests.benchmarks.ssh_hosts`. Needs root and an sshd.

First, tickets that run `true`, on this machine and on one host that is reached by ssh over the loopback, turn by turn
in the same call: tickets a second, with all starts. Then ten hosts of four slots, all of them this machine, beside
forty slots here: the CPU of the engine for a ticket, without that of its ssh clients and of what it runs. Exits 1 if
the host does fewer tickets a second than we promise, or if a ticket on ten hosts costs the engine too much more.
"""

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.hosts.sshd import Keys

PROMISED = 80.0
"""Tickets a second on one host."""

AT_MOST = 1.5
"""Times the CPU of the engine for a ticket here."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """A plan that was run."""

    seconds: float
    cpu: float
    """Seconds of the engine alone."""


def run(folder: Path, name: str, plan: str, path: str) -> Run:
    file = folder / f"{name}.toml"
    file.write_text(plan, encoding="utf-8")
    (folder / "cache").mkdir(exist_ok=True)
    env = os.environ | {
        "XDG_STATE_HOME": str(folder / f"state-{name}"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PATH": f"{path}:{os.environ['PATH']}",
    }
    command = [str(Path(sys.executable).with_name("parexec")), "run", str(file), "--headless", "--quiet"]
    started = time.perf_counter()
    with subprocess.Popen(command, env=env) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.perf_counter() - started
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    if process.returncode:
        sys.exit(f"{file} ended with {process.returncode}")
    return Run(seconds, (int(fields[11]) + int(fields[12])) / _TICKS)


def plan_of(count: int, hosts: dict[str, int], slots: int) -> str:
    """No-ops on these hosts, each with so many slots, or here if there are none."""
    lines = [f'[plan]\nname = "hosts"\nparallel = {slots}\n[agents.any]']
    if hosts:
        lines.append(f"on = [{', '.join(f'{name!r}' for name in hosts)}]")
    lines += [f'[hosts.{name}]\nssh = "{name}"\nmax = {most}' for name, most in hosts.items()]
    lines += [f'[tickets.T{number}]\nrun = "true"' for number in range(count)]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def sshd(folder: Path, names: list[str]) -> Iterator[str]:
    """Have ssh reach this machine by each of these names. Gives the folder of that ssh."""
    keys = Keys(folder / "keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in names:
        keys.know(name, "127.0.0.1", port)
    with subprocess.Popen(keys.server(folder, "127.0.0.1", port)) as server:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        try:
            yield str(keys.bin)
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=10_000, help="tickets on ten hosts")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ten = {f"box{number}": 4 for number in range(10)}
    with tempfile.TemporaryDirectory() as name, sshd(Path(name), list(ten)) as path:
        folder, rates = Path(name), []
        for round_ in range(options.rounds):
            here = run(folder, f"here{round_}", plan_of(options.tickets, {}, 8), path)
            there = run(folder, f"there{round_}", plan_of(options.tickets, {"box0": 8}, 8), path)
            rates.append(options.tickets / there.seconds)
            print(
                f"here {options.tickets / here.seconds:6.0f}/s   ssh {rates[-1]:6.0f}/s"
                f"   ratio {here.seconds / there.seconds:.2f}",
                flush=True,
            )
        rate = statistics.median(rates)
        print(f"median {rate:.0f} tickets/s by ssh, promised {PROMISED:.0f}")
        here = run(folder, "forty", plan_of(options.many, {}, 40), path)
        there = run(folder, "ten", plan_of(options.many, ten, 40), path)
        factor = there.cpu / here.cpu
        print(
            f"{options.many} tickets, CPU of the engine for each: here {here.cpu / options.many * 1e6:.0f} us,"
            f" ten hosts {there.cpu / options.many * 1e6:.0f} us: {factor:.2f} times, at most {AT_MOST}"
        )
    sys.exit(rate < PROMISED or factor > AT_MOST)


if __name__ == "__main__":
    main()
