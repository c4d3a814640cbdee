"""What the screen remembers: for each plan the panels that were used last. Nothing breaks if it is lost."""

import msgspec
import pytest

from parexec_tui.core.plan.model import Plan
from parexec_tui.paths import state_home
from parexec_tui.tui.app.ui_state import MAX_PLANS, read_panel_order, write_panel_order
from tests.core.sessions import plan
from tests.tui.harness import run_app
from tests.tui.release import finish, release, release_plan


def named(name: str) -> Plan:
    made = plan("A:")
    return msgspec.structs.replace(made, settings=msgspec.structs.replace(made.settings, name=name))


def test_the_order_of_use_is_remembered_for_each_plan() -> None:
    state_home().mkdir(parents=True)
    write_panel_order(named("one"), ["graph", "tickets"])
    write_panel_order(named("two"), ["claims"])
    write_panel_order(named("one"), ["output", "graph"])
    assert read_panel_order(named("one")) == ("output", "graph")
    assert read_panel_order(named("two")) == ("claims",)
    assert read_panel_order(named("three")) == ()
    assert [file.name for file in state_home().iterdir()] == ["screen.json"]


def test_no_more_than_so_many_plans_are_remembered() -> None:
    state_home().mkdir(parents=True)
    for number in range(MAX_PLANS):
        write_panel_order(named(str(number)), ["graph"])
    write_panel_order(named("0"), ["claims"])
    write_panel_order(named("new"), ["events"])
    assert read_panel_order(named("0")) == ("claims",)
    assert read_panel_order(named("1")) == ()
    assert read_panel_order(named("2")) == ("graph",)
    assert len(msgspec.json.decode((state_home() / "screen.json").read_bytes())["plans"]) == MAX_PLANS


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b'{"used": ["graph"]}', b'{"plans": {"one": 5}}'])
def test_what_cannot_be_read_is_as_if_nothing_were_remembered(content: bytes | None) -> None:
    state_home().mkdir(parents=True)
    if content is not None:
        (state_home() / "screen.json").write_bytes(content)
    assert read_panel_order(named("one")) == ()
    write_panel_order(named("one"), ["graph"])
    assert read_panel_order(named("one")) == ("graph",)


def test_what_cannot_be_written_is_not_remembered() -> None:
    state_home().parent.mkdir(parents=True, exist_ok=True)
    state_home().write_text("no folder")
    write_panel_order(named("one"), ["graph"])
    assert read_panel_order(named("one")) == ()


@pytest.mark.asyncio
async def test_a_plan_has_its_panels_again_and_the_keys_are_in_the_list() -> None:
    state_home().mkdir(parents=True, exist_ok=True)
    write_panel_order(named("another"), ["events", "graph"])
    async with run_app("tickets", remembers_panels=True) as ui:
        assert ui.main.panels["output"].display
        await ui.press("2", "8")
        assert ui.panel.name_ == "claims"
        ui.app.remember_panels()
    assert read_panel_order(release_plan())[:2] == ("claims", "graph")
    async with run_app("tickets", remembers_panels=True) as ui:
        assert (ui.panel.name_, ui.view.selected, ui.panel.has_selected) == ("tickets", "bench", True)
        assert ui.main.panels["claims"].display


@pytest.mark.asyncio
async def test_a_session_that_is_over_begins_with_its_summary_however_long_ago_that_was() -> None:
    session = release()
    finish(session)
    session.wait(3 * 86400)
    async with run_app(played=session, closes_summary=False) as ui:
        await ui.until(lambda: ui.dialog == "Summary", "the summary")
        await ui.hesitate()
        await ui.press("escape")
        assert (ui.dialog, ui.panel.name_) == ("", "tickets")
        assert ui.view.selected in ui.view.live.tickets  # type: ignore[union-attr]
