"""How near the ETA comes in plans with history: `python -m tests.benchmarks.eta_accuracy`.

Plans of several shapes run under a virtual clock, by the real rules, again and again with other seeds: chains, layers
of random needs, forks and joins, tickets that need nothing; with few and many agents, locks, a counted resource, two
agent types. How long a ticket takes is log-normal with a median and a sigma of its own. Before each run the plan has
a history of 5 to 20 sessions, from which the registry's summary is made.

`--known` says what is known instead: `exact`, estimates that say what becomes; `estimates`, those of a person, who is
off by 30 % in general and by as much again for each ticket; `agree`, four sessions before that took the same, within
0.2 %. `--simulated` asks the ETA that `status` and the header tell, which is simulated, not the closed form.

At half time of each run, what the ETA said is compared with what became: the mean of how far p50 was off, as a share
of the time that was left; and over all of the way from a tenth to nine tenths, how often it was over within p90.
Prints both, for each shape and for all, and how far p50 was off on average when the first ticket had just started;
exits 1 if they are not what we promise: with `exact` and `agree`, p50 at the start within a tenth.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from math import exp
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.predict.foreseen import foresee
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.state.history import Run, summaries
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan

ERROR = 0.15
COVERAGE = (0.85, 0.95)
START = 0.10
LOOKS = 24
"""How often the ETA is asked in a run, besides the half."""
_LOOKS_SIMULATED = 6

Ask = Callable[["SessionState", float], "Eta | None"]


class Said(NamedTuple):
    """What the ETA said, and what became."""

    done: float
    """Of the time that the run took, the share that had passed."""
    p50: float
    p90: float
    left: float


class Figures(NamedTuple):
    """Shares: how far p50 was off at half time, up or down (the bias), how often it was over within p90 and p50."""

    error: float
    bias: float
    covered: float
    below_p50: float
    start: float
    """How far p50 was off at the start, on average."""


def _chains(random: Random) -> list[str]:
    lines: list[str] = []
    for chain in range(random.randrange(3, 9)):
        links = random.randrange(4, 12)
        lines += [f"C{chain}-{link}:" + (f" C{chain}-{link - 1}" if link else "") for link in range(links)]
    return lines


def _layers(random: Random) -> list[str]:
    lines = []
    for number in range(random.randrange(30, 120)):
        earlier = range(max(0, number - 20), number)
        needs = random.sample(earlier, min(len(earlier), random.randrange(4)))
        lines.append(f"T{number}:" + "".join(f" T{need}" for need in needs))
    return lines


def _forks(random: Random) -> list[str]:
    lines, last = [], ""
    for fork in range(random.randrange(2, 6)):
        width = random.randrange(3, 14)
        lines.append(f"F{fork}:{last}")
        lines += [f"F{fork}-{number}: F{fork}" for number in range(width)]
        last = "".join(f" F{fork}-{number}" for number in range(width))
    return lines


def _loose(random: Random) -> list[str]:
    return [f"T{number}:" for number in range(random.randrange(20, 150))]


SHAPES = {"chains": _chains, "layers": _layers, "forks": _forks, "loose": _loose}


def _session(shape: str, random: Random) -> Session:
    lines = SHAPES[shape](random)
    claims = random.random() < 0.5
    types = random.random() < 0.3
    for place, line in enumerate(lines):
        if claims and random.random() < 0.15:
            lines[place] = f"{line} locks=lock{random.randrange(4)}"
        elif claims and random.random() < 0.15:
            lines[place] = f"{line} uses=gpu:{random.randrange(1, 3)}"
        if types:
            lines[place] += f" agent={random.choice(('builder', 'tester'))}"
    agents = {"builder": AgentType(max=random.randrange(2, 5)), "tester": AgentType(max=random.randrange(1, 4))}
    made = plan(
        "\n".join(lines),
        parallel=random.choice((2, 3, 4, 8, 16)),
        resources={"gpu": 3},
        agents=agents if types else None,
    )
    return Session(made, checks=False)


def closed(state: SessionState, now: float) -> Eta | None:
    return eta(state, now)


def simulated(state: SessionState, now: float) -> Eta | None:
    """As an engine does."""
    return foresee(state, now, Random(now).random).end


def run(shape: str, seed: int, known: str = "history", ask: Ask = closed, looks: int = LOOKS) -> list[Said]:
    """A run, with what the ETA said on its way; half way first."""
    random = Random(f"{shape} {seed}")
    session = _session(shape, Random(f"plan {shape} {seed}"))
    ids = list(session.state.tickets)
    usual = random.uniform(2, 300)
    medians = {id_: usual * random.lognormvariate(0, 0.8) for id_ in ids}
    sigmas = {id_: random.choice((0.05, 0.15, 0.3, 0.5)) for id_ in ids}

    def takes(id_: str) -> float:
        return medians[id_] * random.lognormvariate(0, sigmas[id_])

    sessions = random.randrange(5, 21)
    runs = {id_: [Run(takes(id_)) for _ in range(sessions)] for id_ in ids}
    took = {id_: takes(id_) for id_ in ids}
    if known == "agree":
        runs = {id_: [Run(took[id_] * random.uniform(0.999, 1.001)) for _ in range(4)] for id_ in ids}
    estimates = took if known == "exact" else {}
    if known == "estimates":
        bias = random.gauss(0, 0.3)
        estimates = {id_: medians[id_] * exp(bias + random.gauss(0, 0.3)) for id_ in ids}

    def begun() -> Session:
        session = _session(shape, Random(f"plan {shape} {seed}"))
        if estimates:
            tickets = session.plan.tickets
            session = Session(
                replace(
                    session.plan,
                    tickets={id_: replace(tickets[id_], estimate=estimates[id_]) for id_ in tickets},
                ),
                checks=False,
            )
        else:
            session.tell(rq.HistoryRead(summaries(runs)))
        return session

    whole, _ = _course(begun(), took, [], ask)
    shares = [0.0, 0.5, *(0.1 + 0.8 * look / (looks - 1) for look in range(looks))]
    places = sorted({share * whole: share for share in shares}.items())
    _, found = _course(begun(), took, [at for at, _ in places], ask)
    said = [
        Said(share, eta.p50, eta.p90, whole - at)
        for (at, share), eta in zip(places, found, strict=True)
        if eta is not None
    ]
    return sorted(said, key=lambda each: each.done != 0.5)


def _course(session: Session, took: dict[str, float], looks: list[float], ask: Ask) -> tuple[float, list[Eta | None]]:
    """Run it to its end: the seconds that it took, and what the ETA said after these many seconds."""
    began, ends, found = session.now, list[tuple[float, str]](), list[Eta | None]()
    while True:
        for id_ in session.dispatch():
            heappush(ends, (session.now + took[id_], id_))
        if not ends:
            return session.now - began, found
        next_, id_ = heappop(ends)
        while len(found) < len(looks) and began + looks[len(found)] < next_:
            session.now = began + looks[len(found)]
            found.append(ask(session.state, session.now))
        session.now = next_
        session.succeed(id_)


def figures(runs: list[list[Said]]) -> Figures:
    """What some runs tell of the ETA."""
    halves = [each[0] for each in runs if each and each[0].done == 0.5]
    points = [each for run in runs for each in run if each.done]
    starts = [each for run in runs for each in run if not each.done]
    return Figures(
        error=statistics.mean(abs(each.p50 - each.left) / each.left for each in halves),
        bias=statistics.mean((each.p50 - each.left) / each.left for each in halves),
        covered=sum(each.left <= each.p90 for each in points) / len(points),
        below_p50=sum(each.left <= each.p50 for each in points) / len(points),
        start=statistics.mean(abs(each.p50 - each.left) / each.left for each in starts),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="of each shape")
    parser.add_argument("--known", choices=("history", "exact", "estimates", "agree"), default="history")
    parser.add_argument("--simulated", action="store_true")
    arguments = parser.parse_args()
    ask, looks = (simulated, _LOOKS_SIMULATED) if arguments.simulated else (closed, LOOKS)
    said = {
        shape: [run(shape, seed, arguments.known, ask, looks) for seed in range(arguments.runs)] for shape in SHAPES
    }
    said["all"] = [each for runs in said.values() for each in runs]
    print(
        f"{'shape':8}{'runs':>6}{'error at half time':>20}{'bias':>8}{'within p90':>12}{'within p50':>12}{'start':>8}"
    )
    for shape, runs in said.items():
        found = figures(runs)
        print(
            f"{shape:8}{len(runs):6}{found.error:20.1%}{found.bias:+8.1%}{found.covered:12.1%}{found.below_p50:12.1%}"
            f"{found.start:8.1%}"
        )
    if arguments.known in ("exact", "agree"):
        return int(found.start > START)
    return int(found.error > ERROR or not COVERAGE[0] <= found.covered <= COVERAGE[1])


if __name__ == "__main__":
    sys.exit(main())
