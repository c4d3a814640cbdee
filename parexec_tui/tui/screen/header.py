"""The top of the screen: which session, how far it is, when it will end, and all that is held or wrong."""

import time
from collections.abc import Iterator

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.attention import agent_needs, session_needs
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import COUNTED, SATISFIED, TABLE, TERMINAL, UNSUCCESSFUL
from parexec_tui.text.cells import width_of
from parexec_tui.text.words import clock, day_and_clock, glyph, printable, short_duration
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.view_state import Change, ViewState

_ETA_FOR = 2.0
_ETA_SHARE = 1000
"""An estimate of the end is kept for this many seconds, or this many times as long as it took: it costs O(plan)."""

_MIN_BAR = 8
_MIN_NAME = 16
"""Fewest cells for the name: a long one leaves room for the bar and for what matters more than the time of the
start."""

_COUNTED = sorted(COUNTED, key=lambda status: TABLE[status].header_order)

_Piece = tuple[str, Style | None]


class Header(Widget):
    """Two lines; three where there is room for the bar on a line of its own."""

    def __init__(self, view: ViewState) -> None:
        super().__init__(id="header")
        self.view = view
        self._eta = ""
        self._eta_until = 0.0

    pace = 0.1
    """Seconds between two drawings."""

    def changed(self, change: Change) -> None:
        if change & (Change.state | Change.clock | Change.appearance):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.view.base + self.view.palette["header"]
        line = StyledLine(base, ascii_only=self.view.ascii_only)
        state = self.view.state
        if state is None:
            if y == 0:
                line.add(" parexec", self.view.palette["title"]).add(f"  {self.view.contact}")
            return line.strip(width)
        if y == 0:
            self._first(line, state, width)
        else:
            self._second(line, state, width)
        return line.strip(width)

    # -- the first line: what, and how far -------------------------------------------------------------------

    def _first(self, line: StyledLine, state: SessionState, width: int) -> None:
        palette = self.view.palette
        over = sum(state.counts[status] for status in TERMINAL)
        total = max(1, len(state.tickets))
        right = f" {over * 100 // total:>3}% {over}/{len(state.tickets)}  {self._phase(state)}  {self._when(state)} "
        goes_on = state.opened_at and state.finished_at is None
        elapsed = f"  {short_duration(self.view.now - state.opened_at)}" if goes_on else ""
        room = width - width_of(elapsed) - 2 - _MIN_BAR - width_of(right)
        name = f" {printable(state.plan.settings.name)}"
        line.column(name, min(width_of(name), max(room, _MIN_NAME)), palette["title"], gap=0)
        for text in (f"  {state.session}", f"  {day_and_clock(state.opened_at)}") if width >= 100 else ():
            if line.width + width_of(text) <= room:
                line.add(text, palette["dim"])
        line.add(elapsed)
        room = width - line.width - width_of(right) - 2
        if room >= _MIN_BAR:
            line.add("  ")
            self._bar(line, state, min(room, 40))
        line.fill(width - width_of(right)).add(right)

    def _phase(self, state: SessionState) -> str:
        if state.finished_at is not None:
            return "finished"
        return f"group {min(state.open_group + 1, len(state.groups))}/{len(state.groups)}"

    def _when(self, state: SessionState) -> str:
        if state.finished_at is not None:
            return f"in {format_duration(state.finished_at - state.opened_at)}"
        if self.view.looks_back:
            return f"at {clock(self.view.now)}"
        if state.status != "running":
            self._eta_until = 0.0  # it would be of before
            return "ETA -"
        now = self.view.now
        if now >= self._eta_until:
            began = time.perf_counter()
            found = eta(state, now)
            self._eta_until = now + max(_ETA_FOR, _ETA_SHARE * (time.perf_counter() - began))
            if found is None:
                self._eta = "ETA learning"
            else:
                early, late = short_duration(found.p50), short_duration(found.p90)
                self._eta = f"ETA {early}" if early == late else f"ETA {early}-{late}"
        return self._eta

    def _bar(self, line: StyledLine, state: SessionState, cells: int) -> None:
        """A bar of what is done, failed, running and left. Its characters tell the parts apart, not only its
        colours."""
        counts, total = state.counts, max(1, len(state.tickets))
        bad = sum(counts[status] for status in UNSUCCESSFUL)
        good = sum(counts[status] for status in SATISFIED)
        signs = ("#", "x", ">", ".") if self.view.ascii_only else ("━", "┅", "╾", "─")
        parts = zip((good, bad, len(state.live)), ("bar-done", "bar-failed", "bar-running"), signs, strict=False)
        used = so_far = 0
        for count, meaning, sign in parts:
            so_far += count
            share = min(cells - used, max(1 if count else 0, so_far * cells // total - used))
            line.add(sign * share, self.view.palette[meaning])
            used += share
        line.add(signs[3] * (cells - used), self.view.palette["bar-rest"])

    # -- the second line: counts, and what is not as usual ---------------------------------------------------

    def _second(self, line: StyledLine, state: SessionState, width: int) -> None:
        right = list(self._alerts(state))
        taken = sum(width_of(text) + 1 for text, _ in right)
        line.add(" ")
        for text, style in self._counts(state):
            if line.width + width_of(text) + 2 + taken > width:
                break
            line.add(text, style).add("  ")
        line.fill(width - taken)
        for text, style in right:
            line.add(text, style).add(" ")

    def _counts(self, state: SessionState) -> Iterator[_Piece]:
        """The counts, the most important first: those that do not fit are left out."""
        counts = state.shown_counts()
        for status in _COUNTED:
            if count := counts[status]:
                sign = glyph(status, ascii_only=self.view.ascii_only)
                yield f"{sign} {count} {status}", self.view.palette.status(status)

    def _alerts(self, state: SessionState) -> Iterator[_Piece]:
        """The alerts, the rarest one last: it stands at the edge of the screen, where it is found most easily."""
        palette = self.view.palette
        held = sum(ticket.status not in TERMINAL for ticket in state.held_tickets.values())
        for what, count in (("ticket", held), ("type", len(state.held_types))):
            if count:
                yield f" {count} {what}{'s' if count > 1 else ''} held ", palette["hold"]
        if quarantined := sum(1 for _ in agent_needs(state)):
            yield f" {quarantined} quarantined ", palette["alert"]
        if state.neighbours and state.left is None and state.finished_at is None:
            more = f" +{len(state.neighbours) - 1}" if len(state.neighbours) > 1 else ""
            yield f" beside {state.neighbours[0].session}{more} ", palette["alert"]
        if self.view.warning:
            yield " CANNOT WRITE ", palette["alert"]
        for need in session_needs(state):
            if need.subject.kind == "host":
                yield f" short of {need.subject.name} ", palette["alert"]
        for word, event in (("HELD", state.held), ("DRAINING", state.draining), ("STOPPING", state.stopping)):
            if event is not None:
                by = f" by {event.by}" if event.by else f": {event.reason}" if event.reason else ""
                yield f" {word}{printable(by)} ", palette["hold"]
        yield self._contact()

    def _contact(self) -> _Piece:
        palette = self.view.palette
        if self.view.looks_back:
            return f" PAST {self.view.past_seq}/{self.view.event_history.last}: end returns ", palette["alert"]
        if self.view.connected:
            return self.view.contact, palette["good" if self.view.contact == "connected" else "warn"]
        return f" {self.view.contact} ", palette["warn"]
