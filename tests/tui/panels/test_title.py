"""The title line of a panel: what is said of the panel itself is there at any width."""

import pytest

from tests.tui.harness import Stage, on_stage


def title(stage: Stage) -> str:
    return stage.text_of(stage.panel.name_).splitlines()[0]


async def is_said(stage: Stage, text: str) -> None:
    await stage.until(lambda: text in title(stage), f"the title says {text!r}")


@pytest.mark.asyncio
async def test_what_narrows_the_list_is_said_where_there_is_little_room() -> None:
    async with on_stage(size=(80, 24)) as stage:
        assert "─ 9 ─" in title(stage)
        await stage.press("s", "S", "*")
        await is_said(stage, ", by status reversed, ")
        await is_said(stage, " marked ─")
        assert title(stage).startswith("─ 1 Tickets ─")


@pytest.mark.asyncio
async def test_what_is_too_long_is_cut() -> None:
    async with on_stage(size=(40, 24)) as stage:
        await stage.press("s", "S", "*")
        await is_said(stage, "by status reversed,… ─")
        assert len(title(stage)) == 40


@pytest.mark.asyncio
async def test_what_a_search_came_to_is_said_at_once_though_the_log_is_over() -> None:
    async with on_stage("output", size=(80, 24), ticket="mirror") as stage:
        await stage.press("E")
        await is_said(stage, "error at ")
        await stage.press("slash", *"nowhere", "enter")
        await is_said(stage, "no match")
        await stage.press("G")
        await is_said(stage, "following")
        assert "match" not in title(stage)


@pytest.mark.asyncio
async def test_a_click_on_the_title_finds_only_what_is_there() -> None:
    async with on_stage(size=(80, 24)) as stage:
        panel = stage.panel
        at = title(stage).index(" 3 ") + 1
        found = panel.tab_at(at)
        assert found is not None
        assert found.name_ == "agents"
        await stage.press("s", "S", "*")
        await is_said(stage, "reversed")
        assert panel.tab_at(at) is None
