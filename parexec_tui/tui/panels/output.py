"""The output of the selected ticket: of its latest attempt, or of an earlier one."""

from textual.app import ComposeResult
from textual.geometry import Spacing
from textual.strip import Strip
from textual.timer import Timer

from parexec_tui.text.report import attempt_output
from parexec_tui.tui.output.log_view import LogView
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.panel import Panel

POLL_EVERY = 0.1
"""Seconds between two reads of the log while it is visible and its attempt runs."""

POLL_IDLY_EVERY = 1.0
"""The same for an attempt that is over: only processes that it left behind can still write."""


class OutputPanel(Panel):
    """A title, and the view of a log below it."""

    title = "Output"
    short_title = "Out"
    name_ = "output"
    keeps_end = True
    watches = Change.state | Change.selection | Change.appearance

    DEFAULT_CSS = "OutputPanel { layout: vertical; } OutputPanel LogView { height: 1fr; width: 1fr; }"

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.log_view = LogView(lambda meaning: view.base + view.palette[meaning], restated=self._restated)
        self.log_view.can_focus = False
        self.searched = ""
        self._shown: tuple[str, int] = ("", 0)
        """The ticket and the attempt that are shown."""
        self._chosen = 0
        """The attempt that the person chose; 0: the latest."""
        self._next_poll: Timer | None = None
        self._polls_often = False

    def compose(self) -> ComposeResult:
        yield self.log_view

    def on_mount(self) -> None:
        self._poll()

    def subtitle(self) -> str:
        ticket, attempt = self._shown
        if not ticket:
            return ""
        of = f" attempt {attempt}" if attempt > 1 or self._chosen else ""
        status = self.log_view.status_text
        if self.view.ascii_only:
            status = status.replace("·", "-")
        return f"{ticket}{of}{'  ' if status else ''}{status}"

    def changed(self, change: Change) -> None:
        if not change & self.watches or self.view.state is None:
            return
        margin = Spacing(1, 0, 0, int(self.has_rule))
        if self.log_view.styles.margin != margin:
            self.log_view.styles.margin = margin
        self._choose_log()
        if change & Change.appearance:
            self.log_view.restyle()
        self.refresh()

    def _choose_log(self) -> None:
        """Open the log of the ticket and attempt, unless it is open."""
        ticket = self.view.ticket
        id_ = ticket.id if ticket is not None else ""
        if id_ != self._shown[0]:
            self._chosen = 0
        attempt = self._chosen or (ticket.attempts if ticket is not None else 0)
        if (id_, attempt) == self._shown:
            return
        self._shown = id_, attempt
        if self._next_poll is not None and ticket is not None and ticket.is_live and not self._polls_often:
            self._next_poll.stop()
            self._poll()
        there = ticket is not None and attempt > 0
        self.log_view.open(attempt_output(self.state, ticket, attempt) if ticket is not None and there else None)

    def _poll(self) -> None:
        """Read the log, and again after a while: often while its attempt runs."""
        ticket = self.view.ticket
        is_live = ticket is not None and ticket.is_live
        self._next_poll = self.set_timer(POLL_EVERY if is_live else POLL_IDLY_EVERY, self._poll)
        self._polls_often = is_live
        if self.display and self.screen is self.app.screen:
            self.log_view.poll()

    def _restated(self) -> None:
        self.refresh(self.title_region)

    def body_line(self, y: int, width: int) -> Strip:  # noqa: ARG002
        return self.line().strip(width)

    # -- what keys do ----------------------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        self.log_view.scroll_lines(rows)

    def move_page(self, pages: int) -> None:
        self.log_view.scroll_pages(pages)

    def move_across(self, steps: int) -> None:
        self.log_view.scroll_columns(8 * steps)

    def go_first(self) -> None:
        self.log_view.scroll_home()

    def go_last(self) -> None:
        self.log_view.scroll_end()

    def text_to_copy(self) -> str:
        return self.log_view.visible_text()

    def search(self, text: str) -> None:
        """Go to the next line with this text; an empty text removes the marks."""
        self.searched = text
        self.log_view.search(text)

    def next_match(self, *, backwards: bool) -> None:
        self.log_view.search_next(backwards)

    def next_error(self) -> None:
        self.log_view.next_error(backwards=False)

    def toggle_wrap(self) -> str:
        """Fold long lines, or cut them; returns which, in words."""
        return "long lines are folded" if self.log_view.toggle_wrap() else "long lines are cut; h and l scroll"

    def toggle_times(self) -> str:
        """Show the time of each line, or not; returns which, in words."""
        is_on = self.log_view.toggle_times()
        return "when each line came, as far as it came while it was on the screen" if is_on else "without times"

    def step_attempt(self, by: int) -> str:
        """Show the output of an earlier or later attempt. Returns why it cannot, in words; empty if it can."""
        ticket = self.view.ticket
        if ticket is None or not ticket.attempts:
            return "nothing has run yet"
        wanted = self._shown[1] + by
        if not 0 < wanted <= ticket.attempts:
            return f"attempt {self._shown[1]} is the {'first' if by < 0 else 'latest'}"
        self._chosen = 0 if wanted == ticket.attempts else wanted
        self._choose_log()
        self.refresh()
        return f"attempt {wanted} of {ticket.attempts}"
