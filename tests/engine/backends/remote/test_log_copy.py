"""The copy of a log of a host has its start and its end, whatever happens while it is made."""

from pathlib import Path
from random import Random

import pytest

from parexec_tui.engine.backends.remote.log_copy import PIECE, LogCopy, is_left_on_host
from parexec_tui.outputs.local import LocalOutput

BLOCK = 1 << 16
HEAD, TAIL = 2 * BLOCK, 3 * BLOCK


def copy_next(file: Path, log: bytes) -> None:
    """As long as the process runs."""
    copy = LogCopy(str(file), HEAD, TAIL)
    copy.add(log[copy.offset : copy.offset + PIECE])
    copy.go_on(len(log))
    copy.close()


def copy_rest(file: Path, log: bytes) -> None:
    while True:
        copy = LogCopy(str(file), HEAD, TAIL)  # each time as by another engine
        before = copy.offset
        copy.complete(len(log))
        if copy.offset == before:
            copy.add(log[copy.offset : copy.offset + PIECE])
        is_over = copy.offset >= len(log)
        copy.close()
        if is_over:
            return


def numbered(size: int) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(size // 10 + 1))[:size]


@pytest.mark.parametrize("size", [0, 5, HEAD - 1, HEAD, HEAD + TAIL, HEAD + TAIL + BLOCK, 40 * BLOCK + 77])
@pytest.mark.parametrize("seed", range(3))
def test_it_has_the_start_and_the_end(tmp_path: Path, size: int, seed: int) -> None:
    file, log, random = tmp_path / "log", numbered(size), Random(seed)
    seen = 0
    while seen < size:
        seen = min(size, seen + random.choice((10, BLOCK // 3, 5 * BLOCK, 21 * BLOCK)))
        for _ in range(random.randrange(4)):
            copy_next(file, log[:seen])
    copy_rest(file, log)
    copied = file.read_bytes()
    assert len(copied) == size
    tail = max(0, size - TAIL)
    assert copied[tail:] == log[tail:]
    output = LocalOutput(file)
    after = output.past_gap(HEAD)
    if after == HEAD:
        assert copied == log
        return
    assert copied[: HEAD - 128] == log[: HEAD - 128]
    assert copied[after:] == log[after:]
    assert is_left_on_host(output, HEAD)
    assert not is_left_on_host(output, 0)
    assert not is_left_on_host(output, after)


def test_while_it_grows_faster_than_it_is_copied_the_newest_is_there(tmp_path: Path) -> None:
    file, log = tmp_path / "log", numbered(100 * BLOCK)
    for seen in range(BLOCK, len(log) + 1, 7 * BLOCK):
        copy_next(file, log[:seen])
        copy_next(file, log[:seen])
    assert file.stat().st_size > 80 * BLOCK
    assert file.stat().st_blocks * 512 < 30 * BLOCK


def test_it_goes_on_in_a_gap_where_an_engine_died(tmp_path: Path) -> None:
    file, log = tmp_path / "log", numbered(60 * BLOCK)
    for _ in range(2):
        copy_next(file, log)
    found = file.stat()
    assert found.st_size > 40 * BLOCK, "it has left out the middle, and has copied nothing behind that yet"
    assert LocalOutput(file).past_gap(HEAD) == found.st_size
    copy_next(file, log)
    assert file.read_bytes()[found.st_size :] == log[found.st_size : found.st_size + PIECE]
