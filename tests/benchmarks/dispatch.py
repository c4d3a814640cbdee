"""How fast tickets are started and finished, beside xargs: `python tests/benchmarks/dispatch.py`.

10,000 tickets that run `true`, 8 at a time, journal on, against `xargs -n1 -P8 sh -c true` for as many, turn by turn
in the same call. The whole command is timed, start-up and reading of the plan included. Prints the ratio of the
rates; exits 1 if the median is below what we promise. Machines are shared and noisy: only the ratio means anything.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMISED = 0.65


def timed(command: list[str], stdin: str = "", env: dict[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(command, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count = options.tickets
    parexec = Path(sys.executable).with_name("parexec")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.toml")
        tickets = "".join(f'[tickets.T{number}]\nrun = "true"\n' for number in range(count))
        plan.write_text(f'[plan]\nname = "dispatch"\nparallel = 8\n{tickets}', encoding="utf-8")
        numbers = "\n".join(map(str, range(count)))
        for round_ in range(options.rounds):
            env = os.environ | {"XDG_STATE_HOME": f"{folder}/state{round_}"}
            xargs = timed(["xargs", "-n1", "-P8", "sh", "-c", "true"], numbers)
            ours = timed([str(parexec), "run", str(plan), "--headless", "--quiet"], env=env)
            ratios.append(xargs / ours)
            print(
                f"xargs {count / xargs:7.0f}/s   parexec {count / ours:7.0f}/s   ratio {ratios[-1]:.2f}", flush=True
            )
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f}, promised {PROMISED}")
    sys.exit(median < PROMISED)


if __name__ == "__main__":
    main()
