"""What viewers cost the engine: `python tests/benchmarks/viewers.py`.

A real engine runs short tickets, several at a time, so that it makes somewhat more than 10,000 events a minute; with
100 viewers that follow, of which 50 never read and every other one is sent samples, and without. The two take turns
in the same call. Prints the rate of tickets of each, and the median of the ratios; exits 1 if the rate drops by more
than we promise. With `--flat-out` the tickets are `true`: what viewers cost an engine that has no time to spare, and
makes 100,000 events a minute; that is printed, and promises nothing.
"""

import argparse
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parexec_tui.paths import noted_socket
from parexec_tui.registry.registry import Registry

PROMISED = 0.95
VIEWERS, DEAF = 100, 50
HELLO = b'{"type":"hello","version":1,"client":"benchmark","follow":0,"samples":%b}\n'


def engine(folder: str, plan: Path) -> subprocess.Popen[bytes]:
    """Start a run of the plan, held back by its first ticket, in a state folder of its own."""
    os.environ["XDG_STATE_HOME"] = folder
    parexec = Path(sys.executable).with_name("parexec")
    return subprocess.Popen([parexec, "run", plan, "--headless", "--quiet"], stdout=subprocess.DEVNULL, cwd=folder)


def session() -> str:
    """The only session, once its engine listens."""
    folder = Path(os.environ["XDG_STATE_HOME"], "parexec", "sessions")
    while not (found := [each.name for each in folder.glob("*") if noted_socket(each.name)]):
        time.sleep(0.01)
    return found[0]


def watch(path: Path, viewers: int, deaf: int) -> int:
    """Follow with many viewers until the engine leaves; returns how many bytes those that read got."""
    chosen = selectors.DefaultSelector()
    kept, total, reading = [], 0, 0
    for number in range(viewers):
        viewer = socket.socket(socket.AF_UNIX)
        viewer.connect(bytes(path))
        viewer.sendall(HELLO % (b"false" if number % 2 else b"true"))
        kept.append(viewer)
        if number >= deaf:
            viewer.setblocking(False)
            chosen.register(viewer, selectors.EVENT_READ)
            reading += 1
    Path("watching").touch()
    while reading:
        for key, _ in chosen.select():
            piece = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            total += len(piece)
            if not piece:
                chosen.unregister(key.fileobj)
                reading -= 1
        time.sleep(0.05)  # a viewer draws some times a second, and not for each event
    return total


def run(plan: Path, tickets: int, viewers: int) -> tuple[float, float, int]:
    """Run the plan once: tickets a second as its events tell them, events a minute, and bytes that viewers got."""
    with tempfile.TemporaryDirectory() as folder:
        started = engine(folder, plan)
        id_ = session()
        path = noted_socket(id_)
        assert path is not None
        os.chdir(folder)
        watcher = None
        if viewers:
            command = [sys.executable, __file__, "--watch", str(path), str(viewers), str(min(DEAF, viewers // 2))]
            watcher = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
            while not Path("watching").exists():
                time.sleep(0.01)
        plan.with_name("go").touch()
        assert started.wait() == 0
        seen = int(watcher.communicate()[0]) if watcher else 0
        plan.with_name("go").unlink()
        with Registry.open(Path(folder, "parexec", "registry.db"), read_only=True) as registry:
            attempts = registry.attempts(id_)
            begin = min(fact.ended or 0.0 for fact in attempts if fact.ticket == "first")
            seconds = max(fact.ended or 0.0 for fact in attempts) - begin
            events = registry.last_seq(id_)
        os.chdir("/")
    return tickets / seconds, events / seconds * 60, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flat-out", action="store_true")
    parser.add_argument("--watch", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        print(watch(Path(options.watch[0]), int(options.watch[1]), int(options.watch[2])))
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.toml")
        command = "true" if options.flat_out else "sleep 0.06"
        first = '[tickets.first]\nrun = "until test -e go; do sleep 0.01; done"\n'
        others = "".join(
            f'[tickets.T{number}]\nrun = "{command}"\nneeds = ["first"]\n' for number in range(options.tickets)
        )
        plan.write_text(f'[plan]\nname = "viewers"\nparallel = 6\n{first}{others}', encoding="utf-8")
        ratios = []
        for round_ in range(options.rounds):
            turns = (0, VIEWERS) if round_ % 2 else (VIEWERS, 0)
            rates = {viewers: run(plan, options.tickets, viewers) for viewers in turns}
            alone, watched = rates[0], rates[VIEWERS]
            ratios.append(watched[0] / alone[0])
            print(
                f"alone {alone[0]:6.1f} tickets/s   {VIEWERS} viewers, {DEAF} deaf {watched[0]:6.1f}   "
                f"ratio {ratios[-1]:.3f}   {watched[1]:,.0f} events/min   {watched[2] / 1e6:.1f} MB read",
                flush=True,
            )
    median = statistics.median(ratios)
    print(f"median ratio {median:.3f}" + ("" if options.flat_out else f", promised {PROMISED}"))
    sys.exit(not options.flat_out and median < PROMISED)


if __name__ == "__main__":
    main()
