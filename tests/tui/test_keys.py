"""Every key of the table does what the table says; what is in the way of a key is said."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from parexec_tui.core import requests as rq
from parexec_tui.core.plan import Priority
from parexec_tui.tui.arrangement import PANELS
from parexec_tui.tui.keymap import KEYS
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.ticket_list import Heading, is_problem
from tests.tui.release import log_of
from tests.tui.theatre import Stage, on_stage

Trial = Callable[[Stage, str], Awaitable[None]]
TRIALS: dict[str, tuple[Trial, dict[str, Any]]] = {}
"""action: what is tried with one of its keys, and the scene for it"""


def trial(action: str, **scene: Any) -> Callable[[Trial], Trial]:
    def register(function: Trial) -> Trial:
        TRIALS[action] = function, scene
        return function

    return register


@pytest.mark.asyncio
@pytest.mark.parametrize(("action", "name"), [(key.action, name) for key in KEYS for name in key.keys])
async def test_every_key_does_what_it_says(action: str, name: str) -> None:
    function, scene = TRIALS[action]
    async with on_stage(**scene) as stage:
        await function(stage, name)


def test_there_is_a_trial_for_each_key_and_no_other() -> None:
    assert TRIALS.keys() == {key.action for key in KEYS}


def tickets(stage: Stage) -> TicketsPanel:
    return cast(TicketsPanel, stage.main.panels["tickets"])


def output(stage: Stage) -> OutputPanel:
    return cast(OutputPanel, stage.main.panels["output"])


# -- moving ----------------------------------------------------------------------------------------------------


@trial("up", ticket="web")
async def _up(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.scene.selected == "core"


@trial("down", ticket="web")
async def _down(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.scene.selected == "data"


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
    assert stage.scene.selected == panel.list.rows[panel.cursor]


@trial("page-down", ticket="fetch-core")
async def _page_down(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert tickets(stage).cursor == tickets(stage).page - 1


@trial("first", ticket="web")
async def _first(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.scene.selected == "fetch-core"


@trial("last", ticket="web")
async def _last(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.scene.selected == "announce"
    await stage.press("[")
    await stage.until(lambda: stage.scene.looks_back, "the past is shown")
    await stage.press(name)
    assert not stage.scene.looks_back


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
    await stage.until(lambda: stage.scene.looks_back, "the past is shown")
    panel, arrangement = tickets(stage).list, stage.main.arrangement
    taken_back: list[Callable[[], bool]] = [
        lambda: not stage.scene.looks_back,
        lambda: not arrangement.is_zoomed,
        lambda: arrangement.current == "tickets",
        lambda: not panel.filter,
        lambda: not panel.problems_only,
        lambda: not stage.scene.marks,
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
    assert stage.scene.selected == "unit-web-2", "keys are keys again"


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
        seen.append(stage.scene.selected)
    assert seen == ["unit-core-3", "integration-1", "bench", "unit-core-3"]
    assert stage.said == "1 of 3 that need you: unit-core-3"


@trial("why", ticket="data-check")
async def _why(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Told"
    assert "lock database is held by migrate" in stage.text()


@trial("mark", ticket="web")
async def _mark(stage: Stage, name: str) -> None:
    await stage.press(name, name, "k", name)
    assert (stage.scene.marks, stage.scene.selected) == ({"web"}, "draft")


@trial("mark-shown")
async def _mark_shown(stage: Stage, name: str) -> None:
    await stage.press("/", *"unit-web", "enter", name)
    assert stage.scene.marks == {"unit-web-1", "unit-web-2"}
    await stage.press(name)
    assert not stage.scene.marks


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
    assert cast(GraphPanel, stage.panel).view == "neighbourhood"
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
        hit = output(stage).view._hit
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
    await stage.press(name)
    assert "the last release did not have" in stage.text()


@trial("times", panel="output", ticket="links")
async def _times(stage: Stage, name: str) -> None:
    await stage.until(lambda: "links, attempt 1" in stage.text(), "the log is shown")
    await stage.press(name)
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


@trial("later-attempt", panel="output", ticket="mirror")
async def _later_attempt(stage: Stage, name: str) -> None:
    await stage.press(",", ",")
    await stage.until(lambda: "mirror, attempt 1" in stage.text(), "the first attempt is shown")
    await stage.press(name)
    await stage.until(lambda: "mirror, attempt 2" in stage.text(), "the next attempt is shown")


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
    await stage.until(lambda: not stage.scene.looks_back, "it is now again")


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
    await stage.until(lambda: not stage.scene.looks_back, "it is now again")


async def _is_at(stage: Stage, seq: int) -> None:
    await stage.until(lambda: stage.scene.looks_back and stage.scene.past_seq == seq, f"it is as after event {seq}")


@trial("copy", ticket="web")
async def _copy(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert f"\x1b]52;c;{base64.b64encode(b'web').decode()}\a" in stage.written
    assert stage.said == "copied: web"


# -- steering --------------------------------------------------------------------------------------------------


@trial("hold", ticket="data-check")
async def _hold(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Hold(tickets=("data-check",))
    assert stage.said == "done: hold data-check"
    await stage.press(name)
    assert await stage.done(2) == rq.Release(tickets=("data-check",))


@trial("freeze", ticket="links")
async def _freeze(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Freeze(tickets=("links",))
    assert stage.status("links") == "frozen"
    await stage.press(name)
    assert await stage.done(2) == rq.Thaw(tickets=("links",))


@trial("retry", ticket="bench")
async def _retry(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Retry(tickets=("bench",))
    assert stage.status("bench") == "waiting"


@trial("retry-form", ticket="bench")
async def _retry_form(stage: Stage, name: str) -> None:
    await stage.press(name, *" --fast", "enter")
    assert await stage.done() == rq.Retry(tickets=("bench",), run="make bench --fast")
    assert stage.dialog == ""


@trial("reassign", ticket="bench")
async def _reassign(stage: Stage, name: str) -> None:
    await stage.press("r")
    await stage.done()
    await stage.press(name)
    assert "builder-2" in stage.text()
    await stage.press("enter")
    assert await stage.done(2) == rq.Reassign(tickets=("bench",), agent="builder-2")


@trial("stop", ticket="links")
async def _stop(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Confirm"
    assert "stops links after" in stage.text()
    await stage.press("y")
    assert await stage.done() == rq.Cancel(tickets=("links",))
    assert stage.status("links") == "stopping"


@trial("kill", ticket="links")
async def _kill(stage: Stage, name: str) -> None:
    await stage.press(name, "y")
    assert await stage.done() == rq.Cancel(tickets=("links",), now=True)


@trial("skip", ticket="unit-core-3")
async def _skip(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Waive(tickets=("unit-core-3",))
    assert [stage.status(id_) for id_ in ("unit-core-3", "integration-3")] == ["waived", "waiting"]


@trial("edit", ticket="spoken")
async def _edit(stage: Stage, name: str) -> None:
    await stage.press(name, *" twice", "enter")
    changes = {"title": "Have the pages read aloud by a machine twice"}
    assert await stage.done() == rq.Edit(ticket="spoken", changes=changes)


@trial("raise", ticket="spoken")
async def _raise(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Prioritise(tickets=("spoken",), priority=Priority.medium)


@trial("lower", ticket="review")
async def _lower(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Prioritise(tickets=("review",), priority=Priority.medium)


@trial("more")
async def _more(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Scale(type=None, most=1, relative=True)
    assert stage.played.state.parallel == 9


@trial("fewer", panel="agents")
async def _fewer(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Scale(type="builder", most=-1, relative=True)


@trial("drain", panel="agents")
async def _drain(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Drain(agents=("builder-1",))
    assert stage.played.state.agents["builder-1"].status == "draining"
    await stage.press("1", name)
    assert stage.dialog == "Confirm"
    await stage.press("y")
    assert await stage.done(2) == rq.Drain()


@trial("hold-all")
async def _hold_all(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Hold()
    await stage.until(lambda: "HELD by ann" in stage.text(), "the header says so")
    await stage.press(name)
    assert await stage.done(2) == rq.Release()


@trial("freeze-all")
async def _freeze_all(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Freeze()
    assert stage.status("links") == stage.status("draft") == "frozen"
    await stage.press(name)
    assert await stage.done(2) == rq.Thaw()


@trial("undo", ticket="web")
async def _undo(stage: Stage, name: str) -> None:
    await stage.press("P")
    await stage.done()
    await stage.press(name)
    assert await stage.done(2) == rq.Undo()
    assert stage.played.state.held is None


@trial("stop-session")
async def _stop_session(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Confirm"
    await stage.press("y")
    assert await stage.done() == rq.Stop()


# -- session and screen ----------------------------------------------------------------------------------------


@trial("take-over")
async def _take_over(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.said == "an engine runs it"
    stage.feed.lose()
    await stage.press(name)
    await stage.until(lambda: stage.said == "an engine runs the session again", "a new engine is there")
    assert stage.taken_over == ["s1"]


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


# -- what is in the way ----------------------------------------------------------------------------------------


STEERING = [key for key in KEYS if key.steers]


def style_in_footer(stage: Stage, name: str) -> Any:
    """The style of a key in the footer."""
    footer = stage.app.screen._compositor.render_strips()[-1]
    return next(style for text, style, _ in footer if text.strip() == name)


@pytest.mark.asyncio
async def test_a_key_that_would_be_refused_is_dim_and_says_why() -> None:
    async with on_stage(ticket="links") as stage:
        off, on = stage.scene.palette["key-off"].color, stage.scene.palette["footer-key"].color
        assert off != on
        assert (style_in_footer(stage, "r").color, style_in_footer(stage, "f").color) == (off, on)
        await stage.press("r")
        assert stage.said.startswith("links is running")
        assert stage.said in stage.footer()
        await stage.select("bench")
        await stage.press("h")
        assert (style_in_footer(stage, "r").color, style_in_footer(stage, "f").color) == (on, off)
        assert not stage.asked


@pytest.mark.asyncio
async def test_marks_are_taken_instead_of_the_selected_ticket_and_then_gone() -> None:
    async with on_stage(ticket="data-check") as stage:
        await stage.press("space")
        await stage.select("smoke")
        await stage.press("space", "g", "p")
        asked = await stage.done()
        assert isinstance(asked, rq.Hold)
        assert set(asked.tickets) == {"data-check", "smoke"}
        assert not stage.scene.marks


@pytest.mark.asyncio
async def test_who_may_only_read_steers_nothing() -> None:
    async with on_stage(read_only=True) as stage:
        await steer_with_all(stage, "this viewer only reads (attach without --read-only)")


@pytest.mark.asyncio
async def test_in_the_past_nothing_is_steered() -> None:
    async with on_stage(ticket="links") as stage:
        await stage.press("[")
        await stage.until(lambda: stage.scene.looks_back, "the past is shown")
        await steer_with_all(stage, "this is the past, it cannot be changed (end returns to now)")


@pytest.mark.asyncio
async def test_without_an_engine_nothing_is_steered() -> None:
    async with on_stage(ticket="links") as stage:
        stage.feed.lose()
        await steer_with_all(stage, "no engine is there to ask: reconnecting…")


async def steer_with_all(stage: Stage, said: str) -> None:
    for key in STEERING:
        await stage.press(key.keys[0])
        assert (stage.said, stage.dialog) == (said, ""), key.action
    assert not stage.asked


@pytest.mark.asyncio
async def test_the_prompt_has_the_keys_while_it_is_open() -> None:
    async with on_stage() as stage:
        await stage.press("/", *"qPx?")
        assert (tickets(stage).list.filter, stage.dialog, stage.asked) == ("qPx?", "", [])
        assert not stage.app._exit
        await stage.press("escape")
        assert (tickets(stage).list.filter, stage.main.prompt.is_open) == ("", False)


@pytest.mark.asyncio
async def test_a_person_is_asked_only_where_work_would_be_lost() -> None:
    async with on_stage(ticket="spoken") as stage:
        await stage.press("x")
        assert await stage.done() == rq.Cancel(tickets=("spoken",)), "it has not begun"
        await stage.select("links")
        await stage.press("x")
        assert stage.dialog == "Confirm"
        await stage.press("n")
        assert (stage.dialog, len(stage.asked)) == ("", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", [("x", "y"), ("x", "y", "y", "y"), ("x", "enter"), ("x", "y", "escape")])
async def test_what_is_typed_ahead_of_a_dialog_is_for_the_dialog(keys: tuple[str, ...]) -> None:
    async with on_stage(ticket="links") as stage:
        await stage.type_ahead(*keys)
        assert await stage.done() == rq.Cancel(tickets=("links",))
        assert not stage.app._exit


@pytest.mark.asyncio
async def test_what_is_typed_ahead_of_a_prompt_is_for_the_prompt() -> None:
    async with on_stage() as stage:
        await stage.type_ahead("/", *"unit-web", "enter", "j", "p")
        asked = await stage.done()
        assert asked == rq.Hold(tickets=("unit-web-2",))


@pytest.mark.asyncio
async def test_events_are_filtered_where_events_are_shown() -> None:
    async with on_stage("events") as stage:
        await stage.press("/", *"mirror", "enter")
        assert cast(EventsPanel, stage.panel).filter_text == "mirror"
        assert not tickets(stage).list.filter
