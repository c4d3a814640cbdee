"""The lines of a whole log are those that the screen shows, whatever is in it and however large it is."""

import os
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.outputs.sources import PlainLog
from parexec_tui.text import log_grep
from parexec_tui.text.log_grep import line_pattern, log_lines
from parexec_tui.text.log_text import line_text

LINES = (
    *(
        b"plain",
        b"",
        b"a\ttab\there",
        b"\x1b[31mred\x1b[0m text",
        b"dos\r",
        b"50%\r100%",
        b"bell\x07",
        b"\xff\x00\x01",
    ),
    *(
        b"\x1b]0;title\x07after",
        "größe".encode(),
        "größe".encode("latin-1"),
        b"WARNING: x",
        b"war\x1b[1mning\x1b[m: y",
    ),
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "a.log"


@contextmanager
def reading(path: Path, data: bytes) -> Iterator[LogReader]:
    path.write_bytes(data)
    with closing(LogReader(PlainLog(os.open(path, os.O_RDONLY)), len(data))) as reader:
        yield reader


def found(path: Path, data: bytes, regex: str | None = None, *, ignore_case: bool = False) -> list[str]:
    pattern = None if regex is None else line_pattern(regex, ignore_case=ignore_case)
    with reading(path, data) as reader:
        return [line for lines in log_lines(reader, pattern) for line in lines]


@given(
    st.lists(st.sampled_from(LINES), max_size=60), st.booleans(), st.sampled_from([None, "warning", "0+%", "^a|x$"])
)
def test_lines_are_as_the_screen_shows_them(scratch: Path, lines: list[bytes], ends: bool, regex: str | None) -> None:
    data = b"\n".join(lines) + b"\n" * ends
    expected = [line_text(line) for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    if regex is not None:
        expected = [line for line in expected if re.search(regex, line)]
    assert found(scratch, data, regex) == expected


def test_blocks_make_no_difference(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\n".join(LINES * 3000)
    whole = found(scratch, data)
    monkeypatch.setattr(log_grep, "_BLOCK", 30_000)
    assert found(scratch, data) == whole


@pytest.mark.parametrize(
    ("regex", "ignore_case", "expected"),
    [
        ("warning", False, ["warning: y"]),
        ("Warning", True, ["WARNING: x", "warning: y"]),
        ("warn(ing)?:", True, ["WARNING: x", "warning: y"]),
        (r"^red text$", False, ["red text"]),
        (r"red\Z|title", False, []),
        ("50%", False, []),
        (r"\\", False, []),
        ("größe", False, ["größe", "größe"]),
    ],
)
def test_a_pattern_is_searched_for_in_what_is_shown(
    scratch: Path, regex: str, ignore_case: bool, expected: list[str]
) -> None:
    assert found(scratch, b"\n".join(LINES), regex, ignore_case=ignore_case) == expected


@pytest.mark.parametrize(
    ("regex", "ignore_case", "expected"),
    [
        ("a.b", False, ["a+b", "a b"]),
        (r"a\+b", False, ["a+b"]),
        ("A+B", True, []),
        ("A B", True, ["a b"]),
        ("A B", False, []),
        ("^(?!.*a)b$", False, ["b"]),
        (r"\bb\Z", False, ["a+b", "a b", "b"]),
    ],
)
def test_a_pattern_means_the_same_where_all_is_plain(
    scratch: Path, regex: str, ignore_case: bool, expected: list[str]
) -> None:
    assert found(scratch, b"a+b\na b\nb\n\n", regex, ignore_case=ignore_case) == expected


def test_a_pattern_that_is_none_is_an_error() -> None:
    with pytest.raises(re.error, match="unterminated"):
        line_pattern("(x", ignore_case=False)


def test_a_large_log_and_a_long_bar_take_little_memory(scratch: Path) -> None:
    block = b"2024-05-01T12:00:00 \x1b[32mINFO\x1b[0m compiled unit\n" * 20_000
    bar = b"".join(b"\r%9d" % state for state in range(1_000_000)) + b"\n"
    data = block * 20 + bar + b"one warning\n" + block * 20
    scratch.write_bytes(data)
    size = len(data)
    del data
    with closing(LogReader(PlainLog(os.open(scratch, os.O_RDONLY)), size)) as reader:
        tracemalloc.start()
        try:
            pattern = line_pattern("warn|  999999$", ignore_case=False)
            assert [line for lines in log_lines(reader, pattern) for line in lines] == ["   999999", "one warning"]
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
