"""kill -9 of the engine at random moments of a run of 40 short tickets, then `resume`, until the session is finished.

    python -m tests.end_to_end.kill_matrix [--kills 100] [--seed 1]

What must be true whatever the moment is told by witnesses that the engine knows nothing of: each ticket keeps a file
of evidence, and writes its output in two parts. Exits with 1 if anything was violated. A seed stands for a plan and
for the moments; how far the engine has come by then differs from run to run.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from parexec_tui.core import events as ev
from parexec_tui.core.events import End, Status
from parexec_tui.core.state import SessionState, TicketState
from parexec_tui.engine.process import read_record
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from tests.engine.engines import (
    Engine,
    attempts_folder,
    is_running,
    journal,
    marked,
    session,
    sessions,
    state_of,
    until,
    write_plan,
)

TICKETS = 40

SCRIPT = """
evidence=evidence/$PAREXEC_TICKET output=output/$PAREXEC_TICKET
seconds=$1 kind=$2; shift 2
note() { echo "$1 $PAREXEC_ATTEMPT $$ $(date +%s%N)" >> $evidence; }

note begin
for need; do
    [ "$(tail -n 1 output/$need)" = whole ] || note "truncated-$need"
done
case $kind in
    child) sleep 30 & ;;
    escapes) setsid sleep 30 & ;;
    fails) [ -e $evidence.failed ] || { touch $evidence.failed; sleep $seconds; note end; exit 1; } ;;
esac
seq 1 2000 > $output
sleep $seconds
seq 2001 4000 >> $output
echo whole >> $output
note end
"""
"""What every ticket runs. Its output is truncated until the last moment, so that nobody may take it before."""


@dataclass
class Kill:
    """One kill, and what was in flight."""

    phase: str
    seconds: float
    found: Counter[str] = field(default_factory=Counter)


@dataclass
class Outcome:
    seed: int
    kills: list[Kill] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


def make_plan(seed: int) -> str:
    """A plan of 40 tickets: lasting 0 to 0.3 s, some with needs, some leave children behind, some fail at first."""
    chance = random.Random(seed)
    lines = ["[plan]", f"parallel = {chance.choice([3, 6, 12])}", "[defaults]", "retries = 1", 'retry_delay = "20ms"']
    for number in range(TICKETS):
        before = [f"T{n}" for n in range(max(0, number - 12), number)]
        needs = sorted(chance.sample(before, min(len(before), chance.choice([0, 0, 1, 1, 2]))))
        seconds = chance.choice([0.0, 0.0, round(chance.uniform(0, 0.3), 3)])
        kind = chance.choices(["plain", "child", "escapes", "fails"], [12, 3, 2, 2])[0]
        lines += [
            f"[tickets.T{number}]",
            f'run = "sh ticket.sh {seconds} {kind} {" ".join(needs)}"',
            f"needs = {needs!r}",
        ]
    return "\n".join(lines)


def torment(folder: Path, seed: int, most: int) -> Outcome:
    """Run one session to its end over at most so many kills, and check what is left."""
    chance = random.Random(f"moments {seed}")
    outcome = Outcome(seed)
    started = time.monotonic()
    for name in ("evidence", "output"):
        (folder / name).mkdir()
    (folder / "ticket.sh").write_text(SCRIPT)
    plan = write_plan(folder, make_plan(seed))
    code = -9
    while code == -9:
        engine = Engine(*(["resume"] if _is_opened() else ["run", plan]), cwd=folder)
        if len(outcome.kills) < most:
            _kill_sometime(engine, chance, outcome)
        code = engine.wait(60)
    if code != 0:
        outcome.violations.append(f"the last engine ended with {code}")
    if "Traceback" in engine.text():
        outcome.violations.append(f"an engine fell over, see {engine.output}")
    outcome.violations += verify(folder)
    outcome.seconds = time.monotonic() - started
    return outcome


def _is_opened() -> bool:
    """Whether there is a session that can be resumed: one killed before its first event has nothing in it."""
    return bool(sessions()) and bool(journal())


def _kill_sometime(engine: Engine, chance: random.Random, outcome: Outcome) -> None:
    phase = chance.choices(["while it starts", "as it takes over", "while it works"], [2, 3, 8])[0]
    if phase == "while it starts":
        delay = chance.uniform(0.1, 0.6)
    else:
        until(lambda: engine.process.poll() is not None or (sessions() and is_running()), "the engine takes over")
        delay = chance.uniform(0, 0.03 if phase == "as it takes over" else 0.5)
    time.sleep(delay)  # the moment is what this is about
    engine.process.kill()
    if engine.process.wait() == -9:
        outcome.kills.append(Kill(phase, delay, _in_flight()))


def _in_flight() -> Counter[str]:
    """What the engine left: its attempts, by how far they had come."""
    if not _is_opened():
        return Counter({"no session": 1})
    return Counter(_stage(ticket) for ticket in state_of().live.values()) or Counter({"nothing in flight": 1})


def _stage(ticket: TicketState) -> str:
    record = read_record(attempts_folder() / f"{ticket.id}.{ticket.attempt}.exit")
    if record is None:
        return "not begun"
    if record.code is not None:
        return "ended"
    if record.void:
        return "ruled out"
    if record.pid is None:
        return "beginning"
    return "running, not noted" if ticket.pid is None else "running"


# -- what must be true -----------------------------------------------------------------------------------------


def verify(folder: Path) -> list[str]:
    """Everything that is not as it must be, once the session is finished."""
    state = state_of()
    events = journal()
    wrong = [] if state.status == "finished" else [f"the session is {state.status}"]
    runs: dict[str, list[tuple[int, int]]] = {}
    for ticket in state.tickets.values():
        wrong += _check_evidence(folder, ticket, runs.setdefault(ticket.id, []), events)
    for ticket in state.tickets.values():
        for need in ticket.spec.needs:
            if runs[ticket.id] and runs[need] and runs[ticket.id][0][0] < runs[need][-1][1]:
                wrong.append(f"{ticket.id} began before {need} ended")
    wrong += _check_registry(state, events)
    left = [f"{process.pid} {process.cmdline()}" for process in marked()]
    return wrong + [f"left behind: {process}" for process in left]


def _check_evidence(
    folder: Path, ticket: TicketState, runs: list[tuple[int, int]], events: list[ev.AnyEvent]
) -> list[str]:
    id_ = ticket.id
    wrong = [] if ticket.status is Status.succeeded else [f"{id_} is {ticket.status}: {ticket.reason}"]
    file = folder / "evidence" / id_
    if not file.exists():
        return [*wrong, f"{id_} is lost: it never ran"]
    lines = [line.split() for line in file.read_text().splitlines()]
    wrong += [f"{id_} was given a {word} output" for word, *_ in lines if word not in ("begin", "end")]
    open_: dict[tuple[str, str], int] = {}
    for word, attempt, pid, when in lines:
        if word == "begin":
            wrong += [f"{id_} ran twice at once: attempt {attempt} began in attempt {other}" for other, _ in open_]
            open_[attempt, pid] = int(when)
        elif word == "end":
            runs.append((open_.pop((attempt, pid), 0), int(when)))
    wrong += [f"{id_} attempt {attempt} was cut short, though only engines were killed" for attempt, _ in open_]
    begun = [attempt for word, attempt, *_ in lines if word == "begin"]
    if len(set(begun)) != len(begun):
        wrong.append(f"{id_} ran an attempt twice: {begun}")
    wanted = 2 if (folder / "evidence" / f"{id_}.failed").exists() else 1
    if len(begun) != wanted:
        wrong.append(f"{id_} ran {len(begun)} times and not {wanted}: what finished was done again, or is lost")
    known = {str(e.attempt) for e in events if isinstance(e, ev.AttemptStarted) and e.ticket == id_}
    if not known.issuperset(begun):
        wrong.append(f"{id_} ran attempts {begun}, the registry knows {sorted(known)}")
    output = folder / "output" / id_
    whole = "".join(f"{number}\n" for number in range(1, 4001)) + "whole\n"
    if not output.exists() or output.read_text() != whole:
        wrong.append(f"the output of {id_} is not whole")
    return wrong


def _check_registry(state: SessionState, events: list[ev.AnyEvent]) -> list[str]:
    """What is kept beside the events must be what follows from them."""
    wrong = []
    successes = Counter(e.ticket for e in events if isinstance(e, ev.AttemptEnded) and e.end is End.succeeded)
    if wrong_ones := [id_ for id_ in state.tickets if successes[id_] != 1]:
        wrong.append(f"not exactly one success in the journal: {wrong_ones}")
    ends = {(e.ticket, e.attempt): str(e.end) for e in events if isinstance(e, ev.AttemptEnded)}
    starts = [(e.ticket, e.attempt) for e in events if isinstance(e, ev.AttemptStarted)]
    if sorted(starts) != sorted(ends):
        wrong.append("attempts that started and attempts that ended are not the same")
    with Registry.open(registry_file(), read_only=True) as registry:
        row = registry.session(session())
        facts = {(fact.ticket, fact.attempt): fact.end for fact in registry.attempts(session())}
    if facts != ends:
        wrong.append("the facts of attempts are not what the events say")
    if (row.status, row.total, row.succeeded, row.failed) != ("finished", TICKETS, state.counts[Status.succeeded], 0):
        wrong.append(f"the row of the session is not what the events say: {row}")
    return wrong


# -- the script ------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="keep the folders of sessions without a violation as well"
    )
    wanted = parser.parse_args()
    above = Path(tempfile.mkdtemp(prefix="kill-matrix-"))
    for name in [name for name in os.environ if name.startswith("PAREXEC_")]:
        del os.environ[name]
    kills: list[Kill] = []
    violations = 0
    seed = wanted.seed
    print("seed  kills  seconds  in flight at each kill")
    while len(kills) < wanted.kills:
        folder = above / str(seed)
        folder.mkdir()
        os.environ["XDG_STATE_HOME"] = str(folder / "state-home")
        outcome = torment(folder, seed, min(5, wanted.kills - len(kills)))
        shown = "; ".join(", ".join(f"{n} {what}" for what, n in kill.found.items()) for kill in outcome.kills)
        print(f"{seed:>4}  {len(outcome.kills):>5}  {outcome.seconds:>7.1f}  {shown}", flush=True)
        for violation in outcome.violations:
            print(f"      VIOLATION in {folder}: {violation}", flush=True)
        kills += outcome.kills
        violations += len(outcome.violations)
        if not outcome.violations and not wanted.keep:
            shutil.rmtree(folder)
        seed += 1
    print(f"\n{len(kills)} kills in {seed - wanted.seed} sessions, {violations} violations")
    for what, count in Counter(kill.phase for kill in kills).most_common():
        print(f"{count:>6}  kills {what}")
    for what, count in sum((kill.found for kill in kills), Counter[str]()).most_common():
        print(f"{count:>6}  {what}")
    if not any(above.iterdir()):
        above.rmdir()
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
