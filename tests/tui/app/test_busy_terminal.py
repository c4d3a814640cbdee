"""A terminal that takes nothing, as when the laptop sleeps, gets less: nothing waits for it."""

import pytest

from parexec_tui.tui.app.app import ParexecApp
from tests.core.sessions import Session, plan
from tests.tui.harness import Stage, on_stage


def calls(stage: Stage) -> list[str]:
    return [text for text in stage.written if text.startswith("\x1b]9;")]


@pytest.mark.asyncio
async def test_a_person_is_called_once_when_the_terminal_takes_something_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = [True]
    monkeypatch.setattr(ParexecApp, "_is_busy", property(lambda _: busy[0]))
    session = Session(plan("A:\nB:\nC:"))
    session.dispatch()
    async with on_stage(played=session) as stage:
        for ticket in "AB":
            session.fail(ticket)
            stage.feed.tell()
            await stage.pilot.pause(0.1)
        assert calls(stage) == []
        busy[0] = False
        await stage.until(lambda: calls(stage), "somebody is called")
        assert "A failed" in calls(stage)[0]
        assert "(and 1 more)" in calls(stage)[0]
