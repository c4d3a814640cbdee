"""Lines of panels: exactly as wide as they must be, whatever is written on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.strip import Strip

from parexec_tui.text.cells import width_of
from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.line import StyledLine, as_ascii, fitted, wrapped

texts = st.text(st.sampled_from("ab .日本é́—│▶"), max_size=30)
RED = Style(color="red")


@pytest.mark.parametrize(
    ("text", "width", "result"),
    [
        ("abc", 5, "abc  "),
        ("abc", 3, "abc"),
        ("abcdef", 4, "abc…"),
        ("abcdef", 1, "a"),
        ("abc", 0, ""),
        ("abc", -2, ""),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日 …"),
        ("日本語", 6, "日本語"),
    ],
)
def test_a_text_is_fitted(text: str, width: int, result: str) -> None:
    assert fitted(text, width) == result


def test_a_number_stands_at_the_right_and_is_cut_at_the_end() -> None:
    assert fitted("12", 4, align="right") == "  12"
    assert fitted("123456", 4, align="right", end="~") == "123~"


@given(texts, st.integers(0, 40), st.sampled_from(["left", "right"]), st.sampled_from(["…", "~"]))
def test_a_fitted_text_has_its_width(text: str, width: int, align: str, end: str) -> None:
    assert width_of(fitted(text, width, align=align, end=end)) == width  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one   two", 4, ["one", "two"]),
        ("    make all", 8, ["    make", "all"]),
        ("a longword", 5, ["a", "longw", "ord"]),
        ("日本語 x", 5, ["日本", "語 x"]),
    ],
)
def test_a_text_is_wrapped(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines


@given(texts, st.integers(2, 40))
def test_a_wrapped_text_is_whole_and_no_line_is_too_wide(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(st.one_of(st.characters(), st.sampled_from("\u200d\ufe0f\U0001f469\U0001f3fd\u2764\u26a0"))))
def test_of_what_is_printable_the_widths_add_up(text: str) -> None:
    safe = printable(text)
    assert width_of(safe) == sum(map(width_of, safe))


@given(st.lists(st.tuples(texts, st.integers(0, 12))), st.integers(0, 60))
def test_a_line_has_its_width(columns: list[tuple[str, int]], width: int) -> None:
    line = StyledLine(Style())
    for text, cells in columns:
        line.column(text, cells)
    assert line.width == sum(cells + 1 for _, cells in columns if cells)
    assert line.strip(width).cell_length == width


def test_pieces_have_the_style_of_the_line_under_their_own() -> None:
    base = Style(bgcolor="blue", bold=True)
    strip = StyledLine(base).add("a").add("b", RED).add("").fill(5, "-").strip(6)
    assert [(text, style) for text, style, _ in strip] == [
        ("a", base), ("b", base + RED), ("---", base), (" ", base),
    ]  # fmt: skip


def test_a_finished_strip_is_put_behind_what_is_there() -> None:
    line = StyledLine(Style()).add("a").add_strip(Strip(StyledLine(Style()).add("bc").strip(2)))
    assert (line.width, line.strip(4).text) == (3, "abc ")


# -- without signs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("português", "portugues"),
        ("日本 a", "???? a"),
        ("a—b▶", "a?b?"),
        ("a ⏎ b", "a $ b"),
        ("ﬁ", "f"),
        ("½", "1"),
    ],
)
def test_what_is_no_ascii_is_said_with_it(text: str, result: str) -> None:
    assert as_ascii(text) == result


@given(texts)
def test_ascii_takes_the_same_cells(text: str) -> None:
    plain = as_ascii(text)
    assert plain.isascii()
    assert width_of(plain) == sum(width_of(letter) for letter in text)


@given(texts, st.integers(1, 20))
def test_a_line_without_signs_is_ascii_and_as_wide(text: str, width: int) -> None:
    strip = StyledLine(Style(), ascii_only=True).column(text, width).strip(width)
    assert strip.text.isascii()
    assert strip.cell_length == width


def test_blanks_after_an_underlined_text_have_no_line() -> None:
    line = StyledLine(Style()).column("held", 8, Style(underline=True, bold=True)).strip(9)
    assert [(segment.text, bool(segment.style and segment.style.underline)) for segment in line][:2] == [
        ("held", True),
        ("    ", False),
    ]
