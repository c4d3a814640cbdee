"""The question before work is lost: it stays true while it stands."""

import pytest

from tests.core.sessions import Session
from tests.tui.harness import run_app


@pytest.mark.asyncio
async def test_what_stops_follows_the_session_and_what_is_over_can_only_be_closed() -> None:
    session = Session("A:\nB:\nC: A\nD: B")
    session.dispatch()
    async with run_app(played=session, ticket="A") as ui:
        await ui.press("*", "x")
        assert ui.dialog == "Confirm"
        await ui.until(lambda: "A is stopped" in ui.text() and "B is stopped" in ui.text(), "both would be stopped")
        session.succeed("A")
        ui.feed.tell()
        await ui.until(lambda: "A is stopped" not in ui.text() and "stops" in ui.text(), "A is over")
        assert ui.dialog == "Confirm"
        session.succeed("B")
        session.dispatch()
        session.succeed("C", "D")
        ui.feed.tell()
        await ui.press("y")
        assert ui.dialog == "Confirm", "y does nothing any more"
        assert "n close" in ui.text().replace("  ", " ")
        await ui.press("n")
        assert ui.asked == []
