"""List scheduling, beside a plain one that looks at every ready ticket whenever something ends."""

from heapq import heappop, heappush
from random import Random

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.schedule.listing import Lister
from parexec_tui.core.schedule.problem import Demand, Problem, problem_of
from tests.core.sessions import Session, plan


def drawn(random: Random) -> Plan:
    lines = []
    for number in range(random.choice([6, 20, 50])):
        words = [f"T{number}: estimate={random.choice([1, 2, 3, 5, 8])}s"]
        words += [f"T{need}" for need in random.sample(range(number), min(number, random.randrange(3)))]
        for chance, word in (
            (0.4, f"locks=l{random.randrange(3)}"),
            (0.4, f"uses=gpu:{random.randrange(1, 4)}"),
            (0.3, f"writes=d{random.randrange(4)}/**"),
            (0.3, f"reads=d{random.randrange(4)}/x"),
            (0.6, f"agent={random.choice('ab')}"),
        ):
            if random.random() < chance:
                words.append(word)
        lines.append(" ".join(words))
    agents = {"a": AgentType(max=random.choice([1, 2, 4])), "b": AgentType(max=random.choice([None, 1, 3]))}
    resources = {"gpu": random.choice([3, 4, 7])}
    return plan("\n".join(lines), agents=agents, resources=resources, parallel=random.choice([1, 2, 4, 30]))


def plainly(problem: Problem, places: list[int]) -> list[float]:
    """When each ticket starts: after each end the best first, and each that fits."""
    free, room = problem.capacities.copy(), problem.room.copy()
    idle: list[list[int]] = [[] for _ in room]
    order = sorted(range(len(places)), key=places.__getitem__)
    starts: dict[int, float] = {}
    running: list[tuple[float, int, int]] = []
    over: set[int] = set()
    type_of: dict[int, int] = {}
    now, turn = 0.0, 0

    def holds_files(ticket: int) -> set[int]:
        return set(problem.demands[problem.demand_of[ticket]].files)

    def type_for(types: tuple[int, ...]) -> int | None:
        longest = (
            min((idle[type_][0], type_) for type_ in types if idle[type_]) if any(idle[t] for t in types) else None
        )
        return longest[1] if longest else next((type_ for type_ in types if room[type_] > 0), None)

    while True:
        for ticket in order:
            demand = problem.demands[problem.demand_of[ticket]]
            if ticket in starts or not over.issuperset(problem.before[ticket]):
                continue
            held = {other for _, _, each in running for file in holds_files(each) for other in problem.clashes[file]}
            if any(free[thing] < amount for thing, amount in demand.amounts) or held & holds_files(ticket):
                continue
            if demand.types:
                if (type_ := type_for(demand.types)) is None:
                    continue
                type_of[ticket] = type_
                if idle[type_]:
                    idle[type_].pop(0)
                else:
                    room[type_] -= 1
            for thing, amount in demand.amounts:
                free[thing] -= amount
            heappush(running, (now + problem.durations[ticket], len(starts), ticket))
            starts[ticket] = now
        if not running:
            return [starts[ticket] for ticket in range(len(places))]
        now = running[0][0]
        while running and running[0][0] <= now:
            _, _, ticket = heappop(running)
            over.add(ticket)
            for thing, amount in problem.demands[problem.demand_of[ticket]].amounts:
                free[thing] += amount
            if ticket in type_of:
                turn += 1
                idle[type_of[ticket]].append(turn)


@pytest.mark.parametrize("seed", range(60))
def test_it_starts_what_a_look_at_every_ready_ticket_would_start(seed: int) -> None:
    random = Random(seed)
    session = Session(drawn(random))
    problem = problem_of(session.state, session.now)
    assert problem is not None
    places = list(range(len(problem.ids)))
    random.shuffle(places)
    found = Lister(problem).by_places(places)
    assert found.starts == plainly(problem, places)
    assert found.started == len(places)


class Counted(list[Demand]):
    """Counts how often demands are looked at."""

    looks = 0

    def __getitem__(self, at: int) -> Demand:  # type: ignore[override]
        self.looks += 1
        return super().__getitem__(at)


def test_few_tickets_are_looked_at_where_hundreds_that_want_different_things_wait_for_an_agent() -> None:
    text = "\n".join(f"T{number}: estimate={1 + number % 7}s locks=l{number}" for number in range(400))
    session = Session(plan(text, agents={"a": AgentType(max=2), "b": AgentType(max=2)}, parallel=9))
    problem = problem_of(session.state, session.now)
    assert problem is not None
    demands = Counted(problem.demands)
    lister = Lister(structs.replace(problem, demands=demands))
    demands.looks = 0
    assert lister.by_paths().started == 400
    assert demands.looks < 10 * 400
