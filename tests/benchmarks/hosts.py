"""What hosts cost the engine: `python tests/benchmarks/hosts.py`.

10,000 tickets, 40 at a time: on this machine, and on 10 hosts of 4 slots, turn by turn in the same call. It is the
CPU of the rules that is timed, from the opening to the end: what is decided, applied and started for each ticket,
without processes, a network or a disk, which take ten times as much. Prints microseconds for each ticket and their
ratio; exits 1 if the median is above what we promise.

`--hosts 1000 --tickets 100000` says what a thousand of them cost. Only the ratio means anything.
"""

import argparse
import statistics
import sys
import time
from collections import deque

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.gc_control import gc_paused

PROMISED = 3.0
SLOTS = 4


def plan(count: int, hosts: int, slots: int) -> Plan:
    tickets = {
        f"T{number}": Ticket(
            run="true",
            needs=(f"T{number - 100}",) if number >= 100 and number % 3 else (),
            uses=Amounts({"cpu": 1}) if number % 2 else Amounts(),
        )
        for number in range(count)
    }
    names = [f"h{number}" for number in range(hosts)]
    return Plan(
        settings=PlanSettings(name="hosts", parallel=slots),
        tickets=tickets,
        agents={"t": AgentType(on=tuple(names))},
        hosts={name: HostSpec(ssh=name) for name in names},
        workdir="/w",
    )


def timed(plan: Plan, cpus: float) -> float:
    """Seconds of CPU that a session takes."""
    state = SessionState(plan)
    running: deque[str] = deque()

    def take(event: ev.AnyEvent) -> None:
        apply(state, event)
        if isinstance(event, ev.AttemptStarted):
            running.append(event.ticket)

    with gc_paused():
        started = time.process_time()
        for event in opening(
            state, session="s", cpus=cpus, memory=2**40, pid=1, boot="b", version="1", by="me", now=0.0
        ):
            take(event)
        dispatcher = Dispatcher(state)
        for name in state.hosts:
            for event in on_report(state, rq.HostSeen(name, cpus=SLOTS, memory=2**36, boot="b"), 0.0):
                take(event)
        now = 0.0
        while state.unfinished:
            while dispatcher.dispatch(now, take):
                pass
            now += 0.01
            for event in on_report(state, rq.ProcessEnded(running.popleft(), 1, code=0), now):
                take(event)
        return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    slots = options.hosts * SLOTS
    ratios = []
    for _ in range(options.rounds):
        here = timed(plan(options.tickets, 0, slots), slots)
        there = timed(plan(options.tickets, options.hosts, 1), 1)
        ratios.append(there / here)
        each = 1e6 / options.tickets
        print(f"here {here * each:6.0f} us   on hosts {there * each:6.0f} us   ratio {ratios[-1]:.2f}", flush=True)
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f}, promised {PROMISED}")
    sys.exit(median > PROMISED)


if __name__ == "__main__":
    main()
