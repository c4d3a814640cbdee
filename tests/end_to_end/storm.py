"""Random faults over runs of 40 short tickets whose side effects are counted on a disk that no fault touches.

    python -m tests.end_to_end.storm [--minutes 20] [--seed 1]

    kill        engine, guardian or both, with -9; a person says `resume` if nobody is left
    disk        the file system of the state folder is full, then has space again
    freeze      the engine, the guardian or both are stopped, and go on
    descriptors the engine may open a few files more, or none
    clock       the wall clock of engines and guardians jumps by up to two days, forth or back
    terminal    somebody attaches, and the terminal is killed or hung up
    look        a command that reads: it must answer, whatever else is happening

Faults overlap. What must be true once a session is finished is told by `kill_witness`: no ticket lost, none run
twice, nothing left behind. Exits with 1 if anything was violated. A seed stands for a plan and for the choice of
faults; how far the engine has come by then differs from run to run.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from parexec_tui.core.state import events as ev
from parexec_tui.paths import RUNTIME_DIR, STATE_HOME
from parexec_tui.registry.errors import RegistryError
from tests.end_to_end.kill_matrix import Victim, is_opened, is_over, is_served, make_plan, processes
from tests.end_to_end.kill_witness import TICKETS, prepare, verify
from tests.end_to_end.terminal import Terminal
from tests.end_to_end.wrong_clock import WrongClock
from tests.engine.engines import PAREXEC, exists, journal, until, write_plan
from tests.engine.lifecycle.detached import all_gone, engine_log, kill

STATE_SIZE = "24m"
"""Of the file system of the state folder."""

LONGEST_TICKET = 1.2
"""Seconds."""

LONGEST = 30.0
"""Seconds after which the faults end that befall a session that has begun, whether it is finished or not."""

ANSWERS_WITHIN = 30.0
"""Seconds in which a command that reads must have answered, on a busy machine."""

LOOKS = (
    ("status",),
    ("status", "--json"),
    ("ls",),
    ("show", "T1"),
    ("log", "T2"),
    ("events",),
    ("doctor",),
)


@dataclass
class Figures:
    """What was done to the sessions, and what became of them."""

    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    attempts: int = 0
    violations: list[str] = field(default_factory=list)

    def count(self, *words: str) -> int:
        """How many violations have one of these words in them."""
        return sum(any(word in each for word in words) for each in self.violations)

    @property
    def lost(self) -> int:
        return self.count("is lost", "did not finish")

    @property
    def twice(self) -> int:
        return self.count("twice", "times and not")

    @property
    def strays(self) -> int:
        return self.count("left behind")

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))
        return (
            f"{self.rounds} sessions, {self.rounds * TICKETS} tickets, {self.attempts} attempts; {faults}; "
            f"{self.resumed} times a person resumed\n"
            f"{self.lost} lost, {self.twice} twice, {self.strays} strays, {len(self.violations)} violations in all"
        )


class World:
    """One session under faults: its folders, and the person who wants it to go on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(f"storm {seed}")
        self.state_home = folder / "state-home"
        self.clock = WrongClock(folder) if WrongClock.is_possible() else None
        self.output = folder / "output.txt"
        self._plan = write_plan(
            folder, make_plan(seed, LONGEST_TICKET, ["min_free_disk = 0"], ['env = { LD_PRELOAD = "" }'])
        )
        self._command: subprocess.Popen[bytes] | None = None
        self.resumed = -1

    def goes_on(self) -> None:
        """Have an engine started if nobody is there who would start one."""
        if self._command is not None and self._command.poll() is None:
            return
        if is_served() or is_over():
            return
        self.resumed += 1
        command = ["resume"] if is_opened() else ["run", str(self._plan)]
        with self.output.open("ab") as file:
            self._command = subprocess.Popen(
                [*PAREXEC, *command, "--detach"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=os.environ | (self.clock.environment if self.clock else {}),
            )

    def is_over_by_now(self) -> bool:
        """Whether the session is over; if it is not, see that it goes on."""
        self.goes_on()
        return is_over()

    def leaves(self) -> None:
        if self._command is not None:
            self._command.wait(120)


# -- the faults ------------------------------------------------------------------------------------------------


def _can_be_looked_at() -> bool:
    """Whether there is a session. On a full disk a registry that nobody has open cannot be read: SQLite has no room
    for the index of its log."""
    with suppress(RegistryError):
        return is_opened()
    return False


class Fault:
    """Something that goes wrong. `begin` returns whether there was anything that could."""

    longest = 2.0
    """Seconds after which it is over."""

    def __init__(self, world: World) -> None:
        self.world = world

    @classmethod
    def is_possible(cls) -> bool:
        return True

    def begin(self) -> bool:
        raise NotImplementedError

    def end(self) -> str | None:
        """Have it over. Returns what was violated meanwhile, if anything was."""
        return None


class Kill(Fault):
    longest = 0.0

    def begin(self) -> bool:
        victim: Victim = self.world.chance.choice([v for v in get_args(Victim) if v != "alone"])
        pids = processes(victim)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)


class FullDisk(Fault):
    longest = 6.0

    @classmethod
    def is_possible(cls) -> bool:
        return can_mount()

    def begin(self) -> bool:
        self._ballast = self.world.state_home / "ballast"
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(b"x" * 512):
                pass
        return True

    def end(self) -> str | None:
        self._ballast.unlink()
        return None


class Freeze(Fault):
    longest = 4.0

    def begin(self) -> bool:
        victim: Victim = self.world.chance.choice([v for v in get_args(Victim) if v != "alone"])
        self._pids = processes(victim)
        self._send(signal.SIGSTOP)
        return bool(self._pids)

    def end(self) -> str | None:
        self._send(signal.SIGCONT)
        return None

    def _send(self, number: signal.Signals) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class FewDescriptors(Fault):
    longest = 3.0

    def begin(self) -> bool:
        self._limits: dict[int, tuple[int, int]] = {}
        for pid in processes("engine"):
            with suppress(ProcessLookupError, FileNotFoundError):
                count = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only the number of them
                limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                few = min(count + self.world.chance.choice([0, 1, 3, 8]), limits[1])
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, limits[1]))
                self._limits[pid] = limits
        return bool(self._limits)

    def end(self) -> str | None:
        for pid, limits in self._limits.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        return None


class ClockJump(Fault):
    longest = 8.0

    @classmethod
    def is_possible(cls) -> bool:
        return WrongClock.is_possible()

    def begin(self) -> bool:
        assert self.world.clock is not None
        self.world.clock.be_wrong_by(self.world.chance.choice([172_800, 3_600, 30, -30, -3_600, -172_800]))
        return True

    def end(self) -> str | None:
        assert self.world.clock is not None
        self.world.clock.be_wrong_by(0)
        return None


class LostTerminal(Fault):
    longest = 2.0

    def begin(self) -> bool:
        if not _can_be_looked_at():
            return False
        self._terminal = Terminal(self.world.folder, self.world.chance.choice(["dumb", "xterm-256color"]))
        self._terminal.parexec("attach")
        return True

    def end(self) -> str | None:
        if self.world.chance.random() < 0.5:
            self._terminal.kill()
        else:
            self._terminal.hang_up()
        self._terminal.close()
        return None


class Look(Fault):
    longest = ANSWERS_WITHIN

    def begin(self) -> bool:
        if not _can_be_looked_at():
            return False
        self._asked = self.world.chance.choice(LOOKS)
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `end`
        self._command = subprocess.Popen(
            [*PAREXEC, *self._asked],
            cwd=self.world.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )
        return True

    def has_answered(self) -> bool:
        return self._command.poll() is not None

    def end(self) -> str | None:
        asked = " ".join(self._asked)
        if not self.has_answered():
            self._command.kill()
            self._command.wait()
            return f"`{asked}` did not answer within {ANSWERS_WITHIN:g} s"
        self._said.seek(0)
        said = self._said.read()
        self._said.close()
        return f"`{asked}` fell over:\n{said}" if "Traceback" in said else None


FAULTS: dict[str, tuple[type[Fault], int]] = {
    "kill": (Kill, 4),
    "disk": (FullDisk, 2),
    "freeze": (Freeze, 2),
    "descriptors": (FewDescriptors, 2),
    "clock": (ClockJump, 2),
    "terminal": (LostTerminal, 2),
    "look": (Look, 4),
}
"""Each with its weight in the choice of the next."""


# -- a round ---------------------------------------------------------------------------------------------------


def weather(world: World, figures: Figures, most: float) -> None:
    """Let faults begin and end until the session is over, or until so many seconds after it has begun."""
    give_up = None
    names = [name for name, (kind, _) in FAULTS.items() if kind.is_possible()]
    active: dict[str, tuple[Fault, float]] = {}
    try:
        while not is_over() and (give_up is None or time.monotonic() < give_up):
            world.goes_on()
            if give_up is None and _can_be_looked_at():
                give_up = time.monotonic() + most
            _end_those_over(active, figures)
            name = world.chance.choices(names, [FAULTS[name][1] for name in names])[0]
            if name not in active:
                fault = FAULTS[name][0](world)
                if fault.begin():
                    figures.faults[name] += 1
                    active[name] = fault, time.monotonic() + world.chance.uniform(0.2, 1) * fault.longest
            time.sleep(world.chance.uniform(0.02, 0.5))  # the moment is what this is about
    finally:
        for fault, until_then in active.values():
            if isinstance(fault, Look):
                with suppress(AssertionError):
                    until(fault.has_answered, "it answers", max(until_then - time.monotonic(), ANSWERS_WITHIN))
            _end(fault, figures)


def _end_those_over(active: dict[str, tuple[Fault, float]], figures: Figures) -> None:
    for name, (fault, over) in list(active.items()):
        if time.monotonic() > over or (isinstance(fault, Look) and fault.has_answered()):
            del active[name]
            _end(fault, figures)


def _end(fault: Fault, figures: Figures) -> None:
    if violation := fault.end():
        figures.violations.append(violation)


def one_session(folder: Path, seed: int, figures: Figures, most: float = LONGEST) -> None:
    """Run one session to its end under faults for at most so many seconds, and check what is left of it."""
    prepare(folder)
    world = World(folder, seed)
    figures.rounds += 1
    try:
        weather(world, figures, most)
        until(world.is_over_by_now, "the session is finished once the faults are over", 120)
        world.leaves()
        until(all_gone, "every process is gone")
        figures.violations += verify(folder)
    except AssertionError as error:
        figures.violations.append(f"session of seed {seed} did not finish: {error}")
    finally:
        world.leaves()
        while pids := [pid for pid in processes("both") if exists(pid)]:
            kill(*pids)
    figures.resumed += max(world.resumed, 0)
    figures.attempts += sum(isinstance(event, ev.AttemptStarted) for event in journal())
    if "Traceback" in world.output.read_text() + engine_log():
        figures.violations.append(f"an engine or a command fell over, see {folder}")


# -- the file system that fills up -----------------------------------------------------------------------------


def can_mount() -> bool:
    """Whether a file system of memory can be mounted here."""
    with tempfile.TemporaryDirectory() as folder:
        return _mount(Path(folder)) and _unmount(Path(folder))


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={STATE_SIZE},mode=0700", "storm", str(folder)]
    return os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unmount(folder: Path) -> bool:
    return subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False).returncode == 0


@contextmanager
def living_in(folder: Path) -> Iterator[Path]:
    """Have sessions in a folder of their own, which is made, with a small file system for what they remember."""
    above = dict(os.environ)
    for name, variable in (("state-home", STATE_HOME), ("run", RUNTIME_DIR)):
        (folder / name).mkdir(mode=0o700, parents=True)
        os.environ[variable] = str(folder / name)
    is_mounted = _mount(folder / "state-home")
    try:
        yield folder
    finally:
        os.environ.clear()
        os.environ.update(above)
        if is_mounted:
            _unmount(folder / "state-home")


def storm(above: Path, seconds: float, seed: int, say: Callable[[str], None], *, keep: bool = False) -> Figures:
    """Sessions under faults, one after the other, for so many seconds."""
    figures = Figures()
    started = time.monotonic()
    for kind in (kind for kind, _ in FAULTS.values() if not kind.is_possible()):
        say(f"not possible here, left out: {kind.__name__}")
    while (left := seconds - (time.monotonic() - started)) > 0:
        known = len(figures.violations)
        begun = time.monotonic()
        with living_in(above / str(seed)) as folder:
            one_session(folder, seed, figures, min(LONGEST, left))
            say(f"seed {seed:>4}  {time.monotonic() - begun:>6.1f} s")
            for violation in figures.violations[known:]:
                say(f"      VIOLATION in {folder}: {violation}")
            if len(figures.violations) > known:
                shutil.copytree(folder / "state-home", folder / "state-kept", ignore=shutil.ignore_patterns("*.sock"))
        if len(figures.violations) == known and not keep:
            shutil.rmtree(folder)
        seed += 1
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="keep the folders of sessions without a violation as well"
    )
    wanted = parser.parse_args()
    above = Path(tempfile.mkdtemp(prefix="storm-"))
    for name in [name for name in os.environ if name.startswith("PAREXEC_")]:
        del os.environ[name]
    figures = storm(above, wanted.minutes * 60, wanted.seed, lambda text: print(text, flush=True), keep=wanted.keep)
    print(f"\n{figures}")
    if not any(above.iterdir()):
        above.rmdir()
    return 1 if figures.violations else 0


if __name__ == "__main__":
    sys.exit(main())
