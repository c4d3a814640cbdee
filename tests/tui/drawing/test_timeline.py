"""Timelines as text: a row for each agent, then the axis."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.drawing.timeline import (
    PREDICTED,
    AttemptSpan,
    PredictedSpan,
    Tick,
    TimelineRow,
    Window,
    axis,
    ticks,
    timeline,
)

WINDOW = Window(0, 100, 50)


def text_of(row: TimelineRow) -> str:
    return "".join(cell.char for cell in row.cells)


ATTEMPTS = [
    AttemptSpan("T1", "b-1", 0, 10, "succeeded"),
    AttemptSpan("T2", "b-1", 10, 33, "failed"),
    AttemptSpan("T3", "b-1", 36, None, "running"),
    AttemptSpan("MOD-1", "b-2", 3, 51, "succeeded"),
]
REST = [PredictedSpan("T4", "b-2", 60, 80), PredictedSpan("T5", None, 64, 90), PredictedSpan("T6", "b-1", 76, 100)]


def test_attempts_the_line_of_now_and_the_rest_in_ascii() -> None:
    rows = timeline(ATTEMPTS, REST, WINDOW, 60, agents=["b-2"], ascii_only=True)

    assert [(row.agent, text_of(row)) for row in rows] == [
        ("b-2", " [MOD-1===================    [T4-------          "),
        ("b-1", "[T1==[T2========  [T3=========|       [T6---------"),
        (None, "                              | [T5----------     "),
    ]


def test_blocks_begin_and_end_within_a_cell() -> None:
    (row,) = timeline([AttemptSpan("T", "b-1", 1.5, 7.25, "succeeded")], [], Window(0, 10, 10), 20)

    assert [(cell.char, cell.reverse) for cell in row.cells[:9]] == [
        (" ", False),
        ("▌", True),  # the left half is not covered
        ("T", True),
        *[("█", False)] * 4,
        ("▎", False),
        (" ", False),
    ]


def test_neighbours_can_be_told_apart() -> None:
    both = [AttemptSpan("A", "b-1", 0, 5, "succeeded"), AttemptSpan("B", "b-1", 5, 10, "succeeded")]
    (row,) = timeline(both, [], Window(0, 10, 10), 20)

    assert (row.cells[5].char, row.cells[5].reverse) == ("▏", True)
    assert [cell.ticket for cell in row.cells] == ["A"] * 5 + ["B"] * 5


def test_a_short_attempt_is_still_there() -> None:
    (row,) = timeline([AttemptSpan("T", "b-1", 50, 50.001, "failed")], [], WINDOW, 60)

    assert [cell.status for cell in row.cells if cell.ticket] == ["failed"]


def test_an_attempt_that_began_before_the_window_begins_without_a_gap() -> None:
    (row,) = timeline([AttemptSpan("T", "b-1", -50, 10, "succeeded")], [], WINDOW, 60)

    assert (row.cells[0].char, row.cells[0].reverse) == ("█", False)


def test_attempts_outside_the_window_are_not_drawn() -> None:
    outside = [AttemptSpan("A", "b-1", -9, -1, "succeeded"), AttemptSpan("B", "b-1", 100, 120, "succeeded")]
    (row,) = timeline(outside, [], WINDOW, 110)

    assert text_of(row) == " " * WINDOW.width


def test_where_two_share_a_cell_the_later_one_has_it() -> None:
    both = [AttemptSpan("B", "b-1", 50, None, "running"), AttemptSpan("A", "b-1", 40, 51, "succeeded")]
    (row,) = timeline(both, [], WINDOW, 60)

    assert row.cells[25].ticket == "B"


def test_agents_to_come_are_put_in_as_few_rows_as_they_fit_in() -> None:
    rest = [PredictedSpan("A", None, 0, 10), PredictedSpan("B", None, 5, 20), PredictedSpan("C", None, 10, 30)]
    rows = timeline([], rest, WINDOW, 0)

    assert [{cell.ticket for cell in row.cells if cell.ticket} for row in rows] == [{"A", "C"}, {"B"}]
    assert all(cell.status == PREDICTED for row in rows for cell in row.cells if cell.ticket)


BARS = st.builds(
    lambda start, length: AttemptSpan("T", "b-1", start, None if length is None else start + length, "x"),
    st.floats(-50, 150),
    st.none() | st.floats(0, 90),
)


@given(st.lists(BARS, max_size=6), st.integers(0, 60), st.booleans())
def test_rows_are_as_wide_as_the_window(attempts: list[AttemptSpan], width: int, ascii_only: bool) -> None:
    rows = timeline(attempts, [], Window(0, 100, width), 100, agents=["b-1"], ascii_only=ascii_only)

    assert [len(row.cells) for row in rows] == [width]
    assert all(len(cell.char) == 1 for cell in rows[0].cells)
    assert text_of(rows[0]).isascii() or not ascii_only


# -- the axis --------------------------------------------------------------------------------------------------------


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
