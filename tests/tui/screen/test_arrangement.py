"""Which panels are visible at a size, and where: they fill the screen, and do not flicker where tiers meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.screen.arrangement import Arrangement, Tier, areas, tier_of
from tests.tui.harness import run_app

TIERS: tuple[Tier, ...] = ("small", "narrow", "medium", "wide")


def at(width: int, height: int, *used: str) -> Arrangement:
    arrangement = Arrangement(used)
    arrangement.resize(width, height)
    return arrangement


def visible(arrangement: Arrangement) -> list[str]:
    return [panel for panel, _ in arrangement.areas()]


# -- tiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "tier", "panels"),
    [
        ((80, 21), "narrow", ["tickets", "output"]),
        ((80, 47), "narrow", ["tickets", "output"]),
        ((119, 16), "narrow", ["tickets", "output"]),
        ((119, 15), "small", ["tickets"]),
        ((120, 37), "medium", ["tickets", "agents", "gauges", "output"]),
        ((200, 47), "wide", ["tickets", "graph", "agents", "gauges", "output", "ticket"]),
        ((1, 1), "small", ["tickets"]),
    ],
)
def test_what_is_visible_at_a_size(size: tuple[int, int], tier: str, panels: list[str]) -> None:
    arrangement = at(*size)
    assert (arrangement.tier, visible(arrangement)) == (tier, panels)


def test_a_size_that_goes_back_and_forth_does_not_flicker() -> None:
    arrangement = at(120, 40)
    for width in (119, 116, 120, 117):
        arrangement.resize(width, 40)
        assert arrangement.tier == "medium"
    arrangement.resize(115, 40)
    assert arrangement.tier == "narrow"
    arrangement.resize(119, 40)
    assert arrangement.tier == "narrow"
    tiers = []
    for height in (15, 14, 16, 13, 15):
        arrangement.resize(80, height)
        tiers.append(arrangement.tier)
    assert tiers == ["narrow", "narrow", "narrow", "small", "small"]


@given(st.integers(1, 250), st.integers(16, 100), st.integers(1, 4))
def test_a_line_that_a_banner_takes_comes_from_below(width: int, height: int, lines: int) -> None:
    arrangement = at(width, height)
    whole = dict(arrangement.areas())
    arrangement.resize(width, height, height - lines)
    for panel, place in arrangement.areas():
        assert place[:4] == whole[panel][:4]
        assert place.y + place.height == min(whole[panel].y + whole[panel].height, height - lines)
    assert whole["tickets"].height >= 8


@pytest.mark.parametrize("lines", [0, 1])
def test_on_the_smallest_usual_terminal_the_list_has_eight_rows_and_the_output_as_many(lines: int) -> None:
    arrangement = at(80, 21)
    arrangement.resize(80, 21, 21 - lines)
    places = dict(arrangement.areas())
    assert places["tickets"].height >= 2 + 8
    assert places["output"].height >= 1 + 8


@given(st.integers(0, 400), st.integers(0, 200), st.sampled_from([None, *TIERS]))
def test_a_tier_stays_what_it_is(width: int, height: int, before: Tier | None) -> None:
    tier = tier_of(width, height, before)
    assert tier_of(width, height, tier) == tier


@given(st.sampled_from(TIERS), st.integers(1, 300), st.integers(1, 100))
def test_places_fill_the_screen_and_have_every_panel_once(tier: Tier, width: int, height: int) -> None:
    found = areas(tier, width, height)
    cells = [(x, y) for place in found for x in _span(place.x, place.width) for y in _span(place.y, place.height)]
    assert len(cells) == width * height
    assert set(cells) == {(x, y) for x in range(width) for y in range(height)}
    assert sorted(panel for place in found for panel in place.panels) == sorted(PANELS)


def _span(start: int, length: int) -> range:
    assert length >= 0
    return range(start, start + length)


# -- what was used last ----------------------------------------------------------------------------------------


def test_of_a_place_the_panel_used_last_is_visible() -> None:
    arrangement = at(120, 40)
    arrangement.switch_to("claims")
    assert visible(arrangement) == ["tickets", "agents", "gauges", "claims"]
    arrangement.switch_to("graph")
    assert visible(arrangement) == ["graph", "agents", "gauges", "claims"]
    assert arrangement.current == "graph"


def test_what_is_remembered_is_taken_as_far_as_it_is_known() -> None:
    arrangement = at(80, 20, "events", "gone", "events", "agents")
    assert arrangement.used[:3] == ["events", "agents", "tickets"]
    assert sorted(arrangement.used) == sorted(PANELS)


def test_a_zoomed_panel_has_all_the_room_and_its_neighbours_as_tabs() -> None:
    arrangement = at(120, 40, "claims")
    arrangement.is_zoomed = True
    ((panel, place),) = arrangement.areas()
    assert (panel, place[1:]) == ("claims", (0, 0, 120, 40))
    assert place.panels == ("output", "ticket", "timeline", "claims", "events")


# -- steps -----------------------------------------------------------------------------------------------------


def test_a_step_goes_along_the_visible_panels_and_round() -> None:
    arrangement = at(120, 40)
    seen = []
    for _ in range(4):
        arrangement.step(1)
        seen.append(arrangement.current)
    assert seen == ["agents", "gauges", "output", "tickets"]
    arrangement.step(-1)
    assert arrangement.current == "output"


def test_where_one_panel_is_visible_a_step_goes_to_the_next_of_all() -> None:
    arrangement = at(80, 12)
    seen = []
    for _ in PANELS:
        arrangement.step(1)
        seen.append(arrangement.current)
    assert seen == [*PANELS[1:], PANELS[0]]


@given(st.lists(st.sampled_from(PANELS)), st.integers(1, 300), st.integers(1, 100), st.booleans())
def test_the_panel_with_the_keys_is_visible(used: list[str], width: int, height: int, zoomed: bool) -> None:
    arrangement = at(width, height)
    arrangement.is_zoomed = zoomed
    for panel in used:
        arrangement.switch_to(panel)
    assert arrangement.current in visible(arrangement)


# -- on the screen ---------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_prompt_takes_its_line_from_below_and_no_row_moves() -> None:
    async with run_app(size=(80, 24), ticket="bench") as ui:
        await ui.until(lambda: "following" in ui.text(), "the log")
        before = ui.text_of("tickets")
        height = ui.main.panels["output"].region.height
        await ui.press("/")
        await ui.until(lambda: ui.main.panels["output"].region.height == height - 1, "the prompt has its line")
        assert ui.text_of("tickets") == before
        await ui.press("escape")
        await ui.until(lambda: ui.main.panels["output"].region.height == height, "the output has it again")


@pytest.mark.asyncio
async def test_zoom_gives_a_panel_all_the_room_and_takes_it_back() -> None:
    async with run_app(size=(80, 24), ticket="bench") as ui:
        await ui.press("5", "z")
        assert not ui.main.panels["tickets"].display
        assert ui.main.panels["output"].region.height >= 20
        await ui.press("z")
        assert ui.main.panels["tickets"].display
