"""The gauges of several hosts: each at a glance, and all about the one that is selected."""

import pytest
from msgspec.structs import replace

from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import DiskSample, HostSample, Sampled
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.gauges import GaugesPanel
from parexec_tui.tui.view.view_state import ViewState
from tests.core.hosts import GIB, two_hosts
from tests.core.sessions import Session
from tests.tui.drawn import lines, panel_of, text, view_of
from tests.tui.harness import run_app


def sample(at: float, cpu: float) -> HostSample:
    return HostSample(
        at=at,
        cpu=cpu,
        per_cpu=(),
        load=(1.0, 1.0, 1.0),
        memory_used=3 * GIB,
        memory_total=8 * GIB,
        swap_used=0,
        swap_total=0,
        disks=(DiskSample("disk", "", 30 * GIB, 100 * GIB),),
        disk_read=0.0,
        disk_write=2_000_000.0,
        net_in=0.0,
        net_out=1000.0,
        pressure={},
    )


def measured(session: Session) -> ViewState:
    """Five minutes of samples: this machine at 20 %, gpu-box at 75 %."""
    view = view_of(session)
    for before in range(300, 0, -2):
        at = session.now - before
        view.samples.take(Sampled(sample(at, 0.2), (), 0.0, {"gpu-box": sample(at, 0.75)}))
    return view


def test_each_host_has_a_row_and_below_it_is_all_about_one() -> None:
    session = two_hosts("A: uses=gpu:1\nB:\nC:")
    session.wait(400)
    view = measured(session)
    panel = panel_of(GaugesPanel, view, 60, 14)
    here = lines(panel)
    assert [line[:24].rstrip() for line in here[:5]] == [
        "]local        1/4 20%", " gpu-box      2/4 75%", " mill         0/8", " cpu          20%",
        " memory       3G/8G",
    ]  # fmt: skip
    assert "not reached yet" in here[2]
    panel.move_across(1)
    there = text(panel)
    assert [line[:24].rstrip() for line in there.splitlines()] == [
        " local        1/4 20%", "]gpu-box      2/4 75%", " mill         0/8", " cpu          75%",
        " memory       3G/8G", " disk         30G free", " at once      2 of 4", " gpu          1 of 2",
        " disk i/o     r 0B/s w 1",
        " network      i 0B/s o 1", " load         1.00 1.00",
    ]  # fmt: skip
    assert panel.subtitle() == "gpu-box"
    panel.move_across(1)
    assert panel.note() == "no samples yet"
    panel.move_across(1)
    assert panel.host == ""


def test_the_curve_of_a_host_is_that_of_its_own_samples() -> None:
    session = two_hosts()
    session.wait(400)
    view = measured(session)
    there = [replace(each, cpu=number / 150) for number, each in enumerate(view.samples.of("gpu-box"))]
    view.samples.of_hosts["gpu-box"].extend(there)
    local, box = (line[39:] for line in lines(panel_of(GaugesPanel, view, 60, 14))[:2])
    assert len(set(local.strip())) == 1
    assert len(set(box.strip())) > 1


def test_the_headings_of_agents_say_how_busy_a_host_is() -> None:
    session = two_hosts()
    session.wait(400)
    panel = panel_of(AgentsPanel, measured(session), 66, 14)
    assert " host gpu-box  2 of 4 slots, cpu 75%, memory 3G/8G" in map(str.rstrip, lines(panel))


def test_a_host_that_is_lost_shows_that_in_place_of_what_it_used_last() -> None:
    session = two_hosts()
    session.wait(400)
    view = measured(session)
    session.tell(rq.HostGone("gpu-box", "No route to host", since=session.now - 20))
    panel = panel_of(GaugesPanel, view, 60, 14)
    assert lines(panel)[1].rstrip().endswith("unreachable for 20s")
    assert "75%" not in lines(panel)[1]


@pytest.mark.asyncio
async def test_the_gauges_are_those_of_the_host_under_the_cursor_of_the_agents() -> None:
    async with run_app("agents", played=two_hosts(), size=(80, 24)) as app:
        app.main.view.samples.take(
            Sampled(sample(app.played.now, 0.2), (), 0.0, {"gpu-box": sample(app.played.now, 0.75)})
        )
        await app.press("g", "j", "j", "j", "enter")
        assert app.panel.name_ == "gauges"
        assert "gpu-box" in app.panel.subtitle()
        assert "75%" in app.line("cpu ")
        await app.press("left")
        assert "local" in app.panel.subtitle()
        assert "20%" in app.line("cpu ")
