"""When the engine looks for coming conflicts between worktrees."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.measure.conflict_watch import ConflictWatch
from parexec_tui.engine.pool import Pool, WorktreePlaces
from tests.core.sessions import Session, plan
from tests.engine.fakes import FakeBackend


class Seer(FakeBackend):
    """Says that A and B conflict, and when it was asked about whom."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[tuple[float, list[str]]] = []

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:
        self.looks.append((trio.current_time(), list(worktrees)))
        return (rq.Foreseen("A", "B", ("f",), 1),)


@pytest.mark.trio
async def test_it_looks_while_two_work_in_worktrees_and_else_not(tmp_path: Path, autojump_clock: MockClock) -> None:
    begun = Session(plan("A:\nB:", agents={"agent": AgentType(isolation="worktree")}))
    begun.dispatch()
    seer, began = Seer(), trio.current_time()
    pool = Pool(begun.state, "s", WorktreePlaces(str(tmp_path), str, "s"))

    def submit(reports: object) -> None:
        for report in reports:  # type: ignore[attr-defined]
            begun.tell(report)

    watch = ConflictWatch(seer, begun.state, pool, submit, every=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        for id_ in ("A", "B"):
            await trio.sleep(100)
            watch.tell(begun.state, begun.tell(rq.WorktreeMade(id_, 1, f"/w/{id_}", "base")))
        assert seer.looks == []
        await trio.sleep(25)
        assert seer.looks == [(began + 210, ["A", "B"]), (began + 220, ["A", "B"])]
        assert isinstance(begun.state.foreseen["A", "B"], ev.ConflictForeseen)
        begun.fail("A")
        await trio.sleep(100)
        assert len(seer.looks) == 2
        nursery.cancel_scope.cancel()
