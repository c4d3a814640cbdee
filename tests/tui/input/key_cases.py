"""A case for each key that moves, looks, or is about the screen: options of the harness, keys, and the result."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, cast

from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.ticket_list import Heading, is_problem
from tests.tui.harness import Stage
from tests.tui.terminal.release import log_of

Trial = Callable[[Stage, str], Awaitable[None]]
TRIALS: dict[str, tuple[Trial, dict[str, Any]]] = {}
"""action: what is tried with one of its keys, and the options of `on_stage` for it"""


def trial(action: str, **options: Any) -> Callable[[Trial], Trial]:
    def register(function: Trial) -> Trial:
        TRIALS[action] = function, options
        return function

    return register


def tickets(stage: Stage) -> TicketsPanel:
    return cast(TicketsPanel, stage.main.panels["tickets"])


def output(stage: Stage) -> OutputPanel:
    return cast(OutputPanel, stage.main.panels["output"])


# -- moving ----------------------------------------------------------------------------------------------------


@trial("up", ticket="web")
async def _up(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.view.selected == "core"


@trial("down", ticket="web")
async def _down(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.view.selected == "data"


@trial("left", ticket="web")
async def _left(stage: Stage, name: str) -> None:
    await stage.press("t", name)
    assert stage.text().count("▸ group") == 1
    assert "web" not in tickets(stage).list.tickets()


@trial("right", ticket="web")
async def _right(stage: Stage, name: str) -> None:
    await stage.press("t", "h", name)
    assert "▸" not in stage.text()
    assert "web" in tickets(stage).list.tickets()


@trial("page-up", ticket="announce")
async def _page_up(stage: Stage, name: str) -> None:
    panel = tickets(stage)
    before = panel.cursor
    await stage.press(name)
    assert panel.cursor == before - (panel.page - 1)
    assert stage.view.selected == panel.list.rows[panel.cursor]


@trial("page-down", ticket="fetch-core")
async def _page_down(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert tickets(stage).cursor == tickets(stage).page - 1


@trial("first", ticket="web")
async def _first(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.view.selected == "fetch-core"


@trial("last", ticket="web")
async def _last(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.view.selected == "announce"
    await stage.press("[")
    await stage.until(lambda: stage.view.looks_back, "the past is shown")
    await stage.press(name)
    assert not stage.view.looks_back


@trial("next-panel")
async def _next_panel(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.panel.name_ == "agents"


@trial("previous-panel")
async def _previous_panel(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.panel.name_ == "output"


@trial("panel", size=(80, 24))
async def _panel(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.panel.name_ == PANELS[int(name) - 1]
    assert [panel for panel in stage.main.panels.values() if panel.display] == [stage.panel]


@trial("zoom")
async def _zoom(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.panel.size.width == 120
    assert not stage.main.panels["agents"].display
    await stage.press(name)
    assert stage.main.panels["agents"].display


@trial("open", ticket="bench")
async def _open(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.panel.name_ == "ticket"
    assert "Benchmarks against the last release" in stage.text()


@trial("back")
async def _back(stage: Stage, name: str) -> None:
    await stage.press("space", "!", "/", *"unit", "enter", "3", "z", "[")
    await stage.until(lambda: stage.view.looks_back, "the past is shown")
    panel, arrangement = tickets(stage).list, stage.main.arrangement
    taken_back: list[Callable[[], bool]] = [
        lambda: not stage.view.looks_back,
        lambda: not arrangement.is_zoomed,
        lambda: arrangement.current == "tickets",
        lambda: not panel.filter,
        lambda: not panel.problems_only,
        lambda: not stage.view.marks,
    ]
    for step in range(len(taken_back)):
        assert [is_so() for is_so in taken_back] == [True] * step + [False] * (len(taken_back) - step)
        await stage.press(name)
    assert all(is_so() for is_so in taken_back)


# -- looking ---------------------------------------------------------------------------------------------------


@trial("filter")
async def _filter(stage: Stage, name: str) -> None:
    await stage.press(name, *"unit-web")
    assert tickets(stage).list.rows == ["unit-web-1", "unit-web-2"], "it filters while one types"
    await stage.press("enter", "j")
    assert not stage.main.prompt.is_open
    assert stage.view.selected == "unit-web-2", "keys are keys again"


@trial("problems")
async def _problems(stage: Stage, name: str) -> None:
    await stage.press(name)
    shown = tickets(stage).list.tickets()
    assert {"unit-core-3", "bench", "integration-1", "migrate", "package-win"} <= set(shown)
    assert all(is_problem(stage.played[id_]) for id_ in shown)


@trial("next-needy")
async def _next_needy(stage: Stage, name: str) -> None:
    seen = []
    for _ in range(4):
        await stage.press(name)
        seen.append(stage.view.selected)
    assert seen == ["unit-core-3", "integration-1", "bench", "unit-core-3"]
    assert stage.said == "1 of 3 that need you: unit-core-3"


@trial("why", ticket="data-check")
async def _why(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "MessageDialog"
    assert "lock database is held by migrate" in stage.text()
    await stage.press("escape")
    await stage.select("unit-core-3")
    await stage.press(name)
    assert "Why unit-core-3? It timed out" in stage.text()
    await stage.press("escape", "3")
    assert stage.played.state.agents[stage.view.agent].ticket is not None
    await stage.press(name)
    assert f"Why {stage.played.state.agents[stage.view.agent].ticket}? It is " in stage.text()
    await stage.press("escape")
    idle = next(agent for agent in stage.played.state.agents.values() if agent.status == "idle")
    stage.view.agent = idle.id
    await stage.press(name)
    assert stage.said.startswith(f"{idle.id} is idle: for ")


@trial("mark", ticket="web")
async def _mark(stage: Stage, name: str) -> None:
    await stage.press(name, name, "k", name)
    assert (stage.view.marks, stage.view.selected) == ({"web"}, "draft")


@trial("mark-shown")
async def _mark_shown(stage: Stage, name: str) -> None:
    await stage.press("/", *"unit-web", "enter", name)
    assert stage.view.marks == {"unit-web-1", "unit-web-2"}
    await stage.press(name)
    assert not stage.view.marks


@trial("sort")
async def _sort(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.said == "sorted by status"
    assert tickets(stage).list.tickets()[:5] == ["draft", "unit-web-2", "links", "coverage", "fuzz"]


@trial("sort-reverse")
async def _sort_reverse(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert tickets(stage).list.tickets() == list(stage.played.plan.tickets)[::-1]


@trial("group")
async def _group(stage: Stage, name: str) -> None:
    headings = []
    for _ in range(3):
        await stage.press(name)
        headings.append([row.key for row in tickets(stage).list.rows if isinstance(row, Heading)][:2])
    assert headings == [["group 1", "group 2"], ["running", "stopping"], []]


@trial("graph-view", panel="graph", ticket="core")
async def _graph_view(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert cast(GraphPanel, stage.panel).mode == "neighbourhood"
    assert "┌" in stage.text() or "╭" in stage.text()


@trial("next-match", panel="output", ticket="unit-web-2")
async def _next_match(stage: Stage, name: str) -> None:
    await stage.press("g", "/", *"page 4", "enter")
    await _finds(stage, "ok 4 page 4 opens")
    await stage.press(name)
    await _finds(stage, "not ok 40 page 40 opens")


@trial("previous-match", panel="output", ticket="unit-web-2")
async def _previous_match(stage: Stage, name: str) -> None:
    await stage.press("g", "/", *"page 4", "enter")
    await _finds(stage, "ok 4 page 4 opens")
    await stage.press(name)
    await _finds(stage, "ok 49 page 49 opens")


@trial("next-error", panel="output", ticket="unit-web-2")
async def _next_error(stage: Stage, name: str) -> None:
    await stage.press("g", name)
    await _finds(stage, "not ok 40 page 40 opens")
    await stage.press(name)
    await _finds(stage, "  error: expected <title>Prices</title>")


async def _finds(stage: Stage, line: str) -> None:
    """Wait until the output stands at a line, as a search leaves it."""

    def is_there() -> bool:
        hit = output(stage).log_view._hit
        text = log_of("unit-web-2").read_bytes()
        return hit is not None and _plain(text[hit.start :].decode()).startswith(line)

    await stage.until(is_there, f"the search stands at {line}")
    assert line in stage.text()


def _plain(text: str) -> str:
    return text.replace("\x1b[32m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "")


@trial("wrap", panel="output", ticket="unit-web-2")
async def _wrap(stage: Stage, name: str) -> None:
    await stage.press("g", "E")
    await _finds(stage, "not ok 40")
    assert "the last release did not have" in stage.text()
    await stage.press(name)
    assert "the last release did not have" not in stage.text()
    assert stage.said == "long lines are cut; h and l scroll"
    await stage.press(name)
    assert stage.said == "long lines are folded"
    assert "the last release did not have" in stage.text()


@trial("times", panel="output", ticket="links")
async def _times(stage: Stage, name: str) -> None:
    await stage.until(lambda: "links, attempt 1" in stage.text(), "the log is shown")
    await stage.press(name)
    assert stage.said.startswith("when each line came")
    with log_of("links").open("a", encoding="utf-8") as log:
        log.write("a new line\n")
    await stage.until(lambda: "a new line" in stage.text(), "the new line is shown")
    (line,) = [line for line in stage.lines() if "a new line" in line]
    hours, minutes, seconds = line.split()[0].split(":")
    assert (hours + minutes + seconds).isdigit()


@trial("earlier-attempt", panel="output", ticket="mirror")
async def _earlier_attempt(stage: Stage, name: str) -> None:
    await stage.until(lambda: "mirror, attempt 3" in stage.text(), "the latest attempt is shown")
    await stage.press(name)
    await stage.until(lambda: "mirror, attempt 2" in stage.text(), "the one before is shown")
    assert stage.said == "attempt 2 of 3"
    await stage.press(name, name)
    assert stage.said == "attempt 1 is the first"


@trial("later-attempt", panel="output", ticket="mirror")
async def _later_attempt(stage: Stage, name: str) -> None:
    await stage.press(",", ",")
    await stage.until(lambda: "mirror, attempt 1" in stage.text(), "the first attempt is shown")
    await stage.press(name)
    await stage.until(lambda: "mirror, attempt 2" in stage.text(), "the next attempt is shown")
    await stage.press(name, name)
    assert stage.said == "attempt 3 is the latest"


@trial("back-one")
async def _back_one(stage: Stage, name: str) -> None:
    last = len(stage.played.journal)
    await stage.press(name)
    await _is_at(stage, last - 1)
    await stage.press(name, name)
    await _is_at(stage, last - 3)
    assert f"PAST {last - 3}/{last}" in stage.text()


@trial("forward-one")
async def _forward_one(stage: Stage, name: str) -> None:
    last = len(stage.played.journal)
    await stage.press(name)
    assert stage.said == "this is now"
    await stage.press("[", "[", "[")
    await _is_at(stage, last - 3)
    await stage.press(name)
    await _is_at(stage, last - 2)
    await stage.press(name, name)
    await stage.until(lambda: not stage.view.looks_back, "it is now again")


@trial("back-far")
async def _back_far(stage: Stage, name: str) -> None:
    last = len(stage.played.journal)
    await stage.press(name)
    await _is_at(stage, last - last // 20)
    await stage.press(*[name] * 30)
    await _is_at(stage, 1)


@trial("forward-far")
async def _forward_far(stage: Stage, name: str) -> None:
    last = len(stage.played.journal)
    await stage.press("{", "{", name)
    await _is_at(stage, last - last // 20)
    await stage.press(name)
    await stage.until(lambda: not stage.view.looks_back, "it is now again")


async def _is_at(stage: Stage, seq: int) -> None:
    await stage.until(lambda: stage.view.looks_back and stage.view.past_seq == seq, f"it is as after event {seq}")


@trial("copy", ticket="web")
async def _copy(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert f"\x1b]52;c;{base64.b64encode(b'web').decode()}\a" in stage.written
    assert stage.said == "copied: web"


# -- session and screen ----------------------------------------------------------------------------------------


@trial("take-over")
async def _take_over(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.said == "an engine runs it"
    stage.feed.lose()
    await stage.press(name)
    await stage.until(lambda: stage.said == "an engine runs the session again", "a new engine is there")
    assert stage.engines == [{"resume": False, "awaits": False}]


@trial("palette")
async def _palette(stage: Stage, name: str) -> None:
    await stage.press(name, *"hold-all", "enter")
    assert await stage.done() == rq.Hold()


@trial("help")
async def _help(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Help"
    assert "hold, or release: do not start" in stage.text()


@trial("mouse")
async def _mouse(stage: Stage, name: str) -> None:
    driver: Any = stage.app._driver
    done: list[str] = []
    driver._enable_mouse_support = lambda: done.append("on")
    driver._disable_mouse_support = lambda: done.append("off")
    driver._mouse = False
    await stage.press(name)
    assert stage.said == "the mouse works here; M gives it back"
    await stage.press(name)
    assert done == ["on", "off"]


@trial("redraw")
async def _redraw(stage: Stage, name: str) -> None:
    painter = stage.app._painter
    painter.resize(4, 1)
    painter.changes((0, 0))
    assert not painter.changes((0, 0)), "the terminal has it all"
    await stage.press(name)
    assert painter.changes((0, 0)), "it is sent once more"


@trial("suspend")
async def _suspend(stage: Stage, name: str) -> None:
    done: list[str] = []
    stage.app.action_suspend_process = lambda: done.append("suspended")  # type: ignore[method-assign]
    await stage.press(name)
    assert done == ["suspended"]


@trial("leave")
async def _leave(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.app.return_value == "left"
    assert not stage.asked, "the engine is not asked for anything"
