"""The title line of a panel: what is said of the panel itself is there at any width."""

import pytest

from tests.tui.harness import Harness, run_app


def title(ui: Harness) -> str:
    return ui.text_of(ui.panel.name_).splitlines()[0]


async def is_said(ui: Harness, text: str) -> None:
    await ui.until(lambda: text in title(ui), f"the title says {text!r}")


@pytest.mark.asyncio
async def test_what_narrows_the_list_is_said_where_there_is_little_room() -> None:
    async with run_app(size=(80, 24)) as ui:
        assert "─ 9 ─" in title(ui)
        await ui.press("s", "S", "*")
        await is_said(ui, ", by status reversed, ")
        await is_said(ui, " marked ─")
        assert title(ui).startswith("─ 1 Tickets ─")


@pytest.mark.asyncio
async def test_what_is_too_long_is_cut() -> None:
    async with run_app(size=(40, 24)) as ui:
        await ui.press("s", "S", "*")
        await is_said(ui, "by status reversed,… ─")
        assert len(title(ui)) == 40


@pytest.mark.asyncio
async def test_what_a_search_came_to_is_said_at_once_though_the_log_is_over() -> None:
    async with run_app("output", size=(80, 24), ticket="mirror") as ui:
        await ui.press("E")
        await is_said(ui, "error at ")
        await ui.press("slash", *"nowhere", "enter")
        await is_said(ui, "no match")
        await ui.press("G")
        await is_said(ui, "following")
        assert "match" not in title(ui)


@pytest.mark.asyncio
async def test_a_click_on_the_title_finds_only_what_is_there() -> None:
    async with run_app(size=(80, 24)) as ui:
        panel = ui.panel
        at = title(ui).index(" 3 ") + 1
        found = panel.tab_at(at)
        assert found is not None
        assert found.name_ == "agents"
        await ui.press("s", "S", "*")
        await is_said(ui, "reversed")
        assert panel.tab_at(at) is None
