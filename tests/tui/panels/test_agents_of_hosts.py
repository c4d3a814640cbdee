"""Agents on several hosts: their table by host, how each host stands, and what keys on its heading are about."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.status_facts import status_report
from parexec_tui.tui.panels.agents import AgentsPanel
from tests.core.hosts import GIB, lose, start, two_hosts
from tests.core.sessions import Session
from tests.tui.drawn import lines, panel_of, text, view_of
from tests.tui.harness import run_app


def lost_session() -> Session:
    session = two_hosts()
    session.wait(20)
    lose(session)
    session.wait(40)
    return session


def test_the_table_by_host() -> None:
    assert (
        text(panel_of(AgentsPanel, view_of(lost_session()), 67, 14))
        == """\
  ID        STATUS      TICKET DONE      ETA  CPU   MEM  QUIET
 host local  1 of 4 slots
 agent  1 here, min 0, now 1, max 2
] agent-C   > busy      C
 host gpu-box  unreachable for 40s; 2 leases, first ends in 30m06
 trainer  2 here, min 0, now 2, max 4
  trainer-A > busy      A
  trainer-B > busy      B
 host mill  not reached yet
 trainer  0 here, min 0, now 2, max 4"""
    )


def test_in_a_narrow_panel_the_time_that_is_left_is_not_cut() -> None:
    narrow = lines(panel_of(AgentsPanel, view_of(lost_session()), 46, 14))
    assert " host gpu-box  unreachable 40s, lease 30m06" in map(str.rstrip, narrow)


def test_a_host_says_what_is_wrong_with_it_and_how_many_of_its_slots_are_taken() -> None:
    session = two_hosts("A: lease=never\nB:\nC:")
    panel = panel_of(AgentsPanel, view_of(session), 120, 14)
    assert " host gpu-box  2 of 4 slots" in lines(panel)
    session.succeed("B")
    lose(session)
    assert " host gpu-box  unreachable for 0s; A's lease never ends" in lines(panel)
    session.tell(rq.HostBad("mill", "no python3; apt install python3"))
    assert " host mill  unusable: no python3; apt install python3" in lines(panel)


def test_a_type_is_below_each_host_on_which_its_agents_may_be() -> None:
    session = two_hosts(is_local=False)
    session.tell(rq.HostSeen("mill", cpus=2.0, memory=GIB, boot="m"))
    start(session, "C", "trainer", "mill")
    panel = panel_of(AgentsPanel, view_of(session), 70, 14)
    assert [row for row in panel.rows if row.host == "mill"] == [
        ("@host", "", "mill"), ("trainer", "", "mill"), ("trainer", "trainer-C", "mill"),
    ]  # fmt: skip
    assert "local" not in text(panel)


@pytest.mark.asyncio
async def test_the_cursor_on_a_heading_is_on_the_host() -> None:
    async with run_app("agents", played=lost_session()) as app:
        await app.press("g")
        assert (app.view.host, app.view.gauges_of, app.main.targets().host) == ("local", "", "local")
        await app.press("j", "j", "j")
        assert (app.view.host, app.view.gauges_of, app.view.agent_type) == ("gpu-box", "gpu-box", "")
        await app.press("j")
        assert (app.view.host, app.view.agent_type) == ("", "trainer")
        await app.press("j")
        assert (app.main.targets().agent, app.view.gauges_of) == ("trainer-A", "gpu-box")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.asyncio
async def test_the_top_of_the_screen_says_that_a_host_is_lost(size: tuple[int, int]) -> None:
    async with run_app(played=lost_session(), size=size) as app:
        assert " 2 hosts, 1 unreachable for 40s, 1 not reached yet" in app.lines()[1]
        assert app.lines()[2].startswith(" gpu-box unreachable for 40s; 2 leases, first ends in 30m06: No route")


@pytest.mark.asyncio
async def test_a_host_that_a_person_has_to_mend_is_gone_to() -> None:
    session = two_hosts()
    session.tell(rq.HostBad("mill", "no python3"))
    async with run_app(played=session) as app:
        await app.press("b")
        assert app.view.host == "mill"
        assert app.said == "1 of 1 that need you: host mill is unusable: no python3"


@pytest.mark.asyncio
async def test_rows_the_page_and_the_why_of_a_ticket_name_its_host() -> None:
    async with run_app(played=lost_session(), size=(160, 40), ticket="A") as app:
        assert "gpu-box unreachable" in app.line("trainer-A")
        await app.press("z")
        assert "trainer-A  gpu-box" in app.line("trainer-A")
        await app.press("z", "w")
        said = "gpu-box unreachable for 40s; A's lease there ends in 30m06, then it may run elsewhere"
        assert said in " ".join(app.text().split())
        assert "it is running on trainer-A of gpu-box" in app.text()
        await app.press("escape", "6")
        assert "on trainer-A of gpu-box" in app.text_of("ticket")
        assert said in " ".join(app.text_of("ticket").split())


def test_status_names_hosts_and_what_is_wrong_with_them() -> None:
    session = lost_session()
    lines = dashboard(status_report(session.state, session.now), now=session.now, whole=True)
    assert "hosts    2 hosts, 1 unreachable for 40s, 1 not reached yet" in lines
    assert "host     gpu-box unreachable for 40s; 2 leases, first ends in 30m06: No route to host" in lines
    assert "  trainer-A  busy         A  on gpu-box" in lines
