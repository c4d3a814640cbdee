"""The window moves over a log by rows as if all rows were known."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.outputs.log_lines import split
from parexec_tui.outputs.sources import PlainLog
from parexec_tui.text.cells import row_starts
from parexec_tui.tui.output.log_text import read_line
from parexec_tui.tui.output.log_window import LogPlace, LogWindow

logs = st.lists(
    st.sampled_from(["", "a", "hello", "wide 漢字漢字", "0123456789" * 3, "\x1b[31mred\x1b[m text", "long " * 10]),
    max_size=30,
).map(lambda lines: "\n".join(lines).encode())


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "a.log"


@contextmanager
def window_on(path: Path, data: bytes, width: int, height: int) -> Iterator[LogWindow]:
    path.write_bytes(data)
    with closing(LogReader(PlainLog(os.open(path, os.O_RDONLY)), len(data))) as reader:
        window = LogWindow()
        window.width, window.height = width, height
        window.show(reader)
        window.lay_out()
        yield window


def texts(window: LogWindow) -> list[str]:
    return [row.line.text[row.begin : row.end] for row in window.rows]


def all_rows(data: bytes, width: int) -> list[str]:
    rows = []
    for raw in split(data, 0):
        text = read_line(raw.data).text
        starts = row_starts(text, width)
        rows += [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return rows


@given(logs, st.integers(2, 30), st.integers(1, 8), st.lists(st.integers(-20, 20), max_size=8))
def test_scrolling_by_rows(scratch: Path, data: bytes, width: int, height: int, moves: list[int]) -> None:
    rows = all_rows(data, width)
    bottom = max(len(rows) - height, 0)
    at, following = bottom, True
    with window_on(scratch, data, width, height) as window:
        assert texts(window) == rows[at : at + height]
        for move in moves:
            window.scroll(move)
            window.lay_out()
            if move < 0 or not following:
                following = move > 0 and at + move > bottom
                at = min(max(at + move, 0), bottom)
            assert texts(window) == rows[at : at + height]
            assert window.following == following


@given(logs, st.integers(2, 30), st.integers(1, 8), st.integers(0, 400))
def test_going_to_a_letter(scratch: Path, data: bytes, width: int, height: int, seed: int) -> None:
    lines = [raw for raw in split(data, 0) if read_line(raw.data).text]
    with window_on(scratch, data, width, height) as window:
        for raw in lines[seed % max(len(lines), 1) :][:1]:
            letter = seed % len(read_line(raw.data).text)
            window.go_to(LogPlace(raw.start, letter))
            window.lay_out()
            assert any(row.raw.start == raw.start and row.begin <= letter < row.end for row in window.rows)
            assert not window.following
            shown = list(window.rows)
            window.go_to(LogPlace(raw.start, letter))
            window.lay_out()
            assert window.rows == shown


@given(logs, st.integers(2, 30), st.integers(2, 30), st.integers(1, 8), st.integers(0, 40))
def test_another_width_keeps_the_upper_left_letter(
    scratch: Path, data: bytes, width: int, other: int, height: int, up: int
) -> None:
    with window_on(scratch, data, width, height) as window:
        window.scroll(-up)
        window.lay_out()
        top = window.top
        window.width = other
        window.lay_out()
        whole = len(all_rows(data, other))
        if len(window.rows) == height and window.top == top:
            first = window.rows[0]
            assert first.raw.start == top.start
            assert first.begin <= top.letter
        else:  # there is less below it than the screen has room for
            assert len(window.rows) == min(height, whole)


@given(logs, st.integers(2, 12), st.integers(0, 40))
def test_lines_that_are_not_wrapped_are_seen_from_a_column_on(
    scratch: Path, data: bytes, width: int, column: int
) -> None:
    with window_on(scratch, data, width, 4) as window:
        window.wrap = False
        window.column = column
        window.lay_out()
        lines = [read_line(raw.data).text for raw in split(data, 0)][-4:]
        assert [row.line.text for row in window.rows] == lines
        assert all(len(shown) <= width for shown in texts(window))
        for line, shown in zip(lines, texts(window), strict=True):
            if line.isascii():
                assert shown == line[column : column + width]


def test_growth_below_does_not_move_what_is_read(scratch: Path) -> None:
    data = b"".join(b"%d\n" % number for number in range(100))
    with window_on(scratch, data, 20, 5) as window, scratch.open("ab") as file:
        window.scroll(-50)
        window.lay_out()
        before = texts(window)
        file.write(b"more\n" * 1000)
        file.flush()
        window.lay_out()
        assert texts(window) == before == ["45", "46", "47", "48", "49"]


def test_a_progress_bar_of_any_length_is_one_line(scratch: Path) -> None:
    bar = b"".join(b"\r%3d%% %s" % (state % 100, b"#" * 30) for state in range(100_000))
    with window_on(scratch, b"before\n" + bar, 60, 9) as window:
        assert texts(window) == ["before", " 99% " + "#" * 30]
    with window_on(scratch, b"before\n" + bar + b"\rdone" + b" " * 40 + b"\r\nafter\n", 60, 9) as window:
        assert [text.rstrip() for text in texts(window)] == ["before", "done", "after"]
        window.scroll(-2)
        window.lay_out()
        assert [text.rstrip() for text in texts(window)] == ["before", "done", "after"]


def test_a_window_without_room_or_log_has_no_rows(scratch: Path) -> None:
    window = LogWindow()
    window.scroll(-3)
    window.go_to(LogPlace(5, 1))
    window.lay_out()
    assert (window.rows, window.end) == ([], 0)
    with window_on(scratch, b"text\n", 0, 5) as window:
        assert window.rows == []
    with window_on(scratch, b"text\n", 5, 0) as window:
        window.scroll(-1)
        window.lay_out()
        assert window.rows == []
