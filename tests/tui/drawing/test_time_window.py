"""The part of a session's time that is shown, and the axis above it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.drawing.time_window import Tick, Window, axis, ticks


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (10, "0s   1s   2s   3s   4s   5s   6s   7s   8s   9s   "),
        (100, "0s     15s     30s    45s     1m     1m15s   1m30s"),
        (3600, "0s          15m          30m         45m          "),
        (86400 * 3, "0s      12h     1d       1d12h   2d      2d12h    "),
    ],
)
def test_ticks_are_at_round_times(seconds: float, expected: str) -> None:
    window = Window(0, seconds, 50)

    assert axis(ticks(window, origin=0), 50) == expected


def test_times_count_from_the_origin_which_may_lie_within_the_window() -> None:
    assert ticks(Window(1000, 1100, 50), origin=1050) == [
        Tick(25, "0s"), Tick(32, "15s"), Tick(40, "30s"), Tick(47, "45s"),
    ]  # fmt: skip
    assert ticks(Window(1000, 1100, 50), origin=970)[0] == Tick(0, "30s")


@given(st.floats(0, 1e6), st.floats(0.001, 1e9), st.integers(0, 200))
def test_labels_never_overlap(start: float, seconds: float, width: int) -> None:
    found = ticks(Window(start, start + seconds, width), origin=0)

    assert all(a.column + len(a.label) + 2 <= b.column for a, b in pairwise(found))
    assert len(axis(found, width)) == width
    assert axis(found, width).split() == [tick.label for tick in found]


WINDOWS = st.builds(
    lambda start, span, width: Window(start, start + span, width),
    st.integers(0, 10**6),
    st.integers(4, 10**6),
    st.integers(1, 200),
)


@given(WINDOWS, st.floats(0, 1))
def test_zoom_in_then_out_is_the_same(window: Window, share: float) -> None:
    around = window.start + share * window.span
    back = window.zoomed(0.5, around).zoomed(2.0, around)

    assert back == pytest.approx(window)


@given(WINDOWS, st.floats(0, 0.99))
def test_what_is_under_the_cursor_stays_there(window: Window, share: float) -> None:
    around = window.start + share * window.span
    before, after = window.column(around), window.zoomed(0.5, around).column(around)

    assert before is not None
    assert after is not None
    assert abs(before - after) <= 1


@given(WINDOWS, st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_part_lies_within_the_whole(window: Window, start: int, length: int) -> None:
    inside = window.within(start, start + length)

    assert start <= inside.start
    assert inside.end <= start + length
    assert inside.span == pytest.approx(min(window.span, length))


@given(WINDOWS, st.integers(0, 2 * 10**6))
def test_a_moment_that_is_to_be_shown_is(window: Window, at: int) -> None:
    shown = window.showing(at)

    assert shown.start <= at < shown.end
    assert shown.span == pytest.approx(window.span)
    assert shown == window or not window.start <= at < window.end
