"""Rows of a timeline as text."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.text.words import glyph
from parexec_tui.tui.drawing.time_window import Window
from parexec_tui.tui.drawing.timeline import Bar, BarKind, TimelineCell, draw_bars, free_rows

WINDOW = Window(0, 100, 50)


def bar(
    ticket: str,
    start: float,
    end: float,
    word: str = "succeeded",
    *,
    kind: BarKind = "attempt",
    ran_until: float | None = None,
    frozen: Sequence[tuple[float, float]] = (),
    ascii_only: bool = False,
    is_problem: bool = False,
) -> Bar:
    return Bar(
        kind,
        ticket,
        start,
        end,
        word,
        glyph(word, ascii_only=ascii_only),
        label=ticket,
        ran_until=end if ran_until is None else ran_until,
        frozen=frozen,
        is_problem=is_problem,
    )


def forecast(ticket: str, start: float, end: float) -> Bar:
    return bar(ticket, start, end, "waiting", kind="forecast")


def text_of(cells: Sequence[TimelineCell]) -> str:
    return "".join(cell.char for cell in cells)


def drawn(*bars: Bar, selected: str = "", now: float = 60, ascii_only: bool = False) -> str:
    return text_of(draw_bars(bars, WINDOW, now, selected=selected, ascii_only=ascii_only)).rstrip()


def test_what_ran_what_runs_and_what_will() -> None:
    past = bar("T1", 0, 10), bar("T2", 10, 33, "failed"), bar("T3", 36, 80, "running", ran_until=60)

    assert drawn(*past, forecast("T6", 84, 100)) == ("█✓███▐✗ T2██████▌ █▶ T3███████│░░░░░░░░░  ░T6░░░░░")


def test_the_same_in_ascii() -> None:
    bars = [
        bar("T1", 0, 10, ascii_only=True),
        bar("T2", 10, 33, "failed", ascii_only=True),
        bar("T3", 36, 80, "running", ran_until=60, ascii_only=True),
        bar("T6", 84, 100, "waiting", kind="forecast", ascii_only=True),
    ]

    assert drawn(*bars, ascii_only=True) == "=+=== x T2======= => T3=======|/////////  /T6/////"


def test_a_name_stands_beside_a_bar_that_is_too_short_for_it() -> None:
    assert drawn(bar("long-name", 4, 8), bar("next", 40, 42)) == "  ██ ✓ long-name    █ ✓ next  │"


def test_a_name_that_has_no_room_covers_no_other_bar() -> None:
    assert drawn(bar("long-name", 4, 8), bar("next", 12, 14, "failed", is_problem=True), bar("last", 14, 16)) == (
        "  ██  ✗▐ ✓ last               │"
    )


def test_neighbours_can_be_told_apart() -> None:
    assert drawn(*(bar(f"T{at}", at, at + 10) for at in range(0, 50, 10))) == ("█✓███▐✓███▐✓███▐✓███▐✓███     │")


def test_a_bar_begins_and_ends_within_a_cell() -> None:
    assert text_of(draw_bars([bar("T", 1.5, 7.5)], Window(0, 10, 10), 20)) == " ▐✓ T██▌  "


def test_time_that_stood_still_has_its_own_look() -> None:
    cells = draw_bars([bar("M", 0, 50, frozen=((20, 30), (41, 41.5)))], WINDOW, 60)

    assert text_of(cells).rstrip() == "█✓ M██████▒▒▒▒▒█████▒████     │"
    assert [at for at, cell in enumerate(cells) if cell.kind == "frozen"] == [10, 11, 12, 13, 14, 20]


def test_what_runs_and_stands_still_now() -> None:
    running = bar("M", 0, 80, "frozen", ran_until=60, frozen=((40, 60),))

    assert drawn(running) == f"█{running.glyph} M████████████████▒▒▒▒▒▒▒▒▒▒│░░░░░░░░░"


def test_time_in_which_a_ticket_was_held() -> None:
    held = bar("M", 0, 20, "held", kind="held")

    assert drawn(held, bar("M", 30, 50)) == f"{held.glyph * 10}     █✓ M██████     │"


def test_the_line_of_now_is_whole_where_a_forecast_follows_on_what_runs() -> None:
    running = bar("A", 0, 60, "running", ran_until=60)

    assert drawn(running, forecast("B", 60, 80)) == "█▶ A██████████████████████████│B░░░░░░░░"


def test_what_has_just_begun_is_not_under_the_line_of_now() -> None:
    assert drawn(bar("T", 60, 61, "running", ran_until=60)).strip()[0] != "│"


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([bar("A", 10, 30)], "    [█✓ A██████]              │"),
        ([bar("A", -9, 30)], "<✓ A███████████]              │"),
        ([bar("x", 0, 10), bar("A", 10, 30), bar("y", 30, 50)], "█✓ x█[✓ A█████]▐✓ y██████     │"),
        ([bar("A", 10, 12)], "    [█] ✓ A                   │"),
        ([bar("x", 0, 10), bar("A", 10, 12), bar("y", 12, 50)], "█✓ x█♦▐✓ y███████████████     │"),
        ([forecast("A", 64, 80)], "                              │[░A░░░░░░]"),
    ],
)
def test_the_selected_ticket_is_framed(bars: list[Bar], expected: str) -> None:
    assert drawn(*bars, selected="A") == expected


def test_in_ascii_a_selected_bar_without_room_is_seen_too() -> None:
    bars = bar("x", 0, 10), bar("A", 10, 12), bar("y", 12, 50)

    assert drawn(*bars, selected="A", ascii_only=True)[5] == "@"


def test_where_two_share_a_cell_the_later_one_has_it() -> None:
    cells = draw_bars([bar("B", 50, 60, "running"), bar("A", 40, 51)], WINDOW, 60)

    assert cells[25].ticket == "B"


def test_bars_outside_the_window_are_not_drawn() -> None:
    assert drawn(bar("A", -9, -1), bar("B", 100, 120), now=110) == ""


def test_agents_to_come_are_put_in_as_few_rows_as_they_fit_in() -> None:
    rows = free_rows([forecast("A", 0, 10), forecast("B", 5, 20), forecast("C", 10, 30)])

    assert [[bar.ticket for bar in row] for row in rows] == [["A", "C"], ["B"]]


# -- what holds of all rows ------------------------------------------------------------------------------------------


@st.composite
def rows(draw: st.DrawFn) -> list[Bar]:
    """What one agent may do: one bar after another; the last one may run."""
    found, at = list[Bar](), draw(st.floats(-40, 10))
    for number in range(draw(st.integers(0, 12))):
        start = at + draw(st.sampled_from((0.0, 0.0, 0.5, 3.0, 20.0)))
        at = start + draw(st.sampled_from((0.0, 0.3, 1.0, 2.0, 7.0, 30.0)))
        kind: BarKind = draw(st.sampled_from(("attempt", "attempt", "forecast", "held")))
        found.append(bar(f"t{number}", start, at, draw(st.sampled_from(("succeeded", "failed"))), kind=kind))
    return found


@given(rows(), st.integers(0, 60), st.booleans(), st.integers(0, 11))
def test_a_row_is_as_wide_as_the_window(bars: list[Bar], width: int, ascii_only: bool, selected: int) -> None:
    cells = draw_bars(bars, Window(0, 100, width), 60, selected=f"t{selected}", ascii_only=ascii_only)

    assert len(cells) == width
    assert all(len(cell.char) == 1 for cell in cells)


@given(rows())
def test_each_bar_is_drawn_unless_later_ones_cover_it(bars: list[Bar]) -> None:
    shown = {cell.ticket for cell in draw_bars(bars, WINDOW, 60)}

    for at, own in enumerate(bars):
        if own.end < 0 or own.start >= 100:
            continue
        cells = set(range(WINDOW.halves(max(own.start, 0)) // 2, max(1, -(-WINDOW.halves(own.end) // 2))))
        later = {WINDOW.halves(other.start) // 2 for other in bars[at + 1 :]}
        before = {
            -(-max(WINDOW.halves(other.end), WINDOW.halves(other.start) + 1) // 2) - last
            for other in bars[:at]
            for last in (0, 1)
        }
        if not cells <= later | {50} and len(cells) > 1 and not cells & before:
            assert own.ticket in shown


@given(rows(), st.sampled_from((0.0, 0.1, 1.0, 5.0)), st.sampled_from((0.0, 0.5, 40.0)), st.floats(0, 99))
def test_what_runs_is_always_seen(bars: list[Bar], ran: float, left: float, now: float) -> None:
    """Whatever is predicted, and however short it has run."""
    before = [own._replace(end=min(own.end, now - ran), ran_until=min(own.end, now - ran)) for own in bars]
    over = [own for own in before if own.kind != "forecast" and own.start < own.end]
    running = bar("live", now - ran, now + left, "running", ran_until=now)
    later = [forecast(f"f{number}", now + left + number, now + left + number + 1) for number in range(5)]

    cells = draw_bars([*over, running, *later], WINDOW, now)
    assert any(cell.ticket == "live" and cell.kind in ("ran", "on", "beside") for cell in cells)


@given(rows(), st.integers(0, 11))
def test_a_selected_bar_that_is_drawn_has_a_frame(bars: list[Bar], number: int) -> None:
    cells = draw_bars(bars, WINDOW, 60, selected=f"t{number}")

    own = [cell for cell in cells if cell.ticket == f"t{number}" and cell.kind != "beside"]
    assert not own or any(cell.kind == "frame" for cell in own)


@given(rows(), st.integers(0, 11))
def test_colours_and_letters_are_never_those_of_another_bar(bars: list[Bar], number: int) -> None:
    """Selecting a ticket changes no word, so no colour, of any other."""
    words = {own.ticket: own.word for own in bars}
    for cell in draw_bars(bars, WINDOW, 60, selected=f"t{number}"):
        assert not cell.word or cell.word == words[cell.ticket]
