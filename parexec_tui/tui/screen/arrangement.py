"""Where the panels are: which of them are visible at a size of the terminal, and where. No screen in here.

Places hold one panel at a time; of the panels of a area, the one that was used last is visible. So there is nothing
to configure, and nothing to be lost: the order of use is all that is remembered.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from parexec_tui.tui.panels import PANELS

Tier = Literal["narrow", "tall", "medium", "wide"]
"""One panel at a time; two, one below the other; four; six."""

MEDIUM, WIDE, TALL = 120, 180, 34
"""Columns from which a screen is medium or wide; lines from which a narrow one is tall."""

_SLACK = 4
"""Columns or lines by which a tier is kept below its bound: a size that goes back and forth does not flicker."""


class PanelArea(NamedTuple):
    """A rectangle of the body, and the panels that take turns in it."""

    panels: tuple[str, ...]
    x: int
    y: int
    width: int
    height: int


def tier_of(width: int, height: int, before: Tier | None = None) -> Tier:
    """The tier of a terminal of this size, if it was in another one before."""
    if width >= WIDE - _SLACK * (before == "wide"):
        return "wide"
    if width >= MEDIUM - _SLACK * (before in ("medium", "wide")):
        return "medium"
    return "tall" if height >= TALL - _SLACK * (before == "tall") else "narrow"


def areas(tier: Tier, width: int, height: int) -> list[PanelArea]:
    """The areas of a body of this size."""
    return _AREAS[tier](width, height)


def _narrow(width: int, height: int) -> list[PanelArea]:
    return [PanelArea(PANELS, 0, 0, width, height)]


def _tall(width: int, height: int) -> list[PanelArea]:
    upper = height * 11 // 20
    return [
        PanelArea(PANELS[:2], 0, 0, width, upper),
        PanelArea(PANELS[2:], 0, upper, width, height - upper),
    ]


def _medium(width: int, height: int) -> list[PanelArea]:
    left, upper = width * 3 // 5, height * 3 // 5
    agents = upper // 2
    return [
        PanelArea(("tickets", "graph"), 0, 0, left, upper),
        PanelArea(("agents",), left, 0, width - left, agents),
        PanelArea(("gauges",), left, agents, width - left, upper - agents),
        PanelArea(("output", "ticket", "timeline", "claims", "events"), 0, upper, width, height - upper),
    ]


def _wide(width: int, height: int) -> list[PanelArea]:
    left, middle, upper = width * 9 // 20, width * 5 // 20, height * 3 // 5
    right = left + middle
    agents = upper // 2
    below = width * 11 // 20
    return [
        PanelArea(("tickets",), 0, 0, left, upper),
        PanelArea(("graph",), left, 0, middle, upper),
        PanelArea(("agents",), right, 0, width - right, agents),
        PanelArea(("gauges",), right, agents, width - right, upper - agents),
        PanelArea(("output", "timeline", "events"), 0, upper, below, height - upper),
        PanelArea(("ticket", "claims"), below, upper, width - below, height - upper),
    ]


_AREAS = {"narrow": _narrow, "tall": _tall, "medium": _medium, "wide": _wide}


class Arrangement:
    """Which panel has the keys, which are visible, and where."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        """`used`: the panels in the order of use as it was remembered, the last one first."""
        known = [name for name in used if name in PANELS]
        self.used = list(dict.fromkeys((*known, *PANELS)))
        self.tier: Tier | None = None
        self.is_zoomed = False
        self._width = self._height = 0

    @property
    def current(self) -> str:
        """The panel that the keys go to."""
        return self.used[0]

    def switch_to(self, panel: str) -> None:
        """Let the keys go to a panel."""
        self.used.remove(panel)
        self.used.insert(0, panel)

    def resize(self, width: int, height: int) -> None:
        self.tier = tier_of(width, height, self.tier)
        self._width, self._height = width, height

    def areas(self) -> list[tuple[str, PanelArea]]:
        """The visible panels, each with its area."""
        tier = self.tier or "narrow"
        if self.is_zoomed:
            return [(self.current, PanelArea(self._neighbours(tier), 0, 0, self._width, self._height))]
        return [(self._shown(area.panels), area) for area in areas(tier, self._width, self._height)]

    def _neighbours(self, tier: Tier) -> tuple[str, ...]:
        found = (area.panels for area in areas(tier, self._width, self._height))
        return next(panels for panels in found if self.current in panels)

    def _shown(self, panels: Sequence[str]) -> str:
        return min(panels, key=self.used.index)

    def step(self, by: int) -> None:
        """Let the keys go to the next visible panel, or the one before; where one is visible, to the next of all."""
        visible = [panel for panel, _ in self.areas()]
        names = visible if len(visible) > 1 else list(PANELS)
        names.sort(key=PANELS.index)
        self.switch_to(names[(names.index(self.current) + by) % len(names)])
