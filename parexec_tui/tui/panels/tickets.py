"""The tickets: which rows there are, which of them is selected, and what keys do to the list."""

import time
from math import inf

from parexec_tui.core.state.status import short_word
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.cells import width_of
from parexec_tui.tui.panels.ticket_table import TicketTable
from parexec_tui.tui.view.ticket_list import GROUPINGS, SORTS, Grouping, Heading, family_key
from parexec_tui.tui.view.view_state import Change, ViewState

_REBUILD_EVERY = 1.0
_SHARE = 30
"""Rows are rebuilt at most this often: in seconds, and in multiples of the time that the last rebuild took."""

_STILL_AFTER_MOVE, _STALE_FOR_AT_MOST = 2.0, 10.0
"""Rows keep their order for so many seconds after the person moved the cursor; however, if that goes on, for no more
than so many."""

_UNATTENDED_AFTER = 10.0
"""When the cursor has not been moved for so many seconds, a list that stood at its top shows its top: the row under
the cursor gives way to what comes in above it."""


class TicketsPanel(TicketTable):
    """The panel of all tickets. The row under the cursor is the selection of the whole screen."""

    title = "Tickets"
    name_ = "tickets"
    watches = Change.state | Change.selection | Change.clock | Change.appearance
    pace = 0.1

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self._of: object = None
        """The session that the rows show."""
        self._known = 0
        self._rebuild_at = 0.0
        self._is_stale = True
        self._stale_since = 0.0
        self._moved_at = -inf
        """When the person moved the cursor last."""
        self._own_choice = ""
        """The ticket that was selected without a person."""
        self._is_at_top = True
        """The person left the list scrolled to its top."""
        self._hidden = "", ""
        """The ticket that was selected before a filter hid it, and the one that is selected instead."""

    # -- rows ------------------------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        state = self.view.state
        if state is None:
            return
        if state is not self._of:
            self._of, self._known = state, -1
            self.list.follow(state)
            self.rebuild()
        elif change & Change.state and not self._is_stale:
            self._is_stale = len(state.tickets) != self._known or not self.list.is_plain or self.list.has_numbers
            self._stale_since = time.monotonic()
        if self._is_stale:
            rest = self._rebuild_due - time.monotonic()
            if rest <= 0:
                self.rebuild()
            else:
                self.check_again_in(rest)  # it may be the last event for long
        if change & Change.selection:
            self._find_selected()
        super().changed(change)

    @property
    def _rebuild_due(self) -> float:
        """When stale rows are to be made again."""
        still = min(self._moved_at + _STILL_AFTER_MOVE, self._stale_since + _STALE_FOR_AT_MOST)
        return max(self._rebuild_at, still)

    def _check_again(self) -> None:
        self._next_check = None
        if not self._is_stale or self.view.state is None:
            return
        if (rest := self._rebuild_due - time.monotonic()) > 0:  # the person has moved the cursor meanwhile
            self.check_again_in(rest)
        else:
            self.rebuild()
            self.refresh_changed()

    def rebuild(self) -> None:
        """Make the rows again. The selected ticket stays on its line of the screen."""
        began = time.monotonic()
        line = self.cursor - self.top
        state = self.state
        self.list.build(state)
        self._is_stale = False
        if len(state.tickets) != self._known:
            self._known = len(state.tickets)
            widest = max(map(width_of, state.tickets), default=2)
            hosts = max((width_of(host) for host in state.hosts), default=0)
            self._widths = (max(2, widest), max(5, *(width_of(type_) + 3 for type_ in state.plan.agents)), 0, hosts)
        words = max((len(short_word(ticket.end or "")) for ticket in state.failed.values()), default=0)
        self._widths = (*self._widths[:2], words, self._widths[3])
        index = self.list.index(self.view.selected)
        if index is None:
            is_away = self.list.by_attention and not self.list.is_filtered and self.view.selected == self._own_choice
            index = 0 if is_away else min(self.cursor, self.count - 1)
        else:
            is_away = False
        self.top = max(0, index - line)
        self.put_cursor(index)
        if self._is_at_top and began - self._moved_at >= _UNATTENDED_AFTER and self.cursor < self.page:
            self.top = 0
        if not self.view.selected or is_away:
            self._select_by_itself()
        ended = time.monotonic()
        self._rebuild_at = ended + max(_REBUILD_EVERY, _SHARE * (ended - began))

    def _select_by_itself(self) -> None:
        """Select what is under the cursor, though no person moved it there: nothing was selected, or what was is
        done and folded away. Such a ticket does not keep its place."""
        row = self.list.rows[self.cursor] if self.count else None
        if isinstance(row, str) and row != self.view.selected:
            self.view.selected = self._own_choice = row
            self.selected_by_itself()

    def _find_selected(self) -> None:
        selected = self.state.tickets.get(self.view.selected)
        if selected is None or selected.id == self._own_choice:
            return
        self._own_choice = ""
        if self.list.by_attention:
            self._show(selected)
        elif self.list.index(selected.id) is None and self.list.folded:
            self._unfold(selected.id)
        if (index := self.list.index(selected.id)) is not None:
            self.put_cursor(index)

    def _show(self, ticket: TicketState) -> None:
        """Let a ticket keep its place, and have a row though what is done is folded."""
        self.list.keep(ticket)
        if self.list.index(ticket.id) is None:
            self.list.show_pinned(self.state)

    def go_to(self, index: int) -> None:
        super().go_to(index)
        self._moved_at, self._is_at_top = time.monotonic(), self.top == 0

    def cursor_moved(self) -> None:
        row = self.list.rows[self.cursor] if self.count else None
        self._hidden, self._own_choice = ("", ""), ""
        if isinstance(row, str):
            self.view.selected = row
            if (ticket := self.state.tickets.get(row)) is not None:
                self.list.keep(ticket)

    # -- what keys do ----------------------------------------------------------------------------------------

    @property
    def filter_text(self) -> str:
        return self.list.filter

    def set_filter(self, text: str) -> None:
        """Show the tickets that match the filter. Raises SelectorError."""
        if text == self.list.filter:
            return
        self.list.set_filter(self.state, text)
        self._show_others()

    def toggle_problems(self) -> None:
        self.list.problems_only = not self.list.problems_only
        self._show_others()

    def _show_others(self) -> None:
        """Show the rows of another filter. If it hides the selected ticket, another one is selected until the first
        is shown again: while a person types a filter, it is often not yet the one that they mean."""
        hidden, instead = self._hidden
        wanted = hidden if instead == self.view.selected else self.view.selected
        self.rebuild()
        if self.list.by_attention and not self.list.is_filtered and (ticket := self.state.tickets.get(wanted)):
            self._show(ticket)
        if (index := self.list.index(wanted)) is not None:
            self.view.selected = wanted
            self.put_cursor(index)
        else:
            self.cursor_moved()
            self._hidden = wanted, self.view.selected
        self.refresh()

    def sort_next(self) -> str:
        names = list(SORTS)
        self.sort_by(names[(names.index(self.list.sort) + 1) % len(names)])
        return self.list.sort

    def sort_by(self, column: str) -> None:
        """Sort by a column of SORTS: all tickets, and not what needs the person first."""
        self.list.sort = column
        self._leave_attention()
        self.rebuild()
        self.refresh()

    def reverse(self) -> None:
        self.list.is_reversed = not self.list.is_reversed
        self._leave_attention()
        self.rebuild()
        self.refresh()

    def _leave_attention(self) -> None:
        if self.list.grouping == "attention":
            self.list.grouping = "none"

    def group_next(self) -> Grouping:
        some = [grouping for grouping in GROUPINGS if grouping != "family" or self._families()]
        self.group_by(some[(some.index(self.list.grouping) + 1) % len(some)])
        return self.list.grouping

    def _families(self) -> set[str]:
        return {ticket.spec.family for ticket in self.state.tickets.values()} - {""}

    def group_by(self, grouping: Grouping) -> None:
        self.list.grouping = grouping
        self.list.folded.clear()
        if grouping == "family":
            self.list.folded.update(map(family_key, self._families()))
        if grouping == "attention":
            self.list.sort, self.list.is_reversed = "plan", False
            self.list.folds_done = self.list.pin = None
        self.rebuild()
        self.refresh()

    def fold(self, folded: bool) -> None:
        """Fold or unfold the group that the cursor is in."""
        heading = self._heading_above()
        if heading is None:
            return
        if self.list.by_attention:
            self.list.folds_done, self.list.pin = folded, None
        else:
            (self.list.folded.add if folded else self.list.folded.discard)(heading.key)
        self.list.build(self.state)
        headings = ((at, row) for at, row in enumerate(self.list.rows) if isinstance(row, Heading))
        there = (at for at, row in headings if row.key == heading.key)
        self.put_cursor(next(there, self.cursor))  # of a status, it may have gone since the rows were made
        self.refresh()

    def move_across(self, steps: int) -> None:
        self.fold(steps < 0)

    def open(self) -> str:
        row = self.list.rows[self.cursor] if self.count else None
        if isinstance(row, Heading):
            self.fold(not row.is_folded)
            return ""
        return "ticket"

    def _heading_above(self) -> Heading | None:
        for at in range(min(self.cursor, self.count - 1), -1, -1):
            row = self.list.rows[at]
            if isinstance(row, Heading):
                return row
            if self.list.grouping == "family" and not self.state.tickets[row].spec.family:
                return None
        return None

    def _unfold(self, id_: str) -> None:
        ticket = self.state.tickets[id_]
        family = family_key(ticket.spec.family)
        for key in (f"group {ticket.group + 1}", str(ticket.shown_status), family):
            self.list.folded.discard(key)
        self.list.build(self.state)
