"""The table of agents: what stands in it at each width, and what its keys are about."""

import re
from typing import cast

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.services import Service
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Progress, Usage
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.tui.actions import steering
from parexec_tui.tui.actions.perform import RequestBuilder
from parexec_tui.tui.panels.agents import AgentsPanel, busy_share
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, text, view_of
from tests.tui.harness import run_app


def building() -> Plan:
    return plan(
        """
        A: agent=builder estimate=300s title=Compile
        B: agent=builder estimate=10s uses=memory:1000,cpu:2
        C: agent=builder
        L: agent=local
        M: agent=local
        long-name-of-a-ticket: agent=builder
        """,
        agents={"builder": AgentType(min=1, max=4), "local": AgentType(min=2)},
        parallel=8,
    )


def busy_session() -> Session:
    """One agent each that is busy, late, frozen, held, idle and quarantined."""
    session = Session(building())
    session.dispatch()
    session.wait(125)
    session.fail("C")
    session.ask(rq.Freeze(tickets=("A",)))
    session.ask(rq.Hold(agents=("local-1",)))
    session.wait(170)
    session.succeed("M")
    session.apply(ev.AgentQuarantined(at=session.now, agent="local-2", reason="3 deaths at \x1b[31mstart"))
    return session


def usage(ticket: str, cpu: float, memory: int, silence: float | None, attempt: int = 1) -> Usage:
    return Usage(ticket, attempt, cpu=cpu, memory=memory, processes=1, silence=silence, log_size=0)


def panel(session: Session, width: int, *, ascii_only: bool = True) -> AgentsPanel:
    view = view_of(session, ascii_only=ascii_only)
    measured = (
        usage("A", 0.0, 3_000_000, 700.0),
        usage("B", 1.52, 712 << 20, 3.0),
        usage("long-name-of-a-ticket", 12.5, 3 << 30, 1500.0),
        usage("L", 0.1, 1000, None, attempt=2),
    )
    view.samples.usage = {each.ticket: each for each in measured}
    view.samples.taken_at = session.now - 1
    return panel_of(AgentsPanel, view, width, 12)


DRAWN = {
    40: """
  ID        STATUS      TICKET
 builder  min 1, now 4, max 4
] builder-1 f frozen    A
  builder-2 o idle      for 2m50
  builder-3 > busy      long-na~-ticket
  builder-4 > busy      B
 local  min 2, now 2, max 8
  local-1   | held      L
  local-2   ! quaranti~ 3 deaths at st~
""",
    60: """
  ID        STATUS      TICKET           DONE      ETA  CPU
 builder  min 1, now 4, max 4
] builder-1 f frozen    A                ~41%:.        0.00
  builder-2 o idle      for 2m50
  builder-3 > busy      long-nam~-ticket               12.5
  builder-4 > busy      B                late::  +4m45 1.52
 local  min 2, now 2, max 8
  local-1   | held      L
  local-2   ! quaranti~ 3 deaths at start
""",
    78: """
  ID        STATUS        TICKET         DONE      ETA  CPU   MEM  QUIET  RAN
 builder  min 1, now 4, max 4
] builder-1 f frozen      A              ~41%:.        0.00  2.9M  11m40    0
  builder-2 o idle        for 2m50                                          1
  builder-3 > busy        long-na~ticket               12.5    3G !25m00    0
  builder-4 > busy        B              late::  +4m45 1.52  712M     3s    0
 local  min 2, now 2, max 8
  local-1   | held        L                                                 0
  local-2   ! quarantined 3 deaths at start                                 1
""",
}


@pytest.mark.parametrize("width", DRAWN)
def test_the_table_at_each_width(width: int) -> None:
    assert text(panel(busy_session(), width)) == DRAWN[width].strip("\n")


def test_a_wide_table_has_titles_too() -> None:
    drawn = lines(panel(busy_session(), 120, ascii_only=False))
    assert drawn[0].split() == [
        "ID", "STATUS", "TICKET", "TITLE", "DONE", "ETA", "CPU", "MEM", "QUIET", "FAILED", "RAN", "BUSY",
    ]  # fmt: skip
    assert drawn[2].startswith("▌ builder-1 ≡ frozen      A                     Compile ")
    assert "~41%░─        0.00" in drawn[2]
    assert "long-name-of-a-ticket" in drawn[4]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (9, 3), (17, 12), (300, 4)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert len(lines(panel_of(AgentsPanel, view_of(busy_session()), *size))) == size[1] - 1


def test_what_an_output_tells_is_not_drawn_as_a_guess_is() -> None:
    shown = panel(busy_session(), 120)
    told = usage("B", 1.5, 1, 3.0)
    shown.view.samples.usage["B"] = structs.replace(told, progress=Progress(42, 3, 7, "link"))
    guessed, fact = lines(shown)[2], lines(shown)[5]
    assert " ~41%:. " in guessed
    assert " Compile " in guessed
    assert "  42%#. " in fact
    assert " 3/7 link " in fact
    shown.view.ascii_only = False
    assert "  42%━─ " in lines(shown)[5]
    assert " ~41%░─ " in lines(shown)[2]


def test_what_was_measured_long_ago_or_of_another_attempt_is_not_shown() -> None:
    session = busy_session()
    shown = panel(session, 78)
    assert " 712M " in lines(shown)[5]
    session.wait(9.5)
    assert " 712M " not in lines(shown)[5]


def test_what_is_measured_is_drawn_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = panel(busy_session(), 80)
    drawn: list[object] = []
    monkeypatch.setattr(shown, "refresh", lambda *regions: drawn.append(regions))
    shown.changed(Change.samples)
    assert () in drawn


def test_the_past_shows_its_agents_and_nothing_of_what_is_measured_now() -> None:
    session = busy_session()
    shown = panel(session, 78)
    past = Session(building())
    past.dispatch()
    shown.view.past = past.state
    shown.changed(Change.state)
    drawn = lines(shown)
    assert [line[:18] for line in drawn[2:6]] == [
        f"{'] ' if n == 1 else '  '}builder-{n} > busy" for n in (1, 2, 3, 4)
    ]
    assert " 712M " not in drawn[5]


@pytest.mark.parametrize(
    "gone", [ev.EngineLeft(at=1030.0, reason="stopped"), ev.SessionInterrupted(at=1030.0, reason="it died")]
)
def test_while_no_engine_is_there_nothing_is_expected_of_an_agent(gone: ev.AnyEvent) -> None:
    session = Session(plan("A:\nB:", parallel=2))
    session.dispatch()
    session.wait(10)
    session.succeed("A")
    session.wait(20)
    session.apply(gone)
    session.wait(60)
    session.succeed("B")
    session.wait(910)
    session.resume()
    session.wait(10)
    one, two = session.state.agents.values()
    assert busy_share(one, None, session.now) == 10 / 40
    assert busy_share(two, None, session.now) == 90 / (30 + 60 + 10)


def test_stopped_agents_are_a_count_and_a_held_type_says_by_whom() -> None:
    session = Session(plan("A: agent=builder\nB: A agent=builder", agents={"builder": AgentType(min=2, max=3)}))
    session.dispatch()
    session.ask(rq.Drain(agents=("builder-2",)))
    session.ask(rq.Hold(types=("builder",), by="ann"))
    session.wait(60)
    session.succeed("A")
    session.wait(20)
    assert lines(panel_of(AgentsPanel, view_of(session), 78, 5))[1:] == [
        " builder  | held by ann  min 2, now 1, max 3, 1 stopped",
        "] builder-1 o idle        for 20s; its type is held                        1",
        "",
    ]


def test_the_cursor_stays_on_its_agent_while_others_come_and_go() -> None:
    session = busy_session()
    shown = panel(session, 78)
    shown.move(3)
    assert (shown.view.agent, shown.view.agent_type) == ("builder-4", "")
    session.ask(rq.Drain(agents=("builder-2",)))
    shown.changed(Change.state)
    assert shown.view.agent == "builder-4"
    assert lines(shown)[4].startswith("] builder-4")
    assert "1 stopped" in lines(shown)[1]


def test_an_agent_that_is_gone_leaves_the_cursor_to_its_neighbour() -> None:
    session = busy_session()
    shown = panel(session, 78)
    shown.move(1)
    session.ask(rq.Drain(agents=("builder-2",)))
    shown.changed(Change.state)
    assert shown.view.agent == "builder-3"


def test_where_there_is_room_the_heading_above_the_first_agent_is_in_view() -> None:
    shown = panel_of(AgentsPanel, view_of(busy_session()), 78, 5)

    def in_view() -> list[str]:
        return [id_ or type_ for type_, id_, _ in shown.rows[shown.top : shown.top + 3]]

    assert (in_view(), shown.view.agent) == (["builder", "builder-1", "builder-2"], "builder-1")
    shown.go_last()
    assert (in_view(), shown.view.agent) == (["local", "local-1", "local-2"], "local-2")
    shown.move(-3)
    assert (in_view(), shown.view.agent) == (["builder-4", "local", "local-1"], "builder-4")


def test_enter_leads_to_the_output_of_what_the_agent_runs() -> None:
    shown = panel(busy_session(), 78)
    assert (shown.open(), shown.view.selected) == ("output", "A")
    shown.move(1)
    assert (shown.open(), shown.view.selected) == ("", "A")


def test_on_a_heading_the_keys_are_about_the_type() -> None:
    session = busy_session()
    shown = panel(session, 78)
    shown.go_first()
    assert (shown.view.agent, shown.view.agent_type, shown.open()) == ("", "builder", "")
    targets = Targets(agent_type="builder")

    def asked(build: RequestBuilder) -> object:
        return build(session.state, targets)

    assert asked(steering.more) == rq.Scale(type="builder", most=1, relative=True)
    assert asked(steering.hold) == rq.Hold(types=("builder",))
    assert asked(steering.drain) == rq.Drain(types=("builder",))
    assert asked(steering.freeze) == rq.Freeze(types=("builder",))
    assert asked(steering.cancel) == Refusal("builder is a type of agents", "move to one of them")
    session.ask(rq.Hold(types=("builder",)))
    session.ask(rq.Freeze(types=("builder",)))
    assert asked(steering.hold) == asked(steering.drain) == rq.Release(types=("builder",))
    assert asked(steering.freeze) == rq.Thaw(types=("builder",))


def test_only_what_runs_and_is_silent_for_long_is_a_warning() -> None:
    shown = panel(busy_session(), 78)
    warn = shown.view.palette["warn"].color
    coloured = {
        segment.text.strip()
        for y in range(12)
        for segment in shown.render_line(y)
        if segment.style is not None and segment.style.color == warn and segment.text.strip()
    }
    assert coloured == {"!25m00", "+4m45", "late", "::", "712M", "3 deaths at start"}


def test_the_eta_of_an_agent_is_by_what_its_output_tells_and_else_by_the_estimate() -> None:
    session = busy_session()
    view = view_of(session)
    told = structs.replace(usage("B", 1.0, 1 << 20, 5.0), progress=Progress(50, done=1, total=2))
    view.samples.usage = {"B": told}
    view.samples.taken_at = session.now
    row = next(line for line in lines(panel_of(AgentsPanel, view, 160, 12)) if " B " in line)
    assert " 4m45 " in row  # half of it took 290 s, and that was 5 s ago
    view.samples.usage = {}
    row = next(line for line in lines(panel_of(AgentsPanel, view, 160, 12)) if " B " in line)
    assert " +4m45 " in row  # it should have taken 10 s


def test_without_an_engine_nothing_is_said_to_be_busy_that_nobody_watches() -> None:
    session = busy_session()
    shown = panel(session, 160)
    assert shown.subtitle() == "3 of 6 busy, 1 frozen"
    session.state.note_engine_lost(EngineLost(session.now, "no engine"))
    shown = panel(session, 160)
    assert shown.subtitle() == "4 of 6 had a ticket"
    row = next(line for line in lines(shown) if " B " in line)
    assert " goes on " in row
    assert "+4m45" not in row, "nobody knows when it will end"
    session.state.note_engine_lost(EngineLost(session.now, "no answer", is_silent=True))
    row = next(line for line in lines(panel(session, 160)) if " B " in line)
    assert " no answer " in row


# --- Services ---


def serving() -> Session:
    """One service each that is ready and used, starts, and failed."""
    services = {
        "db": Service(run="db", ready="tcp:5432"),
        "site": Service(run="site", ready="log:up"),
        "bad": Service(run="bad", restart="never"),
    }
    text = "A: uses_service=db\nB: uses_service=site\nC: uses_service=bad\nD: A uses_service=db"
    session = Session(plan(text, services=services))
    session.dispatch()
    session.wait(2)
    session.service_is_up("db")
    session.service_ended("bad", code=3)
    session.dispatch()
    session.wait(60)
    return session


def test_services_stand_below_the_agents() -> None:
    assert text(panel_of(AgentsPanel, view_of(serving(), ascii_only=True), 80, 12)).splitlines()[-4:] == [
        " services",
        "  db      # ready       up 1m02, used by A, 1 to come",
        "  site    / starting    waits for log:up, 1m02, 1 to come",
        "  bad     x failed      exit 3: no disk",
    ]


def test_what_a_service_uses_stands_where_that_of_a_ticket_does_if_there_is_room() -> None:
    view = view_of(serving(), ascii_only=True)
    measured = (
        usage("+db", 1.52, 712 << 20, 3.0),
        usage("+site", 0.1, 1 << 20, 9000.0),
        usage("+bad", 0.5, 1 << 20, 1.0),
    )
    view.samples.usage = {each.ticket: each for each in measured}
    view.samples.taken_at = view.now - 1
    heading, *rows = text(panel_of(AgentsPanel, view, 100, 12)).splitlines()
    (db, site, bad) = rows[-3:]
    assert db[heading.index(" CPU") - 1 :].split() == ["1.52", "712M", "3s"]
    assert site[heading.index(" CPU") - 1 :].split() == ["0.10", "1M", "2h30"]
    assert bad.endswith("no disk"), "it does not run"
    (db, site, bad) = text(panel_of(AgentsPanel, view, 60, 12)).splitlines()[-3:]
    assert db.endswith("used by A, 1 to come"), "that comes first"


@pytest.mark.parametrize(
    ("name", "builder", "request_"),
    [
        ("db", steering.freeze, rq.Freeze(services=("db",))),
        ("db", steering.retry, rq.Restart(services=("db",))),
        ("bad", steering.retry, rq.Restart(services=("bad",))),
    ],
)
def test_its_keys_are_about_the_service_under_the_cursor(
    name: str, builder: RequestBuilder, request_: rq.AnyRequest
) -> None:
    session = serving()
    panel = panel_of(AgentsPanel, view_of(session), 80, 12)
    panel.go_to_service(name)
    assert (panel.view.service, panel.view.agent, panel.view.agent_type) == (name, "", "")
    assert builder(session.state, Targets(service=name)) == request_
    assert not isinstance(session.act(request_), Refusal)


def test_a_frozen_service_is_thawed_and_none_is_cancelled() -> None:
    session = serving()
    session.act(rq.Freeze(services=("db",)))
    assert steering.freeze(session.state, Targets(service="db")) == rq.Thaw(services=("db",))
    assert isinstance(steering.cancel(session.state, Targets(service="db")), Refusal)


def test_enter_on_a_service_shows_its_output_until_another_ticket_is_selected() -> None:
    session = serving()
    panel = panel_of(AgentsPanel, view_of(session), 80, 12)
    panel.go_to_service("db")
    assert panel.open() == "output"
    assert panel.view.service_log == ("db", panel.view.selected)


@pytest.mark.asyncio
async def test_why_of_a_service_tells_of_it_and_of_no_ticket() -> None:
    async with run_app("agents", played=serving()) as ui:
        for name, said in (
            ("bad", "service bad failed: exit 3: no disk; r restarts it"),
            ("site", "service site is starting: waits for log:up, 1m02, 1 to come"),
        ):
            cast(AgentsPanel, ui.panel).go_to_service(name)
            await ui.press("w")
            assert ui.said == said


@pytest.mark.asyncio
async def test_the_footer_says_restart_on_a_service_dim_where_that_would_be_refused() -> None:
    session = serving()
    session.succeed("A")
    session.dispatch()
    session.succeed("D")
    async with run_app("agents", played=session) as ui:
        panel, retry = cast(AgentsPanel, ui.panel), ui.main.keymap.of("retry")
        for name, dim in (("bad", False), ("db", True)):  # nobody is left that uses db
            panel.go_to_service(name)
            await ui.until(lambda: "r restart" in ui.footer(), "it is about the service")
            assert ui.main.is_dim(retry) is dim


@pytest.mark.asyncio
async def test_at_80_columns_the_banner_names_the_key_that_helps_a_failed_service() -> None:
    service = Service(run="bad", restart="never")
    session = Session(plan("A:\nB: uses_service=database\nC: uses_service=database", services={"database": service}))
    session.dispatch()
    key = session.service("database").key
    line = "cannot read the configuration of the database server"
    session.tell(rq.ProcessEnded(key.ticket, key.attempt, code=3, error_line=line))
    async with run_app(played=session, size=(80, 24)) as ui:
        assert re.search(r"service database failed: exit 3: cannot read \S.* b goes to ", ui.line("service database"))
        await ui.press("b")
        assert re.search(
            r"service database failed: exit 3: cannot read \S.* r restarts ", ui.line("service database")
        )
