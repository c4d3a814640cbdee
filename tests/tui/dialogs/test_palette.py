"""The palette: every action by name, commands with arguments, and that it does nothing it did not understand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.dialogs.form import Field
from parexec_tui.tui.dialogs.matching import best, rank
from parexec_tui.tui.input.keymap import keys_text
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme.themes import user_folder
from tests.core.sessions import Session, plan
from tests.tui.harness import Harness, run_app
from tests.tui.questions import conflict


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def session() -> Session:
    made = Session(plan("MOD-1:\nMOD-2: MOD-1\nDOC-1:", agents={"mill": AgentType(min=2), "clerk": AgentType()}))
    made.dispatch()
    made.wait(60)
    return made


async def open_and_type(ui: Harness, text: str) -> None:
    """Open the palette with a text in it, the last letter typed."""
    await ui.press(":")
    field = ui.app.screen.query_one(Field)
    field.input.value = text[:-1]
    field.input.cursor_position = len(text)
    await ui.press("space" if text[-1] == " " else text[-1])


def typed(ui: Harness) -> str:
    return ui.app.screen.query_one(Field).input.value


def rows(ui: Harness) -> list[str]:
    """The lines of the list, without frame, cursor and scroll bar."""
    return [line.strip("▌┃│ ") for line in ui.lines()]


def said(ui: Harness) -> str:
    return " ".join(ui.text().replace("│", " ").split())


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


def test_no_more_names_are_looked_at_than_it_takes() -> None:
    names = iter(["xT", "T1", "T2", "T3", "T4"])
    assert best("t", names, 2) == ["T1", "T2"]
    assert list(names) == ["T3", "T4"]


# -- actions -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_every_action_is_in_the_palette_with_its_keys() -> None:
    async with run_app(played=session(), size=(96, 30)) as ui:
        await ui.press(":")
        for action in ACTIONS:
            if action.name not in ("palette", "panel"):
                await open_row(ui, action.label)
                keys = keys_text(action.keys)
                assert any(line.startswith(action.label) and line.endswith(keys) for line in rows(ui)), action.name


@pytest.mark.asyncio
async def test_an_action_is_done_when_the_palette_is_gone() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "hold all")
        await ui.press("enter")
        await ui.until(lambda: bool(ui.asked), "the engine was asked")
        assert ui.asked == [rq.Hold()]
        assert not ui.dialog
        await open_and_type(ui, "panel tickets")
        await ui.press("enter")
        assert ui.main.arrangement.current == "tickets"


@pytest.mark.asyncio
async def test_an_action_that_would_be_refused_says_why_and_is_not_done() -> None:
    async with run_app(played=session(), size=(100, 24)) as ui:
        await ui.press("ctrl+p")
        await open_row(ui, "retry")
        assert "MOD-1 is running, it is not over" in ui.text()
        await ui.press("enter")
        assert ui.dialog == "CommandPalette"
        assert ui.asked == []


async def open_row(ui: Harness, text: str) -> None:
    """Type anew, and let the list follow."""
    field = ui.app.screen.query_one(Field)
    field.input.value = text
    await ui.pilot.pause()


@pytest.mark.asyncio
async def test_what_no_command_is_like_is_said() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "qqqq")
        await ui.press("enter")
        assert "there is no command qqqq" in ui.text()
        await ui.press("escape")
        assert not ui.dialog


# -- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_row_that_enter_would_not_take_does_not_look_so() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "freeze ")
        box = ui.box

        def pointed_at() -> list[str]:
            lines = [line[box.x : box.right] for line in ui.lines()[box.y : box.bottom]]
            return [line.strip("│┃ ") for line in lines if "▌" in line]

        assert pointed_at() == []
        await ui.press("down")
        assert pointed_at() == ["▌mill-1"]
        await ui.press("enter")
        assert typed(ui) == "freeze mill-1 "
        assert pointed_at() == []
        await ui.press("enter")
        assert await ui.done() == rq.Freeze(agents=("mill-1",))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("hold MOD-2", rq.Hold(tickets=("MOD-2",))),
        ("hold MOD-2 clerk mill-1", rq.Hold(tickets=("MOD-2",), agents=("mill-1",), types=("clerk",))),
        ("hold reason the disk is full", rq.Hold(reason="the disk is full")),
        ("freeze MOD-1", rq.Freeze(tickets=("MOD-1",))),
        ("freeze agent:mill-*", rq.Freeze(agents=("mill-1", "mill-2"))),
        ("waive MOD-2", rq.Waive(tickets=("MOD-2",))),
        ("priority high", rq.Prioritise(tickets=("MOD-1",), priority=Priority.high)),
        ("priority low MOD-* !MOD-1", rq.Prioritise(tickets=("MOD-2",), priority=Priority.low)),
        ("scale clerk 3", rq.Scale(type="clerk", most=3)),
        ("scale clerk +1", rq.Scale(type="clerk", most=1, relative=True)),
        ("parallel -1", rq.Scale(most=-1, relative=True)),
        ("parallel 9", rq.Scale(most=9)),
        ("parallel auto", rq.Scale(most=None, auto=True)),
        ("on-failure stop", rq.SetFailurePolicy(policy="stop")),
    ],
)
async def test_a_command_asks_for_what_its_words_mean(text: str, asked: rq.AnyRequest) -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, text)
        await ui.press("enter")
        await ui.until(lambda: bool(ui.asked), "the engine was asked")
        assert ui.asked == [asked]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("merge lexer --ours", rq.Merge(tickets=("lexer",), side="ours")),
        ("merge lexer --theirs", rq.Merge(tickets=("lexer",), side="theirs")),
        ("merge lexer --by sort -u f -o f", rq.Merge(tickets=("lexer",), run="sort -u f -o f")),
    ],
)
async def test_a_conflict_is_decided_by_a_command(text: str, asked: rq.AnyRequest) -> None:
    async with run_app(played=conflict(), ticket="lexer") as ui:
        await ui.press(":", *text, "enter")
        assert await ui.done() == asked


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
        ("scale mill many", "many is not a number: write 4, +1, -1, plan or auto"),
        ("scale mill 0", "refused: there may be 1 to 1,000,000 agents of a type, not 0"),
        ("on-failure stpo", "there is no policy stpo (did you mean `stop`?)"),
        ("parallel plan", "say a number or auto: 4, +1 or -1"),
        ("goto X", "there is no ticket X"),
        ("filter status:odd", "there is no status odd"),
        ("sort xyz", "there is no column xyz"),
        ("group xyz", "there is no grouping xyz (there is attention, family, none, group and status)"),
        ("theme xyz", "there is no theme `xyz`"),
    ],
)
async def test_a_wrong_argument_is_said_and_nothing_happens(text: str, message: str) -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, text)
        await ui.press("enter")
        assert message in said(ui)
        assert ui.dialog == "CommandPalette"
        await ui.press("escape")
        assert ui.asked == []


@pytest.mark.asyncio
async def test_a_command_shows_what_it_would_mean_and_what_ends_work_is_still_asked() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "cancel MOD-*")
        assert "stops MOD-1 after 1m00s" in said(ui)
        assert "cancelled: MOD-2" in said(ui)
        await ui.press("enter")
        assert ui.dialog == "Confirm"
        await ui.press("y")
        await ui.until(lambda: bool(ui.asked), "the engine was asked")
        assert ui.asked == [rq.Cancel(tickets=("MOD-1", "MOD-2"))]


@pytest.mark.asyncio
async def test_tab_completes_and_enter_on_a_command_asks_for_its_argument() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "parallel")
        await ui.press("enter")
        assert typed(ui) == "parallel "
        assert "parallel N: how many tickets run at once" in ui.text()
        await open_row(ui, "waive MO")
        await ui.press("tab")
        assert typed(ui) == "waive MOD-1 "
        await ui.press("M", "down", "down", "enter")
        assert typed(ui) == "waive MOD-1 MOD-2 ", "what a person moved to is taken before anything is done"
        assert ui.asked == []


@pytest.mark.asyncio
async def test_commands_of_the_screen_ask_the_engine_for_nothing() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        panel = ui.main.panels["tickets"]
        assert isinstance(panel, TicketsPanel)
        for text in ("goto DO", "sort tim", "group stat", "filter doc"):
            await open_and_type(ui, text)
            await ui.press("enter")
            assert not ui.dialog
        assert (ui.view.selected, panel.list.sort, panel.list.grouping) == ("DOC-1", "time", "status")
        assert panel.list.tickets() == ["DOC-1"]
        assert ui.asked == []


# -- themes ------------------------------------------------------------------------------------------------------


def write_theme(name: str, text: str) -> None:
    user_folder().mkdir(parents=True, exist_ok=True)
    (user_folder() / f"{name}.toml").write_text(text, encoding="utf-8")


@pytest.mark.asyncio
async def test_a_theme_is_seen_while_one_chooses_and_taken_back_by_escape() -> None:
    write_theme("zebra", 'inherits = "parexec-dark"\nbackground = "#111111"\n')
    async with run_app(played=session(), size=(80, 24)) as ui:
        await open_and_type(ui, "theme ")
        assert ui.view.palette.name == "parexec-dark", "what is worn is highlighted at first"
        await ui.press("down")
        assert ui.view.palette.name != "parexec-dark"
        await open_row(ui, "theme zeb")
        assert ui.view.palette.name == "zebra"
        await ui.press("escape")
        assert ui.view.palette.name == "parexec-dark"
        await open_and_type(ui, "theme zeb")
        await ui.press("enter")
        assert ui.view.palette.name == "zebra"
        assert not ui.dialog


@pytest.mark.asyncio
async def test_a_broken_theme_says_what_is_wrong_with_it_and_is_not_saved_palette() -> None:
    write_theme("zebra", 'inherits = "parexec-dark"\nbackround = "#111111"\n')
    async with run_app(played=session(), size=(120, 30)) as ui:
        await open_and_type(ui, "theme zebra")
        await ui.press("enter")
        assert "backround: unknown key" in said(ui)
        assert ui.view.palette.name == "parexec-dark"
        assert ui.dialog == "CommandPalette"


# -- where it may not ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_without_an_engine_commands_that_steer_say_so() -> None:
    async with run_app(played=session(), size=(80, 24)) as ui:
        ui.feed.lose()
        await open_and_type(ui, "hold MOD-2")
        await ui.press("enter")
        assert "refused: no engine is there to ask: reconnecting" in said(ui)
        assert ui.asked == []
        await open_row(ui, "goto DOC-1")
        await ui.press("enter")
        assert ui.view.selected == "DOC-1"


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 12), (30, 8), (1, 1)])
async def test_the_palette_fits_whatever_the_terminal_is(size: tuple[int, int]) -> None:
    async with run_app(played=session(), ascii_only=True, size=size) as ui:
        await ui.press(":", "h", "down", "pagedown", "up")
        region = ui.box
        assert region.width <= max(2, size[0])
        assert region.height <= max(2, size[1])
        if size[1] >= 8:
            assert "enter do it" in ui.lines()[region.bottom - 2]
            assert ui.text().isascii()


@pytest.mark.asyncio
async def test_what_the_list_cuts_is_said_in_full_below_it() -> None:
    async with run_app(size=(80, 24)) as ui:
        await open_and_type(ui, "scale")
        assert "scale TYPE N: how many agents of a type there may be: 4, +1, -1, plan" in ui.text()
