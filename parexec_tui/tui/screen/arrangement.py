"""Which panels are visible at a size of the terminal, and where. No screen in here.

An area shows one panel at a time: of the panels that share it, the one that was used last. So nobody has to configure
anything, and only the order of use is remembered.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from parexec_tui.tui.panels import PANELS

Tier = Literal["small", "narrow", "medium", "wide"]
"""How many panels are visible: one; two, one below the other; four; six."""

MEDIUM, WIDE, LOW = 120, 180, 16
"""From these numbers of columns on a screen is medium or wide; below this number of lines a narrow one is small."""

_SLACK = 4
"""A tier is kept until the size is this many columns below its bound (half as many lines), so that it does not
flicker."""

_MIN_LIST = 10
"""Fewest lines of the list of tickets: its title, its heading and eight rows."""

_AT_FIRST = ("tickets", "output")
"""What is visible while nothing else was used."""


class PanelArea(NamedTuple):
    """A rectangle of the screen, and the panels that share it."""

    panels: tuple[str, ...]
    x: int
    y: int
    width: int
    height: int


def tier_of(width: int, height: int, before: Tier | None = None) -> Tier:
    """The tier of a terminal of this size, which had the tier `before` until now."""
    if width >= WIDE - _SLACK * (before == "wide"):
        return "wide"
    if width >= MEDIUM - _SLACK * (before in ("medium", "wide")):
        return "medium"
    return "narrow" if height >= LOW - _SLACK // 2 * (before == "narrow") else "small"


def areas(tier: Tier, width: int, height: int) -> list[PanelArea]:
    """The areas of a screen of this size, without header and footer."""
    return _AREAS[tier](width, height)


def _small(width: int, height: int) -> list[PanelArea]:
    return [PanelArea(PANELS, 0, 0, width, height)]


def _narrow(width: int, height: int) -> list[PanelArea]:
    upper = min(height, max(_MIN_LIST, height * 11 // 20))
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


_AREAS = {"small": _small, "narrow": _narrow, "medium": _medium, "wide": _wide}


class Arrangement:
    """Which panel gets the keys, which panels are visible, and where."""

    def __init__(self, used: Iterable[str] = ()) -> None:
        """`used`: panels, the last used one first."""
        self.used: list[str] = []
        self.tier: Tier | None = None
        self.is_zoomed = False
        self._width = self._height = self._room = 0
        self._put(used)

    def _put(self, used: Iterable[str]) -> None:
        known = [name for name in used if name in PANELS]
        self.used = list(dict.fromkeys((*known, *_AT_FIRST, *PANELS)))

    def begin(self, used: Iterable[str]) -> None:
        """Begin in the list of tickets, and with the other panels as they were remembered."""
        self._put(("tickets", *used))
        self.is_zoomed = False

    @property
    def current(self) -> str:
        """The panel that gets the keys."""
        return self.used[0]

    def switch_to(self, panel: str) -> None:
        """Give the keys to a panel."""
        self.used.remove(panel)
        self.used.insert(0, panel)

    def resize(self, width: int, height: int, room: int | None = None) -> None:
        """The terminal has another size. `height`: the lines that panels have at most; `room`: those that they have
        now, since a banner or a prompt may take some. These come from below, so that the rows above stay in place."""
        self.tier = tier_of(width, height, self.tier)
        self._width, self._height = width, height
        self._room = height if room is None else min(room, height)

    def areas(self) -> list[tuple[str, PanelArea]]:
        """The visible panels, each with its area."""
        tier = self.tier or "small"
        found = areas(tier, self._width, self._height)
        if self.is_zoomed:
            neighbours = next(area.panels for area in found if self.current in area.panels)
            found = [PanelArea(neighbours, 0, 0, self._width, self._height)]
        return [(self._shown(area.panels), self._above(area)) for area in found]

    def _above(self, area: PanelArea) -> PanelArea:
        """The part of an area that there is room for."""
        return area._replace(height=max(0, min(area.height, self._room - area.y)))

    def _shown(self, panels: Sequence[str]) -> str:
        return min(panels, key=self.used.index)

    def step(self, by: int) -> None:
        """Give the keys to the next visible panel (or the one before); if only one is visible, to the next of all
        panels."""
        visible = [panel for panel, _ in self.areas()]
        names = visible if len(visible) > 1 else list(PANELS)
        names.sort(key=PANELS.index)
        self.switch_to(names[(names.index(self.current) + by) % len(names)])
