"""The help: every key as the person has it, and what the signs mean."""

import pytest

from parexec_tui.core.events import End, Status
from parexec_tui.tui.dialogs.help import LEGEND, Help
from parexec_tui.tui.keymap import KEYS, Keymap
from tests.core.sessions import Session
from tests.tui.stage import Stage


async def read_all(app: Stage, pilot: object) -> str:
    """Everything that the help says, page by page."""
    from textual.pilot import Pilot

    assert isinstance(pilot, Pilot)
    found = [app.text()]
    while True:
        await pilot.press("pagedown")
        if app.text() == found[-1]:
            return "\n".join(found)
        found.append(app.text())


def test_the_legend_has_every_word_for_where_a_ticket_is() -> None:
    words = {str(status) for status in Status} | {str(end) for end in End}
    assert words - LEGEND.keys() <= {"stopped"}  # such a ticket waits again
    assert LEGEND.keys() - words == {"ready", "held"}


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_help_has_every_key_and_every_sign(size: tuple[int, int]) -> None:
    app = Stage(Session("A:"))
    async with app.run_test(size=size) as pilot:
        await pilot.press("?")
        assert "In the panel tickets" in app.shown()[2]
        text = " ".join((await read_all(app, pilot)).replace("│", " ").split())
        for key in KEYS:
            assert key.help.split()[0] in text
        for word in LEGEND:
            assert word in text


@pytest.mark.asyncio
async def test_help_has_two_columns_where_there_is_room() -> None:
    app = Stage(Session("A:"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("?")
        assert "Steering" in app.line("In the panel")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "Steering" not in app.line("In the panel")
        assert app.screen.query_one(".box").region.width <= 80


@pytest.mark.asyncio
async def test_help_is_narrowed_by_words_and_escape_takes_that_back_first() -> None:
    app = Stage(Session("A:"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("?", "/", *"freeze")
        assert "freeze all that runs, or thaw it" in app.text()
        assert "up a row" not in app.text()
        await pilot.press(*"zzz")
        assert "no line is like freezezzz" in app.text()
        await pilot.press("escape")
        assert isinstance(app.screen, Help)
        assert "only what failed" in app.text()
        await pilot.press("escape")
        assert not app.has_dialog


@pytest.mark.asyncio
async def test_help_shows_the_keys_of_this_person() -> None:
    app = Stage(Session("A:"))
    async with app.run_test(size=(80, 60)) as pilot:
        app.push_screen(Help(Keymap({"hold": ("H",), "mouse": ()}), "output", app.scene))
        await pilot.pause()
        assert app.line("hold, or release").split()[0] == "H"
        assert "In the panel output" in app.shown()[2]
        assert "(in tickets and graph)" in app.line("only what failed")
        await pilot.press("G")
        assert app.line("use the mouse here").split()[0] == ":mouse"


@pytest.mark.asyncio
async def test_help_in_letters_only() -> None:
    app = Stage(Session("A:"), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("?")
        assert (await read_all(app, pilot)).isascii()
