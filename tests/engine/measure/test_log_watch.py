"""When logs are looked at, which of them are cut, and who is said to flood the disk."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.plan.services import Service
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import LogReading, LogSize
from parexec_tui.engine.measure.log_watch import LONGEST, OVERSHOOT, QUIET, SHORTEST, LogWatch
from tests.core.sessions import Session, plan
from tests.engine.fakes import FakeBackend

MIB, GIB = 2**20, 2**30

pytestmark = pytest.mark.trio


class Logs(FakeBackend):
    """Logs of the sizes that the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        """Where it is not the size."""
        self.told: int | None = None
        self.free: int | None = 100 * GIB
        self.cost = 0.0
        self.cuts: list[tuple[str, int]] = []
        self.error: OSError | None = None

    def grow(self, ticket: str, size: int) -> None:
        """A log grows, and the disk has less."""
        self.sizes[ticket] = self.sizes.get(ticket, 0) + size
        if self.free is not None:
            self.free -= size

    async def written(self, root: str, pattern: str) -> str:
        raise NotImplementedError

    async def log_sizes(self) -> LogReading:
        sizes = [
            LogSize(ProcessKey(id_, 1), size, self.kept.get(id_, size), self.told) for id_, size in self.sizes.items()
        ]
        return LogReading(sizes, self.free, self.cost)

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        self.cuts.append((key.ticket, limit))
        if self.error is not None:
            raise self.error
        self.kept[key.ticket] = limit
        return self.sizes[key.ticket] - limit


class Watched:
    """A session whose logs are watched."""

    def __init__(self, text: str = "A:\nB:", *, is_adopted: bool = False, max_log: int = GIB) -> None:
        services = {"db": Service(run="db")} if "uses_service=db" in text else {}
        self.session = Session(plan(text, min_free_disk=GIB, max_log=max_log, services=services))
        self.session.dispatch()
        self.logs = Logs()
        if is_adopted:
            self.logs.live = {(id_, 1): 0.0 for id_ in self.session.live()}
        self.told: list[rq.AnyReport] = []
        self.watch = LogWatch(self.logs, self.session.state, self._submit, lambda: self.session.now)

    def _submit(self, reports: Sequence[rq.AnyReport]) -> None:
        self.told += reports
        for report in reports:
            self.session.tell(report)

    async def look(self) -> float:
        """Look a second later."""
        await trio.sleep(1)
        self.session.wait(1)
        return await self.watch.look()

    def floods(self) -> list[tuple[str, bool]]:
        return [(report.ticket, report.now) for report in self.told if isinstance(report, rq.LogFlooded)]


async def test_a_log_over_its_limit_is_cut(autojump_clock: MockClock) -> None:
    w = Watched("A:\nB: max_log=100000\nC: max_log=0")
    w.logs.sizes = {"A": GIB, "B": 100_000, "C": 9 * GIB}
    await w.look()
    assert w.logs.cuts == []
    w.logs.sizes |= {"A": GIB + 1, "B": 100_001}
    await w.look()
    assert w.logs.cuts == [("A", GIB), ("B", 100_000)]
    assert w.told == [rq.LogTooLong("A", 1, 1, GIB), rq.LogTooLong("B", 1, 1, 100_000)]
    w.logs.sizes["A"] += 1000
    await w.look()
    assert len(w.logs.cuts) == 2


async def test_what_cannot_be_cut_is_said_and_tried_once(autojump_clock: MockClock) -> None:
    w = Watched()
    w.logs.sizes = {"A": 2 * GIB}
    w.logs.error = OSError(95, "Operation not supported")
    await w.look()
    await w.look()
    assert w.logs.cuts == [("A", GIB)]
    assert w.told == [rq.LogTooLong("A", 1, 0, GIB, "operation not supported")]


async def test_a_flood_is_said_at_the_first_look_if_this_engine_started_it(autojump_clock: MockClock) -> None:
    w = Watched()
    w.logs.free = 2 * GIB
    w.logs.grow("A", 700 * MIB)
    w.logs.grow("B", 1000)
    assert await w.look() == SHORTEST
    assert w.floods() == [("A", False)]
    assert w.session.status("A") == "stopping"
    assert w.logs.cuts == [("A", GIB // 8)]
    await w.look()
    assert w.floods() == [("A", False)]


async def test_what_a_coding_cli_printed_beside_its_story_counts_as_its_output(autojump_clock: MockClock) -> None:
    w = Watched("A:")
    w.logs.free, w.logs.told = 2 * GIB, 0
    w.logs.grow("A", 24 << 10)
    await w.look()
    assert w.floods() == []
    w.logs.told, w.logs.free = 1200 * MIB, 800 * MIB
    assert await w.look() == SHORTEST
    assert w.floods() == [("A", False)]
    assert "its output was filling the disk: 1.2GiB in" in w.session.state.live["A"].live_attempt.reason


async def test_of_what_was_taken_over_the_first_look_tells_nothing(autojump_clock: MockClock) -> None:
    w = Watched(is_adopted=True)
    w.logs.free = 2 * GIB
    w.logs.grow("A", 700 * MIB)
    await w.look()
    assert w.floods() == []
    await w.look()
    assert w.floods() == []
    w.logs.grow("A", 200 * MIB)
    await w.look()
    assert w.floods() == [("A", False)]


async def test_one_that_goes_on_is_killed_when_the_floor_is_near(autojump_clock: MockClock) -> None:
    w = Watched(max_log=0)
    w.logs.free = 2 * GIB
    w.logs.grow("A", 700 * MIB)
    await w.look()
    w.logs.grow("A", 300 * MIB)
    await w.look()
    w.logs.grow("A", 30 * MIB)
    await w.look()
    assert w.floods() == [("A", False), ("A", True)]


async def test_there_is_no_time_for_a_grace_when_little_is_left(autojump_clock: MockClock) -> None:
    w = Watched()
    w.logs.free = GIB
    w.logs.grow("A", 700 * MIB)
    await w.look()
    assert w.floods()[0] == ("A", True)


async def test_on_a_full_disk_one_that_cannot_write_any_more_is_found_by_its_size(autojump_clock: MockClock) -> None:
    w = Watched(is_adopted=True, max_log=0)
    w.logs.grow("A", 5 * GIB)
    w.logs.free = 0
    await w.look()
    assert w.floods() == [("A", True)]
    assert w.logs.cuts == [("A", GIB // 8)]


async def test_what_others_lose_is_seen_although_cuts_give_room_back(autojump_clock: MockClock) -> None:
    w = Watched("A: max_log=100000\nB:")
    w.logs.free = GIB + 100 * MIB
    w.logs.sizes = {"A": 90 * MIB, "B": 0}
    await trio.sleep(1)
    await w.watch.look()
    assert w.floods() == [("A", False)]  # by its size alone: the disk has lost nothing that was seen
    w = Watched("A: max_log=100000\nB:", is_adopted=True)
    w.logs.free = GIB + 100 * MIB
    w.logs.sizes = {"A": 90 * MIB, "B": 0}
    await w.look()
    assert w.logs.cuts == [("A", 100_000)]
    w.logs.free += 0  # it got 90 MiB back, and somebody took them at once
    w.logs.grow("B", 40 * MIB)
    await w.look()
    assert w.floods() == []


async def test_the_less_time_there_is_the_sooner_the_next_look_follows(autojump_clock: MockClock) -> None:
    w = Watched()
    assert await w.look() == LONGEST
    w.logs.sizes = {"A": 1000}
    assert await w.look() == pytest.approx(LONGEST)
    w.logs.grow("A", 4 * OVERSHOOT)
    assert await w.look() == pytest.approx(0.25, rel=0.01)
    w = Watched()
    w.logs.free = GIB + 50 * MIB
    assert await w.look() == QUIET
    w.logs.free = None
    assert await w.look() == LONGEST
    w.logs.cost = 0.05
    assert await w.look() == pytest.approx(5)


async def test_a_service_that_fills_the_disk_is_cut_and_goes_on_and_no_ticket_is_blamed(
    autojump_clock: MockClock,
) -> None:
    watched = Watched("A: uses_service=db\nB:", max_log=0)
    watched.session.service_is_up("db")
    watched.logs.free = 2 * GIB
    await watched.look()
    for _ in range(2):
        watched.logs.grow("+db", GIB - 200 * MIB)
        watched.logs.grow("B", MIB)
        await watched.look()
    assert watched.logs.cuts == [("+db", 128 * MIB)]
    assert watched.floods() == []
    assert watched.session.service("db").is_ready
