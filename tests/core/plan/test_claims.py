"""Tickets that claim the same have equal claims; holdings never hold two that conflict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan import claims as claims_room
from parexec_tui.core.plan.claims import EMPTY, ClaimKey, Claims, Conflict, Held, Holdings
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import Pattern, overlap
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.ticket import Ticket

ROOT = "/work/plan"


def claims(
    *,
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    locks: tuple[str, ...] = (),
    uses: dict[str, float] | None = None,
) -> Claims:
    ticket = Ticket(run="true", reads=reads, writes=writes, locks=locks, uses=Amounts(uses or {}))
    return Claims.of(ticket, Plan(settings=PlanSettings(), tickets={}, agents={}, workdir=ROOT))


# --- Claims of a ticket ---


def test_tickets_that_claim_nothing_share_one_instance() -> None:
    assert claims() is EMPTY
    assert claims(uses={"gpu": 0}) is EMPTY


def test_the_same_claims_are_equal_however_they_are_written() -> None:
    a = claims(reads=("b", "./a", "a/**"), locks=("y", "x", "y"), uses={"cpu": 1, "gpu": 2, "tpu": 0})
    b = claims(reads=("a", "b"), locks=("x", "y"), uses={"gpu": 2, "cpu": 1})
    assert a == b
    assert hash(a) == hash(b)
    assert a != claims(writes=("a", "b"), locks=("x", "y"), uses={"gpu": 2, "cpu": 1})


def test_a_bad_pattern_of_a_ticket_is_refused() -> None:
    with pytest.raises(ValueError, match="braces"):
        claims(writes=("ok", "{a,b}"))


# --- Holdings ---


@pytest.mark.parametrize(
    ("held", "wanted", "words"),
    [
        (claims(writes=("out/a.txt",)), claims(writes=("out/*",)), "writes out/* while T3 writes out/a.txt"),
        (claims(writes=("out/**",)), claims(reads=("out/a.txt",)), "reads out/a.txt while T3 writes out"),
        (claims(reads=("out",)), claims(writes=("**/a",)), "writes **/a while T3 reads out"),
        (claims(reads=("/work",)), claims(writes=("a",)), "writes a while T3 reads /work"),
        (claims(writes=("a",)), claims(writes=("/wor?/plan/*",)), "writes /wor?/plan/* while T3 writes a"),
        (claims(locks=("registry",)), claims(locks=("registry",)), "lock registry is held by T3"),
        (claims(uses={"gpu": 1}), claims(uses={"gpu": 2}), "needs 2 gpu, 1 of 2 free"),
        (claims(uses={"cpu": 3.5}), claims(uses={"cpu": 0.75}), "needs 0.75 cpu, 0.5 of 4 free"),
        (
            claims(uses={"memory": 768 << 20}),
            claims(uses={"memory": 512 << 20}),
            "needs 512MiB memory, 256MiB of 1GiB free",
        ),
    ],
)
def test_a_conflict_says_in_words_what_blocks(held: Claims, wanted: Claims, words: str) -> None:
    holdings = Holdings({"gpu": 2, "cpu": 4, "memory": 1 << 30})
    holdings.take("T3", held, 7.0)
    conflict = holdings.conflict(wanted)
    assert conflict is not None
    assert conflict.describe() == words
    assert (conflict.holder, conflict.since) == ("T3", 7.0)
    holdings.give_back("T3")
    assert holdings.conflict(wanted) is None


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (claims(reads=("out",)), claims(reads=("out/a",))),
        (claims(writes=("out/a",)), claims(writes=("out/b",))),
        (claims(writes=("src/**/*.py",)), claims(writes=("src/**/*.md",))),
        (claims(writes=("/usr/lib",)), claims(writes=("usr/lib",))),
        (claims(locks=("x",)), claims(locks=("y",))),
        (claims(uses={"gpu": 2}), claims(uses={"gpu": 0})),
        (claims(uses={"gpu": 2}), claims(uses={"cpu": 4})),
    ],
)
def test_what_does_not_conflict_is_held_together(held: Claims, wanted: Claims) -> None:
    holdings = Holdings({"gpu": 2, "cpu": 4})
    holdings.take("T1", held, 0.0)
    holdings.take("T2", wanted, 0.0)
    assert holdings.give_back("T1") == keys(held)


def test_conflicts_come_in_a_fixed_order() -> None:
    holdings = Holdings({"gpu": 1})
    holdings.take("T1", claims(reads=("b", "c"), uses={"gpu": 1}), 1.0)
    holdings.take("T2", claims(reads=("b",), writes=("a",), locks=("x",)), 2.0)
    found = list(holdings.conflicts(claims(reads=("a",), writes=("*",), locks=("x",), uses={"gpu": 1})))
    assert found == [
        Conflict(ClaimKey("lock", "x"), "lock", "x", "x", "T2", 2.0),
        Conflict(ClaimKey("read", "b"), "write", "*", "b", "T1", 1.0),
        Conflict(ClaimKey("read", "c"), "write", "*", "c", "T1", 1.0),
        Conflict(ClaimKey("write", "a"), "write", "*", "a", "T2", 2.0),
        Conflict(ClaimKey("write", "a"), "read", "a", "a", "T2", 2.0),
        Conflict(ClaimKey("resource", "gpu"), "resource", "gpu = 1", "0 of 1 free", "T1", 1.0),
    ]
    assert holdings.holders(ClaimKey("read", "b")) == ("T1", "T2")
    assert holdings.holders(ClaimKey("lock", "x")) == ("T2",)
    assert holdings.holders(ClaimKey("resource", "gpu")) == ("T1",)
    assert holdings.holders(ClaimKey("write", "b")) == ()


def test_a_key_is_freed_by_its_last_holder_and_a_resource_by_each() -> None:
    holdings = Holdings({"gpu": 2})
    shared = claims(reads=("docs/**",), uses={"gpu": 1})
    holdings.take("T1", shared, 1.0)
    holdings.take("T2", shared, 2.0)
    assert holdings.give_back("T1") == [("resource", "gpu")]
    assert holdings.give_back("T2") == [("read", "docs"), ("resource", "gpu")]


def test_all_that_is_held_is_told_with_who_holds_it_since_when() -> None:
    holdings = Holdings({"gpu": 4})
    holdings.take("T1", claims(reads=("docs",), uses={"gpu": 1}), 1.0)
    holdings.take("T2", claims(reads=("docs",), writes=("out",), locks=("db",), uses={"gpu": 2}), 2.0)
    assert list(holdings.held()) == [
        Held(ClaimKey("lock", "db"), (("T2", 2.0),)),
        Held(ClaimKey("read", "docs"), (("T1", 1.0), ("T2", 2.0))),
        Held(ClaimKey("write", "out"), (("T2", 2.0),)),
        Held(ClaimKey("resource", "gpu"), (("T1", 1.0), ("T2", 2.0))),
    ]
    assert (holdings.capacity("gpu"), holdings.free("gpu"), holdings.capacity("tpu")) == (4, 1, 0)
    holdings.give_back("T2")
    holdings.give_back("T1")
    assert list(holdings.held()) == []


def test_a_demand_above_what_there_is_names_no_holder() -> None:
    conflict = Holdings({"gpu": 1}).conflict(claims(uses={"gpu": 2}))
    assert conflict == Conflict(ClaimKey("resource", "gpu"), "resource", "gpu = 2", "1 of 1 free", "", 0.0)
    unknown = Holdings({}).conflict(claims(uses={"tpu": 1}))
    assert unknown is not None
    assert unknown.describe() == "needs 1 tpu, 0 of 0 free"


def test_the_holder_of_the_most_is_named_for_a_resource() -> None:
    holdings = Holdings({"gpu": 4})
    holdings.take("T1", claims(uses={"gpu": 1}), 1.0)
    holdings.take("T2", claims(uses={"gpu": 2}), 2.0)
    conflict = holdings.conflict(claims(uses={"gpu": 2}))
    assert conflict is not None
    assert (conflict.holder, conflict.since) == ("T2", 2.0)


@pytest.mark.parametrize("parts", [3, 6, 7, 10, 49])
def test_parts_of_a_cpu_fill_it_and_leave_nothing_behind(parts: int) -> None:
    holdings = Holdings({"cpu": 1})
    part = claims(uses={"cpu": 1 / parts})
    for number in range(parts):
        holdings.take(f"T{number}", part, 0.0)
    assert holdings.conflict(part)
    assert holdings.free("cpu") == pytest.approx(0, abs=1e-6)
    for number in range(parts):
        holdings.give_back(f"T{number}")
    assert holdings.free("cpu") == 1


def test_taking_what_conflicts_raises_and_changes_nothing() -> None:
    holdings = Holdings({})
    holdings.take("T1", claims(writes=("a",)), 0.0)
    with pytest.raises(RuntimeError, match="T2 may not take its claims: writes a while T1 writes a"):
        holdings.take("T2", claims(writes=("a",), locks=("x",)), 1.0)
    with pytest.raises(RuntimeError, match="T1 holds its claims already"):
        holdings.take("T1", EMPTY, 1.0)
    with pytest.raises(KeyError):
        holdings.give_back("T2")
    assert holdings.conflict(claims(locks=("x",))) is None


def keys(wanted: Claims) -> list[ClaimKey]:
    """What giving `wanted` back frees if nobody else holds any of it."""
    return [
        *(ClaimKey("lock", lock) for lock in wanted.locks),
        *(ClaimKey("write", each.text) for each in wanted.writes),
        *(ClaimKey("read", each.text) for each in wanted.reads),
        *(ClaimKey("resource", name) for name in sorted(wanted.uses)),
    ]


CAPACITIES = {"gpu": 2.0, "cpu": 1.1}


def blocking(wanted: Claims, held: dict[str, Claims]) -> set[tuple[str, ClaimKey]]:
    """The rules once more, in the plainest way: {(kind of my claim, key that blocks it)}."""
    found: set[tuple[str, ClaimKey]] = set()
    for other in held.values():
        found |= {("lock", ClaimKey("lock", lock)) for lock in set(wanted.locks) & set(other.locks)}
        pairs = [
            *(("write", a, "write", b) for a in wanted.writes for b in other.writes),
            *(("write", a, "read", b) for a in wanted.writes for b in other.reads),
            *(("read", a, "write", b) for a in wanted.reads for b in other.writes),
        ]
        found |= {(mine, ClaimKey(theirs, b.text)) for mine, a, theirs, b in pairs if overlap(a, b)}
    for name, amount in wanted.uses.items():
        if sum(other.uses.get(name, 0) for other in held.values()) + amount > CAPACITIES[name] + 1e-6:
            found.add(("resource", ClaimKey("resource", name)))
    return found


some_patterns = st.lists(
    st.sampled_from(
        [
            *("a", "a/b", "a/c", "a/b/c", "a/*", "*/b", "a/b*", "a/b*/**", "a/**/*b", "a/**/?c", "b", "**/c", "."),
            *("/work", "/usr/lib", "/*/plan/a", "/wor?", "/wor?/**"),
        ]
    ),
    max_size=2,
).map(tuple)
some_claims = st.builds(
    lambda reads, writes, locks, uses: claims(reads=reads, writes=writes, locks=locks, uses=uses),
    some_patterns,
    some_patterns,
    st.lists(st.sampled_from(["x", "y"]), max_size=1).map(tuple),
    st.fixed_dictionaries(
        {},
        optional={"gpu": st.sampled_from([0, 1, 2]), "cpu": st.sampled_from([0.1, 0.2, 0.3, 1 / 3])},
    ),
)


@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), some_claims), max_size=40))
def test_holdings_agree_with_the_plain_rules(steps: list[tuple[str, Claims]]) -> None:
    """A ticket that holds gives back; one that does not takes, if it may."""
    holdings = Holdings(CAPACITIES)
    held: dict[str, Claims] = {}
    for at, (ticket, wanted) in enumerate(steps):
        if ticket in held:
            mine = held.pop(ticket)
            others = {key for other in held.values() for key in keys(other)}
            expected = [key for key in keys(mine) if key.kind == "resource" or key not in others]
            assert holdings.give_back(ticket) == expected
            continue
        found = list(holdings.conflicts(wanted))
        assert {(conflict.kind, conflict.key) for conflict in found} == blocking(wanted, held)
        assert holdings.conflict(wanted) == (found[0] if found else None)
        for conflict in found:
            assert conflict.key in keys(held[conflict.holder])
            assert conflict.holder in holdings.holders(conflict.key)
        if not found:
            holdings.take(ticket, wanted, float(at))
            held[ticket] = wanted
        told = [(each.key, ticket) for each in holdings.held() for ticket, _ in each.holders]
        assert sorted(told) == sorted((key, ticket) for ticket, mine in held.items() for key in keys(mine))
    for ticket in held:
        holdings.give_back(ticket)
    assert {name: holdings.free(name) for name in CAPACITIES} == CAPACITIES
    assert not holdings._paths
    assert not holdings._at
    assert not holdings._below
    assert not holdings._locks


def test_a_ticket_is_compared_only_with_what_is_held_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = Holdings({})
    for number in range(1000):
        holdings.take(f"T{number}", claims(writes=(f"out/{number}.txt",)), 0.0)
    holdings.take("all", claims(reads=("docs/**/*.md",)), 0.0)
    compared: list[Pattern] = []

    def note(a: Pattern, b: Pattern) -> bool:
        compared.append(b)
        return overlap(a, b)

    monkeypatch.setattr(claims_room, "overlap", note)
    assert holdings.conflict(claims(writes=("out/new.txt",))) is None
    assert holdings.conflict(claims(writes=("out/7.txt",))) is not None
    assert holdings.conflict(claims(writes=("out/7.txt/x",))) is not None
    assert len(compared) == 2
