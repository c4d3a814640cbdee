"""The palette: every action by name, commands with arguments, and nothing done that was not understood."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from parexec_tui.core import requests as rq
from parexec_tui.core.plan import AgentType, Priority
from parexec_tui.tui.dialogs.dialog import Confirm
from parexec_tui.tui.dialogs.form import Field
from parexec_tui.tui.dialogs.matching import best, rank
from parexec_tui.tui.dialogs.palette import CommandPalette
from parexec_tui.tui.keymap import KEYS, shown
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme import user_folder
from tests.core.sessions import Session, plan
from tests.tui.stage import Stage, until


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def session() -> Session:
    made = Session(plan("MOD-1:\nMOD-2: MOD-1\nDOC-1:", agents={"mill": AgentType(min=2), "clerk": AgentType()}))
    made.dispatch()
    made.wait(60)
    return made


async def open_and_type(pilot: Pilot[Any], app: Stage, text: str) -> None:
    """Open the palette with a text in it, the last letter typed."""
    await pilot.press(":")
    field = app.screen.query_one(Field)
    field.input.value = text[:-1]
    field.input.cursor_position = len(text)
    await pilot.press("space" if text[-1] == " " else text[-1])


def typed(app: Stage) -> str:
    return app.screen.query_one(Field).input.value


def rows(app: Stage) -> list[str]:
    """The lines of the list, without frame, cursor and scroll bar."""
    return [line.strip("▌┃│ ") for line in app.shown()]


def said(app: Stage) -> str:
    return " ".join(app.text().replace("│", " ").split())


# -- finding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["hold"], ["hold", "hold all", "threshold"]),
        (["all"], ["hold all"]),
        (["ha"], ["hold all"]),
        (["al", "ho"], ["hold all"]),
        (["zz"], []),
    ],
)
def test_names_are_found_by_how_well_they_fit(words: Sequence[str], order: Sequence[str]) -> None:
    names = ["threshold", "hold", "hold all"]
    ranked = [(place, names.index(name), name) for name in names if (place := rank(words, name)) is not None]
    assert [name for _, _, name in sorted(ranked, key=lambda each: each[0])] == list(order)


def test_a_word_may_be_in_the_text_but_a_name_goes_first() -> None:
    assert rank(["thaw"], "freeze", "freeze, or thaw") == 4
    assert rank(["thaw"], "thaw", "let go on") == 0
    assert rank(["thaw"], "hold", "do not start") is None


def test_the_best_names_are_as_many_as_asked() -> None:
    assert best("b", ["ab", "b", "bc", "xay"], 2) == ["b", "bc"]
    assert best("", ["ab", "b", "bc"], 2) == ["ab", "b"]


# -- actions -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_every_action_is_in_the_palette_with_its_keys() -> None:
    app = Stage(session())
    async with app.run_test(size=(96, 30)) as pilot:
        await pilot.press(":")
        for key in KEYS:
            if key.action not in ("palette", "panel"):
                await open_row(pilot, app, key.label)
                assert any(line.startswith(key.label) and line.endswith(shown(key)) for line in rows(app)), key


@pytest.mark.asyncio
async def test_an_action_is_done_when_the_palette_is_gone() -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "hold all")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.asked), "the engine was asked")
        assert app.asked == [rq.Hold()]
        assert not app.has_dialog
        await open_and_type(pilot, app, "panel tickets")
        await pilot.press("enter")
        assert app.main.arrangement.current == "tickets"


@pytest.mark.asyncio
async def test_an_action_that_would_be_refused_says_why_and_is_not_done() -> None:
    app = Stage(session())
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("ctrl+p")
        await open_row(pilot, app, "retry")
        assert "MOD-1 is running, it is not over" in app.text()
        await pilot.press("enter")
        assert isinstance(app.screen, CommandPalette)
        assert app.asked == []


async def open_row(pilot: Pilot[Any], app: Stage, text: str) -> None:
    """Type anew, and let the list follow."""
    field = app.screen.query_one(Field)
    field.input.value = text
    await pilot.pause()


@pytest.mark.asyncio
async def test_what_no_command_is_like_is_said() -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "qqqq")
        await pilot.press("enter")
        assert "there is no command qqqq" in app.text()
        await pilot.press("escape")
        assert not app.has_dialog


# -- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("hold MOD-2", rq.Hold(tickets=("MOD-2",))),
        ("hold MOD-2 clerk mill-1", rq.Hold(tickets=("MOD-2",), agents=("mill-1",), types=("clerk",))),
        ("hold reason the disk is full", rq.Hold(reason="the disk is full")),
        ("freeze MOD-1", rq.Freeze(tickets=("MOD-1",))),
        ("freeze agent:mill-*", rq.Freeze(agents=("mill-1", "mill-2"))),
        ("skip MOD-2", rq.Waive(tickets=("MOD-2",))),
        ("priority high", rq.Prioritise(tickets=("MOD-1",), priority=Priority.high)),
        ("priority low MOD-* !MOD-1", rq.Prioritise(tickets=("MOD-2",), priority=Priority.low)),
        ("scale clerk 3", rq.Scale(type="clerk", most=3)),
        ("scale clerk +1", rq.Scale(type="clerk", most=1, relative=True)),
        ("parallel -1", rq.Scale(most=-1, relative=True)),
        ("parallel 9", rq.Scale(most=9)),
    ],
)
async def test_a_command_asks_for_what_its_words_mean(text: str, asked: rq.AnyRequest) -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, text)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.asked), "the engine was asked")
        assert app.asked == [asked]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hold MOD-9", "there is no ticket, agent or agent type MOD-9, did you mean"),
        ("hold MOD-1 reason x", "a reason is for a hold or a drain of the session: hold reason TEXT"),
        ("thaw reason x", "a reason is for a hold or a drain of the session"),
        ("freeze MOD-2", "refused: MOD-2 is waiting, only what runs can be frozen hold MOD-2"),
        ("cancel ", "say which tickets: T3, MOD-*, status:failed"),
        ("retry status:failed", "status:failed is no ticket now"),
        ("retry status:odd", "there is no status odd"),
        ("retry MOD-2", "refused: MOD-2 is waiting, it has yet to run"),
        ("priority hihg", "there is no priority hihg (did you mean `high`?)"),
        ("scale mil 2", "there is no agent type mil (did you mean `mill`?)"),
        ("scale mill", "say how many: scale mill 4, +1, -1 or plan"),
        ("scale mill many", "many is not a number: write 4, +1, -1 or plan"),
        ("scale mill 0", "refused: there may be 1 to 1,000,000 agents of a type, not 0"),
        ("parallel plan", "say a number: 4, +1 or -1"),
        ("goto X", "there is no ticket X"),
        ("filter status:odd", "there is no status odd"),
        ("sort xyz", "there is no column xyz"),
        ("group xyz", "there is no grouping xyz (there is none, group and status)"),
        ("theme xyz", "there is no theme `xyz`"),
    ],
)
async def test_a_wrong_argument_is_said_and_nothing_happens(text: str, message: str) -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, text)
        await pilot.press("enter")
        assert message in said(app)
        assert isinstance(app.screen, CommandPalette)
        await pilot.press("escape")
        assert app.asked == []


@pytest.mark.asyncio
async def test_a_command_shows_what_it_would_mean_and_what_ends_work_is_still_asked() -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "cancel MOD-*")
        assert "stops MOD-1 after 1m00s" in said(app)
        assert "cancelled: MOD-2" in said(app)
        await pilot.press("enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await until(pilot, lambda: bool(app.asked), "the engine was asked")
        assert app.asked == [rq.Cancel(tickets=("MOD-1", "MOD-2"))]


@pytest.mark.asyncio
async def test_tab_completes_and_enter_on_a_command_asks_for_its_argument() -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "parallel")
        await pilot.press("enter")
        assert typed(app) == "parallel "
        assert "parallel N: how many tickets run at once" in app.text()
        await open_row(pilot, app, "skip MO")
        await pilot.press("tab")
        assert typed(app) == "skip MOD-1 "
        await pilot.press("M", "down", "enter")
        assert typed(app) == "skip MOD-1 MOD-2 ", "what a person moved to is taken before anything is done"
        assert app.asked == []


@pytest.mark.asyncio
async def test_commands_of_the_screen_ask_the_engine_for_nothing() -> None:
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        panel = app.main.panels["tickets"]
        assert isinstance(panel, TicketsPanel)
        for text in ("goto DO", "sort tim", "group stat", "filter doc"):
            await open_and_type(pilot, app, text)
            await pilot.press("enter")
            assert not app.has_dialog
        assert (app.scene.selected, panel.list.sort, panel.list.grouping) == ("DOC-1", "time", "status")
        assert panel.list.tickets() == ["DOC-1"]
        assert app.asked == []


# -- themes ------------------------------------------------------------------------------------------------------


def write_theme(name: str, text: str) -> None:
    user_folder().mkdir(parents=True, exist_ok=True)
    (user_folder() / f"{name}.toml").write_text(text, encoding="utf-8")


@pytest.mark.asyncio
async def test_a_theme_is_seen_while_one_chooses_and_taken_back_by_escape() -> None:
    write_theme("zebra", 'inherits = "parexec-dark"\nbackground = "#111111"\n')
    app = Stage(session())
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "theme ")
        assert app.scene.palette.name == "parexec-dark", "what is worn is highlighted at first"
        await pilot.press("down")
        assert app.scene.palette.name != "parexec-dark"
        await open_row(pilot, app, "theme zeb")
        assert app.scene.palette.name == "zebra"
        await pilot.press("escape")
        assert app.scene.palette.name == "parexec-dark"
        await open_and_type(pilot, app, "theme zeb")
        await pilot.press("enter")
        assert app.scene.palette.name == "zebra"
        assert not app.has_dialog


@pytest.mark.asyncio
async def test_a_broken_theme_says_what_is_wrong_with_it_and_is_not_worn() -> None:
    write_theme("zebra", 'inherits = "parexec-dark"\nbackround = "#111111"\n')
    app = Stage(session())
    async with app.run_test(size=(120, 30)) as pilot:
        await open_and_type(pilot, app, "theme zebra")
        await pilot.press("enter")
        assert "backround: unknown key" in said(app)
        assert app.scene.palette.name == "parexec-dark"
        assert isinstance(app.screen, CommandPalette)


# -- where it may not ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_without_an_engine_commands_that_steer_say_so() -> None:
    app = Stage(session())
    app.scene.connected, app.scene.contact = False, "reconnecting"
    async with app.run_test(size=(80, 24)) as pilot:
        await open_and_type(pilot, app, "hold MOD-2")
        await pilot.press("enter")
        assert "refused: no engine is there to ask: reconnecting" in said(app)
        assert app.asked == []
        await open_row(pilot, app, "goto DOC-1")
        await pilot.press("enter")
        assert app.scene.selected == "DOC-1"


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 12), (30, 8), (1, 1)])
async def test_the_palette_fits_whatever_the_terminal_is(size: tuple[int, int]) -> None:
    app = Stage(session(), ascii_only=True)
    async with app.run_test(size=size) as pilot:
        await pilot.press(":", "h", "down", "pagedown", "up")
        region = app.screen.query_one(".box").region
        assert region.width <= max(2, size[0])
        assert region.height <= max(2, size[1])
        if size[1] >= 8:
            assert "enter do it" in app.shown()[region.bottom - 2]
            assert app.text().isascii()
