"""Footprints meet where a pattern of one overlaps with one of the other, whatever is left out early."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parexec_tui.core.plan.footprint import Footprint, Kind, Touch
from parexec_tui.core.plan.patterns import Pattern, moved, overlap, parse_pattern

ROOT = "/work/plan"

_names = st.sampled_from(["a", "b", "a b", "*", "**", "?", "a*", "[ab]", "[!a]", "[*]", "[[]", ".", "..", ""])
_texts = st.builds(
    lambda start, names, end: start + "/".join(names) + end,
    st.sampled_from(["", "/", "/work/", "/work/plan/", "../", "./"]),
    st.lists(_names, min_size=1, max_size=4),
    st.sampled_from(["", "/", "/**"]),
)


def parsed(text: str) -> Pattern:
    try:
        return parse_pattern(text, ROOT)
    except ValueError:
        assume(False)
        raise


def footprint(*claims: tuple[Kind, str]) -> Footprint:
    found = Footprint()
    for number, (kind, text) in enumerate(claims, 1):
        found.add(Touch(f"T{number}", kind, parse_pattern(text, ROOT), text))
    return found


def met(ours: Footprint, kind: Kind, text: str) -> list[str]:
    return [touch.ticket for touch in ours.clashes(Touch("X", kind, parse_pattern(text, ROOT), text))]


@given(_texts, _texts)
def test_what_overlaps_is_near_and_is_found(ours: str, theirs: str) -> None:
    mine, other = parsed(ours), parsed(theirs)
    assume(overlap(mine, other))
    claimed = footprint(("write", ours))
    folder = other.head[: other.head.rindex("/") + 1]
    above = [folder[: at + 1] for at, letter in enumerate(folder) if letter == "/"]
    assert all(map(claimed.is_near, above))
    assert met(claimed, "read", theirs) == ["T1"]


@pytest.mark.parametrize(
    ("ours", "theirs", "meet"),
    [
        (("write", "out"), ("write", "out/a.txt"), True),
        (("write", "out/a.txt"), ("read", "out"), True),
        (("write", "out/a.txt"), ("write", "out/*.txt"), True),
        (("write", "out/*.log"), ("write", "out/*.txt"), False),
        (("write", "out/a*"), ("write", "out/*b"), True),
        (("write", "**/x"), ("read", "deep/down/x"), True),
        (("read", "src"), ("read", "src/a.c"), False),
        (("read", "src"), ("write", "src/a.c"), True),
        (("write", "out"), ("write", "outer"), False),
        (("write", "../other/x"), ("write", "/work/other"), True),
    ],
)
def test_who_meets(ours: tuple[Kind, str], theirs: tuple[Kind, str], meet: bool) -> None:
    assert met(footprint(ours), *theirs) == ["T1"] * meet
    assert met(footprint(theirs), *ours) == ["T1"] * meet


def test_the_first_ticket_stands_for_all_that_touch_the_same() -> None:
    claimed = footprint(("write", "out"), ("write", "out/**"), ("read", "out"))
    assert len(claimed) == 2
    assert met(claimed, "write", "out/a") == ["T1", "T3"]


def test_what_is_too_much_to_compare_ends() -> None:
    claimed = footprint(*(("write", f"out/*/a{number}") for number in range(20)))
    claimed.effort = 5
    assert met(claimed, "write", "out/*/b") == []
    assert claimed.effort == 0


@pytest.mark.parametrize(
    ("text", "folder", "to", "head"),
    [
        ("out", f"{ROOT}/out/", "/data/o/", "/data/o/"),
        ("out/sub/*.c", f"{ROOT}/out/sub/", "/data/", "/data/"),
        ("/other/x*y/z", "/other/", f"{ROOT}/a*b/", f"{ROOT}/a*b/x"),
        ("out", f"{ROOT}/out/", "/", "/"),
    ],
)
def test_a_claim_moves_with_its_folder(text: str, folder: str, to: str, head: str) -> None:
    before = parse_pattern(text, ROOT)
    after = moved(before, folder, to)
    assert after.head == head
    assert after.plain == before.plain
    assert moved(after, to, folder) == before
