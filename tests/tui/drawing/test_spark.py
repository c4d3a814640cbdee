"""Sparklines and bars, cell by cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.drawing.spark import SparkCell, bar, spark


def text_of(cells: list[SparkCell]) -> str:
    return "".join(cell.char for cell in cells)


def test_a_sparkline_shows_the_newest_at_the_right() -> None:
    values = [0, 1, 2, None, 5, 8, 13, 21, 34]

    assert text_of(spark(values, 12)) == "   ▁▁▁ ▂▃▄▅█"
    assert text_of(spark(values, 12, ascii_only=True)) == "   ___ .-=+#"
    assert text_of(spark(values, 3)) == "▄▅█"
    assert text_of(spark(values, 3, maximum=68)) == "▂▃▅"


def test_values_have_the_colour_of_the_thresholds_they_reach() -> None:
    assert [cell.kind for cell in spark([79, 80, 90, None], 5, maximum=100, thresholds=(80, 90))] == [
        "gap", "fill", "level1", "level2", "gap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected", "in_ascii"),
    [
        (0, "······┊·┊·", "......|.|."),
        (None, "······┊·┊·", "......|.|."),
        (0.01, "▏·····┊·┊·", "=.....|.|."),
        (25, "██▌···┊·┊·", "##=...|.|."),
        (26.25, "██▋···┊·┊·", "##=...|.|."),
        (65, "██████▌·┊·", "######=.|."),
        (100, "██████████", "##########"),
        (250, "██████████", "##########"),
    ],
)
def test_a_bar_has_signs_at_thresholds_that_it_has_not_reached(
    value: float | None, expected: str, in_ascii: str
) -> None:
    assert text_of(bar(value, 10, maximum=100, thresholds=(60, 80))) == expected
    assert text_of(bar(value, 10, maximum=100, thresholds=(60, 80), ascii_only=True)) == in_ascii


def test_a_bar_has_the_colour_of_the_threshold_it_has_reached() -> None:
    kinds = [bar(value, 4, maximum=100, thresholds=(60, 80))[0].kind for value in (59, 60, 79, 80)]

    assert kinds == ["fill", "level1", "level1", "level2"]


NUMBERS = st.one_of(st.none(), st.floats(-10, 1e12))


@given(st.lists(NUMBERS, max_size=30), st.integers(0, 20), st.sampled_from([None, 0.0, 50.0]), st.booleans())
def test_widths_are_exact(values: list[float | None], width: int, maximum: float | None, ascii_only: bool) -> None:
    line = spark(values, width, maximum=maximum, thresholds=(1, 2), ascii_only=ascii_only)
    bars = [bar(value, width, maximum=maximum or 0.0, thresholds=(1, 2), ascii_only=ascii_only) for value in values]

    for cells in (line, *bars):
        assert len(cells) == width
        assert all(len(cell.char) == 1 for cell in cells)
        assert text_of(cells).isascii() or not ascii_only
