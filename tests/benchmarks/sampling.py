"""What sampling costs: `python tests/benchmarks/sampling.py`.

Fills the host up to so many processes, of which 50 are the sessions of attempts and 50 left theirs, and takes
samples, turn by turn with `psutil.process_iter` for the same numbers. The times are CPU seconds of the thread.
Prints what a sample costs, the pause that follows from it, and the share of a CPU that samples, the look at the host
every second and the curve of the host then use, and beside it the ratio to psutil; exits 1 if the share is more than
we promise, or a sample no cheaper than with psutil.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.local.cookie import COOKIE
from parexec_tui.engine.backends.local.processes import open_processes
from parexec_tui.engine.backends.local.usage import LiveProcess, UsageMeter
from parexec_tui.engine.measure import curve
from parexec_tui.engine.measure.host_meter import HostMeter
from parexec_tui.engine.measure.pressure_watch import EVERY, PressureWatch
from parexec_tui.engine.measure.sampling import MIN_INTERVAL, Collector, next_interval
from parexec_tui.outputs.curve import keep_sample

ATTEMPTS = 50
PROMISED = 0.005
"""Share of a CPU."""
_NUMBERS = ["pid", "create_time", "cpu_times", "memory_info"]


_PLAN = read_plan('[tickets.A]\nrun = "true"', source="plan.toml", folder="/", format="toml")


def start(mark: str = "") -> subprocess.Popen[bytes]:
    """A process that does nothing; with a mark, in a session of its own."""
    env = os.environ | {COOKIE: mark} if mark else None
    return subprocess.Popen(["sleep", "1000"], env=env, start_new_session=bool(mark))


def fill(processes: int, log: str) -> tuple[list[subprocess.Popen[bytes]], list[LiveProcess]]:
    """Processes until the host has so many, and the attempts among them."""
    marks = [f"bench@0/T{number}.1" for number in range(ATTEMPTS)]
    started = [start(mark) for mark in (*marks, *marks)]
    attempts = [
        LiveProcess(ProcessKey(f"T{number}", 1), each.pid, marks[number], log)
        for number, each in enumerate(started[:ATTEMPTS])
    ]
    while len(psutil.pids()) < processes:
        started.append(start())
    return started, attempts


def by_psutil() -> float:
    began = time.thread_time()
    for each in psutil.process_iter(_NUMBERS):
        with suppress(ProcessLookupError):
            os.getsid(each.pid)
    return time.thread_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.touch()
        started, attempts = fill(options.processes, str(log))
        try:
            meter, collector = UsageMeter(open_processes()), Collector(HostMeter())
            collector.warm_up()
            first = meter.read(attempts)
            assert all(usage.processes == 2 for usage in first.usages)
            costs, ratios, looks, keeps = [], [], [], []
            watch = PressureWatch(SessionState(_PLAN), dict, lambda _: None)
            for _ in range(options.rounds):
                costs.append(meter.read(attempts).cost + collector.measure(()).cost)
                ratios.append(costs[-1] / by_psutil())
                began = time.thread_time()
                watch.look()
                looks.append(time.thread_time() - began)
                began = time.thread_time()
                keep_sample(Path(folder, "curve"), collector.measure(()).host)
                keeps.append(time.thread_time() - began)
            count = len(psutil.pids())
        finally:
            for each in started:
                each.kill()
            for each in started:
                each.wait()
    pause = MIN_INTERVAL
    for _ in range(8):
        pause = next_interval(pause, statistics.median(costs))
    share = statistics.median(costs) / pause + statistics.median(looks) / EVERY
    share += statistics.median(keeps) / curve.EVERY
    ratio = statistics.median(ratios)
    print(f"{count} processes, {ATTEMPTS} attempts: {statistics.median(costs) * 1e3:.1f} ms a sample", end="")
    print(f" (the first {first.cost * 1e3:.1f} ms, the worst {max(costs) * 1e3:.1f} ms)")
    print(f"a look at the host: {statistics.median(looks) * 1e6:.0f} us, every {EVERY:g} s")
    print(f"a sample for the curve: {statistics.median(keeps) * 1e6:.0f} us, every {curve.EVERY:g} s")
    print(f"share of a CPU, with a sample every {pause:g} s: {share:.2%}, promised {PROMISED:.1%}")
    print(f"ratio to psutil.process_iter: {ratio:.2f}")
    sys.exit(share > PROMISED or ratio >= 1)


if __name__ == "__main__":
    main()
