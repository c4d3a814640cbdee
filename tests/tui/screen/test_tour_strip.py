"""The lines of the tour on the screen: where they are, what they leave in sight, and how they are left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import session_folder
from parexec_tui.tui.view.tour import STEPS
from tests.tui.conftest import Snapshots
from tests.tui.harness import Harness, run_app
from tests.tui.view.test_tour import session


@asynccontextmanager
async def tour(
    noted: str = "0", size: tuple[int, int] = (80, 24), *, ascii_only: bool = False
) -> AsyncIterator[Harness]:
    played = session()
    played.act(rq.Hold())
    note().parent.mkdir(parents=True, exist_ok=True)
    note().write_text(noted, encoding="utf-8")
    async with run_app(played=played, size=size, ascii_only=ascii_only) as ui:
        yield ui


def note() -> Path:
    return session_folder("s1").tour_note


def noted() -> str:
    return note().read_text(encoding="utf-8")


@pytest.mark.asyncio
async def test_it_says_what_to_press_above_the_footer_and_goes_on_when_it_is_so() -> None:
    async with tour() as ui:
        assert ui.lines()[-4].startswith("─ Tour 1 of ")
        assert ui.lines()[-3] == " ▶ go to schema: press j and k"
        while ui.view.selected != "schema":
            await ui.press("j")
        await ui.until(lambda: "press w: why does schema wait?" in ui.text(), "the next step")
        assert noted() == "1"
        await ui.press("w")
        await ui.until(lambda: "press esc: close it" in ui.text(), "the step after it")
        assert ui.dialog, "the dialog does not cover it"


@pytest.mark.asyncio
@pytest.mark.parametrize("step", range(len(STEPS)))
async def test_its_sentences_are_whole_on_a_small_screen(step: int) -> None:
    async with tour(str(step), size=(60, 18)) as ui:
        at = next(at for at, line in enumerate(ui.lines()) if line.startswith("─ Tour "))
        said = " ".join(" ".join(ui.lines()[at + 1 : -1]).split())
        shown = STEPS[ui.main.tour._tour.at] if ui.main.tour._tour is not None else STEPS[step]
        told = (ui.main.tour._with_keys(shown.do), ui.main.tour._with_keys(shown.say))
        assert said == " ".join(("▶", *told))
        assert ui.line(" ID "), "the list is still there"


@pytest.mark.asyncio
@pytest.mark.parametrize("ascii_only", [False, True], ids=["", "ascii"])
async def test_the_picture_of_the_tour(ascii_only: bool, snapshots: Snapshots) -> None:
    async with tour("3", ascii_only=ascii_only) as ui:
        await ui.press("j")
        await ui.until(lambda: not ui.main._pending, "all is drawn")
        assert ui.text().isascii() or not ascii_only
        snapshots.check(f"tour-80x24{'-ascii' if ascii_only else ''}", "\n".join(ui.lines()[-4:-1]))


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 16)], ids=["80x24", "120x40", "60x16"])
@pytest.mark.parametrize("key", ["?", ":", "w", "U", "O"])
async def test_no_dialog_covers_it(key: str, size: tuple[int, int]) -> None:
    async with tour(size=size) as ui:
        await ui.press(key)
        assert ui.dialog
        at = -5 if size[0] < 80 else -4
        assert ui.lines()[at].startswith("─ Tour 1 of ")
        assert ui.lines()[at + 1].startswith(" ▶ go to schema")


@pytest.mark.asyncio
async def test_a_step_can_be_skipped_and_the_tour_left_and_gone_on_with() -> None:
    async with tour() as ui:
        height = ui.main.body.region.height
        await ui.press("ctrl+n")
        assert "Tour 2 of " in ui.text()
        await ui.press("escape")
        assert "Tour " not in ui.text()
        assert ui.said == "the tour is left: ctrl+n goes on with it"
        assert ui.main.body.region.height == height + 3
        await ui.press("ctrl+n")
        assert "Tour 2 of " in ui.text()
        while "Tour 6 of " not in ui.text():
            await ui.press("ctrl+n")
        assert "ctrl+n skips" not in ui.text()
        await ui.press("ctrl+n")
        assert "Tour 6 of " in ui.text(), "a held session goes nowhere"
        assert ui.said == "all that follows needs it: press P: let the session go"
        await ui.press("P")
        await ui.until(lambda: "Tour 6 of " not in ui.text(), "it is let go")
        while "Tour 20 of " not in ui.text():
            await ui.press("ctrl+n")
        assert "to leave: the engine stays" in ui.text()
        await ui.press("ctrl+n")
        assert "Tour " not in ui.text()
        assert (ui.said, noted()) == ("the tour is over", "over")
        await ui.press("ctrl+n")
        assert "Tour " not in ui.text(), "it does not begin again by itself"
        assert ui.said == "the tour is over: parexec tour begins it again"


@pytest.mark.asyncio
async def test_it_goes_on_where_it_was_and_one_that_is_over_does_not_begin_again() -> None:
    async with tour("4") as ui:
        assert "Tour 5 of " in ui.text()
    async with tour("over") as ui:
        assert "Tour " not in ui.text()


@pytest.mark.asyncio
async def test_why_it_begins_again_is_told_once() -> None:
    async with tour("0 the sample has ended") as ui:
        assert "Tour 1 of " in ui.text()
        assert (ui.said, noted()) == ("the sample has ended", "0")


@pytest.mark.asyncio
async def test_a_session_that_is_no_tour_says_so() -> None:
    async with run_app(size=(80, 24)) as ui:
        await ui.press("ctrl+n")
        assert ui.said == "this session is no tour: parexec tour starts one"
