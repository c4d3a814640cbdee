"""Rows with a cursor: it is always in view, and what is shown moves as little as that needs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.tui.panels.tickets import TicketsPanel
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, scene_of

SESSION = Session(plan("\n".join(f"T{number}:" for number in range(40))))
moves = st.one_of(
    st.tuples(st.just("move"), st.integers(-50, 50)),
    st.tuples(st.just("move_page"), st.sampled_from([-1, 1])),
    st.tuples(st.just("go_to"), st.integers(-3, 60)),
)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 50), st.lists(moves, max_size=12))
def test_the_cursor_is_in_view_and_rows_move_no_more_than_that_needs(
    height: int, taken: list[tuple[str, int]]
) -> None:
    panel = panel_of(TicketsPanel, scene_of(SESSION), 60, height)
    for name, by in taken:
        before = panel.top
        getattr(panel, name)(by)
        below = panel.cursor - panel.top
        assert 0 <= below < panel.page
        if panel.top < before:
            assert below == 0, "it came from above"
        elif panel.top > before:
            assert below == panel.page - 1, "it came from below"
        (shown,) = (line for line in lines(panel) if line.startswith(">"))
        assert shown.split()[3] == panel.scene.selected


def test_a_click_is_on_the_row_that_is_drawn_there() -> None:
    panel = panel_of(TicketsPanel, scene_of(SESSION), 60, 10)
    panel.go_to(20)
    drawn = lines(panel)
    for y in range(2, 10):
        panel.pointed_at(y)
        assert panel.scene.selected in drawn[y - 1]
    here = panel.scene.selected
    for nowhere in (0, 1, 99):
        panel.pointed_at(nowhere)
        assert panel.scene.selected == here


def test_the_bar_is_where_the_rows_are() -> None:
    panel = panel_of(TicketsPanel, scene_of(SESSION), 60, 12)

    def bar() -> str:
        return "".join(line.ljust(60)[59] for line in lines(panel)[1:])

    assert bar() == "##::::::::"
    panel.go_last()
    assert bar() == "::::::::##"
    panel.go_to(15)
    assert bar() == "::::##::::"
