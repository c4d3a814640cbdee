"""What an imported build costs beside ninja: `python tests/benchmarks/imported.py BUILD_DIR [TOUCHED_FILE]`.

BUILD_DIR has a build.ninja that can be built as it is. It is built by ninja and by the imported plan, from clean, in
turn. Prints whether the outputs are identical, the CPU of each with all its children (the least of --tries), the time
of a second run, and with TOUCHED_FILE, a source or a header into which a constant is put and taken out again, which
outputs each makes anew.
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROMISED_RATIO = 1.05
"""CPU of the imported plan to that of ninja."""

PROMISED_SECOND = 0.5
"""Seconds of a second run of 500 edges, on a quiet machine."""

PAREXEC = str(Path(sys.executable).with_name("parexec"))


class Build:
    """A folder that ninja and parexec build in turn."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.plan = folder.resolve(), state / "plan.toml"
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as a person has it
        self._env = os.environ | {"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(state)}
        self.call(PAREXEC, "import", "ninja", str(self.folder), "-o", str(self.plan))

    def call(self, *command: str) -> tuple[float, float]:
        """Seconds by the clock, and of CPU. Exits if the command fails."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, env=self._env, capture_output=True, text=True)
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def ninja(self) -> tuple[float, float]:
        return self.call("ninja")

    def parexec(self) -> tuple[float, float]:
        return self.call(PAREXEC, "run", str(self.plan), "--headless", "--quiet")

    def clean(self) -> None:
        self.call("ninja", "-t", "clean")

    def outputs(self) -> dict[str, tuple[str, int]]:
        """{output that is there: its hash, and when it was written}"""
        told = subprocess.run(
            ["ninja", "-t", "targets", "all"], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout
        names = [line.rpartition(": ")[0] for line in told.splitlines() if not line.endswith(": phony")]
        files = {name: self.folder / name for name in names}
        return {
            name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
            for name, file in files.items()
            if file.is_file()
        }

    def made_anew(self, build: Callable[[], object]) -> set[str]:
        before = self.outputs()
        build()
        return {name for name, (_, at) in self.outputs().items() if at != before.get(name, ("", 0))[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("touched", nargs="?", type=Path)
    parser.add_argument("--tries", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        build = Build(given.build_dir, Path(state))
        cpu: dict[str, list[float]] = {"ninja": [], "parexec": []}
        made: dict[str, dict[str, str]] = {}
        for _ in range(given.tries):
            for name, tool in (("ninja", build.ninja), ("parexec", build.parexec)):
                build.clean()
                cpu[name].append(tool()[1])
                made[name] = {output: digest for output, (digest, _) in build.outputs().items()}
        differ = {name for name in made["ninja"] if made["ninja"][name] != made["parexec"].get(name)}
        print(f"{len(made['ninja'])} outputs, {len(differ)} of them differ: {sorted(differ)[:5]}")
        ratio = min(cpu["parexec"]) / min(cpu["ninja"])
        print(f"CPU: ninja {min(cpu['ninja']):.2f} s, parexec {min(cpu['parexec']):.2f} s: {ratio:.3f}")
        second, used = min(build.parexec() for _ in range(3))
        print(f"second run: {second:.2f} s, {used:.2f} s of CPU")
        if given.touched:
            again = touched(build, given.touched)
            print(
                f"{given.touched.name} changed: ninja {len(again['ninja'])}, parexec {len(again['parexec'])} outputs"
            )
            for name, other in (("ninja", "parexec"), ("parexec", "ninja")):
                print(f"  only {name}: {sorted(again[name] - again[other])[:5]}")
        print(f"promised: {PROMISED_RATIO} x the CPU, {PROMISED_SECOND} s for a second run of 500 edges")


def touched(build: Build, file: Path) -> dict[str, set[str]]:
    """What each makes anew after a file has changed so that what is compiled from it does too."""
    before = file.read_bytes()
    at = before.rfind(b"\n#endif") if file.suffix == ".h" else -1  # inside of what keeps it from being read twice
    at = len(before) if at < 0 else at + 1
    changed = before[:at] + b'static const char touched[] __attribute__((used)) = "touched";\n' + before[at:]
    build.clean()
    build.ninja()
    build.parexec()  # it knows what ninja made only once it ran all
    build.ninja()
    again = {}
    try:
        file.write_bytes(changed)
        again["parexec"] = build.made_anew(build.parexec)
        file.write_bytes(before)
        build.ninja()
        build.parexec()
        file.write_bytes(changed)
        again["ninja"] = build.made_anew(build.ninja)
    finally:
        file.write_bytes(before)
    return again


if __name__ == "__main__":
    main()
