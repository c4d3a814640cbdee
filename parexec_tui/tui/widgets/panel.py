"""A panel: a title line, and below it whatever the panel draws."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.geometry import Region, Size
from textual.strip import Strip
from textual.timer import Timer

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.line import StyledLine, fitted
from parexec_tui.tui.drawing.sign import DONE, GUESSED, LEFT
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.drawn import DrawnWidget

_USUAL_SUBTITLE, _LEAST_SUBTITLE = 24, 6
"""Cells of the title line that are left for what stands at its right, where several panels share it."""

_PERCENT = len("100%")


class Panel(DrawnWidget):
    """A panel. The main screen says where it is, and whether it gets the keys."""

    title: ClassVar[str]
    short_title: ClassVar[str] = ""
    """What it is called where there is little room; empty: the title."""
    name_: ClassVar[str]
    """The name that the table of actions and the arrangement use."""
    watches: ClassVar[Change] = Change.state | Change.selection | Change.appearance
    """The changes after which it has to be drawn again."""

    keeps_end: ClassVar[bool] = False
    """Of a subtitle that is too long the end is kept: what is after two blanks, else what fits."""

    pace: ClassVar[float] = 0.2
    """Seconds between two drawings for what happens in the session."""

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, id=self.name_)
        self.number = number
        self._room = Size(0, 0)
        self.is_current = False
        """It gets the keys."""
        self.tabs: Sequence[Panel] = ()
        """The panels that share its area, itself included; empty if it has the area to itself."""
        self.has_rule = False
        """Another panel is at its left, so it draws a vertical rule."""
        self.selected_by_itself: Callable[[], None] = lambda: None
        """Called when the panel selects another ticket although no key asked for it. Set by the main screen."""
        self._next_check: Timer | None = None
        self._next_check_at = 0.0

    @property
    def has_selected(self) -> bool:
        """Whether keys in this panel act on the selected ticket, as far as a person can see."""
        return True

    # -- what a panel is asked -------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Something changed in the view: draw again what shows it."""
        if change & self.watches:
            self.refresh()

    def check_again_in(self, seconds: float) -> None:
        """Check again in so many seconds, even if nothing happens until then; 0 or less: no need."""
        due = time.monotonic() + seconds
        if seconds <= 0 or (self._next_check is not None and self._next_check_at <= due):
            return
        if self._next_check is not None:
            self._next_check.stop()
        self._next_check, self._next_check_at = self.set_timer(seconds, self._check_again), due

    def _check_again(self) -> None:
        self._next_check = None
        if self.display:
            self.changed(Change.state)

    def subtitle(self) -> str:
        """The text after the title: counts, the filter, the order."""
        return ""

    def body_line(self, y: int, width: int) -> Strip:
        """Line `y` below the title, in exactly `width` cells."""
        raise NotImplementedError

    def body_resized(self, width: int, height: int) -> None:
        """The room below the title has this size now."""

    def text_to_copy(self) -> str:
        """The text that the key for copying copies; empty: the id of the selected ticket."""
        return ""

    # -- moving: what the keys of the same name do; nothing, where a panel has no such thing --------------------

    def move(self, rows: int) -> None:
        """Move down by so many rows, or up if negative."""

    def move_page(self, pages: int) -> None:
        """Move down by so many pages, or up if negative."""

    def move_across(self, steps: int) -> None:
        """Move left (-1) or right (1)."""

    def go_first(self) -> None:
        """Move to the first row."""

    def go_last(self) -> None:
        """Move to the last row."""

    def open(self) -> str:
        """Do what enter does. Returns the panel to switch to; empty: none."""
        return "ticket"

    # -- the mouse, where a person turned it on ----------------------------------------------------------------

    def clicked(self, y: int) -> None:
        """A line of the panel was clicked; the title is line 0."""

    def tab_at(self, x: int) -> "Panel | None":
        """The panel whose name is in this column of the title line."""
        at = 1 + self.has_rule
        tabs, between = self._tab_names(self.body_width, width_of(self.subtitle()))
        for panel, name in tabs:
            end = at + width_of(_tab(panel, name))
            if at <= x < end:
                return panel
            at = end + between
        return None

    @property
    def subtitle_room(self) -> int:
        """Cells for a subtitle beside the short names of the other panels."""
        named = (
            (panel, panel.title if panel is self else panel.short_title or panel.title)
            for panel in self.tabs or (self,)
        )
        return max(_LEAST_SUBTITLE, self.body_width - sum(width_of(_tab(panel, name)) for panel, name in named) - 6)

    def _tab_names(self, width: int, subtitle: int) -> "tuple[list[tuple[Panel, str]], int]":
        """The panels of this area with their names, and the cells between two of them.

        Where they do not fit beside the subtitle, there is less between them; then the others have short names; then
        the subtitle is cut; then the others have only their numbers. There is always room for a subtitle of the usual
        length, so that the tabs do not follow each change of it.
        """
        tabs = self.tabs or (self,)
        usual = max(subtitle, min(_USUAL_SUBTITLE, width // 3) if len(tabs) > 2 else 0)
        least = min(subtitle, _LEAST_SUBTITLE)
        whole = [(panel, panel.title) for panel in tabs]
        short = [(panel, panel.title if panel is self else panel.short_title or panel.title) for panel in tabs]
        bare = [(panel, panel.title if panel is self else "") for panel in tabs]
        ways = ((whole, usual, 2), (whole, usual, 0), (short, usual, 0), (short, least, 0), (bare, usual, 0))
        for names, kept, between in (*ways, (bare, least, 0)):
            cells = sum(width_of(_tab(panel, name)) + between for panel, name in names) - between
            if cells + (kept + 6 if kept else 3) <= width:
                return names, between
        return [(self, self.title)], 0

    # -- for those who draw ----------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The session that is shown. Only for use once there is one."""
        assert self.view.state is not None
        return self.view.state

    def draw_progress(self, line: StyledLine, ticket: TicketState, cells: int) -> None:
        """Draw how far a ticket is, and a blank after it; only blanks where nothing tells.

        What its output tells is a percentage and a solid bar; what a coding agent has done of its own list, a count.
        The share of its expected time is a guess: it has a `~`, and its bar is hatched and dim.
        """
        told, expected = self.view.told_progress(ticket), self.view.expected_share(ticket)
        if told is not None:
            share, style, sign = told.percent / 100, "bar-running", DONE
            count = f"{told.done}/{told.total}" if self.view.doing(ticket) is not None else ""
            text = count if 0 < len(count) <= cells else f"{told.percent}%"
        elif expected is not None:
            is_late = expected >= 1.0 and ticket.shown_status is Status.running
            text, share = "late" if is_late else f"~{min(99, int(100 * expected))}%", expected
            style, sign = "warn" if is_late else "dim", GUESSED
        else:
            line.column("", cells)
            return
        before = max(_PERCENT, len(text))
        bar = max(0, cells - before)
        full = int(share * bar + 0.5)
        line.column(text, min(cells, before), self.style(style), align="right", gap=0)
        line.add(sign[self.view.ascii_only] * full, self.style(style))
        line.add(LEFT[self.view.ascii_only] * (bar - full), self.style("gauge-track"))
        line.add(" " if cells else "")

    @property
    def title_region(self) -> Region:
        """The title line, for a panel that has to draw nothing else again."""
        return Region(0, 0, self.size.width, 1)

    @property
    def body_height(self) -> int:
        return max(0, self._room.height - 1)

    @property
    def body_width(self) -> int:
        return max(0, self._room.width - self.has_rule)

    # -- drawing ---------------------------------------------------------------------------------------------

    def size_changed(self) -> None:
        self._room = self.size  # asked for in every line, and Textual looks it up in the screen each time
        self.body_resized(self.body_width, self.body_height)

    def render_line(self, y: int) -> Strip:
        width = self.body_width
        if width <= 0:
            return Strip.blank(self.size.width, self.base)
        if y == 0:
            strip = self._title_line(width)
        elif self.view.state is None:
            strip = self.line().strip(width)
        else:
            strip = self.body_line(y - 1, width)
        if not self.has_rule:
            return strip
        rule = "|" if self.view.ascii_only else "│"
        return Strip.join([self.line().add(rule, self.style("border")).strip(1), strip])

    def _title_line(self, width: int) -> Strip:
        dash = "-" if self.view.ascii_only else "─"
        border = self.style("border-focus" if self.is_current else "border")
        line = self.line().add(dash, border)
        subtitle = self.subtitle()
        tabs, between = self._tab_names(width, width_of(subtitle))
        for panel, name in tabs:
            if between and panel is not tabs[0][0]:
                line.add(" ").add(dash, border)
            is_shown = panel is self
            style = self.style("title") if is_shown and self.is_current else self.style("text" if is_shown else "dim")
            number = self.style("footer-key") if is_shown else style
            line.add(f" {panel.number}", number).add(f" {name}" if name else "", style)
        line.add(" ").add(dash, border)
        if subtitle and (room := width - line.width - 3) > 0:
            if self.keeps_end and room < width_of(subtitle):
                subtitle = subtitle.rpartition("  ")[2]
                excess = width_of(subtitle) - room
                subtitle = line.end + subtitle[excess + 1 :] if excess > 0 else subtitle
            cells = min(room, width_of(subtitle))
            line.fill(width - cells - 3, dash, border)
            line.add(f" {fitted(subtitle, cells, end=line.end)} ", self.style("dim"))
        return line.fill(width, dash, border).strip(width)


def _tab(panel: Panel, name: str) -> str:
    return f" {panel.number} {name}" if name else f" {panel.number}"
