"""What the ETA says is noted now and then."""

from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.client.plan_files import open_plan_file
from parexec_tui.core.schedule.eta import eta_accuracy
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.measure import eta_watch, monitor
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.measure.eta_watch import FIRST, GROWTH, EtaWatch
from parexec_tui.engine.session import run_plan
from tests.core.sessions import OPENED_AT, Session
from tests.engine.engines import Heard, happened, write_plan

PLAN = '[tickets.a]\nrun = "sleep 0.4"\nestimate = "1s"\n[tickets.b]\nrun = "true"\nneeds = ["a"]\nestimate = "1s"\n'


@pytest.mark.trio
async def test_it_is_asked_ever_more_seldom_while_something_runs(
    autojump_clock: MockClock, threads: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eta_watch, "_SHARE", 0)  # what a call takes is not the point here
    session = Session("A: estimate=1h\nB: A")
    found: list[tuple[float, rq.AnyReport]] = []
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        watch = EtaWatch(
            session.state,
            lambda reports: found.extend((trio.current_time() - began, each) for each in reports),
            EndKeeper(session.state, lambda: OPENED_AT + trio.current_time() - began),
        )
        nursery.start_soon(watch.run)
        await trio.sleep(FIRST + 0.1)
        assert found == [], "nothing runs"
        session.dispatch()
        await trio.sleep(1000)
        count = len(found)
        session.succeed("A")
        session.dispatch()
        session.succeed("B")
        session.close()
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    times = [at for at, _ in found]
    assert len(times) == count == 23
    assert [b / a for a, b in pairwise(times)] == pytest.approx([GROWTH] * 22)
    assert all(isinstance(each, rq.EtaFound) and each.p50 > 0 for _, each in found)


@pytest.mark.trio
async def test_it_is_asked_the_more_seldom_the_more_it_costs(
    autojump_clock: MockClock, threads: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 1000, 3))
    monkeypatch.setattr(eta_watch, "perf_counter", lambda: next(seconds))
    session = Session("A: estimate=1h")
    session.dispatch()
    found: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            EtaWatch(
                session.state, lambda _: found.append(trio.current_time()), EndKeeper(session.state, lambda: 0.0)
            ).run
        )
        await trio.sleep(7000)
        nursery.cancel_scope.cancel()
    assert [b - a for a, b in pairwise(found)] == pytest.approx([3000, 3000])


def test_an_engine_has_it_in_its_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eta_watch, "FIRST", 0.1)
    monkeypatch.setattr(eta_watch, "_SHARE", 0)
    heard = Heard()
    state = run_plan(open_plan_file(write_plan(tmp_path, PLAN), None).plan, monitor.host(), heard.sink).state
    told = [event for event in heard.events if isinstance(event, ev.EtaTold)]
    assert told
    assert state.eta_told == told == happened(ev.EtaTold)
    assert told[0].p90 >= told[0].p50 > 0
    assert eta_accuracy(state) is not None
