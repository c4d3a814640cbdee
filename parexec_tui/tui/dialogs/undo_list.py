"""What persons did in the session, newest first: what of it can be taken back, what cannot, and why."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.verbs.undo import history
from parexec_tui.core.state.events import OperatorActed
from parexec_tui.core.state.people import who
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.cells import width_of
from parexec_tui.text.words import clock, printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.outlook import outlook
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.listing import Listing
from parexec_tui.tui.widgets.page import Page

_PREVIEW = 4
"""Lines for what it would mean to take the one under the cursor back."""

_WIDEST_NAME = 20
"""Cells for who did it."""

_LOOK_EVERY = 0.5
"""Seconds between two checks whether somebody has done something else."""


class Done(NamedTuple):
    """An action of a person."""

    action: OperatorActed
    why_not: str
    """Why it cannot be taken back; empty: it can, after those that are newer."""


class UndoList(Dialog[Sequence[OperatorActed]]):
    """Returns the actions to take back, the newest first: the one that was chosen, and all that are newer."""

    heading = "Done by persons, newest first"
    is_wide = True
    keys: KeyWords = (("enter", "take it back"), ("j k", "choose"), ("escape", "close"))

    DEFAULT_CSS = "UndoList Page { width: 1fr; margin-top: 1; }"

    def __init__(self, view: ViewState, refusal: Callable[[], Refusal | None]) -> None:
        """`refusal`: why nothing can be asked of the engine now, if so."""
        super().__init__(view)
        self._refusal = refusal
        self._list = ActionList(view, moved=self._show_preview)
        self._preview = Page(view, (), chrome=CHROME + 4, height=_PREVIEW)
        self._shown: Sequence[OperatorActed] = ()

    def content(self) -> ComposeResult:
        yield self._list
        yield self._preview

    def on_mount(self) -> None:
        self._read()
        self.set_interval(_LOOK_EVERY, self._look)

    def _look(self) -> None:
        state = self.view.state
        if state is not None and state.actions != self._shown:
            self._read()

    def _read(self) -> None:
        """Show what was done by now; the cursor stays on the action that it is on."""
        state = self.view.state
        assert state is not None
        self._shown = state.actions
        self._list.show([Done(*each) for each in history(state, self.view.now)])
        self._show_preview()

    def take_key(self, name: str) -> bool:
        if name in ("enter", "u"):
            self._take_back()
        elif name == "U":
            self.leave()
        else:
            return self._list.take_key(name)
        return True

    def _take_back(self) -> None:
        found = self._list.done[: self._list.cursor + 1]
        if found and not found[-1].why_not and self._refusal() is None:
            self.dismiss([each.action for each in found if not each.why_not])

    # -- what it would mean ----------------------------------------------------------------------------------

    def _show_preview(self) -> None:
        self._preview.show(self._lines())

    def _lines(self) -> Sequence[Text]:
        if not self._list.done:
            return []
        chosen = self._list.done[self._list.cursor]
        if chosen.why_not:
            return [self.styled(f"cannot be taken back: {chosen.why_not}", "warn")]
        if (refused := self._refusal()) is not None:
            return [self.styled(str(refused), "warn")]
        newer = [each.action.text for each in self._list.done[: self._list.cursor] if not each.why_not]
        if newer:
            return [
                self.styled(f"takes back what is newer, too, the newest first: {listed(newer, limit=5)}", "warn"),
                self.styled("it ends where one of them cannot be taken back any more", "dim"),
            ]
        state = self.view.state
        assert state is not None
        return self.outlook_lines(
            outlook(state, rq.Undo(at=chosen.action.at, text=chosen.action.text), self.view.now)
        )


class ActionList(Listing):
    """The rows: when, who, what; and why it cannot be taken back."""

    def __init__(self, view: ViewState, *, moved: Callable[[], None]) -> None:
        super().__init__(view, chrome=CHROME + 1 + _PREVIEW)
        self.done: Sequence[Done] = ()
        self._moved = moved
        self._width = 0

    def show(self, done: Sequence[Done]) -> None:
        """Show these actions; the cursor stays on the action that it is on, if that is still there."""
        before = self.done[self.cursor].action if self.done else None
        self.done = done
        self._width = min(max((width_of(self._who(each.action)) for each in done), default=0), _WIDEST_NAME)
        self.put_cursor(next((at for at, each in enumerate(done) if each.action == before), 0))
        self.refresh(layout=True)

    @property
    def count(self) -> int:
        return len(self.done)

    def cursor_moved(self) -> None:
        self._moved()

    def empty_text(self) -> str:
        return "nobody has done anything in this session that is not taken back"

    def _who(self, action: OperatorActed) -> str:
        return printable(who(action.by, self.view.me))

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        action, why_not = self.done[index]
        dim = self.style("dim")
        line.column(clock(action.at), 8, dim)
        line.column(self._who(action), self._width, dim)
        is_below = index > 0 and action.inverse  # one that is newer stays: that one says why
        final = "  (stays)" if why_not and is_below else f"  (stays: {why_not})" if why_not else ""
        line.column(printable(action.text + final), width - line.width + 1, dim if why_not else None, gap=0)
