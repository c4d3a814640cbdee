"""Pieces of a line that give way in order: none is lost without a word."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.drawing.fitting import Words, fit, more_text

LEFT = [Words("x 2 failed", "x 2", ""), Words("> 4 running", "> 4", ""), Words("+ 12 succeeded", "+ 12", "")]
RIGHT = [Words(" 1 ticket held ", "1 held", ""), Words("connected", "", "")]


def said(width: int) -> str:
    fitted = fit(LEFT, RIGHT, width, firm=1)
    texts = [text for text, _ in fitted.left] + [more_text(fitted.more)] * bool(fitted.more)
    return f"{'  '.join(texts)} / {' '.join(text for text, _ in fitted.right)}"


def test_they_give_way_in_order() -> None:
    ways = [said(width) for width in range(80, 0, -1)]
    assert list(dict.fromkeys(ways)) == [
        "x 2 failed  > 4 running  + 12 succeeded /  1 ticket held  connected",
        "x 2 failed  > 4 running  + 12 succeeded /  1 ticket held ",
        "x 2 failed  > 4 running  + 12 /  1 ticket held ",
        "x 2 failed  > 4  + 12 /  1 ticket held ",
        "x 2 failed  > 4  + 12 / 1 held",
        "x 2  > 4  + 12 / 1 held",
        "x 2  +2 more / 1 held",
        "+3 more / 1 held",
    ]


def test_the_first_one_keeps_its_word_longest() -> None:
    left = [Words("x 2 failed", "x 2", ""), Words("f 1 frozen", "f 1", "")]
    right = [Words(" 1 quarantined ", "1 quarantined", "", "! 1")]
    found = (fit(left, right, width, firm=2) for width in range(60, 0, -1))
    ways = ["  ".join(text for text, _ in (*each.left, *each.right)) for each in found]
    assert list(dict.fromkeys(ways)) == [
        "x 2 failed  f 1 frozen   1 quarantined ",
        "x 2 failed  f 1 frozen  1 quarantined",
        "x 2 failed  f 1  1 quarantined",
        "x 2 failed  f 1  ! 1",
        "x 2  f 1  ! 1",
        "! 1",
    ]


def test_what_is_minor_gives_way_before_a_piece_is_only_counted() -> None:
    right = [
        Words(" $2 ", "$2", "", is_minor=True),
        Words(" may all ", "all", "", is_minor=True),
        Words("!", "!", ""),
    ]
    found = (fit(LEFT, right, width, firm=1) for width in range(32, 15, -1))
    ways = ["  ".join([text for text, _ in (*each.left, *each.right)] + [f"+{each.more}"]) for each in found]
    assert list(dict.fromkeys(ways)) == [
        "x 2 failed  > 4  + 12  $2  all  !  +0",
        "x 2  > 4  + 12  $2  all  !  +0",
        "x 2  > 4  + 12  all  !  +0",
        "x 2  > 4  + 12  !  +0",
        "x 2  !  +2",
    ]


word = st.text("ab ", min_size=1, max_size=12)
words = st.lists(st.builds(lambda full, cut: Words(full, full[:cut], ""), word, st.integers(1, 4)), max_size=8)


@given(left=words, right=words, firm=st.integers(0, 3), width=st.integers(0, 120))
def test_each_is_there_or_counted(left: list[Words], right: list[Words], firm: int, width: int) -> None:
    fitted = fit(left, right, width, firm=firm)
    assert len(fitted.left) + fitted.more == len(left)
    assert len(fitted.right) == len(right)
    for (text, _), each in zip((*fitted.left, *fitted.right), (*left[: len(fitted.left)], *right), strict=True):
        assert text in (each.full, each.short, each.least)
