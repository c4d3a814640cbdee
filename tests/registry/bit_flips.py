"""Single bits of a real registry are flipped: every command says what is wrong, and nothing damaged is executed.

    python -m tests.registry.bit_flips [--flips 1000] [--seed 1]

A plan runs and its engine is killed; then, for each flip, a copy of the state folder gets one wrong bit in its
registry and every command is tried on it: those that read, `resume`, and `run` of another plan. None may end in a
traceback, and what was executed must be what the plans say. Prints a table of how the commands ended; exits 1 if
anything did not hold.
"""

import argparse
import faulthandler
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner, Result
from msgspec import Struct

from parexec_tui.cli.entry import cli
from parexec_tui.paths import STATE_HOME, registry_file, session_folder
from tests.engine import engines
from tests.engine.engines import Engine, until

PLAN = """
[plan]
name = "killed"
[tickets.first]
run = "echo first-1234567890 >> ran"
[tickets.second]
run = "echo second-1234567890 >> ran; while [ -e hang ] && [ $((n += 1)) -lt 9000 ]; do sleep 0.01; done"
needs = ["first"]
retries = 3
[tickets.third]
run = "echo third-1234567890 >> ran"
needs = ["second"]
"""

OTHER = """
[plan]
name = "other"
[tickets.alone]
run = "echo other-1234567890 >> ran"
[tickets.fails]
run = "echo fails-1234567890 >> ran; false"
"""

WORDS = {f"{word}-1234567890" for word in ("first", "second", "third", "other", "fails")}
LIMIT = 120
"""Seconds for one flip."""

SOCKETS = shutil.ignore_patterns("*.sock")

FILES = {"ran", "plan.toml", "other.toml", "output.txt"}

COMMANDS = (
    ("ls",),
    ("ls", "--json"),
    ("show", "SESSION"),
    ("show", "OTHER"),
    ("report", "SESSION"),
    ("report", "OTHER", "--format", "html"),
    ("status", "-s", "SESSION"),
    ("status",),
    ("log", "first", "-s", "SESSION"),
    ("log", "fails", "-s", "OTHER", "-f"),
    ("events", "SESSION"),
    ("events", "OTHER", "--json"),
    ("attach", "SESSION"),
    ("doctor",),
    ("resume", "OTHER", "--retry-failed", "--headless"),
    ("resume", "SESSION", "--headless"),
    ("resume", "--headless"),
    ("run", "other.toml", "--headless"),
)
"""In this order: what changes the registry comes last."""


class Scene(Struct):
    """A state folder with a session whose engine was killed, and one that has finished."""

    folder: Path
    work: Path
    session: str
    other: str

    def restore(self, keep: Path) -> None:
        """Bring back the state folder and the folder of the plans as they were kept."""
        for name in ("state", "work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(keep / name, self.folder / name, ignore=SOCKETS)

    def command(self, words: tuple[str, ...]) -> list[str]:
        names = {"SESSION": self.session, "OTHER": self.other}
        return [names.get(word, word) for word in words]


def prepare(folder: Path) -> Scene:
    """Make the scene in this folder, and keep a copy in `keep`."""
    work = folder / "work"
    work.mkdir(parents=True)
    os.environ[STATE_HOME] = str(folder / "state")
    (work / "other.toml").write_text(OTHER)
    assert Engine("run", "other.toml", cwd=work).wait() == 1
    other = engines.session()
    (work / "hang").touch()
    engine = engines.start(work, PLAN)
    engine.until(lambda: "second" in (work / "ran").read_text(), "the second ticket runs")
    (session,) = {*engines.sessions()} - {other}
    until(lambda: engines.pid_of("second"), "its process is remembered")
    engine.kill()
    (work / "hang").unlink()
    record = session_folder(session).attempts / "second.1.exit"
    until(lambda: "second" not in [p.name() for p in engines.marked()] and record.exists(), "what ran ends")
    (work / "ran").write_text("")
    with sqlite3.connect(registry_file()) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    for name in ("state", "work"):
        shutil.copytree(folder / name, folder / "keep" / name, ignore=SOCKETS)
    return Scene(folder, work, session, other)


def flip(file: Path, bit: int) -> None:
    with file.open("r+b") as raw:
        raw.seek(bit // 8)
        (byte,) = raw.read(1)
        raw.seek(bit // 8)
        raw.write(bytes([byte ^ 1 << bit % 8]))


class Outcome(Struct):
    """What a flip led to."""

    codes: dict[tuple[str, ...], int]
    faults: list[str]


def attempt(scene: Scene, bit: int) -> Outcome:
    """Try every command on a registry with one wrong bit."""
    scene.restore(scene.folder / "keep")
    flip(registry_file(), bit)
    outcome = Outcome({}, [])
    with chdir(scene.work):
        for words in COMMANDS:
            result = CliRunner().invoke(cli, scene.command(words))
            outcome.codes[words] = result.exit_code
            outcome.faults += [f"{' '.join(words)}: {fault}" for fault in faults_of(result)]
    outcome.faults += executed_faults(scene.work)
    return outcome


def faults_of(result: Result) -> Iterator[str]:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        yield "".join(traceback.format_exception(result.exception))
    elif "Traceback" in result.output:
        yield result.output
    elif result.exit_code and not (result.stderr or result.stdout).strip():
        yield f"exits {result.exit_code} without a word"


def executed_faults(work: Path) -> Iterator[str]:
    """What was executed and is in no plan."""
    for name in {entry.name for entry in work.iterdir()} - FILES:
        yield f"a file {name!r} was written"
    if strange := [word for word in (work / "ran").read_text(errors="replace").split() if word not in WORDS]:
        yield f"executed: {strange}"


def used_bits(file: Path) -> list[int]:
    """The bits of bytes that are not in unused parts of pages: those are zero and far from anything else."""
    data = file.read_bytes()
    return [
        8 * at + bit for at, byte in enumerate(data) if byte or any(data[max(0, at - 2) : at + 3]) for bit in range(8)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bit", type=int, help="only this one")
    options = parser.parse_args()
    codes: dict[tuple[str, ...], Counter[int]] = {words: Counter() for words in COMMANDS}
    bad = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        scene = prepare(Path(folder, "scene"))
        bits = used_bits(registry_file())
        chosen = random.Random(options.seed).sample(bits, min(options.flips, len(bits)))
        for bit in [options.bit] if options.bit is not None else chosen:
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            outcome = attempt(scene, bit)
            for words, code in outcome.codes.items():
                codes[words][code] += 1
            if outcome.faults:
                bad += 1
                print(f"-- bit {bit} (byte {bit // 8}):", *outcome.faults, sep="\n", flush=True)
    for words, counter in codes.items():
        print(f"{' '.join(words):<45}", *(f"exit {code}: {count:<6}" for code, count in sorted(counter.items())))
    print(f"{len(chosen)} flips, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
