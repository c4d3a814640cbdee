"""What the minder of a coding agent costs: `python tests/benchmarks/minder.py`.

Turn by turn, in the same call: a minder whose agent says one word, that agent alone, and an interpreter that does
nothing (`python -I -S -c pass`), each a number of times. Prints CPU and peak memory of one of each, the median of
rounds. Exits 1 if what a minder adds to its agent takes more than 40 ms of CPU, unless the interpreter alone takes
more than half of that here, or if it holds more than 15 MB.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from parexec_tui.agents import minder
from parexec_tui.agents.brief import Brief, encode

MOST_CPU = 0.040
MOST_MEMORY = 15e6

_SAID = '{"type":"result","subtype":"success","is_error":false}'


class Cost(NamedTuple):
    cpu: float
    """Seconds, of it and what it started."""
    memory: float
    """Bytes at the peak, of it alone."""


def cost_of(command: list[str], folder: Path) -> Cost:
    """Run a command to its end."""
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        peak = 0
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - read again and again
            while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                status.seek(0)
                lines = [line for line in status if line.startswith("VmHWM")]
                peak = max([peak, *(int(line.split()[1]) * 1024 for line in lines)])
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return Cost(used.ru_utime + used.ru_stime, peak)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above)
        agent = folder / "agent"
        agent.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{_SAID}'\n")
        agent.chmod(0o755)
        names = {name: str(folder / name) for name in ("facts", "stream", "errors", "answers")}
        told = Brief(kind="claude", prompt="do it", program=(str(agent),), **names)  # type: ignore[arg-type]
        (folder / "brief").write_text(encode(told))
        isolated = [sys.executable, "-I", "-S"]
        kinds: dict[str, Callable[[], Cost]] = {
            "minder and agent": lambda: cost_of([*isolated, minder.__file__, str(folder / "brief")], folder),
            "agent alone": lambda: cost_of([str(agent)], folder),
            "interpreter": lambda: cost_of([*isolated, "-c", "pass"], folder),
        }
        found: dict[str, list[Cost]] = {name: [] for name in kinds}
        for _ in range(options.rounds):
            for name, measure in kinds.items():
                found[name].append(measure())
    cpu = {name: statistics.median(each.cpu for each in costs) for name, costs in found.items()}
    memory = {name: statistics.median(each.memory for each in costs) for name, costs in found.items()}
    for name in kinds:
        print(f"{name:<18} {cpu[name] * 1000:6.1f} ms of CPU   {memory[name] / 1e6:6.1f} MB")
    adds = cpu["minder and agent"] - cpu["agent alone"]
    is_slow_here = cpu["interpreter"] > MOST_CPU / 2
    print(f"a minder adds {adds * 1000:.1f} ms of CPU, and holds {memory['minder and agent'] / 1e6:.1f} MB")
    return int((adds > MOST_CPU and not is_slow_here) or memory["minder and agent"] > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
