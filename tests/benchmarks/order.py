"""What the order search gains: `python -m tests.benchmarks.order`.

Each plan is executed by the rules of the engine under a virtual clock, by the longest path and by the order that is
found at load, and compared with the best schedule that is known: by construction, by a bound, or by CP-SAT. Then the
same with durations that are off from the estimates by factors whose logarithm has a standard deviation of 0.15 and
0.5. Prints percent over the best, and exits 1 if a mean is above what we promise, an order is worse than the longest
path, or worse on average with wrong estimates by more than chance.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterable
from random import Random

from msgspec import Struct

from parexec_tui.core.predict.course import Durations, course_of
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.schedule.order import Search, is_searched, passes_for
from parexec_tui.core.schedule.problem import problem_of
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from tests.benchmarks.order_sets import Instance, cut_charts, projects, prove, task_graphs

PROMISED = {"cut charts": 0.15, "task graphs": 0.15, "projects of 30": 2.6, "projects of 60": 3.5}
"""Percent over the best schedule, on average."""

SIGMAS = (0.15, 0.5)
TRIALS = 10


class Result(Struct):
    instance: Instance
    path: float
    """Seconds by the longest path."""
    found: float
    """By the order that was found."""
    cpu: float
    """CPU seconds of the search."""
    gains: dict[float, float]
    """{sigma: what the order gains on average if estimates are so wrong, in percent}"""


def seconds(state: SessionState, durations: list[float]) -> float:
    whole = {f"T{number}": takes for number, takes in enumerate(durations)}
    return course_of(copy_of(state), Durations(whole), 0.0).seconds


def measure(instance: Instance) -> Result:
    state = SessionState(instance.plan())
    for event in opening(state, session="s", cpus=8, memory=2**33, pid=1, boot="", version="", by="", now=0.0):
        apply(state, event)
    path = copy_of(state)
    began = time.process_time()
    assert is_searched(state)
    problem = problem_of(state, 0.0)
    assert problem is not None
    search = Search(problem, Random(1))
    search.run(passes_for(len(problem.ids)))
    found = search.found()
    cpu = time.process_time() - began
    if found is not None:
        for event in on_report(state, rq.OrderSearched(found.tickets, found.seconds, found.before), 0.0):
            apply(state, event)
    exact = [float(takes) for takes in instance.durations]
    result = Result(instance, seconds(path, exact), seconds(state, exact), cpu, {})
    for sigma in SIGMAS:
        pairs = []
        for trial in range(TRIALS if found is not None else 0):
            random = Random(f"{instance.name} {trial}")
            really = [takes * math.exp(random.gauss(0, sigma)) for takes in exact]
            pairs.append((seconds(path, really), seconds(state, really)))
        before = sum(each for each, _ in pairs)
        result.gains[sigma] = 100 * (1 - sum(each for _, each in pairs) / before) if pairs else 0.0
    return result


def show(name: str, results: list[Result]) -> bool:
    """Print a line; returns whether what we promise is kept."""

    def over(taken: float, result: Result) -> float:
        return 100 * (taken / result.instance.best - 1)

    found = [over(each.found, each) for each in results]
    mean, before = statistics.fmean(found), statistics.fmean(over(each.path, each) for each in results)
    better = sum(each.found < each.path - 1e-6 for each in results)
    worse = sum(each.found > each.path + 1e-6 for each in results)
    proved = sum(each.instance.is_proved for each in results)
    kept = mean <= PROMISED[name] and not worse
    print(
        f"{name:15} {len(results):4} ({proved} optima known)  longest path {before:5.2f} %, found {mean:5.2f} % "
        f"(promised {PROMISED[name]}), worst {max(found):4.1f} %; better {better}, worse {worse}; search "
        f"{1000 * statistics.fmean(each.cpu for each in results):.0f} ms, at most "
        f"{1000 * max(each.cpu for each in results):.0f}"
    )
    for sigma in SIGMAS:
        gains = [each.gains[sigma] for each in results]
        gain, error = statistics.fmean(gains), statistics.stdev(gains) / math.sqrt(len(gains))
        kept = kept and gain >= -2 * error
        print(f"{'':15} estimates off by sigma {sigma}: {gain:+.2f} % gained, standard error {error:.2f}", flush=True)
    return kept


def solved(instances: Iterable[Instance], limit: float) -> list[Result]:
    """Measure these, and find out about the best schedules where the bound does not tell."""
    results = []
    for instance in instances:
        result = measure(instance)
        if not instance.is_proved:
            if result.found <= instance.best + 1e-6:
                instance.is_proved = True
            else:
                prove(instance, limit)
                instance.best = min(instance.best, result.found)
        results.append(result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="Most that CP-SAT may take for an optimum.")
    parser.add_argument("--graphs", type=int, default=60, help="Task graphs of each kind.")
    parser.add_argument("--each", type=int, default=1, help="Projects of each of the 48 cells of PSPLIB.")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sets = {
        "cut charts": cut_charts(options.seed, options.graphs),
        "task graphs": task_graphs(options.seed, options.graphs),
        "projects of 30": projects(options.seed, 30, options.each),
        "projects of 60": projects(options.seed, 60, options.each),
    }
    kept = [show(name, solved(instances, options.seconds)) for name, instances in sets.items()]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
