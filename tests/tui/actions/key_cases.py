"""A case for each key that moves, looks, or is about the screen: options of the harness, keys, and the result."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, cast

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.worktrees import WorktreeState
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view.ticket_list import Heading, is_problem
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session
from tests.tui.harness import Harness
from tests.tui.release import log_of

KeyCase = Callable[[Harness, str], Awaitable[None]]
KEY_CASES: dict[str, tuple[KeyCase, dict[str, Any]]] = {}
"""action: what is tried with one of its keys, and the options of `run_app` for it"""


def key_case(action: str, **options: Any) -> Callable[[KeyCase], KeyCase]:
    def register(function: KeyCase) -> KeyCase:
        KEY_CASES[action] = function, options
        return function

    return register


def tickets(ui: Harness) -> TicketsPanel:
    return cast(TicketsPanel, ui.main.panels["tickets"])


def output(ui: Harness) -> OutputPanel:
    return cast(OutputPanel, ui.main.panels["output"])


# -- moving ----------------------------------------------------------------------------------------------------


@key_case("up", ticket="web")
async def _up(ui: Harness, name: str) -> None:
    await ui.press("t", name)
    assert ui.view.selected == "core"


@key_case("down", ticket="web")
async def _down(ui: Harness, name: str) -> None:
    await ui.press("t", name)
    assert ui.view.selected == "data"


@key_case("left", ticket="web")
async def _left(ui: Harness, name: str) -> None:
    await ui.press("t", "t", name)
    assert ui.text().count("▸ group") == 1
    assert "web" not in tickets(ui).list.tickets()


@key_case("right", ticket="web")
async def _right(ui: Harness, name: str) -> None:
    await ui.press("t", "t", "h", name)
    assert "▸" not in ui.text()
    assert "web" in tickets(ui).list.tickets()


@key_case("page-up", ticket="announce")
async def _page_up(ui: Harness, name: str) -> None:
    panel = tickets(ui)
    before = panel.cursor
    await ui.press(name)
    assert panel.cursor == before - (panel.page - 1)
    assert ui.view.selected == panel.list.rows[panel.cursor]


@key_case("page-down")
async def _page_down(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert tickets(ui).cursor == tickets(ui).page - 1


@key_case("first", ticket="web")
async def _first(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.view.selected == "bench"


@key_case("last", ticket="web")
async def _last(ui: Harness, name: str) -> None:
    await ui.press("t", name)
    assert ui.view.selected == "announce"
    await ui.press("[")
    await ui.until(lambda: ui.view.looks_back, "the past is shown")
    await ui.press(name)
    assert not ui.view.looks_back


@key_case("next-panel")
async def _next_panel(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.panel.name_ == "agents"


@key_case("previous-panel")
async def _previous_panel(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.panel.name_ == "output"


@key_case("panel", size=(80, 24))
async def _panel(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.panel.name_ == PANELS[int(name) - 1]
    assert ui.panel.display
    assert len([panel for panel in ui.main.panels.values() if panel.display]) == 2


@key_case("zoom")
async def _zoom(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.panel.size.width == 120
    assert not ui.main.panels["agents"].display
    await ui.press(name)
    assert ui.main.panels["agents"].display


@key_case("open", ticket="bench")
async def _open(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.panel.name_ == "ticket"
    assert "Benchmarks against the last release" in ui.text()


@key_case("back")
async def _back(ui: Harness, name: str) -> None:
    await ui.press("space", "!", "/", *"unit", "enter", "3", "z", "[")
    await ui.until(lambda: ui.view.looks_back, "the past is shown")
    panel, arrangement = tickets(ui).list, ui.main.arrangement
    taken_back: list[Callable[[], bool]] = [
        lambda: not ui.view.looks_back,
        lambda: not arrangement.is_zoomed,
        lambda: arrangement.current == "tickets",
        lambda: not panel.filter,
        lambda: not panel.problems_only,
        lambda: not ui.view.marks,
    ]
    for step in range(len(taken_back)):
        assert [is_so() for is_so in taken_back] == [True] * step + [False] * (len(taken_back) - step)
        await ui.press(name)
    assert all(is_so() for is_so in taken_back)


# -- looking ---------------------------------------------------------------------------------------------------


@key_case("filter")
async def _filter(ui: Harness, name: str) -> None:
    await ui.press(name, *"unit-web")
    assert tickets(ui).list.tickets() == ["unit-web-2", "unit-web-1"], "it filters while one types"
    await ui.press("enter", "G")
    assert not ui.main.prompt.is_open
    assert ui.view.selected == "unit-web-1", "keys are keys again"


@key_case("problems")
async def _problems(ui: Harness, name: str) -> None:
    await ui.press(name)
    shown = tickets(ui).list.tickets()
    assert {"unit-core-3", "bench", "integration-1", "migrate", "package-win"} <= set(shown)
    assert all(is_problem(ui.played[id_]) for id_ in shown)


@key_case("next-needy", ticket="mirror")
async def _next_needy(ui: Harness, name: str) -> None:
    ui.view.me = "ann"
    seen = []
    for _ in range(4):
        await ui.press(name)
        seen.append(ui.view.selected)
    assert seen == ["bench", "unit-core-3", "migrate", "integration-1"], "what the banner names first comes first"
    assert ui.said == "4 of 5 that need you: integration-1, held by you"
    await ui.press(name)
    assert ui.said.startswith("5 of 5 that need you: tester-2 is quarantined: 3 attempts in a row could not start")
    assert (ui.view.agent, ui.main.arrangement.current) == ("tester-2", "agents")
    ui.played.apply(ev.HostPressed(at=ui.played.now, resource="disk", text="1GiB free"))
    ui.feed.tell()
    await ui.press(name)
    assert ui.said == "1 of 6 that need you: host short of disk: 1GiB free; it goes on by itself once there is room"
    assert ui.main.arrangement.current == "gauges"
    await ui.press("1", name)
    assert (ui.view.selected, ui.main.arrangement.current) == ("unit-core-3", "tickets")
    assert ui.said == "2 of 6 that need you: unit-core-3"


@key_case("diff", ticket="data-check")
async def _diff(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert (ui.dialog, ui.said) == ("", "data-check has not run yet")
    await ui.select("unit-core-3")
    await ui.press(name)
    assert (ui.dialog, ui.said) == ("", "unit-core-3 works in no worktree")
    made = ev.WorktreeMade(
        at=1.0, ticket="unit-core-3", attempt=1, path="/w", branch="b", target="main", base="c0ffee"
    )
    assert ui.view.state is not None
    ui.view.state.worktrees["unit-core-3"] = WorktreeState(made)
    await ui.press(name)
    await ui.until(lambda: "+new" in ui.text(), "git has answered")
    assert ui.dialog == "DiffDialog"
    assert "What unit-core-3 changed" in ui.text()
    await ui.press("escape")
    assert not ui.dialog


@key_case("why", ticket="data-check")
async def _why(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.dialog == "WhyDialog"
    assert "lock database is held by migrate" in ui.text()
    await ui.press("escape")
    await ui.select("unit-core-3")
    await ui.press(name)
    assert "Why unit-core-3? It timed out" in ui.text()
    ui.view.selected = "data-check"
    await ui.press("E")
    assert not ui.dialog
    assert (ui.panel.name_, ui.view.selected) == ("output", "unit-core-3")
    await ui.press("3", "j")
    assert ui.played.state.agents[ui.view.agent].ticket is not None
    await ui.press(name)
    assert f"Why {ui.played.state.agents[ui.view.agent].ticket}? It is " in ui.text()
    await ui.press("escape")
    idle = next(agent for agent in ui.played.state.agents.values() if agent.status == "idle")
    ui.view.agent = idle.id
    await ui.press(name)
    assert ui.said.startswith(f"{idle.id} is idle: for ")


@key_case("mark", ticket="web")
async def _mark(ui: Harness, name: str) -> None:
    await ui.press("t", name, name, "k", name)
    assert (ui.view.marks, ui.view.selected) == ({"web"}, "draft")


@key_case("mark-shown")
async def _mark_shown(ui: Harness, name: str) -> None:
    await ui.press("/", *"unit-web", "enter", name)
    assert ui.view.marks == {"unit-web-1", "unit-web-2"}
    await ui.press(name)
    assert not ui.view.marks


@key_case("sort")
async def _sort(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.said == "sorted by status"
    assert tickets(ui).list.tickets()[:5] == ["draft", "unit-web-2", "links", "coverage", "fuzz"]


@key_case("sort-reverse")
async def _sort_reverse(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert tickets(ui).list.tickets() == list(ui.played.plan.tickets)[::-1]


@key_case("group")
async def _group(ui: Harness, name: str) -> None:
    headings = []
    for _ in range(4):
        await ui.press(name)
        headings.append([row.key for row in tickets(ui).list.rows if isinstance(row, Heading)][:2])
    assert headings == [[], ["group 1", "group 2"], ["running", "stopping"], ["done"]]


@key_case("next-running", ticket="mirror")
async def _next_running(ui: Harness, name: str) -> None:
    seen = []
    for _ in range(6):
        await ui.press(name)
        seen.append(ui.view.selected)
    assert seen == ["draft", "unit-web-2", "fuzz", "coverage", "links", "draft"]
    assert ui.said == "1 of 5 that run: draft"
    assert tickets(ui).has_selected


@key_case("previous-running", ticket="mirror")
async def _previous_running(ui: Harness, name: str) -> None:
    await ui.press("5", name, name)
    assert ui.view.selected == "coverage"


@key_case("graph-fold", panel="graph", ticket="announce")
async def _graph_fold(ui: Harness, name: str) -> None:
    assert " 3 succeeded" in ui.text_of("graph")
    await ui.press(name)
    assert ui.said == "all tickets are shown"
    assert " 3 succeeded" not in ui.text_of("graph")
    await ui.press(name)
    assert ui.said == "what succeeded is folded"


@key_case("graph-view", panel="graph", ticket="core")
async def _graph_view(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert cast(GraphPanel, ui.panel).mode == "neighbourhood"
    assert "┌" in ui.text() or "╭" in ui.text()


def timeline(ui: Harness) -> TimelinePanel:
    return cast(TimelinePanel, ui.main.panels["timeline"])


def axis(ui: Harness) -> str:
    """The heading of the timeline, without the sign of the cursor."""
    return ui.text_of("timeline").splitlines()[1].replace("▼", " ")


@key_case("timeline-view", panel="timeline", ticket="core")
async def _timeline_view(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert timeline(ui).shows == "tickets"
    assert ui.said == "a row for each ticket"
    assert "▌✓ core " in ui.text()
    await ui.press(name)
    assert "▌builder-1 " in ui.text()


@key_case("time-in", panel="timeline", ticket="core")
async def _time_in(ui: Harness, name: str) -> None:
    await ui.press(name, name)
    assert "5m20s shown" in ui.text()
    assert "[█✓ core███" in ui.text_of("timeline"), "what was under the cursor is still there"


@key_case("time-out", panel="timeline", ticket="core")
async def _time_out(ui: Harness, name: str) -> None:
    before = axis(ui)
    await ui.press("i", "i", name)
    assert "10m40s shown" in ui.text()
    await ui.press(name)
    assert axis(ui) == before


@key_case("time-whole", panel="timeline", ticket="core")
async def _time_whole(ui: Harness, name: str) -> None:
    before = axis(ui)
    await ui.press("i", "i", "i", name)
    assert axis(ui) == before


@key_case("time-earlier", panel="timeline", ticket="links")
async def _time_earlier(ui: Harness, name: str) -> None:
    await ui.press("i", "i", "i", name)
    assert " 9m " in axis(ui)
    assert "11m30s" not in axis(ui)


@key_case("time-later", panel="timeline", ticket="core")
async def _time_later(ui: Harness, name: str) -> None:
    await ui.press("i", "i", "i", name)
    assert " 5m " in axis(ui)
    assert " 2m " not in axis(ui)


@key_case("next-match", panel="output", ticket="unit-web-2")
async def _next_match(ui: Harness, name: str) -> None:
    await ui.press("g", "/", *"page 4", "enter")
    await _finds(ui, "ok 4 page 4 opens")
    await ui.press(name)
    await _finds(ui, "not ok 40 page 40 opens")


@key_case("previous-match", panel="output", ticket="unit-web-2")
async def _previous_match(ui: Harness, name: str) -> None:
    await ui.press("g", "/", *"page 4", "enter")
    await _finds(ui, "ok 4 page 4 opens")
    await ui.press(name)
    await _finds(ui, "ok 49 page 49 opens")


@key_case("next-error", panel="output", ticket="unit-web-2")
async def _next_error(ui: Harness, name: str) -> None:
    await ui.press("g", name)
    await _finds(ui, "not ok 40 page 40 opens")
    await ui.press(name)
    await _finds(ui, "  error: expected <title>Prices</title>")


async def _finds(ui: Harness, line: str) -> None:
    """Wait until the output stands at a line, as a search leaves it."""

    def is_there() -> bool:
        hit = output(ui).log_view._match
        text = log_of("unit-web-2").read_bytes()
        return hit is not None and _plain(text[hit.start :].decode()).startswith(line)

    await ui.until(is_there, f"the search stands at {line}")
    assert line in ui.text()


def _plain(text: str) -> str:
    return text.replace("\x1b[32m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "")


@key_case("next-failure", panel="output", ticket="unit-web-2")
async def _next_failure(ui: Harness, name: str) -> None:
    await ui.press(name)
    first = ui.view.selected
    assert ui.said.startswith("1 of 2 kinds of failure: ")
    view = output(ui).log_view
    await ui.press(name)
    assert output(ui).log_view is view, "it needs no other view, and no other layout"
    assert ui.said.startswith("2 of 2 kinds of failure: ")
    assert {first, ui.view.selected} == {"bench", "unit-core-3"}
    await ui.press(name)
    assert ui.view.selected == first


@key_case("pin", panel="output", ticket="links")
async def _pin(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.said == "the output of links is pinned"
    ui.view.selected = "unit-web-2"
    ui.main.schedule_draw(Change.selection)
    await ui.until(lambda: "links (pinned)" in ui.text() and "page 120 opens" in ui.text(), "both are shown")
    assert output(ui).shown == ["unit-web-2", "links"]
    ui.view.selected = "links"
    await ui.press(name)
    assert ui.said == "the output of links is not pinned any more"
    await ui.until(lambda: output(ui).shown == ["links"], "one is shown")


@key_case("next-output", panel="output", ticket="links")
async def _next_output(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.said == "there is one output: pin another"
    await ui.press("m")
    ui.view.selected = "unit-web-2"
    ui.main.schedule_draw(Change.selection)
    await ui.until(lambda: len(output(ui).shown) == 2, "both are shown")
    await ui.press(name)
    assert ui.view.selected == "links"
    assert output(ui).current_ticket == "links"


@key_case("follow-running", panel="output", ticket="links")
async def _follow_running(ui: Harness, name: str) -> None:
    newest = max(ui.played.state.live.values(), key=lambda ticket: ticket.live_attempt.started).id
    await ui.press(name)
    assert ui.said == "the output of what started last"
    await ui.until(lambda: f"what runs: {newest}" in ui.text(), "it is shown")
    assert ui.view.selected == "links"
    await ui.press(name)
    assert ui.said == "the output of the selected ticket"
    assert output(ui).shown == ["links"]


@key_case("wrap", panel="output", ticket="unit-web-2")
async def _wrap(ui: Harness, name: str) -> None:
    await ui.press("g", "E")
    await _finds(ui, "not ok 40")
    assert "the last release did not have" in ui.text()
    await ui.press(name)
    assert "the last release did not have" not in ui.text()
    assert ui.said == "long lines are cut; h and l scroll"
    await ui.press(name)
    assert ui.said == "long lines are folded"
    assert "the last release did not have" in ui.text()


@key_case("times", panel="output", ticket="links")
async def _times(ui: Harness, name: str) -> None:
    await ui.until(lambda: "links, attempt 1" in ui.text(), "the log is shown")
    await ui.press(name)
    assert ui.said.startswith("no line here has a time")
    with log_of("links").open("a", encoding="utf-8") as log:
        log.write("a new line\n")
    await ui.until(lambda: "a new line" in ui.text(), "the new line is shown")
    (line,) = [line for line in ui.lines() if "a new line" in line]
    hours, minutes, seconds = line.split()[0].split(":")
    assert (hours + minutes + seconds).isdigit()


@key_case("earlier-attempt", panel="output", ticket="mirror")
async def _earlier_attempt(ui: Harness, name: str) -> None:
    await ui.until(lambda: "mirror, attempt 3" in ui.text(), "the latest attempt is shown")
    await ui.press(name)
    await ui.until(lambda: "mirror, attempt 2" in ui.text(), "the one before is shown")
    assert ui.said == "attempt 2 of 3"
    await ui.press(name, name)
    assert ui.said == "attempt 1 is the first"


@key_case("later-attempt", panel="output", ticket="mirror")
async def _later_attempt(ui: Harness, name: str) -> None:
    await ui.press(",", ",")
    await ui.until(lambda: "mirror, attempt 1" in ui.text(), "the first attempt is shown")
    await ui.press(name)
    await ui.until(lambda: "mirror, attempt 2" in ui.text(), "the next attempt is shown")
    await ui.press(name, name)
    assert ui.said == "attempt 3 is the latest"


@key_case("back-one")
async def _back_one(ui: Harness, name: str) -> None:
    last = len(ui.played.journal)
    await ui.press(name)
    await _is_at(ui, last - 1)
    await ui.press(name, name)
    await _is_at(ui, last - 3)
    assert f"PAST {last - 3}/{last}" in ui.text()


@key_case("forward-one")
async def _forward_one(ui: Harness, name: str) -> None:
    last = len(ui.played.journal)
    await ui.press(name)
    assert ui.said == "this is now"
    await ui.press("[", "[", "[")
    await _is_at(ui, last - 3)
    await ui.press(name)
    await _is_at(ui, last - 2)
    await ui.press(name, name)
    await ui.until(lambda: not ui.view.looks_back, "it is now again")


@key_case("back-far")
async def _back_far(ui: Harness, name: str) -> None:
    last = len(ui.played.journal)
    await ui.press(name)
    await _is_at(ui, last - last // 20)
    await ui.press(*[name] * 30)
    await _is_at(ui, 1)


@key_case("forward-far")
async def _forward_far(ui: Harness, name: str) -> None:
    last = len(ui.played.journal)
    await ui.press("{", "{", name)
    await _is_at(ui, last - last // 20)
    await ui.press(name)
    await ui.until(lambda: not ui.view.looks_back, "it is now again")


async def _is_at(ui: Harness, seq: int) -> None:
    await ui.until(lambda: ui.view.looks_back and ui.view.past_seq == seq, f"it is as after event {seq}")


@key_case("copy", ticket="web")
async def _copy(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert f"\x1b]52;c;{base64.b64encode(b'web').decode()}\a" in ui.written
    assert ui.said == "copied: web"


# -- session and screen ----------------------------------------------------------------------------------------


@key_case("take-over")
async def _take_over(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.said == "an engine runs it"
    ui.feed.lose()
    await ui.press(name)
    await ui.until(lambda: ui.said == "an engine runs the session again", "a new engine is there")
    assert ui.engines == [{"resume": False, "awaits": False}]


@key_case("palette")
async def _palette(ui: Harness, name: str) -> None:
    await ui.press(name, *"hold-all", "enter")
    assert await ui.done() == rq.Hold()


@key_case("sessions")
async def _sessions(ui: Harness, name: str) -> None:
    await ui.press(name)
    await ui.until(lambda: "no session is remembered" in ui.text(), "the list of sessions")
    await ui.press(name)
    assert ui.dialog == ""


@key_case("session-before", others={"s2": Session("X:")})
async def _session_before(ui: Harness, name: str) -> None:
    ui.app.show_session("s2")
    await ui.until(lambda: ui.app.session == "s2" and ui.view.connected, "the other session")
    await ui.press(name)
    await ui.until(lambda: ui.app.session == "s1" and ui.view.connected, "the session before")


@key_case("help")
async def _help(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.dialog == "Help"
    assert "up a row" in ui.text()
    assert "Signs of tickets" in ui.text()


@key_case("tour")
async def _tour(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.said == "this session is no tour: parexec tour starts one"


@key_case("mouse")
async def _mouse(ui: Harness, name: str) -> None:
    driver: Any = ui.app._driver
    done: list[str] = []
    driver._enable_mouse_support = lambda: done.append("on")
    driver._disable_mouse_support = lambda: done.append("off")
    driver._mouse = False
    await ui.press(name)
    assert ui.said == "the mouse works here; M gives it back"
    await ui.press(name)
    assert done == ["on", "off"]


@key_case("redraw")
async def _redraw(ui: Harness, name: str) -> None:
    painter = ui.app._painter
    painter.resize(4, 1)
    painter.changes((0, 0))
    assert not painter.changes((0, 0)), "the terminal has it all"
    await ui.press(name)
    assert painter.changes((0, 0)), "it is sent once more"


@key_case("suspend")
async def _suspend(ui: Harness, name: str) -> None:
    done: list[str] = []
    ui.app.action_suspend_process = lambda: done.append("suspended")  # type: ignore[method-assign]
    await ui.press(name)
    assert done == ["suspended"]


@key_case("leave")
async def _leave(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.app.return_value == "left"
    assert not ui.asked, "the engine is not asked for anything"
