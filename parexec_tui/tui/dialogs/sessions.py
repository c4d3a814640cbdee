"""The list of sessions: how each stands, how far it is, how old. Enter shows one of them instead of this one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.sessions import DAMAGED, IMPORTED
from parexec_tui.text.words import day_and_clock, printable, short_duration
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import DONE, LEFT
from parexec_tui.tui.view.session_list import Listed, SessionList, ask_engines, read_sessions
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.listing import Listing
from parexec_tui.tui.widgets.page import Page

_PREVIEW = 3
"""Lines about the session under the cursor."""

READ_EVERY = 1.0
"""Seconds between two reads of the registry."""

_ASK_EVERY = 5
"""Engines are asked with each of so many reads."""

_STATUS, _BAR, _AGE = 13, 8, 6

_SIGNS = {
    "running": "running",
    "held": "held",
    "frozen": "frozen",
    "draining": "draining",
    "finished": "succeeded",
    "interrupted": "failed",
    DAMAGED: "failed",
    "stopping": "stopping",
    "stopped": "cancelled",
    "restarting": "retry",
}
"""status of a session: the status of tickets whose sign and style it has"""


class Sessions(Dialog[str]):
    """Returns the session to show."""

    heading = "Sessions"
    is_wide = True
    keys: KeyWords = (("enter", "show it"), ("j k", "choose"), ("escape", "stay"))

    DEFAULT_CSS = "Sessions Page { width: 1fr; margin-top: 1; }"

    def __init__(self, view: ViewState, here: str) -> None:
        """`here`: the session that is shown now."""
        super().__init__(view)
        self._list = SessionRows(view, here, moved=self._show_preview)
        self._preview = Page(view, (), chrome=CHROME + 3, height=_PREVIEW)
        self._found = SessionList(())
        self._needs: dict[str, int] = {}
        self._error = ""

    def content(self) -> ComposeResult:
        yield self._list
        yield self._preview

    def on_mount(self) -> None:
        self.run_worker(self._read_on(), exclusive=True)

    async def _read_on(self) -> None:
        """Read what sessions there are, again and again while the list is open."""
        turn = 0
        while True:
            try:
                found = await asyncio.to_thread(read_sessions)
                error = ""
            except RegistryError as wrong:
                found, error = self._found, str(wrong)
            self._show(found, self._needs, error)
            if turn % _ASK_EVERY == 0:
                needs = await asyncio.to_thread(ask_engines, found.sessions)
                self._show(found, needs, error)
            turn += 1
            await asyncio.sleep(READ_EVERY)

    def _show(self, found: SessionList, needs: dict[str, int], error: str) -> None:
        """Show what is known by now, if that is something new, and the ages."""
        if (found, needs, error) != (self._found, self._needs, self._error):
            self._found, self._needs, self._error = found, needs, error
            self._show_preview()
        self._list.show([each._replace(needs_you=needs.get(each.session)) for each in found.sessions])

    def take_key(self, name: str) -> bool:
        if name == "enter":
            if (chosen := self._list.chosen) is not None:
                self.dismiss(chosen.session)
        elif name == "O":
            self.leave()
        else:
            return self._list.take_key(name)
        return True

    def _show_preview(self) -> None:
        self._preview.show(self._lines())

    def _lines(self) -> Sequence[Text]:
        if self._error:
            return [self.styled(self._error, "bad")]
        lines = [self.styled(f"cannot be read: {listed(self._found.unreadable)}", "bad")]
        lines = lines if self._found.unreadable else []
        chosen = self._list.chosen
        if chosen is None:
            return lines
        row = chosen.row
        ended = f", ended {day_and_clock(row.ended)}" if row.ended is not None and not chosen.is_living else ""
        source = row.source if row.source != "-" else f"read from standard input, works in {row.workdir}"
        lines.append(self.styled(f"{row.session}, started {day_and_clock(row.started)}{ended}", "text"))
        lines.append(self.styled(source, "dim"))
        if remark := _REMARKS.get(chosen.status):
            lines.append(self.styled(remark, "warn"))
        return lines


_REMARKS: Mapping[str, str] = {
    "interrupted": "its engine is gone: show it, and ctrl+r takes it over",
    "restarting": "its engine died, and the next one is being started",
    "stopped": "it was stopped: show it, and ctrl+r goes on with it",
    "not started": "no engine could be started for it",
    IMPORTED: "it was imported: it belongs to another machine, and is only looked at here",
    DAMAGED: "a repair could not save its plan or its events: run its plan again",
}


class SessionRows(Listing):
    """The rows: status, how many succeeded, what went wrong, who needs a person, age, and the name of the plan."""

    has_heading = True

    def __init__(self, view: ViewState, here: str, *, moved: Callable[[], None]) -> None:
        super().__init__(view, chrome=CHROME + 1 + _PREVIEW)
        self.sessions: Sequence[Listed] | None = None
        """None until they are read."""
        self._here = here
        self._moved = moved
        self._succeeded = self._bad = self._needs = 0
        """Cells of these columns: no more than they need, so that names have the room."""

    def show(self, sessions: Sequence[Listed]) -> None:
        """Show these sessions; the cursor stays on the session that it is on, first on the one that is shown."""
        chosen = self.chosen.session if self.chosen is not None else self._here
        is_resized = self.sessions is None or len(sessions) != len(self.sessions)
        is_first = self.sessions is None
        self.sessions = sessions
        self._succeeded, self._bad, self._needs = map(self._widest, (_succeeded, _bad, _needs))
        self.put_cursor(next((at for at, each in enumerate(sessions) if each.session == chosen), self.cursor))
        self.refresh(layout=is_resized)
        if is_first:
            self._moved()

    @property
    def count(self) -> int:
        return len(self.sessions or ())

    @property
    def wanted(self) -> int:
        return max(1, self.count) + 1

    @property
    def chosen(self) -> Listed | None:
        """The session under the cursor; None if there is none."""
        return self.sessions[self.cursor] if self.sessions else None

    def cursor_moved(self) -> None:
        self._moved()

    def empty_text(self) -> str:
        return "reading…" if self.sessions is None and not self.view.ascii_only else "no session is remembered"

    def _widest(self, text: Callable[[Listed], str]) -> int:
        return max((len(text(each)) for each in self.sessions or ()), default=0)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        dim = self.style("dim")
        line.column("STATUS", _STATUS, dim).column("OK", max(2, self._succeeded), dim, align="right")
        line.column("", self._bar(width), dim).column("", self._bad, dim).column("", self._needs, dim)
        line.column("AGE", _AGE, dim, align="right").column("PLAN", width - line.width + 1, dim, gap=0)

    @staticmethod
    def _bar(width: int) -> int:
        return _BAR if width >= 84 else 0

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        assert self.sessions is not None
        each = self.sessions[index]
        row = each.row
        word = _SIGNS.get(each.status, "waiting")
        style = self.view.palette.status("failed" if each.status == "finished" and row.failed else word)
        line.column(f"{self.glyph(word)} {each.status}", _STATUS, style)
        line.column(_succeeded(each), max(2, self._succeeded), align="right")
        self._draw_bar(line, row.succeeded, row.failed, row.total, self._bar(width))
        line.column(_bad(each), self._bad, self.style("bad"))
        line.column(_needs(each), self._needs, self.style("warn"))
        line.column(short_duration(max(0.0, self.view.clock() - each.at)), _AGE, self.style("dim"), align="right")
        is_here = each.session == self._here
        name = f"{'(here) ' if is_here else ''}{printable(row.name)}"
        line.column(name, width - line.width + 1, self.style("title") if is_here else None, gap=0)

    def _draw_bar(self, line: StyledLine, succeeded: int, failed: int, total: int, cells: int) -> None:
        if not cells:
            return
        good = min(cells, cells * succeeded // total) if total else 0
        bad = min(cells - good, -(-cells * failed // total)) if total else 0
        solid, rest = DONE[self.view.ascii_only], LEFT[self.view.ascii_only]
        line.add(solid * good, self.style("good")).add(solid * bad, self.style("bad"))
        line.add(rest * (cells - good - bad), self.style("gauge-track")).add(" ")


def _succeeded(each: Listed) -> str:
    return f"{each.row.succeeded}/{each.row.total}"


def _bad(each: Listed) -> str:
    return f"{each.row.failed} not ok" if each.row.failed else ""


def _needs(each: Listed) -> str:
    return f"{each.needs_you} need{'s' if each.needs_you == 1 else ''} you" if each.needs_you else ""
