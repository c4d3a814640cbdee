"""How long nothing is dispatched after kill -9 of an engine: `python tests/benchmarks/recovery.py`.

A session of short tickets is detached, its engine killed, and the journal of the next one read: from the kill to the
first ticket that it starts. Beside it, what Python takes in the same call to import the engine and to end, which is
most of it. Prints both and their ratio; exits 1 if the median is above what we promise.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMISED = 1.0
"""Seconds."""

PLAN = '[plan]\nname = "recovery"\nparallel = 2\n' + "".join(
    f'[tickets.T{number}]\nrun = "sleep 0.05"\n' for number in range(5000)
)


class Session:
    """One detached session and its engines."""

    def __init__(self, folder: Path) -> None:
        self._parexec = Path(sys.executable).with_name("parexec")
        self._env = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
        (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
        self.id = self._call("run", str(folder / "plan.toml"), "--detach", "--quiet").strip()
        self._lock = folder / "state" / "parexec" / "sessions" / self.id / "lock"

    def _call(self, *arguments: str) -> str:
        command = [str(self._parexec), *arguments]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True).stdout

    def engine(self) -> int:
        return int(self._lock.read_text())

    def starts(self) -> list[tuple[int, float]]:
        """The engine that started each ticket, and when."""
        found, engine = [], 0
        for line in self._call("events", self.id, "--json").splitlines():
            event = json.loads(line)
            if event["kind"] == "monitoring_started":
                engine = event["pid"]
            elif event["kind"] == "attempt_started":
                found.append((engine, event["at"]))
        return found

    def recovery(self) -> float:
        """Kill the engine; seconds until the next one started a ticket."""
        before = self.engine()
        killed = time.time()
        os.kill(before, signal.SIGKILL)
        while self.engine() == before:
            time.sleep(0.01)
        while not (later := [at for engine, at in self.starts() if engine == self.engine()]):
            time.sleep(0.05)
        return later[0] - killed

    def end(self) -> None:
        guardian = int(Path(f"/proc/{self.engine()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        os.kill(guardian, signal.SIGTERM)
        while Path(f"/proc/{guardian}").exists():
            time.sleep(0.05)


def import_time() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import parexec_tui.engine.session"], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    recoveries, imports = [], []
    for _ in range(options.rounds):  # a session each: a guardian gives up after five restarts in a minute
        with tempfile.TemporaryDirectory() as folder:
            session = Session(Path(folder))
            recoveries.append(session.recovery())
            session.end()
        imports.append(import_time())
        print(f"recovery {recoveries[-1]:.3f}s   import {imports[-1]:.3f}s", flush=True)
    median, reference = statistics.median(recoveries), statistics.median(imports)
    print(f"median {median:.3f}s, import {reference:.3f}s, ratio {median / reference:.2f}; promised {PROMISED}s")
    sys.exit(median > PROMISED)


if __name__ == "__main__":
    main()
