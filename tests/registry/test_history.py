"""What earlier sessions of a plan tell: which sessions those are, and which tickets."""

import shutil
from pathlib import Path

import pytest
from msgspec import structs

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.wire import codec
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from tests.registry.registries import AT, start

FILE = "/nowhere/plan.toml"
"""A plan file that is gone."""


def plan_of(source: str | Path, name: str = "Build", **commands: str) -> Plan:
    tickets = "".join(f'[tickets.{id_}]\nrun = "{run}"\n' for id_, run in commands.items())
    text = f'[plan]\nname = "{name}"\n{tickets}'
    plan = read_plan(text, source=str(source), folder=str(Path(source).parent), format="toml")
    return structs.replace(plan, source=str(source))


def ran(registry: Registry, plan: Plan, *ends: tuple[str, float, str]) -> str:
    """A session of the plan, with attempts: (ticket, seconds, end)."""
    session = start(
        registry, name=plan.settings.name, plan=codec.encode_plan(plan), source=plan.source, workdir=plan.workdir
    )
    facts = [AttemptFact(id_, n, "a", AT, AT + seconds, end) for n, (id_, seconds, end) in enumerate(ends, 1)]
    registry.append(session, [], attempts=facts)
    return session


def medians(registry: Registry, plan: Plan, besides: str = "") -> dict[str, float]:
    return {id_: found.p50 for id_, found in registry.history(plan, besides=besides).items()}


def test_it_is_what_successes_took_and_not_those_of_who_asks(registry: Registry) -> None:
    build = plan_of(FILE, A="make", B="make b", C="make c")
    ran(registry, build, ("A", 10, "succeeded"), ("A", 500, "failed"))
    newest = ran(registry, build, ("A", 500, "failed"), ("A", 10, "succeeded"), ("B", 7, "succeeded"))
    ran(registry, build, ("C", 800, "failed"))
    ran(registry, build, ("C", -5, "succeeded"))  # the clock was set back
    found = registry.history(build)
    assert {id_: (each.p50, each.runs, each.flaky) for id_, each in found.items()} == {
        "A": (10, 2, 0.5),
        "B": (7, 1, 0),
    }
    assert medians(registry, build, besides=newest) == {"A": 10}
    assert registry.history(plan_of("/else/plan.toml", "Never run", A="make")) == {}


def test_what_an_attempt_took_is_what_its_end_tells_and_not_what_the_clock_does(registry: Registry) -> None:
    """It was frozen over night, or the clock was set in between."""
    build = plan_of(FILE, A="make")
    session = ran(registry, build)
    frozen = AttemptFact("A", 1, "a", AT, AT + 30_000, "succeeded", seconds=12.0)
    set_back = AttemptFact("A", 2, "a", AT, AT - 7200, "succeeded", seconds=12.0)
    registry.append(session, [], attempts=[frozen, set_back])
    assert (found := registry.history(build)["A"]).runs == 2
    assert found.p90 == 12
    assert [(each.ended, each.seconds) for each in registry.past_attempts(build)["A"]] == [
        (AT - 7200, 12),
        (AT + 30_000, 12),
    ]


def test_only_own_failures_make_a_success_a_flaky_one(registry: Registry) -> None:
    build = plan_of(FILE, A="make")
    ran(registry, build, ("A", 1, "stopped"), ("A", 1, "lost"), ("A", 5, "succeeded"), ("A", 6, "succeeded"))
    assert registry.history(build)["A"].flaky == 0
    ran(registry, build, ("A", 1, "timed out"), ("A", 1, "lost"), ("A", 5, "succeeded"), ("A", 6, "succeeded"))
    assert registry.history(build)["A"].flaky == 0.25


def test_plans_of_one_name_in_two_folders_are_two(registry: Registry, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, seconds in ((here, 5), (there, 50)):
        folder.mkdir()
        (folder / "plan.toml").touch()
        ran(registry, plan_of(folder / "plan.toml", A="make"), ("A", seconds, "succeeded"))
    assert medians(registry, plan_of(here / "plan.toml", A="make")) == {"A": 5}
    assert medians(registry, plan_of(there / "plan.toml", A="make")) == {"A": 50}


def test_a_file_is_the_same_by_another_path_and_under_another_title(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    ran(registry, plan_of(tmp_path / "real" / "plan.toml", "Old", A="make"), ("A", 5, "succeeded"))
    assert medians(registry, plan_of(tmp_path / "link" / "plan.toml", "New", A="make")) == {"A": 5}


def test_plans_from_streams_are_told_apart_by_title_and_folder(registry: Registry) -> None:
    def read_in(folder: str, name: str = "Build") -> Plan:
        return structs.replace(plan_of(f"{folder}/-", name, A="make"), source="-")

    ran(registry, read_in("/a"), ("A", 5, "succeeded"))
    assert medians(registry, read_in("/a")) == {"A": 5}
    assert medians(registry, read_in("/b")) == medians(registry, read_in("/a", "Other")) == {}


def test_a_plan_that_was_moved_keeps_its_history(registry: Registry, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name / "plan.toml" for name in ("first", "second", "third"))
    first.parent.mkdir()
    first.touch()
    ran(registry, plan_of(first, A="make"), ("A", 5, "succeeded"))
    moved = plan_of(second, A="make")
    assert medians(registry, moved) == {}, "the older file is there"
    shutil.move(first.parent, second.parent)
    assert medians(registry, moved) == {"A": 5}
    assert medians(registry, plan_of(second, A="cmake")) == {}, "nothing tells that it is the same plan"
    assert medians(registry, plan_of(second, "Test", A="make")) == {}
    session = ran(registry, moved, ("A", 6, "succeeded"))
    edited = plan_of(second, A="cmake", B="ninja")
    assert medians(registry, edited) == {"A": 5.569}, "it was moved before it was edited"
    assert medians(registry, edited, besides=session) == {}
    ran(registry, edited, ("B", 9, "succeeded"))
    shutil.move(second.parent, third.parent)
    assert medians(registry, plan_of(third, A="cmake", B="ninja")) == {"A": 5.569, "B": 9}, "and once more"


def test_a_file_that_had_sessions_at_the_same_time_was_not_moved(registry: Registry) -> None:
    here = plan_of("/here/plan.toml", A="make")
    ran(registry, here, ("A", 5, "succeeded"))
    ran(registry, plan_of("/there/plan.toml", A="make"), ("A", 50, "succeeded"))
    assert medians(registry, here) == {"A": 5}


@pytest.mark.parametrize("damage", [b"{", b'{"tickets":[]}', b"\xff"])
def test_a_plan_that_cannot_be_read_is_not_the_one_before_the_move(registry: Registry, damage: bytes) -> None:
    session = start(registry, plan=damage, source=FILE)
    registry.append(session, [], attempts=[AttemptFact("A", 1, "a", AT, AT + 5, "succeeded")])
    assert medians(registry, plan_of("/there/plan.toml", A="make")) == {}


def test_a_ticket_that_got_another_id_keeps_its_runs(registry: Registry) -> None:
    ran(registry, plan_of(FILE, old="make", other="ls"), ("old", 5, "succeeded"), ("other", 1, "succeeded"))
    renamed = plan_of(FILE, new="make", other="ls")
    assert medians(registry, renamed) == {"new": 5, "other": 1}
    ran(registry, renamed, ("new", 7, "succeeded"))
    assert registry.history(renamed)["new"].runs == 2, "also once it has runs of its own"
    again = plan_of(FILE, newer="make", other="ls")
    assert registry.history(again)["newer"].runs == 2


def test_a_ticket_is_not_taken_for_another_one(registry: Registry) -> None:
    ran(registry, plan_of(FILE, A="make", B="ls", C="ls"), *((id_, 5, "succeeded") for id_ in "ABC"))
    assert medians(registry, plan_of(FILE, D="cmake")) == {}, "it does something else"
    assert medians(registry, plan_of(FILE, A="make", D="make")) == {"A": 5}, "that one is still there"
    assert medians(registry, plan_of(FILE, D="ls")) == {}, "it may be one or the other"
    assert medians(registry, plan_of(FILE, D="make", E="make")) == {}, "the same"


def test_the_attempts_are_told_newest_first_also_those_that_failed(registry: Registry) -> None:
    first = ran(registry, plan_of(FILE, old="make"), ("old", 3, "failed"), ("old", 5, "succeeded"))
    build = plan_of(FILE, new="make")
    second = ran(registry, build, ("new", 7, "timed out"))
    found = registry.past_attempts(build)["new"]
    assert [(each.session, each.ticket, each.attempt, each.end, each.seconds) for each in found] == [
        (second, "new", 1, "timed out", 7),
        (first, "old", 2, "succeeded", 5),
        (first, "old", 1, "failed", 3),
    ]


def test_no_more_is_read_than_is_needed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    build = plan_of(FILE, A="make")
    for seconds in (9, 1, 1, 1):
        ran(registry, build, ("A", seconds, "succeeded"))
    monkeypatch.setattr("parexec_tui.registry.history.RUNS", 3)
    assert registry.history(build)["A"].runs == 3
    monkeypatch.setattr("parexec_tui.registry.history.RUNS", 9)
    assert registry.history(build)["A"].runs == 4
    monkeypatch.setattr("parexec_tui.registry.history._MOST_ATTEMPTS", 2)
    assert registry.history(build)["A"].runs == 2


def family(values: str, *, text: str = "") -> Plan:
    text = f'[plan]\nname = "Build"\n[tickets.t]\n{values}\nrun = "true"\n{text}'
    return read_plan(text, source=FILE, folder="/nowhere", format="toml")


def test_a_new_member_is_expected_to_take_what_those_like_it_took(registry: Registry) -> None:
    ran(
        registry,
        family('matrix = { os = ["debian", "alpine"], py = ["3.11", "3.12"] }'),
        ("t-debian-3.11", 100, "succeeded"),
        ("t-debian-3.12", 120, "succeeded"),
        ("t-alpine-3.11", 10, "succeeded"),
        ("t-alpine-3.12", 12, "succeeded"),
    )
    more = family(
        'matrix = { os = ["debian", "alpine"], py = ["3.11", "3.12", "3.13"] }\n'
        'include = [{ os = "arch", py = "3.14" }, { os = "alpine", py = "3.13", estimate = "1m" }]',
        text='[tickets.other]\nrun = "true"\n',
    )
    found = registry.history(more)
    assert found["t-debian-3.13"].p50 == 110, "those with the same os"
    assert found["t-arch-3.14"].p50 == 56, "the whole family"
    assert found["t-debian-3.13"].runs == 0
    assert found["t-arch-3.14"].sigma > found["t-debian-3.13"].sigma > found["t-debian-3.12"].sigma
    assert not {"other", "t-alpine-3.13"} & found.keys(), "the plan knows, or nothing does"
    assert "t-debian-3.13" not in registry.past_attempts(more)


def test_members_that_the_plan_has_no_more_tell_of_those_that_it_has_now(registry: Registry) -> None:
    ran(
        registry,
        family('foreach = { day = "1..60" }\ntitle = "Day {day}"'),
        *[(f"t-{day}", 60 + day, "succeeded") for day in range(1, 61)],
    )
    found = registry.history(family('foreach = { day = "71..130" }\ntitle = "Day {day}"'))
    assert {each.p50 for each in found.values()} == {90.5}
    assert len(found) == 60


def test_a_stored_family_is_found_by_its_titles_after_its_file_was_moved(registry: Registry, tmp_path: Path) -> None:
    text = '[plan]\nname = "Build"\n[tickets.t]\nforeach = { n = "1..60" }\nrun = "true"\n'

    def at(folder: str) -> Plan:
        (tmp_path / folder).mkdir(exist_ok=True)
        return read_plan(text, source=str(tmp_path / folder / "p.toml"), folder=str(tmp_path / folder), format="toml")

    ran(registry, at("a"), ("t-1", 10, "succeeded"))
    assert medians(registry, at("b"))["t-1"] == 10
