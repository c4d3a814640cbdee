"""Output on its way to a terminal: text and colours arrive, what acts on the terminal does not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.text.cleaning import Cleaner


def cleaned(*pieces: bytes) -> str:
    cleaner = Cleaner()
    return "".join([*map(cleaner.feed, pieces), cleaner.finish()])


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"\x1b]0;owned\x07title", "title"),
        (b"\x1b]52;c;aGk=\x1b\\clipboard", "clipboard"),
        (b"\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        (b"\x1b[2J\x1b[1;1Hscreen\x1b[?1049h", "screen"),
        ("\x9b2J\x9d0;owned\x9cC1".encode(), "C1"),
        (b"\x1bPq#0\x1b\\picture\x1bc", "picture"),
        ("a\u202eb\u2066c".encode(), "abc"),
        (b"\x1b]0;open\nnext\n", "\nnext\n"),
        (b"\x07bell\x0e", "bell"),
        (b"\x1b[8mhidden \x1b[1;8mtoo \x1b[5mblinks", "hidden too blinks"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_acts_on_a_terminal_is_left_out(output: bytes, shown: str) -> None:
    assert cleaned(output) == shown


@pytest.mark.parametrize(
    "output",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b[38;5;8mgrey\x1b[48;2;8;8;8mdark\x1b[38:2::8:8:8mcolons\x1b[m",
        "10%\r20%\x1b[K\rdone\x1b[2K\x1b[1G",
        "tab\there, \u200djoined\ufe0f, äöü\n\nend\n",
    ],
)
def test_text_colours_and_progress_bars_stay(output: str) -> None:
    assert cleaned(output.encode()) == output


def test_colours_end_with_the_output() -> None:
    assert cleaned(b"\x1b[1;31mred\n") == "\x1b[1;31mred\n\x1b[0m"


def test_a_sequence_that_never_ends_holds_nothing_up() -> None:
    cleaner = Cleaner()
    assert cleaner.feed(b"a\x1b]0;" + b"x" * 100) == "a"
    cleaner.feed(b"x" * 10_000)
    assert cleaner.feed(b"y\n") == "y\n"


PIECES = st.sampled_from(
    ["a", "ä", "\n", "\r", "\x1b]0;t", "\x07", "\x1b\\", "\x1b[3", "1m", "2J", "\x1bP", "\x9b", ";8"]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(0, 40), max_size=3))
def test_it_does_not_matter_in_what_pieces_an_output_arrives(text: str, cuts: list[int]) -> None:
    data = text.encode()
    marks = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(marks)]
    assert cleaned(*pieces) == cleaned(data)
    assert "\x1b]" not in cleaned(data)
    assert "\x1b[2J" not in cleaned(data)
