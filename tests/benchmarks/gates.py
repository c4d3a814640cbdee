"""What a gate costs: `python tests/benchmarks/gates.py`.

Turn by turn, in the same call: tickets that run `true` and have the gate `true`; as many pairs of tickets, of which
the second needs the first; and as many tickets that run `true` alone. Prints the processes that each of them took, as
the exit records tell, and CPU and wall time of the whole command. Exits 1 if a gate takes more than one process, or
clearly more CPU than a ticket of its own.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

NOISE = 1.3
"""Machines are shared: the CPU of the same work differs as much between two runs."""


class Cost(NamedTuple):
    processes: int
    cpu: float
    wall: float


def run(plan: str, folder: Path) -> Cost:
    """Run a plan to its end, in a state folder of its own."""
    folder.mkdir()
    file = folder / "plan.toml"
    file.write_text(f'[plan]\nname = "gates"\nparallel = 8\n{plan}', encoding="utf-8")
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    parexec = Path(sys.executable).with_name("parexec")
    subprocess.run(
        [parexec, "run", file, "--headless"], check=True, stdout=subprocess.DEVNULL, env=env, stdin=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(sum(1 for _ in (folder / "state").rglob("*.exit")), cpu, wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    numbers = range(options.tickets)
    plans = {
        "gates": "".join(f'[tickets.T{number}]\nrun = "true"\ngates = ["true"]\n' for number in numbers),
        "pairs": "".join(
            f'[tickets.T{number}]\nrun = "true"\n[tickets.U{number}]\nrun = "true"\nneeds = ["T{number}"]\n'
            for number in numbers
        ),
        "alone": "".join(f'[tickets.T{number}]\nrun = "true"\n' for number in numbers),
    }
    found: dict[str, list[Cost]] = {name: [] for name in plans}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(options.rounds):
            for name, plan in plans.items():
                cost = run(plan, Path(folder, f"{name}{round_}"))
                found[name].append(cost)
                print(f"{name}: {cost.processes} processes, {cost.cpu:.2f} s of CPU, {cost.wall:.2f} s", flush=True)
    gates, pairs, alone = (statistics.median(cost.cpu for cost in found[name]) for name in plans)
    extra = found["gates"][0].processes - found["alone"][0].processes
    print(
        f"a gate takes {extra / options.tickets:g} processes, and {(gates - alone) / (pairs - alone):.2f} of a ticket"
    )
    sys.exit(extra != options.tickets or gates - alone > NOISE * (pairs - alone))


if __name__ == "__main__":
    main()
