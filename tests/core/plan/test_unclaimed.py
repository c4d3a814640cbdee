"""Who is blamed for what was written: never a ticket for what another one claims that ran at that time."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.blame import Blame, Cover, by_file_times
from parexec_tui.core.plan.patterns import matches, parse_pattern
from parexec_tui.core.plan.unclaimed import MAX_NAMED, Unclaimed, Writer

ROOT = "/work/plan"


def blame(*writes: str, others: tuple[Writer, ...] = ()) -> Blame:
    """Of a ticket that ran from 100 to 110."""
    return Blame(ROOT, writes, 100.0, 110.0, others)


def test_what_is_claimed_or_was_written_at_another_time_is_not_told() -> None:
    found = blame("src", "out/*.txt", "/else/*.log")
    for path in ("src/a/b.c", "src", "out/a.txt", "/else/x.log"):
        found.add(f"{ROOT}/{path}" if path[0] != "/" else path, (105.0,))
    found.add(f"{ROOT}/before", (99.0,))
    found.add(f"{ROOT}/after", (110.5, 99.0))
    assert not found.found()
    for path in (f"{ROOT}/src.py", f"{ROOT}/out/a/b.txt", "/else/x", f"{ROOT}/touched"):
        found.add(path, (105.0,) if path != f"{ROOT}/touched" else (50.0, 105.0))
    assert found.found() == Unclaimed(("src.py", "out/a/b.txt", "/else/x", "touched"), 4)
    assert found.may_skip(f"{ROOT}/src")
    assert not found.may_skip(f"{ROOT}/out")


def test_a_kernel_writes_down_times_in_ticks() -> None:
    found = blame(others=(Writer("A", 90, 100.0, ("db",)),))
    for name, at in {"first": 100.0, "db": 100.0, "second": 100.004, "db/x": 100.004}.items():
        found.add(f"{ROOT}/{name}", (at,))
    told = Unclaimed(("second", "db/x"), 2, ("first",), 1, ("A",), 1, shared_by=(("A",),), shared_at=(100.0,))
    assert found.found() == told


def test_the_clock_of_the_engine_is_not_that_of_the_disk() -> None:
    """Where both cannot be compared, others ran longer; but one that was over before did not."""
    over, during, later = Writer("A", 10, 50, ("a",)), Writer("B", 55, 57), Writer("C", 58)
    assert by_file_times((over, during, later), 50, 1051.5, 1001.0) == [
        Writer("A", 1010.75, 1051.5, ("a",)),
        Writer("B", 1055.75, 1058.25),
        Writer("C", 1058.75),
    ]


def test_what_another_one_claims_that_ran_is_not_blamed_on_it() -> None:
    others = (Writer("A", 90, 101, ("db",)), Writer("B", 80, 95, ("old",)), Writer("C", 105, None, ("new/*.c",)))
    found = blame("src", others=others)
    for path, at in {"db/x": 100.5, "db/y": 104.0, "old/x": 108.0, "new/x.c": 108.0, "new/x.h": 108.0}.items():
        found.add(f"{ROOT}/{path}", (at,))
    told = Unclaimed(
        ("db/y",), 1, ("old/x", "new/x.h"), 2, ("C",), 1, shared_by=(("C",), ("C",)), shared_at=(108.0, 108.0)
    )
    assert found.found() == told
    alone = blame("src", others=others)
    alone.add(f"{ROOT}/x", (103.0,))
    assert alone.found() == Unclaimed(("x",), 1), "A was over by then, and C had not begun"


def test_of_many_only_the_first_are_named_and_a_name_that_is_no_text_is_told_all_the_same() -> None:
    found = blame()
    for number in range(MAX_NAMED + 5):
        found.add(f"{ROOT}/f{number}", (105.0,))
    assert (len(found.found().files), found.found().count) == (MAX_NAMED, MAX_NAMED + 5)
    odd = blame()
    odd.add(f"{ROOT}/\udcff", (105.0,))
    assert odd.found().files == ("\\udcff",)


def test_each_file_may_be_of_those_that_ran_when_it_was_written() -> None:
    found = blame(others=(Writer("A", 90, 103), Writer("B", 107)))
    for name, at in {"early": 101.0, "late": 108.0}.items():
        found.add(f"{ROOT}/{name}", (at,))
    assert (found.found().shared, found.found().shared_by) == (("early", "late"), (("A",), ("B",)))


def test_a_new_line_in_a_name_is_seen() -> None:
    found = blame()
    found.add(f"{ROOT}/new\nline ü", (105.0,))
    assert found.found().files == (r"new\nline ü",)


def test_a_folder_that_was_moved_is_told_by_its_own_change() -> None:
    found = blame("src", "out/*.txt", "lib/*.d/**", others=(Writer("A", 90, 104, ("db/a",)),))
    for name in ("src/x", "src", "out", "lib/x.d", "lib/x.d/y", "db"):
        found.add_folder(f"{ROOT}/{name}", 50.0, 103.0)
    assert not found.found(), "something in it may be claimed"
    found.add_folder(f"{ROOT}/filled", 105.0, 105.0)
    found.add_folder(f"{ROOT}/before", 50.0, 99.0)
    assert not found.found(), "its files tell that, or it was so before"
    for name in ("moved", "lib/x", "od[d]", "back\\slash", "db"):
        found.add_folder(f"{ROOT}/{name}", 50.0, 106.0)
    assert found.found().files == ("moved/", "lib/x/", "od[d]/", "db/"), "none can say what lies in a backslash"


def test_in_words() -> None:
    assert Unclaimed(("src/db.py",), 1).text("T") == "wrote outside its claim: src/db.py"
    assert Unclaimed(("src/db.py", "x"), 4).text("T") == "wrote outside its claim: src/db.py (and 3 more)"
    assert Unclaimed(("a",), 1).text("T", besides="wrote outside its claim: a") == ""
    both = Unclaimed(("a",), 1, ("x", "y"), 2, ("A", "B"), 2, "more than 9 files")
    assert both.text("T").split("; ") == [
        "wrote outside its claim: a",
        "unclaimed, written by one of T, A, B: x (and 1 more)",
        "what it wrote was not looked at whole: more than 9 files",
    ]
    assert Unclaimed((), 0, ("x",), 1, tuple("ABCDEFG"), 30).text("T") == (
        "unclaimed, written by one of T, A, B, C, D, E and 25 more: x"
    )
    several = Unclaimed((), 0, ("x", "y"), 2, ("A", "B"), 2, shared_by=(("A",), ("A", "B")))
    assert several.text("T") == "unclaimed, written by one of T, A: x (and 1 more, by these or others)"
    assert not Unclaimed()
    assert Unclaimed(unseen="x")


NAMES = st.sampled_from(["a", "b", "c.py", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c.py", "*", "**", "*.py", "?"]), min_size=1, max_size=3).map("/".join)


@given(st.lists(PATTERNS, max_size=4), PATHS)
def test_a_cover_covers_what_one_of_its_patterns_matches(patterns: list[str], path: str) -> None:
    expected = any(matches(parse_pattern(text, ROOT), path) for text in patterns)
    assert Cover(patterns, ROOT).has(f"{ROOT}/{path}") is expected


@dataclass
class Ran:
    claim: str
    began: int
    lasted: int


@settings(max_examples=300)
@given(
    st.lists(st.builds(Ran, NAMES, st.integers(90, 112), st.integers(0, 15)), min_size=1, max_size=5),
    st.data(),
)
def test_nobody_is_blamed_for_what_another_one_wrote_within_its_claim(others: list[Ran], data: st.DataObject) -> None:
    """Whoever else ran, whenever: what they write of their own claims is not mine, and what I write is found."""
    mine = "z"
    writers = tuple(
        Writer(str(number), each.began, each.began + each.lasted, (each.claim,)) for number, each in enumerate(others)
    )
    found = blame(mine, others=writers)
    for each in others:
        at = data.draw(st.floats(each.began, each.began + each.lasted))
        found.add(f"{ROOT}/{each.claim}/x", (at,))
        found.add(f"{ROOT}/{mine}/x", (at,))
    assert not found.found()
    at = data.draw(st.floats(100, 110))
    found.add(f"{ROOT}/nobody", (at,))
    told = found.found()
    assert (*told.files, *told.shared) == ("nobody",)
    ran_then = sorted(each.name for each in writers if each.ran(at, at))
    assert list(told.others) == ran_then
