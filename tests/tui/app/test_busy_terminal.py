"""A terminal that takes nothing, as when the laptop sleeps, gets less: nothing waits for it."""

import pytest

from parexec_tui.tui.app.app import ParexecApp
from tests.core.sessions import Session, plan
from tests.tui.harness import Harness, run_app


def calls(ui: Harness) -> list[str]:
    return [text for text in ui.written if text.startswith("\x1b]9;")]


@pytest.mark.asyncio
async def test_a_person_is_called_once_when_the_terminal_takes_something_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = [True]
    monkeypatch.setattr(ParexecApp, "is_busy", property(lambda _: busy[0]))
    session = Session(plan("A:\nB:\nC:"))
    session.dispatch()
    async with run_app(played=session) as ui:
        for ticket in "AB":
            session.fail(ticket)
            ui.feed.tell()
            await ui.pilot.pause(0.1)
        assert calls(ui) == []
        busy[0] = False
        await ui.until(lambda: calls(ui), "somebody is called")
        assert "A failed" in calls(ui)[0]
        assert "(and 1 more)" in calls(ui)[0]
