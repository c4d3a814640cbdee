"""Every key of the table does what the table says. If a key cannot act, the footer says why."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.outputs.curve import keep_sample
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.tui.actions import asking, perform
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.input.keymap import SESSION
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.view import outlook
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session
from tests.tui.actions.key_cases import tickets
from tests.tui.actions.steering_cases import KEY_CASES
from tests.tui.harness import Harness, run_app
from tests.tui.release import samples


@pytest.mark.asyncio
@pytest.mark.parametrize(("action", "name"), [(action.name, key) for action in ACTIONS for key in action.keys])
async def test_every_key_does_what_it_says(action: str, name: str) -> None:
    function, options = KEY_CASES[action]
    async with run_app(**options) as ui:
        await function(ui, name)


def test_there_is_a_case_for_each_action_and_no_other() -> None:
    assert KEY_CASES.keys() == {action.name for action in ACTIONS}


# -- what is in the way ----------------------------------------------------------------------------------------


STEERING = [action for action in ACTIONS if perform.steers(action)]


def style_in_footer(ui: Harness, name: str) -> Any:
    """The style of a key in the footer; None if it is not there."""
    footer = ui.strips()[-1]
    return next((style for text, style, _ in footer if text.strip() == name), None)


@pytest.mark.asyncio
async def test_a_key_that_would_be_refused_is_dim_and_says_why() -> None:
    async with run_app(ticket="links", size=(400, 50)) as ui:
        off, on = ui.view.palette["key-off"].color, ui.view.palette["footer-key"].color
        assert off != on
        assert (style_in_footer(ui, "r").color, style_in_footer(ui, "f").color) == (off, on)
        await ui.press("r")
        assert ui.said.startswith("links is running")
        assert ui.said in ui.footer()
        await ui.select("bench")
        await ui.press("h")
        assert (style_in_footer(ui, "r").color, style_in_footer(ui, "f").color) == (on, off)
        assert not ui.asked


@pytest.mark.asyncio
async def test_a_key_of_another_panel_says_which_that_is() -> None:
    async with run_app("claims") as ui:
        await ui.press("E")
        assert ui.said == "E is for the output (5): the next line that looks like an error"
        await ui.press("space")
        assert ui.said == "space is for the tickets (1) and graph (2): mark it: actions take what is marked"
        await ui.press("j")
        assert ui.said == ""


@pytest.mark.asyncio
async def test_few_of_the_marks_are_asked_whether_a_key_is_dim() -> None:
    asked: list[int] = []

    def hold(_: SessionState, targets: Targets) -> rq.AnyRequest:
        asked.append(len(targets.tickets))
        return rq.Hold()

    row = next(action for action in ACTIONS if action.name == "hold")
    async with run_app() as ui:
        await ui.press("*")
        assert len(ui.view.marks) > perform.MAX_CHECKED
        perform.is_dim(ui.app.actions, row._replace(handler=perform.Ask(hold)))
        assert asked == [perform.MAX_CHECKED]


@pytest.mark.asyncio
async def test_a_key_that_would_be_refused_gives_its_place_to_one_that_would_not() -> None:
    async with run_app(ticket="links", size=(80, 24)) as ui:
        assert style_in_footer(ui, "r") is None
        assert style_in_footer(ui, "x") is not None
        await ui.select("bench")
        await ui.until(lambda: style_in_footer(ui, "r") is not None, "r can be pressed")
        assert style_in_footer(ui, "x") is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("panel", "own"), [("output", "E error"), ("graph", "v what is around")])
async def test_where_there_is_little_room_a_panel_keeps_its_own_key(panel: str, own: str) -> None:
    async with run_app(panel, size=(80, 24)) as ui:
        await ui.until(lambda: f" {own} " in ui.footer(), f"the footer has {own}")
        assert "q leave" in ui.footer()


TOGGLES = [action for action in ACTIONS if isinstance(action.handler, perform.Toggle)]


@pytest.mark.asyncio
@pytest.mark.parametrize("action", TOGGLES, ids=lambda action: action.name)
async def test_the_footer_says_what_a_key_that_goes_there_and_back_does_now(action: perform.TableAction) -> None:
    there, back = f" {action.keys[0]} {action.label} ", f" {action.keys[0]} {action.back} "
    panel = action.panels[-1] if action.panels else "tickets"
    async with run_app(panel, ticket="announce", size=(600, 50)) as ui:
        if action.name == "graph-fold":
            await ui.until(lambda: ui.panel.count, "the lanes are laid out")  # type: ignore[attr-defined]
        for label, other in ((there, back), (back, there)):
            ui.main.clear_message()
            await ui.until(lambda label=label: label in ui.footer(), f"the footer has{label}")  # type: ignore[misc]
            assert other not in ui.footer()
            await ui.press(action.keys[0])
            if action.name == "mark":
                await ui.select("announce")
        ui.main.clear_message()
        await ui.until(lambda: there in ui.footer(), f"the footer has{there} again")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("event", "before", "after"),
    [
        (ev.SessionHeld(at=2_000_000_000.0), "P hold all", "P release all"),
        (ev.TicketHeld(at=2_000_000_000.0, ticket="announce"), "p hold", "p release"),
    ],
)
async def test_the_footer_says_release_of_what_is_held(event: ev.AnyEvent, before: str, after: str) -> None:
    async with run_app(ticket="announce", size=(400, 50)) as ui:
        await ui.until(lambda: f" {before} " in ui.footer(), f"the footer has {before}")
        ui.played.apply(event)
        ui.feed.tell()
        await ui.until(lambda: f" {after} " in ui.footer(), f"the footer has {after}")
        assert f" {before} " not in ui.footer()


@pytest.mark.asyncio
async def test_of_many_marks_the_footer_says_both_ways_of_a_key() -> None:
    async with run_app(size=(400, 50)) as ui:
        await ui.press("*")
        assert len(ui.view.marks) > perform.MAX_CHECKED
        await ui.until(lambda: " p hold/release " in ui.footer(), "the footer does not promise either")
        assert " P hold all " in ui.footer(), "what is about the session does not depend on marks"


@pytest.mark.asyncio
async def test_the_rules_decide_once_about_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[rq.AnyRequest] = []

    def count(state: SessionState, request: rq.AnyRequest, now: float) -> Any:
        decided.append(request)
        return decide(state, request, now)

    async with run_app(ticket="data-check") as ui:
        monkeypatch.setattr(outlook, "decide", count)
        await ui.press("p")
        assert await ui.done() == rq.Hold(tickets=("data-check",))
        assert decided == [rq.Hold(tickets=("data-check",))]


@pytest.mark.asyncio
async def test_marks_are_taken_instead_of_the_selected_ticket_and_stay_until_esc() -> None:
    async with run_app(ticket="data-check") as ui:
        await ui.press("space")
        await ui.select("smoke")
        await ui.press("space", "g", "p")
        asked = await ui.done()
        assert isinstance(asked, rq.Hold)
        assert set(asked.tickets) == {"data-check", "smoke"}
        assert ui.view.marks == {"data-check", "smoke"}
        await ui.press("p")
        assert set(getattr(await ui.done(2), "tickets", ())) == {"data-check", "smoke"}, "they are released together"
        await ui.press("escape")
        assert not ui.view.marks


@pytest.mark.asyncio
async def test_what_others_lose_by_it_is_confirmed_first_and_told_afterwards_with_the_way_back() -> None:
    async with run_app(ticket="screenshots") as ui:
        await ui.press("x")
        assert ui.dialog == "Confirm"
        assert "2 dependents can no longer run" in ui.text()
        assert "can no longer run: review and announce" in ui.text()
        assert ui.asked == [], "nothing is done before that"
        await ui.press("enter")
        assert (ui.dialog, ui.asked) == ("Confirm", []), "enter is no answer to a question with y and n"
        await ui.press("n")
        assert (ui.dialog, ui.asked, ui.status("screenshots")) == ("", [], "waiting")
        await ui.press("x", "y")
        assert await ui.done() == rq.Cancel(tickets=("screenshots",))
        assert ui.said == "done: cancel screenshots; 2 skipped, u takes it back"
        ui.view.me = "ann"
        await ui.press("u")
        await ui.done(2)
        assert ui.said == "done: undo: cancel screenshots; 2 no longer skipped"
        assert [ui.status(id_) for id_ in ("screenshots", "announce")] == ["waiting", "waiting"]


@pytest.mark.asyncio
async def test_an_undo_of_what_somebody_else_did_says_whose_it_is_and_asks() -> None:
    session = Session("A:\nB: A")
    session.act(rq.Hold(tickets=("B",), by="bo@pts/2"))
    session.wait(3)
    async with run_app(played=session) as ui:
        await ui.press("u")
        assert ui.dialog == "Confirm"
        assert "undo what bo@pts/2 did?" in ui.text()
        assert "hold B, 3s ago" in ui.text()
        await ui.press("n")
        assert ui.asked == []
        await ui.press("u", "y")
        assert await ui.done() == rq.Undo(at=session.now - 3, text="hold B")
        session.act(rq.Hold(tickets=("B",), by="ann"))
        ui.feed.tell()
        ui.view.me = "ann"
        await ui.press("u")
        assert await ui.done(2) == rq.Undo(), "what is your own is taken back at once"


@pytest.mark.asyncio
async def test_an_undo_passes_over_what_it_is_too_late_for_and_asks() -> None:
    session = Session("A:\nB:")
    session.act(rq.Scale(most=3, by="ann"))
    scaled = session.state.actions[-1]
    session.wait(1)
    session.dispatch()
    for request in (rq.Freeze(tickets=("A",), by="ann"), rq.Thaw(tickets=("A",), by="ann")):
        session.act(request)
        session.wait(1)
    session.succeed("A")
    async with run_app(played=session, size=(120, 24)) as ui:
        ui.view.me = "ann"
        await ui.press("u")
        assert ui.dialog == "Confirm"
        assert "undo what is older?" in ui.text()
        assert "at most 3 tickets at once, 3s ago" in ui.text()
        assert 'too late to undo "thaw A": ' in ui.text()
        await ui.press("n", "U")
        assert "(stays: " in ui.text()
        while "▌" not in ui.line("at most 3 tickets at once"):
            await ui.press("j")
        assert "takes back what is newer" not in ui.text()
        await ui.press("enter")
        assert await ui.done() == rq.Undo(at=scaled.at, text=scaled.text)
        await ui.until(lambda: ui.said, "it is said")
        assert ui.said == "done: undo: at most 3 tickets at once"


@pytest.mark.asyncio
async def test_what_is_dropped_from_the_plan_is_not_counted_as_marked() -> None:
    session = Session("A:\nB:\nC:")
    async with run_app(played=session, ticket="A", size=(120, 24)) as ui:
        await ui.press("space", "space")
        await ui.until(lambda: "2 marked" in ui.text(), "two are marked")
        session.act(rq.Amend(dropped=("A",), by="bo"))
        ui.feed.tell()
        await ui.until(lambda: "1 marked" in ui.text(), "one of them is gone")


@pytest.mark.asyncio
async def test_what_others_lose_is_told_though_the_events_came_before_the_answer() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    async with run_app(played=session, ticket="A") as ui:
        ask = ui.feed.ask

        async def ask_slowly(request: rq.AnyRequest) -> Sequence[ev.AnyEvent] | str:
            answer = await ask(request)
            session.killed("A")
            ui.feed.tell()
            return answer

        ui.feed.ask = ask_slowly  # type: ignore[method-assign]
        await ui.press("x", "y")
        await ui.done()
        assert ui.said.startswith("done: cancel A; 2 skipped")


@pytest.mark.asyncio
async def test_who_loses_nothing_by_it_is_not_asked() -> None:
    async with run_app(ticket="announce") as ui:
        await ui.press("x")
        assert await ui.done() == rq.Cancel(tickets=("announce",))
        assert ui.said == "done: cancel announce", "nothing else has changed"


@pytest.mark.asyncio
async def test_all_that_a_request_changes_besides_what_it_names_is_told() -> None:
    async with run_app(ticket="unit-core-3") as ui:
        await ui.press("o")
        await ui.done()
        assert ui.said.endswith("unit-core-3; 2 no longer skipped, u takes it back until it starts")
        await ui.press("F")
        await ui.done(2)
        assert ui.said.startswith("done: freeze the session; ")
        assert ui.said.endswith(" frozen, u takes it back")
        await ui.select("links")
        await ui.press("F")
        await ui.done(3)
        await ui.select("draft")
        await ui.press("x", "y")
        await ui.done(4)
        assert ui.said == "done: cancel draft; 5 skipped; cannot be taken back: it stopped draft"


@pytest.mark.asyncio
async def test_who_may_only_read_steers_nothing() -> None:
    async with run_app(read_only=True) as ui:
        await steer_with_all(ui, "this viewer only reads (attach without --read-only)")


@pytest.mark.asyncio
async def test_a_finished_session_gets_an_engine_for_a_retry_and_for_nothing_else() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.succeed("A")
    session.fail("B")
    session.close()
    session.wait(60)
    async with run_app(played=session, ticket="B") as ui:
        ui.feed.lose()
        for name in ("p", "x", "e", "P"):
            await ui.press(name)
            assert ui.said == "the session is finished (r runs a ticket again)"
        await ui.press("ctrl+r")
        assert ui.said == "the session is finished; r runs a ticket again"
        assert ui.engines == []
        await ui.press("r")
        assert await ui.done() == rq.Retry(tickets=("B",))
        assert ui.engines == [{"resume": True, "awaits": True}]
        assert ui.said == "done: retry B"


@pytest.mark.asyncio
async def test_what_is_filtered_away_is_not_what_keys_are_about() -> None:
    async with run_app(ticket="fetch-web") as ui:
        assert ui.status("fetch-web") == "succeeded"
        await ui.press("!")
        assert ui.view.selected != "fetch-web"
        cursor = next(line for line in ui.text_of("tickets").splitlines() if "▌" in line)
        assert ui.view.selected in cursor.split()
        await ui.press("!")
        assert ui.view.selected == "fetch-web", "it is there again"
        await ui.press("!", "j")
        chosen = ui.view.selected
        await ui.press("!")
        assert ui.view.selected == chosen, "the person has gone on"


@pytest.mark.asyncio
async def test_who_has_gone_from_the_rows_is_not_what_keys_are_about() -> None:
    async with run_app(ticket="links") as ui:
        await ui.press("/", *"status:running", "enter")
        assert ui.view.selected == "links"
        ui.played.succeed("links")
        ui.feed.tell()
        tickets(ui).rebuild()
        await ui.press("x", "w", "space")
        assert ui.said.startswith("no ticket is selected")
        assert (ui.dialog, ui.asked, ui.view.marks) == ("", [], set())
        assert "▌" not in ui.text_of("tickets")
        await ui.press("j", "k")
        assert ui.status(ui.view.selected) == "running"
        assert "▌" in ui.text_of("tickets")


@pytest.mark.asyncio
async def test_in_the_past_nothing_is_steered() -> None:
    async with run_app(ticket="links") as ui:
        await ui.press("[")
        await ui.until(lambda: ui.view.looks_back, "the past is shown")
        await steer_with_all(ui, "this is the past, it cannot be changed (end returns to now)")


@pytest.mark.asyncio
async def test_without_an_engine_nothing_is_steered() -> None:
    async with run_app(ticket="links") as ui:
        ui.feed.lose()
        await steer_with_all(ui, "no engine is there to ask: reconnecting")


@pytest.mark.asyncio
@pytest.mark.parametrize("panel", PANELS)
async def test_a_key_that_comes_before_the_session_is_read_is_told_so(panel: str) -> None:
    actions = [action for action in ACTIONS if action.section != SESSION and action.is_for(panel)]
    async with run_app(panel, is_read=False) as ui:
        for action in actions:
            await ui.press(action.keys[0])
            assert ui.said == "the session is not read yet", action.name
        assert (ui.panel.name_, ui.dialog, ui.app.crash) == (panel, "", "")
        await ui.press(":", *"sort id", "enter")
        assert "the session is not read yet" in ui.text()


@pytest.mark.asyncio
async def test_a_past_that_cannot_be_read_is_said_and_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: int) -> SessionState:
        raise RegistryError("the disk failed to read")

    async with run_app() as ui:
        await ui.press("[")
        await ui.until(lambda: ui.view.looks_back, "the past is shown")
        here = ui.view.past_seq
        monkeypatch.setattr(ui.feed, "past", fail)
        await ui.press("[", "[")
        await ui.until(lambda: ui.said == "the disk failed to read", "it is said")
        assert (ui.view.past_seq, ui.view.past_goal) == (here, here)


@pytest.mark.asyncio
@pytest.mark.parametrize(("keys", "steps"), [("[[[", 3), ("[G", 0), ("[G[", 1)])
async def test_who_goes_on_while_the_past_is_read_gets_where_they_went(
    keys: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_app() as ui:
        read, read_now, gate = ui.feed.past, list[int](), asyncio.Event()

        async def read_slowly(seq: int) -> SessionState:
            read_now.append(seq)
            await gate.wait()
            return await read(seq)

        monkeypatch.setattr(ui.feed, "past", read_slowly)
        await ui.press(*keys)
        assert len(read_now) == 1
        gate.set()
        goal = ui.view.event_history.last - steps if steps else 0
        await ui.until(lambda: not ui.app.time_travel.is_reading, "it is read")
        assert (ui.view.looks_back, ui.view.past_goal) == (steps > 0, goal)
        assert not steps or ui.view.past_seq == goal


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "counts"), [("A: retries=1 retry_delay=1m", True), ("A:", False)])
async def test_seconds_count_while_a_ticket_waits_for_its_next_try(
    text: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(text)
    session.dispatch()
    session.fail("A")
    async with run_app(played=session) as ui:
        ui.main._tick()
        told: list[Change] = []
        monkeypatch.setattr(ui.main, "schedule_draw", told.append)
        ui.main._tick()
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
    async with run_app("output", played=session) as ui:
        await ui.press(",", ".")
        try_again()
        ui.feed.tell()
        await ui.until(lambda: "A attempt 3" in ui.text_of("output"), "the new attempt is shown")
        await ui.press(",")
        try_again()
        ui.feed.tell()
        await ui.pilot.pause()
        assert "A attempt 2" in ui.text_of("output"), "the one that was chosen stays"


async def steer_with_all(ui: Harness, said: str) -> None:
    for action in STEERING:
        await ui.press(action.keys[0])
        assert (ui.said, ui.dialog) == (said, ""), action.name
    assert not ui.asked


@pytest.mark.asyncio
async def test_what_the_engine_warns_of_stands_until_it_can_go_on() -> None:
    async with run_app(ticket="links") as ui:
        ui.feed._notice("the disk is full\x1b")
        await ui.pilot.pause()
        await ui.until(lambda: "CANNOT WRITE: the disk is full" in ui.text(), "the banner says so")
        await ui.press("j")
        assert "the disk is full" in ui.text()
        ui.played.act(rq.Hold())
        ui.feed.tell()
        await ui.until(lambda: "CANNOT WRITE" not in ui.text(), "it is not said any more")


@pytest.mark.asyncio
async def test_an_answer_that_does_not_come_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LATE", 0.0)
    async with run_app(ticket="links") as ui:
        may_answer = asyncio.Event()
        answered = ui.feed.ask

        async def slow(request: rq.AnyRequest) -> Any:
            await may_answer.wait()
            return await answered(request)

        ui.app.feed.ask = slow  # type: ignore[method-assign]
        await ui.press("P")
        await ui.until(lambda: ui.said == "hold the session: no answer yet", "it is said")
        may_answer.set()
        await ui.until(lambda: ui.said == "done: hold the session", "it is done")


@pytest.mark.asyncio
async def test_the_prompt_has_the_keys_while_it_is_open() -> None:
    async with run_app() as ui:
        await ui.press("/", *"qPx?")
        assert (tickets(ui).list.filter, ui.dialog, ui.asked) == ("qPx?", "", [])
        assert not ui.app._exit
        await ui.press("escape")
        assert (tickets(ui).list.filter, ui.main.prompt.is_open) == ("", False)


@pytest.mark.asyncio
async def test_a_person_is_asked_only_where_work_would_be_lost() -> None:
    async with run_app(ticket="spoken") as ui:
        await ui.press("x")
        assert await ui.done() == rq.Cancel(tickets=("spoken",)), "it has not begun"
        await ui.select("links")
        await ui.press("x")
        assert ui.dialog == "Confirm"
        await ui.press("n")
        assert (ui.dialog, len(ui.asked)) == ("", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", [("x", "y"), ("x", "y", "y", "y"), ("x", "y", "escape")])
async def test_what_is_typed_ahead_of_a_dialog_is_for_the_dialog(keys: tuple[str, ...]) -> None:
    async with run_app(ticket="links") as ui:
        await ui.type_ahead(*keys)
        assert await ui.done() == rq.Cancel(tickets=("links",))
        assert not ui.app._exit


@pytest.mark.asyncio
async def test_what_is_typed_ahead_of_a_prompt_is_for_the_prompt() -> None:
    async with run_app() as ui:
        await ui.type_ahead("/", *"unit-web", "enter", "p")
        asked = await ui.done()
        assert asked == rq.Hold(tickets=("unit-web-2",))


@pytest.mark.asyncio
async def test_events_are_filtered_where_events_are_shown() -> None:
    async with run_app("events") as ui:
        await ui.press("/", *"mirror", "enter")
        assert cast(EventsPanel, ui.panel).filter_text == "mirror"
        assert not tickets(ui).list.filter


@pytest.mark.asyncio
async def test_what_an_engine_says_is_one_line_that_cannot_act_on_the_terminal() -> None:
    async with run_app() as ui:
        ui.app._notice("\x1b[2Jtwo\nlines\ttold")
        assert ui.view.warning == "two lines       told"
        ui.app._contact("no \x1b]0;mine\x07engine", up=False)
        assert ui.view.contact == "no engine"


@pytest.mark.asyncio
async def test_what_waits_for_approval_is_on_top_and_approved_by_its_key() -> None:
    session = Session("A: approve=after\nB: A\nC: approve=before\nD:")
    session.dispatch()
    session.succeed("A", "D")
    async with run_app(played=session, ticket="A", size=(120, 40)) as ui:
        rows = [line.split()[:4] for line in ui.lines() if " approval " in line or " waiting " in line]
        assert [next(word for word in row if word in "ABC") for row in rows[1:]] == ["A", "C", "B"]
        assert "Y approves A" in ui.text()
        assert " Y approve " in ui.footer()
        await ui.press("Y")
        assert await ui.done() == rq.Approve(tickets=("A",))
        assert ui.status("A") == "succeeded"
        await ui.select("C")
        await ui.press("w")
        assert "Y approves it" in ui.text()
        await ui.press("Y")
        assert await ui.done(2) == rq.Approve(tickets=("C",))


@pytest.mark.asyncio
async def test_what_waits_for_approval_is_sent_back_by_a_key_with_a_note() -> None:
    session = Session("A: approve=after\nB: A")
    session.dispatch()
    session.succeed("A")
    async with run_app(played=session, ticket="A", size=(120, 40)) as ui:
        await ui.press("w")
        assert "V sends it back" in ui.text()
        await ui.press("V", *"too short", "enter")
        assert await ui.done() == rq.Reject(tickets=("A",), note="too short")
        assert (ui.status("A"), ui.played["A"].note) == ("waiting", "too short")


@pytest.mark.asyncio
async def test_who_looks_back_gets_what_the_engine_kept_of_the_host() -> None:
    async with run_app() as ui:
        (sampled,) = samples(1000.0, 1)
        keep_sample(session_folder(ui.feed.session).curve, sampled.host)
        await ui.press("[")
        await ui.until(lambda: ui.view.looks_back and ui.view.samples.kept, "it is read")
        assert [each.at for each in ui.view.samples.kept] == [1000.0]
