"""What it takes to ask what earlier sessions tell of a plan: `python tests/benchmarks/history.py`.

A registry with 1,000 sessions: the newest of them are of a plan with 10,000 tickets, the others of one with 100. Each
plan asks. Beside it, in the same call, what SQLite takes to read as many rows of the same table into Python. Prints
both, their ratio, and how SQLite finds the rows; exits 1 if a query is slower than promised, or reads all of a table
of attempts.
"""

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.wire import codec
from parexec_tui.registry import history
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry

PROMISED = 8.0
"""Times the CPU seconds that it takes to read the rows."""

SESSIONS = 1000
LARGE = 15
"""How many of them are of the large plan."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def plan_of(name: str, count: int) -> Plan:
    tickets = {f"T{number:05}": Ticket(title=f"Part {number}", run=f"make part-{number}") for number in range(count)}
    source = f"/home/ada/{name}/plan.toml"
    return Plan(settings=PlanSettings(name=name), tickets=tickets, agents={}, workdir="/home/ada", source=source)


def write(registry: Registry, plan: Plan, number: int, seed: random.Random) -> None:
    """A session of the plan in which all succeeded, a few of them only when they were tried again."""
    now = NOW + timedelta(minutes=number)
    session = registry.start_session(
        now,
        name=plan.settings.name,
        plan=codec.encode_plan(plan),
        source=plan.source,
        folder=lambda id_: f"/state/{id_}",
        workdir=plan.workdir,
        boot="b00t",
        pid=42,
    )
    facts: list[AttemptFact] = []
    for id_ in plan.tickets:
        began = now.timestamp()
        if seed.random() < 0.03:
            facts.append(AttemptFact(id_, len(facts), "a", began, began + 1, "failed", 1))
        took = seed.lognormvariate(2, 0.4)
        peak = int(seed.lognormvariate(18, 0.3))
        facts.append(AttemptFact(id_, len(facts), "a", began, began + took, "succeeded", 0, peak_memory=peak))
    registry.append(session, [], attempts=facts)


def best(do: Callable[[], object], tries: int = 3) -> float:
    """The CPU seconds of the fastest call."""
    found = float("inf")
    for _ in range(tries):
        began = time.process_time()
        do()
        found = min(found, time.process_time() - began)
    return found


def main() -> int:
    seed = random.Random(1)
    small, large = plan_of("small", 100), plan_of("large", 10_000)
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "registry.db"
        with Registry.open(file) as registry:
            for number in range(SESSIONS):
                write(registry, small if number < SESSIONS - LARGE else large, number, seed)
            registry.checkpoint()
        raw = sqlite3.connect(file)
        (rows,) = raw.execute("SELECT count(*) FROM attempts").fetchone()
        print(f"{SESSIONS:,} sessions, {rows:,} attempts, {file.stat().st_size / 1e6:.0f} MB")
        with Registry.open(file, read_only=True) as registry:
            for plan in (small, large):
                read = sum(map(len, registry.past_attempts(plan).values()))
                took = best(lambda: registry.history(plan))  # noqa: B023 - it is called here
                query = f"SELECT * FROM attempts ORDER BY session DESC LIMIT {read}"
                plain = best(lambda: raw.execute(query).fetchall())  # noqa: B023
                slow |= took > PROMISED * plain
                print(
                    f"{len(plan.tickets):6,} tickets: {took * 1000:6.1f} ms for {read:,} attempts; "
                    f"to read as many rows: {plain * 1000:.1f} ms; ratio {took / plain:.1f} of {PROMISED:g}"
                )
        for query, values in ((history._SESSIONS_AT, ("[]", "", 1)), (history._ENDS, (1,))):
            steps = [detail for *_, detail in raw.execute(f"EXPLAIN QUERY PLAN {query}", values)]
            print("; ".join(steps))
            slow |= "SCAN attempts" in steps
        raw.close()
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
