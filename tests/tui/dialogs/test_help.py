"""The help: every key as the person has it, and what the signs mean."""

import pytest

from parexec_tui.core.state.status import End, Status
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.dialogs.help import LEGEND, Help
from parexec_tui.tui.input.keymap import Keymap
from tests.core.sessions import Session
from tests.tui.harness import Stage, on_stage


async def read_all(stage: Stage) -> str:
    """Everything that the help says, page by page."""
    found = [stage.text()]
    while True:
        await stage.press("pagedown")
        if stage.text() == found[-1]:
            return "\n".join(found)
        found.append(stage.text())


def test_the_legend_has_every_word_for_where_a_ticket_is() -> None:
    words = {str(status) for status in Status} | {str(end) for end in End}
    assert words - LEGEND.keys() <= {"stopped"}  # such a ticket waits again
    assert LEGEND.keys() - words == {"ready", "held"}


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_help_has_every_key_and_every_sign(size: tuple[int, int]) -> None:
    async with on_stage(played=Session("A:"), size=size) as stage:
        await stage.press("?")
        assert "In the panel tickets" in stage.lines()[2]
        text = " ".join((await read_all(stage)).replace("│", " ").split())
        for action in ACTIONS:
            assert action.help.split()[0] in text
        for word in LEGEND:
            assert word in text


@pytest.mark.asyncio
async def test_help_has_two_columns_where_there_is_room() -> None:
    async with on_stage(played=Session("A:"), size=(120, 40)) as stage:
        await stage.press("?")
        assert "Steering" in stage.line("In the panel")
        await stage.pilot.resize_terminal(80, 24)
        await stage.pilot.pause()
        assert "Steering" not in stage.line("In the panel")
        assert stage.box.width <= 80


@pytest.mark.asyncio
async def test_help_is_narrowed_by_words_and_escape_takes_that_back_first() -> None:
    async with on_stage(played=Session("A:"), size=(80, 24)) as stage:
        await stage.press("?", "/", *"freeze")
        assert "freeze all that runs, or thaw it" in stage.text()
        assert "up a row" not in stage.text()
        await stage.press(*"zzz")
        assert "no line is like freezezzz" in stage.text()
        await stage.press("escape")
        assert stage.dialog == "Help"
        assert "only what failed" in stage.text()
        await stage.press("escape")
        assert not stage.dialog


@pytest.mark.asyncio
async def test_help_shows_the_keys_of_this_person() -> None:
    async with on_stage(played=Session("A:"), size=(80, 60)) as stage:
        stage.app.push_screen(Help(Keymap(ACTIONS, {"hold": ("H",), "mouse": ()}), "output", stage.view))
        await stage.pilot.pause()
        assert stage.line("hold, or release").split()[0] == "H"
        assert "In the panel output" in stage.lines()[2]
        assert "(in tickets and graph)" in stage.line("only what failed")
        await stage.press("G")
        assert stage.line("use the mouse here").split()[0] == ":mouse"


@pytest.mark.asyncio
async def test_help_in_letters_only() -> None:
    async with on_stage(played=Session("A:"), ascii_only=True, size=(80, 24)) as stage:
        await stage.press("?")
        assert (await read_all(stage)).isascii()
