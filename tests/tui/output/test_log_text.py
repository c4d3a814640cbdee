"""A line of a log is shown as a terminal would, less all that could act on one."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from parexec_tui.text.cells import cells, row_starts, width_of
from parexec_tui.text.log_text import TAB, line_text
from parexec_tui.tui.output.log_text import read_line
from parexec_tui.tui.output.sgr import PLAIN, changed, style_of

FRAGMENTS = (
    *(b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b\\", b"\x9b", b"\xc2\x9b", b"\xc2\x9d"),
    *(b"\x07", b"m", b"K", b"31", b";", b":", b"?25l", b"\r", b"\b", b"\t", b"\f", b"\x0e", b"\x00", b"\x7f"),
    *(b"a", b"word", b" ", b"\xff", b"\xe6\xbc"),
    *map(str.encode, ("é", "漢", "e\u0301", "\u202e", "\u2066", "\u061c", "\u200d", "☁\ufe0f", "👩\u200d🚀")),
)
lines = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join),
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60).map(str.encode),
)


def shown(data: bytes) -> str:
    return read_line(data).text


def parts(data: bytes) -> list[tuple[str, Style]]:
    """Each piece of the text with its style."""
    line = read_line(data)
    edges = [start for start, _ in line.runs] + [len(line.text)]
    return [
        (line.text[start:end], style) for (start, style), end in zip(line.runs, edges[1:], strict=True) if start < end
    ]


# --- What is taken out ---


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"up\x1b[2A down\x1b[B home\x1b[H there\x1b[3;4H", "up down home there"),
        (b"\x1b[2Jcleared\x1b[?25l\x1b[?1049h", "cleared"),
        (b"\x1b]0;a title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b]52;c;ZXZpbA==\x07clipboard", "clipboard"),
        (b"\x1bP1$r0m\x1b\\dcs", "dcs"),
        (b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\rest", "rest"),
        (b"\x1bcreset \x1b(Bcharset\x0e\x0f", "reset charset"),
        ("\x9b31mc1 \x9d0;title\x9cdone".encode(), "c1 done"),
        (b"bell\x07 tear\x0c", "bell tear"),
        ("left\u202eright \u2066isolate\u2069 \u061cmark".encode(), "leftright isolate mark"),
        (b"an end is missing \x1b]0;" + b"x" * 1000, "an end is missing "),
        (b"half \x1b[", "half "),
        (b"half \x1b[31", "half 31"),
        (b"not \xff\xfe utf-8 at all places", "not \ufffd\ufffd utf-8 at all places"),
    ],
)
def test_nothing_that_acts_on_a_terminal_is_left(data: bytes, text: str) -> None:
    assert shown(data) == text


@given(lines)
@example("\u202e\x9b\x1b]52;c;x".encode())
def test_no_line_has_a_control_character(data: bytes) -> None:
    for letter in shown(data):
        assert unicodedata.category(letter) not in ("Cc", "Zl", "Zp", "Cs")
        assert unicodedata.bidirectional(letter) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
        assert letter not in "\u200e\u200f\u061c"


@given(lines)
def test_what_is_shown_is_shown_the_same_again(data: bytes) -> None:
    text = shown(data)
    assert shown(text.encode()) == text


@given(lines, lines)
def test_a_line_does_not_depend_on_the_one_before(one: bytes, other: bytes) -> None:
    alone = read_line.__wrapped__(other)
    read_line.__wrapped__(one)
    assert read_line.__wrapped__(other) == alone


@given(lines)
def test_a_line_is_never_much_longer_than_its_bytes(data: bytes) -> None:
    line = read_line(data)
    assert line.binary or len(line.text) <= TAB * len(data)
    assert len(line.runs) <= len(line.text) + 1
    assert [start for start, _ in line.runs] == sorted({start for start, _ in line.runs})
    assert not line.text or line.runs[0][0] == 0


# --- What rewrites a line ---


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b" 10 %\r 50 %\r100 %\r", "100 %"),
        (b"100 %\r", "100 %"),
        (b"dos line\r\r", "dos line"),
        (b"downloading\rdone", "doneloading"),
        (b"downloading\rdone\x1b[K", "done"),
        (b"downloading\r\x1b[Kdone", "done"),
        (b"downloading\r\x1b[0Kdone", "done"),
        (b"downloading\x1b[2K\rdone", "done"),
        (b"downloading\x1b[2K\x1b[1Gdone", "done"),
        (b"abcdef\rxyz\rp", "pyzdef"),
        (b"|\b/\b-\b\\", "\\"),
        (b"50%\b\b\b60%", "60%"),
        (b"kept\b\b", "kept"),
        (b"kept\b\b\x1b[K", "ke"),
        (b"kept\b \b", "kep "),
        (b"\b\b\bno further", "no further"),
        ("漢字\ra".encode(), "a 字"),
        ("漢字\rab".encode(), "ab字"),
        ("漢字\b好".encode(), "漢好"),
    ],
)
def test_of_a_line_that_is_rewritten_the_last_state_is_shown(data: bytes, text: str) -> None:
    assert shown(data) == text


def test_what_is_seen_of_an_earlier_state_keeps_its_colour() -> None:
    red = Style(color=Color.from_ansi(1))
    assert parts(b"\x1b[31mlong\x1b[m\rab") == [("ab", Style()), ("ng", red)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\tb", "a       b"),
        (b"1234567\tb", "1234567 b"),
        (b"12345678\tb", "12345678        b"),
        ("漢\tb".encode(), "漢      b"),
        (b"\x1b[1ma\x1b[m\t\tb", "a               b"),
        (b"gone\ra\tb", "a       b"),
    ],
)
def test_tabs_go_to_the_next_stop(data: bytes, text: str) -> None:
    assert shown(data) == text


# --- Colours ---


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("", Style()),
        ("1;31", Style(bold=True, color="color(1)")),
        ("1;0", Style()),
        ("1;22", Style()),
        ("2;3;4;7;9", Style(dim=True, italic=True, underline=True, reverse=True, strike=True)),
        ("3;4;7;9;23;24;27;29", Style()),
        ("21", Style(underline=True)),
        ("4:3", Style(underline=True)),
        ("4;4:0", Style()),
        ("97;100", Style(color="color(15)", bgcolor="color(8)")),
        ("31;42;39;49", Style()),
        ("38;5;196;1", Style(color="color(196)", bold=True)),
        ("48:5:196", Style(bgcolor="color(196)")),
        ("38;2;1;2;3;4", Style(color="#010203", underline=True)),
        ("48:2:1:2:3", Style(bgcolor="#010203")),
        ("38:2::1:2:3", Style(color="#010203")),
        ("58;5;3;1", Style(bold=True)),
        ("58:2::1:2:3;1", Style(bold=True)),
        ("5;8;1", Style(bold=True)),
        ("38;5;256", Style()),
        ("38;2;1;2;999", Style()),
        ("38;5", Style()),
        ("38", Style()),
        ("38;9;1", Style(bold=True)),
        ("1;" * 60 + "31", Style(bold=True, color="color(1)")),
        ("31;99999999999999999999;1", Style(color="color(1)", bold=True)),
        ("38;5;99999999999999999999;1", Style(bold=True)),
        ("38:5", Style()),
        ("1;" * 10_000, Style()),
    ],
)
def test_colours_and_attributes_are_kept(parameters: str, style: Style) -> None:
    assert style_of(changed(PLAIN, parameters)) == style


def test_a_style_holds_until_it_is_changed_and_no_longer_than_its_line() -> None:
    bold, plain = Style(bold=True), Style()
    assert parts(b"a\x1b[1mb\x1b[Kc\x1b[0md") == [("a", plain), ("bc", bold), ("d", plain)]
    assert parts(b"next") == [("next", plain)]


def test_what_sets_modes_of_a_terminal_is_no_colour() -> None:
    assert parts(b"\x1b[>4;1mtext\x1b[?1m") == [("text", Style())]


# --- Bytes that are no text ---


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x7fELF\x02\x01\x01\x00", "binary, 8B: 7f 45 4c 46 02 01 01 00  .ELF...."),
        (b"\x00" * 2048, f"binary, 2KiB: {' '.join(['00'] * 16)}...  {'.' * 16}"),
        (b"\xff\xd8\xff\xe0", "binary, 4B: ff d8 ff e0  ...."),
    ],
)
def test_a_binary_line_says_so_and_shows_its_first_bytes(data: bytes, text: str) -> None:
    line = read_line(data)
    assert line.binary
    assert line.text == text


@pytest.mark.parametrize(
    "data", ["größer".encode("latin-1"), b"\x1b[1;31;42m\x1b[0m\r\b\t\x07", "\ufffd".encode() * 9, b""]
)
def test_text_with_few_odd_bytes_is_no_binary(data: bytes) -> None:
    assert not read_line(data).binary


@pytest.mark.parametrize("text", ["é", "où", "ça", "À ÉÈ", "größer", "\x1b[1mdéjà\x1b[0m", "25 °C\tfür £5"])
def test_latin_1_is_read_where_it_makes_sense(text: str) -> None:
    line = read_line(text.encode("latin-1"))
    assert (line.text, line.binary) == (shown(text.encode()), False)


@pytest.mark.parametrize(
    "data",
    ["\u00c3 la carte é".encode() + b"\xe9", "\ufffd".encode() + b"\xe9", b"control characters: \x93\x94 \xe9"],
)
def test_what_is_partly_utf_8_or_not_text_in_latin_1_is_not_read_as_latin_1(data: bytes) -> None:
    assert "\ufffd" in shown(data)


# --- Without colours ---


@given(lines)
def test_the_text_alone_is_the_same_as_with_colours(data: bytes) -> None:
    assert line_text(data) == shown(data)


# --- Widths ---


@given(lines)
def test_a_width_is_what_rich_makes_of_it(data: bytes) -> None:
    assert width_of(shown(data)) == cell_len(shown(data))


@given(lines, st.integers(1, 12))
def test_rows_hold_the_whole_line_and_none_is_too_wide(data: bytes, width: int) -> None:
    text = shown(data)
    starts = row_starts(text, width)
    assert starts[0] == 0
    rows = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    assert "".join(rows) == text
    assert all(rows) or not text
    for row, after in zip(rows, [*rows[1:], ""], strict=True):
        assert width_of(row) <= max(width, 2 if re.search(r"[^\x00-\x7f]", row) else 1)
        if after and width >= 2:
            assert width_of(row) + width_of(after[0]) > width


@given(lines, st.integers(0, 20), st.integers(0, 12))
def test_the_letters_between_two_cells(data: bytes, start: int, width: int) -> None:
    """Against the cells one by one: a letter is seen if all its cells are."""
    text = shown(data)
    begin, end, pad = cells(text, start, start + width)
    at, first = 0, None
    seen = ""
    for letter in text:
        wide = width_of(letter)
        inside = start <= at and at + wide <= start + width
        if inside and (wide or seen or not start):
            first = at if first is None else first
            seen += letter
        at += wide
    assert text[begin:end] == seen
    if seen and first is not None and width_of(seen):
        assert pad == first - start
