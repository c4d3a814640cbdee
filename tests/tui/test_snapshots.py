"""What the screen looks like: every panel in every tier, every dialog, every theme, without signs; and at any size.

The pictures are text files that people have looked at. One that changes is to be looked at again, in the diff.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from rich.style import Style

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.theme.themes import available
from parexec_tui.tui.view.view_state import NO_ENGINE, Change
from tests.tui.conftest import Snapshots
from tests.tui.harness import Harness, run_app
from tests.tui.questions import ANSWERS, QUESTIONS
from tests.tui.release import finish, release

SHOWN = {
    "tickets": "data-check",
    "graph": "core",
    "agents": "unit-web-2",
    "gauges": "unit-web-2",
    "output": "unit-web-2",
    "ticket": "mirror",
    "timeline": "core",
    "claims": "data-check",
    "events": "fuzz",
}
"""The ticket that is selected in the picture of a panel."""


@pytest.fixture(autouse=True)
def logs_have_known_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def place(_: SessionState, ticket: TicketState) -> LocalOutput:
        return LocalOutput(
            Path(f"/home/ann/.local/state/parexec/sessions/s1/attempts/{ticket.id}.{ticket.attempts}.log")
        )

    monkeypatch.setattr("parexec_tui.tui.panels.ticket.attempt_output", place)


def has_log(ui: Harness) -> bool:
    """The log of the selected ticket is there, or it is said that there is none."""
    status = cast(OutputPanel, ui.main.panels["output"]).log_view.status_text
    return "following" in status or "nothing has run" in ui.text()


@asynccontextmanager
async def picture(panel: str = "tickets", **view: object) -> AsyncIterator[Harness]:
    """The screen once all is on it, the log of the selected ticket too."""
    view.setdefault("ticket", SHOWN[panel])
    async with run_app(panel, **view) as ui:  # type: ignore[arg-type]
        if ui.main.panels["output"].display:
            await ui.until(lambda: has_log(ui), "the log")
        await all_is_drawn(ui)
        yield ui


async def all_is_drawn(ui: Harness) -> None:
    await ui.until(lambda: not ui.main._pending, "all is drawn")
    await ui.pilot.pause()


@pytest.mark.asyncio
@pytest.mark.parametrize("panel", PANELS)
async def test_a_panel_alone(panel: str, snapshots: Snapshots) -> None:
    async with picture(panel, size=(80, 24)) as ui:
        snapshots.check(f"{panel}-80x24", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("panel", PANELS)
async def test_a_panel_without_signs(panel: str, snapshots: Snapshots) -> None:
    async with picture(panel, size=(80, 24), ascii_only=True) as ui:
        assert ui.text().isascii()
        snapshots.check(f"{panel}-80x24-ascii", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(120, 40), (200, 50)], ids=["120x40", "200x50"])
@pytest.mark.parametrize("panel", PANELS)
async def test_a_panel_in_its_place(panel: str, size: tuple[int, int], snapshots: Snapshots) -> None:
    async with picture(panel, size=size) as ui:
        snapshots.check(f"{panel}-{size[0]}x{size[1]}", ui.text_of(panel))


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 50), (120, 40), (200, 50)], ids=["80x50", "120x40", "200x50"])
async def test_the_whole_screen(size: tuple[int, int], snapshots: Snapshots) -> None:
    async with picture(size=size, ticket="bench") as ui:
        snapshots.check(f"screen-{size[0]}x{size[1]}", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=["80x24", "120x40", "200x50"])
@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_answer_is_on_the_first_screen(question: str, size: tuple[int, int], snapshots: Snapshots) -> None:
    """No key is pressed."""
    async with run_app(played=QUESTIONS[question](), size=size) as ui:
        if question == "engine":
            ui.feed.lose(NO_ENGINE)
            await ui.until(lambda: ui.dialog, "a new engine is offered")
            await ui.app.screen.dismiss(None)
            ui.played.wait(30)
            ui.main.schedule_draw(Change.state | Change.clock)
        await ui.until(lambda: has_log(ui), "the log")
        await all_is_drawn(ui)
        seen = ui.text()
    snapshots.check(f"question-{question}-{size[0]}x{size[1]}", seen)
    assert [answer for answer in ANSWERS[question] if answer not in seen] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("ascii_only", [False, True], ids=["", "ascii"])
async def test_what_is_around_a_ticket(ascii_only: bool, snapshots: Snapshots) -> None:
    async with picture("graph", size=(120, 40), ticket="unit-web-2", ascii_only=ascii_only) as ui:
        await ui.press("v", "z")
        await all_is_drawn(ui)
        snapshots.check(f"around{'-ascii' if ascii_only else ''}", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=["80x24", "120x40", "200x50"])
async def test_what_is_around_a_ticket_beside_other_panels(size: tuple[int, int], snapshots: Snapshots) -> None:
    async with picture("graph", size=size, ticket="unit-web-2") as ui:
        await ui.press("v")
        await all_is_drawn(ui)
        snapshots.check(f"around-{size[0]}x{size[1]}", ui.text_of("graph"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("ticket", "title"), [("translate-pt", "As notas em portugues"), ("translate-ja", "?" * 24)], ids=["pt", "ja"]
)
async def test_a_title_of_any_script_without_signs(ticket: str, title: str) -> None:
    async with picture("ticket", size=(80, 50), ticket=ticket, ascii_only=True) as ui:
        assert ui.text().isascii()
        assert f" title      {title}" in ui.lines()


# -- dialogs ---------------------------------------------------------------------------------------------------

DIALOGS = {
    "why": ("data-check", ("w",)),
    "confirm": ("unit-web-2", ("x",)),
    "help": ("data-check", ("?",)),
    "commands": ("data-check", (":",)),
    "retry": ("bench", ("R",)),
    "reassign": ("spoken", ("a",)),
    "edit": ("spoken", ("e",)),
    "undo": ("spoken", ("U",)),
}
"""The ticket that is selected, and what is pressed."""


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("dialog", DIALOGS)
async def test_a_dialog(dialog: str, size: tuple[int, int], snapshots: Snapshots) -> None:
    ticket, keys = DIALOGS[dialog]
    async with picture(size=size, ticket=ticket) as ui:
        await ui.press(*keys)
        assert ui.dialog
        snapshots.check(f"dialog-{dialog}-{size[0]}x{size[1]}", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("key", ["w", "C"])
async def test_a_dialog_about_a_conflict(key: str, size: tuple[int, int], snapshots: Snapshots) -> None:
    async with run_app(played=QUESTIONS["conflict"](), ticket="lexer", size=size) as ui:
        await ui.press(key)
        if key == "C":
            await ui.until(lambda: "theirs" in ui.text(), "git has answered")
        snapshots.check(f"dialog-conflict-{key}-{size[0]}x{size[1]}", ui.text())


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_summary_at_the_end(size: tuple[int, int], snapshots: Snapshots) -> None:
    session = release()
    async with picture(size=size, played=session) as ui:
        finish(session)
        ui.feed.tell()
        await ui.until(lambda: ui.dialog == "Summary", "the summary is shown")
        await all_is_drawn(ui)
        snapshots.check(f"dialog-summary-{size[0]}x{size[1]}", ui.text())


# -- themes ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("theme", sorted(available()))
async def test_a_theme(theme: str, snapshots: Snapshots) -> None:
    async with picture(theme=theme, ticket="bench") as ui:
        snapshots.check(f"theme-{theme}", styles(ui))


def styles(ui: Harness) -> str:
    """The screen with a letter in each cell for its style, and what each letter stands for."""
    letters: dict[Style, str] = {}
    lines = []
    for strip in ui.strips():
        line = ""
        for text, style, _ in strip:
            letter = letters.setdefault(style or Style(), _LETTERS[len(letters)])
            line += letter * len(text)
        lines.append(line)
    legend = (f"{letter}  {style}" for style, letter in letters.items())
    return "\n".join((*lines, "", *legend))


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&*+-=?@<>"


# -- any size --------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(1, 1), (20, 5), (500, 200)], ids=["1x1", "20x5", "500x200"])
async def test_any_size_is_filled(size: tuple[int, int]) -> None:
    width, height = size
    async with run_app(size=size) as ui:
        for number in "123456789":
            await ui.press(number)
            assert [strip.cell_length for strip in ui.strips()] == [width] * height
        for key in ("w", "?", ":", "Q"):
            await ui.press(key)
            assert ui.dialog
            await ui.press("escape")
            assert not ui.dialog
