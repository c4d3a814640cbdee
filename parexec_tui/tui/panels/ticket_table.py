"""How the table of tickets looks: its title line, its columns, its rows."""

import time
from operator import attrgetter

from parexec_tui.core.plan.hosts import shown_host
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.status import PENDING, TERMINAL, Status, short_word
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.protocol import Doing
from parexec_tui.text.cells import width_of
from parexec_tui.text.coding import doing_text
from parexec_tui.text.words import printable, short_duration, step_text
from parexec_tui.tui.drawing.line import StyledLine, fitted
from parexec_tui.tui.drawing.sign import CUT, FOLDED, MARK, UNFOLDED
from parexec_tui.tui.drawing.ticket_columns import RowKind, TicketColumns, ticket_columns
from parexec_tui.tui.view.facts import reason_of
from parexec_tui.tui.view.ticket_list import Heading, TicketList
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_MARK = 2
"""Cells before the first column, for the mark."""

_LEAST_NAME = 8
"""Cells that the name of a family has at least, however long its counts are."""

_NAMES, _BESIDE_TITLE, _LEAST_TITLE = 2, 32, 15
"""Most names of panels in the title line beside the title of a ticket; cells for them and the frame; fewest cells for
the title."""

_ticket_fields = attrgetter(*TicketState.__slots__)
_attempt_fields = attrgetter(*Attempt.__slots__)
"""All that is known of a ticket and of its attempt."""

_SHARE = 10
"""What rows say of a ticket that depends on other tickets is found again after an event, but not before this multiple
of the time has passed that it took last. Until then a row may be out of date, for a second at most."""


class TicketTable(RowsPanel):
    """Draws the rows of a list of tickets. It changes neither the list nor the selection."""

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.list = TicketList()
        self._widths: tuple[int, int, int, int] = (4, 0, 0, 0)
        """Cells of the longest id, of the longest name of an agent, of the longest word for how one failed, of the
        longest name of a host."""
        self._said: dict[str, tuple[str, str]] = {}
        """ticket: its status and reason as its row has them, which depend on other tickets too. They are found again
        after an event, for the rows that are visible then."""
        self._said_of: object = None
        """The session of which this is."""
        self._took = self._due = 0.0
        """Seconds that it took, and when it may be done again."""

    @property
    def count(self) -> int:
        return len(self.list.rows)

    # -- what a row shows ------------------------------------------------------------------------------------

    @property
    def has_selected(self) -> bool:
        """Whether the cursor is on the selected ticket. If not, a fold or a filter hides the selected ticket."""
        return self.count > 0 and self.list.rows[self.cursor] == self.view.selected

    def is_under_cursor(self, index: int) -> bool:
        return index == self.cursor and (self.has_selected or isinstance(self.list.rows[index], Heading))

    def empty_text(self) -> str:
        if self.list.filter:
            return f"no ticket is like {self.list.filter}: esc takes the filter away"
        return "nothing has failed and nothing is held: ! shows all" if self.list.problems_only else "no tickets"

    def row_ticks(self, index: int) -> bool:
        row = self.list.rows[index]
        ticket = self.state.tickets.get(row) if isinstance(row, str) else None
        return ticket is not None and ticket.status not in TERMINAL

    def row_key(self, index: int) -> object:
        row = self.list.rows[index]
        ticket = self.state.tickets.get(row) if isinstance(row, str) else None
        if ticket is None:
            return row
        attempt = _attempt_fields(ticket.attempt) if ticket.attempt is not None else None
        looks = row in self.view.marks, self._widths, self.state.graph  # of all tickets, since ids are cut apart
        return _ticket_fields(ticket), attempt, looks, self._what_is_said(ticket)

    def changed(self, change: Change) -> None:
        state, now = self.view.state, time.perf_counter()
        if state is not self._said_of or (change & Change.state and now >= self._due):
            self._said, self._said_of, self._took = {}, state, 0.0
        super().changed(change)
        self._due = max(self._due, now + _SHARE * self._took)

    def _what_is_said(self, ticket: TicketState) -> tuple[str, str]:
        said = self._said.get(ticket.id)
        if said is None:
            began = time.perf_counter()
            reason = reason_of(self.state, ticket, self.view.now, self.view.me)
            said = self._said[ticket.id] = display_status(self.state, ticket), reason
            self._took += time.perf_counter() - began
        return said

    # -- drawing ---------------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        state = self.view.state
        if state is None:
            return ""
        total = len(state.tickets)
        parts = [f"{self.list.shown} of {total}" if self.list.shown != total else str(total)]
        if self.list.problems_only:
            parts.append("problems")
        if self.list.filter:
            parts.append(f"/{self.list.filter}")
        if self.list.grouping == "none" and self.list.sort == "plan" and not self.list.is_reversed:
            parts.append("in plan order")
        if self.list.sort != "plan" or self.list.is_reversed:
            parts.append(f"by {self.list.sort}{' reversed' if self.list.is_reversed else ''}")
        if marked := len(self.view.marks & state.tickets.keys()):
            parts.append(f"{marked} marked")
        counts = ", ".join(parts)
        return f"{self._title_of_selected(self.body_width - _BESIDE_TITLE - width_of(counts))}{counts}"

    def _title_of_selected(self, room: int) -> str:
        """The title of the selected ticket in at most so many cells, for the title line: where it has no column, the
        row has a reason in its place, or cuts it. Empty if there is hardly room."""
        ticket = self.view.ticket
        if ticket is None or room < _LEAST_TITLE or len(self.tabs) > _NAMES or not self.has_selected:
            return ""
        if self._columns(self.body_width - 2).title:
            return ""
        title, between = printable(ticket.spec.title), " - " if self.view.ascii_only else " · "
        if not title:
            return ""
        end = CUT[self.view.ascii_only]
        return fitted(title, min(width_of(title), room - len(between)), end=end) + between

    def _columns(self, width: int) -> TicketColumns:
        return ticket_columns(width - _MARK, *self._widths)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        columns, dim = self._columns(width), self.style("dim")
        line.add(" " * _MARK)
        line.column("STATUS" if columns.has_words else "", columns.status, dim).column("ID", columns.id_, dim)
        line.column("TITLE", columns.title, dim).column("PRIORITY", columns.priority, dim)
        line.column("TIME", columns.time, dim, align="right").column("AGENT", columns.agent, dim)
        line.column("HOST", columns.host, dim).column("PROGRESS", columns.progress, dim)
        both = "WHY, OR TITLE"
        last = "WHY" if columns.title or columns.why < len(both) else both
        line.column(last, columns.why, dim, gap=0)

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        row = self.list.rows[index]
        if isinstance(row, Heading):
            self._draw_group(line, row, width)
        elif (ticket := self.state.tickets.get(row)) is not None:  # else dropped; new rows come in a moment
            self._draw_ticket(line, ticket, width, is_here=self.is_under_cursor(index))

    def _draw_group(self, line: StyledLine, heading: Heading, width: int) -> None:
        sign = (FOLDED if heading.is_folded else UNFOLDED)[self.view.ascii_only]
        said = "" if heading.text else f"{heading.done} of {heading.total} done"
        line.add(f"{sign} ", self.style("title"))
        if heading.name:  # it is shortened before the counts are
            room = max(_LEAST_NAME, width - line.width - 2 - width_of(heading.text))
            line.column(heading.name, min(room, width_of(heading.name)), self.style("title"), gap=0)
            line.add("  ", self.style("title"))
        line.add(heading.text or heading.key, self.style("title"))
        line.add("  ").column(said, width - line.width - 2, self.style("dim"), gap=0)
        line.fill(width)

    def _draw_ticket(self, line: StyledLine, ticket: TicketState, width: int, *, is_here: bool) -> None:
        columns, kind = self._columns(width), self._row_kind(ticket)
        word = display_status(self.state, ticket)
        status = f"{self.glyph(word)} {short_word(word)}" if columns.has_words else self.glyph(word)
        if ticket.id in self.view.marks:
            line.add(MARK[self.view.ascii_only], self.style("mark")).add(" ")
        else:
            line.add(" " * _MARK)
        line.column(status, columns.status, self.view.palette.status(word))
        line.column(
            self.view.short_ticket(ticket.id, columns.id_), columns.id_, self.style("title") if is_here else None
        )
        line.column(printable(ticket.spec.title), columns.title)
        line.column(
            ticket.spec.priority.value, columns.priority, self.style(f"priority-{ticket.spec.priority.value}")
        )
        why = columns.reason(kind)
        begin = width - why
        if line.width < begin:
            line.column(self._time(ticket), columns.time, align="right")
        if line.width < begin:
            agent = self.view.short_agent(ticket.agent or "", columns.agent)
            line.column(agent, columns.agent, None if ticket.is_live else self.style("dim"))
        if line.width < begin:
            host = shown_host(self.state.host_of(ticket)) if columns.host and ticket.agent else ""
            line.column(printable(host), columns.host, None if ticket.is_live else self.style("dim"))
        if line.width < begin:
            self.draw_progress(line, ticket, columns.progress)
        reason = self._reason(ticket, why)
        if not reason and (doing := self.view.doing(ticket)) is not None and doing.what:
            self._draw_doing(line, doing, why)
            return
        told = self.view.told_progress(ticket) if not reason else None
        if told is not None and (step := step_text(told)):
            title = "" if columns.title else printable(ticket.spec.title)
            line.column(f"{step}  {title}", why, gap=0)
        elif reason or columns.title:
            is_bad = (ticket.status is Status.failed and not ticket.is_allowed) or ticket.is_frozen
            line.column(reason, why, None if is_bad else self.style("dim"), gap=0)
        else:
            line.column(printable(ticket.spec.title), why, gap=0)

    def _draw_doing(self, line: StyledLine, doing: Doing, cells: int) -> None:
        """What its coding agent does now, and for how long: of a long command the end is cut, not the time."""
        what, lasts = doing_text(doing, self.view.now)
        room = cells - len(lasts) - 1 if lasts else cells
        line.add(fitted(what, min(width_of(what), max(room, 1)), end=CUT[self.view.ascii_only]))
        line.add(f" {lasts}" if lasts else "", self.style("dim"))

    def _reason(self, ticket: TicketState, cells: int) -> str:
        """Why a ticket does not run, in so many cells if that can be: first ids are cut, then needs are counted."""
        state, now, me = self.state, self.view.now, self.view.me
        reason = self.view.short_ids(reason_of(state, ticket, now, me), cells)
        if width_of(reason) <= cells or ticket.status not in PENDING:
            return reason
        return self.view.short_ids(reason_of(state, ticket, now, me, is_brief=True), cells)

    def _row_kind(self, ticket: TicketState) -> RowKind:
        if ticket.status in PENDING or ticket.attempt is None:
            return "pending"
        if ticket.status is Status.succeeded:
            return "untold"
        if ticket.shown_status is not Status.running:
            return "stopped"
        is_told = self.view.told_progress(ticket) is not None or self.view.expected_share(ticket) is not None
        return "running" if is_told else "untold"

    def _time(self, ticket: TicketState) -> str:
        if ticket.is_asking and (since := ticket.live_attempt.asks_since) is not None:
            return short_duration(max(0.0, self.view.now - since))
        if ticket.is_live:
            return short_duration(ticket.worked(self.view.now))
        if ticket.attempt is not None and ticket.status in TERMINAL and ticket.status is not Status.waived:
            return short_duration(ticket.worked(self.view.now))
        return ""
