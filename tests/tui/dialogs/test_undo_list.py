"""The list of what was done: what can be taken back with what it takes along, what cannot and why."""

import pytest

from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session
from tests.tui.harness import Harness, run_app


def busy() -> Session:
    """A runs, and was to be stopped; before that ann held two tickets, after it three other things were done."""
    session = Session("A:\nB:\nC:\nD: C\nE:")
    session.act(rq.Hold(tickets=("B",), by="ann@pts/1"))
    session.act(rq.Hold(tickets=("E",), by="ann@pts/1"))
    session.dispatch()
    session.act(rq.Cancel(tickets=("A",), by="bo"))
    session.wait(5)
    session.act(rq.Hold(reason="lunch", by="ann@pts/1"))
    session.act(rq.Scale(most=3, by="bo"))
    session.act(rq.Hold(tickets=("D",), by="bo"))
    return session


def rows(ui: Harness) -> list[str]:
    """What the list says, without its cursor and frame."""
    lines = [line.strip("│▌ ") for line in ui.lines()[ui.box.y : ui.box.bottom]]
    return [line for line in lines if "ann@" in line or " bo " in line]


@pytest.mark.asyncio
async def test_the_newest_comes_first_with_who_and_when_and_what_stays_says_why() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        newest = ui.played.state.actions[-1]
        await ui.press("U")
        found = [row.split(maxsplit=2) for row in rows(ui)]
        assert [(who, what) for _, who, what in found] == [
            ("bo", "hold D"),
            ("bo", "at most 3 tickets at once"),
            ("ann@pts/1", "hold the session: lunch"),
            ("bo", "cancel A  (stays: it stopped A)"),
            ("ann@pts/1", "hold E  (stays)"),
            ("ann@pts/1", "hold B  (stays)"),
        ]
        assert "released: D" in ui.text(), "what the newest would mean"
        await ui.press("enter", "y")
        assert await ui.done() == rq.Undo(at=newest.at, text="hold D")
        assert (ui.dialog, ui.said) == ("", "done: undo: hold D")


@pytest.mark.asyncio
async def test_what_is_older_takes_what_is_newer_along() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        await ui.press("U", "j", "j")
        assert "takes back what is newer, too, the newest first: hold D and at most 3" in ui.text()
        await ui.press("enter", "y")
        await ui.done(3)
        assert [request.text for request in ui.asked if isinstance(request, rq.Undo)] == [
            "hold D",
            "at most 3 tickets at once",
            "hold the session: lunch",
        ]
        await ui.until(lambda: ui.said, "it is said")
        assert ui.said == "done: took back hold D, at most 3 tickets at once and hold the session: lunch"
        assert (ui.played.state.held, ui.played["D"].held, ui.played["E"].held) == (None, None, "ann@pts/1")


@pytest.mark.asyncio
async def test_what_cannot_be_taken_back_says_why_and_enter_does_nothing() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        await ui.press("U", "j", "j", "j")
        assert "cannot be taken back: it stopped A" in ui.text()
        await ui.press("j")
        assert 'cannot be taken back: "cancel A" is newer and stays' in ui.text()
        await ui.press("enter")
        assert (ui.dialog, ui.asked) == ("UndoList", [])
        await ui.press("U")
        assert ui.dialog == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("keys", "said"), [(("U",), "undo: "), (("U", "j"), "took back 0 of 2: ")], ids=["the newest", "more"]
)
async def test_what_somebody_else_has_done_meanwhile_is_left_alone(keys: tuple[str, ...], said: str) -> None:
    async with run_app(played=busy(), size=(120, 24)) as ui:
        await ui.press(*keys)
        ui.played.act(rq.Hold(tickets=("C",), by="eve"))  # the app has not heard of it yet
        await ui.press("enter", "y")
        await ui.until(lambda: ui.said, "it is said")
        assert len(ui.asked) == 1
        assert ui.said == f'{said}it is not the last action any more: that is "hold C", by eve'
        assert ui.played["C"].held == "eve"


@pytest.mark.asyncio
async def test_what_others_do_appears_while_it_is_open_and_the_cursor_stays() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        await ui.press("U", "j")
        ui.played.act(rq.Hold(tickets=("C",), by="bo"))
        ui.feed.tell()
        await ui.until(lambda: "hold C" in ui.text(), "the list has it")
        assert "hold C and hold D" in ui.text(), "what goes along"
        cursor = next(line for line in ui.lines() if "▌" in line and "at most" in line)
        assert "at most 3 tickets at once" in cursor


@pytest.mark.asyncio
async def test_in_the_past_and_without_an_engine_it_is_only_looked_at() -> None:
    async with run_app(played=busy(), size=(80, 24), read_only=True) as ui:
        await ui.press("U")
        assert "this viewer only reads" in ui.text()
        await ui.press("enter")
        assert (ui.dialog, ui.asked) == ("UndoList", [])


@pytest.mark.asyncio
async def test_without_anything_done_it_says_so() -> None:
    async with run_app(played=Session("A:"), size=(80, 24)) as ui:
        await ui.press("U")
        assert "nobody has done anything in this session" in ui.text()
        await ui.press("enter")
        assert ui.asked == []


@pytest.mark.asyncio
async def test_to_take_back_what_others_did_it_asks_and_says_whose_it_is() -> None:
    async with run_app(played=busy(), size=(120, 24)) as ui:
        ui.played.act(rq.Hold(tickets=("C",), by="bo@pts/2"))
        ui.feed.tell()
        await ui.press("U", "enter")
        assert ui.dialog == "Confirm"
        assert "undo what bo@pts/2 did?" in ui.text()
        assert "hold C, " in ui.text()
        await ui.press("n")
        assert ui.asked == []
        await ui.press("U", "enter", "y")
        request = await ui.done()
        assert isinstance(request, rq.Undo)
        assert request.text == "hold C"
