"""The part of a session's time that is shown, and the cursor in it."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.view.shown_time import MIN_SPAN, ShownTime

WHOLE = (1000.0, 1400.0)


def laid_out(now: float = 1200.0, cells: int = 80) -> ShownTime:
    shown = ShownTime()
    shown.lay_out(WHOLE, cells, now)
    return shown


def span_of(shown: ShownTime) -> tuple[float, float]:
    assert shown.window is not None
    return shown.window[:2]


def test_all_is_shown_until_a_person_zooms_and_again_after_that() -> None:
    shown = laid_out()
    assert span_of(shown) == WHOLE
    assert shown.zoom(0.5, WHOLE, 1200.0)
    shown.lay_out(WHOLE, 80, 1200.0)
    assert span_of(shown) == (1100.0, 1300.0), "around the cursor, which is at now"
    assert shown.zoom(2.0, WHOLE, 1200.0)
    shown.lay_out(WHOLE, 80, 1200.0)
    assert span_of(shown) == WHOLE


def test_a_part_goes_along_with_now_unless_the_cursor_is_elsewhere() -> None:
    shown = laid_out()
    shown.zoom(0.25, WHOLE, 1200.0)
    shown.lay_out((1000.0, 1600.0), 80, 1500.0)
    start, end = span_of(shown)
    assert start <= 1500.0 < end
    shown.moment = 1450.0
    shown.lay_out((1000.0, 1600.0), 80, 1600.0)
    assert span_of(shown) == (start, end)


def test_all_of_a_session_cannot_be_moved() -> None:
    shown = laid_out()
    assert not shown.pan(1, WHOLE, 1200.0)
    shown.moment = 1300.0
    assert not shown.show_moment()


def test_nothing_is_moved_where_there_is_no_room() -> None:
    shown = laid_out()
    shown.clear()
    assert not shown.zoom(0.5, WHOLE, 1200.0)
    assert not shown.pan(1, WHOLE, 1200.0)


@given(steps=st.lists(st.sampled_from(["in", "out", "back", "on"]), max_size=20), now=st.floats(*WHOLE))
def test_what_is_shown_is_a_part_of_the_whole_with_the_cursor_in_it(steps: list[str], now: float) -> None:
    shown = laid_out(now)
    for step in steps:
        match step:
            case "in" | "out":
                shown.zoom(0.5 if step == "in" else 2.0, WHOLE, now)
            case _:
                shown.pan(1 if step == "on" else -1, WHOLE, now)
        shown.lay_out(WHOLE, 80, now)
        start, end = span_of(shown)
        assert WHOLE[0] - 0.001 <= start < end <= WHOLE[1] + 0.001
        assert end - start >= MIN_SPAN - 0.001
        assert start - 0.001 <= shown.at(now) <= end + 0.001
