"""kill -9 of engines and guardians at random moments of runs of 40 short tickets, until each run is finished.

    python -m tests.end_to_end.kill_matrix [--kills 200] [--seed 1]

    alone     an engine in the foreground, after which `resume` goes on
    engine    one that has a guardian, which starts the next
    guardian  and its engine goes on by itself
    both      or the engine that had no guardian any more: a person says `resume`, or answers what `attach` asks

What must be true whatever the moment is told by `kill_witness`. Exits with 1 if anything was violated. A seed stands
for a plan and for the moments; how far the engine has come by then differs from run to run.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from parexec_tui.client.sessions import is_living
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.engine.backends.local.record import read_record
from parexec_tui.engine.lifecycle import guardian
from parexec_tui.paths import RUNTIME_DIR, STATE_HOME, registry_file
from parexec_tui.registry.errors import RegistryMissing
from parexec_tui.registry.registry import Registry
from tests.end_to_end.kill_witness import TICKETS, prepare, verify
from tests.end_to_end.terminal import Terminal
from tests.engine.engines import (
    PAREXEC,
    Engine,
    attempts_folder,
    is_running,
    journal,
    session,
    sessions,
    state_of,
    until,
    write_plan,
)
from tests.engine.lifecycle.detached import all_gone, engine_log, kill, processes_of

Victim = Literal["alone", "engine", "guardian", "both"]
Phase = Literal["while it starts", "as it takes over", "while it works"]

_LONGEST: dict[Phase, float] = {"while it starts": 0.8, "as it takes over": 0.03, "while it works": 0.5}
"""Seconds of a phase in which there may be a kill."""

_MAX_STARTS = 20

_OFFER = "take over? [Y/n]"
"""What `attach` asks when there is no engine."""


@dataclass
class Kill:
    """One kill, and what was in flight."""

    victim: Victim
    phase: Phase
    found: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"{self.victim}: {', '.join(f'{count} {what}' for what, count in self.found.items())}"


@dataclass
class Outcome:
    seed: int
    kills: list[Kill] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


def torment(folder: Path, seed: int, most: int, *, alone: bool) -> Outcome:
    """Run one session to its end over at most so many kills, and check what is left. `alone`: without a guardian."""
    chance = random.Random(f"moments {seed}")
    outcome = Outcome(seed)
    started = time.monotonic()
    prepare(folder)
    plan = write_plan(folder, make_plan(seed))
    (_run_alone if alone else _run_guarded)(folder, plan, chance, most, outcome)
    outcome.violations += verify(folder)
    outcome.seconds = time.monotonic() - started
    return outcome


def make_plan(seed: int, longest: float = 0.3, settings: Iterable[str] = (), defaults: Iterable[str] = ()) -> str:
    """A plan of 40 tickets that last 0 to `longest` seconds. Some have needs, some leave children or daemons behind,
    some fail at first. `settings` and `defaults` are further lines of these sections.
    """
    chance = random.Random(seed)
    lines = ["[plan]", f"parallel = {chance.choice([3, 6, 12])}", *settings]
    lines += ["[defaults]", "retries = 1", 'retry_delay = "20ms"', *defaults]
    for number in range(TICKETS):
        before = [f"T{n}" for n in range(max(0, number - 12), number)]
        needs = sorted(chance.sample(before, min(len(before), chance.choice([0, 0, 1, 1, 2]))))
        seconds = chance.choice([0.0, 0.0, round(chance.uniform(0, longest), 3)])
        kind = chance.choices(["plain", "child", "escapes", "hides", "fails"], [12, 3, 2, 2, 2])[0]
        lines += [
            f"[tickets.T{number}]",
            f'run = "sh ticket.sh {seconds} {kind} {" ".join(needs)}"',
            f"needs = {needs!r}",
        ]
    return "\n".join(lines)


def _moment(chance: random.Random, is_gone: Callable[[], bool]) -> Phase:
    """Wait for the moment to kill; returns the phase that it is in. `is_gone`: no engine will take over."""
    phase: Phase = chance.choices(get_args(Phase), [2, 3, 8])[0]
    if phase != "while it starts":
        until(lambda: is_gone() or (sessions() and is_running()), "an engine takes over")
    time.sleep(chance.uniform(0, _LONGEST[phase]))  # the moment is what this is about
    return phase


def is_opened() -> bool:
    """Whether there is a session that can be resumed: one killed before its first event has nothing in it."""
    return bool(sessions()) and bool(journal())


# -- an engine alone -------------------------------------------------------------------------------------------


def _run_alone(folder: Path, plan: Path, chance: random.Random, most: int, outcome: Outcome) -> None:
    code = -9
    while code == -9:
        engine = Engine(*(["resume"] if is_opened() else ["run", plan]), cwd=folder)
        if len(outcome.kills) < most:
            _kill_alone(engine, chance, outcome)
        code = engine.wait(120)
    if code != 0:
        outcome.violations.append(f"the last engine ended with {code}")
    if "Traceback" in engine.text():
        outcome.violations.append(f"an engine fell over, see {engine.output}")


def _kill_alone(engine: Engine, chance: random.Random, outcome: Outcome) -> None:
    phase = _moment(chance, lambda: engine.process.poll() is not None)
    engine.process.kill()
    if engine.process.wait() == -9:
        outcome.kills.append(Kill("alone", phase, _in_flight()))


# -- an engine with a guardian ---------------------------------------------------------------------------------


def _run_guarded(folder: Path, plan: Path, chance: random.Random, most: int, outcome: Outcome) -> None:
    person = Person(folder, plan)
    try:
        for _ in range(_MAX_STARTS):
            if is_over():
                break
            person.goes_on(chance)
            while len(outcome.kills) < most and (person.waits or is_served()) and not is_over():
                _kill_one(person, chance, outcome)
            until(lambda: is_over() or not (person.waits or is_served()), "it is over, or gone")
        assert is_over(), f"a person started an engine {_MAX_STARTS} times, and it is not over"
        until(all_gone, "every process is gone")
    except AssertionError as error:
        outcome.violations.append(str(error))
    finally:
        person.leaves()
        kill(*processes("both"))
    if "Traceback" in person.saw or "Traceback" in engine_log():
        outcome.violations.append(f"an engine or a command fell over, see {folder}")


def _kill_one(person: "Person", chance: random.Random, outcome: Outcome) -> None:
    """Wait for the moment, and kill whom chance chooses, if it is there."""
    phase = _moment(chance, lambda: not (person.waits or is_served()))
    weights = [0, 3, 3, 2] if processes("guardian") else [0, 0, 0, 1]
    victim: Victim = chance.choices(get_args(Victim), weights)[0]
    if not (pids := processes(victim)):
        return
    kill(*pids)
    while victim == "both" and (born := processes(victim)):
        kill(*born)  # in the instant between the two
    if not is_over():
        outcome.kills.append(Kill(victim, phase, _in_flight()))


def processes(victim: Victim) -> list[int]:
    """The pids of the newest session's guardian, engine or both, the guardian first."""
    if not sessions():
        return []
    found: dict[bool, list[int]] = {True: [], False: []}
    for process in processes_of(session()):
        found[guardian.__file__ in process.info["cmdline"]].append(process.pid)
    return found[True] * (victim != "engine") + found[False] * (victim != "guardian")


def is_served() -> bool:
    """Whether there is an engine, or a guardian that will start one."""
    return bool(sessions()) and (is_living(session()) or bool(processes("both")))


def is_over() -> bool:
    with suppress(RegistryMissing), Registry.open(registry_file(), read_only=True) as registry:
        return any(row.status == "finished" for row in registry.sessions())
    return False


class Person:
    """The person who started the session and wants it to go on: `run`, then `resume`, or `attach` at a terminal."""

    def __init__(self, folder: Path, plan: Path) -> None:
        self._folder = folder
        self._plan = plan
        self._output = folder / "output.txt"
        self._command: subprocess.Popen[bytes] | None = None
        self._terminal: Terminal | None = None
        self._seen = ""

    def goes_on(self, chance: random.Random) -> None:
        """Have an engine started, and do not wait until it is ready."""
        self.leaves()
        if not is_opened():
            self._say("run", str(self._plan))
        elif chance.random() < 0.5:
            self._say("resume")
        else:
            self._terminal = Terminal(self._folder)
            self._terminal.parexec("attach")
            self._terminal.until(_OFFER)
            self._terminal.type("\n")

    def _say(self, *command: str) -> None:
        with self._output.open("ab") as file:
            self._command = subprocess.Popen(
                [*PAREXEC, *command, "--detach"], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    @property
    def waits(self) -> bool:
        """Whether the command has not said yet that an engine is ready, or that none is."""
        if self._terminal is not None:
            text = self._terminal.text()
            is_asked_again = text.count(_OFFER) > 1
            return not (is_asked_again or "the engine stays" in text or "ended=" in text)
        return self._command is not None and self._command.poll() is None

    @property
    def saw(self) -> str:
        """All that the commands said."""
        return self._seen + (self._output.read_text() if self._output.exists() else "")

    def leaves(self) -> None:
        if self._command is not None:
            self._command.wait(120)
        if self._terminal is not None:
            self._seen += self._terminal.text()
            self._terminal.close()
        self._command = self._terminal = None


# -- what a kill found -----------------------------------------------------------------------------------------


def _in_flight() -> Counter[str]:
    """What the engine left: its attempts, by how far they had come."""
    if not is_opened():
        return Counter({"no session": 1})
    return Counter(_stage(ticket) for ticket in state_of().live.values()) or Counter({"nothing in flight": 1})


def _stage(ticket: TicketState) -> str:
    record = read_record(attempts_folder() / f"{ticket.id}.{ticket.attempts}.exit")
    if record is None:
        return "not begun"
    if record.code is not None:
        return "ended"
    if record.void:
        return "ruled out"
    if record.pid is None:
        return "beginning"
    return "running, not noted" if ticket.live_attempt.pid is None else "running"


# -- the script ------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="keep the folders of sessions without a violation as well"
    )
    wanted = parser.parse_args()
    above = Path(tempfile.mkdtemp(prefix="kills-"))
    for name in [name for name in os.environ if name.startswith("PAREXEC_")]:
        del os.environ[name]
    kills: list[Kill] = []
    violations = 0
    seed = wanted.seed
    print("seed  kills  seconds  whom, and what was in flight")
    while len(kills) < wanted.kills:
        folder = above / str(seed)
        live_in(folder)
        outcome = torment(folder, seed, min(5, wanted.kills - len(kills)), alone=seed % 4 == 0)
        shown = "; ".join(
            f"{kill.victim}: {', '.join(f'{n} {w}' for w, n in kill.found.items())}" for kill in outcome.kills
        )
        print(f"{seed:>4}  {len(outcome.kills):>5}  {outcome.seconds:>7.1f}  {shown}", flush=True)
        for violation in outcome.violations:
            print(f"      VIOLATION in {folder}: {violation}", flush=True)
        kills += outcome.kills
        violations += len(outcome.violations)
        if not outcome.violations and not wanted.keep:
            shutil.rmtree(folder)
        seed += 1
    print(f"\n{len(kills)} kills in {seed - wanted.seed} sessions, {violations} violations\n")
    _print_table(kills)
    if not any(above.iterdir()):
        above.rmdir()
    return 1 if violations else 0


def live_in(folder: Path) -> None:
    """Have sessions in a folder of their own, which is made."""
    for name, variable in (("state-home", STATE_HOME), ("run", RUNTIME_DIR)):
        (folder / name).mkdir(mode=0o700, parents=True)
        os.environ[variable] = str(folder / name)


def _print_table(kills: list[Kill]) -> None:
    """Kills by victim and phase; then what was in flight."""
    phases = get_args(Phase)
    print(f"{'killed':<10}" + "".join(f"{phase:>18}" for phase in phases) + f"{'in all':>9}")
    for victim in get_args(Victim):
        counts = [sum((each.victim, each.phase) == (victim, phase) for each in kills) for phase in phases]
        print(f"{victim:<10}" + "".join(f"{count:>18}" for count in counts) + f"{sum(counts):>9}")
    print()
    for what, count in sum((each.found for each in kills), Counter[str]()).most_common():
        print(f"{count:>6}  {what}")


if __name__ == "__main__":
    sys.exit(main())
