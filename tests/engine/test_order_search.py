"""The order search beside the loop: when it looks, and what becomes of an order that comes late."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.schedule.order import Found
from parexec_tui.core.schedule.problem import Problem
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.order_search import OrderSearch
from tests.core.sessions import Session, plan
from tests.engine.engines import happened, run

FIVE = "A: estimate=3s\nB: estimate=3s\nC: estimate=2s\nD: estimate=2s\nE: estimate=2s"


class Slow(OrderSearch):
    """One whose thread waits for `go`."""

    def __init__(self, session: Session) -> None:
        self.reports: list[rq.AnyReport] = []
        self.told = trio.Event()
        self.go = threading.Event()
        self.began = threading.Event()
        self.running: list[int] = []
        """Tickets that ran when it looked."""
        self.switch = 0.0
        super().__init__(session.state, lambda: session.now, self._take)

    def _take(self, reports: Sequence[rq.AnyReport]) -> None:
        self.reports += reports
        self.told.set()

    def _find(self, problem: Problem, asked: int) -> Found | None:
        self.running, self.switch = problem.running, sys.getswitchinterval()
        self.began.set()
        self.go.wait(10)
        return super()._find(problem, asked)


@pytest.mark.trio
async def test_what_was_searched_for_a_start_that_came_meanwhile_is_judged_again() -> None:
    """By the longest path A and B have started, so that nothing is better any more."""
    session = Session(plan(FIVE, parallel=2))
    search = Slow(session)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(search.run)
        await trio.testing.wait_all_tasks_blocked()
        session.dispatch()
        search.go.set()
        await search.first.wait()
        nursery.cancel_scope.cancel()
    assert search.reports == []


@pytest.mark.trio
async def test_a_plan_that_changes_meanwhile_is_searched_anew() -> None:
    session = Session(plan(FIVE, parallel=2))
    search = Slow(session)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(search.run)
        await trio.testing.wait_all_tasks_blocked()
        events = session.ask(rq.Amend(added={"F": Ticket(run="true", estimate=Duration(6))}))
        assert not isinstance(events, rq.Refusal)
        search.tell(session.state, events)
        search.go.set()
        with trio.fail_after(10):
            await search.told.wait()
        nursery.cancel_scope.cancel()
    (report,) = search.reports
    assert isinstance(report, rq.OrderSearched)
    assert sorted(report.tickets) == list("ABCDEF")


@pytest.mark.trio
async def test_nobody_waits_for_an_order_that_is_not_searched() -> None:
    search = Slow(Session(plan("A:\nB:\nC:")))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(search.run)
        with trio.fail_after(1):
            await search.first.wait()
        nursery.cancel_scope.cancel()
    assert search.reports == []


@pytest.mark.trio
async def test_nobody_waits_for_a_search_among_many_tickets() -> None:
    lines = [f"T{number}: estimate=3s" for number in range(1001)]
    session = Session(plan("\n".join(lines), parallel=2), checks=False)
    search, before = Slow(session), sys.getswitchinterval()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(search.run)
        with trio.fail_after(10):
            await search.first.wait()
        session.dispatch()
        assert await trio.to_thread.run_sync(search.began.wait, 10)
        assert not search.go.is_set()
        search.go.set()
        nursery.cancel_scope.cancel()
    assert len(search.running) == 2, "what starts first is not held up"
    assert search.switch < 0.001, "nor is the loop, whenever it has waited for something"
    assert sys.getswitchinterval() == before


@pytest.mark.trio
async def test_a_search_ends_once_estimates_are_seen_to_be_wrong() -> None:
    session = Session(plan("\n".join(f"T{number}: estimate={10 + number}s" for number in range(40)), parallel=7))
    search = Slow(session)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(search.run)
        await trio.testing.wait_all_tasks_blocked()
        for factor in (0.2, 5.0) * 5:
            session.state.estimate_errors.note(10.0, factor * 10)
        search.go.set()
        with trio.fail_after(10):
            await search.first.wait()
        nursery.cancel_scope.cancel()
    assert search.reports == []


PLAN = "[plan]\nparallel = 2\n" + "".join(
    f'[tickets.{id_}]\nrun = "true"\nestimate = "{seconds}s"\n' for id_, seconds in zip("ABCDE", "33222", strict=True)
)


def test_a_session_begins_with_the_order_that_was_found(tmp_path: Path) -> None:
    run(tmp_path, PLAN)
    (found,) = happened(ev.OrderFound)
    assert (found.seconds, found.before) == (6.0, 7.0)
    started = [event.ticket for event in happened(ev.AttemptStarted)]
    assert started[:2] == ["ABCDE"[number] for number in found.tickets[:2]] != ["A", "B"]


def test_a_plan_may_do_without(tmp_path: Path) -> None:
    run(tmp_path, PLAN.replace("parallel", "order_search = false\nparallel"))
    assert happened(ev.OrderFound) == []
    assert [event.ticket for event in happened(ev.AttemptStarted)][:2] == ["A", "B"]
