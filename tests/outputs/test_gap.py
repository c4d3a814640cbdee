"""A log whose middle was left out: how it is cut, and that all readers pass over the gap."""

import errno
import os
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs.gap import NOTE_LENGTH, Gap, cut, find_gap
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.outputs.log_file import FileChange, LogFile, LogReader
from parexec_tui.text.attempt_output import last_lines
from parexec_tui.text.log_grep import line_pattern, log_lines
from parexec_tui.text.search_terms import search_term
from parexec_tui.tui.output.log_search import Search

LIMIT = 64 * 1024
LINES = 60_000


def lines(first: int, end: int) -> bytes:
    return b"".join(b"line %d of a flood\n" % number for number in range(first, end))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gaps") / "a.log"


def made(path: Path, data: bytes, limit: int = LIMIT) -> Gap:
    """A log with these data that was cut. Skips the test where that cannot be done."""
    path.write_bytes(data)
    try:
        found = cut(str(path), limit)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("no parts of files can be freed here")
    assert found is not None
    return found


@pytest.fixture
def flooded(scratch: Path) -> Path:
    made(scratch, lines(0, LINES))
    return scratch


def opened(path: Path) -> LogFile:
    log = LogFile(path)
    assert log.look() is FileChange.opened
    return log


def reader_of(log: LogFile) -> LogReader:
    assert log.reader is not None
    return log.reader


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


# -- how it is cut ---------------------------------------------------------------------------------------------


def test_the_start_and_the_newest_end_stay_and_the_disk_gets_the_rest(scratch: Path) -> None:
    data = lines(0, LINES)
    found = made(scratch, data)
    after = scratch.read_bytes()
    assert len(after) == len(data)
    assert on_disk(scratch) <= LIMIT
    assert LIMIT // 8 <= found.start <= LIMIT // 4
    assert LIMIT // 2 <= len(data) - found.end < LIMIT
    assert after[: found.start - NOTE_LENGTH] == data[: found.start - NOTE_LENGTH]
    assert after[found.end :] == data[found.end :]
    assert not after[found.start : found.end].strip(b"\0")
    note = after[found.start - NOTE_LENGTH : found.start]
    assert note[:1] == note[-1:] == b"\n"
    assert note.split() == b"[parexec] 1.2MiB left out here: no more than 64KiB is kept, see max_log".split()


def test_what_is_not_too_long_is_left_alone(scratch: Path) -> None:
    scratch.write_bytes(b"x" * LIMIT)
    assert cut(str(scratch), LIMIT) is None
    assert scratch.read_bytes() == b"x" * LIMIT


def test_the_gap_grows_with_the_log_and_its_start_stays(scratch: Path) -> None:
    before = made(scratch, lines(0, LINES))
    for size in range(5):
        with scratch.open("ab") as file:
            file.write(lines(0, LINES))
        after = cut(str(scratch), LIMIT)
        assert after is not None
        assert after.start == before.start
        assert after.end > before.end
        assert on_disk(scratch) <= LIMIT, size
        before = after
    with scratch.open("rb") as file:
        assert find_gap(file.fileno(), scratch.stat().st_size) == before


def test_a_log_that_was_emptied_begins_anew(scratch: Path) -> None:
    made(scratch, lines(0, LINES))
    os.truncate(scratch, 0)
    assert cut(str(scratch), LIMIT) is None
    assert made(scratch, lines(0, LINES)).start > 0


def test_others_append_meanwhile_and_nothing_of_it_is_lost(scratch: Path) -> None:
    made(scratch, lines(0, LINES))
    fd = os.open(scratch, os.O_WRONLY | os.O_APPEND)
    over = threading.Event()

    def flood() -> None:
        for first in range(0, 500_000, 1000):
            os.write(fd, lines(first, first + 1000))
        over.set()

    thread = threading.Thread(target=flood)
    thread.start()
    while not over.is_set():
        cut(str(scratch), LIMIT)
    thread.join()
    os.close(fd)
    cut(str(scratch), LIMIT)
    assert on_disk(scratch) <= LIMIT + 4096
    assert scratch.read_bytes().endswith(lines(499_000, 500_000)[-LIMIT // 2 :])


def test_a_hole_that_a_program_made_is_no_gap(scratch: Path) -> None:
    with scratch.open("wb") as file:
        file.write(b"x" * 4096)
        file.truncate(1 << 20)
        file.seek(1 << 20)
        file.write(b"end\n")
        file.flush()
    with scratch.open("rb") as file:
        assert find_gap(file.fileno(), scratch.stat().st_size) is None
    assert LocalOutput(scratch).read(4096, 10) == bytes(10)


def test_where_no_part_can_be_freed_the_error_says_so(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "elsewhere")
    scratch.write_bytes(lines(0, LINES))
    with pytest.raises(OSError, match="not supported") as caught:
        cut(str(scratch), LIMIT)
    assert caught.value.errno == errno.EOPNOTSUPP


# -- how it is read --------------------------------------------------------------------------------------------


def expected(path: Path) -> list[bytes]:
    """The lines that a log with a gap has, without the note's blanks."""
    data = path.read_bytes()
    with path.open("rb") as file:
        found = find_gap(file.fileno(), len(data))
    assert found is not None
    kept = data[: found.start] + data[found.end :]
    return [line.rstrip() for line in kept.splitlines()]


def test_lines_forwards_and_backwards_pass_over_the_gap(flooded: Path) -> None:
    with closing(opened(flooded)) as log:
        reader = reader_of(log)
        forwards = [line.data.rstrip() for line in reader.lines_from(0, 1 << 20)]
        assert forwards == expected(flooded)
        assert [line.data.rstrip() for line in reader.lines_before(reader.size, 1 << 20)] == forwards
        (note,) = [line for line in forwards if b"left out here" in line]
        assert b"1.2MiB left out here: no more than 64KiB is kept, see max_log" in note


@given(st.integers(0, 1_400_000), st.integers(1, 40))
def test_from_any_offset_the_lines_are_the_same_in_both_directions(scratch: Path, offset: int, count: int) -> None:
    if not scratch.exists() or scratch.stat().st_size != len(lines(0, LINES)):
        made(scratch, lines(0, LINES))
    with closing(opened(scratch)) as log:
        reader = reader_of(log)
        whole = reader.lines_from(0, 1 << 20)
        start = reader.start_of(min(offset, reader.size - 1))
        index = next(i for i, line in enumerate(whole) if line.start == start)
        assert reader.lines_from(start, count) == whole[index : index + count]
        assert reader.lines_before(start, count) == whole[max(0, index - count) : index]


@pytest.mark.parametrize("unit", [b"x", b"\rstate of a bar", "é".encode(), b"\0"])
def test_very_long_lines_too(scratch: Path, unit: bytes) -> None:
    found = made(scratch, unit * (1_500_000 // len(unit)) + b"\nlast\n")
    with closing(opened(scratch)) as log:
        reader = reader_of(log)
        assert reader.gap == found
        forwards = reader.lines_from(0, 1 << 20)
        assert reader.lines_before(reader.size, 1 << 20) == forwards
        assert forwards[-1].data == b"last"
        assert not any(line.start < found.end and line.end > found.start for line in forwards)


def test_a_reader_that_had_not_seen_the_gap_finds_it_where_it_meets_it(scratch: Path) -> None:
    scratch.write_bytes(lines(0, LINES))
    with closing(opened(scratch)) as log:
        reader = reader_of(log)
        assert reader.gap is None
        with scratch.open("r+b") as file:  # not a new file, as it is opened
            file.write(b"LINE")
        found = cut(str(scratch), LIMIT)
        assert [line.data.rstrip() for line in reader.lines_from(0, 1 << 20)] == expected(scratch)
        assert reader.gap == found


def test_a_look_finds_that_it_was_cut(scratch: Path) -> None:
    scratch.write_bytes(lines(0, LINES))
    with closing(opened(scratch)) as log:
        found = cut(str(scratch), LIMIT)
        assert log.look() is FileChange.grew
        assert reader_of(log).gap == found
        assert log.look() is FileChange.none


def test_grep_and_search_pass_over_the_gap(flooded: Path) -> None:
    with closing(opened(flooded)) as log:
        reader = reader_of(log)
        found = [line for some in log_lines(reader) for line in some]
        assert [line.rstrip().encode() for line in found] == expected(flooded)
        pattern = line_pattern("left out|line 59999 ", ignore_case=False)
        assert len([line for some in log_lines(reader, pattern) for line in some]) == 2
        for backwards in (False, True):
            for text, there in (("left out here", True), ("line 59999 of", True), ("line 30000 of", False)):
                start = reader.size if backwards else 0
                match = Search(reader, search_term(text), start, backwards=backwards).run()
                assert (match is not None) == there, (text, backwards)


def test_the_last_lines_are_those_of_the_end(flooded: Path) -> None:
    assert last_lines(LocalOutput(flooded), 2) == ["line 59998 of a flood", "line 59999 of a flood"]


def test_bytes_by_offset_stop_at_the_gap_and_go_on_behind_it(flooded: Path) -> None:
    output = LocalOutput(flooded)
    data = flooded.read_bytes()
    with flooded.open("rb") as file:
        found = find_gap(file.fileno(), len(data))
    assert found is not None
    assert output.read(0, len(data)) == data[: found.start]
    for inside in (found.start, found.start + 1, found.end - 1):
        assert output.read(inside, 100) == b""
        assert output.past_gap(inside) == found.end
    assert output.read(found.end - 10, 1000) == b""
    assert output.past_gap(found.start - 1) == found.start - 1
    assert output.past_gap(found.end) == found.end
    assert output.read(found.end, 1 << 30) == data[found.end :]
