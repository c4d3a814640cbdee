"""A search finds what the screen shows, in either direction, once around the file."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.outputs.log_lines import MAX_UNCUT
from parexec_tui.outputs.sources import PlainLog
from parexec_tui.text.search_terms import ERRORS, SearchTerm, search_term
from parexec_tui.tui.output import log_search
from parexec_tui.tui.output.log_search import Match, Search
from parexec_tui.tui.output.log_text import read_line


@contextmanager
def reading(path: Path, data: bytes, longest: int = MAX_UNCUT) -> Iterator[LogReader]:
    path.write_bytes(data)
    with closing(LogReader(PlainLog(os.open(path, os.O_RDONLY)), len(data), longest)) as reader:
        yield reader


def find(path: Path, data: bytes, what: SearchTerm, start: int = 0, *, backwards: bool = False) -> Match | None:
    with reading(path, data) as reader:
        return Search(reader, what, start, backwards=backwards).run()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "a.log"


LINES = [
    b"plain",
    b"a needle",
    b"NEEDLE",
    b"\x1b[1mnee\x1b[mdle",
    b"needle\rcovered over",
    b"",
    b"\x1b]0;needle\x07title",
]


@given(st.lists(st.sampled_from(LINES), max_size=40), st.data(), st.booleans())
def test_the_nearest_line_that_shows_it_is_found(
    scratch: Path, lines: list[bytes], draw: st.DataObject, backwards: bool
) -> None:
    """Against all lines, one by one, in the order of the search; slices so small that there are many."""
    data = b"".join(line + b"\n" for line in lines)
    starts = [sum(len(line) + 1 for line in lines[:at]) for at in range(len(lines) + 1)]
    first = draw.draw(st.integers(0, len(lines)))
    ahead, rest = range(first, len(lines)), range(first)
    order = [*reversed(rest), *reversed(ahead)] if backwards else [*ahead, *rest]
    far = set(ahead if backwards else rest)
    shown = {at: read_line(lines[at]).text.lower().find("needle") for at in order}
    expected = next((Match(starts[at], shown[at], at in far) for at in order if shown[at] >= 0), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_search, "_SLICE", 64)
        with reading(scratch, data, longest=32) as reader:
            assert Search(reader, search_term("needle"), starts[first], backwards=backwards).run() == expected


@pytest.mark.parametrize(
    ("text", "line", "letter"),
    [
        ("error: x", b"\x1b[31merror\x1b[0m: \x1b[1mx\x1b[0m", 0),
        ("x", b"\x1b[35mX\x1b[m", 0),
        ("is broken", b"i\x1b[35ms bro\x1b]0;no\x07k\x1b[men", 0),
        ("=> x", b"=\x1b[1m>\x1b[m x", 0),
        ("...", b"..\x1b[1m.\x1b[m", 0),
        ("größe", "die GRößE".encode(), 4),
        ("größe", "die GRÖSSE".encode(), None),
        ("Needle", b"needle", None),
        ("Needle", b"a Needle", 2),
        ("31m", b"\x1b[31mred", None),
        ("a b", b"a\tb", None),
        ("a.*b", b"aXXb", None),
        ("a.*b", b"a.*b", 0),
        ("漢字", "\x1b[1m漢\x1b[m字".encode(), 0),
        ("title", b"\x1b]0;title\x07", None),
        ("50%", b"10%\r50%\r90%", None),
        ("90%", b"10%\r50%\r90%", 0),
    ],
)
def test_what_is_searched_for_is_what_is_shown(scratch: Path, text: str, line: bytes, letter: int | None) -> None:
    match = find(scratch, b"before\n" + line + b"\nafter\n", search_term(text))
    assert match == (None if letter is None else Match(7, letter, wrapped=False))


def test_it_is_found_in_a_line_of_many_megabytes(scratch: Path) -> None:
    data = b"x" * 3_000_000 + b" needle " + b"y" * 3_000_000
    match = find(scratch, data, search_term("needle"))
    assert match is not None
    assert match.start <= 3_000_000 < match.start + 20_000
    assert find(scratch, data, search_term("needle"), len(data), backwards=True) == match
    assert find(scratch, data, search_term("absent")) is None


@pytest.mark.parametrize("backwards", [False, True])
def test_of_a_bar_only_the_last_state_is_searched(scratch: Path, backwards: bool) -> None:
    bar = b"".join(b"\r[%s] state %d" % (b"#" * 30, state) for state in range(100_000))
    data = b"first\n" + bar + b"\nlast\n"
    assert find(scratch, data, search_term("state 500 "), backwards=backwards) is None
    assert find(scratch, data, search_term("state 50000"), backwards=backwards) is None
    match = find(scratch, data, search_term("state 99999"), len(data) if backwards else 0, backwards=backwards)
    assert match is not None
    assert match.letter == len("[] ") + 30
    with reading(scratch, data) as reader:
        assert match.start == reader.lines_before(len(data), 2)[0].start


def test_a_search_that_is_stopped_finds_nothing_and_looks_at_no_more(scratch: Path) -> None:
    with reading(scratch, b"x\n" * 1_000_000 + b"needle\n") as reader:
        search = Search(reader, search_term("needle"), 0, backwards=False)
        search.stop()
        assert search.run() is None
        assert search.share == 0
        search = Search(reader, search_term("absent"), 1_000_000, backwards=False)
        assert search.run() is None
        assert search.share == 1


@pytest.mark.parametrize(
    "line",
    [
        *("error: cannot open", "2 errors", "ERROR x", "E   AssertionError", "java.lang.NullPointerException: x"),
        *("FAILED tests/a.py", "1 failed, 3 passed", "Traceback (most recent call last):", "build failure"),
        *("thread 'main' panicked at", "kernel panic", "FATAL: no", "assert 1 == 2", "Assertion failed", "Aborted"),
        *("make: *** [all] Error 2", "Segmentation fault (core dumped)", "not ok 3 - adds", "10 errors"),
        *("\x1b[31merror\x1b[0m: x", "std::exception"),
    ],
)
def test_what_looks_like_an_error(scratch: Path, line: str) -> None:
    assert find(scratch, b"fine\n" + line.encode() + b"\n", ERRORS) is not None


@pytest.mark.parametrize(
    "line",
    [
        "all good",
        "0 errors, 0 failed",
        "no errors found",
        "failover to b",
        "error_count=0",
        "fails",
        "exceptional",
        "asserts",
    ],
)
def test_what_does_not_look_like_an_error(scratch: Path, line: str) -> None:
    assert find(scratch, line.encode() + b"\n", ERRORS) is None


@settings(max_examples=50)
@given(st.from_regex(ERRORS.pattern))
def test_a_line_with_an_error_has_one_of_its_stems(text: str) -> None:
    assert any(stem in text.encode().lower() for stem in ERRORS.stems)
