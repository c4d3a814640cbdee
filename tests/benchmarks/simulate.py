"""What one simulated course of a large plan costs: `python tests/benchmarks/simulate.py`.

10,000 tickets with needs, locks, a counted resource and two agent types, by the rules of the engine, beside a list
scheduler of twenty lines that knows needs and slots alone, turn by turn in the same call. Prints the seconds, and the
ratio of CPU times; exits 1 if the median ratio is above what we promise. The seconds depend on the machine.
"""

import argparse
import statistics
import sys
import time
from heapq import heappop, heappush
from random import Random

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.predict.course import Durations, course_of
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.gc_control import gc_paused

PROMISED = 50.0
PARALLEL = 16


def plan(count: int) -> Plan:
    random = Random(1)
    tickets = {}
    for number in range(count):
        earlier = range(max(0, number - 300), number)
        needs = random.sample(earlier, min(len(earlier), random.randrange(4)))
        tickets[f"T{number}"] = Ticket(
            run="true",
            needs=tuple(f"T{need}" for need in needs),
            estimate=Duration(random.randrange(1, 60)),
            agent=random.choice(("builder", "tester", None)),
            locks=(f"lock{random.randrange(40)}",) if random.random() < 0.1 else (),
            uses=Amounts({"gpu": 1} if random.random() < 0.1 else {}),
        )
    agents = {"builder": AgentType(max=10), "tester": AgentType(max=10)}
    return Plan(
        settings=PlanSettings(name="simulate", parallel=PARALLEL),
        tickets=tickets,
        agents=agents,
        resources=Resources({"gpu": 4}),
        workdir="/",
    )


def opened(of: Plan) -> SessionState:
    state = SessionState(of)
    for event in opening(state, session="s", cpus=8, memory=2**33, pid=1, boot="", version="", by="", now=0.0):
        apply(state, event)
    return state


def list_schedule(state: SessionState, seconds: dict[str, float]) -> float:
    """The makespan with needs and slots alone."""
    missing = {id_: len(needs) for id_, needs in state.graph.needs.items()}
    ready = [(-state.tickets[id_].remaining, id_) for id_, count in missing.items() if not count]
    running: list[tuple[float, str]] = []
    ready.sort()
    now = 0.0
    while ready or running:
        while ready and len(running) < PARALLEL:
            _, id_ = heappop(ready)
            heappush(running, (now + seconds[id_], id_))
        now, id_ = heappop(running)
        for dependent in state.graph.dependents[id_]:
            missing[dependent] -= 1
            if not missing[dependent]:
                heappush(ready, (-state.tickets[dependent].remaining, dependent))
    return now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    state = opened(plan(options.tickets))
    seconds = {id_: float(ticket.spec.estimate or 0) for id_, ticket in state.tickets.items()}
    ratios = []
    for _ in range(options.rounds):
        began, cpu = time.perf_counter(), time.process_time()
        with gc_paused():
            course = course_of(copy_of(state), Durations(seconds), 0.0)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        cpu = time.process_time()
        list_schedule(state, seconds)
        ratios.append(used / (time.process_time() - cpu))
        assert not course.left
        print(f"course {took:5.2f}s, {used:5.2f}s of CPU   list schedule: ratio {ratios[-1]:5.1f}", flush=True)
    median = statistics.median(ratios)
    print(f"median ratio {median:.1f}, promised at most {PROMISED}")
    sys.exit(median > PROMISED)


if __name__ == "__main__":
    main()
