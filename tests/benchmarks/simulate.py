"""What a simulation of a large plan costs: `python tests/benchmarks/simulate.py`.

10,000 tickets of two shapes: `mixed`, with needs, locks, a counted resource and two agent types, and `claims`, where
also files are claimed, classes differ, and agents are scarce, so that thousands of tickets wait that want different
things. One course by the rules of the engine, and the whole prediction with its samples, beside a list scheduler of
twenty lines that knows needs and slots alone, turn by turn in the same call. Prints seconds and ratios of CPU
time; exits 1 if a median ratio is above what we promise. The seconds depend on the machine.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import TypeVar

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.predict.course import Durations, course_of
from parexec_tui.core.predict.prediction import predict
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.gc_control import gc_paused

T = TypeVar("T")

PROMISED = {"course": 50.0, "prediction": 90.0}
PARALLEL = 16


def plan(count: int, shape: str) -> Plan:
    random = Random(1)
    has_claims = shape == "claims"
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
            writes=(f"src/{random.randrange(300)}/**",) if has_claims and random.random() < 0.3 else (),
            priority=random.choice(tuple(Priority)) if has_claims else Priority.medium,
        )
    agents = {type_: AgentType(max=4 if has_claims else 10) for type_ in ("builder", "tester")}
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


def cpu_of(act: Callable[[], T]) -> tuple[float, T]:
    """The CPU seconds that something takes, and what it returns."""
    with gc_paused():
        began = time.process_time()
        found = act()
        return time.process_time() - began, found


def measured(shape: str, tickets: int, rounds: int) -> bool:
    """Whether the promises hold for a shape."""
    state = opened(plan(tickets, shape))
    seconds = {id_: float(ticket.spec.estimate or 0) for id_, ticket in state.tickets.items()}
    ratios: dict[str, list[float]] = {what: [] for what in PROMISED}
    for _ in range(rounds):
        course, found = cpu_of(lambda: course_of(copy_of(state), Durations(seconds), 0.0))
        assert not found.left
        prediction, _ = cpu_of(lambda: predict(state, 0.0, Random(1).random))
        reference, _ = cpu_of(lambda: list_schedule(state, seconds))
        for what, used in (("course", course), ("prediction", prediction)):
            ratios[what].append(used / reference)
        print(f"{shape}: {course:5.2f}s of CPU for a course, {prediction:5.2f}s for a prediction", flush=True)
    holds = True
    for what, promised in PROMISED.items():
        median = statistics.median(ratios[what])
        print(f"{shape}: {what}: median ratio to the list schedule {median:.1f}, promised at most {promised}")
        holds = holds and median <= promised
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    held = [measured(shape, options.tickets, options.rounds) for shape in ("mixed", "claims")]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
