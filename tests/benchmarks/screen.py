"""What the screen costs: `python tests/benchmarks/screen.py`.

A session of 10,000 tickets (`--tickets 100000`: of so many) is shown in a real pseudo-terminal, first at rest (held,
nothing runs), then under load (2 agents that keep a core busy, and some 200 events a second). Counted are bytes to
the terminal, CPU and memory of the viewer, and the time from a key to the paint that it calls for: the cursor is the
only thing on the screen that draws its sign, so a paint with it is the answer to the key. Other programs for the
terminal are measured in the same way, in the same call, one after another: machines are shared, and only what was
measured together can be compared.

Exits 1 if a promise is broken.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

PAREXEC = Path(sys.executable).with_name("parexec")
CURSOR = "▌".encode()
OTHERS = (["htop"], ["btop"], ["top", "-d", "1"])
TICK = os.sysconf("SC_CLK_TCK")


class Promise(Struct, frozen=True):
    """What is promised of a figure: at most this."""

    name: str
    most: float
    unit: str


AT_REST = Promise("bytes/s at rest", 200, "B/s")
CPU_AT_REST = Promise("viewer CPU at rest", 1.0, "%")
UNDER_LOAD = Promise("bytes/s under load", 10_000, "B/s")
FIRST_PAINT = Promise("first paint, beyond the import", 350, "ms")
KEY = Promise("key to paint, p99, under load", 50, "ms")


class Terminal:
    """A program in a pseudo-terminal, and all that it wrote."""

    def __init__(self, command: list[str], env: dict[str, str], columns: int = 120, lines: int = 40) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)
        self.written = 0
        self.tail = bytearray()
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                return
            with self._news:
                self.written += len(piece)
                self.tail += piece
                del self.tail[:-200_000]
                self._news.notify_all()

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def wait_for(self, text: bytes, within: float) -> bool:
        """Wait until it has written this since `tail` was cleared."""
        give_up = time.monotonic() + within
        with self._news:
            while text not in self.tail:
                left = give_up - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)
        return True

    def forget(self) -> None:
        with self._news:
            self.tail.clear()

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                break
            if select.select([], [], [], 0.5) and os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        os.close(self.fd)

    # -- what it costs ---------------------------------------------------------------------------------------

    def family(self) -> list[int]:
        """The process and its descendants."""
        found = [self.pid]
        for pid in found:
            try:
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
            except OSError:
                continue
        return found

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        total = 0
        for pid in self.family():
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def memory(self) -> int:
        """Bytes that are its own (PSS)."""
        total = 0
        for pid in self.family():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
        return total * 1024

    def rates(self, seconds: float) -> tuple[float, float]:
        """(bytes a second, share of one core in percent) over so many seconds."""
        written, cpu, began = self.written, self.cpu(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return (self.written - written) / took, 100 * (self.cpu() - cpu) / took


@contextmanager
def session(folder: Path, plan: dict[str, object], name: str) -> Iterator[dict[str, str]]:
    """A detached session of this plan, held at first; gives the environment to attach in."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    env = os.environ | {
        "XDG_STATE_HOME": str(folder / name),
        "XDG_RUNTIME_DIR": str(folder / name),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LC_ALL": "C.UTF-8",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # as a person has it
    (folder / name).mkdir(mode=0o700)
    subprocess.run([PAREXEC, "run", str(file), "--detach", "--hold"], env=env, check=True, capture_output=True)
    try:
        yield env
    finally:
        subprocess.run([PAREXEC, "stop", "--now", "--yes"], env=env, check=False, capture_output=True)


def quiet_plan(tickets: int) -> dict[str, object]:
    return {
        "plan": {"name": "at rest", "parallel": 8, "min_free_disk": 0},
        "tickets": {f"T{n}": {"run": "true", "needs": [f"T{n - 100}"] if n >= 100 else []} for n in range(tickets)},
    }


def busy_plan(tickets: int) -> dict[str, object]:
    """Two agents that keep a core busy; eight that run tickets of a tenth of a second."""
    burn = {f"burn-{n}": {"run": "while :; do :; done", "agent": "burner", "timeout": "10m"} for n in (1, 2)}
    short = {f"T{n}": {"run": "sleep 0.1", "agent": "walker"} for n in range(tickets)}
    return {
        "plan": {"name": "under load", "parallel": 12, "min_free_disk": 0},
        "agents": {"burner": {"max": 2, "nice": 19}, "walker": {"max": 10}},
        "tickets": burn | short,
    }


def attached(env: dict[str, str]) -> Terminal:
    terminal = Terminal([str(PAREXEC), "attach"], env)
    if not terminal.wait_for(b"connected", 120):
        raise SystemExit(f"the screen did not come up: {bytes(terminal.tail)[-2000:]!r}")
    return terminal


def first_paint(folder: Path, rounds: int = 5) -> tuple[float, float]:
    """Milliseconds from `parexec run PLAN` to the first picture of its tickets, and those of `import textual.app`.

    Both are medians, once all is compiled, taken in turns.
    """
    painted, imported = [], []
    for number in range(rounds + 1):
        with session(folder, quiet_plan(20), f"first{number}") as env:
            plan = folder / f"first{number}.json"
            began = time.perf_counter()
            terminal = Terminal([str(PAREXEC), "run", str(plan), "--hold", "--beside"], env)
            if not terminal.wait_for(b"T1", 30):
                raise SystemExit(f"the screen did not come up: {bytes(terminal.tail)[-2000:]!r}")
            painted.append(1000 * (time.perf_counter() - began))
            terminal.end()
            subprocess.run([PAREXEC, "stop", "--now", "--yes"], env=env, check=False, capture_output=True)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
        imported.append(1000 * (time.perf_counter() - began))
    return statistics.median(painted[1:]), statistics.median(imported[1:])


UP_AND_DOWN = (b"j", b"k")
THERE_AND_BACK = (b"G", b"g")


def key_to_paint(terminal: Terminal, presses: int, keys: Sequence[bytes] = UP_AND_DOWN) -> list[float]:
    """Milliseconds from a key to the paint of the cursor, for each press. The first ones warm up.

    A key that calls for no paint would be "answered" by the next one that comes of itself, seconds later. So the
    cursor begins below the first row, and goes down before it goes up. Under load the rows above it end and go when
    they are put in order, every 10 s: a `k` just then may find it in the first row, which a `j` that is answered
    shows.
    """
    terminal.type(b"jjj")
    time.sleep(1)
    took: list[float] = []
    in_first_row = 0
    for number in range(presses + 10):
        time.sleep(0.05 + 0.013 * (number % 7))  # not in step with the frames
        terminal.forget()
        began = time.perf_counter()
        terminal.type(keys[number % len(keys)])
        if not terminal.wait_for(CURSOR, 5):
            terminal.type(b"j")
            in_first_row += 1
            if keys[number % len(keys)] != b"k" or in_first_row > presses // 20 or not terminal.wait_for(CURSOR, 1):
                raise SystemExit("a key was not answered within 5 s")
            continue
        took.append(1000 * (time.perf_counter() - began))
    return took[10:]


ECHO = "import os, tty\ntty.setraw(0)\nwhile os.read(0, 1):\n    os.write(1, '▌'.encode())\n"
"""The least that a program can do with a key: what it takes is the machine's doing."""


def events_of(env: dict[str, str]) -> int:
    database = next(Path(env["XDG_STATE_HOME"]).glob("parexec/registry.db"))
    import sqlite3

    with sqlite3.connect(database) as registry:
        return int(registry.execute("select count(*) from events").fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--presses", type=int, default=200)
    options = parser.parse_args()
    broken = []

    def told(promise: Promise, value: float) -> None:
        is_kept = value <= promise.most
        broken.extend([] if is_kept else [promise.name])
        mark = "" if is_kept else "   BROKEN"
        print(f"{promise.name:<32} {value:10.1f} {promise.unit:<4} at most {promise.most:g}{mark}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        painted, imported = first_paint(folder)
        told(FIRST_PAINT, painted - imported)
        print(f"  beside it: first paint {painted:.0f} ms, `python -c 'import textual.app'` {imported:.0f} ms")
        with session(folder, quiet_plan(options.tickets), "rest") as env:
            began = time.monotonic()
            terminal = attached(env)
            print(f"{'attach to so many tickets':<32} {time.monotonic() - began:10.1f} s    {options.tickets}")
            time.sleep(3)
            written, cpu = terminal.rates(options.seconds)
            told(AT_REST, written)
            told(CPU_AT_REST, cpu)
            print(f"{'memory of the viewer':<32} {terminal.memory() / 2**20:10.1f} MiB  {options.tickets} tickets")
            for moved, keys in (("a row up or down", UP_AND_DOWN), ("first or last row", THERE_AND_BACK)):
                took = key_to_paint(terminal, options.presses // 2, keys)
                print(f"{f'key to paint, {moved}':<32} {statistics.median(took):10.1f} ms   at rest, the median")
            terminal.end()
        for command in OTHERS:
            if shutil.which(command[0]):
                terminal = Terminal(command, os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
                time.sleep(3)
                written, cpu = terminal.rates(options.seconds)
                memory = terminal.memory() / 2**20
                print(f"  beside it: {command[0]:<21} {written:10.1f} B/s  {cpu:.1f} % CPU, {memory:.1f} MiB")
                terminal.end()
        with session(folder, busy_plan(options.tickets), "load") as env:
            terminal = attached(env)
            subprocess.run([PAREXEC, "release"], env=env, check=True, capture_output=True)
            time.sleep(5)
            before, began = events_of(env), time.monotonic()
            written, cpu = terminal.rates(options.seconds)
            told(UNDER_LOAD, written)
            took = key_to_paint(terminal, options.presses)
            echo = Terminal([sys.executable, "-S", "-c", ECHO], env)
            time.sleep(1)
            bare = key_to_paint(echo, options.presses)
            echo.end()
            rate = (events_of(env) - before) / (time.monotonic() - began)
            told(KEY, statistics.quantiles(took, n=100)[98])
            print(f"{'key to paint, median':<32} {statistics.median(took):10.1f} ms")
            print(
                f"  beside it: a bare echo of a key   {statistics.median(bare):.1f} ms, "
                f"p99 {statistics.quantiles(bare, n=100)[98]:.1f} ms"
            )
            print(f"{'viewer CPU under load':<32} {cpu:10.1f} %    at {rate:.0f} events/s")
            terminal.end()
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
