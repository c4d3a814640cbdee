"""The survey of a plan before it is executed. Plans are written as TOML without `run`."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan import check as plan_check
from parexec_tui.core.plan import graph
from parexec_tui.core.plan.check import Survey, survey
from parexec_tui.core.plan.claims import Claims, Holdings
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.ticket import Ticket


def plan_of(text: str) -> Plan:
    return read_plan(f"defaults.run = 'x'\n{text}", source="p", folder="/work", format="toml")


def look(text: str, **options: Any) -> Survey:
    return survey(plan_of(text), **options)


def clashes(text: str, **options: Any) -> list[str]:
    return [f"{clash.first} {clash.second}: {clash.reason}" for clash in look(text, **options).clashes]


DIAMOND = """
[tickets]
A = {}
B.needs = ["A"]
C.needs = ["A"]
D.needs = ["B", "C"]
E.title = "e"
"""


def test_groups_and_the_widest_of_them() -> None:
    seen = look(DIAMOND)

    assert seen.groups == (2, 2, 1)
    assert seen.widest == 1


def test_without_estimates_the_critical_path_has_the_most_tickets() -> None:
    seen = look(DIAMOND)

    assert seen.critical_path == ("A", "B", "D")
    assert (seen.length, seen.estimated) == (None, 0)


def test_estimates_decide_and_the_median_stands_in_for_the_others() -> None:
    seen = look(DIAMOND + "C.estimate = '10s'\nE.estimate = '20s'\nD.estimate = '30s'")

    # A is taken to last 20 s, as the median does, and so is B: longer than C.
    assert seen.critical_path == ("A", "B", "D")
    assert (seen.length, seen.estimated) == (70, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tickets]\nA.locks = ['x', 'y']\nB.locks = ['y']\nC.locks = ['z']", ["A B: both lock y"]),
        ("[tickets]\nA.locks = ['x']\nM.needs = ['A']\nB = { locks = ['x'], needs = ['M'] }", []),
        (
            "[tickets]\nA.locks = ['x']\nB = { locks = ['x'], needs = ['A'] }\nC.locks = ['x']",
            ["A C: both lock x", "B C: both lock x"],
        ),
        ("[tickets]\nA.writes = ['o']\nB.writes = ['./o/**']", ["A B: both write o"]),
        ("[tickets]\nA.reads = ['o']\nB.reads = ['o']", []),
        ("[tickets]\nA.reads = ['o']\nB.writes = ['o']", ["A B: B writes o, A reads it"]),
        ("[tickets]\nA.writes = ['o/**']\nB.reads = ['o/x/y']\nC.writes = ['p']", ["A B: B reads o/x/y, A writes o"]),
        ("[tickets]\nA.writes = ['o/*.c']\nB.writes = ['o/a.*']", ["A B: B writes o/a.*, A writes o/*.c"]),
        ("[tickets]\nA.writes = ['o/*.c']\nB.writes = ['o/a.h']", []),
        ("[tickets]\nA.writes = ['**/x']\nB.writes = ['/work/o/x']", ["A B: B writes o/x, A writes **/x"]),
        ("[tickets]\nA.writes = ['oo']\nB.writes = ['o']", []),
        (
            "[resources]\ngpu = 3\n[tickets]\nA.uses.gpu = 2\nB.uses.gpu = 2\nC.uses.gpu = 1\nD.uses.gpu = 3",
            ["A B: gpu: 2 and 2 of 3", "A D: gpu: 2 and 3 of 3", "B D: gpu: 2 and 3 of 3", "C D: gpu: 1 and 3 of 3"],
        ),
        ("[tickets]\nA.uses.cpu = 3\nB.uses.cpu = 2", ["A B: cpu: 3 and 2 of 4"]),
        ("[tickets]\nA.uses.memory = '2G'\nB.uses.memory = '3G'", ["A B: memory: 2GiB and 3GiB of 4GiB"]),
        ("[resources]\ncpu = 8\n[tickets]\nA.uses.cpu = 3\nB.uses.cpu = 2", []),
        # The same two tickets, for more than one reason: the first one.
        (
            "[tickets]\nA = { locks = ['x'], writes = ['o'] }\nB = { locks = ['x'], writes = ['o'] }",
            ["A B: both lock x"],
        ),
    ],
)
def test_tickets_that_never_run_at_once_are_told_with_the_reason(text: str, expected: list[str]) -> None:
    assert sorted(clashes(text, host=Host(cpus=4, memory=2**32))) == expected


def test_a_ticket_does_not_clash_with_itself() -> None:
    assert clashes("[tickets.A]\nwrites = ['o', 'o/*']\nreads = ['o']") == []


def _many(count: int, **fields: Any) -> Plan:
    tickets = {f"T{i}": Ticket(run="x", **fields) for i in range(count)}
    return Plan(settings=PlanSettings(), tickets=tickets, agents={}, workdir="/work")


def test_only_so_many_are_listed_and_the_others_counted() -> None:
    seen = survey(_many(20, locks=("x",)), max_clashes=7)

    assert len(seen.clashes) == 7
    assert (seen.more_clashes, seen.is_complete) == (20 * 19 // 2 - 7, True)


def test_with_little_effort_what_was_found_is_a_lower_bound() -> None:
    seen = survey(_many(2000, writes=("x",)), effort=5000)

    assert not seen.is_complete
    assert 0 < len(seen.clashes) + seen.more_clashes <= 5000


def test_counting_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_check, "MAX_COUNTED", 50)
    seen = survey(_many(100, locks=("x",)))

    assert len(seen.clashes) + seen.more_clashes == 50
    assert not seen.is_complete


def test_a_long_chain_that_shares_a_lock_is_no_trouble() -> None:
    tickets = {f"T{i}": Ticket(run="x", locks=("x",), needs=(f"T{i - 1}",) if i else ()) for i in range(5000)}
    seen = survey(Plan(settings=PlanSettings(), tickets=tickets, agents={}, workdir="/work"), effort=20_000)

    assert (seen.clashes, seen.is_complete) == ((), True)


def test_a_last_ticket_that_reads_what_all_have_written_is_no_trouble() -> None:
    tickets = {f"T{i}": Ticket(run="x", writes=(f"out/{i}",)) for i in range(2000)}
    tickets |= {"M": Ticket(run="x", needs=tuple(tickets))}
    tickets |= {"L": Ticket(run="x", needs=("M",), reads=("out/**",))}
    seen = survey(Plan(settings=PlanSettings(), tickets=tickets, agents={}, workdir="/work"), effort=20_000)

    assert (seen.clashes, seen.is_complete) == ((), True)


def test_many_folders_are_not_compared_with_each_other() -> None:
    tickets = {f"T{i}": Ticket(run="x", writes=(f"out/{i}/**",), reads=("in/**",)) for i in range(5000)}
    seen = survey(Plan(settings=PlanSettings(), tickets=tickets, agents={}, workdir="/work"), effort=1000)

    assert (seen.clashes, seen.is_complete) == ((), True)


_PATTERNS = st.lists(st.sampled_from(["o", "o/*", "o/a", "o/*.c", "o/a/b", "**/b", "p/?", "p/x", "*"]), max_size=2)
_TICKETS = st.builds(
    Ticket,
    reads=_PATTERNS.map(tuple),
    writes=_PATTERNS.map(tuple),
    locks=st.lists(st.sampled_from("xyz"), max_size=1).map(tuple),
    uses=st.dictionaries(st.sampled_from(["gpu"]), st.integers(0, 3)).map(Amounts),
)


@st.composite
def plans(draw: Any) -> Plan:
    tickets: dict[str, Ticket] = {}
    for number, ticket in enumerate(draw(st.lists(_TICKETS, min_size=1, max_size=8))):
        before = draw(st.lists(st.sampled_from(sorted(tickets)), max_size=2, unique=True)) if tickets else []
        fields = {name: getattr(ticket, name) for name in ("reads", "writes", "locks", "uses")}
        tickets[f"T{number}"] = Ticket(run="x", needs=tuple(before), **fields)
    return Plan(settings=PlanSettings(), tickets=tickets, agents={}, resources=Resources(gpu=3), workdir="/work")


@given(plans())
def test_the_clashes_are_those_of_looking_at_every_pair(plan: Plan) -> None:
    dependencies = graph.build(plan.tickets)
    expected = set()
    for a, b in combinations(plan.tickets, 2):
        holdings = Holdings(plan.resources.amounts)
        holdings.take(a, Claims.of(plan.tickets[a], plan), 0)
        if b not in graph.ordered_dependents(dependencies, [a]) and holdings.conflict(
            Claims.of(plan.tickets[b], plan)
        ):
            expected.add((a, b))

    seen = survey(plan)

    assert {(clash.first, clash.second) for clash in seen.clashes} == expected
    assert seen.is_complete


def test_what_is_known_to_be_not_wanted_is_left_out_with_what_needs_it() -> None:
    found = look(
        """
[tickets.a]
run = "x"
estimate = "9s"
when = "1 > 2"
[tickets.b]
needs = ["a"]
run = "x"
[tickets.c]
after = ["a"]
run = "x"
estimate = "2s"
[tickets.d]
needs = ["c"]
when = "c.n > 1"
run = "x"
"""
    )
    assert (found.unwanted, found.groups, found.critical_path) == (("a", "b"), (1, 1), ("c", "d"))
