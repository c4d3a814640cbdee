"""The lines above the footer in which the tour says what to press. No dialog: what it talks about stays in sight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from parexec_tui.tui.drawing.line import StyledLine, wrapped
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.view.tour import OVER, STEPS, Facts, Step, Tour
from parexec_tui.tui.view.view_state import ViewState

_CHECK_EVERY = 0.2
"""Seconds between two checks whether the step is done."""


class TourStrip(Widget):
    """Three lines, a few more where they are short, or none where there is no tour."""

    DEFAULT_CSS = "TourStrip { height: 3; width: 1fr; display: none; }"

    def __init__(
        self, view: ViewState, keymap: Keymap[Any], *, facts: Callable[[], Facts | None], toggled: Callable[[], None]
    ) -> None:
        """`facts`: what is so now, once there is a session. `toggled`: called when the lines come or go."""
        super().__init__(id="tour")
        self.view = view
        self._facts = facts
        self._toggled = toggled
        self._keys = {
            action.name.replace("-", "_"): keymap.hint(action.name, ascii_only=view.ascii_only)
            for action in keymap.actions
        }
        self._keys |= {name: str(number) for number, name in enumerate(PANELS, 1)}
        self._tour: Tour | None = None
        self._note: Path | None = None
        self._timer: Timer | None = None
        self.is_shown = False
        self._is_over = False
        """Whether it was walked to its end."""

    def lines_at(self, width: int) -> int:
        """How many lines of a screen of this width it takes: as many as its longest step, so that nothing jumps."""
        if not self.is_shown:
            return 0
        lines = 1 + max(len(self._folded(step, width)) for step in STEPS)
        self.styles.height = lines
        self.view.kept_lines = lines + 1
        return lines

    def begin(self, note: Path) -> str:
        """Go on with the tour from the step that is noted in a file; the file is written as it goes on. Returns what
        to tell the person: what is noted after the step."""
        try:
            noted, _, told = note.read_text(encoding="utf-8").strip().partition(" ")
        except OSError:
            return ""
        self._note, self._tour = note, Tour(int(noted) if noted.isdecimal() else 0)
        self._is_over = noted == OVER
        if not self._is_over:
            self._show(shown=True)
        if told:
            self._save(noted)
        return told

    def next_step(self) -> str:
        """Skip a step, unless all that follows needs it; after the last the tour is over. Go on, if the tour was
        left. Returns what to tell the person."""
        if self._tour is None:
            return "this session is no tour: parexec tour starts one"
        facts = self._facts()
        if self._is_over:
            return "the tour is over: parexec tour begins it again"
        if not self.is_shown:
            self._show(shown=True)
        elif self._tour.must_be_done and facts is not None and not self._tour.step.is_done(facts):
            return f"all that follows needs it: {self._with_keys(self._tour.step.do)}"
        elif self._tour.is_last:
            self._is_over = True
            self._save(OVER)
            self._show(shown=False)
            return "the tour is over"
        else:
            self._tour.skip()
            self._changed()
        return ""

    def leave(self) -> None:
        """Take the lines away; `next_step` goes on."""
        self._show(shown=False)

    def _show(self, *, shown: bool) -> None:
        self.display = self.is_shown = shown
        self.view.kept_lines = 0
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(_CHECK_EVERY, self._check) if shown else None
        self._toggled()

    def _check(self) -> None:
        facts = self._facts()
        if facts is not None and self._tour is not None and self._tour.advance(facts):
            self._changed()

    def _changed(self) -> None:
        assert self._tour is not None
        self._save(str(self._tour.at))
        self.refresh()

    def _save(self, text: str) -> None:
        if self._note is not None:
            try:
                self._note.write_text(text, encoding="utf-8")
            except OSError:
                self._note = None  # the disk is full, say: the tour begins anew next time

    # -- what it says ----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        palette = self.view.palette
        line = StyledLine(self.view.base, ascii_only=self.view.ascii_only)
        if self._tour is None:
            return line.strip(width)
        if y == 0:
            dash = "-" if self.view.ascii_only else "─"
            line.add(dash, palette["border-focus"])
            line.add(f" Tour {self._tour.at + 1} of {len(STEPS)} ", palette["title"])
            does = "ends" if self._tour.is_last else "skips"
            keys = " esc leaves " if self._tour.must_be_done else f" {self._keys['tour']} {does}, esc leaves "
            line.fill(width - len(keys) - 1, dash, palette["border-focus"])
            return line.add(keys, palette["dim"]).fill(width, dash, palette["border-focus"]).strip(width)
        texts = self._folded(self._tour.step, width)
        if y > len(texts):
            return line.strip(width)
        text, is_first = texts[y - 1]
        sign = " " if y > 1 else ">" if self.view.ascii_only else "▶"
        style = palette["title" if is_first else "text"]
        return line.add(f" {sign} ", palette["title"]).column(text, width - 4, style).strip(width)

    def _folded(self, step: Step, width: int) -> list[tuple[str, bool]]:
        """The lines of a step, and whether each says what to do."""
        room = max(1, width - 4)
        return [
            (text, sentence is step.do)
            for sentence in (step.do, step.say)
            for text in wrapped(self._with_keys(sentence), room)
        ]

    def _with_keys(self, text: str) -> str:
        return text.format_map(self._keys)
