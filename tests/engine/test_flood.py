"""Tickets whose output fills the disk of the state folder, beside others that have done nothing wrong."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import Engine, happened, marked, start, state_of, ticket
from tests.engine.small_disk import MIB, SmallDisk, small_disk

FLOOR = 40 * MIB

PLAN = """
[plan]
min_free_disk = "40MiB"
parallel = 4
[tickets.flood]
run = '''FLOOD'''
retries = 3
[tickets.calm]
run = "echo begin; until [ -e go ]; do sleep 0.02; done; echo end"
[tickets.after]
run = "echo after"
needs = ["calm"]
"""

STEADY = "while :; do head -c 1000000 /dev/zero | tr '\\0' x; sleep 0.02; done"
"""Less than 50 MB a second: there is time to look at it."""


@pytest.fixture
def disk(own_state_home: Path) -> Iterator[SmallDisk]:
    with small_disk(own_state_home, 100 * MIB) as found:
        yield found


@contextmanager
def least_free(disk: SmallDisk) -> Iterator[list[int]]:
    """Watches how much is free: the least is the first of the list."""
    least, over = [disk.free()], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            least[0] = min(least[0], disk.free())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield least
    finally:
        over.set()
        thread.join()


def has_failed(id_: str) -> bool:
    return bool(happened(ev.AttemptEnded, ticket=id_, then=Status.failed))


def check_that_the_flood_failed_and_the_others_did_not(engine: Engine, folder: Path) -> None:
    engine.until(lambda: has_failed("flood"), "the flood is stopped")
    (folder / "go").touch()
    assert engine.wait() == 1
    state = state_of()
    assert state.tickets["calm"].status is state.tickets["after"].status is Status.succeeded
    flood = state.tickets["flood"]
    assert (flood.end, flood.attempts, flood.charged) == (End.failed, 1, 0)
    assert flood.reason.startswith("its output was filling the disk: ")
    assert f"✗ failed           flood  {flood.reason}" in engine.text()
    assert [stop.ticket for stop in happened(ev.AttemptStopRequested)] == ["flood"]
    assert not list(marked())


def test_it_is_stopped_before_the_disk_has_less_than_it_should(tmp_path: Path, disk: SmallDisk) -> None:
    with least_free(disk) as least:
        engine = start(tmp_path, PLAN.replace("FLOOD", STEADY))
        check_that_the_flood_failed_and_the_others_did_not(engine, tmp_path)
    assert least[0] > FLOOR
    assert disk.free() > 80 * MIB
    assert not happened(ev.HostPressed)
    [cut] = happened(ev.LogCut)
    assert (cut.ticket, cut.limit) == ("flood", FLOOR // 8)


@pytest.mark.parametrize("setting", ["max_log = '1GiB'", "max_log = 0"])
def test_one_that_has_filled_the_disk_before_anybody_could_look_makes_room_again(
    tmp_path: Path, disk: SmallDisk, setting: str
) -> None:
    plan = PLAN.replace("FLOOD", "yes").replace("[plan]", f"[plan]\n{setting}")
    check_that_the_flood_failed_and_the_others_did_not(start(tmp_path, plan), tmp_path)
    assert disk.free() > 80 * MIB


def test_one_that_is_deaf_is_killed_when_the_floor_is_reached(tmp_path: Path, disk: SmallDisk) -> None:
    plan = PLAN.replace("FLOOD", f"trap '' TERM; {STEADY}").replace("retries", "max_log = 0\ngrace = '1h'\nretries")
    engine = start(tmp_path, plan)
    engine.until(lambda: has_failed("flood"), "the flood is stopped")
    (tmp_path / "go").touch()
    assert engine.wait() == 1
    assert [(stop.why, stop.now) for stop in happened(ev.AttemptStopRequested)] == [
        ("flooding", False),
        ("flooding", True),
    ]
    assert ticket("calm").status is Status.succeeded
    assert disk.free() > FLOOR // 2


def test_the_worst_of_several_is_stopped_first(tmp_path: Path, disk: SmallDisk) -> None:
    slower = STEADY.replace("1000000", "700000")
    plan = PLAN.replace("FLOOD", STEADY) + f"[tickets.slower]\nrun = '''{slower}'''\n"
    with least_free(disk) as least:
        engine = start(tmp_path, plan)
        engine.until(lambda: has_failed("slower"), "both are stopped")
        (tmp_path / "go").touch()
        assert engine.wait() == 1
    assert [stop.ticket for stop in happened(ev.AttemptStopRequested)] == ["flood", "slower"]
    assert least[0] > FLOOR
    assert ticket("after").status is Status.succeeded


def test_the_next_engine_stops_a_flood_that_it_took_over(tmp_path: Path, disk: SmallDisk) -> None:
    engine = start(tmp_path, PLAN.replace("FLOOD", f"until [ -e flood ]; do sleep 0.02; done; {STEADY}"))
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2, "both run")
    engine.kill()
    engine = Engine("resume", cwd=tmp_path)
    engine.until(lambda: "2 running tickets adopted" in engine.text(), "both are taken over")
    (tmp_path / "flood").touch()
    check_that_the_flood_failed_and_the_others_did_not(engine, tmp_path)
    assert disk.free() > FLOOR


def test_nobody_is_stopped_for_what_others_write(tmp_path: Path, disk: SmallDisk) -> None:
    talker = "until [ -e go ]; do head -c 2000 /dev/zero | tr '\\0' x; sleep 0.02; done"
    engine = start(tmp_path, PLAN.replace("FLOOD", talker))
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2, "both run")
    with (disk.path / "other").open("wb") as file:
        while disk.free() > 30 * MIB:
            file.write(bytes(MIB))
            file.flush()
    engine.until(lambda: happened(ev.HostPressed), "the disk is short")
    assert not happened(ev.AttemptStopRequested)
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert {stop.why for stop in happened(ev.AttemptStopRequested)} == {"stopped"}
