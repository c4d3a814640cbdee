"""How far a process is, from its log: what is new is read once, and of a flood the newest part."""

from pathlib import Path

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.protocol import Progress
from parexec_tui.engine.backends.backend import ProgressWanted
from parexec_tui.engine.backends.local.progress import LogProgress
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.text.progress import FIRST, NEWEST

KEY = ProcessKey("T", 1)


class Log:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.output = LocalOutput(folder / "log")
        self.output.path.touch()
        self.read: list[tuple[int, int]] = []
        """What was read: offset and length."""
        read = LocalOutput.read

        def noted(output: LocalOutput, offset: int, limit: int) -> bytes:
            self.read.append((offset, limit))
            return read(output, offset, limit)

        monkeypatch.setattr(LocalOutput, "read", noted)
        self.progress = LogProgress()

    def append(self, data: bytes) -> None:
        with self.output.path.open("ab") as file:
            file.write(data)

    def look(self, pattern: str = "") -> Progress | None:
        self.progress.keep([ProgressWanted(KEY, pattern)])
        return self.progress.look(KEY, self.output, self.output.path.stat().st_size)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(tmp_path, monkeypatch)


def test_only_what_is_new_is_read(log: Log) -> None:
    assert log.look() is None
    assert log.read == []
    log.append(b"[1/4] a\n[2/")
    assert log.look() == Progress(25, 1, 4, "a")
    log.read.clear()
    assert log.look() == Progress(25, 1, 4, "a")
    assert log.read == []
    log.append(b"4] b\n")
    assert log.look() == Progress(50, 2, 4, "b")
    assert log.read == [(11, 5)]


def test_of_a_flood_the_newest_part_is_read(log: Log) -> None:
    log.append(b"1..9\n" + b"# a word\n" * 100_000 + b"ok 3 - c\n")
    assert log.look() == Progress(33, 3, 9, "c")
    assert sum(length for _, length in log.read) <= FIRST + NEWEST
    log.append(b"[9/4] no\n" * 100_000 + b"ok 4 - d\n")
    assert log.look() == Progress(44, 4, 9, "d")
    assert sum(length for _, length in log.read) <= FIRST + 2 * NEWEST


def test_a_log_that_was_emptied_is_another_one(log: Log) -> None:
    log.append(b"[1/4] a, and more\n")
    assert log.look() == Progress(25, 1, 4, "a, and more")
    log.output.path.write_bytes(b"hello\n")
    assert log.look() is None


def test_a_gap_is_passed_over(log: Log) -> None:
    log.append(b"x" * 200_000 + b"\n[1/4] a\n")
    assert cut(log.output.name, 64 * 1024) is not None
    assert log.look() == Progress(25, 1, 4, "a")


def test_another_pattern_reads_it_anew(log: Log) -> None:
    log.append(b"[1/4] epoch 2/3\n")
    assert log.look() == Progress(25, 1, 4, "epoch 2/3")
    assert log.look("epoch {n}/{m}") == Progress(66, 2, 3)


def test_who_is_not_asked_is_not_read(log: Log) -> None:
    log.append(b"[1/4] a\n")
    log.progress.keep([])
    assert log.progress.look(KEY, log.output, 8) is None
    assert log.read == []
