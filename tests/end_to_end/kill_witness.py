"""What must be true of a session of the kill matrix once it is finished, told by witnesses that no engine knows of.

Each ticket keeps a file of evidence, with a line for each beginning and end, and writes its output in two parts.
"""

from collections import Counter
from pathlib import Path

import psutil

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from tests.engine.engines import journal, marked, session, state_of

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
    hides) (setsid env -i /bin/sh -c '/bin/sleep 30 & /bin/sleep 30' > /dev/null 2>&1 &) ;;
    fails) [ -e $evidence.failed ] || { touch $evidence.failed; sleep $seconds; note end; exit 1; } ;;
esac
seq 1 2000 > $output
sleep $seconds
seq 2001 4000 >> $output
echo whole >> $output
note end
"""
"""What every ticket runs. Its output is truncated until the last moment, so that nobody may take it before."""


def prepare(folder: Path) -> None:
    """What the tickets need in the folder of their plan."""
    for name in ("evidence", "output"):
        (folder / name).mkdir()
    (folder / "ticket.sh").write_text(SCRIPT)


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
    return wrong + [f"left behind: {each}" for process in _left_behind(folder) if (each := _described(process))]


def _described(process: psutil.Process) -> str:
    """Which process it is; empty if it has died since."""
    try:
        return f"{process.pid} {process.cmdline()}"
    except psutil.NoSuchProcess:  # a zombie is none any more, either
        return ""


def _left_behind(folder: Path) -> list[psutil.Process]:
    """The processes of tickets that still live: those that carry a mark, and those that work in the plan's folder."""
    at_work = [process for process in psutil.process_iter(["cwd", "status"]) if process.info["cwd"] == str(folder)]
    return [*marked(), *(process for process in at_work if process.info["status"] != psutil.STATUS_ZOMBIE)]


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
