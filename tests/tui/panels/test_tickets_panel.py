"""The list of tickets as a panel of the screen."""

import pytest

from parexec_tui.core.wire import requests as rq
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
        await ui.until(lambda: ui.main.panels["output"].subtitle().split()[:1] == ["B"], "the output is that of B")


@pytest.mark.asyncio
async def test_without_colours_nothing_is_underlined_where_there_is_no_text() -> None:
    session = Session("A:\nB: A\nC:")
    session.dispatch()
    session.ask(rq.Hold(tickets=("B",)))
    async with run_app(played=session, size=(80, 24), theme="mono") as ui:
        await ui.press("j", "space")
        lined = [
            segment.text
            for strip in ui.strips()
            for segment in strip
            if segment.style is not None and segment.style.underline
        ]
        assert lined
        assert all(text == text.strip() and text for text in lined)
