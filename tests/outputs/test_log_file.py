"""Lines are found at any offset as if the whole file had been read; and what happens to a file is noticed."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parexec_tui.outputs.log_file import FileChange, LogFile, LogReader
from parexec_tui.outputs.log_lines import MAX_UNCUT, RawLine, final_state, last_start, span, split
from parexec_tui.outputs.sources import PlainLog
from parexec_tui.tui.output.arrivals import Arrivals

SHORT = 16
"""A cut at each 16 bytes, so that small files have many."""

contents = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"\n",
                    b"\n\n",
                    b"\r\n",
                    b"line\n",
                    b"x" * 15,
                    b"x" * 17,
                    b"x" * 40,
                    b"\x1b[31m",
                    b"\x1b[",
                    b"\x1b",
                ),
                *(b"\r", b"\rbar", b"\r" * 20, b" 9%\r10%\r11%\r12%\r13%\r14%\r"),
            ]
        ),
        st.sampled_from(["é", "漢", "😀"]).map(str.encode),
        st.binary(max_size=20),
    ),
    max_size=30,
).map(b"".join)


def naive(data: bytes, longest: int) -> list[RawLine]:
    """The lines of a whole file, by the rule and nothing else."""
    edges = {0, len(data)} | {at + 1 for at, byte in enumerate(data) if byte == 0x0A}
    for cut in range(longest, len(data), longest):
        if b"\n" not in data[cut - longest : cut]:
            edges.add(_behind_return(data, cut, longest // 2) or _moved(data, cut, min(32, longest // 2)))
    ends = sorted(edges)
    return [
        RawLine(start, end, data[start:end].removesuffix(b"\n"), _rewrites(data, end - 1))
        for start, end in pairwise(ends)
    ]


def shown(lines: list[RawLine]) -> list[RawLine]:
    """What a reader finds: the lines without what later parts rewrite."""
    return [line for line in lines if not line.is_rewritten]


def _rewrites(data: bytes, at: int) -> bool:
    """Whether there is a carriage return, and the line goes on after it."""
    return data[at : at + 1] == b"\r" and data[at + 1 : at + 2] not in (b"", b"\n")


def _behind_return(data: bytes, cut: int, reach: int) -> int:
    """The last place up to a cut that a carriage return is before; not one of several before a newline."""
    for at in range(cut - 1, cut - reach - 1, -1):
        before_newline = data[at:cut].rstrip(b"\r") == b"" and data[cut : cut + 1] == b"\n"
        if _rewrites(data, at) and not before_newline:
            return at + 1
    return 0


def _moved(data: bytes, cut: int, reach: int) -> int:
    """A cut does not divide an escape sequence that began a few bytes before, nor a letter."""
    for start in range(cut - 1, cut - reach - 1, -1):
        if data[start] == 0x1B:
            rest = data[start + 1 : cut]
            if not rest or (
                rest[:1] == b"[" and all(0x20 <= byte < 0x40 for byte in rest[1:]) and _ordered(rest[1:])
            ):
                return start
            break
    for at in range(cut, cut - 4, -1):
        if data[at] & 0xC0 != 0x80:
            return at
    return cut


def _ordered(parameters: bytes) -> bool:
    """Parameters of a sequence come before what is between them and its end."""
    kinds = [byte < 0x30 for byte in parameters]
    return kinds == sorted(kinds)


@contextmanager
def reading(path: Path, data: bytes, longest: int = SHORT) -> Iterator[LogReader]:
    path.write_bytes(data)
    with closing(LogReader(PlainLog(os.open(path, os.O_RDONLY)), len(data), longest)) as reader:
        yield reader


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "a.log"


# --- Lines ---


@given(contents)
@example(b"x" * 32 + b"\n")
@example(b"x" * 31 + "é".encode() + b"x" * 40)
@example(b"x" * 28 + b"\x1b[38;5;1mred" * 3)
def test_lines_of_a_whole_file(data: bytes) -> None:
    lines = list(split(data, 0, SHORT))
    assert lines == naive(data, SHORT)
    assert all(len(line.data) < 2 * SHORT + SHORT // 2 for line in lines)


@given(contents, st.data())
def test_a_line_is_found_from_the_bytes_around_it(data: bytes, draw: st.DataObject) -> None:
    offset = draw.draw(st.integers(0, len(data)))
    low, high = span(offset, SHORT)
    starts = [line.start for line in naive(data, SHORT)]
    if data.endswith(b"\n"):
        starts.append(len(data))  # where the next line will begin
    expected = max((start for start in starts if start <= offset), default=0)
    assert last_start(data[low:high], low, offset, SHORT, begins=low == 0) == expected


def test_a_line_that_is_long_but_not_too_long_is_whole() -> None:
    data = b"x" * (MAX_UNCUT - 100) + b"\n" + b"y" * (MAX_UNCUT - 1) + b"\n" + b"z\n"
    assert [len(line.data) for line in split(data, 0)] == [MAX_UNCUT - 100, MAX_UNCUT - 1, 1]


def test_a_cut_divides_neither_a_letter_nor_a_colour() -> None:
    letters = "漢" * 10_000
    assert "".join(line.data.decode() for line in split(letters.encode(), 0)) == letters
    colours = b"\x1b[38;2;100;100;100mred\x1b[m" * 5000
    assert all(line.data.startswith((b"\x1b", b"r", b"e", b"d")) for line in split(colours, 0))


# --- A window onto a file ---


@given(contents, st.data())
def test_any_lines_from_and_before_any_line(scratch: Path, data: bytes, draw: st.DataObject) -> None:
    lines = shown(naive(data, SHORT))
    at = draw.draw(st.integers(0, len(lines)))
    most = draw.draw(st.integers(1, 8))
    offset = lines[at].start if at < len(lines) else len(data)
    with reading(scratch, data) as reader:
        assert reader.lines_from(offset, most) == lines[at : at + most]
        assert reader.lines_before(offset, most) == lines[max(0, at - most) : at]


@pytest.mark.parametrize(
    ("line", "count"), [(b"", 40_000), (b"x", 40_000), (b"word " * 200, 400), (b"y" * 70_000, 30)]
)
def test_a_file_larger_than_what_is_read_at_once(scratch: Path, line: bytes, count: int) -> None:
    data = b"".join(b"%d %s\n" % (number, line) for number in range(count))
    lines = naive(data, MAX_UNCUT)
    with reading(scratch, data, MAX_UNCUT) as reader:
        assert reader.lines_from(0, len(lines) + 1) == lines
        assert reader.lines_before(len(data), len(lines) + 1) == lines
        assert reader.lines_before(lines[200].start, 60) == lines[140:200]
        assert reader.lines_from(lines[140].start, 60) == lines[140:200]


def test_a_huge_file_is_read_only_where_it_is_looked_at(scratch: Path) -> None:
    with scratch.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it all would take hours
        file.seek(1 << 39)
        file.write(b"\nmiddle\n")
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast\n")
    reader = LogReader(PlainLog(os.open(scratch, os.O_RDONLY)), scratch.stat().st_size)
    assert [line.data for line in reader.lines_before(reader.size, 1)] == [b"last"]
    start = reader.start_of((1 << 39) + 4)
    assert [line.data for line in reader.lines_from(start, 1)] == [b"middle"]
    assert len(reader.lines_before(start, 100)) == 100
    assert len(reader.lines_from(0, 100)) == 100
    reader.close()


@given(contents, st.integers(0, 60), st.integers(1, 200))
def test_a_file_that_is_shorter_than_it_was_is_no_error(scratch: Path, data: bytes, offset: int, more: int) -> None:
    with reading(scratch, data) as reader:
        reader.size += more
        for start in (offset, reader.start_of(offset), reader.start_of(reader.size)):
            found = reader.lines_before(start, 5) + reader.lines_from(start, 5)
            assert all(line.end <= len(data) for line in found)


def test_a_duplicate_outlives_the_reader(scratch: Path) -> None:
    with reading(scratch, b"one\ntwo\n") as reader:
        other = reader.duplicate()
    assert [line.data for line in other.lines_from(0, 9)] == [b"one", b"two"]
    other.close()


# --- Progress bars ---


def bar(states: int) -> bytes:
    return b"".join(b"\r[%s] %d of %d" % (b"#" * 30, state, states) for state in range(1, states + 1))


@pytest.mark.parametrize("states", [10, 1_000, 250_000])
def test_a_bar_is_one_line_in_its_last_state_whatever_its_length(scratch: Path, states: int) -> None:
    data = b"before\n" + bar(states) + b"\r\nafter\n"
    with reading(scratch, data, MAX_UNCUT) as reader:
        for _ in range(2):
            first, last, after = reader.lines_from(0, 9)
            assert [first, last, after] == reader.lines_before(len(data), 9)
            assert (first.data, after.data) == (b"before", b"after")
            assert last.data.endswith(b"%d of %d\r" % (states, states))
            assert len(last.data) < 3 * MAX_UNCUT
        assert reader.lines_from(reader.start_of(len(data) // 2), 1) == [last]


def test_a_bar_that_grows_is_read_once(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bar(100_000)
    with reading(scratch, data, MAX_UNCUT) as reader, scratch.open("ab") as file:
        assert len(reader.lines_before(reader.size, 50)) == 1
        read, sizes = reader.read, []

        def counting(start: int, end: int) -> bytes:
            sizes.append(end - start)
            return read(start, end)

        monkeypatch.setattr(reader, "read", counting)
        for state in range(200):
            file.write(b"\rstate %d of a bar that grows" % state * 20)
            file.flush()
            assert reader.measure_now() is FileChange.grew
            (line,) = reader.lines_before(reader.size, 50)
            assert line.data.endswith(b"state %d of a bar that grows" % state)
        assert sum(sizes) < 200 * 10 * MAX_UNCUT
        os.truncate(scratch, 20_000)
        assert reader.measure_now() is FileChange.shrank
        assert reader.lines_before(20_000, 50)[0].end == 20_000


def test_ten_megabytes_of_carriage_returns_are_one_empty_line(scratch: Path) -> None:
    with reading(scratch, b"\r" * 10_000_000, MAX_UNCUT) as reader:
        (line,) = reader.lines_from(0, 50)
        assert line.data.strip() == b""


def test_the_end_of_a_bar_is_what_was_written_last() -> None:
    assert final_state(bar(1_000)).endswith(b"1000 of 1000")
    assert len(final_state(bar(1_000))) < 50
    assert final_state(bar(3) + b"\r") == bar(3) + b"\r"
    assert final_state(b"x" * 100_000) == b"x" * 100_000


# --- What happens to a file ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "T1.1.log"


def content(log: LogFile) -> bytes:
    assert log.reader is not None
    return log.reader.read(0, log.reader.size)


def test_a_file_appears_and_grows(path: Path) -> None:
    log = LogFile(path)
    assert log.look() is FileChange.lost
    assert log.trouble == "there is no log yet"
    assert log.reader is None
    assert log.look() is FileChange.none
    path.write_bytes(b"one\n")
    assert log.look() is FileChange.opened
    assert (content(log), log.trouble) == (b"one\n", "")
    assert log.look() is FileChange.none
    with path.open("ab") as file:
        file.write(b"two\n")
    assert log.look() is FileChange.grew
    assert content(log) == b"one\ntwo\n"
    log.close()


def test_a_file_is_cut_short(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    log = LogFile(path)
    log.look()
    os.truncate(path, 4)
    assert log.look() is FileChange.shrank
    assert content(log) == b"one\n"
    log.close()


def test_another_file_takes_the_name(path: Path) -> None:
    path.write_bytes(b"old\n")
    log = LogFile(path)
    log.look()
    other = path.with_suffix(".new")
    other.write_bytes(b"new and longer\n")
    other.replace(path)
    assert log.look() is FileChange.replaced
    assert content(log) == b"new and longer\n"
    log.close()


def test_a_deleted_file_can_still_be_read_and_grow_and_come_back(path: Path) -> None:
    path.write_bytes(b"one\n")
    log = LogFile(path)
    log.look()
    with path.open("ab") as file:
        path.unlink()
        assert log.look() is FileChange.lost
        assert log.trouble == "the log was deleted: this is what it had"
        assert log.look() is FileChange.none
        file.write(b"two\n")
        file.flush()
        assert log.look() is FileChange.grew
    assert content(log) == b"one\ntwo\n"
    path.write_bytes(b"again\n")
    assert log.look() is FileChange.replaced
    assert (content(log), log.trouble) == (b"again\n", "")
    log.close()


def test_what_is_no_regular_file_is_not_read(path: Path) -> None:
    os.mkfifo(path)
    log = LogFile(path)
    assert log.look() is FileChange.lost
    assert log.trouble == "the log cannot be read: it is not a regular file"
    assert log.reader is None
    assert LogFile(path.parent).look() is FileChange.lost


def test_what_must_not_be_read_is_said(path: Path) -> None:
    log = LogFile(path.with_name("x" * 300))
    assert log.look() is FileChange.lost
    assert log.trouble == "the log cannot be read: File name too long"


# --- When it came ---


def test_the_time_is_known_of_what_came_while_somebody_looked() -> None:
    arrivals = Arrivals()
    arrivals.note(100, 50.0)
    arrivals.note(100, 51.0)
    arrivals.note(110, 51.5)
    arrivals.note(120, 51.9)
    arrivals.note(130, 53.0)
    assert [arrivals.at(offset) for offset in (0, 99, 100, 110, 119, 120, 129)] == [None, None, 51, 51, 51, 53, 53]
    assert arrivals.at(130) is None  # it has not come yet


def test_the_time_is_not_known_of_what_came_while_nobody_looked() -> None:
    arrivals = Arrivals()
    arrivals.note(0, 50.0)
    arrivals.note(10, 51.0)
    arrivals.note(20, 60.0)
    arrivals.note(30, 61.0)
    assert [arrivals.at(offset) for offset in (5, 15, 25)] == [51, None, 61]


def test_a_clock_that_is_put_back_tells_no_time() -> None:
    arrivals = Arrivals()
    arrivals.note(0, 50.0)
    arrivals.note(10, 40.0)
    assert arrivals.at(5) is None


def test_what_is_long_ago_is_forgotten() -> None:
    arrivals = Arrivals()
    for second in range(20_000):
        arrivals.note(second * 10, float(second))
    assert arrivals.at(5) is None
    assert arrivals.at(100_005) == 10_001
    assert arrivals.at(199_985) == 19_999
