"""What a log of 1 GB costs the output panel: `python tests/benchmarks/log_view.py`.

A real log is written to a temporary folder, half of its lines coloured, with one error in its middle. In an app
without a terminal it is opened and painted beside `tail` of the same file, and searched for a word that it does not
have, and for the error, beside `grep -c`. A ticker in the app's loop tells how long a key would have to wait, at rest
and meanwhile; that is told and not judged, for a machine with more to run than it can makes any thread wait. Bytes
read are those that the kernel counts for this process. Exits 1 if to open and paint takes 10 ms of CPU or reads 1 MB.
"""

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region

from parexec_tui.outputs.local import LocalOutput
from parexec_tui.tui.output.log_text import read_line
from parexec_tui.tui.output.log_view import LogView

MAX_CPU = 0.010
"""Seconds to open and paint it."""
MAX_READ = 1_000_000

WIDTH, HEIGHT = 160, 50
ABSENT = "zyzzyva"


class Panel(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView(lambda _: Style())


def write_log(path: Path, size: int) -> None:
    lines = (
        f"2024-05-01T12:00:{number % 60:02d} \x1b[32mINFO\x1b[0m build.{number % 97}: compiled unit {number}\n"
        if number % 2
        else f"2024-05-01T12:00:{number % 60:02d} copied {number * 7919 % 100_003} files in {number % 977} ms\n"
        for number in range(20_000)
    )
    block = "".join(lines).encode()
    with path.open("wb") as file:
        for number in range(count := size // len(block)):
            file.write(block)
            if number == count // 2:
                file.write(b"\x1b[31merror\x1b[0m: the only one\n")


def bytes_read() -> int:
    """What this process has read so far, from disk or cache."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def cpu_of(*command: str) -> float:
    """CPU seconds that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def ticking() -> Iterator[list[float]]:
    """How much later than it asked for the loop came back to a ticker, each time, in seconds, sorted in the end."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - asked - 0.005)

    ticker = asyncio.create_task(tick())
    yield late
    ticker.cancel()
    late.sort()


def paint(view: LogView) -> None:
    view.render_lines(Region(0, 0, *view.size))


def opened(view: LogView, path: Path) -> tuple[float, int]:
    """Open and paint it: CPU seconds, and bytes read."""
    view.open(None)
    read_line.cache_clear()
    read, cpu = bytes_read(), time.thread_time()
    view.open(LocalOutput(path))
    paint(view)
    return time.thread_time() - cpu, bytes_read() - read


async def measure(path: Path, size: int, rounds: int) -> bool:
    app = Panel()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        view = app.query_one(LogView)
        await pilot.pause()
        good = await measure_open(view, path, rounds)
        await measure_search(view, path, size)
        return good


async def measure_open(view: LogView, path: Path, rounds: int) -> bool:
    opened(view, path)  # the first time pays for imports and tables
    tails, cpus, reads = [], [], []
    for _ in range(rounds):
        tails.append(await asyncio.to_thread(cpu_of, "tail", "-n", str(HEIGHT), str(path)))
        cpu, read = opened(view, path)
        cpus.append(cpu)
        reads.append(read)
    cpu, read = statistics.median(cpus), max(reads)
    tail = statistics.median(tails)
    print(f"open and paint: {cpu * 1e3:.2f} ms of CPU, {read:,} bytes read; tail: {tail * 1e3:.2f} ms of CPU")
    for name, pages in (("up", -1), ("down", 1)):
        view.scroll_pages(-20)
        before, started = bytes_read(), time.thread_time()
        for _ in range(10):
            view.scroll_pages(pages)
            paint(view)
        used, seen = (time.thread_time() - started) / 10, (bytes_read() - before) // 10
        print(f"a page {name}: {used * 1e3:.2f} ms of CPU, {seen:,} bytes read")
    return cpu < MAX_CPU and read < MAX_READ


async def measure_search(view: LogView, path: Path, size: int) -> None:
    with ticking() as late:
        await asyncio.sleep(2)
    print(f"at rest: {waits(late)}")
    searches: tuple[tuple[Callable[[], None], str, str], ...] = (
        (lambda: view.search(ABSENT), "-ci", ABSENT),
        (lambda: view.search(ABSENT.title()), "-c", ABSENT.title()),
        (lambda: view.next_error(False), "-ciE", r"\berror|exception|failed|fatal|panic|traceback|assert|abort"),
    )
    for begin, option, pattern in searches:
        grep = await asyncio.to_thread(cpu_of, "grep", option, pattern, str(path))
        view.scroll_home()
        cpu = time.process_time()
        with ticking() as late:
            begin()
            while "searching" in view.status_text:
                view.poll()
                await asyncio.sleep(0.1)
        cpu = time.process_time() - cpu
        result = view.status_text.rpartition(" · ")[2]
        print(
            f"{result}: {cpu:.1f} s of CPU for {size} MB; grep {option} {pattern[:10]}: {grep:.1f} s; {waits(late)}"
        )


def waits(late: list[float]) -> str:
    median, nearly_all = late[len(late) // 2], late[int(len(late) * 0.99)]
    return f"a key waits {median * 1e3:.1f} ms, 99 in 100 at most {nearly_all * 1e3:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000, help="of the log, in MB")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "T1.1.log")
        write_log(path, options.size * 1_000_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        good = asyncio.run(measure(path, options.size, options.rounds))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"memory: {grown:.0f} MiB more at the peak, the app itself included, for {options.size} MB")
    sys.exit(not good)


if __name__ == "__main__":
    main()
