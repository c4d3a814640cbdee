"""Every key of the table does what the table says; what is in the way of a key is said."""

import asyncio
from typing import Any, cast

import pytest

from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.registry.errors import RegistryError
from parexec_tui.tui.actions import asking, perform
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.input.keymap import SESSION
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session
from tests.tui.harness import Stage, on_stage
from tests.tui.input.key_cases import tickets
from tests.tui.input.steering_cases import TRIALS


@pytest.mark.asyncio
@pytest.mark.parametrize(("action", "name"), [(action.name, key) for action in ACTIONS for key in action.keys])
async def test_every_key_does_what_it_says(action: str, name: str) -> None:
    function, options = TRIALS[action]
    async with on_stage(**options) as stage:
        await function(stage, name)


def test_there_is_a_trial_for_each_key_and_no_other() -> None:
    assert TRIALS.keys() == {action.name for action in ACTIONS}


# -- what is in the way ----------------------------------------------------------------------------------------


STEERING = [action for action in ACTIONS if perform.steers(action)]


def style_in_footer(stage: Stage, name: str) -> Any:
    """The style of a key in the footer."""
    footer = stage.strips()[-1]
    return next(style for text, style, _ in footer if text.strip() == name)


@pytest.mark.asyncio
async def test_a_key_that_would_be_refused_is_dim_and_says_why() -> None:
    async with on_stage(ticket="links") as stage:
        off, on = stage.view.palette["key-off"].color, stage.view.palette["footer-key"].color
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
async def test_a_key_of_another_panel_says_which_that_is() -> None:
    async with on_stage("claims") as stage:
        await stage.press("E")
        assert stage.said == "E is for the output (5): the next line that looks like an error"
        await stage.press("space")
        assert stage.said == "space is for the tickets (1) and graph (2): mark it: actions take what is marked"
        await stage.press("j")
        assert stage.said == ""


@pytest.mark.asyncio
async def test_few_of_the_marks_are_asked_whether_a_key_is_dim() -> None:
    asked: list[int] = []

    def hold(_: SessionState, targets: Targets) -> rq.AnyRequest:
        asked.append(len(targets.tickets))
        return rq.Hold()

    row = next(action for action in ACTIONS if action.name == "hold")
    async with on_stage() as stage:
        await stage.press("*")
        assert len(stage.view.marks) > perform.MAX_CHECKED
        perform.is_dim(stage.app.actions, row._replace(handler=perform.Ask(hold)))
        assert asked == [perform.MAX_CHECKED]


@pytest.mark.asyncio
@pytest.mark.parametrize(("panel", "own"), [("output", "E error"), ("graph", "v view")])
async def test_where_there_is_little_room_a_panel_keeps_its_own_key(panel: str, own: str) -> None:
    async with on_stage(panel, size=(80, 24)) as stage:
        await stage.until(lambda: f" {own} " in stage.footer(), f"the footer has {own}")
        assert "q leave" in stage.footer()


@pytest.mark.asyncio
async def test_marks_are_taken_instead_of_the_selected_ticket_and_then_gone() -> None:
    async with on_stage(ticket="data-check") as stage:
        await stage.press("space")
        await stage.select("smoke")
        await stage.press("space", "g", "p")
        asked = await stage.done()
        assert isinstance(asked, rq.Hold)
        assert set(asked.tickets) == {"data-check", "smoke"}
        assert not stage.view.marks


@pytest.mark.asyncio
async def test_who_may_only_read_steers_nothing() -> None:
    async with on_stage(read_only=True) as stage:
        await steer_with_all(stage, "this viewer only reads (attach without --read-only)")


@pytest.mark.asyncio
async def test_a_finished_session_gets_an_engine_for_a_retry_and_for_nothing_else() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.succeed("A")
    session.fail("B")
    session.close()
    session.wait(60)
    async with on_stage(played=session, ticket="B") as stage:
        stage.feed.lose()
        for name in ("p", "x", "e", "P"):
            await stage.press(name)
            assert stage.said == "the session is finished (r runs a ticket again)"
        await stage.press("ctrl+r")
        assert stage.said == "the session is finished; r runs a ticket again"
        assert stage.engines == []
        await stage.press("r")
        assert await stage.done() == rq.Retry(tickets=("B",))
        assert stage.engines == [{"resume": True, "awaits": True}]
        assert stage.said == "done: retry B"


@pytest.mark.asyncio
async def test_what_is_filtered_away_is_not_what_keys_are_about() -> None:
    async with on_stage(ticket="fetch-web") as stage:
        assert stage.status("fetch-web") == "succeeded"
        await stage.press("!")
        assert stage.view.selected != "fetch-web"
        cursor = next(line for line in stage.text_of("tickets").splitlines() if "▌" in line)
        assert stage.view.selected in cursor.split()
        await stage.press("!")
        assert stage.view.selected == "fetch-web", "it is there again"
        await stage.press("!", "j")
        chosen = stage.view.selected
        await stage.press("!")
        assert stage.view.selected == chosen, "the person has gone on"


@pytest.mark.asyncio
async def test_who_has_gone_from_the_rows_is_not_what_keys_are_about() -> None:
    async with on_stage(ticket="links") as stage:
        await stage.press("/", *"status:running", "enter")
        assert stage.view.selected == "links"
        stage.played.succeed("links")
        stage.feed.tell()
        tickets(stage).rebuild()
        await stage.press("x", "w", "space")
        assert stage.said.startswith("no ticket is selected")
        assert (stage.dialog, stage.asked, stage.view.marks) == ("", [], set())
        assert "▌" not in stage.text_of("tickets")
        await stage.press("j", "k")
        assert stage.status(stage.view.selected) == "running"
        assert "▌" in stage.text_of("tickets")


@pytest.mark.asyncio
async def test_in_the_past_nothing_is_steered() -> None:
    async with on_stage(ticket="links") as stage:
        await stage.press("[")
        await stage.until(lambda: stage.view.looks_back, "the past is shown")
        await steer_with_all(stage, "this is the past, it cannot be changed (end returns to now)")


@pytest.mark.asyncio
async def test_without_an_engine_nothing_is_steered() -> None:
    async with on_stage(ticket="links") as stage:
        stage.feed.lose()
        await steer_with_all(stage, "no engine is there to ask: reconnecting")


@pytest.mark.asyncio
@pytest.mark.parametrize("panel", PANELS)
async def test_a_key_that_comes_before_the_session_is_read_is_told_so(panel: str) -> None:
    actions = [action for action in ACTIONS if action.section != SESSION and action.is_for(panel)]
    async with on_stage(panel, is_read=False) as stage:
        for action in actions:
            await stage.press(action.keys[0])
            assert stage.said == "the session is not read yet", action.name
        assert (stage.panel.name_, stage.dialog, stage.app.mistake) == (panel, "", "")
        await stage.press(":", *"sort id", "enter")
        assert "the session is not read yet" in stage.text()


@pytest.mark.asyncio
async def test_a_past_that_cannot_be_read_is_said_and_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: int) -> SessionState:
        raise RegistryError("the disk failed to read")

    async with on_stage() as stage:
        await stage.press("[")
        await stage.until(lambda: stage.view.looks_back, "the past is shown")
        here = stage.view.past_seq
        monkeypatch.setattr(stage.feed, "past", fail)
        await stage.press("[", "[")
        await stage.until(lambda: stage.said == "the disk failed to read", "it is said")
        assert (stage.view.past_seq, stage.view.past_goal) == (here, here)


@pytest.mark.asyncio
@pytest.mark.parametrize(("keys", "steps"), [("[[[", 3), ("[G", 0), ("[G[", 1)])
async def test_who_goes_on_while_the_past_is_read_gets_where_they_went(
    keys: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_stage() as stage:
        read, read_now, gate = stage.feed.past, list[int](), asyncio.Event()

        async def read_slowly(seq: int) -> SessionState:
            read_now.append(seq)
            await gate.wait()
            return await read(seq)

        monkeypatch.setattr(stage.feed, "past", read_slowly)
        await stage.press(*keys)
        assert len(read_now) == 1
        gate.set()
        goal = stage.view.event_history.last - steps if steps else 0
        await stage.until(lambda: not stage.app._is_traveling, "it is read")
        assert (stage.view.looks_back, stage.view.past_goal) == (steps > 0, goal)
        assert not steps or stage.view.past_seq == goal


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "counts"), [("A: retries=1 retry_delay=1m", True), ("A:", False)])
async def test_seconds_count_while_a_ticket_waits_for_its_next_try(
    text: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(text)
    session.dispatch()
    session.fail("A")
    async with on_stage(played=session) as stage:
        stage.main._tick()
        told: list[Change] = []
        monkeypatch.setattr(stage.main, "note", told.append)
        stage.main._tick()
        assert (told == [Change.clock]) == counts


@pytest.mark.asyncio
async def test_who_comes_back_to_the_latest_attempt_is_shown_the_next_one() -> None:
    session = Session("A: retries=3 retry_delay=1s")
    session.dispatch()

    def try_again() -> None:
        session.fail("A")
        session.back_off("A")
        session.dispatch()

    try_again()
    async with on_stage("output", played=session) as stage:
        await stage.press(",", ".")
        try_again()
        stage.feed.tell()
        await stage.until(lambda: "A attempt 3" in stage.text_of("output"), "the new attempt is shown")
        await stage.press(",")
        try_again()
        stage.feed.tell()
        await stage.pilot.pause()
        assert "A attempt 2" in stage.text_of("output"), "the one that was chosen stays"


async def steer_with_all(stage: Stage, said: str) -> None:
    for action in STEERING:
        await stage.press(action.keys[0])
        assert (stage.said, stage.dialog) == (said, ""), action.name
    assert not stage.asked


@pytest.mark.asyncio
async def test_what_the_engine_warns_of_stands_until_it_can_go_on() -> None:
    async with on_stage(ticket="links") as stage:
        stage.feed._notice("the disk is full\x1b")
        await stage.pilot.pause()
        await stage.until(lambda: "the disk is full" in stage.footer(), "the footer says so")
        await stage.until(lambda: "CANNOT WRITE" in stage.text(), "the header has an alert")
        await stage.press("j")
        assert "the disk is full" in stage.footer()
        stage.played.act(rq.Hold())
        stage.feed.tell()
        await stage.until(lambda: "CANNOT WRITE" not in stage.text(), "the alert is gone")
        await stage.until(lambda: "leave" in stage.footer(), "the keys are there again")


@pytest.mark.asyncio
async def test_an_answer_that_does_not_come_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LATE", 0.0)
    async with on_stage(ticket="links") as stage:
        may_answer = asyncio.Event()
        answered = stage.feed.ask

        async def slow(request: rq.AnyRequest) -> Any:
            await may_answer.wait()
            return await answered(request)

        stage.app.feed.ask = slow  # type: ignore[method-assign]
        await stage.press("P")
        await stage.until(lambda: stage.said == "hold the session: no answer yet", "it is said")
        may_answer.set()
        await stage.until(lambda: stage.said == "done: hold the session", "it is done")


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


@pytest.mark.asyncio
async def test_what_an_engine_says_is_one_line_that_cannot_act_on_the_terminal() -> None:
    async with on_stage() as stage:
        stage.app._notice("\x1b[2Jtwo\nlines\ttold")
        assert stage.view.warning == "two lines       told"
        stage.app._contact("no \x1b]0;mine\x07engine", up=False)
        assert stage.view.contact == "no engine"
