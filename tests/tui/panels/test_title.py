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
        assert title(ui).startswith("─ 1 Tickets ─ 2 Graph ─")
        await ui.press("s", "S", "*")
        await is_said(ui, ", by status reversed, ")
        await is_said(ui, " marked ─")
        assert title(ui).startswith("─ 1 Tickets ─")


@pytest.mark.asyncio
async def test_what_is_too_long_is_cut() -> None:
    async with run_app(size=(40, 24)) as ui:
        await ui.press("s", "S", "*")
        await is_said(ui, "43, by status r… ─")
        assert len(title(ui)) == 40


@pytest.mark.asyncio
async def test_what_a_search_came_to_is_said_at_once_though_the_log_is_over() -> None:
    async with run_app("output", size=(80, 24), ticket="mirror") as ui:
        await ui.press("E")
        await is_said(ui, "error 1 of 1")
        await ui.press("slash", *"nowhere", "enter")
        await is_said(ui, "no match")
        await ui.press("G")
        await is_said(ui, "mirror attempt 3")
        assert "match" not in title(ui)


@pytest.mark.asyncio
async def test_a_click_on_the_title_finds_only_what_is_there() -> None:
    async with run_app(size=(80, 24)) as ui:
        panel = ui.panel
        at = title(ui).index(" 2 ") + 1
        found = panel.tab_at(at)
        assert found is not None
        assert found.name_ == "graph"
        assert panel.tab_at(at + len("2 Graph ")) is None


@pytest.mark.asyncio
async def test_panels_that_share_an_area_have_names_and_not_only_numbers() -> None:
    async with run_app(size=(80, 24), ticket="unit-web-2") as ui:
        await ui.press("5")
        assert title(ui).startswith("─ 3 Agent 4 Gauge 5 Output 6 Tick 7 Time 8 Claim 9 Event ─")
        assert title(ui).endswith(" unit-web-2 ─")
        for number, name in (("3", "Agents"), ("7", "Timeline"), ("9", "Events")):
            at = title(ui).index(f" {number} ")
            found = ui.panel.tab_at(at + 3)
            assert found is not None
            assert found.title == name
            await ui.press(number)
            assert f" {number} {name} " in title(ui)


@pytest.mark.asyncio
async def test_on_a_low_screen_all_panels_are_named_and_below_that_numbered() -> None:
    async with run_app(size=(80, 16)) as ui:
        assert title(ui).startswith("─ 1 Tickets 2 Graph 3 Agent 4 Gauge 5 Out 6 Tick 7 Time 8 Claim 9 Event ─")
    async with run_app(size=(50, 16)) as ui:
        assert title(ui).startswith("─ 1 Tickets 2 3 4 5 6 7 8 9 ─")


@pytest.mark.asyncio
async def test_the_title_of_the_selected_ticket_is_said_where_it_has_no_column() -> None:
    async with run_app(size=(80, 24), ticket="bench") as ui:
        assert title(ui).endswith("─ Benchmarks against the last release · 43 ─")
        assert title(ui).startswith("─ 1 Tickets ─ 2 Graph ─")
        await ui.press("j")
        await is_said(ui, "─ Unit tests of the core, third part · 43 ─")
    async with run_app(size=(160, 24), ticket="bench") as ui:
        await ui.press("z")
        assert title(ui).endswith("─ 43 ─")
        assert " Benchmarks against the last release " in ui.text()
