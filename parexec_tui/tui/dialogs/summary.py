"""The summary of a finished session: counts, what took longest, what failed and its last lines of output."""

import shlex
from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import Literal, NamedTuple

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.attempt_output import attempt_output, last_lines
from parexec_tui.text.failures import failure_groups
from parexec_tui.text.words import glyph, printable, subject_width
from parexec_tui.tui.dialogs.dialog import CHROME, HEADER_LINES, Dialog
from parexec_tui.tui.drawing.sign import CURSOR
from parexec_tui.tui.view.facts import reason_of
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page

_MAX_SLOW = 5
_MAX_FAILED = 20
"""Failed tickets that are listed with their last lines; of more only the number is shown."""
_LAST_LINES = 3
_STATUS = len("? could not start ")


class Choice(NamedTuple):
    """What the person chose."""

    action: Literal["retry", "rollback", "output", "copy"]
    ticket: str = ""
    text: str = ""
    """The text to copy."""


class Summary(Dialog[Choice]):
    """Stays until the person closes it."""

    heading = "Finished"
    is_wide = True
    comes_by_itself = True

    kept_top = HEADER_LINES

    DEFAULT_CSS = "Summary Page { width: 1fr; }"

    def __init__(self, view: ViewState) -> None:
        super().__init__(view)
        assert view.live is not None
        self._state: SessionState = view.live
        groups = [group for group in failure_groups(self._state) if group[0].status is Status.failed]
        self._failed = [group[0] for group in groups]
        """The first of each group of tickets that failed alike."""
        self._alike = {group[0].id: len(group) for group in groups}
        self._half_done = tuple(self._state.half_done)
        """Tickets that are taken back in part only: that is completed before they run again."""
        self._count = sum(self._alike[each.id] for each in self._failed if not each.is_allowed)
        """Those that may not fail: the others call nobody."""
        self._slowest = nlargest(_MAX_SLOW, self._state.tickets.values(), key=_took)
        self._at = 0
        named = self._failed[:_MAX_FAILED]
        self._width = subject_width(ticket.id for ticket in named)
        self._tails = {ticket.id: _tail(self._state, ticket) for ticket in named}
        again, copy = ("r", f"retry {self._count} failed"), ("y", "copy command")
        if self._half_done:
            again = ("Z", f"roll back the rest of {listed(self._half_done, 2)}")
        keys = (again, ("enter", "output"), copy) if self._count else (("enter", "output"),)
        self.keys = [*(keys if self._failed else ()), ("escape", "close")]
        self._page = Page(view, (), chrome=CHROME + HEADER_LINES)
        self._places: list[int] = []
        """The line of each failure."""

    def content(self) -> ComposeResult:
        yield self._page

    def on_mount(self) -> None:
        self._page.show(self._lines())

    # -- keys ------------------------------------------------------------------------------------------------

    def take_key(self, name: str) -> bool:
        match name:
            case "Z" if self._half_done:
                self.dismiss(Choice("rollback"))
            case "r" | "R" if self._count and not self._half_done:
                self.dismiss(Choice("retry"))
            case "enter" if self._failed:
                self.dismiss(Choice("output", self._failed[self._at].id))
            case "y" if self._count:
                self.dismiss(Choice("copy", text=self._command))
            case "j" | "down" if self._tails:
                self._choose(self._at + 1)
            case "k" | "up" if self._tails:
                self._choose(self._at - 1)
            case _:
                return self._page.take_key(name)
        return True

    def _choose(self, at: int) -> None:
        """Highlight another failure, and scroll to it."""
        self._at = max(0, min(at, len(self._tails) - 1))
        top = self._page.top
        self._page.show(self._lines())
        self._page.move(top)
        self._page.reveal(self._places[self._at], _LAST_LINES + 1)

    @property
    def _command(self) -> str:
        if self._half_done:
            return shlex.join(["parexec", "rollback", *self._half_done, "-s", self._state.session])
        return f"parexec resume {self._state.session} --retry-failed"

    # -- what it says ----------------------------------------------------------------------------------------

    def _lines(self) -> list[Text]:
        lines = list(self._counts())
        self._places = []
        if self._failed:
            lines += [Text(""), self.styled("What failed", "title")]
        for at, ticket in enumerate(self._failed[:_MAX_FAILED]):
            self._places.append(len(lines))
            lines += self._failure(ticket, is_here=at == self._at)
        if more := sum(self._alike[ticket.id] for ticket in self._failed[_MAX_FAILED:]):
            lines.append(self.styled(f"and {more} more: ! shows them", "dim"))
        if self._count:
            what = "to take back the rest" if self._half_done else "to run them again"
            lines.append(self.styled(f"{what}: {self._command}", "dim"))
        return [*lines, *self._longest()]

    def _counts(self) -> Iterator[Text]:
        state = self._state
        seconds = (state.finished_at or state.now) - state.opened_at
        line = self.styled(f"{format_count(len(state.tickets), 'ticket')} in {format_duration(seconds)}: ", "text")
        for status, count in state.shown_counts().items():
            if count:
                sign = glyph(status, ascii_only=self.view.ascii_only)
                line.append(f"{sign} {count} {status}  ", self.view.palette.status(status))
        yield line
        at_once = state.busy_for / seconds if seconds > 0 else 0.0
        yield self.styled(f"{format_duration(state.busy_for)} of work, {at_once:.1f} at once", "dim")
        if state.unclaimed:
            whom = listed(state.unclaimed, 3)
            yield self.styled(f"wrote what they do not claim: {whom}; parexec claims names the files", "warn")
        yield self.styled(f"{state.retried} tried again, {state.serialised} had to wait for a claim", "dim")

    def _longest(self) -> Iterator[Text]:
        took = [(_took(ticket), ticket) for ticket in self._slowest if _took(ticket) > 0]
        if len(took) < 2:
            return
        yield Text("")
        yield self.styled("What took longest", "title")
        ids = subject_width(ticket.id for _, ticket in took)
        for seconds, ticket in took:
            line = self.styled(f"{format_duration(seconds):>8}  ", "text").append(f"{ticket.id:<{ids}}")
            yield line.append(f"  {printable(ticket.spec.title)}", self.view.palette["dim"])

    def _failure(self, ticket: TicketState, *, is_here: bool) -> Iterator[Text]:
        palette = self.view.palette
        word = display_status(self._state, ticket)
        cursor = CURSOR[self.view.ascii_only] if is_here else " "
        line = Text(cursor, palette["title"])
        said = f"{glyph(word, ascii_only=self.view.ascii_only)} {word}"
        line.append(f"{said:<{_STATUS}}", palette.status(word))
        line.append(f"{ticket.id:<{self._width}}  ", palette["title"])
        if (others := self._alike[ticket.id] - 1) > 0:
            line.append(f"and {others} more: ", palette["title"])
        line.append(reason_of(self._state, ticket, self.view.now), palette["text"])
        if is_here:
            line.stylize(palette["selection"])
        yield line
        yield from (self.styled(f"   {text}", "dim") for text in self._tails[ticket.id])


def _took(ticket: TicketState) -> float:
    return ticket.worked(ticket.ended) if ticket.ended else 0.0


def _tail(state: SessionState, ticket: TicketState) -> Sequence[str]:
    """Its last lines, without the one that its row says as its reason."""
    if not ticket.attempts:
        return ()
    lines = last_lines(attempt_output(state, ticket), _LAST_LINES + 1)
    return [line for line in lines if line.strip() != ticket.error_line][-_LAST_LINES:]
