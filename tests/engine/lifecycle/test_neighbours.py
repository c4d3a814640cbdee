"""Which living sessions claim the same. That a session lives is its lock, so the tests hold it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.client.sessions import others_living
from parexec_tui.core.plan.footprint import Footprint, Touch
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import Pattern, overlap, parse_pattern
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.engine.lifecycle import neighbours
from parexec_tui.engine.lifecycle.admission import admit
from parexec_tui.engine.lifecycle.neighbours import Findings, Links, find_neighbours, find_neighbours_of
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from tests.core.sessions import Session
from tests.engine.lifecycle.living import living, plan_in, remember

WRITES_OUT = '[tickets.T3]\nrun = "true"\nwrites = ["out/**"]\n'


def ticket(id_: str, *, reads: str = "", writes: str = "") -> str:
    lists = "".join(f"{kind} = {[text]}\n" for kind, text in (("reads", reads), ("writes", writes)) if text)
    return f'[tickets.{id_}]\nrun = "true"\n{lists}'


@pytest.fixture
def alive() -> Iterator[Callable[[str], str]]:
    """Let a session live until the test ends."""
    with ExitStack() as locks:
        yield lambda session: locks.enter_context(living(session))


def found(plan: Plan) -> Findings:
    with Registry.open(registry_file()) as registry:
        return find_neighbours(registry, plan, others_living(registry))


def going_on(registry: Registry, session: str, tickets: Sequence[str] | None = None) -> Findings:
    return find_neighbours_of(registry, session, others_living(registry, session), tickets)


def reasons(plan: Plan) -> list[str]:
    """Why the only living session is a neighbour; nothing if it is none."""
    findings = found(plan)
    assert not findings.unsure
    return [reason for each in findings.neighbours for reason in each.reasons]


Alive = Callable[[str], str]


def test_the_members_of_a_stored_family_are_neighbours(tmp_path: Path, alive: Alive) -> None:
    family = '[tickets.part]\nforeach = { n = "1..99" }\nrun = "true"\nwrites = ["out/{n}"]\n'
    alive(remember(plan_in(tmp_path / "w", family, "other.toml")))
    assert reasons(plan_in(tmp_path / "w", ticket("b", reads="out/77"))) == [
        "b reads out/77, its part-77 writes out/77"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ({"writes": "out/**"}, {"writes": "out/**"}, "b and its T3 both write out/**"),
        ({"writes": "out"}, {"reads": "out/a/b.txt"}, "b reads out/a/b.txt, its T3 writes out"),
        ({"writes": "out/a.txt"}, {"writes": "out"}, "b writes out, its T3 writes out/a.txt"),
        ({"reads": "src/*.c"}, {"writes": "src/a*"}, "b writes src/a*, its T3 reads src/*.c"),
        ({"writes": "../w/x"}, {"writes": "x"}, "b writes x, its T3 writes ../w/x"),
        ({"reads": "src"}, {"reads": "src"}, ""),
        ({"writes": "out/*.log"}, {"writes": "out/*.txt"}, ""),
        ({"writes": "outer"}, {"writes": "out"}, ""),
        ({}, {"writes": "**"}, ""),
    ],
)
def test_who_is_a_neighbour(
    tmp_path: Path, alive: Alive, theirs: dict[str, str], ours: dict[str, str], said: str
) -> None:
    alive(remember(plan_in(tmp_path / "w", ticket("T3", **theirs), "other.toml")))
    assert reasons(plan_in(tmp_path / "w", ticket("b", **ours))) == [said] * bool(said)


_names = st.sampled_from(["a", "b", "a b", "*", "**", "a*", "[ab]", "[[]", ".", "..", ""])
_texts = st.builds(
    lambda start, names, end: start + "/".join(names) + end,
    st.sampled_from(["", "/", "/work/", "/work/plan/", "../", "./"]),
    st.lists(_names, min_size=1, max_size=4),
    st.sampled_from(["", "/", "/**"]),
)


@given(st.lists(_texts, min_size=1, max_size=4), st.lists(_texts, min_size=1, max_size=4))
def test_nothing_that_overlaps_is_left_out_early(ours: list[str], theirs: list[str]) -> None:
    def parsed(texts: list[str]) -> dict[str, Pattern]:
        found: dict[str, Pattern] = {}
        for text in texts:
            with suppress(ValueError):
                found[text] = parse_pattern(text, "/work/plan")
        return found

    footprint = Footprint()
    for text, pattern in parsed(ours).items():
        footprint.add(Touch("a", "write", pattern, text))
    near = set(neighbours._near(parsed(theirs), "/work/plan", Links(looks=0), footprint))
    for text, pattern in parsed(theirs).items():
        if any(overlap(pattern, each) for each in parsed(ours).values()):
            assert text in near


def test_a_path_of_another_folder_is_said_in_full(tmp_path: Path, alive: Alive) -> None:
    alive(remember(plan_in(tmp_path / "v", ticket("T3", writes="../w/out"))))
    expected = f"b writes out/x, its T3 writes {tmp_path}/w/out"
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="out/x"))) == [expected]


def test_sessions_in_other_folders_are_no_neighbours(tmp_path: Path, alive: Alive) -> None:
    alive(remember(plan_in(tmp_path / "v", WRITES_OUT)))
    assert reasons(plan_in(tmp_path / "w", WRITES_OUT)) == []


def test_the_same_plan_in_the_same_folder_is_one_though_it_claims_nothing(tmp_path: Path, alive: Alive) -> None:
    alive(remember(plan_in(tmp_path / "w", ticket("a"))))
    (tmp_path / "link").symlink_to(tmp_path / "w")
    assert reasons(plan_in(tmp_path / "w", ticket("a"))) == [neighbours.SAME_PLAN]
    assert reasons(plan_in(tmp_path / "link", ticket("a") + ticket("new"))) == [neighbours.SAME_PLAN]
    assert reasons(plan_in(tmp_path / "w", ticket("a"), "other.toml")) == []
    assert reasons(plan_in(tmp_path / "v", ticket("a"))) == []


def test_of_plans_from_a_pipe_the_content_tells(tmp_path: Path, alive: Alive) -> None:
    def piped(text: str) -> Plan:
        return read_plan(text, source="-", folder=str(tmp_path), format="toml")

    alive(remember(piped(ticket("a"))))
    assert reasons(piped(ticket("a"))) == [neighbours.SAME_PLAN]
    assert reasons(piped(ticket("b"))) == []


@pytest.mark.parametrize("inside", ["", "/deep/er"])
def test_folders_are_compared_as_they_really_are(tmp_path: Path, alive: Alive, inside: str) -> None:
    """Links on the way to the workdir, to a claimed folder, and as what is claimed itself."""
    (tmp_path / "w/real").mkdir(parents=True)
    (tmp_path / "w/file").symlink_to(f"real{inside}/x")
    (tmp_path / "v").mkdir()
    (tmp_path / "v/elsewhere").symlink_to("../w/real")
    (tmp_path / "linked").symlink_to("w")
    alive(remember(plan_in(tmp_path / "linked", ticket("T3", writes=f"real{inside}/*"))))
    assert reasons(plan_in(tmp_path / "v", ticket("a", writes=f"elsewhere{inside}/x"))) != []
    assert reasons(plan_in(tmp_path / "v", ticket("b", writes=f"elsewhere{inside}/[x-z]*"))) != []
    assert reasons(plan_in(tmp_path / "w", ticket("c", reads="file"), "other.toml")) != []
    assert reasons(plan_in(tmp_path / "v", ticket("d", reads=f"../linked/real{inside}/x"))) != []
    assert reasons(plan_in(tmp_path / "v", ticket("e", writes=f"real{inside}/x"))) == []


def test_links_in_a_circle_and_very_deep_folders_do_no_harm(tmp_path: Path, alive: Alive) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/round").symlink_to("round")
    deep = "d/" * 1500
    alive(remember(plan_in(tmp_path / "w", ticket("T3", writes=f"{deep}x"), "other.toml")))
    assert reasons(plan_in(tmp_path / "w", ticket("a", writes="round/x"))) == []
    assert reasons(plan_in(tmp_path / "w", ticket("a", writes=f"{deep}x/y"))) != []


def test_after_so_many_looks_at_the_disk_names_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "link").symlink_to("to")
    links = Links(looks=0)
    assert links.real(f"{tmp_path}/link/") == f"{tmp_path}/link/"
    assert Links().real(f"{tmp_path}/link/x/") == f"{tmp_path}/to/x/"


def test_a_dead_session_is_no_neighbour_and_its_plan_is_not_read(tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "w", WRITES_OUT)
    remember(plan)
    with patch.object(Registry, "plan", side_effect=AssertionError("it was read")):
        assert admit(plan, beside=False, warn=pytest.fail) == ()


@pytest.mark.parametrize("status", ["finished", "stopped", "not started"])
def test_a_session_whose_engine_is_just_leaving_is_none(tmp_path: Path, alive: Alive, status: str) -> None:
    plan = plan_in(tmp_path / "w", WRITES_OUT)
    alive(remember(plan, status=status))
    assert found(plan) == Findings()


def lived(plan: Plan, *finished: str, then: tuple[ev.AnyEvent, ...] = ()) -> list[ev.AnyEvent]:
    """The events of a session of this plan in which these tickets have succeeded."""
    session = Session(plan)
    for id_ in finished:
        session.dispatch()
        session.succeed(id_)
    for event in then:
        session.apply(event)
    return list(session.journal)


def test_tickets_that_are_over_do_not_count(tmp_path: Path, alive: Alive) -> None:
    theirs = plan_in(tmp_path / "w", ticket("T1", writes="one") + ticket("T2", writes="two"), "other.toml")
    alive(remember(theirs, *lived(theirs, "T1")))
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="one"))) == []
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="two"))) != []


def test_what_was_added_and_changed_meanwhile_counts(tmp_path: Path, alive: Alive) -> None:
    theirs = plan_in(tmp_path / "w", ticket("T1", writes="one"), "other.toml")
    new = plan_in(tmp_path / "w", ticket("T1", writes="three") + ticket("T2", writes="two")).tickets
    amended = ev.PlanAmended(at=2e9, added={"T2": new["T2"]}, changed={"T1": new["T1"]})
    alive(remember(theirs, *lived(theirs, then=(amended,))))
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="one"))) == []
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="two"))) != []
    assert reasons(plan_in(tmp_path / "w", ticket("b", writes="three"))) != []


def test_of_a_session_that_goes_on_only_what_is_left_counts(tmp_path: Path, alive: Alive) -> None:
    ours = plan_in(tmp_path / "w", ticket("T1", writes="one") + ticket("T2", writes="two"))
    session = remember(ours, *lived(ours, "T1"))
    with Registry.open(registry_file()) as registry:
        assert going_on(registry, session) == Findings()
        alive(session)
        assert going_on(registry, session) == Findings()  # it is no neighbour of itself
        alive(remember(plan_in(tmp_path / "w", ticket("x", writes="one"), "other.toml")))
        assert going_on(registry, session) == Findings()
        assert going_on(registry, session, ["T1"]).neighbours  # it is to run again
        alive(remember(plan_in(tmp_path / "w", ticket("x", writes="two"), "third.toml")))
        assert len(going_on(registry, session).neighbours) == 1


def test_of_a_finished_session_any_ticket_may_be_taken_up(tmp_path: Path, alive: Alive) -> None:
    ours = plan_in(tmp_path / "w", ticket("T1", writes="one"))
    session = remember(ours, *lived(ours, "T1"), status="finished")
    alive(remember(plan_in(tmp_path / "w", ticket("x", writes="one"), "other.toml")))
    with Registry.open(registry_file()) as registry:
        assert going_on(registry, session).neighbours


def test_only_a_few_clashes_are_named(tmp_path: Path, alive: Alive) -> None:
    many = "".join(ticket(f"T{number}", writes=f"out/{number}") for number in range(20))
    alive(remember(plan_in(tmp_path / "w", many, "other.toml")))
    assert len(reasons(plan_in(tmp_path / "w", ticket("b", writes="out")))) == 3


def test_a_damaged_plan_is_said_and_stops_nobody(tmp_path: Path, alive: Alive) -> None:
    session = alive(remember(plan_in(tmp_path / "w", WRITES_OUT, "other.toml")))
    with Registry.open(registry_file()) as registry:
        registry._db.execute("UPDATE plans SET plan = CAST(replace(plan, 'out', 'oot') AS BLOB)")
    findings = found(plan_in(tmp_path / "w", WRITES_OUT))
    assert findings.neighbours == ()
    assert len(findings.unsure) == 1
    assert session in findings.unsure[0]


def test_what_is_too_much_to_compare_is_said(tmp_path: Path, alive: Alive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_EFFORT", 10)
    both = ["".join(ticket(f"T{number}", writes=f"out/*/{name}{number}") for number in range(20)) for name in "ab"]
    alive(remember(plan_in(tmp_path / "w", both[0], "other.toml")))
    findings = found(plan_in(tmp_path / "w", both[1]))
    assert findings.neighbours == ()
    assert len(findings.unsure) == 1
