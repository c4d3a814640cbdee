"""`parallel = "auto"` beside fixed values: `python tests/benchmarks/auto_parallel.py [cpu] [waiting] [memory]`.

Three plans: one that keeps CPUs busy, one whose tickets wait (for a network or a person, say), and one whose tickets
use memory within a cgroup that has little of it (left out where none can be made). Each is run with fixed values, the
highest first. One that takes half as long again as the best so far is ended, and lower ones are left out: those would
take longer still.
Then the best of them and auto are run in turns. Prints the times of the sessions, in seconds, and how much longer
auto took than the best fixed value, by their medians. Exits 1 if that is more than a tenth for one of the plans.
"""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_GROUPS = Path("/sys/fs/cgroup/memory")
_PAREXEC = Path(sys.executable).with_name("parexec")
_MIB = 2**20


class Kind(NamedTuple):
    """A plan of tickets that are all alike."""

    tickets: int
    run: str
    values: tuple[int, ...]
    """How many at once, to compare with."""
    pressed_below: str = ""
    memory: int = 0
    """Bytes that all of it may use."""


_HOG = "import time; held = b'x' * (30 << 20); time.sleep(1)"

KINDS = {
    "cpu": Kind(40, "i=0; while [ $i -lt 250000 ]; do i=$((i+1)); done", (8, 4, 2, 1)),
    "waiting": Kind(2600, "sleep 0.5", (64, 32, 16, 8, 4, 2, 1)),
    "memory": Kind(140, f'{sys.executable} -c \\"{_HOG}\\"', (16, 8, 4, 2, 1), "32MiB", 480 * _MIB),
}


@contextmanager
def limited(size: int) -> Iterator[Path | None]:
    """A cgroup (version 1) with so much memory; None for no limit. Raises OSError where none can be made."""
    if not size:
        yield None
        return
    folder = _GROUPS / f"parexec-auto-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "memory.limit_in_bytes").write_text(str(size))
        yield folder
    finally:
        give_up = time.monotonic() + 10
        while (folder / "cgroup.procs").read_text() and time.monotonic() < give_up:
            time.sleep(0.1)
        folder.rmdir()


def run(plan: Path, parallel: int | str, group: Path | None, within: float) -> tuple[float | None, list[str]]:
    """Seconds of the session, infinite if it took too long, None if it did not succeed; and the steps of auto."""
    command = [str(_PAREXEC), "run", str(plan), "--headless", "--json", "--parallel", str(parallel)]
    if group is not None:
        command = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group), *command]
    with tempfile.TemporaryDirectory() as scratch, Path(scratch, "output").open("w+") as output:
        env = os.environ | {"XDG_STATE_HOME": scratch, "XDG_RUNTIME_DIR": scratch}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, env=env)
        try:
            code = process.wait(within + 2)  # an engine takes a moment to start
        except subprocess.TimeoutExpired:
            for _ in range(2):  # stop, then kill
                process.send_signal(signal.SIGTERM)
                time.sleep(1.5)
            process.wait(60)
            return math.inf, []
        output.seek(0)
        events = [json.loads(line) for line in output if line.startswith("{")]
    steps = [f"{event['parallel']} ({event['cause']})" for event in events if event.get("kind") == "parallel_tuned"]
    took = next((event["seconds"] for event in events if event.get("kind") == "session_finished"), None)
    return (took if code == 0 else None), steps


def compare(name: str, kind: Kind, rounds: int) -> float:
    """How many times as long auto takes as the best fixed value."""
    with tempfile.TemporaryDirectory() as scratch, limited(kind.memory) as group:
        plan = Path(scratch, "plan.toml")
        text = "[plan]\nmin_free_disk = 0\n"
        text += f'[pressure]\nmemory = "{kind.pressed_below}"\n' if kind.pressed_below else ""
        text += f'[defaults]\nrun = "{kind.run}"\n'
        text += "".join(f"[tickets.T{number}]\n" for number in range(kind.tickets))
        plan.write_text(text, encoding="utf-8")
        best, took = kind.values[0], math.inf
        for value in kind.values:
            found, _ = run(plan, value, group, min(1.5 * took, 60))
            if found == math.inf:
                print(f"{name:8} {value:>4}: more than {1.5 * took:.1f}", flush=True)
                break
            print(f"{name:8} {value:>4}: {f'{found:6.1f}' if found is not None else 'fails'}", flush=True)
            if found is not None and found < took:
                best, took = value, found
        fixed, auto = [took], []
        for number in range(rounds):
            found, steps = run(plan, "auto", group, 3 * took)
            auto.append(found if found is not None else math.inf)
            print(f"{name:8} auto: {auto[-1]:6.1f}  {', '.join(steps)}", flush=True)
            if number + 1 < rounds:
                again, _ = run(plan, best, group, 3 * took)
                fixed.append(again if again is not None else math.inf)
                print(f"{name:8} {best:>4}: {fixed[-1]:6.1f}", flush=True)
    ratio = statistics.median(auto) / statistics.median(fixed)
    print(f"{name:8} auto takes {ratio:.2f} times as long as {best}, the best fixed value", flush=True)
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], default=[])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    ratios = []
    for name in options.kinds or KINDS:
        try:
            ratios.append(compare(name, KINDS[name], options.rounds))
        except OSError as error:
            print(f"{name:8} left out: {error}")
    sys.exit(any(ratio > 1.1 for ratio in ratios))


if __name__ == "__main__":
    main()
