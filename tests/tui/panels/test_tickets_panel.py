"""The list of tickets as a panel of the screen."""

import pytest

from tests.core.sessions import Session
from tests.tui.harness import run_app


@pytest.mark.asyncio
async def test_the_output_follows_what_the_list_selects_by_itself() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.until(lambda: "A, attempt 1" in ui.text(), "the log of A")
        session.succeed("A")
        session.dispatch()
        ui.feed.tell()
        await ui.until(lambda: ui.view.selected == "B", "B is selected")
        await ui.until(lambda: ui.main.panels["output"].subtitle().startswith("B "), "the output is that of B")
