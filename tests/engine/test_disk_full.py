"""The disk of the state folder is full, or refuses for another reason, while a session runs."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import Engine, code_of, happened, marked, session, start, state_of, ticket, until
from tests.engine.lifecycle.detached import parexec
from tests.engine.small_disk import SmallDisk, choke, small_disk

PLAN = """
[plan]
min_free_disk = 0
[tickets.A]
run = '''
echo begin >> A.txt
until [ -e go ]; do sleep 0.02; done
echo end >> A.txt
'''
grace = "1h"
[tickets.B]
run = "echo begin >> B.txt; until [ -e go ]; do sleep 0.02; done; echo end >> B.txt; exit $(cat go)"
[tickets.C]
run = "echo begin >> C.txt"
needs = ["A"]
"""

DEAF = PLAN.replace("echo begin >> A", "trap '' TERM\necho begin >> A")
"""A ignores TERM."""


@pytest.fixture
def disk(own_state_home: Path) -> Iterator[SmallDisk]:
    with small_disk(own_state_home) as found:
        yield found


def begun(folder: Path, plan: str = PLAN) -> Engine:
    """An engine whose tickets A and B run and are noted."""
    engine = start(folder, plan)
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2, "A and B are noted")
    engine.until(lambda: all((folder / f"{id_}.txt").exists() for id_ in "AB"), "A and B begin")
    return engine


def lines(folder: Path, id_: str) -> list[str]:
    file = folder / f"{id_}.txt"
    return file.read_text().split() if file.exists() else []


def test_term_ends_what_runs_and_the_next_engine_knows_why(tmp_path: Path, disk: SmallDisk) -> None:
    engine = begun(tmp_path)
    assert "disk is full" in choke(session(), disk, "C")
    engine.signal(signal.SIGTERM)
    assert engine.wait(20) == 3
    assert "could not be remembered" in engine.text()
    assert not list(marked())
    assert not happened(ev.SessionStopping)
    disk.make_room()
    (tmp_path / "go").write_text("0")
    assert Engine("resume", cwd=tmp_path).wait() == 0
    ends = {(end.ticket, end.attempt): (end.end, end.charged) for end in happened(ev.AttemptEnded)}
    assert ends["A", 1] == ends["B", 1] == (End.stopped, False)
    assert ends["A", 2] == ends["B", 2] == ends["C", 1] == (End.succeeded, False)
    assert lines(tmp_path, "C") == ["begin"]


def test_term_again_leaves_within_seconds(tmp_path: Path, disk: SmallDisk) -> None:
    engine = begun(tmp_path, DEAF)
    choke(session(), disk, "C")
    engine.signal(signal.SIGTERM)
    until(lambda: len(list(marked("/B.1"))) == 0, "B is ended")
    time.sleep(1.2)  # a second TERM within a second would be taken for the first
    engine.signal(signal.SIGTERM)
    before = time.monotonic()
    assert engine.wait(20) == 3
    assert time.monotonic() - before < 8
    assert not list(marked())


def test_parexec_stop_is_answered(tmp_path: Path, disk: SmallDisk) -> None:
    engine = begun(tmp_path)
    choke(session(), disk, "C")
    said = parexec("stop", "--yes", cwd=tmp_path)
    assert "stopping" in said
    assert "the disk is full" in said
    assert engine.wait(20) == 3
    assert not list(marked())


def test_what_ended_meanwhile_is_settled_from_its_record(tmp_path: Path, disk: SmallDisk) -> None:
    engine = begun(tmp_path)
    choke(session(), disk, "C")
    (tmp_path / "go").write_text("7")
    until(lambda: not list(marked()), "A and B end")
    engine.signal(signal.SIGTERM)
    assert engine.wait(20) == 3
    assert not happened(ev.AttemptEnded)
    disk.make_room()
    assert Engine("resume", cwd=tmp_path).wait() == 1
    assert [ticket(id_).status for id_ in "ABC"] == [Status.succeeded, Status.failed, Status.succeeded]
    assert code_of("B") == 7
    assert [lines(tmp_path, id_) for id_ in "ABC"] == [["begin", "end"], ["begin", "end"], ["begin"]]


def test_it_goes_on_by_itself_when_there_is_room(tmp_path: Path, disk: SmallDisk) -> None:
    engine = begun(tmp_path)
    choke(session(), disk, "C")
    (tmp_path / "go").write_text("0")
    until(lambda: not list(marked()), "A and B end")
    assert engine.process.poll() is None
    assert "nothing new is started" in engine.text()
    disk.make_room()
    assert engine.wait() == 0
    assert "going on" in engine.text()
    assert state_of().counts[Status.succeeded] == 3
