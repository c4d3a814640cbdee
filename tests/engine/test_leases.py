"""The timer of leases: what runs on a host that is not reached runs elsewhere when its lease there is over."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.engine.test_coordinator import Run, running

PLAN = """
[hosts.box]
ssh = "box"
lease = "1m"
[hosts.den]
ssh = "den"
lease = "1m"
[agents.t]
on = ["box", "den"]
[tickets.A]
run = "true"
grace = "5s"
"""


def seen(run: Run, host: str) -> None:
    run.backend.report(rq.HostSeen(host, cpus=1, memory=2**30, boot="b"))


@pytest.mark.trio
async def test_a_ticket_waits_for_its_hosts_and_moves_when_its_lease_is_over(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, PLAN) as run:
        await trio.sleep(100)
        assert run.outcome is None, "the session waits for a host that may be back"
        seen(run, "box")
        await run.until(lambda: run.backend.starts, "it starts on the host that was reached")
        seen(run, "den")
        gone = trio.current_time()
        run.backend.report(rq.HostGone("box", "no answer", since=run.coordinator.clock.now()))
        await run.until(lambda: len(run.backend.starts) == 2, "it starts on the other one")
        assert 60 + 15 + 5 <= trio.current_time() - gone < 60 + 15 + 5 + 2
        [lost] = run.ends("A")
        assert (lost.end, lost.charged, run.state.host_of(run.state.tickets["A"])) == ("lost", False, "den")
        run.backend.report(rq.ProcessEnded("A", 2, code=0))
    assert run.outcome == "finished"


@pytest.mark.trio
async def test_a_host_that_is_back_in_time_ends_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, PLAN) as run:
        seen(run, "box")
        await run.until(lambda: run.backend.starts, "it starts")
        run.backend.report(rq.HostGone("box", "no answer", since=run.coordinator.clock.now()))
        await trio.sleep(60)
        seen(run, "box")
        await trio.sleep(1000)
        assert run.ends("A") == []
        assert run.kinds(ev.HostReached, ev.HostUnreachable) == ["host_reached", "host_unreachable", "host_reached"]
        run.backend.report(rq.ProcessEnded("A", 1, code=0))
    assert run.outcome == "finished"


@pytest.mark.trio
async def test_who_stops_at_once_does_not_wait_for_a_host_that_is_not_reached(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, PLAN.replace('lease = "1m"', 'lease = "never"')) as run:
        seen(run, "box")
        await run.until(lambda: run.backend.starts, "it starts")
        run.backend.report(rq.HostGone("box", "no answer", since=run.coordinator.clock.now()))
        run.backend.out_of_reach.add("A")
        await run.coordinator.ask(rq.Stop(by="ann"))
        await trio.sleep(1000)
        left: str | None = run.outcome
        assert left is None, "it may be back"
        await run.coordinator.ask(rq.Stop(by="ann", now=True))
        await run.until(lambda: run.outcome is not None, "the engine leaves")
        left = run.outcome
    assert left == "stopped"
    assert run.ends("A") == [], "what became of it is not known"


@pytest.mark.trio
async def test_a_session_waits_for_a_host_that_lacks_something_for_a_while(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, PLAN) as run:
        seen(run, "box")
        await run.until(lambda: run.backend.starts, "it starts")
        run.backend.report(rq.HostBad("box", "it has no room"))
        run.backend.report(rq.HostBad("den", "it has no room, and never had"))
        run.backend.report(rq.ProcessLost("A", 1, "its host could not start it", began=False))
        await trio.sleep(1000)
        assert run.outcome is None
        seen(run, "box")
        await run.until(lambda: len(run.backend.starts) == 2, "it starts again")
        run.backend.report(rq.ProcessEnded("A", 2, code=0))
    assert run.outcome == "finished"
