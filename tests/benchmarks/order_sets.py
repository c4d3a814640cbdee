"""Plans for the benchmark of the order search, with what is known of their best schedules.

Task graphs without resources: cut out of a full Gantt chart, so that the optimum is known, or random layers as in the
Standard Task Graph set (T. Tobita, H. Kasahara, 2002), against a lower bound. Projects with four renewable resources
by the parameters of PSPLIB (R. Kolisch, A. Sprecher, 1996): NC needs for each ticket, RF resources that each uses, RS
how much there is of them; the optimum is proved by CP-SAT. All by a seed.
"""

import random
from collections.abc import Iterator

from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration


class Instance(Struct):
    """A plan to schedule; durations are whole seconds."""

    name: str
    durations: list[int]
    needs: list[list[int]]
    uses: list[dict[str, int]]
    capacities: dict[str, int]
    parallel: int
    best: float = 0.0
    """The optimum, or a lower bound of it."""
    is_proved: bool = False

    def plan(self) -> Plan:
        tickets = {
            f"T{number}": Ticket(
                run="true",
                needs=tuple(f"T{need}" for need in self.needs[number]),
                uses=Amounts(self.uses[number]),
                estimate=Duration(seconds),
            )
            for number, seconds in enumerate(self.durations)
        }
        return Plan(
            settings=PlanSettings(name=self.name, parallel=self.parallel),
            tickets=tickets,
            agents={"agent": AgentType()},
            resources=Resources(dict(self.capacities)),
            workdir="/work",
        )


def cut_charts(seed: int, count: int) -> Iterator[Instance]:
    """Task graphs that fit m machines without a gap, so that the length of the chart is the optimum."""
    for number in range(count):
        rng = random.Random(f"chart {seed} {number}")
        machines, length = rng.choice([2, 3, 4, 8, 16]), rng.choice([200, 500, 1000])
        pieces = []
        for _ in range(machines):
            most = rng.choice([5, 20, 60])
            at = 0
            while at < length:
                takes = min(length - at, rng.randint(1, most))
                pieces.append((at, at + takes))
                at += takes
        rng.shuffle(pieces)
        degree = rng.choice([0.5, 1.0, 2.0, 4.0])
        needs: list[list[int]] = []
        for start, _ in pieces:
            before = [other for other, (_, end) in enumerate(pieces) if end <= start]
            near = sorted(before, key=lambda other: start - pieces[other][1])[: 4 * machines]
            wanted = min(len(near), round(rng.expovariate(1 / degree)))
            needs.append(rng.sample(near, wanted))
        durations = [end - start for start, end in pieces]
        uses: list[dict[str, int]] = [{} for _ in pieces]
        yield Instance(f"chart{number}", durations, needs, uses, {}, machines, float(length), True)


def task_graphs(seed: int, count: int) -> Iterator[Instance]:
    """Random layered graphs on m machines; `best` is the lower bound of critical path and work."""
    for number in range(count):
        rng = random.Random(f"graph {seed} {number}")
        tickets, machines = rng.choice([50, 100, 300]), rng.choice([2, 4, 8, 16])
        width = rng.choice([4, 10, 30])
        layer = sorted(rng.randrange(max(2, tickets // width)) for _ in range(tickets))
        durations = [
            rng.randint(1, 10) if number % 2 else max(1, round(rng.expovariate(1 / 20))) for _ in range(tickets)
        ]
        needs = []
        for ticket in range(tickets):
            near = [other for other in range(ticket) if layer[ticket] - 3 <= layer[other] < layer[ticket]]
            needs.append(rng.sample(near, min(len(near), rng.choice([1, 1, 2, 3, 5]))))
        instance = Instance(f"graph{number}", durations, needs, [{} for _ in needs], {}, machines)
        instance.best = lower_bound(instance)
        yield instance


def projects(seed: int, tickets: int, each: int = 1) -> Iterator[Instance]:
    """Projects with four resources; `each`: how many for each of the 48 cells of NC, RF and RS. `best` is open."""
    for needs_each in (1.5, 1.8, 2.1):
        for factor in (0.25, 0.5, 0.75, 1.0):
            for strength in (0.2, 0.5, 0.7, 1.0):
                for number in range(each):
                    name = f"p{tickets}-{needs_each}-{factor}-{strength}-{number}"
                    yield _project(name, random.Random(f"{name} {seed}"), tickets, needs_each, factor, strength)


def _project(
    name: str, rng: random.Random, tickets: int, needs_each: float, factor: float, strength: float
) -> Instance:
    needs = _network(rng, tickets, needs_each)
    durations = [rng.randint(1, 10) for _ in range(tickets)]
    names = ["r1", "r2", "r3", "r4"]
    pairs = [(ticket, resource) for ticket in range(tickets) for resource in names]
    rng.shuffle(pairs)
    uses: list[dict[str, int]] = [{} for _ in range(tickets)]
    for ticket in range(tickets):
        uses[ticket][rng.choice(names)] = rng.randint(1, 10)
    wanted = round(factor * len(pairs))
    for ticket, resource in pairs:
        if sum(map(len, uses)) >= wanted:
            break
        uses[ticket].setdefault(resource, rng.randint(1, 10))
    starts: list[int] = []
    for ticket in range(tickets):
        starts.append(max((starts[need] + durations[need] for need in needs[ticket]), default=0))
    capacities = {}
    for resource in names:
        least = max((each.get(resource, 0) for each in uses), default=0)
        peak = max(
            sum(
                uses[ticket].get(resource, 0)
                for ticket in range(tickets)
                if starts[ticket] <= at < starts[ticket] + durations[ticket]
            )
            for at in range(max(starts) + 10)
        )
        capacities[resource] = max(1, least + round(strength * (peak - least)))
    return Instance(name, durations, needs, uses, capacities, tickets)


def _network(rng: random.Random, tickets: int, needs_each: float) -> list[list[int]]:
    """Needs without those that others imply, at most three of and for each ticket, in the manner of ProGen."""
    needs: list[set[int]] = [set() for _ in range(tickets)]
    above: list[set[int]] = [set() for _ in range(tickets)]
    users = [0] * tickets
    for ticket in range(3, tickets):
        free = [other for other in range(ticket) if users[other] < 3] or list(range(ticket))
        need = rng.choice(free)
        needs[ticket].add(need)
        users[need] += 1
    for ticket in range(tickets - 3):
        if not users[ticket]:
            later = [other for other in range(ticket + 1, tickets) if len(needs[other]) < 3 and other >= 3]
            if later:
                needs[rng.choice(later)].add(ticket)
                users[ticket] += 1

    def close() -> None:
        for ticket in range(tickets):
            above[ticket] = set().union(*(above[need] | {need} for need in needs[ticket])) if needs[ticket] else set()

    close()
    edges = sum(map(len, needs))
    for _ in range(20 * tickets):
        if edges >= round(needs_each * (tickets + 2)) - 6:
            break
        ticket = rng.randrange(3, tickets)
        need = rng.randrange(ticket)
        if need in above[ticket] or len(needs[ticket]) >= 3 or users[need] >= 3:
            continue
        implied = any(
            each in above[other] and (need in above[each] or need == each)
            for other in range(tickets)
            for each in needs[other]
            if other == ticket or ticket in above[other]
        )
        if implied:
            continue
        needs[ticket].add(need)
        users[need] += 1
        edges += 1
        close()
    return [sorted(each) for each in needs]


def lower_bound(instance: Instance) -> float:
    """The longest chain, and the work of all shared among the slots and resources."""
    ends: list[int] = []
    for seconds, needs in zip(instance.durations, instance.needs, strict=True):  # these stand before it
        ends.append(seconds + max((ends[need] for need in needs), default=0))
    bounds = [max(ends, default=0), -(-sum(instance.durations) // instance.parallel)]
    for resource, capacity in instance.capacities.items():
        work = sum(
            seconds * each.get(resource, 0) for seconds, each in zip(instance.durations, instance.uses, strict=True)
        )
        bounds.append(-(-work // capacity))
    return float(max(bounds))


def prove(instance: Instance, seconds: float) -> None:
    """Find the optimum with CP-SAT, or what is known of it after so many seconds."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    horizon = sum(instance.durations)
    starts = [model.new_int_var(0, horizon, "") for _ in instance.durations]
    spans = [
        model.new_fixed_size_interval_var(start, takes, "")
        for start, takes in zip(starts, instance.durations, strict=True)
    ]
    end = model.new_int_var(0, horizon, "")
    for ticket, needs in enumerate(instance.needs):
        model.add(starts[ticket] + instance.durations[ticket] <= end)
        for need in needs:
            model.add(starts[need] + instance.durations[need] <= starts[ticket])
    for resource, capacity in instance.capacities.items():
        users = [ticket for ticket, each in enumerate(instance.uses) if each.get(resource)]
        model.add_cumulative([spans[t] for t in users], [instance.uses[t][resource] for t in users], capacity)
    if instance.parallel < len(starts):
        model.add_cumulative(spans, [1] * len(spans), instance.parallel)
    model.minimize(end)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    found = solver.solve(model)
    instance.is_proved = found == cp_model.OPTIMAL
    if found in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        instance.best = solver.objective_value
