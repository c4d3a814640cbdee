"""The help: every key as the person has it, and what the signs mean."""

from pathlib import Path

import pytest

from parexec_tui.core.state.status import PUT_BACK, AgentStatus, End, Flag, Status
from parexec_tui.text.cells import width_of
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.dialogs.help import AGENT_LEGEND, LEGEND, SIGNS, Help
from parexec_tui.tui.drawing.sign import AGENT_COLUMNS, RISING
from parexec_tui.tui.input.key_names import short_name
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.panels.agents import _OPTIONAL
from tests.core.sessions import Session
from tests.tui.harness import Harness, run_app


async def read_all(ui: Harness) -> str:
    """Everything that the help says, page by page."""
    found = [ui.text()]
    while True:
        await ui.press("pagedown")
        if ui.text() == found[-1]:
            return "\n".join(found)
        found.append(ui.text())


def test_the_legend_has_every_word_for_where_a_ticket_is() -> None:
    words = {str(status) for status in Status} | {str(end) for end in End}
    assert words - LEGEND.keys() <= {"stopped", *map(str, PUT_BACK)}  # such a ticket waits again
    assert LEGEND.keys() - words == {*Flag} - words


LINES = "─│├┤┼╭╮╯╰┌┐└┘┏┓┗┛┃┠┨┡╟╢║═╔╗╚╝━"
"""Lines of graphs, frames and rules: nobody asks what one of them means."""
EIGHTHS = "▏▎▍▌▋▊▉▐"
HEIGHTS = RISING[False]
"""Bars and curves have as many signs as a cell has parts."""
KEYS = "".join(map(short_name, ("up", "down", "left", "right")))


@pytest.mark.asyncio
async def test_every_sign_of_every_picture_is_in_the_legend() -> None:
    pictures = Path(__file__).parents[1].joinpath("snapshots").glob("*.txt")
    drawn = {letter for picture in pictures for letter in picture.read_text() if not letter.isascii()}
    async with run_app(played=Session("A:"), size=(160, 400)) as ui:
        await ui.press("?")
        text = ui.text()
        legend = text[text.index("Signs of tickets") :]
    signs = {letter for letter in drawn if not letter.isalnum()} - {*LINES, *EIGHTHS, *HEIGHTS, *KEYS}
    assert len(signs) > 20
    assert {letter for letter in signs if letter not in legend} == set()


def test_a_sign_is_one_cell_and_has_letters() -> None:
    for sign in (sign for signs in SIGNS.values() for sign in signs):
        assert sign.letters.isascii()
        assert sign.meaning
        assert width_of(sign.sign) == len(sign.sign)
    assert set(AGENT_LEGEND) == set(AgentStatus)


def test_every_heading_of_agents_but_the_title_is_explained() -> None:
    assert {name for name, _ in _OPTIONAL} - AGENT_COLUMNS.keys() == {"TITLE"}


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_help_has_every_key_and_every_sign(size: tuple[int, int]) -> None:
    async with run_app(played=Session("A:"), size=size) as ui:
        await ui.press("?")
        assert "In the panel tickets" in ui.lines()[2]
        text = " ".join((await read_all(ui)).replace("│", " ").split())
        for action in ACTIONS:
            assert action.help.split()[0] in text
        for word in LEGEND:
            assert word in text


@pytest.mark.asyncio
async def test_help_has_two_columns_where_there_is_room() -> None:
    async with run_app(played=Session("A:"), size=(120, 40)) as ui:
        await ui.press("?")
        assert "Signs of tickets" in ui.line("In the panel")
        await ui.pilot.resize_terminal(80, 24)
        await ui.pilot.pause()
        assert "Signs" not in ui.line("In the panel")
        assert ui.box.width <= 80


@pytest.mark.asyncio
async def test_help_is_narrowed_by_words_and_escape_takes_that_back_first() -> None:
    async with run_app(played=Session("A:"), size=(80, 24)) as ui:
        await ui.press("?", "/", *"freeze")
        assert "freeze all that runs, or thaw it" in ui.text()
        assert "up a row" not in ui.text()
        await ui.press(*"zzz")
        assert "no line is like freezezzz" in ui.text()
        await ui.press("escape")
        assert ui.dialog == "Help"
        assert "only what failed" in ui.text()
        await ui.press("escape")
        assert not ui.dialog


@pytest.mark.asyncio
async def test_help_shows_the_keys_of_this_person() -> None:
    async with run_app(played=Session("A:"), size=(80, 130)) as ui:
        ui.app.push_screen(Help(Keymap(ACTIONS, {"hold": ("H",), "mouse": ()}), "output", ui.view))
        await ui.pilot.pause()
        assert ui.line("hold, or release").split()[0] == "H"
        assert "In the panel output" in ui.lines()[2]
        assert "(in tickets and graph)" in ui.line("only what failed")
        await ui.press("G")
        assert ui.line("use the mouse here").split()[0] == ":mouse"


@pytest.mark.asyncio
async def test_help_in_letters_only() -> None:
    async with run_app(played=Session("A:"), ascii_only=True, size=(80, 24)) as ui:
        await ui.press("?")
        assert (await read_all(ui)).isascii()


@pytest.mark.asyncio
async def test_only_headings_and_keys_are_bold() -> None:
    async with run_app(size=(160, 50), theme="mono") as ui:
        await ui.press("?")
        bold = [
            segment.text.strip()
            for strip in ui.strips()
            for segment in strip
            if segment.style is not None and segment.style.bold
        ]
        helps = {action.help for action in ACTIONS if len(action.help) < 40 and " " in action.help}
        shown = [text for text in helps if text in ui.text()]
        assert len(shown) > 5
        assert [text for text in shown if any(text in each for each in bold)] == []
