"""The line under the header, while there is something to say: what keeps things from going on, and what helps."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from parexec_tui.core.rules.attention import Subject
from parexec_tui.text.banner import NO_CONTEXT, BannerContext, Piece, pieces
from parexec_tui.text.cells import cut_middle, width_of
from parexec_tui.text.words import printable
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import CUT
from parexec_tui.tui.input.key_names import short_name
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.view.needy import first_subject, goes_to_first
from parexec_tui.tui.view.view_state import Change, ViewState

_LINGER = 3.0
"""Seconds for which the line stays where it has nothing more to say, so that what is below does not jump for what
comes and goes."""

_FADE_LATE = 0.05
"""Seconds after its end at which an action is taken away: timers may be early."""

_MIN_CELLS = 20
"""A piece is cut to this many cells, or it is only counted."""

_NAMED_IN = 16
"""Cells for the name of what a key acts on."""


class Banner(Widget):
    """One line, or none."""

    DEFAULT_CSS = "Banner { height: 1; width: 1fr; display: none; }"

    def __init__(
        self,
        view: ViewState,
        keymap: Keymap[Any],
        *,
        is_target: Callable[[Subject], bool],
        is_at: Callable[[Subject], bool],
        toggled: Callable[[], None],
    ) -> None:
        """`is_target`: whether the keys act on that. `is_at`: whether the person is there.
        `toggled`: called when the line comes or goes."""
        super().__init__(id="banner")
        self.view = view
        self._keymap = keymap
        self._is_target = is_target
        self._is_at = is_at
        self._toggled = toggled
        self._pieces: Sequence[Piece] = ()
        self._hide_timer: Timer | None = None
        self._fade_timer: Timer | None = None
        self.is_shown = False
        """Whether it has its line. `display` is False as well while the app closes."""

    pace = 0.1
    """Seconds between two drawings."""

    def changed(self, change: Change) -> None:
        if change & Change.state and self.view.live is not None:
            self.view.bottlenecks.update(self.view.live, self.view.now)
        if change & (Change.state | Change.clock | Change.appearance):
            self._update()
        if self._pieces and change & (Change.state | Change.clock | Change.selection | Change.appearance):
            self.refresh()

    # -- whether it is there ---------------------------------------------------------------------------------

    def _update(self) -> None:
        """Find what there is to say; appear, or vanish in a moment."""
        before, self._pieces = self._pieces, self._find()
        if self._pieces and self._hide_timer is not None:
            self._hide_timer.stop()
            self._hide_timer = None
        if self._pieces and not self.is_shown:
            self._show(display=True)
        elif before and not self._pieces:
            self._hide_timer = self.set_timer(_LINGER, lambda: self._show(display=False))
            self.refresh()
        left = self.view.recent_actions.ends_in(self.view.clock())
        if left is not None and self._fade_timer is None:
            self._fade_timer = self.set_timer(left + _FADE_LATE, self._fade)

    def _fade(self) -> None:
        """What somebody did is old by now: nothing else may happen that has the line drawn again."""
        self._fade_timer = None
        self._update()
        self.refresh()

    def _show(self, *, display: bool) -> None:
        self._hide_timer = None
        self.display = self.is_shown = display
        self._toggled()

    def _find(self) -> Sequence[Piece]:
        state = self.view.state
        return tuple(pieces(state, self._banner_context())) if state is not None else ()

    def _banner_context(self) -> BannerContext:
        view = self.view
        if view.looks_back:
            return NO_CONTEXT
        return BannerContext(
            view.warning,
            recent_actions=view.recent_actions.shown(view.clock()),
            now=view.now,
            me=view.me,
            bottleneck=view.bottlenecks.worst,
        )

    # -- what it says ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        palette = self.view.palette
        line = StyledLine(self.view.base + palette["header"], ascii_only=self.view.ascii_only).add(" ")
        first = first_subject(self._pieces)
        for number, piece in enumerate(self._pieces):
            left = len(self._pieces) - number - 1
            room = width - line.width - 1 - (len(f"  +{left} more") if left else 0)
            hint = self._hint(piece, first, room)
            taken = _cells(hint)
            if number and room < taken + min(width_of(piece.text), _MIN_CELLS):
                hint, taken = None, 0
            if number and room < min(width_of(piece.text), _MIN_CELLS):
                line.add(f"+{left + 1} more", palette["dim"])
                break
            line.column(piece.text, min(width_of(piece.text), max(room - taken, 1)), palette[piece.tone], gap=0)
            if hint and taken <= room:
                line.add("  ").add(hint[0], palette["footer-key"]).add(f" {hint[1]}", palette["footer-text"])
            line.add(f" {'|' if self.view.ascii_only else '·'} " if left else "", palette["dim"])
        return line.strip(width)

    def _hint(self, piece: Piece, first: Subject | None, room: int) -> tuple[str, str] | None:
        """A key that helps, and what it does to what: to `it`, where there is no room in the line for the name of
        what the piece names."""
        named = self._named_hint(piece, first)
        if named is None:
            return None
        key, does, name = named
        hint = key, f"{does} {self._short(name)}"
        if width_of(piece.text) + _cells(hint) <= room or not _names(piece.text, name):
            return hint
        return key, f"{does} it"

    def _short(self, name: str) -> str:
        """The name of a ticket, an agent or an agent type in few cells."""
        state = self.view.state
        if state is not None and name in state.tickets:
            return self.view.short_ticket(name, _NAMED_IN)
        if state is not None and name in state.agents:
            return self.view.short_agent(name, _NAMED_IN)
        return cut_middle(printable(name), _NAMED_IN, sign=CUT[self.view.ascii_only])

    def _named_hint(self, piece: Piece, first: Subject | None) -> tuple[str, str, str] | None:
        subject = piece.subject
        if (
            subject is not None
            and subject.kind in ("ticket", "agent", "type", "service", "remote")
            and not self._is_target(subject)
        ):
            goes_there = subject == first and goes_to_first(self.view, first, self._is_at)
            return self._key("next-needy", "goes to", subject.name) if goes_there else None
        if subject is not None and subject.kind == "host":
            goes_there = subject == first and goes_to_first(self.view, first, self._is_at)
            return self._key("next-needy", "shows", "the gauges") if goes_there else None
        if piece.remedy is None:
            return None
        is_way_back = piece.remedy.action == "take-over"
        restarts = self._keymap.of(piece.remedy.action).restarts
        can_be_done = self.view.may_take_over if is_way_back else self.view.cannot_steer(restarts=restarts) is None
        if not can_be_done:
            return None
        return self._key(piece.remedy.action, piece.remedy.does, piece.remedy.name or "the session")

    def _key(self, action: str, does: str, name: str) -> tuple[str, str, str] | None:
        keys = self._keymap.of(action).keys
        return (short_name(keys[0], ascii_only=self.view.ascii_only), does, name) if keys else None


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\S){re.escape(name)}(?![^\s,;:])", text) is not None


def _cells(hint: tuple[str, str] | None) -> int:
    """The cells of a hint, with the blanks before it."""
    return width_of(" ".join(hint)) + 2 if hint else 0
