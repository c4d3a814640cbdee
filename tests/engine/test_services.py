"""Services in virtual time, with a backend that has no processes: what is done to them, and when."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.measure.ready_watch import LONGEST, ReadyWatch
from tests.engine.service_plans import other, service, user
from tests.engine.test_coordinator import Run, running

pytestmark = pytest.mark.trio

MOMENT = 0.2
"""Seconds within which the loop notices what it is to do now."""


@asynccontextmanager
async def serving(folder: Path, *plan: str) -> AsyncIterator[Run]:
    """A session on this plan, in which services are asked whether they are ready."""

    async with trio.open_nursery() as nursery:

        def prepare(run: Run) -> None:
            watch = ReadyWatch(run.backend, run.state, run.coordinator.submit_reports)
            run.told_too = watch.tell
            nursery.start_soon(watch.run)

        async with running(folder, "".join(plan), prepare) as run:
            yield run
        nursery.cancel_scope.cancel()


def starts(run: Run, name: str = "+db") -> list[float]:
    """When it was started, in seconds since the beginning."""
    return [round(at - run.started_at, 1) for at, each, _ in run.backend.starts if each == name]


def stops(run: Run, name: str = "+db") -> list[float]:
    """The graces that it was told to end with."""
    return [grace for each, _, grace in run.backend.stops if each == name]


def db(run: Run) -> ServiceState:
    return run.state.services["db"]


async def is_ready(run: Run) -> None:
    run.backend.answering.add("tcp:5432")
    await run.until(lambda: db(run).status is ServiceStatus.ready, "it is ready")


# -- until it is ready -----------------------------------------------------------------------------------------


async def test_its_user_starts_when_it_answers(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(ready="tcp:5432"), user()) as run:
        await trio.sleep(20)
        assert run.backend.running == ["+db"]
        await is_ready(run)
        assert run.now() <= 20 + LONGEST + MOMENT
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.end("A")
    assert run.outcome == "finished"
    assert starts(run) == [0]


async def test_what_it_prints_is_found_behind_what_its_max_log_left_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(tmp_path, service(ready="log:listening"), user()) as run:
        run.backend.printed["+db"] = b"loading" + b"." * 93
        await trio.sleep(5)
        run.backend.gaps["+db"] = (100, 300)
        run.backend.printed["+db"] += b"." * 200 + b"\nlistening on 5432\n"
        await run.until(lambda: db(run).status is ServiceStatus.ready, "it is ready")
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.end("A")
    assert run.outcome == "finished"


async def test_it_has_so_long_to_get_ready_and_no_longer(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = service(ready="tcp:5432", ready_timeout="30s", restart="never", grace="4s")
    async with serving(tmp_path, plan, user()) as run:
        run.backend.deaf.add("+db")
        await trio.sleep(29)
        assert stops(run) == []
        await trio.sleep(1 + MOMENT)
        assert stops(run) == [4.0]
        run.backend.end("+db", None, 9)
    assert db(run).status is ServiceStatus.failed
    assert db(run).reason == "not ready after 30.0s (tcp:5432)"
    assert run.state.tickets["A"].end is End.could_not_start


async def test_its_time_to_get_ready_stands_still_while_it_is_frozen(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    plan = service(ready="tcp:5432", ready_timeout="30s", restart="never")
    async with serving(tmp_path, plan, user()) as run:
        await trio.sleep(10)
        await run.coordinator.ask(rq.Freeze(services=("db",), by="ann"))
        run.backend.answering.add("tcp:5432")  # what answers is not it
        await trio.sleep(100)
        assert (stops(run), db(run).status) == ([], ServiceStatus.starting)
        run.backend.answering.clear()
        await run.coordinator.ask(rq.Thaw(services=("db",), by="ann"))
        assert run.backend.thaws == [("+db", 1)]
        await trio.sleep(19)
        assert stops(run) == []
        await trio.sleep(1 + MOMENT)
        assert db(run).status is ServiceStatus.failed


async def test_each_start_has_the_whole_time_to_get_ready(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = service(ready="tcp:5432", ready_timeout="10s", restart=1, restart_delay="3s")
    async with serving(tmp_path, plan, user()) as run:
        await trio.sleep(8)
        run.backend.end("+db", 1)
    assert starts(run) == [0, 11]
    ends = [event.at for event in run.told if isinstance(event, ev.ServiceEnded)]
    assert [round(at - run.state.opened_at) for at in ends] == [8, 21]


async def test_what_asks_ends_with_the_service_that_dies_before_it_is_ready(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(tmp_path, service(ready="ask", restart="never"), user()) as run:
        assert run.backend.running == ["+db", "+db.ready"]
        run.backend.end("+db", 1)
        await trio.sleep(MOMENT)
        assert run.backend.running == []
    assert (db(run).status, db(run).reason) == (ServiceStatus.failed, "exit 1")


# -- restarts --------------------------------------------------------------------------------------------------


async def test_it_is_started_again_after_pauses_that_double(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(ready="tcp:5432", restart=3, restart_delay="2s"), user()) as run:
        run.backend.lasts["+db"] = 1
        run.backend.codes["+db"] = [3, 3, 3]
        run.backend.end("+db", 3)
    assert starts(run) == [0, 2, 7, 16]
    assert run.now() == pytest.approx(17, abs=MOMENT)
    assert run.state.tickets["A"].reason == "service db failed: exit 3, after 3 restarts"


async def test_a_pause_is_not_cut_short_by_another_user(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = service(ready="tcp:5432", restart="always", restart_delay="20s"), user(), user("B")
    async with serving(tmp_path, *plan) as run:
        run.backend.end("+db", 1)
        await trio.sleep(5)
        await run.coordinator.ask(rq.Cancel(tickets=("A",), by="ann"))
        await trio.sleep(14)
        assert starts(run) == [0]
        await trio.sleep(1 + MOMENT)
        assert starts(run) == [0, 20]
        await is_ready(run)
        await run.until(lambda: "B" in run.backend.running, "B runs")
        run.backend.end("B")


async def test_a_pause_ends_with_the_last_user_and_so_does_the_session(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(tmp_path, service(restart="always", restart_delay="1h"), user()) as run:
        run.backend.end("+db", 1)
        await trio.sleep(5)
        await run.coordinator.ask(rq.Cancel(tickets=("A",), by="ann"))
        await run.until(lambda: run.outcome is not None, "the session is over")
    assert run.now() == pytest.approx(5, abs=MOMENT)
    assert (db(run).status, starts(run)) == (ServiceStatus.waiting, [0])


async def test_a_person_need_not_wait_for_the_end_of_a_pause(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(restart=1, restart_delay="1h"), user()) as run:
        run.backend.end("+db", 1)
        await trio.sleep(5)
        await run.coordinator.ask(rq.Restart(services=("db",), by="ann"))
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        assert starts(run) == [0, 5]
        assert db(run).deaths == 0
        run.backend.end("A")


# -- death -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_one_that_dies_takes_its_user_with_it_and_both_run_again(
    tmp_path: Path, autojump_clock: MockClock, *, is_frozen: bool
) -> None:
    plan = service(on_death="retry", restart_delay="2s"), user(grace="3s")
    async with serving(tmp_path, *plan) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.deaf.add("A")
        if is_frozen:
            await run.coordinator.ask(rq.Freeze(services=("db",), by="ann"))
        began = run.now()
        run.backend.end("+db", None, 9)
        await trio.sleep(MOMENT)
        assert stops(run, "A") == [3.0]
        await trio.sleep(1)
        run.backend.end("A", None, 9)
        await run.until(lambda: len(starts(run, "A")) == 2, "its user runs again")
        assert starts(run)[1] == pytest.approx(began + 2, abs=MOMENT)
        assert not db(run).is_frozen
        run.backend.end("A")
    (first, second) = run.ends("A")
    assert (first.end, first.charged, second.end) == (End.stopped, False, End.succeeded)


async def test_one_that_ends_while_it_is_stopped_has_not_died(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = service(), user(), other("B")
    async with serving(tmp_path, *plan) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.deaf.add("+db")
        run.backend.end("A")
        await trio.sleep(1)
        run.backend.end("+db", None, 6)
        await trio.sleep(100)
        assert (db(run).status, db(run).deaths, starts(run)) == (ServiceStatus.stopped, 0, [0])
        run.backend.end("B")
    assert run.state.tickets["A"].status is Status.succeeded


# -- stop ------------------------------------------------------------------------------------------------------


async def test_it_is_stopped_with_its_last_user_while_others_run(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = service(grace="7s"), user(), user("B", needs=["A"]), other("C")
    async with serving(tmp_path, *plan) as run:
        await run.until(lambda: "A" in run.backend.running, "the first user runs")
        run.backend.end("A")
        await run.until(lambda: "B" in run.backend.running, "the last user runs")
        await trio.sleep(10)
        assert stops(run) == []
        run.backend.end("B")
        await trio.sleep(MOMENT)
        assert stops(run) == [7.0]
        assert run.backend.running == ["C"]
        run.backend.end("C")


async def test_its_own_stop_gets_its_grace_then_it_gets_term(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(stop="bye", grace="7s"), user()) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.end("A")
        await trio.sleep(6)
        assert sorted(run.backend.running) == ["+db", "+db.stop"]
        assert stops(run) == []
        await trio.sleep(1 + MOMENT)
        assert stops(run) == [7.0]
    assert db(run).status is ServiceStatus.stopped
    assert run.outcome == "finished"


async def test_its_own_stop_ends_with_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(stop="bye"), user()) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.end("A")
        await run.until(lambda: "+db.stop" in run.backend.running, "its stop runs")
        run.backend.end("+db")
        await run.until(lambda: run.outcome is not None, "the session is over")
        assert run.backend.running == []
    assert [each.by_signal for each in run.told if isinstance(each, ev.ServiceStopRequested)] == [False]


async def test_a_stop_of_the_session_ends_it_after_its_user_and_now_kills_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(tmp_path, service(stop="bye", grace="60s"), user()) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        run.backend.deaf.update(("A", "+db"))
        await run.coordinator.ask(rq.Stop(by="ann"))
        await trio.sleep(5)
        assert (stops(run), starts(run, "+db.stop")) == ([], [])
        run.backend.end("A", None, 15)
        await run.until(lambda: "+db.stop" in run.backend.running, "its stop runs")
        await run.coordinator.ask(rq.Stop(by="ann", now=True))
        await run.until(lambda: run.outcome is not None, "the session is over")
    assert run.outcome == "stopped"
    assert stops(run) == [0.0]
    assert run.now() < 10


# -- a service that a person pauses ----------------------------------------------------------------------------


async def test_no_user_starts_while_it_is_frozen(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, service(), user(), user("B", needs=["A"])) as run:
        await run.until(lambda: "A" in run.backend.running, "its user runs")
        await run.coordinator.ask(rq.Freeze(services=("db",), by="ann"))
        assert run.backend.freezes == [("+db", 1)]
        run.backend.end("A")
        await trio.sleep(60)
        assert run.backend.running == ["+db"]
        await run.coordinator.ask(rq.Thaw(services=("db",), by="ann"))
        await run.until(lambda: "B" in run.backend.running, "the next one runs")
        run.backend.end("B")
    assert starts(run) == [0]
