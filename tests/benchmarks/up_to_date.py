"""What it costs to find out that there is nothing to do: `python tests/benchmarks/up_to_date.py`.

The same graph for parexec, ninja and make: N files copied, each from a source of its own, and a header that all read.
All is made once with parexec; then `parexec run`, `parexec run -n`, `ninja -n` and `make -q` are asked in turn, in
the same call, several times. Prints the fastest of each. What is not installed is left out, and said.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMISED = 2.0
"""Seconds for the engine, of 10,000 tickets, on a quiet machine."""

PAREXEC = str(Path(sys.executable).with_name("parexec"))


def write(folder: Path, count: int) -> None:
    """The sources, and the graph in three notations."""
    for name in ("src", "out"):
        (folder / name).mkdir()
    (folder / "common.h").write_text("header\n")
    plan = ['[plan]\nname = "up to date"\nparallel = 2\n[defaults]\nup_to_date = true\n']
    ninja, make = ["rule copy\n  command = cp $in $out\n"], ["all:"]
    make += [f" out/{number}" for number in range(count)]
    make.append("\n")
    for number in range(count):
        (folder / "src" / str(number)).write_text(f"{number}\n")
        plan.append(
            f'[tickets.T{number}]\nrun = "cp src/{number} out/{number}"\n'
            f'reads = ["src/{number}", "common.h"]\nwrites = ["out/{number}"]\n'
        )
        ninja.append(f"build out/{number}: copy src/{number} | common.h\n")
        make.append(f"out/{number}: src/{number} common.h\n\tcp $< $@\n")
    (folder / "plan.toml").write_text("".join(plan))
    (folder / "build.ninja").write_text("".join(ninja))
    (folder / "Makefile").write_text("".join(make))


def took(folder: Path, *command: str) -> tuple[float, str]:
    """Seconds, and what was printed. Exits if the command fails."""
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder / "state")}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - began, done.stdout


def measure(count: int, tries: int) -> float:
    """Print what each takes, and return the seconds of the engine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "state").mkdir(mode=0o700)
        write(folder, count)
        run = (PAREXEC, "run", "plan.toml", "--headless", "--quiet")
        print(f"{count:,} tickets; all of them run: {took(folder, *run)[0]:.1f} s")
        commands = {"parexec run": run, "parexec run -n": (PAREXEC, "run", "plan.toml", "-n")}
        for tool, words in (("ninja", ("-n",)), ("make", ("-q",))):
            if (found := shutil.which(tool)) is None:
                print(f"  {tool}: not installed")
                continue
            if tool == "ninja":
                took(folder, found)  # its log knows the commands only once it ran them
            commands[f"{tool} {words[0]}"] = (found, *words)
        best: dict[str, float] = {}
        engine = float("inf")
        for _ in range(tries):
            for called, command in commands.items():
                seconds, printed = took(folder, *command)
                best[called] = min(seconds, best.get(called, seconds))
                if called == "parexec run":
                    if f"({count} already done)" not in printed:
                        sys.exit(f"something ran:\n{printed}")
                    engine = min(engine, engine_seconds(printed))
                elif called == "parexec run -n" and "nothing to run" not in printed:
                    sys.exit(f"something would run:\n{printed[-2000:]}")
        for called, seconds in best.items():
            of_it = f", of which {engine:.2f} s from the first event to the last" if called == "parexec run" else ""
            print(f"  {called:<16} {seconds:6.2f} s{of_it}")
        return engine


def engine_seconds(printed: str) -> float:
    """How long the session was open, by its summary."""
    summary = next(line for line in printed.splitlines() if "already done" in line)
    last = summary.split(" in ")[-1].strip()
    minutes, _, seconds = last.rpartition("m")
    return 60 * float(minutes or 0) + float(seconds.strip().removesuffix("s"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tickets", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--tries", type=int, default=3)
    options = parser.parse_args()
    results = {count: measure(count, options.tries) for count in options.tickets}
    late = results.get(10_000, 0.0) > PROMISED
    if 10_000 in results:
        print(f"10,000 tickets within {PROMISED:g} s: {'no' if late else 'yes'}")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
